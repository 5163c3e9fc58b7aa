//! Snapshots (`storage-format.md` section 3).
pub mod body;
mod writer;
use rookeeper_proto::Zxid;
use rookeeper_proto::txn::TxnDigest;
use std::path::PathBuf;
pub use writer::{Compression, SnapshotWriter};

/// What a snapshot says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The file.
    pub path: PathBuf,
    /// From its name: everything up to here is contained.
    pub zxid: Zxid,
    /// The digest trailer: the newest txn contained and the tree's digest after it. Its zxid may be
    /// below `zxid` (then it says nothing) and is beyond it in Java's fuzzy snapshots. A fresh
    /// snapshot.0 says (0, 0), which is not the tree's digest.
    pub digest: Option<(Zxid, TxnDigest)>,
    /// The lastZxid trailer.
    pub last_zxid: Option<Zxid>,
}
