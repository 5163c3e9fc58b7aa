//! skeleton
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rookeeper_proto::Zxid;

use crate::disk::Disk;

/// How the log is written.
#[derive(Debug, Clone)]
pub struct TxnLogOptions {
    /// `preAllocSize`: how far ahead space is zero-filled; 0 turns it off.
    pub pre_alloc_bytes: u64,
    /// Zero-filled at a time.
    pub fill_chunk_bytes: u64,
    /// `forceSync`: whether a commit forces the disk.
    pub force_sync: bool,
    /// `txnLogSizeLimitInKb`: after a commit a file with more bytes of records is rolled.
    pub size_limit_bytes: Option<u64>,
}

impl Default for TxnLogOptions {
    fn default() -> Self {
        Self {
            pre_alloc_bytes: 64 << 20,
            fill_chunk_bytes: 4 << 20,
            force_sync: true,
            size_limit_bytes: None,
        }
    }
}

/// Why a batch did not become durable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// No room. The whole batch is dropped and the log is as before it; committing may be tried
    /// again with the same zxids when there is room.
    #[error("no room for the transaction log in {}: {source}", dir.display())]
    Full {
        /// The log directory.
        dir: PathBuf,
        /// The disk's answer.
        source: io::Error,
    },
    /// Nothing but a record's own bytes could be wrong: the file could not be created or found in a
    /// state it must not be in. The batch is dropped.
    #[error(transparent)]
    Other(#[from] crate::Error),
    /// A record could not be written or forced: nobody knows what is on disk. The server must stop.
    #[error("the transaction log {} failed and must not be used any more: {why}", file.display())]
    Poisoned {
        /// The file.
        file: PathBuf,
        /// The first failure.
        why: String,
    },
}

/// The log's writer, owned by the log thread.
#[derive(Debug)]
pub struct TxnLog {
    _disk: Arc<dyn Disk>,
}

impl TxnLog {
    /// A log that continues behind `last` (what recovery returned). Touches no disk.
    pub fn new(disk: Arc<dyn Disk>, dir: PathBuf, options: TxnLogOptions, last: Zxid) -> Self {
        let _ = (dir, options, last);
        Self { _disk: disk }
    }
    /// Buffers one record. Panics if `zxid` does not follow the last one.
    pub fn append(&mut self, zxid: Zxid, payload: &[u8]) {
        let _ = (zxid, payload);
        unimplemented!()
    }
    /// Writes what was appended and forces it; returns the last durable zxid.
    pub fn commit(&mut self) -> Result<Zxid, CommitError> {
        unimplemented!()
    }
    /// Drops what was appended since the last commit.
    pub fn discard(&mut self) {
        unimplemented!()
    }
    /// Does one bounded step of allocation ahead; returns whether there is more to do.
    pub fn prepare_ahead(&mut self) -> Result<bool, CommitError> {
        unimplemented!()
    }
    /// Ends the current file: the next commit starts a new one. Everything must be committed.
    pub fn roll(&mut self) -> Result<(), CommitError> {
        unimplemented!()
    }
    /// The last zxid that is durable.
    pub fn durable(&self) -> Zxid {
        unimplemented!()
    }
    /// The last zxid appended.
    pub fn appended(&self) -> Zxid {
        unimplemented!()
    }
    /// Bytes buffered.
    pub fn pending_bytes(&self) -> usize {
        unimplemented!()
    }
    /// Records and their bytes since the last roll (for the snapshot trigger).
    pub fn since_roll(&self) -> (u64, u64) {
        unimplemented!()
    }
    /// Ends the current file and gives up the writer.
    pub fn close(self) -> Result<(), CommitError> {
        unimplemented!()
    }
}
