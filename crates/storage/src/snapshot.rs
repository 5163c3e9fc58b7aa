//! Snapshots: `storage-format.md` section 3, byte for byte.
//!
//! `body` has the contents (also the quorum wire's SNAP stream), `codec` the containers, `writer` and
//! `reader` the files.

use std::path::PathBuf;

use rookeeper_proto::Zxid;
use rookeeper_proto::txn::TxnDigest;

pub mod body;
mod codec;
mod reader;
mod writer;

pub use codec::Compression;
pub(crate) use reader::MAX_ITEM_BYTES;
pub use reader::{inspect_snapshot, looks_complete, read_snapshot, recompress, verify_snapshot};
pub use writer::{CompleteSnapshot, SnapshotWriter};
pub(crate) use writer::{TEMPORARY_PREFIX, write_fresh};

/// What a snapshot says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The file.
    pub path: PathBuf,
    /// From its name: everything up to here is contained.
    pub zxid: Zxid,
    /// The digest trailer: the newest txn contained and the tree's digest after it. Its zxid may be
    /// below `zxid` (then it says nothing, S19) and is beyond it in Java's fuzzy snapshots. A fresh
    /// snapshot.0 says zxid 0 and digest 0, which is not the digest of its tree.
    pub digest: Option<(Zxid, TxnDigest)>,
    /// The lastZxid trailer.
    pub last_zxid: Option<Zxid>,
}
