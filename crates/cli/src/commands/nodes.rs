//! Commands on nodes: create, delete, deleteall, get, set, ls, stat, sync and the counts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rookeeper_client::{Client, CreateMode, CreateOptions, ErrorCode, Watch};
use rookeeper_proto::create_mode::TTL_MS_MAX;
use std::time::Duration;

use super::{Session, acl, watch};
use crate::failure::{Failure, Outcome, exception_text};
use crate::options::Parsed;
use crate::path_check::{check, check_new};
use crate::shell::parse_int;
use crate::tokens::quoted;
use crate::value::{self, Kind};
use crate::{format, json};

/// Nodes deleted by one transaction unless `-b` says otherwise.
const DELETE_BATCH: i32 = 1000;

/// A person who deletes more nodes than this is asked whether that is meant.
const ASK_ABOVE: usize = 100;

pub(super) fn path(parsed: &Parsed) -> Outcome<&str> {
    let path = parsed.arg(1).unwrap_or_default();
    check(path)?;
    Ok(path)
}

pub(super) fn version(parsed: &Parsed) -> Outcome<Option<i32>> {
    parsed.value("v").map(parse_int).transpose()
}

fn deprecated(session: &mut Session<'_>, old: &str, new: &str) {
    session.err(&format!("'{old}' has been deprecated. Please use '{new}' instead."));
}

/// Whether to watch: by the option, or by a second word as in old versions.
fn watch_old_style(session: &mut Session<'_>, parsed: &Parsed, old: &str, new: &str) -> Watch {
    if parsed.args.len() > 2 {
        deprecated(session, old, new);
        return Watch::Session;
    }
    watch(parsed)
}

pub(super) fn create(session: &mut Session<'_>, parsed: &Parsed, words: &[String]) -> Outcome {
    let mode = create_mode(parsed)?;
    let path = parsed.arg(1).unwrap_or_default();
    check_new(path, mode.is_sequential())?;
    let mut options = CreateOptions::new(mode);
    if let Some(ttl) = parsed.value("t") {
        options = options.with_ttl(ttl_of(ttl)?);
    }
    let (data, acl_at) = match parsed.value("file") {
        Some(file) => (Some(read_file(file)?), 2),
        None => (parsed.arg(2).map(|text| text.as_bytes().to_vec()), 3),
    };
    if data.is_none() {
        options = options.without_data();
    }
    if let Some(text) = parsed.arg(acl_at) {
        let Some(list) = acl::parse(session, text) else {
            session.err("KeeperErrorCode = InvalidACL");
            return Err(unquoted(Failure::new("Acl is not valid : null"), words, parsed));
        };
        options = options.with_acl(list);
    }
    let client = session.client()?;
    let data = data.unwrap_or_default();
    let result = session.wait(client.create(path, &data, &options))?;
    if let Err(error) = &result
        && error.code() == Some(ErrorCode::InvalidAcl)
    {
        session.err(&exception_text(error));
    }
    let (created, _) = result?;
    if session.shell.is_json() {
        session.put("created", || created.into(), || None);
    } else {
        session.err(&format!("Created {created}"));
    }
    Ok(())
}

/// A value from a file, byte for byte.
fn read_file(file: &str) -> Outcome<Vec<u8>> {
    std::fs::read(file).map_err(|error| Failure::new(format!("Cannot read {file}: {error}")))
}

fn create_mode(parsed: &Parsed) -> Outcome<CreateMode> {
    let (sequential, ephemeral) = (parsed.has("s"), parsed.has("e"));
    let (container, ttl) = (parsed.has("c"), parsed.has("t"));
    if container && (sequential || ephemeral) {
        return Err(Failure::new(
            "-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.",
        ));
    }
    if ttl {
        ttl_of(parsed.value("t").unwrap_or_default())?;
        if ephemeral {
            return Err(Failure::new("TTLs cannot be used with Ephemeral znodes"));
        }
        if container {
            return Err(Failure::new("TTLs cannot be used with Container znodes"));
        }
    }
    Ok(match (sequential, ephemeral) {
        _ if container => CreateMode::Container,
        (true, true) => CreateMode::EphemeralSequential,
        (true, false) => CreateMode::PersistentSequential,
        (false, true) => CreateMode::Ephemeral,
        (false, false) => CreateMode::Persistent,
    })
}

fn ttl_of(text: &str) -> Outcome<Duration> {
    let ttl: i64 = text.parse().map_err(|_| Failure::new("-t argument must be a long value"))?;
    match u64::try_from(ttl) {
        Ok(ms) if ttl > 0 && ttl <= TTL_MS_MAX => Ok(Duration::from_millis(ms)),
        _ => Err(Failure::new(format!(
            "ttl must be positive and cannot be larger than: {TTL_MS_MAX}"
        ))),
    }
}

