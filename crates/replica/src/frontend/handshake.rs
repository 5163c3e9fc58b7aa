//! The first frame of a connection: ConnectRequest (`client-protocol.md` 2.2 to 2.5).

use rookeeper_proto::client::Request;
use rookeeper_proto::client::{ConnectRequest, ConnectResponse};
use rookeeper_proto::password::password;
use rookeeper_proto::{OpCode, Reader, SessionId, Xid};

use crate::clock::Now;
use crate::conns::Stage;
use crate::frontend::Flow;
use crate::ordering::Origin;
use crate::outbox::{ConnId, Outbox};
use crate::replica::{Forward, Replica, Role};
use crate::replies;
use crate::sessions::{Owner, SessionSlot};
use crate::stats;

impl Replica {
    pub(crate) fn on_connect_request(
        &mut self,
        now: Now,
        id: ConnId,
        frame: &[u8],
        outbox: &mut impl Outbox,
    ) -> Flow {
        let Ok(request) = ConnectRequest::read(&mut Reader::new(frame)) else {
            return self.drop_conn(id, "its ConnectRequest cannot be decoded", outbox);
        };
        let is_new = request.session == SessionId::NONE;
        if !self.connection_tokens.admits(now.mono_ms(), is_new) {
            self.stats.connections_rejected += 1;
            return self.drop_conn(id, "there are too many connects (connection_throttle)", outbox);
        }
        self.stats.token_deficit.add(u64::from(self.connection_tokens.deficit()));
        self.stats.connection_requests += 1;
        if self.role == Role::Looking {
            return self.drop_conn(id, "this server has no leader now", outbox);
        }
        if self.is_read_only() && request.read_only != Some(true) {
            return self.drop_conn(id, "it asks for more than a read-only server", outbox);
        }
        if !self.serves_clients() {
            return self.drop_conn(id, "a leader takes no clients (leaderServes=no)", outbox);
        }
        if self.tree.last_zxid() < request.last_zxid_seen {
            return self.drop_conn(id, "it has seen a newer zxid than this server's", outbox);
        }
        let timeout_ms = request
            .timeout_ms
            .max(self.config.min_session_timeout_ms)
            .min(self.config.max_session_timeout_ms);
        let Some(conn) = self.conns.at_mut(id) else { return Flow::Stop };
        conn.read_only_byte = request.read_only;
        conn.timeout_ms = timeout_ms;
        conn.stage = Stage::Connecting;
        conn.stats.established_wall_ms = now.wall_ms;
        if request.session == SessionId::NONE {
            self.create_session(now, id, timeout_ms, outbox)
        } else {
            self.reopen_session(now, id, &request, timeout_ms, outbox)
        }
    }

    fn create_session(
        &mut self,
        now: Now,
        id: ConnId,
        timeout_ms: i32,
        outbox: &mut impl Outbox,
    ) -> Flow {
        if self.has_local_sessions() {
            return self.create_local_session(now, id, timeout_ms, outbox);
        }
        if self.is_read_only() {
            return self.refuse_global_session(id, outbox);
        }
        if !self.accepts_writes() {
            return self.drop_conn(id, "no writes are accepted now", outbox);
        }
        let session = self.sessions.allocate_id();
        let slot = self.sessions.track(now.mono_ms(), session, timeout_ms);
        self.bind(id, session, slot);
        outbox.pause(id);
        let origin = Origin {
            conn: id,
            session,
            xid: Xid(0),
            op: OpCode::CreateSession,
            received_us: now.mono_us,
        };
        if self.role.is_learner() {
            let body = timeout_ms.to_be_bytes().to_vec();
            self.forward(session, 0, OpCode::CreateSession, body, id);
        } else {
            self.order(now, &Request::CreateSession { timeout_ms }, session, Some(origin));
        }
        Flow::Stop
    }

    /// The old connection of the session is closed before the password is checked, as Java does: a
    /// wrong password still takes the socket (not the session) from the real client.
    fn reopen_session(
        &mut self,
        now: Now,
        id: ConnId,
        request: &ConnectRequest<'_>,
        timeout_ms: i32,
        outbox: &mut impl Outbox,
    ) -> Flow {
        let session = request.session;
        if self.is_read_only() && self.tree.sessions().contains_key(&session) {
            return self.drop_conn(id, "its session needs a server with a leader", outbox);
        }
        self.stats.connections_revalidated += 1;
        if let Some(old) = self.sessions.session(session).and_then(|session| session.conn)
            && old != id
        {
            self.close_conn(old, outbox);
        }
        let is_genuine = request.password == Some(&password(session)[..]);
        if is_genuine && self.is_read_only() {
            return self.reopen_in_read_only(now, id, session, timeout_ms, outbox);
        }
        if is_genuine && self.role.is_learner() && !self.sessions.is_local(session) {
            return self.revalidate(now, id, session, timeout_ms, outbox);
        }
        let slot = self.sessions.find(session).filter(|&slot| {
            is_genuine && self.sessions.touch_with(now.mono_ms(), slot, timeout_ms)
        });
        let Some(slot) = slot else {
            return self.answer_invalid_session(id, outbox);
        };
        self.bind(id, session, slot);
        self.establish(id, outbox);
        Flow::Continue
    }

