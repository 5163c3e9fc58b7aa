//! Sums a snapshot up: nodes, bytes and kinds, in all and by subtree. Memory for the subtrees told apart.

use std::collections::BTreeMap;
use std::path::Path;

use rookeeper_storage::Disk;
use rookeeper_tree::OwnerKind;
use serde_json::json;

use super::reading::{Item, read};
use crate::FINE;
use crate::log::escaped;
use crate::output::{Outcome, Output};

#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    nodes: u64,
    bytes: u64,
}

#[derive(Debug, Default)]
struct Totals {
    sum: Sum,
    sessions: u64,
    acls: u64,
    ephemerals: u64,
    containers: u64,
    ttls: u64,
    depth: usize,
    largest: (usize, String),
}

pub(super) fn run(
    disk: &dyn Disk,
    file: &Path,
    depth: usize,
    as_json: bool,
    out: &mut Output,
) -> Outcome {
    let mut totals = Totals::default();
    let mut subtrees: BTreeMap<String, Sum> = BTreeMap::new();
    let meta = read(disk, file, out, &mut |item, _| {
        match item {
            Item::Session(..) => totals.sessions += 1,
            Item::Acl(..) => totals.acls += 1,
            Item::Node { path, data, stat, .. } => {
                let size = data.map_or(0, <[u8]>::len);
                totals.add(path, size, stat.ephemeral_owner);
                let end = path.match_indices('/').nth(depth).map_or(path.len(), |(at, _)| at);
                if 0 < depth && !path.is_empty() {
                    let subtree = &path[..end];
                    let sum = match subtrees.get_mut(subtree) {
                        Some(sum) => sum,
                        None => subtrees.entry(subtree.to_owned()).or_default(),
                    };
                    sum.nodes += 1;
                    sum.bytes += size as u64;
                }
            }
        }
        Ok(())
    })?;
    if as_json {
        let subtrees = subtrees
            .iter()
            .map(|(path, sum)| (path.clone(), json!({"nodes": sum.nodes, "bytes": sum.bytes})));
        out.json(&json!({
            "file": file.display().to_string(),
            "last_zxid": meta.zxid.to_string(),
            "nodes": totals.sum.nodes, "bytes": totals.sum.bytes, "depth": totals.depth,
            "sessions": totals.sessions, "acls": totals.acls, "ephemerals": totals.ephemerals,
            "containers": totals.containers, "ttls": totals.ttls,
            "largest": {"path": totals.largest.1, "bytes": totals.largest.0},
            "subtrees": subtrees.collect::<serde_json::Map<_, _>>(),
        }))?;
        return Ok(FINE);
    }
    for (name, number) in [
        ("nodes", totals.sum.nodes),
        ("bytes of data", totals.sum.bytes),
        ("depth", totals.depth as u64),
        ("ephemerals", totals.ephemerals),
        ("containers", totals.containers),
        ("with a TTL", totals.ttls),
        ("ACLs", totals.acls),
        ("sessions", totals.sessions),
    ] {
        out.line(&format!("{name:<16} {number:>12}"))?;
    }
    out.line(&format!("{:<16} {:>12}", "up to zxid", meta.zxid.to_string()))?;
    out.line(&format!(
        "{:<16} {:>12} bytes {}",
        "largest",
        totals.largest.0,
        escaped(&totals.largest.1)
    ))?;
    let mut sorted: Vec<_> = subtrees.into_iter().collect();
    // The largest first; where that says nothing, by name.
    sorted.sort_by(|a, b| (b.1.nodes, &a.0).cmp(&(a.1.nodes, &b.0)));
    for (path, sum) in sorted {
        out.line(&format!("{:>12} nodes {:>14} bytes  {}", sum.nodes, sum.bytes, escaped(&path)))?;
    }
    Ok(FINE)
}

impl Totals {
    fn add(&mut self, path: &str, size: usize, owner: i64) {
        self.sum.nodes += 1;
        self.sum.bytes += size as u64;
        self.depth = self.depth.max(path.matches('/').count());
        match OwnerKind::of(owner, true, false) {
            OwnerKind::Ephemeral => self.ephemerals += 1,
            OwnerKind::Container => self.containers += 1,
            OwnerKind::Ttl(_) => self.ttls += 1,
            OwnerKind::Persistent => {}
        }
        if self.largest.0 < size || self.largest.1.is_empty() {
            let path = if path.is_empty() { "/" } else { path };
            self.largest = (size, path.to_owned());
        }
    }
}
