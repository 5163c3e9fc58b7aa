//! The log thread as a scheduled entity: drives the very `LogStage` that ships, with virtual durations.
//! The disk is touched either when a batch begins or when it ends, so that a crash in between finds it
//! durable but unannounced, or not there at all.

use rookeeper_replica::LogCommand;
use rookeeper_replica::durable::{Idle, LogEvent, LogStage};

/// What the log thread is told.
#[derive(Debug)]
pub(crate) enum LogInput {
    /// Append, or begin a new file.
    Command(LogCommand),
    /// The core has dropped what it prepared since the disk was full.
    Continue,
}

#[derive(Debug)]
enum Busy {
    Work(Vec<LogInput>),
    /// The disk has been touched; only the announcement is left.
    Announce,
    Idle,
}

/// How often a full disk is looked at again.
const ROOM_CHECK_US: u64 = 500_000;

/// The thread.
#[derive(Debug)]
pub(crate) struct LogThread {
    stage: LogStage,
    pub(crate) input: Vec<LogInput>,
    busy: Option<Busy>,
    unannounced: Vec<LogEvent>,
    /// For the core's next turn.
    pub(crate) events: Vec<LogEvent>,
    has_failed: bool,
}

impl LogThread {
    pub(crate) fn new(stage: LogStage) -> Self {
        Self {
            stage,
            input: Vec::new(),
            busy: None,
            unannounced: Vec::new(),
            events: Vec::new(),
            has_failed: false,
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
            self.busy = Some(if is_early {
                self.work(batch);
                Busy::Announce
            } else {
                Busy::Work(batch)
            });
            return Some(force_us);
        }
        let us = match self.stage.idle() {
            Idle::PrepareAhead => force_us / 4 + 1,
            Idle::LookForRoom => ROOM_CHECK_US,
            Idle::Wait => return None,
        };
        self.busy = Some(Busy::Idle);
        Some(us)
    }

    /// Ends the step; returns whether there is something for the core.
    pub(crate) fn end(&mut self) -> bool {
        match self.busy.take() {
            Some(Busy::Work(batch)) => self.work(batch),
            Some(Busy::Idle) => {
                let done = self.stage.do_idle(&mut |event| self.unannounced.push(event));
                self.settle(done);
            }
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
        let _ = self.stage.close();
    }

    fn work(&mut self, batch: Vec<LogInput>) {
        let done = self.try_work(batch);
        self.settle(done);
    }

    fn try_work(&mut self, batch: Vec<LogInput>) -> Result<(), String> {
        let Self { stage, unannounced, .. } = self;
        let mut report = |event| unannounced.push(event);
        for input in batch {
            match input {
                LogInput::Command(command) => stage.take(command, &mut report)?,
                LogInput::Continue => stage.go_on(),
            }
        }
        stage.commit(&mut report)
    }

    fn settle(&mut self, done: Result<(), String>) {
        if let Err(why) = done {
            self.has_failed = true;
            self.unannounced.push(LogEvent::Failed(why));
        }
    }
}
