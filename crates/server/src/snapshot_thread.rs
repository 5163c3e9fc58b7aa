//! The snapshot thread: compresses, writes, forces and renames what the core thread serialises, then
//! purges what is no longer needed.
//!
//! What a piece means is [`SnapshotFile`]'s; a failed snapshot is logged and dropped.
//!
//! The thread runs at a lower priority than the others: a snapshot has time, clients have not. What it
//! does not get done in time waits in the core thread, which serialises no more meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use rookeeper_net::Waker;
use rookeeper_replica::SnapshotWork;
use rookeeper_replica::durable::SnapshotFile;
use rookeeper_replica::limits::SNAPSHOT_BYTES_QUEUED_MAX;
use rookeeper_storage::{Compression, Disk};

use crate::mailbox::Mailbox;
use crate::retention::Retention;

/// Where and how snapshots are written.
#[derive(Debug)]
pub(crate) struct SnapshotPlan {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) compression: Compression,
    pub(crate) retention: Retention,
}

/// The conversation with the snapshot thread.
#[derive(Debug, Default)]
pub(crate) struct SnapshotMail {
    work: Mailbox<Option<SnapshotWork>>,
    queued_bytes: AtomicUsize,
    done: Mailbox<SnapshotDone>,
}

/// A snapshot ended.
#[derive(Debug)]
pub(crate) struct SnapshotDone {
    /// How long it took from its first byte, in milliseconds.
    pub(crate) millis: u64,
    /// The file, or why there is none.
    pub(crate) result: Result<Option<PathBuf>, String>,
}

impl SnapshotMail {
    /// Whether the writer keeps up; if not, the core serialises no further slice.
    pub(crate) fn has_room(&self) -> bool {
        self.queued_bytes.load(Ordering::Relaxed) < SNAPSHOT_BYTES_QUEUED_MAX
    }

    /// Hands over a piece.
    pub(crate) fn put(&self, work: SnapshotWork) {
        self.queued_bytes.fetch_add(work.bytes(), Ordering::Relaxed);
        self.work.put(Some(work));
    }

    /// Ends the thread after what is queued.
    pub(crate) fn stop(&self) {
        self.work.put(None);
    }

    /// Takes what has ended.
    pub(crate) fn take_done(&self, out: &mut Vec<SnapshotDone>) {
        self.done.take_all(out);
    }
}

/// Added to the niceness of the process: about a tenth of a processor that others want as well.
const NICENESS: i32 = 10;

/// Starts the thread.
pub(crate) fn start(
    plan: SnapshotPlan,
    mail: Arc<SnapshotMail>,
    waker: Waker,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("rookeeper-snap".to_owned()).spawn(move || {
        // On Linux of this thread alone, elsewhere of the process. A refusal changes nothing.
        if cfg!(target_os = "linux") {
            let _ = rustix::process::nice(NICENESS);
        }
        let file = SnapshotFile::new(plan.disk, plan.dir, plan.compression);
        let started = Instant::now();
        SnapshotThread { file, retention: plan.retention, mail, waker, started }.run();
    })
}

struct SnapshotThread {
    file: SnapshotFile,
    retention: Retention,
    mail: Arc<SnapshotMail>,
    waker: Waker,
    /// When the present snapshot began.
    started: Instant,
}

impl SnapshotThread {
    fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            let limit = self.retention.wait(Instant::now());
            self.mail.work.wait(limit);
            self.mail.work.take_all(&mut batch);
            if batch.is_empty() {
                self.retention.on_time(Instant::now());
                continue;
            }
            for work in batch.drain(..) {
                let Some(work) = work else { return self.file.abort() };
                let bytes = work.bytes();
                self.take(work);
                let before = self.mail.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
                if SNAPSHOT_BYTES_QUEUED_MAX <= before && self.mail.has_room() {
                    self.waker.wake();
                }
            }
        }
    }

    fn take(&mut self, work: SnapshotWork) {
        if let SnapshotWork::Begin { .. } = work {
            self.started = Instant::now();
        }
        let Some(result) = self.file.take(work) else { return };
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let is_new = matches!(result, Ok(Some(_)));
        self.mail.done.put(SnapshotDone { millis, result });
        self.waker.wake();
        if is_new {
            self.retention.on_snapshot();
        }
    }
}
