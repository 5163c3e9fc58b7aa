//! Writes what can be read of a damaged snapshot: every node in front of the damage that has its parent
//! and its ACL. A server can open the result, but the rest is missing, and that is said.
//! Memory: 8 bytes and a little for each node.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use rookeeper_proto::txn::{DIGEST_VERSION, TxnDigest};
use rookeeper_proto::{AclList, SessionId, Zxid};
use rookeeper_storage::snapshot::body::{put_end, put_head, put_node};
use rookeeper_storage::{Compression, Disk, SnapshotWriter, names};
use rookeeper_tree::node_digest;
use serde_json::json;

use super::reading::{Item, OPEN_ACL, hash, read};
use crate::output::{Outcome, Output, Stop};
use crate::{FAILED, FINE};

/// What has been copied.
#[derive(Default)]
struct Copy {
    sessions: Vec<(SessionId, i32)>,
    acls: Vec<(i64, AclList)>,
    acl_ids: HashSet<i64>,
    is_head_written: bool,
    nodes: u64,
    /// Nodes that were read but cannot stand in a tree.
    dropped: u64,
    paths: HashSet<u64>,
    digest: i64,
    last_path: Option<String>,
    buffer: Vec<u8>,
}

/// Handed to the writer at a time.
const BUFFER_BYTES: usize = 1 << 20;

impl Copy {
    fn take(&mut self, item: Item<'_>, writer: Option<&mut SnapshotWriter>) -> Outcome<()> {
        match item {
            Item::Session(id, timeout_ms) => self.sessions.push((id, timeout_ms)),
            Item::Acl(id, acl) => {
                self.acl_ids.insert(id);
                self.acls.push((id, acl));
            }
            Item::Node { path, acl_id, .. } if !self.fits(path, acl_id) => self.dropped += 1,
            Item::Node { path, data, acl_id, stat } => {
                self.paths.insert(hash(&path));
                if !self.is_head_written {
                    self.is_head_written = true;
                    put_head(&mut self.buffer, &self.sessions, &self.acls);
                }
                put_node(&mut self.buffer, path, data, acl_id, stat);
                self.nodes += 1;
                self.digest = self.digest.wrapping_add(node_digest(path, data, stat));
                match &mut self.last_path {
                    Some(last) => path.clone_into(last),
                    None => self.last_path = Some(path.to_owned()),
                }
                if BUFFER_BYTES <= self.buffer.len() {
                    self.hand_over(writer)?;
                }
            }
        }
        Ok(())
    }

    /// Whether a node is new, has its parent before it, and an ACL that is there.
    fn fits(&self, path: &str, acl_id: i64) -> bool {
        let has_parent = match path.rsplit_once('/') {
            Some((parent, _)) => self.paths.contains(&hash(&parent)),
            None => path.is_empty(),
        };
        let has_acl = acl_id == OPEN_ACL || self.acl_ids.contains(&acl_id);
        has_parent && has_acl && !self.paths.contains(&hash(&path))
    }

    fn hand_over(&mut self, writer: Option<&mut SnapshotWriter>) -> Outcome<()> {
        if let Some(writer) = writer {
            writer.write(&self.buffer)?;
        }
        self.buffer.clear();
        Ok(())
    }
}

pub(super) fn run(
    disk: &Arc<dyn Disk>,
    from: &Path,
    to_dir: Option<&Path>,
    as_json: bool,
    out: &mut Output,
) -> Outcome {
    let damage = match read(&**disk, from, out, &mut |_, _| Ok(())) {
        Ok(_) => {
            if as_json {
                out.json(&json!({"from": from.display().to_string(), "damage": null}))?;
            } else {
                out.line(&format!("{} is whole: there is nothing to repair", from.display()))?;
            }
            return Ok(FINE);
        }
        Err(Stop::Said { text, .. }) => text,
        Err(stop) => return Err(stop),
    };
    let (copy, to) = copy(disk, from, to_dir, out)?;
    let last = copy.last_path.map(|path| if path.is_empty() { "/".to_owned() } else { path });
    if as_json {
        out.json(&json!({
            "from": from.display().to_string(), "to": to, "damage": damage,
            "nodes": copy.nodes, "last_path": last, "dropped_nodes": copy.dropped,
        }))?;
    } else {
        out.line(&damage)?;
        out.line(&format!(
            "{} nodes are kept, the last is {}; everything behind it is lost",
            copy.nodes,
            last.as_deref().unwrap_or("(none)")
        ))?;
        if 0 < copy.dropped {
            out.line(&format!(
                "{} nodes in front of it are dropped: they are there twice, or their parent or ACL is not",
                copy.dropped
            ))?;
        }
        out.line(&to.as_ref().map_or_else(|| "nothing was written".to_owned(), Clone::clone))?;
    }
    Ok(if to.is_some() { FINE } else { FAILED })
}

fn copy(
    disk: &Arc<dyn Disk>,
    from: &Path,
    to_dir: Option<&Path>,
    out: &mut Output,
) -> Outcome<(Copy, Option<String>)> {
    let mut writer = to_dir.map(|dir| begin(disk, from, dir)).transpose()?;
    let mut copy = Copy::default();
    let walked = read(&**disk, from, out, &mut |item, _| copy.take(item, writer.as_mut()));
    let stopped = matches!(walked, Err(Stop::Closed | Stop::Interrupted | Stop::Printed(_)));
    if copy.nodes == 0 || stopped {
        if let Some(writer) = writer {
            writer.abort();
        }
        walked?;
        return Ok((copy, None));
    }
    let Some(mut writer) = writer else { return Ok((copy, None)) };
    put_end(&mut copy.buffer);
    copy.hand_over(Some(&mut writer))?;
    let meta = writer.finish(TxnDigest { version: DIGEST_VERSION, digest: copy.digest })?;
    Ok((copy, Some(meta.path.display().to_string())))
}

fn begin(disk: &Arc<dyn Disk>, from: &Path, dir: &Path) -> Outcome<SnapshotWriter> {
    let name = from.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let zxid = names::snapshot_zxid(&name).ok_or_else(|| {
        Stop::new(format!("{name} is not named as a snapshot is: snapshot.<zxid in hexadecimal>"))
    })?;
    refuse_existing(disk, dir, zxid)?;
    let writer = SnapshotWriter::create(Arc::clone(disk), dir, zxid, Compression::None)?;
    writer.ok_or_else(|| Stop::new(format!("{} has this snapshot already", dir.display())))
}

/// Nothing is written over, least of all what is being repaired.
fn refuse_existing(disk: &Arc<dyn Disk>, dir: &Path, zxid: Zxid) -> Outcome<()> {
    let to = dir.join(names::snapshot_name(zxid, ""));
    if disk.exists(&to).unwrap_or(true) {
        let to = to.display();
        return Err(Stop::new(format!("{to} is there already; name another directory")));
    }
    Ok(())
}
