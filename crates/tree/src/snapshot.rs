//! Exact snapshots, slice by slice, while transactions go on being applied (`house.md` 11.7,
//! `storage-format.md` 3.1, 3.5).
//!
//! The body holds the state as of the last transaction before [`DataTree::begin_snapshot`], nothing
//! later: a special case of Java's fuzzy snapshots, so Java reads it. Instead of keeping before-images,
//! a node about to change is *written first*: a bit per node says whether it has been written, and
//! whoever changes an unwritten node puts it (after its unwritten ancestors) into the output at once.
//! Deleted nodes are thereby written before they go, created ones are marked and skipped. The walk is
//! a sweep over the node table, so it has no position in the tree that a change could invalidate.
//!
//! Order: parents before children, all that loading asks for (trap S17), here and in Java.
//! Extra memory: a bit per node, and the nodes changed between two slices.

use std::fmt;

use rookeeper_proto::{JuteWrite, StatPersisted, Zxid};

use crate::acls::AclMap;
use crate::tree::DataTree;
use crate::tree::slab::NONE;
use crate::tree::store::Store;

/// Snapshots that may be under way at once: the periodic one, and learners being sent the tree.
pub const SNAPSHOTS_MAX: usize = 16;

/// A slice ends once it has appended this much, however few nodes that is.
const SLICE_BYTES: usize = 1 << 20;

/// Of a node but for its path and data: their lengths, the ACL's id, the stat.
const NODE_BYTES: usize = 4 + 4 + 8 + StatPersisted::ENCODED_BYTES;

/// Skipping a slot costs this much less than writing a node.
const SKIPS_PER_NODE: usize = 16;

/// Names a snapshot being taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(u64);

/// What a snapshot will hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// The last transaction in it: its name, its digest's zxid, its lastZxid.
    pub zxid: Zxid,
    /// The tree's digest at that point.
    pub digest: i64,
    /// Number of nodes.
    pub nodes: usize,
}

/// Whether there is more to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slice {
    /// Call again.
    More,
    /// The body is complete, terminator included; the id is no longer valid.
    Done,
}

/// Why a snapshot call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotError {
    /// [`SNAPSHOTS_MAX`] are being taken.
    TooMany,
    /// No such snapshot: finished, aborted or never begun.
    Unknown,
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => write!(f, "{SNAPSHOTS_MAX} snapshots are being taken already"),
            Self::Unknown => write!(f, "no such snapshot is being taken"),
        }
    }
}

impl std::error::Error for SnapshotError {}

/// The snapshots under way.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    active: Vec<Active>,
    begun: u64,
}

#[derive(Debug)]
struct Active {
    id: SnapshotId,
    info: SnapshotInfo,
    written: Written,
    /// The sweep: the next slot to look at.
    next: u32,
    /// Bytes not handed out yet.
    pending: Vec<u8>,
}

/// One bit per slot that existed at the beginning; later slots hold created nodes only.
#[derive(Debug)]
struct Written {
    bits: Vec<u64>,
    end: u32,
}

impl Written {
    fn contains(&self, id: u32) -> bool {
        id >= self.end || self.bits[(id / 64) as usize] & (1 << (id % 64)) != 0
    }

    fn insert(&mut self, id: u32) {
        if id < self.end {
            self.bits[(id / 64) as usize] |= 1 << (id % 64);
        }
    }
}

impl Snapshots {
    /// A node was created in slot `id`: it belongs to no snapshot under way.
    pub(crate) fn created(&mut self, id: u32) {
        for snapshot in &mut self.active {
            snapshot.written.insert(id);
        }
    }

    /// The node `id` is about to change or go.
    pub(crate) fn before_change(&mut self, store: &Store, id: u32) {
        for snapshot in &mut self.active {
            if !snapshot.written.contains(id) {
                let Active { written, pending, .. } = snapshot;
                write_chain(store, written, id, usize::MAX, pending);
            }
        }
    }
}

