//! The log thread: appends and forces, one batch per force; what arrives while a force runs is the
//! next batch. No timer decides when to force.
//!
//! A full disk is met while space is allocated, before a record is written: the batch is dropped, the
//! core is told, and nothing is accepted until the core has dropped what it prepared meanwhile.
//! After a failed write or force of a record the thread reports and ends: nobody knows what is on
//! the disk then, and a second force of the same file could lie.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rookeeper_net::Waker;
use rookeeper_proto::Zxid;
use rookeeper_proto::txn::{DIGEST_VERSION, TxnDigest};
use rookeeper_replica::{EpochFile, Installation, LogCommand};
use rookeeper_storage::{
    CommitError, Compression, DataDirs, Disk, SnapshotWriter, TxnLog, TxnLogOptions,
};
use rookeeper_tree::DataTree;

use crate::mailbox::Mailbox;
use crate::recovery::Recovery;

/// What the log thread is told.
#[derive(Debug)]
pub(crate) enum LogInput {
    /// Append, or begin a new file.
    Command(LogCommand),
    /// When the commands behind this were handed over, for the figures.
    Handed(Instant),
    /// The core knows that the disk was full and has dropped what it prepared since.
    Continue,
    /// Commit what is there and end.
    Stop,
}

/// What the log thread reports.
#[derive(Debug)]
pub(crate) enum LogEvent {
    /// Everything up to here is durable.
    Durable {
        /// The last durable txn.
        zxid: Zxid,
        /// How long the first record of the batch had waited.
        queued: Duration,
        /// How long the write and the force took.
        took: Duration,
        /// Records in the batch.
        records: usize,
    },
    /// There is no room; everything behind `logged` is dropped.
    Full {
        /// The last txn the log holds.
        logged: Zxid,
        /// The disk's words.
        why: String,
    },
    /// There is room again.
    Room,
    /// An epoch file is written.
    EpochWritten {
        /// Which.
        file: EpochFile,
        /// Its content.
        epoch: u32,
    },
    /// The log is cut; or could not be, and nothing was changed.
    Truncated {
        /// Whether it is.
        is_done: bool,
        /// The tree as the directory holds it now, if that was asked for.
        reloaded: Option<Box<DataTree>>,
    },
    /// A received state is durable.
    Installed,
    /// Everything is set aside.
    SetAside,
    /// The log must not be used any more; the server has to stop.
    Failed(String),
}

/// How often a full disk is looked at again.
const ROOM_CHECK: Duration = Duration::from_millis(500);

/// Both ends of the conversation with the log thread.
#[derive(Debug, Default)]
pub(crate) struct LogMail {
    pub(crate) input: Mailbox<LogInput>,
    pub(crate) events: Mailbox<LogEvent>,
}

/// Where and how the log is kept.
#[derive(Debug, Clone)]
pub(crate) struct LogPlan {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dirs: DataDirs,
    pub(crate) options: TxnLogOptions,
    pub(crate) compression: Compression,
    pub(crate) recovery: Recovery,
}

impl LogPlan {
    /// A log that continues behind `last`.
    fn open(&self, last: Zxid) -> TxnLog {
        let dir = self.dirs.log_dir.clone();
        TxnLog::new(Arc::clone(&self.disk), dir, self.options.clone(), last)
    }
}

/// Starts the thread.
pub(crate) fn start(
    plan: LogPlan,
    last: Zxid,
    mail: Arc<LogMail>,
    waker: Waker,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("rookeeper-log".to_owned()).spawn(move || {
        let _alarm = Alarm { mail: Arc::clone(&mail), waker: waker.clone() };
        LogThread { log: plan.open(last), plan, mail, waker, state: State::Open, handed: None }
            .run();
    })
}

/// Tells the core when the thread ends by a panic: without a log no write would ever be answered.
struct Alarm {
    mail: Arc<LogMail>,
    waker: Waker,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.mail.events.put(LogEvent::Failed("the log thread panicked".to_owned()));
            self.waker.wake();
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Full, and the core does not know yet: whatever comes is dropped.
    Dropping,
    /// Full, and the core knows: looking for room.
    Waiting,
}

