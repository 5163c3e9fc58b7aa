//! Sessions: who is alive, until when, on which connection (`client-protocol.md` 2.3 to 2.6).
//!
//! Expiry works in buckets of one tick, as Java's ExpiryQueue, but lazily: touching a session is one
//! store; a bucket that comes due re-files the sessions heard from since. A session thus expires
//! between its time-out and its time-out plus one tick after the last touch.
//!
//! A session is global (in the replicated table; expired by the leader) or local (known to this server
//! alone, which expires it; 2.8). A local one may become global, never the other way.
//!
//! Java: SessionTrackerImpl, ExpiryQueue, UpgradeableSessionTracker.

use std::collections::{BTreeMap, VecDeque};

use foldhash::{HashMap, HashSet};
use rookeeper_proto::SessionId;

use crate::outbox::ConnId;

/// Slot of a session in the tracker; valid until the session is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionSlot(u32);

/// One session.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Time-out that touches use; follows the client's latest connect.
    pub timeout_ms: i32,
    /// It is closed at the first bucket at or behind this moment.
    pub expire_at_ms: u64,
    /// A closeSession is on its way: the session takes no more requests.
    pub is_closing: bool,
    /// The connection that speaks for it now.
    pub conn: Option<ConnId>,
    /// Leader: who speaks for it; a request from elsewhere has moved.
    pub owner: Owner,
    /// Learner: heard of since the leader was told last.
    pub is_touched: bool,
    /// Known to this server alone.
    pub is_local: bool,
    /// How many connections of this server it has had.
    pub binds: u32,
    /// Learner: its client has sent something on the last of them.
    pub has_spoken: bool,
    /// Learner: how often the leader was asked whether it lives, and has not answered.
    pub questions: u32,
}

/// Leader, and a follower that serves observers: by which way the writes of a session come.
///
/// It stays when the connection behind it has gone: what the session sent by an older way may still
/// arrive, and must not be executed behind what it sent by this one. Only a client that comes back
/// (`Owner::Here`, or a learner that asks whether the session lives) changes it; for a follower, once it has
/// sent something (`member::relaying`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Nobody has since this server leads.
    Nobody,
    /// A connection of this server.
    Here,
    /// A learner's connection; no number is used twice.
    Learner(u64),
}

/// Ends that are remembered. What may still be on its way is far younger than so many.
const ENDED_MAX: usize = 1 << 16;

/// All sessions of this server.
#[derive(Debug)]
pub struct SessionTracker {
    tick_ms: u64,
    next_id: i64,
    slots: Vec<Option<Session>>,
    free: Vec<u32>,
    by_id: HashMap<SessionId, u32>,
    /// Bucket end -> sessions filed there. Every live session is filed exactly once.
    buckets: BTreeMap<u64, Vec<SessionId>>,
    /// The latest global sessions that ended, oldest first; only filled where there are local ones.
    ended: VecDeque<SessionId>,
    has_ended: HashSet<SessionId>,
}

impl SessionTracker {
    /// An empty tracker. `seed_ms` makes ids of different starts differ: any clock will do.
    pub fn new(tick_ms: u64, server_id: u8, seed_ms: u64) -> Self {
        let seeded = ((seed_ms << 24) >> 8) | u64::from(server_id) << 56;
        let mut next_id = seeded as i64;
        if next_id == i64::MIN {
            next_id += 1;
        }
        Self {
            tick_ms: tick_ms.max(1),
            next_id,
            slots: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::default(),
            buckets: BTreeMap::new(),
            ended: VecDeque::new(),
            has_ended: HashSet::default(),
        }
    }

    /// A new session id, never one in use, 0 or the container mark.
    pub fn allocate_id(&mut self) -> SessionId {
        loop {
            let id = SessionId(self.next_id);
            self.next_id = self.next_id.wrapping_add(1);
            if id.0 != 0 && id.0 != i64::MIN && !self.by_id.contains_key(&id) {
                return id;
            }
        }
    }

    /// End of the bucket in which a touch at `now_ms` expires.
    fn bucket(&self, now_ms: u64, timeout_ms: i32) -> u64 {
        let timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
        ((now_ms + timeout_ms) / self.tick_ms + 1) * self.tick_ms
    }

