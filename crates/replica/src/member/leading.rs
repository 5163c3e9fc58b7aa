//! What a leader does beyond a standalone server: it takes the writes of learners' clients.

use rookeeper_proto::client::Request;
use rookeeper_proto::client::request::PathVersion;
use rookeeper_proto::{Id, OpCode, Reader, SessionId};
use rookeeper_zab::limits::COUNTER_MAX;
use rookeeper_zab::{Forwarded, ProposeError, TxnRecord};

use super::{Member, at};
use crate::auth::Identities;
use crate::clock::Now;
use crate::membership::Membership;
use crate::prep::WriteRequest;
use crate::replica::{Replica, Role, judge_reconfig};
use crate::sessions::Owner;

impl Member {
    pub(super) fn on_forwarded(&mut self, now: Now, forwarded: Forwarded) {
        if self.peer.is_observer_master() {
            return self.relay(&forwarded);
        }
        if self.replica.role() != Role::Leading {
            return;
        }
        self.replica.claim(forwarded.session, Owner::Learner(forwarded.conn.0));
        if forwarded.op == OpCode::Sync.as_i32() {
            // Behind everything prepared so far.
            let behind = self.replica.prep.last_zxid();
            self.waiting_syncs.push_back((behind, forwarded.conn));
            return self.propose_all(now);
        }
        self.replica.order_forwarded(now, &forwarded);
    }

    /// Tells the replica what a reconfig is to be judged by, until the end of the next turn.
    pub(super) fn tell_membership(&mut self) {
        if !self.peer.is_reconfig_enabled() {
            return;
        }
        let synced = self.peer.synced_voters();
        self.replica.set_membership(synced.map(|synced| Membership {
            last_seen: self.peer.last_seen_config().clone(),
            is_pending: self.peer.last_seen_config().version != self.peer.config().version,
            synced,
            voters_min: self.replica.config().voters_min,
        }));
    }

    /// Proposes what was prepared. What does not fit now stays, in order, until something is
    /// committed: its zxids are given out, so nothing may pass it.
    pub(super) fn propose_all(&mut self, now: Now) {
        let mut fresh = Vec::new();
        self.replica.ordering.take_proposals(&mut fresh);
        self.proposals.extend(fresh);
        while let Some((zxid, bytes)) = self.proposals.front().cloned() {
            let record = TxnRecord { zxid, bytes };
            match self.peer.propose(at(now), record, &mut self.fx) {
                Ok(()) => self.proposals.pop_front(),
                Err(ProposeError::Full) if zxid.counter() < COUNTER_MAX => break,
                Err(error) => {
                    self.proposals.clear();
                    return self.peer.step_down(at(now), &error.to_string(), &mut self.fx);
                }
            };
        }
        let first_left = self.proposals.front().map(|&(zxid, _)| zxid);
        while let Some(&(behind, conn)) = self.waiting_syncs.front()
            && first_left.is_none_or(|left| behind < left)
        {
            self.waiting_syncs.pop_front();
            self.peer.sync_for(conn, &mut self.fx);
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
                    session.owner = Owner::Learner(forwarded.conn.0);
                }
            }
            Request::CloseSession => self.sessions.set_closing(session),
            _ => {}
        }
        let ids = identities(&forwarded.auth);
        let next = self.prep.next_zxid();
        let reconfig = judge_reconfig(&mut self.membership, &request, next);
        let mut scratch = self.ordering.take_scratch();
        let write = WriteRequest {
            session,
            session_state: self.session_state(session, Owner::Learner(forwarded.conn.0), &request),
            cxid: forwarded.cxid,
            time_ms: now.wall_ms,
            request: &request,
            ids: &ids,
            reconfig: reconfig.as_ref().map(|text| text.as_deref().map_err(|code| *code)),
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
                let leads = self.role == Role::Leading;
                self.sessions.touch_from_elsewhere(now.mono_ms(), slot, timeout_ms, leads);
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
        // A local session of this server is no other's.
        if self.sessions.is_local(session)
            || !self.sessions.touch_with(now.mono_ms(), slot, timeout_ms)
        {
            return false;
        }
        if let Some(session) = self.sessions.at_mut(slot) {
            session.owner = Owner::Learner(learner);
        }
        true
    }
}

fn identities(auth: &[Id]) -> Identities {
    let mut ids = Identities::none();
    auth.iter().for_each(|id| ids.add(&id.scheme, &id.id));
    ids
}
