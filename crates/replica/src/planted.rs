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
    /// After a TRUNC the tree keeps what was cut off the log (ZOOKEEPER-2845).
    TreeNotReloaded,
    /// A new leader does not know the sessions of its tree (ZOOKEEPER-1319, 1367).
    SessionsForgotten,
    /// The log goes on after a failed write as if nothing had happened (ZOOKEEPER-2247, 3701).
    FailedWriteIgnored,
    /// `acceptedEpoch` is never written (ZOOKEEPER-335, 1081).
    AcceptedEpochNotWritten,
    /// `currentEpoch` is never written (ZOOKEEPER-1082, 1653).
    CurrentEpochNotWritten,
    /// Logs older than a snapshot that a leader sent stay, whatever they end with.
    OldLogsKept,
    /// What a session sent by a way it has left is executed all the same (ZOOKEEPER-417).
    SessionMoveIgnored,
    /// The leader forgets that a session spoke through itself when that connection ends.
    OwnerForgotten,
    /// A learner does not delete the ephemerals of every third session that ends (ZOOKEEPER-2355, 4541).
    EphemeralsKept,
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