/// Writes the topmost `max` of the unwritten nodes from the root down to `id`; returns how many.
fn write_chain(
    store: &Store,
    written: &mut Written,
    id: u32,
    max: usize,
    out: &mut Vec<u8>,
) -> usize {
    let parent_of = |&id: &u32| Some(store.node(id).parent).filter(|&parent| parent != NONE);
    // Ancestors of a written node are written: nothing is written before its parent.
    if parent_of(&id).is_none_or(|parent| written.contains(parent)) {
        write_node(store, id, out);
        written.insert(id);
        return 1;
    }
    let is_unwritten = |id: &u32| !written.contains(*id);
    let chain: Vec<u32> =
        std::iter::successors(Some(id), parent_of).take_while(is_unwritten).collect();
    let mut count = 0;
    for &id in chain.iter().rev().take(max) {
        write_node(store, id, out);
        written.insert(id);
        count += 1;
    }
    count
}

fn write_node(store: &Store, id: u32, out: &mut Vec<u8>) {
    let node = store.node(id);
    out.reserve(NODE_BYTES + node.size() as usize);
    out.put_buffer(Some(node.path_bytes()));
    out.put_buffer(node.data());
    out.put_i64(AclMap::id(node.acl).0);
    node.persisted().write(out);
}

impl Active {
    /// Sweeps on; returns whether the sweep is complete.
    fn sweep(&mut self, store: &Store, max_nodes: usize, out: &mut Vec<u8>) -> bool {
        let limit = out.len().saturating_add(SLICE_BYTES);
        let mut budget = max_nodes.max(1).saturating_mul(SKIPS_PER_NODE);
        while self.next < self.written.end {
            if budget == 0 || out.len() >= limit {
                return false;
            }
            if self.written.contains(self.next) || !store.is_live(self.next) {
                budget -= 1;
                self.next += 1;
                continue;
            }
            let max = budget.div_ceil(SKIPS_PER_NODE);
            let count = write_chain(store, &mut self.written, self.next, max, out);
            budget = budget.saturating_sub(count * SKIPS_PER_NODE);
        }
        true
    }
}

impl DataTree {
    /// Starts a snapshot of the state as of now. Several may run at once.
    pub fn begin_snapshot(&mut self) -> Result<SnapshotId, SnapshotError> {
        if self.snapshots.active.len() >= SNAPSHOTS_MAX {
            return Err(SnapshotError::TooMany);
        }
        let mut pending = Vec::new();
        pending.put_len(self.sessions.len());
        for (session, timeout_ms) in &self.sessions {
            pending.put_i64(session.0);
            pending.put_i32(*timeout_ms);
        }
        pending.put_len(self.acls.len());
        for (id, list) in self.acls.iter() {
            pending.put_i64(id.0);
            list.write(&mut pending);
        }
        let end = self.store.end();
        let written = Written { bits: vec![0; end.div_ceil(64) as usize], end };
        let nodes = self.store.len();
        let info = SnapshotInfo { zxid: self.last_zxid, digest: self.digest, nodes };
        let id = SnapshotId(self.snapshots.begun);
        self.snapshots.begun += 1;
        self.snapshots.active.push(Active { id, info, written, next: 0, pending });
        Ok(id)
    }

    /// What the snapshot is of.
    pub fn snapshot_info(&self, id: SnapshotId) -> Result<SnapshotInfo, SnapshotError> {
        let found = self.snapshots.active.iter().find(|snapshot| snapshot.id == id);
        found.map(|snapshot| snapshot.info).ok_or(SnapshotError::Unknown)
    }

    /// Appends the next piece of the body: session map, ACL map, nodes (parents first), terminator;
    /// neither header nor seals. Visits at most about `max_nodes` nodes; what was written because it
    /// changed since the last call comes on top.
    pub fn snapshot_slice(
        &mut self,
        id: SnapshotId,
        max_nodes: usize,
        out: &mut Vec<u8>,
    ) -> Result<Slice, SnapshotError> {
        let at = self.snapshots.active.iter().position(|snapshot| snapshot.id == id);
        let at = at.ok_or(SnapshotError::Unknown)?;
        let snapshot = &mut self.snapshots.active[at];
        out.append(&mut snapshot.pending);
        if !snapshot.sweep(&self.store, max_nodes, out) {
            return Ok(Slice::More);
        }
        out.put_str("/");
        self.snapshots.active.remove(at);
        Ok(Slice::Done)
    }

    /// Gives a snapshot up. Unknown ids are ignored.
    pub fn abort_snapshot(&mut self, id: SnapshotId) {
        self.snapshots.active.retain(|snapshot| snapshot.id != id);
    }
}