struct LogThread {
    plan: LogPlan,
    log: TxnLog,
    mail: Arc<LogMail>,
    waker: Waker,
    state: State,
    /// When the first command not committed yet was handed over.
    handed: Option<Instant>,
}

impl LogThread {
    fn run(mut self) {
        let mut batch = Vec::new();
        let mut may_prepare = true;
        loop {
            let limit = match self.state {
                State::Open if may_prepare => Some(Duration::ZERO),
                State::Waiting => Some(ROOM_CHECK),
                _ => None,
            };
            self.mail.input.wait_all(&mut batch, limit);
            if batch.is_empty() {
                match self.state {
                    State::Waiting => {
                        if let Err(why) = self.look_for_room() {
                            return self.report(LogEvent::Failed(why));
                        }
                    }
                    // Allocation ahead failed or is done: the next commit meets a full disk itself.
                    _ => may_prepare = matches!(self.log.prepare_ahead(), Ok(true)),
                }
                continue;
            }
            may_prepare = true;
            match self.work(&mut batch) {
                Ok(true) => {}
                Ok(false) => break,
                Err(why) => return self.report(LogEvent::Failed(why)),
            }
        }
        if let Err(error) = self.log.close() {
            tracing::error!(%error, "the transaction log could not be closed cleanly");
        }
    }

    /// Works off a batch. False after a stop.
    fn work(&mut self, batch: &mut Vec<LogInput>) -> Result<bool, String> {
        let mut records = 0;
        let mut go_on = true;
        let started = Instant::now();
        for input in batch.drain(..) {
            match input {
                LogInput::Command(LogCommand::Append { zxid, record }) => {
                    if self.state == State::Open {
                        self.log.append(zxid, &record);
                        records += 1;
                    }
                }
                LogInput::Command(LogCommand::Roll) => {
                    self.commit(&mut records, started)?;
                    if self.state == State::Open {
                        let rolled = self.log.roll();
                        self.settle(rolled)?;
                    }
                }
                LogInput::Command(command) => {
                    self.commit(&mut records, started)?;
                    if self.state == State::Open {
                        let event = self.change_state(command)?;
                        self.report(event);
                    }
                }
                LogInput::Handed(at) => self.handed = self.handed.or(Some(at)),
                LogInput::Continue => {
                    if self.state == State::Dropping {
                        self.state = State::Waiting;
                    }
                }
                LogInput::Stop => go_on = false,
            }
        }
        self.commit(&mut records, started)?;
        Ok(go_on)
    }

    /// What only a member of an ensemble asks for. The log is closed around what rewrites it.
    fn change_state(&mut self, command: LogCommand) -> Result<LogEvent, String> {
        match command {
            LogCommand::WriteEpoch { file, epoch } => {
                self.write_epoch(file, epoch)?;
                Ok(LogEvent::EpochWritten { file, epoch })
            }
            LogCommand::Truncate { to, reload } => self.truncate(to, reload),
            LogCommand::Install(installation) => self.install(&installation),
            LogCommand::SetAside { reason } => {
                tracing::error!("setting this server's data aside: {reason}");
                self.close_log()?;
                let moved = rookeeper_storage::set_aside(&*self.plan.disk, &self.plan.dirs)
                    .map_err(|error| error.to_string())?;
                for file in moved {
                    tracing::warn!("kept as {}", file.display());
                }
                Ok(LogEvent::SetAside)
            }
            LogCommand::Append { .. } | LogCommand::Roll => {
                unreachable!("handled where batches are gathered")
            }
        }
    }

    fn write_epoch(&self, file: EpochFile, epoch: u32) -> Result<(), String> {
        let name = match file {
            EpochFile::Accepted => rookeeper_storage::ACCEPTED_EPOCH,
            EpochFile::Current => rookeeper_storage::CURRENT_EPOCH,
        };
        rookeeper_storage::write_epoch(
            &*self.plan.disk,
            &self.plan.dirs.snap_dir,
            name,
            i64::from(epoch),
        )
        .map_err(|error| error.to_string())
    }

