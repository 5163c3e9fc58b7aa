//! Writes the snapshot that the [`crate::snapshotter`] hands out in pieces.
//!
//! A failed snapshot is given up: the log still holds everything, and the next snapshot tries again.
//! (Apache's server stops instead, exit 10; see COMPAT.md.)

use std::path::PathBuf;
use std::sync::Arc;

use rookeeper_proto::txn::{DIGEST_VERSION, TxnDigest};
use rookeeper_storage::{Compression, Disk, SnapshotWriter};

use crate::snapshotter::SnapshotWork;

/// How a snapshot ended: its file, `None` if there was one of this state already, or why there is none.
pub type Ended = Result<Option<PathBuf>, String>;

/// See the module.
#[derive(Debug)]
pub struct SnapshotFile {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    compression: Compression,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    digest: i64,
    /// `None` when the file is there already: the body is taken and dropped.
    writer: Option<SnapshotWriter>,
    failed: Option<String>,
}

impl SnapshotFile {
    /// Writes into `dir`.
    pub fn new(disk: Arc<dyn Disk>, dir: PathBuf, compression: Compression) -> Self {
        Self { disk, dir, compression, current: None }
    }

    /// Takes the next piece; returns how the snapshot ended, if it did.
    pub fn take(&mut self, work: SnapshotWork) -> Option<Ended> {
        match work {
            SnapshotWork::Begin { zxid, digest } => {
                // One that was never ended is of a state that has been replaced.
                self.abort();
                let disk = Arc::clone(&self.disk);
                let created = SnapshotWriter::create(disk, &self.dir, zxid, self.compression);
                let (writer, failed) = match created {
                    Ok(writer) => (writer, None),
                    Err(error) => (None, Some(error.to_string())),
                };
                self.current = Some(Current { digest, writer, failed });
                None
            }
            SnapshotWork::Chunk(bytes) => {
                self.write(&bytes);
                None
            }
            SnapshotWork::End(bytes) => {
                self.write(&bytes);
                self.finish()
            }
            SnapshotWork::GiveUp { why } => {
                self.abort();
                Some(Err(why))
            }
        }
    }

    /// Removes what is not finished.
    pub fn abort(&mut self) {
        if let Some(writer) = self.current.take().and_then(|current| current.writer) {
            writer.abort();
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        let Some(current) = &mut self.current else { return };
        if let Some(writer) = &mut current.writer
            && let Err(error) = writer.write(bytes)
        {
            current.failed = Some(error.to_string());
            if let Some(writer) = current.writer.take() {
                writer.abort();
            }
        }
    }

    fn finish(&mut self) -> Option<Ended> {
        let current = self.current.take()?;
        let digest = TxnDigest { version: DIGEST_VERSION, digest: current.digest };
        Some(match (current.failed, current.writer) {
            (Some(why), _) => Err(why),
            (None, None) => Ok(None),
            (None, Some(writer)) => {
                writer.finish(digest).map(|meta| Some(meta.path)).map_err(|error| error.to_string())
            }
        })
    }
}
