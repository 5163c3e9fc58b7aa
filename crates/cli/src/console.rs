//! Where results, errors and events go: results and event blocks to standard output, errors and
//! notices to standard error, nothing else to either.
//!
//! Events come from another thread than results; each is written whole. While a line is being edited
//! they go through the editor, so that the line being typed stays intact. Colours and progress are for
//! terminals only; the line that shows progress is wiped before anything else is written.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Writes text around the line being edited.
pub(crate) type EditorPrinter = Box<dyn FnMut(String) + Send>;

struct Streams {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    editor: Option<EditorPrinter>,
    editing: bool,
    out_terminal: Terminal,
    err_terminal: Terminal,
    /// When progress was last shown, if it still is.
    shown: Option<Instant>,
}

/// What stands behind a stream.
#[derive(Debug, Clone, Copy)]
struct Terminal {
    is_one: bool,
    has_colours: bool,
}

impl Terminal {
    fn of(is_one: bool) -> Self {
        let is_dumb = std::env::var_os("TERM").is_none_or(|name| name == "dumb");
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { is_one, has_colours: is_one && !is_dumb && !unwanted }
    }

    fn coloured(self, colour: Colour, text: &str) -> String {
        match self.has_colours {
            true => format!("\x1b[{}m{text}\x1b[0m", colour as u8),
            false => text.to_owned(),
        }
    }
}

/// What is worth a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Red = 31,
    Green = 32,
    Yellow = 33,
}

/// How often progress is shown.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

impl Streams {
    fn wipe_progress(&mut self) {
        if self.shown.take().is_some() {
            let _ = write!(self.err, "\r\x1b[K");
            let _ = self.err.flush();
        }
    }
}

/// A handle on both streams; clones share them.
#[derive(Clone)]
pub(crate) struct Console(Arc<Mutex<Streams>>);

impl Console {
    /// On the streams of this process.
    pub(crate) fn standard() -> Self {
        Self(Arc::new(Mutex::new(Streams {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            editor: None,
            editing: false,
            out_terminal: Terminal::of(io::stdout().is_terminal()),
            err_terminal: Terminal::of(io::stderr().is_terminal()),
            shown: None,
        })))
    }

    /// Whether somebody reads the results instead of a program.
    pub(crate) fn is_read_by_a_person(&self) -> bool {
        self.streams().out_terminal.is_one
    }

    /// Text of a result in a colour, if there are colours.
    pub(crate) fn coloured(&self, colour: Colour, text: &str) -> String {
        self.streams().out_terminal.coloured(colour, text)
    }

    /// Shows how far something is, on a terminal and not too often.
    pub(crate) fn progress(&self, text: impl FnOnce() -> String) {
        let mut streams = self.streams();
        let is_due = streams.shown.is_none_or(|shown| PROGRESS_EVERY <= shown.elapsed());
        if streams.err_terminal.is_one && is_due {
            streams.shown = Some(Instant::now());
            let _ = write!(streams.err, "\r\x1b[K{}", text());
            let _ = streams.err.flush();
        }
    }

    /// Wipes the line that shows progress.
    pub(crate) fn end_progress(&self) {
        self.streams().wipe_progress();
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line of a result. Errors of the stream are ignored: a closed pipe is the reader's choice.
    pub(crate) fn out(&self, line: &str) {
        self.out_bytes(line.as_bytes());
    }

    /// A line of a result that need not be text.
    pub(crate) fn out_bytes(&self, line: &[u8]) {
        let mut streams = self.streams();
        streams.wipe_progress();
        let _ = streams.out.write_all(line);
        let _ = streams.out.write_all(b"\n");
        let _ = streams.out.flush();
    }

    /// A line of an error or a notice.
    pub(crate) fn err(&self, line: &str) {
        let mut streams = self.streams();
        streams.wipe_progress();
        let _ = streams.out.flush();
        let _ = writeln!(streams.err, "{line}");
        let _ = streams.err.flush();
    }

    /// A line that says why something failed.
    pub(crate) fn failure(&self, text: &str) {
        let text = self.streams().err_terminal.coloured(Colour::Red, text);
        self.err(&text);
    }

    /// The block that Apache's shell prints for an event.
    pub(crate) fn event(&self, text: &str) {
        let block = format!("\nWATCHER::\n\n{text}\n");
        let streams = &mut *self.streams();
        streams.wipe_progress();
        match &mut streams.editor {
            Some(editor) if streams.editing => editor(block),
            _ => {
                let _ = streams.out.write_all(block.as_bytes());
                let _ = streams.out.flush();
            }
        }
    }

    /// Whether a line is being edited now.
    pub(crate) fn set_editing(&self, editing: bool) {
        self.streams().editing = editing;
    }

    /// While a line is edited, events go through its editor.
    pub(crate) fn set_editor(&self, editor: Option<EditorPrinter>) {
        self.streams().editor = editor;
    }
}
