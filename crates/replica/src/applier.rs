//! Committed txns: applied to the tree in zxid order, watches fired, writers and held reads answered.
//!
//! **Invariant:** for one txn, events leave first, then the writer's reply, then the reads its session
//! held behind it; only then the next txn is applied.
//!
//! Java: FinalRequestProcessor.

use rookeeper_proto::client::RequestHeader;
use rookeeper_proto::client::reply::EventType;
use rookeeper_proto::client::request::MULTI_END;
use rookeeper_proto::txn::{Record, Txn, TxnHeader};
use rookeeper_proto::{ErrorCode, JuteWrite, OpCode, Reader, SessionId, Xid, Zxid, acl};
use rookeeper_tree::{Applied, Change, ChangeKind, ChangeSink, OpResult, WatchTable};

use std::cell::RefCell;

use crate::auth::AuthRegistry;
use crate::clock::Now;
use crate::conns::{Conns, Pending, Stage};
use crate::namespaces::Namespaces;
use crate::notice::Notice;
use crate::ordering::{InFlight, Origin};
use crate::outbox::{ConnId, Outbox};
use crate::reads::{write_error_result, write_event};
use crate::replica::Replica;
use crate::replies;
use crate::stats::{self, Stats};

impl Replica {
    /// Everything up to `committed` is durable (in an ensemble: acknowledged by a quorum).
    pub fn on_committed(&mut self, now: Now, committed: Zxid, outbox: &mut impl Outbox) {
        while let Some(txn) = self.ordering.pop_committed(committed) {
            self.apply(now, &txn, outbox);
        }
        self.large_requests.ended(committed);
        self.resume_paused(outbox);
    }

    fn apply(&mut self, now: Now, in_flight: &InFlight, outbox: &mut impl Outbox) {
        let Ok(record) = Record::read(&in_flight.record) else {
            // Prepared here or accepted from a leader only after it was decoded.
            unreachable!("a record that was decoded before cannot be decoded: {}", in_flight.zxid)
        };
        let mut firing = Firing {
            watches: &mut self.watches,
            conns: &mut self.conns,
            auth: &self.auth,
            stats: &mut self.stats,
            outbox,
            frame: Vec::new(),
        };
        let is_kept = planted!(EphemeralsKept)
            && self.role.is_learner()
            && record.header.zxid.0 % 3 == 0
            && matches!(record.txn, Txn::CloseSession(_));
        let txn = if is_kept { &Txn::Error(0) } else { &record.txn };
        let applied = self.tree.apply(&record.header, txn, &mut firing);
        count_written(&mut self.stats.namespaces, &record.txn);
        let age_ms = now.wall_ms.saturating_sub(record.header.time_ms);
        self.stats.propagation_ms.add(u64::try_from(age_ms).unwrap_or(0));
        self.prep.applied(record.header.zxid);
        self.stats.commits += 1;
        if self.role.is_learner() {
            self.stats.quorum.commits_received += 1;
        }
        if let Some(digest) = record.digest
            && self.tree.check_digest(record.header.zxid, digest).is_some()
        {
            self.stats.digest_mismatches += 1;
            self.notices.push(Notice::DigestMismatch { zxid: record.header.zxid });
        }
        let origin = match in_flight.origin {
            None if self.role.is_learner() => self.waiting_for(&record.header),
            origin => origin,
        };
        match &record.txn {
            Txn::CreateSession { timeout_ms } => {
                self.session_created(now, record.header.session, *timeout_ms, origin, outbox);
            }
            Txn::CloseSession(_) => {
                self.session_closed(now, record.header, origin, outbox);
            }
            _ => {
                if let Some(origin) = origin {
                    self.answer_write(now, origin, in_flight.zxid, &record.txn, &applied, outbox);
                    self.answer_held(now, origin.conn, outbox);
                }
                let waiting = origin.map(|origin| origin.conn);
                self.let_go_moved(record.header.session, waiting, outbox);
            }
        }
    }

    /// Learner: who here waits for this txn. Commits of one session come in the order of its
    /// requests, so it can only be the head of its queue (`quorum-protocol.md` 3.8, L17).
    fn waiting_for(&self, header: &TxnHeader) -> Option<Origin> {
        let conn = self.sessions.session(header.session)?.conn?;
        let waiting = self.conns.at(conn)?;
        let origin = |op, received_us| Origin {
            conn,
            session: header.session,
            xid: Xid(header.cxid),
            op,
            received_us,
        };
        if header.op == OpCode::CreateSession.as_i32() {
            let is_waiting = waiting.stage == Stage::Connecting;
            return is_waiting.then(|| origin(OpCode::CreateSession, 0));
        }
        match waiting.pending.front()? {
            // A client may have come back with its xids begun anew: the operation must fit as well.
            &Pending::Write { xid, op, zxid: None, received_us, .. }
                if xid.0 == header.cxid && is_outcome_of(header.op, op) =>
            {
                Some(origin(op, received_us))
            }
            _ => None,
        }
    }

