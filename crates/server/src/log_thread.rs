//! The log thread: drives [`LogStage`], one batch per force; what arrives while a force runs is the
//! next batch. No timer decides when to force.
//!
//! The core thread may work off a batch itself while the log is free ([`LogMail::work_here`]): a lone
//! write then pays for no hand-over (`docs/adr/0002-lone-writes.md`).
//!
//! When the stage fails the thread reports and ends, and the server stops.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    /// Space is to be allocated ahead.
    Prepare,
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

/// Both ends of the conversation with the log thread, and the log between them.
#[derive(Debug, Default)]
pub(crate) struct LogMail {
    pub(crate) input: Mailbox<LogInput>,
    pub(crate) reports: Mailbox<LogReport>,
    /// Commands leave `input` under this lock only, so that none overtakes another. `None` before the
    /// thread starts and when the log must not be used any more.
    worker: Mutex<Option<Worker>>,
}

impl LogMail {
    fn lock(&self) -> MutexGuard<'_, Option<Worker>> {
        // Whoever panicked while it worked has left a log that its own checks refuse to go on with.
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works off `batch` on the calling thread, if the log is free and nothing waits for it; false, and
    /// `batch` untouched, if not. What the thread reported before is in `reports` of this mail already.
    pub(crate) fn work_here(
        &self,
        batch: &mut Vec<LogInput>,
        reports: &mut Vec<LogReport>,
    ) -> bool {
        let Ok(mut locked) = self.worker.try_lock() else { return false };
        let Some(worker) = locked.as_mut().filter(|_| self.input.is_empty()) else { return false };
        match worker.work(batch, &mut |report| reports.push(report)) {
            Ok(_) => {
                if worker.stage.wants_space() {
                    self.input.put(LogInput::Prepare);
                }
            }
            Err(why) => {
                *locked = None;
                reports.push(LogReport::failed(why));
            }
        }
        true
    }
}

/// Starts the thread.
pub(crate) fn start(
    plan: LogPlan,
    last: Zxid,
    mail: Arc<LogMail>,
    waker: Waker,
) -> std::io::Result<JoinHandle<()>> {
    *mail.lock() = Some(Worker::new(LogStage::new(plan, last)));
    std::thread::Builder::new().name("rookeeper-log".to_owned()).spawn(move || {
        let _alarm = Alarm { mail: Arc::clone(&mail), waker: waker.clone() };
        run(&mail, &waker);
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
            self.mail.reports.put(LogReport::failed("the log thread panicked".to_owned()));
            self.waker.wake();
        }
    }
}

fn run(mail: &LogMail, waker: &Waker) {
    let mut batch = Vec::new();
    let mut idle = Idle::Wait;
    loop {
        mail.input.wait(match idle {
            Idle::PrepareAhead => Some(Duration::ZERO),
            Idle::LookForRoom => Some(ROOM_CHECK),
            Idle::Wait => None,
        });
        let mut locked = mail.lock();
        mail.input.take_all(&mut batch);
        let Some(worker) = locked.as_mut() else { return };
        let worked = worker.work(&mut batch, &mut |report| {
            mail.reports.put(report);
            waker.wake();
        });
        match worked {
            Ok(true) => idle = worker.stage.idle(),
            Ok(false) => break,
            Err(why) => {
                *locked = None;
                mail.reports.put(LogReport::failed(why));
                return waker.wake();
            }
        }
    }
    let worker = mail.lock().take();
    if let Some(Err(error)) = worker.map(|worker| worker.stage.close()) {
        tracing::error!(%error, "the transaction log could not be closed cleanly");
    }
}

/// The stage, and what the figures of a batch need.
#[derive(Debug)]
struct Worker {
    stage: LogStage,
    /// When the present batch began.
    started: Instant,
    /// When the first command not committed yet was handed over.
    handed: Option<Instant>,
}

impl Worker {
    fn new(stage: LogStage) -> Self {
        Self { stage, started: Instant::now(), handed: None }
    }

    /// Works off a batch; an empty one leaves time for what is to be done meanwhile. False after a stop.
    fn work(
        &mut self,
        batch: &mut Vec<LogInput>,
        deliver: &mut dyn FnMut(LogReport),
    ) -> Result<bool, String> {
        let Self { stage, started, handed } = self;
        *started = Instant::now();
        let mut report = |event, handed: &mut Option<Instant>| {
            if let Some(report) = LogReport::of(event, *started, handed) {
                deliver(report);
            }
        };
        if batch.is_empty() {
            return stage.do_idle(&mut |event| report(event, handed)).map(|()| true);
        }
        let mut go_on = true;
        for input in batch.drain(..) {
            match input {
                LogInput::Command(command) => {
                    stage.take(command, &mut |event| report(event, handed))?;
                }
                LogInput::Handed(at) => *handed = handed.or(Some(at)),
                LogInput::Continue => stage.go_on(),
                LogInput::Prepare => {}
                LogInput::Stop => go_on = false,
            }
        }
        stage.commit(&mut |event| report(event, handed))?;
        Ok(go_on)
    }
}

impl LogReport {
    fn failed(why: String) -> Self {
        let (queued, took) = Default::default();
        Self { event: LogEvent::Failed(why), queued, took }
    }

    /// What the core is told of an event; what only the operator needs is said here.
    fn of(event: LogEvent, started: Instant, handed: &mut Option<Instant>) -> Option<Self> {
        let mut queued = Duration::ZERO;
        match event {
            LogEvent::Note { is_warning: true, text } => {
                tracing::warn!("{text}");
                return None;
            }
            LogEvent::Note { is_warning: false, text } => {
                tracing::info!("{text}");
                return None;
            }
            LogEvent::Durable { .. } => {
                let handed = handed.take().unwrap_or(started);
                queued = started.saturating_duration_since(handed);
            }
            _ => {}
        }
        Some(Self { event, queued, took: started.elapsed() })
    }
}

#[cfg(test)]
mod tests;
