//! Sessions that only this server knows (`client-protocol.md` 2.8): neither their creation nor their end
//! is a txn, and they end with this server's role. What needs every server to know the session, an
//! ephemeral, makes it a global one first or is refused, as configured.
//!
//! Java: QuorumZooKeeperServer.checkUpgradeSession, LearnerSessionTracker, LeaderSessionTracker.

use rookeeper_proto::client::request::Create;
use rookeeper_proto::client::{MultiOp, Request, RequestHeader};
use rookeeper_proto::{CreateMode, ErrorCode, OpCode, Reader, SessionId, Xid};

use crate::auth::Identities;
use crate::clock::Now;
use crate::config::LocalSessions;
use crate::conns::{Pending, Stage};
use crate::frontend::Flow;
use crate::notice::Notice;
use crate::outbox::{ConnId, Outbox};
use crate::prep::SessionState;
use crate::replica::{Forward, Replica};
use crate::replies;

impl Replica {
    /// Whether new sessions are local.
    pub(crate) fn has_local_sessions(&self) -> bool {
        self.config.local_sessions != LocalSessions::Off
    }

    pub(super) fn create_local_session(
        &mut self,
        now: Now,
        id: ConnId,
        timeout_ms: i32,
        outbox: &mut impl Outbox,
    ) -> Flow {
        let session = self.sessions.allocate_id();
        let slot = self.sessions.track_local(now.mono_ms(), session, timeout_ms);
        self.bind(id, session, slot);
        self.open_session(now, id, now.mono_us, outbox);
        Flow::Continue
    }

    /// Before a write of `session` is prepared or forwarded: makes the session global if the write needs
    /// that. Where sessions stay local, the code that the client gets for its write.
    pub(super) fn upgrade_for(
        &mut self,
        now: Now,
        session: SessionId,
        request: &Request<'_>,
    ) -> Option<ErrorCode> {
        if !needs_global_session(request) || !self.sessions.is_local(session) {
            return None;
        }
        if self.config.local_sessions != LocalSessions::Upgradable {
            return Some(ErrorCode::EphemeralOnLocalSession);
        }
        let timeout_ms = self.sessions.session(session).map_or(0, |session| session.timeout_ms);
        self.sessions.set_global(session);
        if self.role.is_learner() {
            let (op, body) = (OpCode::CreateSession, timeout_ms.to_be_bytes().to_vec());
            let ids = Identities::none();
            self.forwards.push(Forward::Request { session, cxid: 0, op, body, ids });
        } else {
            self.order(now, &Request::CreateSession { timeout_ms }, session, None);
        }
        None
    }

    /// A client closes its local session: at once, or behind what it still waits for.
    pub(super) fn on_local_close(
        &mut self,
        now: Now,
        id: ConnId,
        frame: &[u8],
        outbox: &mut impl Outbox,
    ) {
        let Some(conn) = self.conns.at_mut(id) else { return };
        if conn.pending.is_empty() {
            return self.close_local_session(now, id, frame, now.mono_us, outbox);
        }
        // Nothing behind it is executed or answered (2.7).
        conn.stage = Stage::Closing;
        let ids = conn.ids.clone();
        conn.pending.push_back(Pending::Held {
            frame: frame.into(),
            ids,
            received_us: now.mono_us,
        });
        outbox.pause(id);
    }

    /// Answers the close and ends session and connection.
    pub(crate) fn close_local_session(
        &mut self,
        now: Now,
        id: ConnId,
        frame: &[u8],
        received_us: u64,
        outbox: &mut impl Outbox,
    ) {
        let Some(conn) = self.conns.at(id) else { return };
        self.sessions.remove(conn.session);
        let xid = RequestHeader::read(&mut Reader::new(frame)).map_or(Xid(0), |header| header.xid);
        if let Some(out) = outbox.buffer(id) {
            let bytes = replies::header_only(out, xid, self.tree.last_zxid(), ErrorCode::Ok);
            let latency_ms = now.mono_us.saturating_sub(received_us) / 1000;
            self.stats.on_reply(OpCode::CloseSession, latency_ms, bytes);
        }
        self.close_conn_after_flush(id, outbox);
    }

    /// Of a server that does not expire global sessions.
    pub(crate) fn expire_local_sessions(&mut self, now: Now, outbox: &mut impl Outbox) {
        for session in self.sessions.expire_local(now.mono_ms()) {
            self.note_expired(session);
            self.end_local_session(session, outbox);
        }
    }

    /// Forgets an expired local session and closes its connection.
    pub(crate) fn end_local_session(&mut self, session: SessionId, outbox: &mut impl Outbox) {
        if let Some(conn) = self.sessions.remove(session).and_then(|session| session.conn) {
            self.close_conn_after_flush(conn, outbox);
        }
    }

    pub(crate) fn note_expired(&mut self, session: SessionId) {
        let timeout_ms = self.sessions.session(session).map_or(0, |s| s.timeout_ms);
        self.stats.sessions_expired += 1;
        self.notices.push(Notice::SessionExpired { session, timeout_ms });
    }

    /// Leader: what a write of a session that is local here can do.
    pub(crate) fn local_session_state(&self, request: &Request<'_>) -> SessionState {
        // Java refuses the ephemerals of createContainer and createTTL as of an unknown session.
        if needs_global_session(request) { SessionState::Local } else { SessionState::Foreign }
    }

    /// Leader: an unknown session may be a local one of the learner that sent the write. One whose id
    /// was given out here would be known. And one that was global, and has ended, is none: a write that it
    /// sent by way of a slow learner may come behind its end. (Java executes it; found by the simulator.)
    pub(crate) fn may_be_local_elsewhere(&self, session: SessionId) -> bool {
        self.has_local_sessions()
            && (session.0 >> 56) as u8 != self.config.server_id
            && !self.sessions.has_ended(session)
    }
}

/// Whether Java makes a session global for this.
fn needs_global_session(request: &Request<'_>) -> bool {
    let is_ephemeral = |create: &Create<'_>| {
        CreateMode::from_flags(create.flags).is_some_and(CreateMode::is_ephemeral)
    };
    match request {
        Request::Create(create) | Request::Create2(create) => is_ephemeral(create),
        Request::Multi(ops) => ops.iter().any(|op| match op {
            MultiOp::Create(create) | MultiOp::Create2(create) => is_ephemeral(create),
            _ => false,
        }),
        _ => false,
    }
}