/// Adds advice when a value with blanks was probably not quoted.
fn unquoted(failure: Failure, words: &[String], parsed: &Parsed) -> Failure {
    match quoted_form(words, parsed) {
        Some(form) => failure.with_hint(format!("A value that holds blanks is quoted: {form}")),
        None => failure,
    }
}

/// The line as it should have been typed: everything behind the path is one value.
fn quoted_form(words: &[String], parsed: &Parsed) -> Option<String> {
    let (name, path) = (words.first()?, parsed.arg(1)?);
    let value = parsed.args.get(2..).filter(|rest| rest.len() > 1)?.join(" ");
    Some(format!("{name} {} {}", quoted(path), quoted(&value)))
}

pub(super) fn set(session: &mut Session<'_>, parsed: &Parsed, words: &[String]) -> Outcome {
    let path = path(parsed)?;
    let text = parsed.arg(2).unwrap_or_default();
    let data = if let Some(file) = parsed.value("file") {
        read_file(file)?
    } else if parsed.has("b") {
        BASE64
            .decode(text)
            .map_err(|error| Failure::new(format!("-b needs a value in base64: {error}")))?
    } else {
        text.as_bytes().to_vec()
    };
    let version = version(parsed)?;
    let client = session.client()?;
    let stat = session.wait(client.set(path, &data, version))??;
    session.put_stat(&stat, parsed.has("s"));
    if let Some(form) = quoted_form(words, parsed) {
        session
            .err(&format!("Only '{text}' was stored. A value that holds blanks is quoted: {form}"));
    }
    Ok(())
}

pub(super) fn get(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let watch = watch_old_style(session, parsed, "get path [watch]", "get [-s] [-w] path");
    let path = path(parsed)?;
    let client = session.client()?;
    let (data, stat) = session.wait(client.get_watch(path, watch))??;
    if session.shell.is_json() {
        session.shell.put_data(data.as_deref());
        session.put_stat(&stat, false);
        return Ok(());
    }
    // Null is shown as the word, in every form, as Apache's shell does.
    let data = data.unwrap_or_else(|| b"null".to_vec());
    if parsed.has("b") {
        session.out(&BASE64.encode(&data));
    } else if parsed.has("x") {
        session.out(&format::hex_table(&data));
    } else if session.shell.console.is_read_by_a_person() {
        match value::kind(&data) {
            Kind::Text(text) => session.out(text),
            Kind::Json(lines) => session.out(&lines),
            Kind::Bytes => {
                session.out(&format::hex_table(&data));
                session.err("This is not text; get -b prints it in base64.");
            }
        }
    } else {
        // Programs get what Apache's shell prints.
        session.shell.console.out_bytes(String::from_utf8_lossy(&data).as_bytes());
    }
    session.put_stat(&stat, parsed.has("s"));
    Ok(())
}

pub(super) fn delete(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let mut version = version(parsed)?;
    if let Some(word) = parsed.arg(2) {
        deprecated(session, "delete path [version]", "delete [-v version] path");
        version = Some(parse_int(word)?);
    }
    let path = path(parsed)?;
    let client = session.client()?;
    session.wait(client.delete(path, version))??;
    Ok(())
}

pub(super) fn delete_all(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let batch: i32 = match parsed.value("b") {
        Some(text) => text.parse().map_err(|_| Failure::new("-b argument must be an int value"))?,
        None => DELETE_BATCH,
    };
    let path = path(parsed)?;
    let client = session.client()?;
    let batch = usize::try_from(batch).unwrap_or(0).max(1);
    let nodes = walk(session, &client, path)?;
    if ASK_ABOVE < nodes.len() && !session.confirm(&format!("Delete {} nodes?", nodes.len())) {
        return Err(Failure::new("Nothing was deleted"));
    }
    // Children stand behind their parents, so the reverse deletes leaves first.
    let nodes: Vec<&String> = nodes.iter().rev().collect();
    let (mut gone, mut tried) = (0, 0);
    for chunk in nodes.chunks(batch) {
        let done = session.wait(delete_chunk(&client, chunk)).and_then(|done| done);
        let only = format!("Deleted only {gone} of {} nodes", nodes.len());
        gone += done.map_err(|failure| failure.after(&only))?;
        tried += chunk.len();
        session.shell.console.progress(|| format!("deleted {gone} of {} nodes", nodes.len()));
    }
    session.put("deleted", || gone.into(), || None);
    if gone == tried {
        return Ok(());
    }
    Err(Failure::new("Failed to delete some node(s) in the subtree!"))
}

