//! Where results, errors and events go: results and event blocks to standard output, errors and
//! notices to standard error, nothing else to either.
//!
//! Events come from another thread than results; each is written whole. While a line is being edited
//! they go through the editor, so that the line being typed stays intact.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Writes text around the line being edited.
pub(crate) type EditorPrinter = Box<dyn FnMut(String) + Send>;

struct Streams {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    editor: Option<EditorPrinter>,
    editing: bool,
}

/// A handle on both streams; clones share them.
#[derive(Clone)]
pub(crate) struct Console(Arc<Mutex<Streams>>);

impl Console {
    pub(crate) fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(Streams { out, err, editor: None, editing: false })))
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
        let _ = streams.out.write_all(line);
        let _ = streams.out.write_all(b"\n");
        let _ = streams.out.flush();
    }

    /// A line of an error or a notice.
    pub(crate) fn err(&self, line: &str) {
        let mut streams = self.streams();
        let _ = streams.out.flush();
        let _ = writeln!(streams.err, "{line}");
        let _ = streams.err.flush();
    }

    /// A question, which the answer follows on the same line.
    pub(crate) fn ask(&self, question: &str) {
        let mut streams = self.streams();
        let _ = streams.out.flush();
        let _ = write!(streams.err, "{question}");
        let _ = streams.err.flush();
    }

    /// The block that Apache's shell prints for an event.
    pub(crate) fn event(&self, text: &str) {
        let block = format!("\nWATCHER::\n\n{text}\n");
        let streams = &mut *self.streams();
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
