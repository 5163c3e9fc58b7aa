//! Commands that Apache's shell does not have: looking at subtrees, comparing and moving them, following
//! and editing.

pub(super) mod diff;
pub(super) mod edit;
pub(super) mod follow;
pub(super) mod transfer;
pub(super) mod view;

use rookeeper_client::{Acl, Client, Error, ErrorCode, Stat, Watch};
use rookeeper_proto::create_mode::OwnerKind;

use super::Session;
use super::nodes::walk;
use crate::console::Console;
use crate::failure::{Failure, Outcome};

/// Requests under way at once.
const WINDOW: usize = 64;

/// A node as it was read.
#[derive(Debug, Clone)]
struct Node {
    /// Below the root that was asked for, beginning with a slash; the root itself is empty.
    below: String,
    data: Option<Vec<u8>>,
    stat: Stat,
    acl: Vec<Acl>,
}

impl Node {
    fn kind(&self) -> OwnerKind {
        OwnerKind::of(self.stat.ephemeral_owner, true, false)
    }
}

/// A path below another; both begin with a slash.
fn join(root: &str, below: &str) -> String {
    match (root, below) {
        ("/", "") => "/".to_owned(),
        ("/", below) => below.to_owned(),
        (root, below) => format!("{root}{below}"),
    }
}

/// What is left of a path behind its root.
fn strip<'p>(path: &'p str, root: &str) -> &'p str {
    match root {
        "/" => {
            path.strip_prefix('/').map_or(path, |rest| if rest.is_empty() { rest } else { path })
        }
        root => path.strip_prefix(root).unwrap_or(path),
    }
}

/// The name of the server's own subtree, which belongs to it and not to its users.
const OWN: &str = "/zookeeper";

/// All nodes of a subtree, parents first; the server's own are left out unless asked for by name.
/// Nodes that vanish meanwhile are left out. A person sees how far it is.
fn read_subtree(
    session: &Session<'_>,
    client: &Client,
    root: &str,
    with_acl: bool,
) -> Outcome<Vec<Node>> {
    let paths = walk(session, client, root)?;
    let is_own = |path: &str| path == OWN || path.starts_with("/zookeeper/");
    let wanted = |path: &String| is_own(root) || !is_own(path);
    let mut paths: Vec<String> = paths.into_iter().filter(wanted).collect();
    paths.sort_by(|a, b| a.split('/').cmp(b.split('/')));
    session.wait(read_all(client, root, &paths, with_acl, &session.shell.console))?
}

async fn read_all(
    client: &Client,
    root: &str,
    paths: &[String],
    with_acl: bool,
    console: &Console,
) -> Outcome<Vec<Node>> {
    let mut nodes = Vec::with_capacity(paths.len());
    for chunk in paths.chunks(WINDOW) {
        // All are sent before the first answer is waited for.
        let reads: Vec<_> = chunk
            .iter()
            .map(|path| {
                let (client, path) = (client.clone(), path.clone());
                let below = strip(&path, root).to_owned();
                tokio::spawn(async move { read_one(&client, &path, below, with_acl).await })
            })
            .collect();
        for read in reads {
            match read.await.map_err(|_| Failure::new("Interrupted"))? {
                Ok(node) => nodes.push(node),
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
                Err(error) => return Err(error.into()),
            }
        }
        console.progress(|| format!("read {} of {} nodes", nodes.len(), paths.len()));
    }
    Ok(nodes)
}

async fn read_one(
    client: &Client,
    path: &str,
    below: String,
    with_acl: bool,
) -> Result<Node, Error> {
    let (data, stat) = client.get_watch(path, Watch::No).await?;
    let acl = if with_acl { client.acl(path).await?.0 } else { Vec::new() };
    Ok(Node { below, data, stat, acl })
}

/// A whole number of an option.
fn number(text: Option<&str>, name: &str) -> Outcome<Option<usize>> {
    let parsed = text.map(|text| {
        let failure = || Failure::new(format!("-{name} needs a whole number, not {text}"));
        text.parse().map_err(|_| failure())
    });
    parsed.transpose()
}
