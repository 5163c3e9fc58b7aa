//! Paths, the nodes that must be there before, and nodes made exactly once.

use rookeeper_client::{Client, CreateOptions, ErrorCode, ErrorKind, Result, Stat};
use uuid::Uuid;

use super::persist::{pause, persist, persist_found, unanswered};

/// A child's path.
pub(crate) fn child(parent: &str, name: &str) -> String {
    if parent == "/" { format!("/{name}") } else { format!("{parent}/{name}") }
}

/// The path of the node above; the root's is itself.
pub(crate) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(at) => &path[..at],
    }
}

/// A name nobody else uses.
pub(crate) fn guid() -> String {
    Uuid::new_v4().simple().to_string()
}

/// How nodes above those of a recipe are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Above {
    /// They go when nobody uses them.
    Container,
    /// They stay: what is counted in them must not begin anew.
    Persistent,
}

impl Above {
    fn options(self) -> CreateOptions {
        match self {
            Self::Container => CreateOptions::container(),
            Self::Persistent => CreateOptions::persistent(),
        }
    }
}

/// Makes a node and those above it, as far as they are missing.
pub(crate) async fn ensure(client: &Client, path: &str, above: Above) -> Result<()> {
    let options = above.options();
    let mut missing = vec![path];
    while let Some(&path) = missing.last() {
        if path == "/" {
            missing.pop();
            continue;
        }
        match persist(client, || client.create(path, b"", &options)).await {
            Ok(_) => drop(missing.pop()),
            Err(error) => match error.code() {
                Some(ErrorCode::NodeExists) => drop(missing.pop()),
                Some(ErrorCode::NoNode) => missing.push(parent(path)),
                _ => return Err(error),
            },
        }
    }
    Ok(())
}

/// Repeats a create below `parent` until `parent` exists; containers go at any time.
pub(crate) async fn below<T, F, Fut>(
    client: &Client,
    parent: &str,
    above: Above,
    mut create: F,
) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    loop {
        match create().await {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                ensure(client, parent, above).await?;
            }
            other => return other,
        }
    }
}

/// Makes a persistent node of a given name; one that is there already will do.
pub(crate) async fn make(client: &Client, path: &str, data: &[u8], above: Above) -> Result<()> {
    let options = CreateOptions::persistent();
    let create = || persist(client, || client.create(path, data, &options));
    match below(client, parent(path), above, create).await {
        Err(error) if error.code() != Some(ErrorCode::NodeExists) => Err(error),
        _ => Ok(()),
    }
}

/// The node made by a protected create, if it is there. Any create of this session sent before has
/// happened or never will; see [`super::persist::stat_now`].
async fn find(client: &Client, parent: &str, guid: &str) -> Result<Option<(String, Stat)>> {
    persist(client, || client.sync(parent)).await?;
    let Some((names, _)) = persist_found(client, || client.children(parent)).await? else {
        return Ok(None);
    };
    for name in names.iter().filter(|name| name.contains(guid)) {
        let path = child(parent, name);
        if let Some(stat) = persist(client, || client.exists(&path)).await? {
            return Ok(Some((path, stat)));
        }
    }
    Ok(None)
}

/// Makes one sequential node, whatever happens to replies: `guid` must be in `name`, and tells the
/// node from others when the reply was lost (Curator's protected create, CURATOR-498).
///
/// Only for nodes that nobody else removes in the meantime.
pub(crate) async fn create_protected(
    client: &Client,
    (parent, name, guid): (&str, &str, &str),
    data: &[u8],
    options: &CreateOptions,
    above: Above,
) -> Result<(String, Stat)> {
    let prefix = child(parent, name);
    let (prefix, data) = (prefix.as_str(), data);
    below(client, parent, above, || async move {
        loop {
            match client.create(prefix, data, options).await {
                Err(error) if unanswered(&error) => {
                    pause(client, &error).await?;
                    if let Some(made) = find(client, parent, guid).await? {
                        return Ok(made);
                    }
                }
                answered => return answered,
            }
        }
    })
    .await
}

/// Makes an ephemeral node of a given name, whatever happens to replies; `None` when it was there
/// before. After a lost reply a node of this session is taken for ours: callers that share a session
/// and a name tell them apart by what is written.
pub(crate) async fn create_own(
    client: &Client,
    path: &str,
    data: &[u8],
    above: Above,
) -> Result<Option<Stat>> {
    let options = CreateOptions::ephemeral();
    let options = &options;
    below(client, parent(path), above, || async move {
        let mut doubtful = false;
        loop {
            match client.create(path, data, options).await {
                Ok((_, stat)) => return Ok(Some(stat)),
                Err(error) if unanswered(&error) => {
                    doubtful |= error.kind() == ErrorKind::OutcomeUnknown;
                    pause(client, &error).await?;
                }
                Err(error) if error.code() != Some(ErrorCode::NodeExists) => return Err(error),
                Err(_) if doubtful => {
                    let stat = persist(client, || client.exists(path)).await?;
                    let session = client.session_id().0;
                    return Ok(stat.filter(|stat| stat.ephemeral_owner == session));
                }
                Err(_) => return Ok(None),
            }
        }
    })
    .await
}

/// Removes what a protected create may have made.
pub(crate) async fn sweep(client: &Client, parent: &str, guid: &str) -> Result<()> {
    while let Some((path, _)) = find(client, parent, guid).await? {
        super::persist::delete(client, &path).await?;
    }
    Ok(())
}
