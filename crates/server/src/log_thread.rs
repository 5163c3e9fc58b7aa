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
use rookeeper_replica::LogCommand;
use rookeeper_storage::{CommitError, TxnLog};

use crate::mailbox::Mailbox;

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

/// Starts the thread.
pub(crate) fn start(
    log: TxnLog,
    mail: Arc<LogMail>,
    waker: Waker,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("rookeeper-log".to_owned())
        .spawn(move || LogThread { log, mail, waker, state: State::Open, handed: None }.run())
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
                    State::Waiting => self.look_for_room(),
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

    fn look_for_room(&mut self) {
        if self.log.prepare_ahead().is_ok() {
            self.state = State::Open;
            self.report(LogEvent::Room);
        }
    }

    fn report(&self, event: LogEvent) {
        self.mail.events.put(event);
        self.waker.wake();
    }
}
