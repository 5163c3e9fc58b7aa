//! Catches: a session closed though it was heard from within its time-out; a session that is not
//! closed one tick after its time-out; a timer that would fire too late for that.
//!
//! Heard from means: a request was handed to the replica (`client-protocol.md` 2.6); auth and sasl
//! do not count.

use std::collections::{BTreeMap, BTreeSet};

use rookeeper_proto::SessionId;

use crate::violation::{Check, broken};

const NAME: &str = "expiry";

#[derive(Debug, Clone, Copy)]
struct Heard {
    /// The last sign of life.
    at_ms: u64,
    /// Time-out that counted then.
    timeout_ms: u64,
    /// It must be gone by then plus one tick.
    late_ms: u64,
    /// Closing was ordered, or asked for.
    is_closing: bool,
}

/// Sessions as this server's clock sees them.
#[derive(Debug, Default)]
pub struct Expiry {
    tick_ms: u64,
    sessions: BTreeMap<SessionId, Heard>,
    /// Whose closing was ever ordered (or, in an ensemble, asked for): a crash may undo that behind the
    /// client's back.
    ended: BTreeSet<SessionId>,
}

impl Expiry {
    /// A server has started with these sessions.
    pub fn restart(
        &mut self,
        now_ms: u64,
        tick_ms: u64,
        sessions: impl Iterator<Item = (SessionId, i32)>,
    ) {
        self.tick_ms = tick_ms;
        self.sessions.clear();
        for (id, timeout_ms) in sessions {
            self.heard(now_ms, id, timeout_ms);
        }
    }

    /// The session gave a sign of life, or begins.
    pub fn heard(&mut self, now_ms: u64, id: SessionId, timeout_ms: i32) {
        let timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
        let before = self.sessions.get(&id).map_or(0, |heard| heard.late_ms);
        let late_ms = before.max(now_ms + timeout_ms);
        self.sessions.insert(id, Heard { at_ms: now_ms, timeout_ms, late_ms, is_closing: false });
    }

    /// The session's creation was applied: its time begins anew.
    pub fn created(&mut self, now_ms: u64, id: SessionId) {
        if let Some(heard) = self.sessions.get_mut(&id)
            && !heard.is_closing
        {
            heard.late_ms = heard.late_ms.max(now_ms + heard.timeout_ms);
        }
    }

    /// A closeSession was prepared. `by_client`: because the client asked.
    pub fn closing(&mut self, now_ms: u64, id: SessionId, by_client: bool) -> Check {
        self.ended.insert(id);
        let Some(heard) = self.sessions.get_mut(&id) else { return Ok(()) };
        let due_ms = heard.at_ms + heard.timeout_ms;
        let is_early = !by_client && !heard.is_closing && now_ms < due_ms;
        heard.is_closing = true;
        if is_early {
            let Heard { at_ms, timeout_ms, .. } = *heard;
            let what = format!(
                "session {id} expired at {now_ms} ms, heard from at {at_ms}, time-out {timeout_ms}"
            );
            return broken(NAME, what);
        }
        Ok(())
    }

    /// Ensemble: a leader has ordered the closing of a session, or its client has asked for it.
    pub fn order_closing(&mut self, id: SessionId) {
        self.ended.insert(id);
    }

    /// Forgets sessions whose creation was dropped.
    pub fn retain(&mut self, keep: impl Fn(SessionId) -> bool) {
        self.sessions.retain(|id, _| keep(*id));
    }

    /// The session is gone.
    pub fn gone(&mut self, id: SessionId) {
        self.sessions.remove(&id);
    }

    /// Whether closing this session was ever ordered.
    pub fn has_ended(&self, id: SessionId) -> bool {
        self.ended.contains(&id)
    }

    /// The server will look at its sessions next at `deadline_ms`: not too late?
    pub fn deadline(&self, now_ms: u64, deadline_ms: u64) -> Check {
        for (id, heard) in &self.sessions {
            let limit_ms = heard.late_ms + self.tick_ms;
            if !heard.is_closing && limit_ms.max(now_ms) < deadline_ms {
                let what = format!(
                    "session {id} should expire by {limit_ms} ms, next look at {deadline_ms} ms"
                );
                return broken(NAME, what);
            }
        }
        Ok(())
    }

    /// The server has just looked at its sessions: none may be overdue.
    pub fn looked(&self, now_ms: u64) -> Check {
        for (id, heard) in &self.sessions {
            if !heard.is_closing && heard.late_ms + self.tick_ms < now_ms {
                let what = format!("session {id} is alive at {now_ms} ms: {heard:?}");
                return broken(NAME, what);
            }
        }
        Ok(())
    }
}
