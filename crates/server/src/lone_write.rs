//! Whether a lone write is forced by the core thread itself (`docs/adr/0002-lone-writes.md`).
//!
//! It may while one client alone speaks and the disk is quick: then nobody else waits for this thread, and
//! two hand-overs between threads are saved. With company, or a slow disk, the log thread forces.

use std::time::{Duration, Instant};

use rookeeper_net::ConnId;

/// For how long nobody else must have spoken.
const ALONE: Duration = Duration::from_millis(5);
/// A force that takes longer ends the trust in the disk ...
const QUICK: Duration = Duration::from_millis(5);
/// ... for so long.
const DISTRUST: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct LoneGate {
    speaker: Option<ConnId>,
    /// When the speaker took over from another.
    since: Option<Instant>,
    /// The end of the distrust.
    trusted_from: Option<Instant>,
}

impl LoneGate {
    pub(crate) fn new() -> Self {
        Self { speaker: None, since: None, trusted_from: None }
    }

    /// A client sent something.
    #[inline]
    pub(crate) fn heard(&mut self, conn: ConnId, now: Instant) {
        if self.speaker != Some(conn) {
            self.speaker = Some(conn);
            self.since = Some(now);
        }
    }

    /// A force took so long, on whichever thread.
    pub(crate) fn forced(&mut self, took: Duration, now: Instant) {
        if QUICK < took {
            self.trusted_from = Some(now + DISTRUST);
        }
    }

    pub(crate) fn is_open(&self, now: Instant) -> bool {
        let is_alone = self.since.is_some_and(|since| since + ALONE <= now);
        is_alone && self.trusted_from.is_none_or(|from| from <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_for_one_speaker_and_a_quick_disk() {
        let mut gate = LoneGate::new();
        let start = Instant::now();
        let (one, other) = (ConnId::from_u64(1), ConnId::from_u64(2));
        assert!(!gate.is_open(start));
        gate.heard(one, start);
        assert!(!gate.is_open(start), "not at once");
        gate.heard(one, start + ALONE);
        assert!(gate.is_open(start + ALONE), "it has spoken alone for a while");
        gate.heard(other, start + ALONE);
        gate.heard(one, start + ALONE);
        assert!(!gate.is_open(start + ALONE), "somebody else spoke");
        assert!(gate.is_open(start + 2 * ALONE));
        gate.forced(QUICK, start + 2 * ALONE);
        assert!(gate.is_open(start + 2 * ALONE));
        gate.forced(2 * QUICK, start + 2 * ALONE);
        assert!(!gate.is_open(start + 2 * ALONE), "a slow disk is not waited for here");
        assert!(gate.is_open(start + 2 * ALONE + DISTRUST));
    }
}