    pub(super) fn bind(&mut self, id: ConnId, session: SessionId, slot: SessionSlot) {
        if let Some(conn) = self.conns.at_mut(id) {
            conn.session = session;
            conn.slot = Some(slot);
        }
        if let Some(session) = self.sessions.at_mut(slot) {
            session.conn = Some(id);
            session.owner = Owner::Here;
            session.has_spoken = false;
            session.binds = session.binds.wrapping_add(1);
        }
    }

    /// Learner: only the leader knows which sessions live. Nothing is read until it has answered.
    fn revalidate(
        &mut self,
        now: Now,
        id: ConnId,
        session: SessionId,
        timeout_ms: i32,
        outbox: &mut impl Outbox,
    ) -> Flow {
        // The session may be so young that its creation is not applied here yet.
        let slot = self.sessions.track(now.mono_ms(), session, timeout_ms);
        self.bind(id, session, slot);
        if let Some(conn) = self.conns.at_mut(id) {
            conn.stage = Stage::Asking;
        }
        if let Some(session) = self.sessions.at_mut(slot) {
            session.questions += 1;
        }
        self.forwards.push(Forward::Revalidate { session, timeout_ms });
        self.stats.quorum.revalidations += 1;
        outbox.pause(id);
        Flow::Stop
    }

    /// Learner: the leader's answer to [`Replica::revalidate`].
    pub(crate) fn on_revalidated(
        &mut self,
        session: SessionId,
        is_valid: bool,
        outbox: &mut impl Outbox,
    ) {
        if !is_valid && !self.tree.sessions().contains_key(&session) {
            // Tracked only to be asked for, also if its connection has gone meanwhile.
            let gone = self.sessions.remove(session).and_then(|session| session.conn);
            if let Some(id) = gone {
                self.answer_invalid_session(id, outbox);
            }
            return;
        }
        let slot = self.sessions.find(session);
        let Some(found) = slot.and_then(|slot| self.sessions.at_mut(slot)) else { return };
        found.questions = found.questions.saturating_sub(1);
        let Some(id) = found.conn else { return };
        if is_valid && 0 < found.questions {
            // The answer to an older connection. Behind its question another server may have asked, and the leader
            // must hear of this one's before it hears what its client sends.
            return;
        }
        if self.conns.at(id).is_none_or(|conn| conn.stage != Stage::Asking) {
            return;
        }
        if is_valid {
            self.establish(id, outbox);
            outbox.resume(id);
            return;
        }
        self.answer_invalid_session(id, outbox);
    }

    /// Sends the ConnectResponse of a new session, for which the client asked at `received_us`.
    pub(crate) fn open_session(
        &mut self,
        now: Now,
        id: ConnId,
        received_us: u64,
        outbox: &mut impl Outbox,
    ) {
        self.establish(id, outbox);
        let latency_ms = now.mono_us.saturating_sub(received_us) / 1000;
        self.stats.on_session_opened(latency_ms);
        let zxid = self.tree.last_zxid();
        if let Some(conn) = self.conns.at_mut(id) {
            let op = stats::short_name(OpCode::CreateSession);
            conn.stats.on_served(now, op, Xid(0), zxid, latency_ms);
        }
    }

    /// Sends the ConnectResponse of a valid session; requests are read from now on.
    pub(crate) fn establish(&mut self, id: ConnId, outbox: &mut impl Outbox) {
        let is_read_only = self.is_read_only();
        let Some(conn) = self.conns.at_mut(id) else { return };
        conn.stage = Stage::Established;
        let response = ConnectResponse {
            timeout_ms: conn.timeout_ms,
            session: conn.session,
            password: password(conn.session),
            read_only: conn.read_only_byte.map(|_| is_read_only),
        };
        if let Some(out) = outbox.buffer(id) {
            replies::frame(out, |out| response.write(out));
            self.stats.packets_sent += 1;
            conn.stats.sent += 1;
            // What Java's `cons` shows of a resumed session before its first request; that of a new
            // one is noted with its txn.
            conn.stats.last_op = "null";
            conn.stats.last_cxid = 0;
            conn.stats.last_zxid = 0;
        }
    }

    /// Unknown, expired and wrongly authenticated sessions look the same (2.5).
    pub(crate) fn answer_invalid_session(&mut self, id: ConnId, outbox: &mut impl Outbox) -> Flow {
        let is_read_only = self.is_read_only();
        let Some(conn) = self.conns.at_mut(id) else { return Flow::Stop };
        conn.stage = Stage::Closing;
        let response = ConnectResponse::invalid(conn.read_only_byte.map(|_| is_read_only));
        if let Some(out) = outbox.buffer(id) {
            replies::frame(out, |out| response.write(out));
            self.stats.packets_sent += 1;
        }
        outbox.close_after_flush(id);
        Flow::Stop
    }
}
