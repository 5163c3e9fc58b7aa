//! Mistakes on purpose: the simulator's tests switch one on and prove that it is found.
//!
//! Compiled only with the feature `planted-bugs`, which nothing but those tests asks for; and even then
//! nothing happens until a test sets one on its own thread.

use std::cell::Cell;

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A write whose connection was lost fails as if it had never been sent.
    LossDenied,
    /// Requests whose connection was lost fail twice.
    AnsweredTwice,
    /// Requests that wait when the session ends are never answered.
    WaitingForgotten,
    /// Child watches are not re-armed.
    ChildWatchesLost,
    /// Watches are re-armed as if nothing could have happened since.
    RearmedFromNow,
    /// A one-time watch stays after its event.
    WatchKept,
    /// An event is told behind the answer that follows it.
    EventLate,
    /// Credentials are not sent again on the next connection.
    CredentialsForgotten,
    /// Two answers that arrive together are told in the wrong order.
    AnswersSwapped,
}

thread_local! {
    static BUG: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Makes this thread's sessions make a mistake, or none.
pub fn set(bug: Option<Bug>) {
    BUG.set(bug);
}

/// Whether this mistake is to be made.
pub(crate) fn is(bug: Bug) -> bool {
    BUG.get() == Some(bug)
}
