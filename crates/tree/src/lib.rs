//! The znode tree of one thread: apply, read, watches, quotas, digest, exact snapshots.
//!
//! [`DataTree`] holds the state, [`WatchTable`] the watches of the connections served beside it. Both
//! are plain single-owner structures: no locks, no I/O, no clock, no randomness but the seed handed
//! in, and no order that depends on a hash. Whether a request is *allowed* is decided elsewhere; what a
//! committed transaction does is decided here, and nothing it holds can make the tree panic.
//!
//! Sources: `client-protocol.md` sections 5 and 6, `storage-format.md` sections 2.1, 3.1 and 5.

mod acls;
mod apply;
mod change;
mod digest;
mod quota;
mod snapshot;
mod tree;
mod watch;

pub use acls::{AclId, AclMap, permits};
pub use apply::{Applied, DigestMismatch, OpResult};
pub use change::{Change, ChangeKind, ChangeSink};
pub use digest::{is_digested, node_digest, with_stat_changed};
pub use quota::{MalformedQuota, Quota, QuotaFigures};
pub use snapshot::{SNAPSHOTS_MAX, Slice, SnapshotError, SnapshotId, SnapshotInfo};
pub use tree::load::{LoadError, TreeLoader};
pub use tree::{DataTree, TreeOptions, ZnodeId, ZnodeRef};
pub use watch::{WatchMode, WatchSummary, WatchTable, WatcherType};

pub use rookeeper_proto::client::reply::EventType;
pub use rookeeper_proto::create_mode::OwnerKind;
