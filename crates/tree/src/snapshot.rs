//! Exact snapshots taken slice by slice while transactions go on being applied.

use rookeeper_proto::Zxid;

use crate::tree::DataTree;

/// Names a snapshot being taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(pub u64);

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
    /// Too many snapshots are being taken.
    TooMany,
    /// No such snapshot: finished, aborted or never begun.
    Unknown,
}

impl DataTree {
    /// Starts a snapshot of the state as of now. Several may run at once.
    pub fn begin_snapshot(&mut self) -> Result<SnapshotId, SnapshotError> {
        unimplemented!()
    }

    /// What the snapshot is of.
    pub fn snapshot_info(&self, id: SnapshotId) -> Result<SnapshotInfo, SnapshotError> {
        let _ = id;
        unimplemented!()
    }

    /// Appends the next piece of the body: session map, ACL map, nodes (parents first), terminator;
    /// neither header nor seals. Visits at most about `max_nodes` nodes.
    pub fn snapshot_slice(
        &mut self,
        id: SnapshotId,
        max_nodes: usize,
        out: &mut Vec<u8>,
    ) -> Result<Slice, SnapshotError> {
        let _ = (id, max_nodes, out);
        unimplemented!()
    }

    /// Gives a snapshot up. Unknown ids are ignored.
    pub fn abort_snapshot(&mut self, id: SnapshotId) {
        let _ = id;
        unimplemented!()
    }
}
