//! Reads snapshots completely: format, checksums, that every node stands behind its parent and has an
//! ACL that is there, and the tree's digest. Memory: 8 bytes and a little for each node.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rookeeper_proto::txn::DIGEST_VERSION;
use rookeeper_storage::Disk;
use rookeeper_tree::node_digest;
use serde_json::json;

use super::reading::{Item, OPEN_ACL, hash, read};
use crate::output::{Outcome, Output, Stop};
use crate::{FAILED, FINE};

/// Problems told one by one.
const SHOWN: usize = 20;

/// What was found in a snapshot.
#[derive(Debug, Default)]
struct Found {
    nodes: u64,
    sessions: u64,
    bytes: u64,
    digest: i64,
    problems: Vec<String>,
    more: u64,
    notes: Vec<String>,
    last: Option<String>,
}

impl Found {
    fn problem(&mut self, text: String) {
        if self.problems.len() < SHOWN {
            self.problems.push(text);
        } else {
            self.more += 1;
        }
    }
}

pub(super) fn run(disk: &dyn Disk, files: &[PathBuf], as_json: bool, out: &mut Output) -> Outcome {
    let mut code = FINE;
    for path in files {
        let found = verify(disk, path, out)?;
        let is_fine = found.problems.is_empty();
        if !is_fine {
            code = FAILED;
        }
        if as_json {
            out.json(&json!({
                "file": path.display().to_string(),
                "ok": is_fine,
                "nodes": found.nodes,
                "sessions": found.sessions,
                "bytes": found.bytes,
                "last_zxid": found.last,
                "digest": format!("0x{:x}", found.digest),
                "problems": found.problems,
                "more_problems": found.more,
                "notes": found.notes,
            }))?;
            continue;
        }
        let verdict = if is_fine { "ok" } else { "DAMAGED" };
        let up_to = found.last.map_or(String::new(), |zxid| format!(", up to {zxid}"));
        out.line(&format!(
            "{}: {} nodes, {} bytes of data, {} sessions{up_to}: {verdict}",
            path.display(),
            found.nodes,
            found.bytes,
            found.sessions
        ))?;
        for text in found.problems.iter().chain(&found.notes) {
            out.line(&format!("  {text}"))?;
        }
        if 0 < found.more {
            out.line(&format!("  and {} more", found.more))?;
        }
    }
    Ok(code)
}

fn verify(disk: &dyn Disk, file: &Path, out: &mut Output) -> Outcome<Found> {
    let mut found = Found::default();
    // By hash: a collision could hide a missing parent, never invent one.
    let mut paths: HashSet<u64> = HashSet::new();
    let mut acls: HashSet<i64> = HashSet::new();
    let result = read(disk, file, out, &mut |item, _| {
        match item {
            Item::Session(..) => found.sessions += 1,
            Item::Acl(id, _) => {
                acls.insert(id);
            }
            Item::Node { path, data, acl_id, stat } => {
                found.nodes += 1;
                found.bytes += data.map_or(0, <[u8]>::len) as u64;
                found.digest = found.digest.wrapping_add(node_digest(path, data, stat));
                if let Some((parent, _)) = path.rsplit_once('/')
                    && !paths.contains(&hash(&parent))
                {
                    found.problem(format!("{path} has no parent before it"));
                }
                if !paths.insert(hash(&path)) {
                    found.problem(format!("{path} is there twice"));
                }
                if acl_id != OPEN_ACL && !acls.contains(&acl_id) {
                    found.problem(format!("{path} has ACL {acl_id}, which is not in the file"));
                }
            }
        }
        Ok(())
    });
    match result {
        Ok(meta) => {
            found.last = Some(meta.zxid.to_string());
            match meta.digest {
                // A fresh snapshot says 0 whatever is in it.
                Some((zxid, digest)) if digest.version == DIGEST_VERSION && digest.digest != 0 => {
                    if zxid == meta.zxid && digest.digest != found.digest {
                        found.problem(format!(
                            "the tree's digest is 0x{:x}, the file says 0x{:x}",
                            found.digest, digest.digest
                        ));
                    } else if zxid != meta.zxid {
                        found.notes.push(format!(
                            "taken while transactions up to {zxid} were applied: it needs the log behind it"
                        ));
                    }
                }
                _ => found.notes.push("it carries no digest of the tree".to_owned()),
            }
        }
        Err(Stop::Said { text, .. }) => found.problem(text),
        Err(stop) => return Err(stop),
    }
    Ok(found)
}
