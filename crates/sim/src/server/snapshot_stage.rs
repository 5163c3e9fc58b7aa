//! The snapshot thread as a scheduled entity: drives the very `SnapshotFile` that ships; afterwards it
//! may purge.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use rookeeper_replica::SnapshotWork;
use rookeeper_replica::durable::SnapshotFile;
use rookeeper_replica::limits::SNAPSHOT_BYTES_QUEUED_MAX;
use rookeeper_storage::{Compression, DataDirs, Disk, plan_purge, purge};

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
    file: SnapshotFile,
    purges: bool,
    queue: VecDeque<SnapshotWork>,
    queued_bytes: usize,
    is_busy: bool,
    pub(crate) done: Vec<SnapshotDone>,
}

impl SnapshotStage {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dirs: DataDirs,
        compression: Compression,
        purges: bool,
    ) -> Self {
        let file = SnapshotFile::new(Arc::clone(&disk), dirs.snap_dir.clone(), compression);
        Self {
            disk,
            dirs,
            file,
            purges,
            queue: VecDeque::new(),
            queued_bytes: 0,
            is_busy: false,
            done: Vec::new(),
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.queued_bytes < SNAPSHOT_BYTES_QUEUED_MAX
    }

    pub(crate) fn put(&mut self, work: SnapshotWork) {
        self.queued_bytes += work.bytes();
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
        self.queued_bytes -= work.bytes();
        let Some(result) = self.file.take(work) else { return false };
        let mut purged = 0;
        if self.purges
            && result.is_ok()
            && let Ok(plan) = plan_purge(&*self.disk, &self.dirs, 3)
            && purge(&*self.disk, &self.dirs, &plan).is_ok()
        {
            purged = plan.snapshots.len() + plan.logs.len();
        }
        self.done.push(SnapshotDone { result, purged });
        true
    }
}
