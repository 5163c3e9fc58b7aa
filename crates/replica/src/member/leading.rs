//! What a leader does beyond a standalone server: it takes the writes of learners' clients.

use rookeeper_proto::client::Request;
use rookeeper_proto::client::request::PathVersion;
use rookeeper_proto::{Id, OpCode, Reader, SessionId};
use rookeeper_zab::Forwarded;

use super::Member;
use crate::auth::Identities;
use crate::clock::Now;
use crate::prep::WriteRequest;
use crate::replica::{Replica, Role};

impl Member {
    pub(super) fn on_forwarded(&mut self, now: Now, forwarded: Forwarded) {
        if self.replica.role() != Role::Leading {
            return;
        }
        if forwarded.op == OpCode::Sync.as_i32() {
            // Behind everything prepared so far: proposals of this turn must leave first.
            self.propose_forwarded(now);
            self.peer.sync_for(forwarded.conn, &mut self.fx);
            return;
        }
        self.replica.order_forwarded(now, &forwarded);
    }

    fn propose_forwarded(&mut self, now: Now) {
        let mut proposals = Vec::new();
        self.replica.ordering.take_proposals(&mut proposals);
        for (zxid, bytes) in proposals {
            let record = rookeeper_zab::TxnRecord { zxid, bytes };
            if let Err(error) = self.peer.propose(super::at(now), record, &mut self.fx) {
                self.peer.step_down(super::at(now), &error.to_string(), &mut self.fx);
                return;
            }
        }
    }
}

impl Replica {
    /// Prepares a write that a learner sent. One that cannot be decoded becomes an error txn with a
    /// zxid of its own: the learner waits for an answer, and Java's way (reusing the last zxid)
    /// stops its followers.
    pub(crate) fn order_forwarded(&mut self, now: Now, forwarded: &Forwarded) {
        let session = forwarded.session;
        let op = OpCode::from_i32(forwarded.op).filter(|op| op.is_write());
        let decoded = op.and_then(|op| Request::read(op, &mut Reader::new(&forwarded.body)).ok());
        let undecodable = Request::Delete(PathVersion { path: None, version: -1 });
        let request = decoded.unwrap_or(undecodable);
        match request {
            Request::CreateSession { timeout_ms } => {
                let slot = self.sessions.track(now.mono_ms(), session, timeout_ms);
                if let Some(session) = self.sessions.at_mut(slot) {
                    session.owner = Some(forwarded.conn.0);
                }
            }
            Request::CloseSession => self.sessions.set_closing(session),
            _ => {}
        }
        let ids = identities(&forwarded.auth);
        let mut scratch = self.ordering.take_scratch();
        let write = WriteRequest {
            session,
            session_state: self.session_state(session, Some(forwarded.conn.0)),
            cxid: forwarded.cxid,
            time_ms: now.wall_ms,
            request: &request,
            ids: &ids,
            reconfig: None,
        };
        let zxid = self.prep.prepare(&self.tree, &self.auth, &write, &mut scratch).zxid;
        self.stats.on_proposal(scratch.len());
        if self.snapshotter.on_append(scratch.len()) {
            self.ordering.roll();
        }
        self.ordering.push(zxid, scratch, None, true);
    }

    /// A learner heard of these.
    pub(crate) fn on_touches(&mut self, now: Now, sessions: &[(SessionId, i32)]) {
        for &(session, timeout_ms) in sessions {
            if let Some(slot) = self.sessions.find(session) {
                self.sessions.touch_with(now.mono_ms(), slot, timeout_ms);
            }
        }
    }

    /// A client moved to a learner. Whether its session lives; if so, that learner speaks for it.
    pub(crate) fn on_revalidate(
        &mut self,
        now: Now,
        learner: u64,
        session: SessionId,
        timeout_ms: i32,
    ) -> bool {
        let Some(slot) = self.sessions.find(session) else { return false };
        if !self.sessions.touch_with(now.mono_ms(), slot, timeout_ms) {
            return false;
        }
        if let Some(session) = self.sessions.at_mut(slot) {
            session.owner = Some(learner);
        }
        true
    }
}

fn identities(auth: &[Id]) -> Identities {
    let mut ids = Identities::none();
    auth.iter().for_each(|id| ids.add(&id.scheme, &id.id));
    ids
}
