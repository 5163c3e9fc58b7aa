//! The log thread as a scheduled entity: the same states and the same order of steps as
//! `server::log_thread`, with virtual durations. The disk is touched either when a batch begins or
//! when it ends, so that a crash in between finds it durable but unannounced, or not there at all.

use rookeeper_proto::Zxid;
use rookeeper_replica::LogCommand;
use rookeeper_storage::{CommitError, TxnLog};

/// What the log stage is told.
#[derive(Debug)]
pub(crate) enum LogInput {
    /// Append, or begin a new file.
    Command(LogCommand),
    /// The core has dropped what it prepared since the disk was full.
    Continue,
}

/// What the log stage reports.
#[derive(Debug)]
pub(crate) enum LogEvent {
    /// Everything up to here is durable.
    Durable { zxid: Zxid, records: usize },
    /// There is no room; everything behind `logged` is dropped.
    Full { logged: Zxid },
    /// There is room again.
    Room,
    /// The log must not be used any more.
    Failed(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Full, and the core does not know yet.
    Dropping,
    /// Full, and the core knows.
    Waiting,
}

#[derive(Debug)]
enum Busy {
    Work(Vec<LogInput>),
    /// The disk has been touched; only the announcement is left.
    Announce,
    Prepare,
    LookForRoom,
}

/// How often a full disk is looked at again.
const ROOM_CHECK_US: u64 = 500_000;

/// The stage.
#[derive(Debug)]
pub(crate) struct LogStage {
    log: TxnLog,
    pub(crate) input: Vec<LogInput>,
    busy: Option<Busy>,
    state: State,
    may_prepare: bool,
    unannounced: Vec<LogEvent>,
    /// For the core's next turn.
    pub(crate) events: Vec<LogEvent>,
    has_failed: bool,
    pub(crate) rolls: u64,
}

impl LogStage {
    pub(crate) fn new(log: TxnLog) -> Self {
        Self {
            log,
            input: Vec::new(),
            busy: None,
            state: State::Open,
            may_prepare: true,
            unannounced: Vec::new(),
            events: Vec::new(),
            has_failed: false,
            rolls: 0,
        }
    }

    /// Bytes of the batch that is the next step; 0 if another step is.
    pub(crate) fn batch_bytes(&self) -> usize {
        if self.busy.is_some() || self.has_failed {
            return 0;
        }
        let bytes = |input: &LogInput| match input {
            LogInput::Command(LogCommand::Append { record, .. }) => record.len(),
            _ => 0,
        };
        self.input.iter().map(bytes).sum()
    }

    /// Begins the next step if none is under way; returns how long it takes. `force_us` is the
    /// duration of a batch; `is_early` whether the disk is touched at its beginning.
    pub(crate) fn begin(&mut self, force_us: u64, is_early: bool) -> Option<u64> {
        if self.busy.is_some() || self.has_failed {
            return None;
        }
        if !self.input.is_empty() {
            let batch = std::mem::take(&mut self.input);
            self.may_prepare = true;
            self.busy = Some(if is_early {
                self.work(batch);
                Busy::Announce
            } else {
                Busy::Work(batch)
            });
            return Some(force_us);
        }
        let (busy, us) = match self.state {
            State::Open if self.may_prepare => (Busy::Prepare, force_us / 4 + 1),
            State::Waiting => (Busy::LookForRoom, ROOM_CHECK_US),
            _ => return None,
        };
        self.busy = Some(busy);
        Some(us)
    }

    /// Ends the step; returns whether there is something for the core.
    pub(crate) fn end(&mut self) -> bool {
        match self.busy.take() {
            Some(Busy::Work(batch)) => self.work(batch),
            Some(Busy::Prepare) => {
                // What cannot be allocated ahead is met by the next commit itself.
                self.may_prepare = matches!(self.log.prepare_ahead(), Ok(true));
            }
            Some(Busy::LookForRoom) => match self.log.prepare_ahead() {
                Ok(_) => {
                    self.state = State::Open;
                    self.unannounced.push(LogEvent::Room);
                }
                Err(CommitError::Full { .. }) => {}
                Err(error) => {
                    self.has_failed = true;
                    self.unannounced.push(LogEvent::Failed(error.to_string()));
                }
            },
            Some(Busy::Announce) | None => {}
        }
        self.events.append(&mut self.unannounced);
        !self.events.is_empty()
    }

    /// The server stops: what is queued is made durable and the file is closed.
    pub(crate) fn close(mut self) {
        if let Some(Busy::Work(batch)) = self.busy.take() {
            self.work(batch);
        }
        if !self.has_failed {
            let rest = std::mem::take(&mut self.input);
            self.work(rest);
        }
        if self.has_failed {
            return;
        }
        // As the server does: a log that cannot be closed cleanly is recovered at the next start.
        let _ = self.log.close();
    }

    fn work(&mut self, batch: Vec<LogInput>) {
        if let Err(why) = self.try_work(batch) {
            self.has_failed = true;
            self.unannounced.push(LogEvent::Failed(why));
        }
    }

    fn try_work(&mut self, batch: Vec<LogInput>) -> Result<(), String> {
        let mut records = 0;
        for input in batch {
            match input {
                LogInput::Command(LogCommand::Append { zxid, record }) => {
                    if self.state == State::Open {
                        self.log.append(zxid, &record);
                        records += 1;
                    }
                }
                LogInput::Command(LogCommand::Roll) => {
                    self.commit(&mut records)?;
                    if self.state == State::Open {
                        self.rolls += 1;
                        let rolled = self.log.roll();
                        self.settle(rolled)?;
                    }
                }
                LogInput::Command(other) => {
                    return Err(format!("{other:?} is only for members of an ensemble"));
                }
                LogInput::Continue => {
                    if self.state == State::Dropping {
                        self.state = State::Waiting;
                    }
                }
            }
        }
        self.commit(&mut records)
    }

    fn commit(&mut self, records: &mut usize) -> Result<(), String> {
        let records = std::mem::take(records);
        if records == 0 || self.state != State::Open {
            return Ok(());
        }
        let committed = self.log.commit();
        if let Some(zxid) = self.settle(committed)? {
            self.unannounced.push(LogEvent::Durable { zxid, records });
        }
        Ok(())
    }

    fn settle<T>(&mut self, result: Result<T, CommitError>) -> Result<Option<T>, String> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(CommitError::Full { .. }) => {
                self.state = State::Dropping;
                self.unannounced.push(LogEvent::Full { logged: self.log.durable() });
                Ok(None)
            }
            Err(error) => Err(error.to_string()),
        }
    }
}
