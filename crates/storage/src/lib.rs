//! Apache ZooKeeper's files: transaction log, snapshots, epoch files; opening, cutting and purging
//! a data directory. Byte for byte what Apache's server writes and reads.
//!
//! Everything goes through the [`Disk`] seam: a real file system in the server, [`MemDisk`] in the
//! simulator and in tests. Records and snapshots are bytes here; what they mean to a tree is the
//! business of [`RecoverySink`] and of the record's encoder.
//!
//! Sources: `storage-format.md`; house.md 11.6.

mod atomic;
mod checksum;
pub mod disk;
mod epoch;
mod error;
mod marker;
pub mod mem_disk;
pub mod names;
mod purge;
mod recover;
mod rewind;
pub mod snapshot;
#[cfg(test)]
mod testing;
pub mod txn_log;

pub use disk::{DirLock, Disk, DiskFile, FileInfo};
pub use epoch::{ACCEPTED_EPOCH, CURRENT_EPOCH, Epochs, read_epoch, write_epoch};
pub use error::{Error, Result};
pub use marker::{clear_unknown, is_created_by_us, is_unknown, mark_unknown};
pub use mem_disk::MemDisk;
pub use names::DataDirs;
pub use purge::{MIN_RETAIN_COUNT, PurgePlan, Purger, plan_purge, purge};
pub use recover::{RecoverOptions, Recovered, RecoveryReport, RecoverySink, recover};
pub use rewind::{drop_beyond, install_snapshot, set_aside, truncate_to};
pub use snapshot::body::{BodyError, BodyParser, SinkError, SnapshotSink};
pub use snapshot::{CompleteSnapshot, Compression, SnapshotMeta, SnapshotWriter};
pub use txn_log::{CommitError, LogReader, LogRecord, LogSummary, TxnLog, TxnLogOptions};
