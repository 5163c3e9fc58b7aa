//! Where frames of clients come in: handshake, authentication, the gate that keeps each session's
//! order, reads.
//!
//! The whole replica runs on one thread, so a read sees the tree between two txns. What keeps a
//! session's order is its queue of unanswered requests ([`crate::conns::Pending`]):
//!
//! * empty: a read is answered at once, within the call that brought it;
//! * not empty: the read is held behind the writes before it, and evaluated right after the last of
//!   them is applied, before the next txn is. Pipelined `set, get, set` thus neither misses the first
//!   nor sees the second;
//! * a write is prepared at once in either case: it cannot overtake a read, because held reads run
//!   before it is applied.
//!
//! Java: ZooKeeperServer.processPacket, CommitProcessor, FinalRequestProcessor.

mod eager;
mod handshake;
mod local_sessions;
pub(crate) mod quiet;
mod read_only;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use rookeeper_proto::client::request::PathWatch;
use rookeeper_proto::client::{MultiOp, Request, RequestHeader};
use rookeeper_proto::{ErrorCode, OpCode, Reader, SessionId, Xid, Zxid};

use crate::auth::{AuthOutcome, Identities};
use crate::clock::Now;
use crate::conns::{Pending, Stage};
use crate::limits;
use crate::ordering::Origin;
use crate::outbox::{ConnId, Outbox};
use crate::prep::is_fatal;
use crate::reads::ReadContext;
use crate::replica::{Forward, Replica, Role};
use crate::replies;
use crate::sessions::Owner;
use crate::stats;

/// Whether further frames of the connection may be delivered now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Yes.
    Continue,
    /// Not before the shell is told to resume, or never.
    Stop,
}

/// Why a connection is refused at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// `maxClientCnxns` connections from this address.
    TooManyFromAddress,
    /// `maxCnxns` connections.
    TooMany,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TooManyFromAddress => {
                "Too many connections from this address - max is maxClientCnxns"
            }
            Self::TooMany => "Too many connections - max is maxCnxns",
        })
    }
}

impl Replica {
    /// A connection was accepted. On refusal the shell resets it.
    pub fn on_accept(
        &mut self,
        now: Now,
        id: ConnId,
        peer: SocketAddr,
        is_secure: bool,
    ) -> Result<(), Refused> {
        let per_address = self.config.max_client_cnxns;
        let refused = if 0 < per_address && per_address <= self.conns.from_address(peer.ip()) {
            Some(Refused::TooManyFromAddress)
        } else if 0 < self.config.max_cnxns && self.config.max_cnxns as usize <= self.conns.len() {
            Some(Refused::TooMany)
        } else {
            None
        };
        if let Some(refused) = refused {
            self.stats.connections_rejected += 1;
            return Err(refused);
        }
        self.conns.insert(now, id, peer, is_secure);
        let deadline_ms = self.config.sessionless_deadline_ms(now.mono_ms());
        self.sessionless.push_back((deadline_ms, id));
        Ok(())
    }

    /// A connection is gone. Its session lives on until it expires; writes it has submitted are
    /// still executed.
    pub fn on_closed(&mut self, id: ConnId) {
        self.watches.remove_connection(id);
        let Some(conn) = self.conns.remove(id) else { return };
        self.paused.retain(|&paused| paused != id);
        if let Some(slot) = conn.slot
            && let Some(session) = self.sessions.at_mut(slot)
            && session.conn == Some(id)
        {
            session.conn = None;
            let is_closing = conn.stage == Stage::Closing && session.is_local;
            if is_closing || self.role == Role::ReadOnly && !session.is_local {
                // Its close was still held; or it was only borrowed (`read_only`).
                self.sessions.remove(conn.session);
            }
        }
    }