    fn session_created(
        &mut self,
        now: Now,
        session: SessionId,
        timeout_ms: i32,
        origin: Option<Origin>,
        outbox: &mut impl Outbox,
    ) {
        self.sessions.track(now.mono_ms(), session, timeout_ms);
        self.sessions.set_global(session);
        let Some(origin) = origin else { return };
        if self.conns.at(origin.conn).is_some_and(|conn| conn.stage == Stage::Connecting) {
            // A learner does not remember when the ConnectRequest came (0).
            let received_us =
                if origin.received_us == 0 { now.mono_us } else { origin.received_us };
            self.open_session(now, origin.conn, received_us, outbox);
            outbox.resume(origin.conn);
        }
    }

    fn session_closed(
        &mut self,
        now: Now,
        header: TxnHeader,
        origin: Option<Origin>,
        outbox: &mut impl Outbox,
    ) {
        let conn = self.sessions.remove(header.session).and_then(|session| session.conn);
        if self.has_local_sessions() {
            self.sessions.remember_ended(header.session);
        }
        if let Some(origin) = origin
            && origin.op == OpCode::CloseSession
            && let Some(out) = outbox.buffer(origin.conn)
        {
            let bytes = replies::header_only(out, origin.xid, header.zxid, ErrorCode::Ok);
            let latency_ms = now.mono_us.saturating_sub(origin.received_us) / 1000;
            self.stats.on_reply(OpCode::CloseSession, latency_ms, bytes);
            self.close_conn_after_flush(origin.conn, outbox);
        }
        if let Some(conn) = conn {
            self.close_conn_after_flush(conn, outbox);
        }
    }

    fn answer_write(
        &mut self,
        now: Now,
        origin: Origin,
        zxid: Zxid,
        txn: &Txn<'_>,
        applied: &Applied<'_>,
        outbox: &mut impl Outbox,
    ) {
        let Some(conn) = self.conns.at_mut(origin.conn) else { return };
        let refusal = match conn.pending.pop_front() {
            Some(Pending::Write { zxid: expected, refusal, .. })
                if expected.is_none_or(|expected| expected == zxid) =>
            {
                refusal
            }
            other => unreachable!("reply of {zxid} meets {other:?} at the head of its session"),
        };
        if is_session_moved(txn) {
            self.drop_conn(origin.conn, "its session has moved to another server", outbox);
            return;
        }
        let Some(out) = outbox.buffer(origin.conn) else { return };
        let start = out.len();
        // Infallible or already an error code: a body is only written for successes.
        let _ = replies::reply(out, origin.xid, zxid, |out| match (refusal, txn) {
            (Some(code), Txn::Error(_)) => Err(code),
            _ => write_body(origin.op, txn, applied, out),
        });
        let bytes = out.len() - start;
        let latency_ms = now.mono_us.saturating_sub(origin.received_us) / 1000;
        conn.stats.on_reply(now, stats::short_name(origin.op), origin.xid, zxid, latency_ms);
        self.stats.on_reply(origin.op, latency_ms, bytes);
    }

    /// Answers what a session held behind the write just answered.
    pub(crate) fn answer_held(&mut self, now: Now, id: ConnId, outbox: &mut impl Outbox) {
        loop {
            let Some(conn) = self.conns.at_mut(id) else { return };
            if !matches!(conn.pending.front(), Some(Pending::Held { .. })) {
                return;
            }
            let Some(Pending::Held { frame, ids, received_us }) = conn.pending.pop_front() else {
                return;
            };
            if conn.stage == Stage::Closing && is_close_session(&frame) {
                return self.close_local_session(now, id, &frame, received_us, outbox);
            }
            self.answer(now, id, &frame, &ids, received_us, outbox);
        }
    }
}

/// Counts what a txn writes; deletions are counted as they happen, those of sessions included.
fn count_written(namespaces: &mut Namespaces, txn: &Txn<'_>) {
    match txn {
        Txn::Create { create, .. }
        | Txn::CreateContainer(create)
        | Txn::CreateTtl { create, .. } => {
            namespaces.write(&create.path, create.data.map_or(0, <[u8]>::len));
        }
        Txn::SetData { path, data, .. } => {
            namespaces.write(path, data.map_or(0, <[u8]>::len));
        }
        Txn::Multi(parts) => parts.iter().for_each(|part| count_written(namespaces, part)),
        _ => {}
    }
}

