//! What a follower does for the observers it serves (`observerMasterPort`): it passes their clients' requests
//! on to the leader.
//!
//! To the leader all of them come from this follower. Who speaks for a session among this server's own
//! clients and its observers is therefore kept here: whatever a session sends by a way that is older than one it
//! has sent something by must not be executed any more (Java passes it on). A leader goes by who asked last
//! whether the session lives, and tells whoever it refuses that the session has moved; a follower cannot tell
//! one client that. So here a way counts as left only once the client has *sent* something by a later one, a read
//! or a ping to this server too: the question of an observer that the client gave up waiting for may come late
//! (ZOOKEEPER-710), and refusing the way that the client really uses would refuse it for ever.
//!
//! Nor is anything passed on that a Java leader does not survive. What may not be passed on still needs its
//! answer, in order: in its place goes a request that every leader refuses.

use std::collections::HashMap;

use rookeeper_proto::client::Request;
use rookeeper_proto::client::request::PathVersion;
use rookeeper_proto::quorum::ForwardedBody;
use rookeeper_proto::{OpCode, Reader, SessionId};
use rookeeper_zab::{Conn, Forwarded};

use super::Member;
use crate::outbox::Outbox;
use crate::prep;
use crate::sessions::Owner;

impl Member {
    /// Whether the connection is that of an observer which this follower serves.
    pub(super) fn is_from_observer(&self, conn: Conn) -> bool {
        self.peer.is_observer_master() && !self.peer.is_learnt_from(conn)
    }

    /// An observer's request, for the leader.
    pub(super) fn relay(&mut self, forwarded: &Forwarded) {
        let (session, cxid) = (forwarded.session, forwarded.cxid);
        // A sync changes nothing, so it may be late; but what its client sees then is not to change behind it.
        let is_sync = forwarded.op == OpCode::Sync.as_i32();
        let is_left = !self.speaks_for(forwarded.conn, session) && !is_sync;
        let mut refused = Vec::new();
        let (op, body) = if !is_left && is_harmless(forwarded) {
            (forwarded.op, &forwarded.body[..])
        } else {
            // Of the system's own nodes; Java and this server refuse it before they look at anything else.
            let request =
                Request::Delete(PathVersion { path: Some("/zookeeper".into()), version: -1 });
            request.write(&mut refused);
            (OpCode::Delete.as_i32(), &refused[..])
        };
        let request = ForwardedBody { session, cxid, op, body };
        let sent = self.peer.relay_request(forwarded.conn, &request, &forwarded.auth, &mut self.fx);
        if sent.is_err() {
            // The leader does not read. Whoever waits there for an answer has to ask elsewhere.
            self.peer.close_learner(forwarded.conn, &mut self.fx);
        }
    }

    /// A client moved to an observer: that one may speak for its session here, if it lives.
    pub(super) fn relay_revalidate(
        &mut self,
        observer: Conn,
        session: SessionId,
        timeout_ms: i32,
        outbox: &mut impl Outbox,
    ) {
        if let Some(slot) = self.replica.sessions.find(session)
            && let Some(found) = self.replica.sessions.at_mut(slot).filter(|found| !found.is_local)
        {
            let own = found.conn;
            self.claims.asked(session, &mut found.owner, observer);
            if let Some(own) = own {
                self.replica.close_conn(own, outbox);
            }
            let sessions = &self.replica.sessions;
            self.claims.forget_ended(|session| sessions.find(session).is_some());
        }
        self.replica.stats.quorum.revalidations += 1;
        let sent = self.peer.relay_revalidate(observer, session, timeout_ms, &mut self.fx);
        if sent.is_err() {
            self.peer.close_learner(observer, &mut self.fx);
        }
    }

    fn speaks_for(&mut self, observer: Conn, session: SessionId) -> bool {
        let slot = self.replica.sessions.find(session);
        let found = slot.and_then(|slot| self.replica.sessions.at_mut(slot));
        found.is_none_or(|found| self.claims.speaks(session, &mut found.owner, observer))
    }
}

/// By which observers' ways a session may yet be heard.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// Of each session that has several: the observers that asked for it and through which nothing has come
    /// since, in their order, later than its owner.
    askers: HashMap<SessionId, Vec<Conn>>,
    /// When to look for sessions that have ended.
    len_max: usize,
}

impl Claims {
    /// An observer asks whether the session lives.
    fn asked(&mut self, session: SessionId, owner: &mut Owner, observer: Conn) {
        match owner {
            Owner::Nobody | Owner::Here => {
                *owner = Owner::Learner(observer.0);
                self.askers.remove(&session);
            }
            Owner::Learner(_) => {
                let askers = self.askers.entry(session).or_default();
                askers.retain(|&asker| asker != observer);
                askers.push(observer);
            }
        }
    }

