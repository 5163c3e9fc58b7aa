//! `export` and `import`: a subtree as a file, with data and ACLs.
//!
//! The file has one value of JSON per line: a head that says what it is, the nodes, parents first, and a
//! foot that says how many they are. A file without its foot was cut and is refused before anything is
//! written. Ephemeral nodes belong to a session and are left out, and that is said. Servers show containers
//! and nodes with a time to live to clients as plain nodes, and so they are exported; who knows better may
//! write `"kind":"container"` or `"ttl_ms":N` into their lines.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rookeeper_client::{Acl, Client, CreateMode, CreateOptions, ErrorCode, acl};
use rookeeper_proto::create_mode::OwnerKind;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Node, join, read_subtree};
use crate::commands::Session;
use crate::commands::nodes::path;
use crate::console::Console;
use crate::failure::{Failure, Outcome};
use crate::json;
use crate::options::Parsed;
use crate::path_check::check;

/// What the head says, with the version of the format.
const FORMAT: &str = "rookeeper-export";
const VERSION: u64 = 1;

pub(in crate::commands) fn export(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let root = path(parsed)?;
    let client = session.client()?;
    let nodes = read_subtree(session, &client, root, true)?;
    let hidden = nodes.iter().filter(|node| node.acl.iter().any(is_hidden)).count();
    if 0 < hidden {
        return Err(Failure::new(format!(
            "The ACLs of {hidden} nodes hide their password hashes from you; nothing was exported"
        ))
        .with_hint("Say who you are first: addauth digest user:password"));
    }
    let is_ephemeral = |node: &&Node| node.kind() == OwnerKind::Ephemeral;
    let ephemerals = nodes.iter().filter(is_ephemeral).count();
    let values = nodes.iter().filter(|node| !is_ephemeral(node)).map(value);
    let mut lines = vec![json!({"format": FORMAT, "version": VERSION, "root": root})];
    lines.extend(values);
    let count = lines.len() - 1;
    lines.push(json!({"nodes": count}));
    match parsed.arg(2) {
        Some(file) => {
            write_new(Path::new(file), &lines).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    Failure::new(format!("{file} is there already; nothing was exported"))
                }
                _ => Failure::new(format!("Cannot write {file}: {error}; nothing was exported")),
            })?;
            say(session, "exported", count, &format!("Exported {count} nodes to {file}"));
        }
        None => {
            let text = || lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
            session.put("lines", || lines.iter().cloned().collect(), || Some(text()));
        }
    }
    if 0 < ephemerals {
        let text = format!("Left out {ephemerals} ephemeral nodes: they belong to their sessions");
        say(session, "left_out", ephemerals, &text);
    }
    Ok(())
}

/// A number: a field in JSON, else part of a notice.
fn say(session: &mut Session<'_>, field: &str, number: usize, notice: &str) {
    if !session.shell.is_json() {
        session.err(notice);
    }
    session.put(field, || number.into(), || None);
}

/// Whether a server shows `x` for a hash, as to everybody without the right to administer the node.
fn is_hidden(entry: &Acl) -> bool {
    entry.id.scheme == "digest" && entry.id.id.rsplit(':').next() == Some("x")
}

/// Writes a file that must not exist yet; it appears only when it is whole.
fn write_new(path: &Path, lines: &[Value]) -> io::Result<()> {
    if path.exists() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.tmp"));
    let written = write_lines(&temporary, lines).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // A full disk is not helped by half a file; the failure is told.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write_lines(path: &Path, lines: &[Value]) -> io::Result<()> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    for line in lines {
        writeln!(file, "{line}")?;
    }
    file.flush()?;
    file.get_ref().sync_all()
}

fn value(node: &Node) -> Value {
    let mut map = Map::new();
    map.insert("path".to_owned(), node.below.clone().into());
    json::put_data(&mut map, node.data.as_deref());
    if node.acl != [acl::open()] {
        map.insert("acl".to_owned(), node.acl.iter().map(json::acl).collect());
    }
    Value::Object(map)
}

/// A node of a file.
#[derive(Debug)]
struct Wanted {
    below: String,
    data: Option<Vec<u8>>,
    options: CreateOptions,
    acl: Vec<Acl>,
}

