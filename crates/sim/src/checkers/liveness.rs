//! Catches: a server that does not come back; a client that is not served again after the faults have
//! ended; a connection paused for ever; sessions, ephemerals and expired containers that stay.
//!
//! Each phase behind the faults has a time limit drawn from the settings, generous but finite.

use crate::violation::{Check, Violation};

const NAME: &str = "liveness";

/// Fails once `now_us` is beyond `limit_us`; `what` tells who still waits for what.
pub fn in_time(now_us: u64, limit_us: u64, what: impl FnOnce() -> String) -> Check {
    if now_us <= limit_us { Ok(()) } else { Err(Violation { checker: NAME, what: what() }) }
}

/// The server refused to start though nothing was wrong with its disk.
pub fn refused_start(why: &str) -> Violation {
    Violation { checker: NAME, what: format!("the server refuses to start: {why}") }
}
