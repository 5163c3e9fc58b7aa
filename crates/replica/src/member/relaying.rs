//! What a follower does for the observers it serves (`observerMasterPort`): it passes their clients' requests
//! on to the leader.
//!
//! To the leader all of them come from this follower. Who speaks for a session among this server's own
//! clients and its observers is therefore kept here: whatever a session sends by a way that is older than one it
//! has sent something by must not be executed any more (Java passes it on). A leader goes by who asked last
//! whether the session lives, and tells whoever it refuses that the session has moved; a follower cannot tell
//! one client that. And the question of an observer that the client gave up waiting for may come late
//! (ZOOKEEPER-710): refusing the way that the client really uses would refuse it for ever. So there are three cases:
//!
//! * nobody asked later: the request is passed on;
//! * the client has sent something by a later way, a read or a ping to this server too: it is refused;
//! * somebody asked later, and nothing has come by that way: either may be the one in use. The observer is let
//!   go; its clients come back, and ask.
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
use crate::sessions::{Owner, Session};

impl Member {
    /// Whether the connection is that of an observer which this follower serves.
    pub(super) fn is_from_observer(&self, conn: Conn) -> bool {
        self.peer.is_observer_master() && !self.peer.is_learnt_from(conn)
    }

    /// An observer's request, for the leader.
    pub(super) fn relay(&mut self, forwarded: &Forwarded) {
        let (session, cxid) = (forwarded.session, forwarded.cxid);
        let way = self.way_of(forwarded.conn, session);
        // A sync changes nothing, so it may be late; but what its client sees then is not to change behind it.
        let is_sync = forwarded.op == OpCode::Sync.as_i32();
        if way == Way::InDoubt && !is_sync {
            return self.peer.close_learner(forwarded.conn, &mut self.fx);
        }
        let is_left = way == Way::Left && !is_sync;
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
            self.claims.asked(found, observer);
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

    fn way_of(&mut self, observer: Conn, session: SessionId) -> Way {
        let slot = self.replica.sessions.find(session);
        let found = slot.and_then(|slot| self.replica.sessions.at_mut(slot));
        found.map_or(Way::Last, |found| self.claims.spoken(found, observer))
    }
}

/// A way by which a session sends something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Nobody asked for the session later.
    Last,
    /// The session has sent something by a later one.
    Left,
    /// Somebody asked for the session later, and has sent nothing of it since.
    InDoubt,
}

/// By which observers' ways a session may yet be heard.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// Of each session the observers that asked for it and through which nothing has come since, in their order,
    /// later than its owner; with the count of the session's connections to this server by then.
    askers: HashMap<SessionId, Vec<(Conn, u32)>>,
    /// When to look for sessions that have ended.
    len_max: usize,
}

impl Claims {
    /// An observer asks whether the session lives.
    fn asked(&mut self, session: &Session, observer: Conn) {
        let askers = self.askers.entry(session.id).or_default();
        askers.retain(|&(asker, binds)| asker != observer && binds == session.binds);
        askers.push((observer, session.binds));
    }

    /// Something of the session comes by way of an observer, which makes it the owner if it is not left.
    fn spoken(&mut self, session: &mut Session, observer: Conn) -> Way {
        let mut is_anyone_later = false;
        let mut has_asked = false;
        if let Some(askers) = self.askers.get_mut(&session.id) {
            // Those of before came here since.
            askers.retain(|&(_, binds)| binds == session.binds);
            if let Some(at) = askers.iter().position(|&(asker, _)| asker == observer) {
                // Whoever asked before is left for good.
                askers.drain(..=at);
                has_asked = true;
            }
            is_anyone_later = !askers.is_empty();
            if askers.is_empty() {
                self.askers.remove(&session.id);
            }
        }
        match session.owner {
            _ if has_asked => {}
            Owner::Nobody => {}
            Owner::Learner(owner) if owner == observer.0 => {}
            Owner::Here if !session.has_spoken => return Way::InDoubt,
            Owner::Here | Owner::Learner(_) => return Way::Left,
        }
        session.owner = Owner::Learner(observer.0);
        if is_anyone_later { Way::InDoubt } else { Way::Last }
    }

