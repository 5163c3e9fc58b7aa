//! `SnapshotFormatter`: prints a snapshot, as text or as the nested array that ncdu reads.
//!
//! As text, nodes come in the order of the file, in constant memory (but for the sessions). The nested
//! array needs the names of all nodes, not their data.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rookeeper_proto::StatPersisted;
use rookeeper_storage::Disk;

use super::{INVALID_INVOCATION, absolute};
use crate::output::{Outcome, Output, Stop};
use crate::snapshot::reading::{Item, read};
use crate::snapshot::sizes::{NodeIndex, Tree};
use crate::{FINE, java};

const USAGE: &str = "USAGE: SnapshotFormatter [-d|-json] snapshot_file\n       \
    -d dump the data for each znode\n       \
    -json dump znode info in json format";

pub(super) fn run(disk: &dyn Disk, args: &[OsString], out: &mut Output) -> Outcome {
    let invalid = |text: &str| Err(Stop::with_code(text, INVALID_INVOCATION));
    let is_option = |arg: &&OsString| *arg == "-d" || *arg == "-json";
    let options: Vec<&OsString> = args.iter().take_while(is_option).collect();
    let [path] = &args[options.len()..] else { return invalid(USAGE) };
    let path = PathBuf::from(path);
    let shown = absolute(&path);
    match disk.metadata(&path) {
        Ok(Some(info)) if info.is_dir => {
            return invalid(&format!("'{}' is a directory. it must be a file.", shown.display()));
        }
        Ok(Some(_)) if disk.open(&path).is_ok() => {}
        Ok(None) => return invalid(&format!("File '{}' does not exist.", shown.display())),
        _ => {
            let text = format!("Read permission is denied on the file '{}'", shown.display());
            return invalid(&text);
        }
    }
    let (data, json) = (options.iter().any(|o| *o == "-d"), options.iter().any(|o| *o == "-json"));
    match (data, json) {
        (true, true) => {
            invalid("Cannot specify both data dump (-d) and json mode (-json) in same call")
        }
        (_, true) => print_json(disk, &path, out),
        (data, false) => print_text(disk, &path, data, out),
    }
}

fn print_text(disk: &dyn Disk, path: &Path, with_data: bool, out: &mut Output) -> Outcome {
    // The number of nodes is printed before them: the file is read twice.
    let mut nodes = 0u64;
    let meta = read(disk, path, out, &mut |item, _| {
        nodes += u64::from(matches!(item, Item::Node { .. }));
        Ok(())
    })?;
    // Java counts the root twice.
    out.line(&format!("ZNode Details (count={}):", nodes + 1))?;
    let mut last = meta.zxid;
    let mut sessions = Vec::new();
    let mut ephemerals: BTreeMap<i64, u64> = BTreeMap::new();
    read(disk, path, out, &mut |item, out| {
        match item {
            Item::Session(id, timeout_ms) => sessions.push((id.0, timeout_ms)),
            Item::Acl(..) => {}
            Item::Node { path, data, stat, .. } => {
                last = last.max(stat.mzxid).max(stat.pzxid);
                if stat.ephemeral_owner != 0 {
                    if let Some(count) = ephemerals.get_mut(&stat.ephemeral_owner) {
                        *count += 1;
                    } else if sessions.iter().any(|(id, _)| *id == stat.ephemeral_owner) {
                        ephemerals.insert(stat.ephemeral_owner, 1);
                    }
                }
                out.line("----")?;
                out.line(if path.is_empty() { "/" } else { path })?;
                out.text(&stat_lines(stat))?;
                if with_data {
                    let text = STANDARD.encode(data.unwrap_or_default());
                    out.line(&format!("  data = {text}"))?;
                } else {
                    let len = data.map_or(0, <[u8]>::len);
                    out.line(&format!("  dataLength = {len}"))?;
                }
            }
        }
        Ok(())
    })?;
    out.line("----")?;
    out.line("Session Details (sid, timeout, ephemeralCount):")?;
    for (id, timeout_ms) in sessions {
        let count = ephemerals.get(&id).copied().unwrap_or(0);
        out.line(&format!("{id:#016x}, {timeout_ms}, {count}"))?;
    }
    out.line(&format!("----\nLast zxid: {last}"))?;
    Ok(FINE)
}

fn stat_lines(stat: &StatPersisted) -> String {
    format!(
        "  cZxid = {:#016x}\n  ctime = {}\n  mZxid = {:#016x}\n  mtime = {}\n  pZxid = {:#016x}\n  \
         cversion = {}\n  dataVersion = {}\n  aclVersion = {}\n  ephemeralOwner = {:#016x}\n",
        stat.czxid.0,
        java::date(stat.ctime_ms),
        stat.mzxid.0,
        java::date(stat.mtime_ms),
        stat.pzxid.0,
        stat.cversion,
        stat.version,
        stat.aversion,
        stat.ephemeral_owner
    )
}

fn print_json(disk: &dyn Disk, path: &Path, out: &mut Output) -> Outcome {
    let tree = Tree::read(disk, path, out)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    out.text(&format!(
        "[1,0,{{\"progname\":\"SnapshotFormatter.java\",\"progver\":\"0.01\",\"timestamp\":{now}}}"
    ))?;
    let mut number = 1000u64;
    // Not by recursion: a tree may be deeper than a stack.
    let mut open: Vec<std::vec::IntoIter<NodeIndex>> = vec![vec![tree.root()].into_iter()];
    while let Some(siblings) = open.last_mut() {
        let Some(node) = siblings.next() else {
            open.pop();
            // Every list of children is an array, but for the root alone.
            if !open.is_empty() {
                out.text("]")?;
            }
            continue;
        };
        number += 1;
        let (name, size) = (tree.name(node), tree.size(node));
        let name = serde_json::Value::from(if name.is_empty() { "/" } else { name });
        let children = tree.children(node);
        let bracket = if children.is_empty() { "" } else { "[" };
        out.text(&format!(
            ",{bracket}{{\"name\":{name},\"asize\":{size},\"dsize\":{size},\"dev\":0,\"ino\":{number}}}"
        ))?;
        if !children.is_empty() {
            open.push(children.into_iter());
        }
    }
    out.text("]")?;
    Ok(FINE)
}