    /// A whole frame arrived.
    pub fn on_frame(
        &mut self,
        now: Now,
        id: ConnId,
        frame: &[u8],
        outbox: &mut impl Outbox,
    ) -> Flow {
        let Some(conn) = self.conns.at_mut(id) else { return Flow::Stop };
        conn.stats.received += 1;
        self.stats.packets_received += 1;
        self.stats.bytes_received += frame.len() as u64 + 4;
        match conn.stage {
            Stage::Established => self.on_request(now, id, frame, outbox),
            Stage::Fresh => self.on_connect_request(now, id, frame, outbox),
            // Paused or closing: the shell delivers nothing, and what it does is not for us.
            Stage::Connecting | Stage::Asking | Stage::Closing => Flow::Stop,
        }
    }

    fn on_request(&mut self, now: Now, id: ConnId, frame: &[u8], outbox: &mut impl Outbox) -> Flow {
        let Ok(header) = RequestHeader::read(&mut Reader::new(frame)) else {
            return self.drop_conn(id, "a frame is too short for a request header", outbox);
        };
        let op = OpCode::from_i32(header.op);
        if op == Some(OpCode::Auth) {
            return self.on_auth(id, header.xid, frame, outbox);
        }
        if op == Some(OpCode::Sasl) {
            return self.on_sasl(id, header.xid, frame, outbox);
        }
        let Some(conn) = self.conns.at_mut(id) else { return Flow::Stop };
        if !self.auth.may_request(&conn.ids) {
            let code = ErrorCode::SessionClosedRequireSaslAuth;
            return self.answer_and_close(id, header.xid, Zxid::ZERO, code, outbox);
        }
        let is_alive = conn.slot.is_some_and(|slot| self.sessions.touch(now.mono_ms(), slot));
        if !is_alive {
            // Expired or closing: dropped silently; the closing txn closes the connection.
            return Flow::Continue;
        }
        if self.role.is_learner()
            && let Some(session) = conn.slot.and_then(|slot| self.sessions.at_mut(slot))
        {
            session.owner = Owner::Here;
            session.has_spoken = true;
        }
        let Some(op) = op.filter(|op| op.is_client_request()) else {
            let code = ErrorCode::Unimplemented;
            return self.answer_and_close(id, header.xid, Zxid::UNKNOWN, code, outbox);
        };
        let session = conn.session;
        if self.is_read_only() && self.is_refused_in_read_only(op, session) {
            self.answer_not_read_only(id, header.xid, outbox);
            return Flow::Continue;
        }
        if self.is_quiet() {
            return self.on_quiet_request(now, id, op, frame, outbox);
        }
        if op == OpCode::CloseSession && self.sessions.is_local(session) {
            self.on_local_close(now, id, frame, outbox);
            return Flow::Stop;
        }
        if op.is_write() && self.submit_write(now, id, header.xid, op, frame, outbox) {
            return self.flow(id, outbox);
        }
        if op == OpCode::Sync && self.role.is_learner() {
            self.submit_sync(now, id, header.xid, frame);
            return self.flow(id, outbox);
        }
        if op == OpCode::Sync && self.role == Role::Leading {
            self.claim(session, Owner::Here);
        }
        let Some(conn) = self.conns.at_mut(id) else { return Flow::Stop };
        if conn.stage != Stage::Established {
            return Flow::Stop;
        }
        let is_held = !conn.pending.is_empty();
        let is_held = is_held && !planted!(ReadNotHeld);
        if !is_held {
            let ids = conn.ids.clone();
            self.answer(now, id, frame, &ids, now.mono_us, outbox);
            return Flow::Continue;
        }
        let held =
            Pending::Held { frame: frame.into(), ids: conn.ids.clone(), received_us: now.mono_us };
        conn.pending.push_back(held);
        self.flow(id, outbox)
    }

