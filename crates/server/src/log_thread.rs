//! The log thread: drives [`LogStage`], one batch per force; what arrives while a force runs is the
//! next batch. No timer decides when to force.
//!
//! When the stage fails the thread reports and ends, and the server stops.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rookeeper_net::Waker;
use rookeeper_proto::Zxid;
use rookeeper_replica::LogCommand;
use rookeeper_replica::durable::{Idle, LogEvent, LogPlan, LogStage};

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
pub(crate) struct LogReport {
    /// What happened.
    pub(crate) event: LogEvent,
    /// How long the first record of the batch had waited.
    pub(crate) queued: Duration,
    /// How long the batch has taken so far.
    pub(crate) took: Duration,
}

/// How often a full disk is looked at again.
const ROOM_CHECK: Duration = Duration::from_millis(500);

/// Both ends of the conversation with the log thread.
#[derive(Debug, Default)]
pub(crate) struct LogMail {
    pub(crate) input: Mailbox<LogInput>,
    pub(crate) reports: Mailbox<LogReport>,
}

/// Starts the thread.
pub(crate) fn start(
    plan: LogPlan,
    last: Zxid,
    mail: Arc<LogMail>,
    waker: Waker,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("rookeeper-log".to_owned()).spawn(move || {
        let post = Post { mail, waker, started: Instant::now(), handed: None };
        let _alarm = Alarm { mail: Arc::clone(&post.mail), waker: post.waker.clone() };
        LogThread { stage: LogStage::new(plan, last), post }.run();
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
            let event = LogEvent::Failed("the log thread panicked".to_owned());
            let (queued, took) = Default::default();
            self.mail.reports.put(LogReport { event, queued, took });
            self.waker.wake();
        }
    }
}

struct LogThread {
    stage: LogStage,
    post: Post,
}

/// The way to the core.
struct Post {
    mail: Arc<LogMail>,
    waker: Waker,
    /// When the present batch began.
    started: Instant,
    /// When the first command not committed yet was handed over.
    handed: Option<Instant>,
}

impl Post {
    fn report(&mut self, event: LogEvent) {
        match event {
            LogEvent::Note { is_warning: true, text } => return tracing::warn!("{text}"),
            LogEvent::Note { is_warning: false, text } => return tracing::info!("{text}"),
            _ => {}
        }
        let mut queued = Duration::ZERO;
        if let LogEvent::Durable { .. } = event {
            let handed = self.handed.take().unwrap_or(self.started);
            queued = self.started.saturating_duration_since(handed);
        }
        let took = self.started.elapsed();
        self.mail.reports.put(LogReport { event, queued, took });
        self.waker.wake();
    }
}

impl LogThread {
    fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            let limit = match self.stage.idle() {
                Idle::PrepareAhead => Some(Duration::ZERO),
                Idle::LookForRoom => Some(ROOM_CHECK),
                Idle::Wait => None,
            };
            self.post.mail.input.wait_all(&mut batch, limit);
            let worked = if batch.is_empty() {
                self.stage.do_idle(&mut |event| self.post.report(event)).map(|()| true)
            } else {
                self.work(&mut batch)
            };
            match worked {
                Ok(true) => {}
                Ok(false) => break,
                Err(why) => return self.post.report(LogEvent::Failed(why)),
            }
        }
        if let Err(error) = self.stage.close() {
            tracing::error!(%error, "the transaction log could not be closed cleanly");
        }
    }

    /// Works off a batch. False after a stop.
    fn work(&mut self, batch: &mut Vec<LogInput>) -> Result<bool, String> {
        let Self { stage, post } = self;
        let mut go_on = true;
        post.started = Instant::now();
        for input in batch.drain(..) {
            match input {
                LogInput::Command(command) => {
                    stage.take(command, &mut |event| post.report(event))?;
                }
                LogInput::Handed(at) => post.handed = post.handed.or(Some(at)),
                LogInput::Continue => stage.go_on(),
                LogInput::Stop => go_on = false,
            }
        }
        stage.commit(&mut |event| post.report(event))?;
        Ok(go_on)
    }
}

#[cfg(test)]
mod tests;
