//! Where results and complaints go, and why a tool stops.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use signal_hook::consts::SIGINT;
use signal_hook::flag;

use crate::{FAILED, INTERRUPTED};

/// Why a tool ends before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Nobody reads the results any more.
    Closed,
    /// Somebody pressed Ctrl-C.
    Interrupted,
    /// Everything is said.
    Printed(i32),
    /// With a line for standard error.
    Said { text: String, code: i32 },
}

/// An exit code, or why there is none.
pub(crate) type Outcome<T = i32> = Result<T, Stop>;

impl Stop {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self::with_code(text, FAILED)
    }

    pub(crate) fn with_code(text: impl Into<String>, code: i32) -> Self {
        Self::Said { text: text.into(), code }
    }
}

impl From<rookeeper_storage::Error> for Stop {
    fn from(error: rookeeper_storage::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::new(format!("cannot write the results: {error}")),
        }
    }
}

/// Both streams.
pub(crate) struct Output {
    out: BufWriter<Box<dyn Write>>,
    err: Box<dyn Write>,
    /// Whether a person watches standard error.
    is_watched: bool,
    shown: Option<Instant>,
    /// Whether somebody pressed Ctrl-C.
    interrupted: Arc<AtomicBool>,
}

/// How often progress is shown.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// How soon Ctrl-C is noticed while somebody is asked.
const ASK_EVERY: Duration = Duration::from_millis(50);

impl Output {
    pub(crate) fn standard() -> Self {
        let is_watched = io::stderr().is_terminal();
        let (out, err) = (Box::new(io::stdout()), Box::new(io::stderr()));
        let interrupted = Arc::new(AtomicBool::new(false));
        // Where it cannot be noted, it ends the process at once; so does the second one.
        let again = Arc::clone(&interrupted);
        let _ = flag::register_conditional_shutdown(SIGINT, INTERRUPTED, again);
        let _ = flag::register(SIGINT, Arc::clone(&interrupted));
        Self { out: BufWriter::new(out), err, is_watched, shown: None, interrupted }
    }

    /// Fails once somebody has pressed Ctrl-C. Whoever works long asks often, so that what was begun
    /// is cleared away.
    pub(crate) fn go_on(&self) -> Outcome<()> {
        match self.interrupted.load(Ordering::Relaxed) {
            true => Err(Stop::Interrupted),
            false => Ok(()),
        }
    }

    /// A line that somebody types; `None` when there is nobody.
    pub(crate) fn typed(&mut self) -> Outcome<Option<String>> {
        self.flush()?;
        let (sender, typed) = mpsc::channel();
        // In a thread of its own: a read cannot be interrupted.
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = io::stdin().read_line(&mut line);
            // Nobody waits for it any more if the tool has ended.
            let _ = sender.send(matches!(read, Ok(1..)).then_some(line));
        });
        loop {
            match typed.recv_timeout(ASK_EVERY) {
                Ok(line) => return Ok(line),
                Err(RecvTimeoutError::Timeout) => self.go_on()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    /// A line of a result.
    pub(crate) fn line(&mut self, text: &str) -> Outcome<()> {
        self.text(text)?;
        self.text("\n")
    }

    /// Text of a result.
    pub(crate) fn text(&mut self, text: &str) -> Outcome<()> {
        Ok(self.out.write_all(text.as_bytes())?)
    }

    /// A value as one line of JSON.
    pub(crate) fn json(&mut self, value: &serde_json::Value) -> Outcome<()> {
        self.line(&value.to_string())
    }

    /// A line that is no result. Its loss is not worth a failure.
    pub(crate) fn err(&mut self, text: &str) {
        self.clear();
        let _ = writeln!(self.err, "{text}");
        let _ = self.err.flush();
    }

    pub(crate) fn flush(&mut self) -> Outcome<()> {
        self.clear();
        Ok(self.out.flush()?)
    }

    /// Shows how far a tool is, on a terminal and not too often; as [`Output::go_on`].
    pub(crate) fn progress(&mut self, text: impl FnOnce() -> String) -> Outcome<()> {
        let is_due = self.shown.is_none_or(|shown| PROGRESS_EVERY <= shown.elapsed());
        if self.is_watched && is_due {
            self.shown = Some(Instant::now());
            let _ = write!(self.err, "\r\x1b[K{}", text());
            let _ = self.err.flush();
        }
        self.go_on()
    }

    fn clear(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(self.err, "\r\x1b[K");
        }
    }
}

impl Output {
    /// Output for nobody; as if watched, so that progress is written, too.
    pub(crate) fn unseen() -> Self {
        let (out, err) = (Box::new(io::sink()), Box::new(io::sink()));
        let interrupted = Arc::default();
        Self { out: BufWriter::new(out), err, is_watched: true, shown: None, interrupted }
    }

    /// The same after somebody pressed Ctrl-C.
    #[cfg(test)]
    pub(crate) fn interrupted() -> Self {
        let out = Self::unseen();
        out.interrupted.store(true, Ordering::Relaxed);
        out
    }
}