    /// Prepares and orders a write. False when it is to be answered in its turn like a read, with -5
    /// and without a txn: Java fails on it before it has a zxid (see [`decode_write`]). A learner
    /// answers all that cannot be decoded: a Java leader is not to see it.
    fn submit_write(
        &mut self,
        now: Now,
        id: ConnId,
        xid: Xid,
        op: OpCode,
        frame: &[u8],
        outbox: &mut impl Outbox,
    ) -> bool {
        let body = &frame[RequestHeader::ENCODED_BYTES..];
        let Some(request) = decode_write(op, body, self.role.is_learner()) else { return false };
        if !self.accepts_writes() {
            self.drop_conn(id, "no writes are accepted now", outbox);
            return true;
        }
        let Some(conn) = self.conns.at(id) else { return true };
        let session = conn.session;
        if conn.pending.is_empty()
            && let Some(code) = self.eager_refusal(&request, &conn.ids)
        {
            self.answer_unheard(id, xid, Zxid::ZERO, code, outbox);
            return true;
        }
        let refusal = self.upgrade_for(now, session, &request);
        let zxid = if self.role.is_learner() {
            let body = frame[RequestHeader::ENCODED_BYTES..].to_vec();
            self.forward(session, xid.0, op, body, id);
            None
        } else {
            let origin = Origin { conn: id, session, xid, op, received_us: now.mono_us };
            let zxid = self.order(now, &request, session, Some(origin));
            self.large_requests.began(zxid, frame.len());
            Some(zxid)
        };
        let Some(conn) = self.conns.at_mut(id) else { return true };
        let received_us = now.mono_us;
        conn.pending.push_back(Pending::Write { xid, op, zxid, received_us, refusal });
        if op == OpCode::CloseSession {
            // Nothing behind it is executed or answered (2.7).
            conn.stage = Stage::Closing;
            self.sessions.set_closing(session);
            outbox.pause(id);
        }
        true
    }

    /// Learner: queues something for the leader.
    pub(crate) fn forward(
        &mut self,
        session: SessionId,
        cxid: i32,
        op: OpCode,
        body: Vec<u8>,
        id: ConnId,
    ) {
        let ids = self.conns.at(id).map(|conn| conn.ids.clone()).unwrap_or_default();
        self.forwards.push(Forward::Request { session, cxid, op, body, ids });
    }

    /// Learner: a sync goes to the leader and comes back behind every commit it must see.
    fn submit_sync(&mut self, now: Now, id: ConnId, xid: Xid, frame: &[u8]) {
        let Some(conn) = self.conns.at_mut(id) else { return };
        let session = conn.session;
        conn.pending.push_back(Pending::Sync { frame: frame.into(), received_us: now.mono_us });
        self.syncs.push_back(id);
        let body = frame[RequestHeader::ENCODED_BYTES..].to_vec();
        self.forward(session, xid.0, OpCode::Sync, body, id);
    }

    /// Learner: the oldest sync is answered.
    pub(crate) fn on_synced(&mut self, now: Now, outbox: &mut impl Outbox) {
        self.answer_oldest_sync(now, outbox);
        // What piled up behind it may have paused the connection.
        self.resume_paused(outbox);
    }

    fn answer_oldest_sync(&mut self, now: Now, outbox: &mut impl Outbox) {
        let Some(id) = self.syncs.pop_front() else { return };
        let Some(conn) = self.conns.at_mut(id) else { return };
        // Everything before it in its session was sent before it, so it was committed before it.
        if !matches!(conn.pending.front(), Some(Pending::Sync { .. })) {
            return;
        }
        let Some(Pending::Sync { frame, received_us }) = conn.pending.pop_front() else { return };
        let ids = conn.ids.clone();
        self.answer(now, id, &frame, &ids, received_us, outbox);
        self.answer_held(now, id, outbox);
    }

    /// Pauses a connection that runs too far ahead (see [`crate::limits`]).
    fn flow(&mut self, id: ConnId, outbox: &mut impl Outbox) -> Flow {
        let in_flight = self.ordering.in_flight();
        let Some(conn) = self.conns.at_mut(id) else { return Flow::Stop };
        if conn.stage != Stage::Established {
            return Flow::Stop;
        }
        let is_over = self.config.global_outstanding_limit < in_flight
            || limits::IN_FLIGHT_BYTES_MAX < self.ordering.in_flight_bytes()
            || self.config.pending_per_conn_max <= conn.pending.len();
        if !is_over {
            return Flow::Continue;
        }
        if !conn.is_paused {
            conn.is_paused = true;
            self.paused.push(id);
            outbox.pause(id);
        }
        Flow::Stop
    }