    /// Ends the present file; the next record begins another, wherever the log then ends.
    fn close_log(&mut self) -> Result<(), String> {
        let next = self.plan.open(self.log.durable());
        std::mem::replace(&mut self.log, next).close().map_err(|error| error.to_string())
    }

    fn truncate(&mut self, to: Zxid, reload: bool) -> Result<LogEvent, String> {
        self.close_log()?;
        let (disk, dirs) = (&*self.plan.disk, &self.plan.dirs);
        let max = self.plan.recovery.storage.max_record_bytes;
        match rookeeper_storage::truncate_to(disk, dirs, to, max) {
            Ok(()) => {}
            Err(error @ rookeeper_storage::Error::Refused { .. }) => {
                tracing::warn!("{error}");
                return Ok(LogEvent::Truncated { is_done: false, reloaded: None });
            }
            Err(error) => return Err(error.to_string()),
        }
        self.log = self.plan.open(to);
        let reloaded = if reload {
            let recovered = crate::recovery::recover(disk, dirs, &self.plan.recovery)?;
            let last = recovered.tree.last_zxid();
            if last != to {
                return Err(format!("after a truncation to {to} the directory ends with {last}"));
            }
            Some(Box::new(recovered.tree))
        } else {
            None
        };
        Ok(LogEvent::Truncated { is_done: true, reloaded })
    }

    fn install(&mut self, installation: &Installation) -> Result<LogEvent, String> {
        self.close_log()?;
        let (disk, dirs) = (&self.plan.disk, &self.plan.dirs);
        let max = self.plan.recovery.storage.max_record_bytes;
        let said = |error: rookeeper_storage::Error| error.to_string();
        let writer = SnapshotWriter::create(
            Arc::clone(disk),
            &dirs.snap_dir,
            installation.zxid,
            self.plan.compression,
        );
        match writer.map_err(said)? {
            Some(mut writer) => {
                writer.write(&installation.body).map_err(said)?;
                let digest = TxnDigest { version: DIGEST_VERSION, digest: installation.digest };
                rookeeper_storage::install_snapshot(&**disk, dirs, writer, digest, max)
                    .map_err(said)?;
            }
            None => {
                // The same state is there already; only what is beyond it must go.
                rookeeper_storage::drop_beyond(&**disk, dirs, installation.zxid, max)
                    .map_err(said)?;
                rookeeper_storage::clear_unknown(&**disk, dirs).map_err(said)?;
            }
        }
        self.write_epoch(EpochFile::Current, installation.current_epoch)?;
        self.log = self.plan.open(installation.zxid);
        Ok(LogEvent::Installed)
    }

    fn commit(&mut self, records: &mut usize, started: Instant) -> Result<(), String> {
        let records = std::mem::take(records);
        if records == 0 || self.state != State::Open {
            return Ok(());
        }
        let handed = self.handed.take().unwrap_or(started);
        let committed = self.log.commit();
        if let Some(zxid) = self.settle(committed)? {
            let queued = started.saturating_duration_since(handed);
            self.report(LogEvent::Durable { zxid, queued, took: started.elapsed(), records });
        }
        Ok(())
    }

    /// Tells a full disk from the rest.
    fn settle<T>(&mut self, result: Result<T, CommitError>) -> Result<Option<T>, String> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error @ CommitError::Full { .. }) => {
                self.state = State::Dropping;
                let event = LogEvent::Full { logged: self.log.durable(), why: error.to_string() };
                self.report(event);
                Ok(None)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Room, still none, or (an error) a log that failed otherwise and will never take a record again.
    fn look_for_room(&mut self) -> Result<(), String> {
        match self.log.prepare_ahead() {
            Ok(_) => {
                self.state = State::Open;
                self.report(LogEvent::Room);
                Ok(())
            }
            Err(CommitError::Full { .. }) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn report(&self, event: LogEvent) {
        self.mail.events.put(event);
        self.waker.wake();
    }
}

#[cfg(test)]
mod tests;
