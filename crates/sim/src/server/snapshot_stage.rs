//! The snapshot thread as a scheduled entity, as `server::snapshot_thread`; afterwards it may purge.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use rookeeper_proto::txn::{DIGEST_VERSION, TxnDigest};
use rookeeper_replica::SnapshotWork;
use rookeeper_replica::limits::SNAPSHOT_BYTES_QUEUED_MAX;
use rookeeper_storage::{Compression, DataDirs, Disk, SnapshotWriter, plan_purge, purge};

/// A snapshot ended.
#[derive(Debug)]
pub(crate) struct SnapshotDone {
    /// The file, `None` if there was one already, or why there is none.
    pub(crate) result: Result<Option<PathBuf>, String>,
    /// Files purged behind it.
    pub(crate) purged: usize,
}

/// The stage.
#[derive(Debug)]
pub(crate) struct SnapshotStage {
    disk: Arc<dyn Disk>,
    dirs: DataDirs,
    compression: Compression,
    purges: bool,
    queue: VecDeque<SnapshotWork>,
    queued_bytes: usize,
    is_busy: bool,
    current: Option<Current>,
    pub(crate) done: Vec<SnapshotDone>,
}

#[derive(Debug)]
struct Current {
    digest: i64,
    writer: Option<SnapshotWriter>,
    failed: Option<String>,
}

fn size_of(work: &SnapshotWork) -> usize {
    match work {
        SnapshotWork::Chunk(bytes) | SnapshotWork::End(bytes) => bytes.len(),
        SnapshotWork::Begin { .. } => 0,
    }
}

impl SnapshotStage {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dirs: DataDirs,
        compression: Compression,
        purges: bool,
    ) -> Self {
        Self {
            disk,
            dirs,
            compression,
            purges,
            queue: VecDeque::new(),
            queued_bytes: 0,
            is_busy: false,
            current: None,
            done: Vec::new(),
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.queued_bytes < SNAPSHOT_BYTES_QUEUED_MAX
    }

    pub(crate) fn put(&mut self, work: SnapshotWork) {
        self.queued_bytes += size_of(&work);
        self.queue.push_back(work);
    }

    /// Begins the next piece if none is under way.
    pub(crate) fn begin(&mut self) -> bool {
        let begins = !self.is_busy && !self.queue.is_empty();
        self.is_busy |= begins;
        begins
    }

    /// Ends the piece under way; returns whether there is something for the core.
    pub(crate) fn end(&mut self) -> bool {
        self.is_busy = false;
        let Some(work) = self.queue.pop_front() else { return false };
        self.queued_bytes -= size_of(&work);
        match work {
            SnapshotWork::Begin { zxid, digest } => {
                let disk = Arc::clone(&self.disk);
                let dir = &self.dirs.snap_dir;
                let (writer, failed) =
                    match SnapshotWriter::create(disk, dir, zxid, self.compression) {
                        Ok(writer) => (writer, None),
                        Err(error) => (None, Some(error.to_string())),
                    };
                self.current = Some(Current { digest, writer, failed });
            }
            SnapshotWork::Chunk(bytes) => self.write(&bytes),
            SnapshotWork::End(bytes) => {
                self.write(&bytes);
                self.finish();
                return true;
            }
        }
        false
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

    fn finish(&mut self) {
        let Some(current) = self.current.take() else { return };
        let digest = TxnDigest { version: DIGEST_VERSION, digest: current.digest };
        let result = match (current.failed, current.writer) {
            (Some(why), _) => Err(why),
            (None, None) => Ok(None),
            (None, Some(writer)) => {
                writer.finish(digest).map(|meta| Some(meta.path)).map_err(|error| error.to_string())
            }
        };
        let mut purged = 0;
        if self.purges
            && result.is_ok()
            && let Ok(plan) = plan_purge(&*self.disk, &self.dirs, 3)
            && purge(&*self.disk, &self.dirs, &plan).is_ok()
        {
            purged = plan.snapshots.len() + plan.logs.len();
        }
        self.done.push(SnapshotDone { result, purged });
    }
}