/// Only that of a local session is ever held: that of a global one is a write.
fn is_close_session(frame: &[u8]) -> bool {
    RequestHeader::read(&mut Reader::new(frame))
        .is_ok_and(|header| header.op == OpCode::CloseSession.as_i32())
}

/// Whether a txn of this type may be what became of such a request.
fn is_outcome_of(txn: i32, request: OpCode) -> bool {
    let is_create = |op| {
        matches!(op, OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl)
    };
    match OpCode::from_i32(txn) {
        Some(OpCode::Error) => true,
        Some(txn) => txn == request || is_create(txn) && is_create(request),
        None => false,
    }
}

fn is_session_moved(txn: &Txn<'_>) -> bool {
    let moved = ErrorCode::SessionMoved.as_i32();
    match txn {
        Txn::Error(code) => *code == moved,
        Txn::Multi(parts) => parts.contains(&Txn::Error(moved)),
        _ => false,
    }
}

/// The body of a write's reply (`client-protocol.md` 3.2, 3.8).
fn write_body(
    op: OpCode,
    txn: &Txn<'_>,
    applied: &Applied<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ErrorCode> {
    if op == OpCode::Multi && matches!(txn, Txn::Multi(_)) {
        applied.parts.iter().for_each(|part| write_multi_result(part, out));
        out.put(&MULTI_END);
        return Ok(());
    }
    let result = &applied.result;
    if result.err != 0 {
        return Err(error_code(result.err));
    }
    match op {
        OpCode::Create => out.put_str(result.path),
        OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
            out.put_str(result.path);
            result.stat.unwrap_or_default().write(out);
        }
        OpCode::SetData | OpCode::SetAcl => result.stat.unwrap_or_default().write(out),
        OpCode::Reconfig => {
            if let Txn::SetData { data, .. } = txn {
                out.put_buffer(*data);
            }
            result.stat.unwrap_or_default().write(out);
        }
        _ => {}
    }
    Ok(())
}

fn error_code(err: i32) -> ErrorCode {
    ErrorCode::from_i32(err).unwrap_or(ErrorCode::SystemError)
}

fn write_multi_result(part: &OpResult<'_>, out: &mut Vec<u8>) {
    if part.op == OpCode::Error || part.err != 0 {
        return write_error_result(error_code(part.err), out);
    }
    let shown = match part.op {
        OpCode::CreateContainer | OpCode::CreateTtl => OpCode::Create2,
        op => op,
    };
    out.put_i32(shown.as_i32());
    out.put_bool(false);
    out.put_i32(0);
    if matches!(shown, OpCode::Create | OpCode::Create2) {
        out.put_str(part.path);
    }
    if matches!(shown, OpCode::Create2 | OpCode::SetData) {
        part.stat.unwrap_or_default().write(out);
    }
}

/// Turns the tree's changes into notifications.
struct Firing<'a, O> {
    watches: &'a mut WatchTable<ConnId>,
    conns: &'a mut Conns,
    auth: &'a AuthRegistry,
    stats: &'a mut Stats,
    outbox: &'a mut O,
    /// The present event's frame, encoded once for all its watchers.
    frame: Vec<u8>,
}

impl<O: Outbox> ChangeSink for Firing<'_, O> {
    fn change(&mut self, change: Change<'_>) {
        let Self { watches, conns, auth, stats, outbox, frame } = self;
        if change.kind == ChangeKind::Deleted {
            stats.namespaces.write(change.path, 0);
        }
        if watches.watch_count() == 0 {
            return;
        }
        let conns = RefCell::new(conns);
        let mut framed: Option<EventType> = None;
        let (mut node, mut children) = (0, 0);
        watches.fire(
            &change,
            |id, list| {
                conns
                    .borrow()
                    .at(id)
                    .is_some_and(|conn| auth.check(Some(list), acl::READ, &conn.ids))
            },
            |id, event, path| {
                if framed != Some(event) {
                    frame.clear();
                    write_event(frame, event, path, change.zxid);
                    framed = Some(event);
                }
                if event == EventType::NodeChildrenChanged {
                    children += 1;
                } else {
                    node += 1;
                }
                if let Some(out) = outbox.buffer(id) {
                    out.extend_from_slice(frame);
                    stats.on_event(frame.len());
                }
                if let Some(conn) = conns.borrow_mut().at_mut(id) {
                    conn.stats.sent += 1;
                }
            },
        );
        let fired = match change.kind {
            ChangeKind::Created => &mut stats.watchers_created,
            ChangeKind::Deleted => &mut stats.watchers_deleted,
            ChangeKind::DataChanged => &mut stats.watchers_changed,
        };
        fired.add(node);
        if change.parent.is_some() {
            stats.watchers_children.add(children);
        }
    }
}