    /// Lets paused connections go on once there is room again.
    pub(crate) fn resume_paused(&mut self, outbox: &mut impl Outbox) {
        if self.paused.is_empty()
            || self.config.global_outstanding_limit / 2 < self.ordering.in_flight()
            || limits::IN_FLIGHT_BYTES_MAX / 2 < self.ordering.in_flight_bytes()
        {
            return;
        }
        let limit = self.config.pending_per_conn_max / 2;
        let conns = &mut self.conns;
        self.paused.retain(|&id| {
            let Some(conn) = conns.at_mut(id) else { return false };
            if limit < conn.pending.len() {
                return true;
            }
            conn.is_paused = false;
            outbox.resume(id);
            false
        });
    }

    /// Evaluates a request that is no write, and appends its reply.
    pub(crate) fn answer(
        &mut self,
        now: Now,
        id: ConnId,
        frame: &[u8],
        ids: &Identities,
        received_us: u64,
        outbox: &mut impl Outbox,
    ) {
        let mut reader = Reader::new(frame);
        let Ok(header) = RequestHeader::read(&mut reader) else { return };
        let Some(op) = OpCode::from_i32(header.op) else { return };
        let Some(conn) = self.conns.at_mut(id) else { return };
        let Some(out) = outbox.buffer(id) else { return };
        let zxid = self.tree.last_zxid();
        let xid = if op == OpCode::Ping { Xid::PING } else { header.xid };
        let start = out.len();
        let mut events = std::mem::take(&mut self.catch_up_events);
        let mut context = ReadContext {
            tree: &self.tree,
            watches: &mut self.watches,
            auth: &self.auth,
            namespaces: &mut self.stats.namespaces,
            ids,
            conn: id,
            session: conn.session,
        };
        // An error is in the header already.
        let _ = replies::reply(out, xid, zxid, |out| {
            let request =
                Request::read(op, &mut reader).map_err(|_| ErrorCode::MarshallingError)?;
            context.evaluate(&request, &mut events, out)
        });
        let reply_bytes = out.len() - start;
        if !events.is_empty() {
            // Catch-up events of setWatches leave before its reply.
            out.splice(start..start, events.drain(..));
        }
        self.catch_up_events = events;
        let latency_ms = now.mono_us.saturating_sub(received_us) / 1000;
        conn.stats.on_reply(now, stats::short_name(op), xid, zxid, latency_ms);
        self.stats.on_reply(op, latency_ms, reply_bytes);
    }

    /// Adds credentials. Answered at once, also before requests still waiting (4.3).
    fn on_auth(&mut self, id: ConnId, xid: Xid, frame: &[u8], outbox: &mut impl Outbox) -> Flow {
        let mut reader = Reader::new(&frame[RequestHeader::ENCODED_BYTES..]);
        let Ok(Request::Auth(auth)) = Request::read(OpCode::Auth, &mut reader) else {
            return self.drop_conn(id, "its auth packet cannot be decoded", outbox);
        };
        let Some(conn) = self.conns.at_mut(id) else { return Flow::Stop };
        let mut ids = conn.ids.clone();
        let peer = conn.peer.ip();
        match self.auth.authenticate(auth.scheme.as_deref(), auth.auth, peer, &mut ids) {
            AuthOutcome::Ok => {
                conn.ids = ids;
                if let Some(out) = outbox.buffer(id) {
                    replies::header_only(out, xid, Zxid::ZERO, ErrorCode::Ok);
                    self.stats.packets_sent += 1;
                    conn.stats.sent += 1;
                }
                Flow::Continue
            }
            AuthOutcome::Failed => {
                self.stats.auth_failed += 1;
                self.answer_and_close(id, xid, Zxid::ZERO, ErrorCode::AuthFailed, outbox)
            }
            AuthOutcome::CloseSilently => {
                self.stats.auth_failed += 1;
                self.drop_conn(id, "its ensemble name is refused", outbox)
            }
        }
    }