pub(in crate::commands) fn import(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let file = parsed.arg(1).unwrap_or_default();
    let bytes =
        fs::read(file).map_err(|error| Failure::new(format!("Cannot read {file}: {error}")))?;
    // What is no text cannot have a right first line, or is cut or damaged in the middle of a character.
    let text = String::from_utf8_lossy(&bytes);
    let (exported, nodes) =
        read(&text).map_err(|why| Failure::new(format!("{file}: {why}; nothing was imported")))?;
    let root = parsed.arg(2).unwrap_or(&exported);
    check(root)?;
    let client = session.client()?;
    let mut done = Done::default();
    let overwrites = parsed.has("f");
    let console = session.shell.console.clone();
    let work = write_all(&client, root, &nodes, overwrites, &mut done, &console);
    let result = session.wait(work).and_then(|result| result);
    session.put("created", || done.created.into(), || None);
    session.put("overwritten", || done.overwritten.into(), || None);
    match result {
        Ok(()) => {
            if !session.shell.is_json() {
                session.err(&format!("Imported {} nodes below {root}{}", nodes.len(), done.text()));
            }
            Ok(())
        }
        Err(failure) => {
            let imported = done.created + done.overwritten;
            let all = nodes.len();
            Err(failure.after(&format!("Imported only {imported} of {all} nodes{}", done.text())))
        }
    }
}

#[derive(Debug, Default)]
struct Done {
    created: usize,
    overwritten: usize,
}

impl Done {
    fn text(&self) -> String {
        match self.overwritten {
            0 => String::new(),
            n => format!(" ({n} were there and were written over)"),
        }
    }
}

/// Nodes created by one transaction, and how many bytes of data they have together: servers refuse frames
/// of more than a megabyte.
const BATCH: usize = 100;
const BATCH_BYTES: usize = 256 * 1024;

/// How many nodes from the first on make a batch.
fn batch_len(nodes: &[Wanted]) -> usize {
    let mut bytes = 0;
    let fits = |node: &&Wanted| {
        bytes += node.below.len() + node.data.as_deref().map_or(0, <[u8]>::len);
        bytes <= BATCH_BYTES
    };
    nodes.iter().take(BATCH).take_while(fits).count().max(1)
}

async fn write_all(
    client: &Client,
    root: &str,
    mut nodes: &[Wanted],
    overwrites: bool,
    done: &mut Done,
    console: &Console,
) -> Outcome {
    let all = nodes.len();
    while !nodes.is_empty() {
        let (batch, rest) = nodes.split_at(batch_len(nodes));
        nodes = rest;
        if create_at_once(client, root, batch).await? {
            done.created += batch.len();
        } else {
            for node in batch {
                write_one(client, root, node, overwrites, done).await?;
            }
        }
        console.progress(|| format!("imported {} of {all} nodes", done.created + done.overwritten));
    }
    Ok(())
}

