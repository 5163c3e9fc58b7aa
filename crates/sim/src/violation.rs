//! What a checker found.

use std::fmt;

/// A broken promise: which checker, and what it saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The checker's name, as in its file.
    pub checker: &'static str,
    /// What was expected and what was there.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.checker, self.what)
    }
}

/// Outcome of a check.
pub type Check<T = ()> = Result<T, Violation>;

/// A violation found by `checker`.
pub(crate) fn broken<T>(checker: &'static str, what: impl Into<String>) -> Check<T> {
    Err(Violation { checker, what: what.into() })
}