    /// Starts tracking, or updates the time-out of a tracked session.
    pub fn track(&mut self, now_ms: u64, id: SessionId, timeout_ms: i32) -> SessionSlot {
        let expire_at_ms = self.bucket(now_ms, timeout_ms);
        if let Some(&slot) = self.by_id.get(&id) {
            let slot = SessionSlot(slot);
            self.touch_with(now_ms, slot, timeout_ms);
            return slot;
        }
        let session = Session {
            id,
            timeout_ms,
            expire_at_ms,
            is_closing: false,
            conn: None,
            owner: Owner::Nobody,
            is_touched: false,
            is_local: false,
            questions: 0,
            binds: 0,
            has_spoken: false,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(session);
                slot
            }
            None => {
                self.slots.push(Some(session));
                (self.slots.len() - 1) as u32
            }
        };
        self.by_id.insert(id, slot);
        self.buckets.entry(expire_at_ms).or_default().push(id);
        SessionSlot(slot)
    }

    /// Starts tracking a session that no other server knows.
    pub fn track_local(&mut self, now_ms: u64, id: SessionId, timeout_ms: i32) -> SessionSlot {
        let slot = self.track(now_ms, id, timeout_ms);
        if let Some(session) = self.at_mut(slot) {
            session.is_local = true;
        }
        slot
    }

    /// Makes a local session a global one: its creation is on its way to all servers, or has come.
    pub fn set_global(&mut self, id: SessionId) {
        if let Some(slot) = self.find(id)
            && let Some(session) = self.at_mut(slot)
        {
            session.is_local = false;
        }
    }

    /// Whether it is a local session of this server.
    pub fn is_local(&self, id: SessionId) -> bool {
        self.session(id).is_some_and(|session| session.is_local)
    }

    /// The session in a slot.
    pub fn at(&self, slot: SessionSlot) -> Option<&Session> {
        self.slots.get(slot.0 as usize)?.as_ref()
    }

    /// The session in a slot.
    pub fn at_mut(&mut self, slot: SessionSlot) -> Option<&mut Session> {
        self.slots.get_mut(slot.0 as usize)?.as_mut()
    }

    /// The slot of a session.
    pub fn find(&self, id: SessionId) -> Option<SessionSlot> {
        self.by_id.get(&id).copied().map(SessionSlot)
    }

    /// The session with this id.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.at(self.find(id)?)
    }

    /// Notes a sign of life. False when the session is unknown or closing.
    pub fn touch(&mut self, now_ms: u64, slot: SessionSlot) -> bool {
        if planted!(TouchIgnored) {
            return self.at(slot).is_some_and(|session| !session.is_closing);
        }
        let Some(timeout_ms) = self.at(slot).map(|session| session.timeout_ms) else {
            return false;
        };
        self.touch_with(now_ms, slot, timeout_ms)
    }

    /// Notes a sign of life and a new time-out.
    pub fn touch_with(&mut self, now_ms: u64, slot: SessionSlot, timeout_ms: i32) -> bool {
        let expire_at_ms = self.bucket(now_ms, timeout_ms);
        match self.at_mut(slot) {
            Some(session) if !session.is_closing => {
                session.timeout_ms = timeout_ms;
                session.is_touched = true;
                // Never earlier than filed: the bucket it is in must not be missed, and an earlier
                // deadline would only be noticed there anyway.
                session.expire_at_ms = session.expire_at_ms.max(expire_at_ms);
                true
            }
            _ => false,
        }
    }

    /// Notes a sign of life that a learner tells of, and the time-out it knows. That of a client that is
    /// connected here is known better here: the word of the server it left may be late. A leader, other than a
    /// learner, knows whether its client has left it since. (Java keeps none; a touch lasts as long as whoever
    /// sends it says.)
    pub fn touch_from_elsewhere(
        &mut self,
        now_ms: u64,
        slot: SessionSlot,
        timeout_ms: i32,
        leads: bool,
    ) {
        let is_left = |session: &Session| leads && matches!(session.owner, Owner::Learner(_));
        match self.at(slot) {
            Some(session) if session.conn.is_some() && !is_left(session) => {
                self.touch(now_ms, slot)
            }
            _ => self.touch_with(now_ms, slot, timeout_ms),
        };
    }

    /// Takes no more requests for the session.
    pub fn set_closing(&mut self, id: SessionId) {
        if let Some(slot) = self.find(id)
            && let Some(session) = self.at_mut(slot)
        {
            session.is_closing = true;
        }
    }

    /// Lets closing sessions live again, due at once: the txns that would have closed them were
    /// dropped before they were logged.
    pub fn reopen_closing(&mut self) {
        for slot in 0..self.slots.len() {
            let Some(session) = self.slots[slot].as_mut().filter(|s| s.is_closing) else {
                continue;
            };
            session.is_closing = false;
            session.expire_at_ms = 0;
            let id = session.id;
            self.buckets.entry(0).or_default().push(id);
        }
    }

    /// Forgets the session.
    pub fn remove(&mut self, id: SessionId) -> Option<Session> {
        let slot = self.by_id.remove(&id)?;
        self.free.push(slot);
        self.slots[slot as usize].take()
    }

    /// Remembers that a global session has ended: it is not a local one of another server then.
    pub fn remember_ended(&mut self, id: SessionId) {
        if !self.has_ended.insert(id) {
            return;
        }
        self.ended.push_back(id);
        if ENDED_MAX < self.ended.len()
            && let Some(oldest) = self.ended.pop_front()
        {
            self.has_ended.remove(&oldest);
        }
    }

    /// Whether this global session has ended lately.
    pub fn has_ended(&self, id: SessionId) -> bool {
        self.has_ended.contains(&id)
    }

    /// When the next bucket comes due.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.buckets.first_key_value().map(|(&at, _)| at)
    }

    /// Sessions that have expired by `now_ms`; they are marked closing. In order of filing.
    pub fn expire(&mut self, now_ms: u64) -> Vec<SessionId> {
        self.expire_which(now_ms, |_| true)
    }

    /// Local sessions that have expired; they are marked closing. Global ones are no longer filed: a
    /// learner expires none of them.
    pub fn expire_local(&mut self, now_ms: u64) -> Vec<SessionId> {
        self.expire_which(now_ms, |session| session.is_local)
    }

    fn expire_which(&mut self, now_ms: u64, is_ours: impl Fn(&Session) -> bool) -> Vec<SessionId> {
        let mut expired = Vec::new();
        while let Some(entry) = self.buckets.first_entry() {
            if now_ms < *entry.key() {
                break;
            }
            for id in entry.remove() {
                let Some(slot) = self.find(id) else { continue };
                let Some(session) = self.at_mut(slot) else { continue };
                if session.is_closing || !is_ours(session) {
                    continue;
                }
                if session.expire_at_ms <= now_ms {
                    session.is_closing = true;
                    expired.push(id);
                } else {
                    let at = session.expire_at_ms;
                    self.buckets.entry(at).or_default().push(id);
                }
            }
        }
        expired
    }

    /// Gives every session a full time-out from now, as a server that starts to lead does.
    pub fn restart_all(&mut self, now_ms: u64) {
        let ids: Vec<(SessionId, i32)> =
            self.iter().map(|session| (session.id, session.timeout_ms)).collect();
        self.buckets.clear();
        for (id, timeout_ms) in ids {
            let expire_at_ms = self.bucket(now_ms, timeout_ms);
            if let Some(slot) = self.find(id)
                && let Some(session) = self.at_mut(slot)
            {
                session.expire_at_ms = expire_at_ms;
                self.buckets.entry(expire_at_ms).or_default().push(id);
            }
        }
    }

    /// Global sessions heard of since the last call, with their time-outs.
    pub fn take_touched(&mut self) -> Vec<(SessionId, i32)> {
        let all = self.slots.iter_mut().flatten();
        all.filter(|session| session.is_touched && !session.is_local)
            .map(|session| {
                session.is_touched = false;
                (session.id, session.timeout_ms)
            })
            .collect()
    }

    /// Forgets every session.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.free.clear();
        self.by_id.clear();
        self.buckets.clear();
    }

    /// Number of sessions.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Number of local sessions.
    pub fn local_len(&self) -> usize {
        self.iter().filter(|session| session.is_local).count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// All sessions, in slot order.
    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.slots.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracker() -> SessionTracker {
        SessionTracker::new(2000, 1, 1234)
    }

    #[test]
    fn expires_between_timeout_and_timeout_plus_tick() {
        let mut t = tracker();
        let id = t.allocate_id();
        t.track(1500, id, 4000);
        // (1500 + 4000) / 2000 + 1 = 3 ticks.
        assert_eq!(t.next_deadline_ms(), Some(6000));
        assert_eq!(t.expire(5999), []);
        assert_eq!(t.expire(6000), [id]);
        assert!(t.session(id).unwrap().is_closing);
        assert_eq!(t.expire(60_000), []);
    }

    #[test]
    fn a_touch_moves_the_deadline_without_refiling() {
        let mut t = tracker();
        let id = t.allocate_id();
        let slot = t.track(0, id, 4000);
        assert!(t.touch(5000, slot));
        assert_eq!(t.expire(6000), []);
        assert_eq!(t.next_deadline_ms(), Some(10_000));
        assert_eq!(t.expire(10_000), [id]);
        assert!(!t.touch(10_001, slot), "a closing session is not touched");
    }

    /// The client has moved here with a longer time-out (simulator, 57292).
    #[test]
    fn a_late_word_of_the_server_it_left_does_not_shorten_a_sessions_time_out() {
        let here = Some(ConnId { index: 0, generation: 1 });
        for (leads, owner, conn, timeout_ms) in [
            (true, Owner::Here, here, 8000),
            (true, Owner::Nobody, here, 8000),
            (true, Owner::Here, None, 3000),
            (true, Owner::Learner(7), here, 3000),
            (false, Owner::Learner(7), here, 8000),
            (false, Owner::Learner(7), None, 3000),
        ] {
            let mut t = tracker();
            let id = t.allocate_id();
            let slot = t.track(0, id, 8000);
            let session = t.at_mut(slot).unwrap();
            (session.owner, session.conn) = (owner, conn);
            t.touch_from_elsewhere(100, slot, 3000, leads);
            assert_eq!(t.session(id).unwrap().timeout_ms, timeout_ms);
        }
    }

    #[test]
    fn ids_carry_the_server_and_do_not_repeat() {
        let mut t = tracker();
        let (a, b) = (t.allocate_id(), t.allocate_id());
        assert_ne!(a, b);
        assert_eq!(a.0 >> 56, 1);
    }

    #[test]
    fn slots_are_reused_after_removal() {
        let mut t = tracker();
        let (a, b) = (t.allocate_id(), t.allocate_id());
        let slot = t.track(0, a, 4000);
        assert!(t.remove(a).is_some());
        assert_eq!(t.track(0, b, 4000), slot);
        assert_eq!(t.at(slot).unwrap().id, b);
        assert_eq!(t.expire(100_000), [b]);
    }

    #[test]
    fn the_latest_ends_are_remembered() {
        let mut t = tracker();
        for id in 0..=ENDED_MAX as i64 {
            t.remember_ended(SessionId(id));
            t.remember_ended(SessionId(id));
        }
        assert!(!t.has_ended(SessionId(0)) && t.has_ended(SessionId(1)));
        assert_eq!((t.ended.len(), t.has_ended.len()), (ENDED_MAX, ENDED_MAX));
    }

    #[test]
    fn a_learner_expires_its_local_sessions_only() {
        let mut t = tracker();
        let (global, local, upgraded) = (t.allocate_id(), t.allocate_id(), t.allocate_id());
        t.track(0, global, 4000);
        t.track_local(0, local, 4000);
        let slot = t.track_local(0, upgraded, 4000);
        assert_eq!(t.local_len(), 2);
        t.set_global(upgraded);
        assert!(t.touch(3000, slot));
        assert_eq!(t.take_touched(), [(upgraded, 4000)]);
        assert_eq!(t.expire_local(6000), [local]);
        assert_eq!(t.next_deadline_ms(), None, "nobody here expires the others");
        assert!(t.is_local(local) && !t.is_local(upgraded) && !t.is_local(global));
    }
}