/// Creates nodes by one transaction; false when the server does not like one of them, and nothing happened.
async fn create_at_once(client: &Client, root: &str, nodes: &[Wanted]) -> Outcome<bool> {
    let mut transaction = client.transaction();
    for node in nodes {
        let data = node.data.as_deref().unwrap_or_default();
        transaction = transaction.create(&join(root, &node.below), data, &node.options);
    }
    match transaction.commit().await {
        Ok(_) => Ok(true),
        Err(error) if error.code().is_some() && error.operation().is_some() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn write_one(
    client: &Client,
    root: &str,
    node: &Wanted,
    overwrites: bool,
    done: &mut Done,
) -> Outcome {
    let path = join(root, &node.below);
    let data = node.data.as_deref().unwrap_or_default();
    match client.create(&path, data, &node.options).await {
        Ok(_) => done.created += 1,
        // The root of all trees is always there.
        Err(error)
            if error.code() == Some(ErrorCode::NodeExists) && (overwrites || path == "/") =>
        {
            client.set(&path, data, None).await?;
            client.set_acl(&path, &node.acl, None).await?;
            done.overwritten += 1;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// The first line of a file.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
    root: Option<String>,
}

/// The last one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Foot {
    nodes: usize,
}

/// All between them. What is not known is refused: it might be what somebody wanted most.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    path: String,
    data: Option<String>,
    data_base64: Option<String>,
    kind: Option<String>,
    ttl_ms: Option<u64>,
    acl: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    scheme: String,
    id: String,
    perms: i32,
}

/// Reads a file completely; answers the path it was exported from.
fn read(text: &str) -> Result<(String, Vec<Wanted>), String> {
    let mut lines = text.lines().zip(1..);
    let head = lines.next().and_then(|(line, _)| serde_json::from_str::<Head>(line).ok());
    let head =
        head.filter(|head| head.format == FORMAT).ok_or("it is not an export of this shell")?;
    if head.version != VERSION {
        return Err(format!("it has version {}, this shell knows {VERSION}", head.version));
    }
    let mut nodes = Vec::new();
    for (line, number) in lines.by_ref() {
        if let Ok(Foot { nodes: count }) = serde_json::from_str(line) {
            if count != nodes.len() {
                return Err(format!("it has {} nodes, its last line says {count}", nodes.len()));
            }
            if let Some((_, number)) = lines.next() {
                return Err(format!("line {number} stands behind the last one"));
            }
            return Ok((head.root.unwrap_or_else(|| "/".to_owned()), nodes));
        }
        nodes.push(wanted(line).map_err(|why| format!("line {number}: {why}"))?);
    }
    Err("it is cut: its last line is missing".to_owned())
}

fn wanted(line: &str) -> Result<Wanted, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| {
        // It counts lines of its own.
        let text = error.to_string();
        text.split(" at line ").next().unwrap_or_default().to_owned()
    })?;
    let below = line.path;
    if !below.is_empty() && rookeeper_proto::path::validate(&below).is_err() {
        return Err(format!("{below} is no path"));
    }
    let data = match (line.data, line.data_base64) {
        (Some(_), Some(_)) => return Err("it has both data and data_base64".to_owned()),
        (None, Some(text)) => Some(BASE64.decode(text).map_err(|_| "data_base64 is not base 64")?),
        (text, None) => text.map(String::into_bytes),
    };
    let mode = match line.kind.as_deref() {
        Some("container") => CreateMode::Container,
        None => CreateMode::Persistent,
        Some(other) => return Err(format!("there is no kind {other}")),
    };
    let mut options = CreateOptions::new(mode);
    if let Some(ms) = line.ttl_ms {
        options = options.with_ttl(Duration::from_millis(ms));
    }
    if data.is_none() {
        options = options.without_data();
    }
    let entries = line.acl.map(|entries| {
        entries.iter().map(|entry| acl::entry(entry.perms, &entry.scheme, &entry.id)).collect()
    });
    let acl: Vec<Acl> = entries.unwrap_or_else(|| vec![acl::open()]);
    options = options.with_acl(acl.clone());
    Ok(Wanted { below, data, options, acl })
}

#[cfg(test)]
mod tests {
    use super::read;

    const FILE: &str = "{\"format\":\"rookeeper-export\",\"version\":1,\"root\":\"/a\"}\n\
        {\"path\":\"\",\"data\":\"x\"}\n{\"path\":\"/b\",\"ttl_ms\":5}\n{\"nodes\":2}\n";

    #[test]
    fn whole_files_are_read_and_cut_ones_are_refused() {
        let (root, nodes) = read(FILE).expect("whole");
        assert_eq!((root.as_str(), nodes.len()), ("/a", 2));
        for end in 0..FILE.len() - 1 {
            assert!(read(&FILE[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn other_files_are_refused() {
        for (text, why) in [
            ("", "it is not an export"),
            ("# zoo.cfg\nclientPort=2181\n", "it is not an export"),
            ("{\"format\":\"other\"}", "it is not an export"),
            (&FILE.replace(":1,", ":2,"), "it has version 2"),
            (&FILE.replace("/b", "b"), "line 3: b is no path"),
            (&FILE.replace("{\"nodes\":2}", "{\"nodes\":3}"), "it has 2 nodes"),
            (&FILE.replace("\"data\"", "\"data_base64\""), "line 2: data_base64"),
            (&FILE.replace("\"x\"", "7"), "line 2: invalid type: integer `7`, expected a string"),
            (&FILE.replace("ttl_ms", "ttl"), "line 3: unknown field `ttl`"),
            (&FILE.replace(":5}", ":5"), "line 3: EOF while parsing"),
            (&format!("{FILE}{FILE}"), "line 5 stands behind the last one"),
        ] {
            let found = read(text).expect_err(why);
            assert!(found.starts_with(why), "{found}");
        }
    }
}
