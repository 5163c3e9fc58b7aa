//! `export` and `import`: a subtree as a file, with data and ACLs.
//!
//! The file has one value of JSON per line: a head that says what it is, the nodes, parents first, and a
//! foot that says how many they are. A file without its foot was cut and is refused before anything is
//! written. Ephemeral nodes belong to a session and are left out, and that is said. Servers show containers
//! and nodes with a time to live to clients as plain nodes, and so they are exported; who knows better may
//! write `"kind":"container"` or `"ttl_ms":N` into their lines.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rookeeper_client::{Acl, Client, CreateMode, CreateOptions, ErrorCode, acl};
use rookeeper_proto::create_mode::OwnerKind;
use serde_json::{Map, Value, json};

use super::{Node, join, read_all};
use crate::commands::Session;
use crate::commands::nodes::path;
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
    let nodes = session.wait(read_all(&client, root, true))??;
    let hidden = nodes.iter().filter(|node| node.acl.iter().any(is_hidden)).count();
    if 0 < hidden {
        return Err(Failure::new(format!(
            "The ACLs of {hidden} nodes hide their password hashes from you; nothing was exported"
        ))
        .with_hint("Say who you are first: addauth digest user:password"));
    }
    let is_ephemeral = |node: &&Node| node.kind() == OwnerKind::Ephemeral;
    let ephemerals = nodes.iter().filter(is_ephemeral).count();
    let mut text = json!({"format": FORMAT, "version": VERSION, "root": root}).to_string();
    text.push('\n');
    let mut count = 0;
    for node in nodes.iter().filter(|node| !is_ephemeral(node)) {
        let _ = writeln!(text, "{}", value(node));
        count += 1;
    }
    let _ = writeln!(text, "{}", json!({"nodes": count}));
    match parsed.arg(2) {
        Some(file) => {
            write_new(Path::new(file), text.as_bytes())
                .map_err(|error| Failure::new(format!("Cannot write {file}: {error}")))?;
            session.err(&format!("Exported {count} nodes to {file}"));
        }
        None => session.out(text.trim_end()),
    }
    if 0 < ephemerals {
        session
            .err(&format!("Left out {ephemerals} ephemeral nodes: they belong to their sessions"));
    }
    Ok(())
}

/// Whether a server shows `x` for a hash, as to everybody without the right to administer the node.
fn is_hidden(entry: &Acl) -> bool {
    entry.id.scheme == "digest" && entry.id.id.rsplit(':').next() == Some("x")
}

/// Writes a file that must not exist yet; it appears only when it is whole.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if path.exists() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.tmp"));
    let mut file = fs::File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(temporary, path)
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
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("Cannot read {file}: {error}")))?;
    let (exported, nodes) =
        read(&text).map_err(|why| Failure::new(format!("{file}: {why}; nothing was imported")))?;
    let root = parsed.arg(2).unwrap_or(&exported);
    check(root)?;
    let client = session.client()?;
    let mut done = Done::default();
    let overwrites = parsed.has("f");
    let result = session.wait(write_all(&client, root, &nodes, overwrites, &mut done));
    match result {
        Ok(Ok(())) => {
            session.err(&format!("Imported {} nodes below {root}{}", nodes.len(), done.text()));
            Ok(())
        }
        Ok(Err(failure)) | Err(failure) => {
            let text = format!(
                "{}\nImported only {} of {} nodes{}",
                failure.text,
                done.created + done.overwritten,
                nodes.len(),
                done.text()
            );
            Err(Failure { text, ..failure })
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

async fn write_all(
    client: &Client,
    root: &str,
    nodes: &[Wanted],
    overwrites: bool,
    done: &mut Done,
) -> Outcome {
    for node in nodes {
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
    }
    Ok(())
}

/// Reads a file completely; answers the path it was exported from.
fn read(text: &str) -> Result<(String, Vec<Wanted>), String> {
    let mut lines = text.lines().enumerate();
    let parse = |number: usize, line: &str| {
        serde_json::from_str::<Value>(line)
            .map_err(|error| format!("line {} is not JSON: {error}", number + 1))
    };
    let head = lines.next().map(|(_, line)| serde_json::from_str::<Value>(line));
    let Some(Ok(head)) = head.filter(|head| matches!(head, Ok(head) if head["format"] == FORMAT))
    else {
        return Err("it is not an export of this shell".to_owned());
    };
    if head["version"] != VERSION {
        return Err(format!("it has version {}, this shell knows {VERSION}", head["version"]));
    }
    let root = head["root"].as_str().unwrap_or("/").to_owned();
    let mut nodes = Vec::new();
    for (number, line) in lines {
        let value = parse(number, line)?;
        if let Some(count) = value.get("nodes") {
            if *count != nodes.len() {
                return Err(format!("it has {} nodes, its last line says {count}", nodes.len()));
            }
            return Ok((root, nodes));
        }
        let node = wanted(&value).map_err(|why| format!("line {}: {why}", number + 1))?;
        nodes.push(node);
    }
    Err("it is cut: its last line is missing".to_owned())
}

fn wanted(value: &Value) -> Result<Wanted, String> {
    let below = value["path"].as_str().ok_or("there is no path")?.to_owned();
    if !below.is_empty() && rookeeper_proto::path::validate(&below).is_err() {
        return Err(format!("{below} is no path"));
    }
    let data = match (&value["data"], &value["data_base64"]) {
        (Value::String(text), _) => Some(text.clone().into_bytes()),
        (_, Value::String(text)) => {
            Some(BASE64.decode(text).map_err(|_| "data_base64 is not base 64")?)
        }
        _ => None,
    };
    let mode = match value["kind"].as_str() {
        Some("container") => CreateMode::Container,
        None => CreateMode::Persistent,
        Some(other) => return Err(format!("there is no kind {other}")),
    };
    let mut options = CreateOptions::new(mode);
    if let Some(ms) = value["ttl_ms"].as_u64() {
        options = options.with_ttl(Duration::from_millis(ms));
    }
    if data.is_none() {
        options = options.without_data();
    }
    let acl = match value["acl"].as_array() {
        None => vec![acl::open()],
        Some(entries) => entries.iter().map(entry).collect::<Option<_>>().ok_or("a bad ACL")?,
    };
    options = options.with_acl(acl.clone());
    Ok(Wanted { below, data, options, acl })
}

fn entry(value: &Value) -> Option<Acl> {
    let perms = i32::try_from(value["perms"].as_i64()?).ok()?;
    Some(acl::entry(perms, value["scheme"].as_str()?, value["id"].as_str()?))
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
        ] {
            let found = read(text).expect_err(why);
            assert!(found.starts_with(why), "{found}");
        }
    }
}
