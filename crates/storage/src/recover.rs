//! skeleton
use crate::disk::Disk;
use crate::error::Result;
use crate::names::DataDirs;
use crate::snapshot::SnapshotMeta;
use crate::snapshot::body::{SinkError, SnapshotSink};
use rookeeper_proto::Zxid;

/// What takes a data directory's contents.
pub trait RecoverySink: SnapshotSink {
    /// The snapshot is complete; records follow.
    fn snapshot_loaded(&mut self, meta: &SnapshotMeta) -> std::result::Result<(), SinkError>;
    /// The next record: header, txn, digest. An error refuses the start, naming file and offset.
    fn record(&mut self, zxid: Zxid, payload: &[u8]) -> std::result::Result<(), SinkError>;
}

/// Switches of recovery.
#[derive(Debug, Clone)]
pub struct RecoverOptions {
    /// `zookeeper.db.autocreate`.
    pub db_autocreate: bool,
    /// `zookeeper.snapshot.trust.empty`.
    pub trust_empty: bool,
    /// `zookeeper.datadir.autocreate`.
    pub datadir_autocreate: bool,
    /// Longest record or snapshot field that is read.
    pub max_record_bytes: usize,
    /// Whether this server keeps epoch files (a member of an ensemble).
    pub epochs: bool,
    /// Whether to repair; a tool that only looks says no.
    pub repair: bool,
}

impl Default for RecoverOptions {
    fn default() -> Self {
        Self {
            db_autocreate: true,
            trust_empty: false,
            datadir_autocreate: true,
            max_record_bytes: 64 << 20,
            epochs: false,
            repair: true,
        }
    }
}

/// `currentEpoch` and `acceptedEpoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epochs {
    /// The epoch of the leader followed last.
    pub current: i64,
    /// The newest epoch promised.
    pub accepted: i64,
}

/// Everything an operator should know about a start, one sentence each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Ordinary facts.
    pub notes: Vec<String>,
    /// Things dropped, repaired or doubtful.
    pub warnings: Vec<String>,
}

/// What was found.
#[derive(Debug)]
pub struct Recovered {
    /// The last txn held; `Zxid::UNKNOWN` if the server may not vote.
    pub last_zxid: Zxid,
    /// The snapshot it began from.
    pub snapshot: Option<SnapshotMeta>,
    /// Records replayed.
    pub records: u64,
    /// Whether the directory was empty and has been initialised now.
    pub is_new: bool,
    /// The epoch files, if asked for.
    pub epochs: Option<Epochs>,
    /// What to tell the operator.
    pub report: RecoveryReport,
}

/// Opens a data directory: loads the newest usable snapshot, replays the log, repairs a torn tail.
pub fn recover(
    disk: &dyn Disk,
    dirs: &DataDirs,
    options: &RecoverOptions,
    sink: &mut dyn RecoverySink,
) -> Result<Recovered> {
    let _ = (disk, dirs, options, sink);
    unimplemented!()
}
