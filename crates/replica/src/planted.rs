//! Mistakes on purpose: the simulator's tests switch one on and prove that it is found.
//!
//! Compiled only with the feature `planted-bugs`, which nothing but those tests asks for; and even then
//! nothing happens until a test sets one on its own thread.

use std::cell::Cell;

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Reads are answered at once, also when a write of their session is on its way.
    ReadNotHeld,
    /// Requests are no signs of life.
    TouchIgnored,
}

thread_local! {
    static BUG: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Makes this thread's replicas make a mistake, or none.
pub fn set(bug: Option<Bug>) {
    BUG.set(bug);
}

/// Whether this mistake is to be made.
pub(crate) fn is(bug: Bug) -> bool {
    BUG.get() == Some(bug)
}
