//! The snapshot thread: compresses, writes, forces and renames what the core thread serialises, then
//! purges what is no longer needed.
//!
//! A failed snapshot is logged and dropped: the log still holds everything, and the next snapshot
//! tries again. (Apache's server stops instead, exit 10; see COMPAT.md.)

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use rookeeper_net::Waker;
use rookeeper_proto::txn::{DIGEST_VERSION, TxnDigest};
use rookeeper_replica::SnapshotWork;
use rookeeper_replica::limits::SNAPSHOT_BYTES_QUEUED_MAX;
use rookeeper_storage::{Compression, Disk, SnapshotWriter};

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
        self.queued_bytes.fetch_add(size_of(&work), Ordering::Relaxed);
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

fn size_of(work: &SnapshotWork) -> usize {
    match work {
        SnapshotWork::Chunk(bytes) | SnapshotWork::End(bytes) => bytes.len(),
        SnapshotWork::Begin { .. } => 0,
    }
}

/// Starts the thread.
pub(crate) fn start(
    plan: SnapshotPlan,
    mail: Arc<SnapshotMail>,
    waker: Waker,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("rookeeper-snap".to_owned())
        .spawn(move || SnapshotThread { plan, mail, waker, current: None }.run())
}

struct SnapshotThread {
    plan: SnapshotPlan,
    mail: Arc<SnapshotMail>,
    waker: Waker,
    current: Option<Current>,
}

struct Current {
    started: Instant,
    digest: i64,
    /// `None` when the file is there already: the body is taken and dropped.
    writer: Option<SnapshotWriter>,
    failed: Option<String>,
}

impl SnapshotThread {
    fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            let limit = self.plan.retention.wait(Instant::now());
            self.mail.work.wait_all(&mut batch, limit);
            if batch.is_empty() {
                self.plan.retention.on_time(Instant::now());
                continue;
            }
            for work in batch.drain(..) {
                let Some(work) = work else {
                    if let Some(writer) = self.current.take().and_then(|current| current.writer) {
                        writer.abort();
                    }
                    return;
                };
                let bytes = size_of(&work);
                self.take(work);
                let before = self.mail.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
                if SNAPSHOT_BYTES_QUEUED_MAX <= before && self.mail.has_room() {
                    self.waker.wake();
                }
            }
        }
    }

    fn take(&mut self, work: SnapshotWork) {
        match work {
            SnapshotWork::Begin { zxid, digest } => {
                // One that was never ended is of a state that has been replaced.
                if let Some(writer) = self.current.take().and_then(|current| current.writer) {
                    writer.abort();
                }
                let disk = Arc::clone(&self.plan.disk);
                let created =
                    SnapshotWriter::create(disk, &self.plan.dir, zxid, self.plan.compression);
                let (writer, failed) = match created {
                    Ok(writer) => (writer, None),
                    Err(error) => (None, Some(error.to_string())),
                };
                self.current = Some(Current { started: Instant::now(), digest, writer, failed });
            }
            SnapshotWork::Chunk(bytes) => self.write(&bytes),
            SnapshotWork::End(bytes) => {
                self.write(&bytes);
                self.finish();
            }
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
        let millis = u64::try_from(current.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let is_new = matches!(result, Ok(Some(_)));
        self.mail.done.put(SnapshotDone { millis, result });
        self.waker.wake();
        if is_new {
            self.plan.retention.on_snapshot();
        }
    }
}