    /// SASL is not configured (the security work adds it): an empty token with no error, as a Java
    /// server without a JAAS section answers (7.7); also to a null token, which ends Java's
    /// connection without a word.
    fn on_sasl(&mut self, id: ConnId, xid: Xid, frame: &[u8], outbox: &mut impl Outbox) -> Flow {
        let mut reader = Reader::new(&frame[RequestHeader::ENCODED_BYTES..]);
        let Ok(Request::Sasl(_token)) = Request::read(OpCode::Sasl, &mut reader) else {
            return self.drop_conn(id, "its SASL packet cannot be decoded", outbox);
        };
        let Some(conn) = self.conns.at_mut(id) else { return Flow::Stop };
        if let Some(out) = outbox.buffer(id) {
            // Infallible: the body is one null buffer.
            let _ = replies::reply(out, xid, Zxid::ZERO, |out| {
                rookeeper_proto::JuteWrite::put_buffer(out, None);
                Ok(())
            });
            self.stats.packets_sent += 1;
            conn.stats.sent += 1;
        }
        Flow::Continue
    }

    /// Answers a request that goes no further with an error and no body.
    fn answer_unheard(
        &mut self,
        id: ConnId,
        xid: Xid,
        zxid: Zxid,
        code: ErrorCode,
        outbox: &mut impl Outbox,
    ) {
        if let Some(out) = outbox.buffer(id) {
            replies::header_only(out, xid, zxid, code);
            self.stats.packets_sent += 1;
        }
        if let Some(conn) = self.conns.at_mut(id) {
            conn.stats.sent += 1;
        }
    }

    /// Sends an error without a body, then closes.
    fn answer_and_close(
        &mut self,
        id: ConnId,
        xid: Xid,
        zxid: Zxid,
        code: ErrorCode,
        outbox: &mut impl Outbox,
    ) -> Flow {
        if let Some(out) = outbox.buffer(id) {
            replies::header_only(out, xid, zxid, code);
            self.stats.packets_sent += 1;
        }
        self.close_conn_after_flush(id, outbox);
        Flow::Stop
    }

    /// Closes a connection without a word to the client, and notes why.
    pub(crate) fn drop_conn(
        &mut self,
        id: ConnId,
        why: &'static str,
        outbox: &mut impl Outbox,
    ) -> Flow {
        if let Some(conn) = self.conns.at(id) {
            self.notices.push(crate::notice::Notice::ConnectionDropped {
                peer: conn.peer,
                session: conn.session,
                why,
            });
        }
        self.close_conn(id, outbox);
        Flow::Stop
    }

    /// Closes a connection at once and forgets it.
    pub(crate) fn close_conn(&mut self, id: ConnId, outbox: &mut impl Outbox) {
        outbox.close_now(id);
        self.on_closed(id);
    }

    /// Sends what is queued, closes, and forgets the connection.
    pub(crate) fn close_conn_after_flush(&mut self, id: ConnId, outbox: &mut impl Outbox) {
        outbox.close_after_flush(id);
        self.on_closed(id);
    }
}

/// The write in a frame; `None` where Java fails without consuming a zxid, observed on 3.9.5: a body
/// that ends early or has an impossible length, and a multi with a null ACL. A multi it cannot decode
/// does consume one: it is prepared as one that holds a read, which is refused the same way. Nor does a
/// learner forward what its leader, if it is Java's, would propose and die of.
fn decode_write(op: OpCode, body: &[u8], is_learner: bool) -> Option<Request<'_>> {
    match Request::read(op, &mut Reader::new(body)) {
        Ok(Request::Multi(ops)) if ops.iter().any(has_null_acl) => None,
        Ok(request) if is_learner && is_fatal(&request) => None,
        Ok(request) => Some(request),
        Err(_) if op == OpCode::Multi && !is_learner => {
            Some(Request::Multi(vec![MultiOp::GetData(PathWatch { path: None, watch: false })]))
        }
        Err(_) => None,
    }
}

fn has_null_acl(op: &MultiOp<'_>) -> bool {
    match op {
        MultiOp::Create(c) | MultiOp::Create2(c) | MultiOp::CreateContainer(c) => c.acls.is_none(),
        _ => false,
    }
}