/// Deletes nodes at once, or one by one if that fails; says how many are gone.
async fn delete_chunk(client: &Client, paths: &[&String]) -> Outcome<usize> {
    let mut transaction = client.transaction();
    for path in paths {
        transaction = transaction.delete(path, None);
    }
    match transaction.commit().await {
        Ok(_) => return Ok(paths.len()),
        Err(error) if error.code().is_none() || error.operation().is_none() => {
            return Err(error.into());
        }
        Err(_) => {}
    }
    let mut gone = 0;
    for path in paths {
        match client.delete(path, None).await {
            Ok(()) => gone += 1,
            Err(error) if error.code() == Some(ErrorCode::NoNode) => gone += 1,
            Err(error) if error.kind() == rookeeper_client::ErrorKind::Server => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(gone)
}

/// Every node of a subtree; a person sees how far it is.
pub(super) fn walk(session: &Session<'_>, client: &Client, root: &str) -> Outcome<Vec<String>> {
    let (mut seen, console) = (0, &session.shell.console);
    let mut seen_one = |_: &str| {
        seen += 1;
        console.progress(|| format!("found {seen} nodes"));
    };
    let found = session.wait(subtree(client, root, Watch::No, &mut seen_one));
    console.end_progress();
    found?
}

/// Every node of a subtree: the root, then for each node its children before their children. Nodes
/// that vanish meanwhile are left out.
pub(super) async fn subtree(
    client: &Client,
    root: &str,
    watch: Watch,
    seen: &mut dyn FnMut(&str),
) -> Outcome<Vec<String>> {
    let (names, _) = client.children_watch(root, watch).await?;
    let mut all = vec![root.to_owned()];
    seen(root);
    let mut stack = vec![(root.to_owned(), names)];
    while let Some((parent, mut names)) = stack.pop() {
        names.sort();
        let prefix = if parent == "/" { "" } else { parent.as_str() };
        let paths: Vec<String> = names.iter().map(|name| format!("{prefix}/{name}")).collect();
        paths.iter().for_each(|path| seen(path));
        let mut below = Vec::new();
        for path in &paths {
            match client.children_watch(path, watch).await {
                Ok((names, _)) if names.is_empty() => {}
                Ok((names, _)) => below.push((path.clone(), names)),
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
                Err(error) => return Err(error.into()),
            }
        }
        all.extend(paths);
        stack.extend(below.into_iter().rev());
    }
    Ok(all)
}

pub(super) fn ls(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let watch = watch_old_style(session, parsed, "ls path [watch]", "ls [-w] path");
    let path = path(parsed)?;
    let client = session.client()?;
    if parsed.has("R") {
        if session.shell.is_json() {
            let paths = session.wait(subtree(&client, path, watch, &mut |_| {}))??;
            session.put("paths", || json::list(&paths), || None);
            return Ok(());
        }
        let console = session.shell.console.clone();
        session.wait(subtree(&client, path, watch, &mut |path| console.out(path)))??;
        return Ok(());
    }
    let (mut names, stat) = session.wait(client.children_watch(path, watch))??;
    names.sort();
    session.put("children", || json::list(&names), || Some(format::list(names.clone())));
    session.put_stat(&stat, parsed.has("s"));
    Ok(())
}

pub(super) fn stat(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let watch = watch_old_style(session, parsed, "stat path [watch]", "stat [-w] path");
    let path = path(parsed)?;
    let client = session.client()?;
    match session.wait(client.exists_watch(path, watch))?? {
        Some(stat) => session.put_stat(&stat, true),
        None => return Err(no_node(path)),
    }
    Ok(())
}

pub(super) fn no_node(path: &str) -> Failure {
    Failure::new(format!("Node does not exist: {path}"))
}

pub(super) fn sync(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let path = path(parsed)?;
    let client = session.client()?;
    match session.wait(client.sync(path))? {
        Ok(()) => session.put("sync", || true.into(), || Some("Sync is OK".to_owned())),
        Err(error) => match error.code_number() {
            Some(code) => {
                session.put("sync", || code.into(), || Some(format!("Sync has failed. rc={code}")))
            }
            None => return Err(error.into()),
        },
    }
    Ok(())
}

pub(super) fn all_children_number(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let path = path(parsed)?;
    let client = session.client()?;
    let number = session.wait(client.all_children_number(path))??;
    session.put("number", || number.into(), || Some(number.to_string()));
    Ok(())
}

pub(super) fn ephemerals(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let prefix = parsed.arg(1).unwrap_or("/");
    check(prefix)?;
    let client = session.client()?;
    let paths = session.wait(client.ephemerals(prefix))??;
    session.put("paths", || json::list(&paths), || Some(format::list(paths.clone())));
    Ok(())
}
