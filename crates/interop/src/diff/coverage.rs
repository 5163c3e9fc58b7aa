//! Which operation met which error code, and which events came.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::run::{Message, Transcript, error_of};
use crate::raw::codes::{error_name, event_name, op, op_name};
use crate::raw::{Malformed, Reader};

/// Counts over many transcripts.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    replies: BTreeMap<(i32, i32), u64>,
    in_multi: BTreeMap<(i32, i32), u64>,
    events: BTreeMap<i32, u64>,
}

impl Coverage {
    /// Counts one transcript.
    pub fn add(&mut self, transcript: &Transcript) {
        for message in transcript.entries.iter().flat_map(|entry| &entry.messages) {
            match message {
                Message::Reply(_, code, payload) => {
                    let error = error_of(payload);
                    *self.replies.entry((*code, error)).or_default() += 1;
                    if matches!(*code, op::MULTI | op::MULTI_READ) && error == 0 {
                        // A result that does not decode has been reported as a difference already.
                        let _ = self.results(*code, payload);
                    }
                }
                Message::Event(payload) => {
                    if let Some(kind) = payload.get(16..20) {
                        let kind = i32::from_be_bytes(kind.try_into().expect("four bytes"));
                        *self.events.entry(kind).or_default() += 1;
                    }
                }
                _ => {}
            }
        }
    }

    fn results(&mut self, code: i32, payload: &[u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(payload);
        reader.take(16)?;
        loop {
            let (kind, done, error) = (reader.int()?, reader.bool()?, reader.int()?);
            if done {
                return Ok(());
            }
            *self.in_multi.entry((code, error)).or_default() += 1;
            match kind {
                op::ERROR => drop(reader.int()?),
                op::CREATE => drop(reader.buffer()?),
                op::CREATE2 | op::GET_DATA => {
                    reader.buffer()?;
                    reader.take(68)?;
                }
                op::SET_DATA => drop(reader.take(68)?),
                op::GET_CHILDREN => {
                    for _ in 0..reader.count()?.unwrap_or(0) {
                        reader.buffer()?;
                    }
                }
                _ => {}
            }
        }
    }

    /// How many replies were counted.
    pub fn replies(&self) -> u64 {
        self.replies.values().sum()
    }

    /// How often an operation met an error code, alone.
    pub fn count(&self, code: i32, error: i32) -> u64 {
        self.replies.get(&(code, error)).copied().unwrap_or(0)
    }

    /// Whether an error code came at all, alone or inside a multi.
    pub fn has_error(&self, error: i32) -> bool {
        let mut all = self.replies.keys().chain(self.in_multi.keys());
        all.any(|&(_, seen)| seen == error)
    }

    /// Whether an operation was answered at all.
    pub fn has_op(&self, code: i32) -> bool {
        self.replies.keys().any(|&(seen, _)| seen == code)
    }

    /// The table, one operation a line.
    pub fn table(&self) -> String {
        let mut text = String::new();
        lines(&mut text, &self.replies, "");
        lines(&mut text, &self.in_multi, "results of ");
        let _ = write!(text, "{:28}", "events");
        for (&kind, count) in &self.events {
            let _ = write!(text, " {}:{count}", event_name(kind));
        }
        text.push('\n');
        text
    }
}

fn lines(text: &mut String, counts: &BTreeMap<(i32, i32), u64>, prefix: &str) {
    let mut last = None;
    for (&(code, error), count) in counts.iter().rev() {
        if last != Some(code) {
            if last.is_some() {
                text.push('\n');
            }
            let _ = write!(text, "{:28}", format!("{prefix}{} ({code})", op_name(code)));
            last = Some(code);
        }
        let _ = write!(text, " {}:{count}", error_name(error));
    }
    text.push('\n');
}
