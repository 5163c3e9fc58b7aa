//! Transaction log, snapshots, epoch files, recovery and purge in Apache's format over a disk seam.

pub mod disk;
mod error;
pub mod mem_disk;
pub mod names;
pub mod recover;
pub mod snapshot;
pub mod txn_log;

pub use disk::{DirLock, Disk, DiskFile, FileInfo};
pub use error::{Error, Result};
pub use mem_disk::MemDisk;
pub use names::DataDirs;
pub use recover::{Epochs, RecoverOptions, Recovered, RecoveryReport, RecoverySink, recover};
pub use snapshot::body::{SinkError, SnapshotSink};
pub use snapshot::{Compression, SnapshotMeta, SnapshotWriter};
pub use txn_log::{CommitError, TxnLog, TxnLogOptions};
