//! One line per thing that happens, only when somebody wants to read it: a failing seed is simply
//! run again with the trace on.
//!
//! Columns: virtual time in milliseconds, who, what. The hash of all lines proves that two runs of a
//! seed are the same run.

use std::collections::VecDeque;
use std::fmt;

/// The trace of one run.
#[derive(Debug)]
pub struct Trace {
    is_on: bool,
    kept: usize,
    is_printed: bool,
    lines: VecDeque<String>,
    hash: u64,
    count: u64,
}

/// Longer lines are cut: data and lists are seldom what one looks for.
const LINE_CHARS_MAX: usize = 400;

impl Trace {
    /// A trace that keeps the last `kept` lines; 0 turns it off.
    pub fn new(kept: usize) -> Self {
        Self {
            is_on: kept > 0,
            kept,
            is_printed: false,
            lines: VecDeque::new(),
            hash: 0xcbf2_9ce4_8422_2325,
            count: 0,
        }
    }

    /// A trace that prints every line at once and keeps none.
    pub fn printed() -> Self {
        Self { is_on: true, is_printed: true, ..Self::new(0) }
    }

    /// Whether lines are wanted: formatting them costs more than the run.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Adds a line.
    pub fn line(&mut self, now_us: u64, who: &str, what: fmt::Arguments<'_>) {
        if !self.is_on {
            return;
        }
        let mut line = format!("{:>10}.{:03} {who:<8} {what}", now_us / 1000, now_us % 1000);
        if LINE_CHARS_MAX < line.len()
            && let Some((at, _)) = line.char_indices().nth(LINE_CHARS_MAX)
        {
            line.truncate(at);
            line.push_str(" ...");
        }
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.count += 1;
        if self.is_printed {
            return println!("{line}");
        }
        if self.lines.len() == self.kept {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The lines kept.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// Hash and number of all lines.
    pub fn fingerprint(&self) -> (u64, u64) {
        (self.hash, self.count)
    }
}