    /// The observer is gone; what it asked for is of no use.
    pub(super) fn forget(&mut self, observer: Conn) {
        self.askers.retain(|_, askers| {
            askers.retain(|&(asker, _)| asker != observer);
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
    use crate::sessions::{SessionSlot, SessionTracker};

    const A: Conn = Conn(1);
    const B: Conn = Conn(2);
    const C: Conn = Conn(3);

    struct World {
        claims: Claims,
        sessions: SessionTracker,
        slot: SessionSlot,
    }

    impl World {
        /// Observers that asked, in this order, for a session that was behind the first.
        fn asked(observers: &[Conn]) -> Self {
            let mut sessions = SessionTracker::new(2000, 1, 0);
            let slot = sessions.track(0, SessionId(7), 4000);
            let mut world = Self { claims: Claims::default(), sessions, slot };
            observers.iter().for_each(|&observer| world.ask(observer));
            world
        }

        fn session(&mut self) -> &mut Session {
            self.sessions.at_mut(self.slot).expect("tracked")
        }

        fn ask(&mut self, observer: Conn) {
            let session = self.sessions.at_mut(self.slot).expect("tracked");
            self.claims.asked(session, observer);
        }

        fn speak(&mut self, observer: Conn) -> Way {
            let session = self.sessions.at_mut(self.slot).expect("tracked");
            self.claims.spoken(session, observer)
        }

        /// As `bind` does.
        fn connect_here(&mut self) {
            let session = self.session();
            session.binds += 1;
            (session.owner, session.has_spoken) = (Owner::Here, false);
        }
    }

    #[test]
    fn the_way_that_was_used_later_counts() {
        let mut world = World::asked(&[A, B]);
        assert_eq!(world.speak(B), Way::Last);
        assert_eq!(world.speak(A), Way::Left);
        assert_eq!(world.speak(B), Way::Last);
        assert!(world.claims.askers.is_empty());
    }

    /// The question may be late and the client where it was (simulator, 9182); or the leader may have learnt by
    /// it that this follower speaks for the session again, and what comes is older (13337).
    #[test]
    fn behind_a_question_that_nothing_followed_the_older_way_is_in_doubt() {
        let mut world = World::asked(&[A]);
        assert_eq!(world.speak(A), Way::Last);
        world.ask(B);
        assert_eq!(world.speak(A), Way::InDoubt);
        // It was let go, and its client asks again.
        world.claims.forget(A);
        world.ask(C);
        assert_eq!(world.speak(C), Way::Last);
        assert_eq!(world.speak(B), Way::Left);
    }

    #[test]
    fn who_asked_before_the_one_that_spoke_is_left() {
        let mut world = World::asked(&[A, B, C]);
        assert_eq!(world.speak(C), Way::Last);
        assert_eq!(world.speak(A), Way::Left);
        assert_eq!(world.speak(B), Way::Left);
        world.ask(A);
        assert_eq!(world.speak(A), Way::Last);
        assert_eq!(world.speak(C), Way::Left);
    }

    #[test]
    fn this_servers_own_client_comes_after_all_that_asked_before() {
        let mut world = World::asked(&[A, B]);
        world.connect_here();
        assert_eq!(world.speak(A), Way::InDoubt, "it may have given up");
        world.session().has_spoken = true;
        assert_eq!(world.speak(A), Way::Left);
        assert_eq!(world.speak(B), Way::Left);
        world.ask(A);
        assert_eq!(world.speak(A), Way::Last);
        assert_eq!(world.speak(B), Way::Left);
    }

    #[test]
    fn a_session_that_began_behind_an_observer_needs_no_question() {
        let mut world = World::asked(&[]);
        assert_eq!(world.speak(A), Way::Last);
        assert_eq!(world.speak(B), Way::Left);
    }

    #[test]
    fn sessions_that_have_ended_are_forgotten() {
        let mut world = World::asked(&[A, B]);
        world.claims.forget_ended(|_| false);
        assert!(world.claims.askers.is_empty());
        world.ask(B);
        world.claims.forget_ended(|_| false);
        assert_eq!(world.claims.askers.len(), 1, "too few to be looked at");
    }

    #[test]
    fn an_observer_that_is_gone_is_forgotten() {
        let mut world = World::asked(&[A, B]);
        world.claims.forget(B);
        assert_eq!(world.speak(A), Way::Last);
        world.ask(B);
        world.claims.forget(B);
        assert!(world.claims.askers.is_empty());
    }
}
