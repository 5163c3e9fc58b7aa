//! One learner, as its leader sees it.

use bytes::Bytes;
use rookeeper_proto::{Sid, Zxid};

use crate::core::Settings;
use crate::effects::{Conn, Effect, Effects};
use crate::limits;
use crate::time::Instant;

/// How far a learner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    AwaitInfo,
    AwaitEpoch,
    AwaitEpochAck,
    AwaitEpochQuorum,
    Synchronizing(Sync),
    AwaitLeaderAck,
    AwaitStart,
    Serving,
}

/// How far its synchronisation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    /// The first read of the log decides what is sent.
    Deciding,
    /// A read of the log is under way; everything through this zxid was sent.
    Reading(Zxid),
    /// Waiting until what was read has left.
    Draining(Zxid),
    /// A snapshot is being captured.
    Capturing,
    /// A snapshot is being sent; what follows begins behind this zxid.
    Streaming(Zxid),
}

/// By what it is brought up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SyncKind {
    /// DIFF or TRUNC.
    Log,
    Snapshot,
}

#[derive(Debug)]
pub(crate) struct LearnerHandle {
    pub(crate) conn: Conn,
    /// -1 until it has said who it is.
    pub(crate) sid: Sid,
    pub(crate) is_observer: bool,
    pub(crate) stage: Stage,
    /// Once that is decided.
    pub(crate) sync_kind: Option<SyncKind>,
    /// Where its log ends.
    pub(crate) last: Zxid,
    pub(crate) buffer: Vec<u8>,
    /// Handed out and not reported as drained.
    pub(crate) unsent: usize,
    /// Commits since NEWLEADER, one behind the other, sent behind UPTODATE.
    held: Vec<u8>,
    /// When its silence has lasted too long; none while the leader is the one to act.
    pub(crate) deadline: Option<Instant>,
    /// The proposal whose ACK is awaited longest, and the newest sent since that one was timed.
    pub(crate) awaited: Option<(Zxid, Instant)>,
    pub(crate) awaited_next: Option<(Zxid, Instant)>,
}

impl LearnerHandle {
    pub(crate) fn new(conn: Conn, deadline: Instant) -> Self {
        Self {
            conn,
            sid: Sid(-1),
            is_observer: false,
            stage: Stage::AwaitInfo,
            sync_kind: None,
            last: Zxid::ZERO,
            buffer: Vec::new(),
            unsent: 0,
            held: Vec::new(),
            deadline: Some(deadline),
            awaited: None,
            awaited_next: None,
        }
    }

    /// Whether new proposals and commits are sent to it.
    pub(crate) fn is_forwarding(&self) -> bool {
        matches!(self.stage, Stage::AwaitLeaderAck | Stage::AwaitStart | Stage::Serving)
    }

    /// Whether it is being brought up to date in this way: until it has acknowledged NEWLEADER.
    pub(crate) fn is_synchronized_by(&self, kind: SyncKind) -> bool {
        self.sync_kind == Some(kind)
            && matches!(self.stage, Stage::Synchronizing(_) | Stage::AwaitLeaderAck)
    }

    /// Keeps a packet for when it serves; false if that is more than it may have waiting.
    pub(crate) fn hold(&mut self, packet: &[u8]) -> bool {
        self.held.extend_from_slice(packet);
        self.waiting() <= limits::LEARNER_UNSENT_BYTES
    }

    /// What was held, in order.
    pub(crate) fn release(&mut self) -> Bytes {
        std::mem::take(&mut self.held).into()
    }

    /// Bytes in memory because of this learner alone.
    pub(crate) fn waiting(&self) -> usize {
        self.unsent + self.held.len()
    }

    /// A packet arrived.
    pub(crate) fn heard(&mut self, now: Instant, settings: &Settings) {
        if self.stage == Stage::Serving {
            self.deadline = Some(now + settings.sync_time());
        }
    }

    /// A proposal was sent.
    pub(crate) fn await_ack(&mut self, now: Instant, zxid: Zxid) {
        if self.stage != Stage::Serving || self.is_observer {
            return;
        }
        if self.awaited.is_none() {
            self.awaited = Some((zxid, now));
        } else if self.awaited_next.is_none() {
            self.awaited_next = Some((zxid, now));
        }
    }

    /// An ACK arrived.
    pub(crate) fn on_ack(&mut self, zxid: Zxid) {
        if self.awaited.is_some_and(|(awaited, _)| awaited <= zxid) {
            self.awaited = self.awaited_next.take().filter(|(next, _)| zxid < *next);
        }
    }

    /// The connection ends: tells the driver what it may forget.
    pub(crate) fn on_gone(&self, fx: &mut Effects) {
        if let Stage::Synchronizing(Sync::Capturing | Sync::Streaming(_)) = self.stage {
            fx.push(Effect::CancelSnapshot { conn: self.conn });
        }
        if self.is_forwarding() {
            fx.push(Effect::LearnerGone { conn: self.conn, sid: self.sid });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_for_a_learner_has_a_limit() {
        let mut learner = LearnerHandle::new(Conn(1), Instant(0));
        assert!(learner.hold(b"one") && learner.hold(b"two"));
        assert_eq!(&learner.release()[..], b"onetwo");
        learner.unsent = limits::LEARNER_UNSENT_BYTES - 5;
        assert!(learner.hold(b"three"));
        assert!(!learner.hold(b"!"));
    }
}
