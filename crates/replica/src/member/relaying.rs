//! What a follower does for the observers it serves (`observerMasterPort`): it passes their clients' requests
//! on to the leader.
//!
//! To the leader all of them come from this follower. Who speaks for a session among this server's own
//! clients and its observers is therefore kept here, as a leader keeps it among its learners: the last one
//! that asked whether the session lives. What comes from another is older and must not be executed any more
//! (Java passes it on). Only the leader could say to one client that its session has moved, so the observer is
//! let go, with all of its clients: the one that uses the session, should the question of another have
//! been late (ZOOKEEPER-710), then comes back and speaks for it again.
//!
//! Nor is anything passed on that a Java leader does not survive. It still needs its answer, in order: in
//! its place goes a request that every leader refuses.

use rookeeper_proto::client::Request;
use rookeeper_proto::client::request::PathVersion;
use rookeeper_proto::quorum::ForwardedBody;
use rookeeper_proto::{OpCode, Reader, SessionId};
use rookeeper_zab::{Conn, Forwarded};

use super::Member;
use crate::outbox::{ConnId, Outbox};
use crate::prep;
use crate::replica::Replica;
use crate::sessions::Owner;

impl Member {
    /// Whether the connection is that of an observer which this follower serves.
    pub(super) fn is_from_observer(&self, conn: Conn) -> bool {
        self.peer.is_observer_master() && !self.peer.is_learnt_from(conn)
    }

    /// An observer's request, for the leader.
    pub(super) fn relay(&mut self, forwarded: &Forwarded) {
        let (session, cxid) = (forwarded.session, forwarded.cxid);
        let is_write = forwarded.op != OpCode::Sync.as_i32();
        if is_write && !self.replica.speaks_for(forwarded.conn, session) {
            return self.peer.close_learner(forwarded.conn, &mut self.fx);
        }
        let mut refused = Vec::new();
        let (op, body) = if is_harmless(forwarded) {
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

    /// A client moved to an observer: from now on that one speaks for its session here, if it lives.
    pub(super) fn relay_revalidate(
        &mut self,
        observer: Conn,
        session: SessionId,
        timeout_ms: i32,
        outbox: &mut impl Outbox,
    ) {
        if let Some(old) = self.replica.hand_over(session, observer) {
            self.replica.close_conn(old, outbox);
        }
        self.replica.stats.quorum.revalidations += 1;
        let sent = self.peer.relay_revalidate(observer, session, timeout_ms, &mut self.fx);
        if sent.is_err() {
            self.peer.close_learner(observer, &mut self.fx);
        }
    }
}

impl Replica {
    /// Whether no other of this server's clients and observers speaks for the session.
    fn speaks_for(&self, observer: Conn, session: SessionId) -> bool {
        self.sessions.session(session).is_none_or(|session| {
            matches!(session.owner, Owner::Nobody) || session.owner == Owner::Learner(observer.0)
        })
    }

    /// Makes an observer the one that speaks for a session. Returns the own connection that did.
    fn hand_over(&mut self, session: SessionId, observer: Conn) -> Option<ConnId> {
        let slot = self.sessions.find(session)?;
        let session = self.sessions.at_mut(slot).filter(|session| !session.is_local)?;
        session.owner = Owner::Learner(observer.0);
        session.conn
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