    /// A write of the session comes by way of an observer: whether it may, which makes it the owner.
    fn speaks(&mut self, session: SessionId, owner: &mut Owner, observer: Conn) -> bool {
        match owner {
            Owner::Nobody => return true,
            Owner::Here => return false,
            Owner::Learner(_) => {}
        }
        if let Some(askers) = self.askers.get_mut(&session)
            && let Some(at) = askers.iter().position(|&asker| asker == observer)
        {
            // Whoever asked before is left for good.
            askers.drain(..=at);
            if askers.is_empty() {
                self.askers.remove(&session);
            }
            *owner = Owner::Learner(observer.0);
        }
        *owner == Owner::Learner(observer.0)
    }

    /// The observer is gone; what it asked for is of no use.
    pub(super) fn forget(&mut self, observer: Conn) {
        self.askers.retain(|_, askers| {
            askers.retain(|&asker| asker != observer);
            !askers.is_empty()
        });
    }

    /// Now and then, so that what is kept stays in proportion to the sessions that live.
    fn forget_ended(&mut self, is_alive: impl Fn(SessionId) -> bool) {
        if self.len_max < self.askers.len() {
            self.askers.retain(|&session, _| is_alive(session));
            self.len_max = (2 * self.askers.len()).max(1024);
        }
    }
}

/// Whether every leader stands the request.
fn is_harmless(forwarded: &Forwarded) -> bool {
    if forwarded.op == OpCode::Sync.as_i32() {
        return true;
    }
    let op = OpCode::from_i32(forwarded.op).filter(|op| op.is_write());
    let request = op.and_then(|op| Request::read(op, &mut Reader::new(&forwarded.body)).ok());
    request.is_some_and(|request| !prep::is_fatal(&request))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: SessionId = SessionId(7);
    const A: Conn = Conn(1);
    const B: Conn = Conn(2);
    const C: Conn = Conn(3);

    /// Observers that asked, in this order.
    fn asked(observers: &[Conn]) -> (Claims, Owner) {
        let (mut claims, mut owner) = (Claims::default(), Owner::Nobody);
        for &observer in observers {
            claims.asked(SESSION, &mut owner, observer);
        }
        (claims, owner)
    }

    #[test]
    fn the_way_that_was_used_later_counts() {
        let (mut claims, mut owner) = asked(&[A, B]);
        assert!(claims.speaks(SESSION, &mut owner, B));
        assert!(!claims.speaks(SESSION, &mut owner, A));
        assert!(claims.speaks(SESSION, &mut owner, B));
        assert!(claims.askers.is_empty());
    }

    #[test]
    fn a_late_question_takes_nothing_from_the_way_in_use() {
        let (mut claims, mut owner) = asked(&[A, B]);
        for _ in 0..2 {
            assert!(claims.speaks(SESSION, &mut owner, A));
        }
        // It was not late: the client has moved, and now sends something.
        assert!(claims.speaks(SESSION, &mut owner, B));
        assert!(!claims.speaks(SESSION, &mut owner, A));
    }

    #[test]
    fn who_asked_before_the_one_that_spoke_is_left() {
        let (mut claims, mut owner) = asked(&[A, B, C]);
        assert!(claims.speaks(SESSION, &mut owner, C));
        assert!(!claims.speaks(SESSION, &mut owner, A));
        assert!(!claims.speaks(SESSION, &mut owner, B));
        claims.asked(SESSION, &mut owner, A);
        assert!(claims.speaks(SESSION, &mut owner, A));
        assert!(!claims.speaks(SESSION, &mut owner, C));
    }

    #[test]
    fn this_servers_own_client_comes_after_all_that_asked_before() {
        let (mut claims, _) = asked(&[A, B]);
        let mut owner = Owner::Here;
        assert!(!claims.speaks(SESSION, &mut owner, A));
        assert!(!claims.speaks(SESSION, &mut owner, B));
        claims.asked(SESSION, &mut owner, A);
        assert!(claims.speaks(SESSION, &mut owner, A));
        assert!(!claims.speaks(SESSION, &mut owner, B));
    }

    #[test]
    fn sessions_that_have_ended_are_forgotten() {
        let (mut claims, mut owner) = asked(&[A, B]);
        claims.forget_ended(|_| false);
        assert!(claims.askers.is_empty());
        claims.asked(SESSION, &mut owner, B);
        claims.forget_ended(|_| false);
        assert_eq!(claims.askers.len(), 1, "too few to be looked at");
    }

    #[test]
    fn an_observer_that_is_gone_is_forgotten() {
        let (mut claims, mut owner) = asked(&[A, B, C]);
        claims.forget(B);
        assert_eq!(claims.askers[&SESSION], [C]);
        claims.forget(C);
        assert!(claims.askers.is_empty());
        assert!(claims.speaks(SESSION, &mut owner, A));
    }
}
