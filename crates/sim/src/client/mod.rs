//! A simulated client: handshake, pipelined requests, watches, reconnecting with its session, silence.
//!
//! It is as strict as it can be: whatever a reply shows is compared with the history at once, by the
//! checkers it is handed. It holds no clock and no socket; the world calls [`Client::step`] when it may
//! act, and [`Client::on_bytes`] when something arrives.

pub(crate) mod workload;

use std::collections::VecDeque;
use std::rc::Rc;

use rookeeper_proto::acl::Id;
use rookeeper_proto::client::reply::EventType;
use rookeeper_proto::client::request::{Auth, SetWatches, Text};
use rookeeper_proto::client::{
    ConnectRequest, ConnectResponse, ReplyHeader, Request, RequestHeader, WatchedEvent,
};
use rookeeper_proto::password::password;
use rookeeper_proto::{OpCode, Reader, SessionId, Xid, Zxid};

use crate::agenda::Event;
use crate::checkers::session_order::SessionOrder;
use crate::checkers::{reads, watch_order, writes};
use crate::ctx::Ctx;
use crate::history::Sent;
use crate::model::watches::ConnWatches;
use crate::net::{End, Link, LinkId, Pipe, Segment};
use crate::server::turn::SUPER_DIGEST;
use crate::violation::{Check, broken};
use workload::Action;

const NAME: &str = "client";

/// Passwords of the users, `u<n>:pw`.
pub(crate) fn credentials(user: usize) -> String {
    format!("u{user}:pw")
}

/// The session a client speaks for.
#[derive(Debug, Clone, Copy)]
struct Session {
    id: SessionId,
    timeout_ms: u64,
    next_xid: i32,
}

/// One connection of a client.
#[derive(Debug)]
struct Conn {
    link: LinkId,
    is_open: bool,
    input: Vec<u8>,
    unanswered: VecDeque<Rc<Sent>>,
    auths_unanswered: usize,
    ids: Rc<[Id]>,
    /// The identities when something was last shown.
    ids_shown: Rc<[Id]>,
    watches: ConnWatches,
    catch_up: Vec<(EventType, String)>,
    is_closing: bool,
    /// It said that it would take a read-only server; and it has got one.
    takes_read_only: bool,
    is_read_only: bool,
    begun_us: u64,
    heard_us: u64,
    sent_us: u64,
}

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    index: usize,
    host: u8,
    users: Rc<[Id]>,
    session: Option<Session>,
    conn: Option<Conn>,
    order: SessionOrder,
    seen: Zxid,
    /// Watches to re-arm after a reconnect.
    kept_watches: Option<[Vec<String>; 5]>,
    next_turn: u64,
    pub(crate) frozen_until_us: u64,
    /// Requests sent since faults ended, and answered: writes, reads.
    pub(crate) served: (u64, u64),
    is_drained: bool,
    /// It does only what the operator asks it to do.
    is_operator: bool,
}

impl Client {
    pub(crate) fn new(index: usize, users: Rc<[Id]>) -> Self {
        Self {
            index,
            host: 1 + (index % 4) as u8,
            users,
            session: None,
            conn: None,
            order: SessionOrder::default(),
            seen: Zxid::ZERO,
            kept_watches: None,
            next_turn: 0,
            frozen_until_us: 0,
            served: (0, 0),
            is_drained: false,
            is_operator: false,
        }
    }

    /// The client of the ensemble's operator.
    pub(crate) fn operator(index: usize, users: Rc<[Id]>) -> Self {
        Self { is_operator: true, ..Self::new(index, users) }
    }

    /// Sends what the operator wants, if it can; with the superuser's power or without.
    pub(crate) fn operate(&mut self, ctx: &mut Ctx, request: &Request<'_>, is_super: bool) {
        let Some(conn) = self.conn.as_ref().filter(|conn| conn.is_open && !conn.is_closing) else {
            return;
        };
        if is_super && !conn.ids.iter().any(|id| id.scheme == "super") {
            let digest = Id { scheme: "digest".to_owned(), id: SUPER_DIGEST.to_owned() };
            let power = Id { scheme: "super".to_owned(), id: String::new() };
            self.authenticate(ctx, "super:test", &[power, digest]);
        }
        let mut body = Vec::new();
        request.write(&mut body);
        self.send(ctx, request.op(), &body, false);
    }

    fn who(&self) -> String {
        format!("client{}", self.index)
    }

    /// The link in use.
    pub(crate) fn link(&self) -> Option<LinkId> {
        self.conn.as_ref().map(|conn| conn.link)
    }

    /// Its session.
    pub(crate) fn session_id(&self) -> Option<SessionId> {
        self.session.map(|session| session.id)
    }

    /// For the words of a liveness violation.
    pub(crate) fn state(&self) -> String {
        let conn = self.conn.as_ref().map(|conn| {
            let waiting = conn.unanswered.front().map(|sent| (sent.op, sent.xid));
            format!(
                "open {}, {} unanswered, first {waiting:?}",
                conn.is_open,
                conn.unanswered.len()
            )
        });
        format!(
            "client{} session {:?} conn {conn:?} served {:?}",
            self.index, self.session, self.served
        )
    }

    /// Schedules the next step.
    pub(crate) fn wake(&mut self, ctx: &mut Ctx, in_us: u64) {
        self.next_turn += 1;
        let at_us = (ctx.now_us + in_us).max(self.frozen_until_us);
        ctx.agenda.push(at_us, Event::Client { client: self.index, turn: self.next_turn });
    }

    /// Does something. `ops_left` is what all clients together may still send.
    pub(crate) fn step(&mut self, ctx: &mut Ctx, turn: u64, ops_left: &mut u64) {
        if turn != self.next_turn || self.is_drained {
            return;
        }
        let timeout_us = self.session.map_or(3_000_000, |session| session.timeout_ms * 1000);
        let next_us = match &self.conn {
            None => {
                self.connect(ctx);
                ctx.rng.between(1000, 50_000)
            }
            Some(conn) if !conn.is_open => {
                if conn.begun_us + timeout_us.max(500_000) < ctx.now_us {
                    self.disconnect(ctx, "no answer to the handshake");
                }
                ctx.rng.between(10_000, 200_000)
            }
            Some(conn) if conn.heard_us + timeout_us * 2 / 3 < ctx.now_us => {
                self.disconnect(ctx, "nothing heard");
                ctx.rng.spread(20_000)
            }
            Some(_) => {
                self.act(ctx, ops_left, timeout_us);
                let think = ctx.plan.habits.think_us;
                ctx.rng.spread(think).min(timeout_us / 8 + 1)
            }
        };
        self.wake(ctx, next_us);
    }

    fn act(&mut self, ctx: &mut Ctx, ops_left: &mut u64, timeout_us: u64) {
        let Some(conn) = &self.conn else { return };
        let is_free = (conn.unanswered.len() as u64) < ctx.plan.habits.window && !conn.is_closing;
        if is_free && ctx.is_healing {
            self.send_proof(ctx);
        } else if is_free && *ops_left > 0 && !self.is_operator {
            *ops_left -= 1;
            ctx.counts.operations += 1;
            self.send_random(ctx);
        } else if conn.sent_us + timeout_us / 3 < ctx.now_us && !conn.is_closing {
            self.send(ctx, OpCode::Ping, &[], false);
        }
    }

    fn send_random(&mut self, ctx: &mut Ctx) {
        let users = Rc::clone(&self.users);
        match workload::draw(&ctx.plan, &mut ctx.rng, &users) {
            Action::Send(requests) => {
                for (op, body, is_garbage) in requests {
                    self.send(ctx, op, &body, is_garbage);
                }
            }
            Action::Auth(user) => self.send_auth(ctx, user),
            Action::Close => self.close_session(ctx),
            Action::Drop => self.disconnect(ctx, "so it pleases"),
        }
    }

    /// Behind the faults: a write that must succeed, and a read.
    fn send_proof(&mut self, ctx: &mut Ctx) {
        if self.served.0 > 0 && self.served.1 > 0 {
            return self.send_ping_if_idle(ctx);
        }
        let path = format!("/proof{}", self.index);
        let mut body = Vec::new();
        let create = rookeeper_proto::client::request::Create {
            path: Some(path.as_str().into()),
            data: None,
            acls: Some(rookeeper_proto::acl::RequestAcls::Open),
            flags: 2,
            ttl_ms: -1,
        };
        Request::Create(create).write(&mut body);
        self.send(ctx, OpCode::Create, &body, false);
        body.clear();
        let read =
            rookeeper_proto::client::request::PathWatch { path: Some("/".into()), watch: false };
        Request::GetChildren2(read).write(&mut body);
        self.send(ctx, OpCode::GetChildren2, &body, false);
    }

    fn send_ping_if_idle(&mut self, ctx: &mut Ctx) {
        if self.conn.as_ref().is_some_and(|conn| conn.unanswered.is_empty()) {
            self.send(ctx, OpCode::Ping, &[], false);
        }
    }

    /// Closes the session properly.
    pub(crate) fn close_session(&mut self, ctx: &mut Ctx) {
        self.send(ctx, OpCode::CloseSession, &[], false);
        if let Some(conn) = &mut self.conn {
            conn.is_closing = true;
        }
        // Pipelined behind it: must be neither executed nor answered.
        if ctx.rng.chance(300) {
            let body = [0, 0, 0, 1, b'/', 0];
            self.send_unanswered(ctx, OpCode::GetData, &body);
        }
    }

    /// The run is over for this client: it closes its session or vanishes.
    pub(crate) fn drain(&mut self, ctx: &mut Ctx) {
        self.is_drained = true;
        let is_open = self.conn.as_ref().is_some_and(|conn| conn.is_open && !conn.is_closing);
        if is_open && ctx.rng.chance(500) {
            self.close_session(ctx);
        } else {
            self.disconnect(ctx, "it vanishes");
        }
    }

    fn connect(&mut self, ctx: &mut Ctx) {
        let link = LinkId(ctx.next_link);
        ctx.next_link += 1;
        let (end, host, server) = (End::Client(self.index), self.host, ctx.a_server());
        let new = Link { end, host, server, up: Pipe::default(), down: Pipe::default() };
        ctx.links.insert(link, new);
        let delay = ctx.latency_us();
        push(ctx, link, delay, Segment::Open);
        let timeout_ms = if ctx.rng.chance(100) {
            ctx.rng.pick(&[-1, 0, 1, i32::MAX])
        } else {
            let max = ctx.plan.replica.max_session_timeout_ms as u64;
            ctx.rng.between(ctx.plan.replica.min_session_timeout_ms as u64, max) as i32
        };
        let id = self.session_id().unwrap_or(SessionId::NONE);
        let password = password(id);
        let read_only = ctx.rng.chance(800).then_some(false);
        let share = ctx.plan.habits.read_only_per_mille;
        let takes_read_only = share > 0 && ctx.rng.chance(share);
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.seen,
            timeout_ms,
            session: id,
            password: Some(&password),
            read_only: if takes_read_only { Some(true) } else { read_only },
        };
        let mut body = Vec::new();
        request.write(&mut body);
        ctx.note(
            &self.who(),
            format_args!("connect link {} server{} session {id}", link.0, server + 1),
        );
        let ip = Id { scheme: "ip".to_owned(), id: format!("10.0.0.{}", self.host) };
        let ids: Rc<[Id]> = Rc::from([ip]);
        self.conn = Some(Conn {
            link,
            is_open: false,
            input: Vec::new(),
            unanswered: VecDeque::new(),
            auths_unanswered: 0,
            ids_shown: Rc::clone(&ids),
            ids,
            watches: ConnWatches::default(),
            catch_up: Vec::new(),
            is_closing: false,
            takes_read_only,
            is_read_only: false,
            begun_us: ctx.now_us,
            heard_us: ctx.now_us,
            sent_us: ctx.now_us,
        });
        transmit(ctx, link, &body);
    }

    /// Drops the connection; the session lives on.
    pub(crate) fn disconnect(&mut self, ctx: &mut Ctx, why: &str) {
        let Some(conn) = self.conn.take() else { return };
        ctx.note(&self.who(), format_args!("disconnect link {}: {why}", conn.link.0));
        self.lose(ctx, &conn);
        if let Some(link) = ctx.links.get_mut(&conn.link) {
            link.down.clear();
        }
        let delay = ctx.latency_us();
        push(ctx, conn.link, delay, Segment::Closed);
    }

    fn lose(&mut self, ctx: &mut Ctx, conn: &Conn) {
        ctx.counts.filtered_events += conn.watches.filtered;
        if conn.is_open && ctx.rng.chance(ctx.plan.habits.rearm_per_mille) {
            self.kept_watches = Some(conn.watches.lists(&ctx.history.model));
        }
        if conn.is_closing {
            // Whether the session was closed is unknown; nothing more is wanted of it.
            self.session = None;
        }
    }

    /// The server, or the network, has ended the connection.
    pub(crate) fn on_closed(&mut self, ctx: &mut Ctx, link: LinkId) {
        if self.link() != Some(link) {
            return;
        }
        let Some(conn) = self.conn.take() else { return };
        ctx.note(&self.who(), format_args!("link {} closed by the server", link.0));
        self.lose(ctx, &conn);
        let delay = ctx.latency_us();
        push(ctx, link, delay, Segment::Closed);
        let pause = ctx.rng.spread(20_000);
        self.wake(ctx, pause);
    }

    fn send_auth(&mut self, ctx: &mut Ctx, user: usize) {
        let id = self.users[user].clone();
        self.authenticate(ctx, &credentials(user), &[id]);
    }

    fn authenticate(&mut self, ctx: &mut Ctx, secret: &str, ids: &[Id]) {
        let who = self.who();
        let Some(conn) = &mut self.conn else { return };
        let auth = Auth { kind: 0, scheme: Some("digest".into()), auth: Some(secret.as_bytes()) };
        let mut body = Vec::new();
        Request::Auth(auth).write(&mut body);
        let fresh = ids.iter().filter(|id| !conn.ids.contains(id)).cloned();
        conn.ids = conn.ids.iter().cloned().chain(fresh).collect();
        conn.auths_unanswered += 1;
        ctx.trace.line(ctx.now_us, &who, format_args!("auth as {secret}"));
        let bytes = workload::frame(Xid::AUTH.0, OpCode::Auth, &body);
        let link = conn.link;
        transmit(ctx, link, &bytes);
    }

    fn send_unanswered(&mut self, ctx: &mut Ctx, op: OpCode, body: &[u8]) {
        let (Some(conn), Some(session)) = (&self.conn, &mut self.session) else { return };
        let link = conn.link;
        let bytes = workload::frame(session.next_xid, op, body);
        session.next_xid += 1;
        transmit(ctx, link, &bytes);
    }

    fn send(&mut self, ctx: &mut Ctx, op: OpCode, body: &[u8], is_garbage: bool) {
        let who = self.who();
        let (Some(conn), Some(session)) = (&mut self.conn, &mut self.session) else { return };
        let xid = if op == OpCode::Ping {
            Xid::PING.0
        } else {
            session.next_xid += 1;
            session.next_xid - 1
        };
        let sent = Rc::new(Sent {
            session: session.id,
            xid,
            op,
            frame: workload::frame(xid, op, body),
            ids: Rc::clone(&conn.ids),
            // Reads of an ensemble may be as old as what their session has seen.
            floor: match ctx.is_ensemble() && (!op.is_write() || is_garbage) {
                true => self.seen,
                false => ctx.history.revealed,
            },
            is_garbage,
        });
        if op.is_write() && !is_garbage {
            ctx.history.on_sent(&sent);
        }
        ctx.counts.requests += 1;
        if ctx.trace.is_on() {
            let request = sent.request();
            ctx.trace.line(ctx.now_us, &who, format_args!("send xid {xid} {request:?}"));
        }
        conn.sent_us = ctx.now_us;
        conn.unanswered.push_back(Rc::clone(&sent));
        let link = conn.link;
        transmit(ctx, link, &sent.frame);
    }

    /// Bytes arrived.
    pub(crate) fn on_bytes(&mut self, ctx: &mut Ctx, link: LinkId, bytes: &[u8]) -> Check {
        let Some(conn) = self.conn.as_mut().filter(|conn| conn.link == link) else { return Ok(()) };
        conn.heard_us = ctx.now_us;
        conn.input.extend_from_slice(bytes);
        loop {
            let Some(conn) = self.conn.as_mut().filter(|conn| conn.link == link) else {
                return Ok(());
            };
            let Some(prefix) = conn.input.first_chunk::<4>() else { return Ok(()) };
            let Ok(len) = usize::try_from(i32::from_be_bytes(*prefix)) else {
                return broken(NAME, "a frame of negative length");
            };
            if conn.input.len() < 4 + len {
                return Ok(());
            }
            let frame: Vec<u8> = conn.input.drain(..4 + len).skip(4).collect();
            if conn.is_open {
                self.on_frame(ctx, &frame)?;
            } else {
                self.on_connected(ctx, &frame)?;
            }
        }
    }

    fn on_connected(&mut self, ctx: &mut Ctx, frame: &[u8]) -> Check {
        let wanted = self.conn.as_ref().is_some_and(|conn| conn.takes_read_only);
        if wanted && self.session.is_none() && is_not_read_only(frame) {
            // No session can be made without a leader; the connection is of no use.
            ctx.counts.read_only_refusals += 1;
            self.disconnect(ctx, "a session cannot be made here now");
            return Ok(());
        }
        let Ok(response) = ConnectResponse::read(&mut Reader::new(frame)) else {
            return broken(NAME, "a ConnectResponse that cannot be decoded");
        };
        ctx.note(&self.who(), format_args!("{response:?}"));
        let Some(conn) = &mut self.conn else { return Ok(()) };
        if response.timeout_ms <= 0 {
            return self.on_refused(ctx);
        }
        conn.is_open = true;
        conn.is_read_only = response.read_only == Some(true);
        if conn.is_read_only && !conn.takes_read_only {
            return broken(NAME, format!("not asked for: {response:?}"));
        }
        ctx.counts.read_only += u64::from(conn.is_read_only);
        let timeout_ms = response.timeout_ms as u64;
        let config = &ctx.plan.replica;
        let is_fair = config.min_session_timeout_ms <= response.timeout_ms
            && response.timeout_ms <= config.max_session_timeout_ms
            && response.password == password(response.session);
        if !is_fair {
            return broken(NAME, format!("{response:?}"));
        }
        match &mut self.session {
            Some(session) if session.id == response.session => {
                session.timeout_ms = timeout_ms;
                ctx.counts.resumed += 1;
            }
            Some(session) => {
                let what = format!("{:?} for a resumption of {}", response, session.id);
                return broken(NAME, what);
            }
            None => {
                ctx.counts.sessions += 1;
                let Some(life) = ctx.history.model.session(response.session) else {
                    return broken(NAME, format!("session {} does not exist", response.session));
                };
                ctx.history.reveal(life.created)?;
                let id = response.session;
                self.session = Some(Session { id, timeout_ms, next_xid: 1 });
            }
        }
        self.rearm(ctx);
        Ok(())
    }

    fn on_refused(&mut self, ctx: &mut Ctx) -> Check {
        ctx.counts.refused_sessions += 1;
        let Some(session) = self.session.take() else {
            return broken(NAME, "a new session was refused");
        };
        let mut server = None;
        if let Some(conn) = &mut self.conn {
            conn.is_closing = true;
            server = ctx.links.get(&conn.link).map(|link| link.server);
        }
        if server.is_some_and(|server| ctx.facts.is_of_the_past(server)) {
            // It does not know of sessions that began since (`docs/simulator.md`).
            ctx.counts.refused_by_the_past += 1;
            return Ok(());
        }
        if !ctx.expiry.has_ended(session.id) {
            let what = format!("session {} was refused, but is alive", session.id);
            return broken("expiry", what);
        }
        Ok(())
    }

    fn rearm(&mut self, ctx: &mut Ctx) {
        let Some(lists) = self.kept_watches.take() else { return };
        if lists.iter().all(Vec::is_empty) {
            return;
        }
        let texts = |list: &Vec<String>| -> Option<Vec<Text<'static>>> {
            Some(list.iter().map(|path| Some(path.clone().into())).collect())
        };
        let [data, exist, child, persistent, recursive] = &lists;
        let request = Request::SetWatches2(SetWatches {
            relative_zxid: self.seen,
            data: texts(data),
            exist: texts(exist),
            child: texts(child),
            persistent: texts(persistent),
            persistent_recursive: texts(recursive),
        });
        let mut body = Vec::new();
        request.write(&mut body);
        self.send(ctx, OpCode::SetWatches2, &body, false);
    }

    fn on_frame(&mut self, ctx: &mut Ctx, frame: &[u8]) -> Check {
        let mut body = Reader::new(frame);
        let Ok(header) = ReplyHeader::read(&mut body) else {
            return broken(NAME, "a reply without a header");
        };
        if header.xid == Xid::NOTIFICATION {
            return self.on_event(ctx, header.zxid, &mut body);
        }
        let Some(conn) = &mut self.conn else { return Ok(()) };
        if header.xid == Xid::AUTH {
            if conn.auths_unanswered == 0 || header.err != 0 || header.zxid != Zxid::ZERO {
                return broken(NAME, format!("{header:?} to an auth packet"));
            }
            conn.auths_unanswered -= 1;
            return Ok(());
        }
        self.on_reply(ctx, header, &mut body)
    }

    fn on_event(&mut self, ctx: &mut Ctx, zxid: Zxid, body: &mut Reader<'_>) -> Check {
        let who = self.who();
        let Some(conn) = &mut self.conn else { return Ok(()) };
        let Ok(event) = WatchedEvent::read(body) else {
            return broken(NAME, "an event that cannot be decoded");
        };
        ctx.trace.line(ctx.now_us, &who, format_args!("event {event:?} at {zxid}"));
        if zxid == Zxid::UNKNOWN {
            ctx.counts.catch_ups += 1;
            conn.catch_up.push((event.event, event.path.into_owned()));
            return Ok(());
        }
        ctx.counts.events += 1;
        ctx.history.reveal(zxid)?;
        if zxid < conn.watches.seen {
            let what = format!("{event:?} at {zxid} behind {}", conn.watches.seen);
            return broken("watch_order", what);
        }
        conn.watches.advance(&ctx.history.model, zxid, &conn.ids_shown, &conn.ids);
        watch_order::on_event(&mut conn.watches, zxid, event.event, &event.path)?;
        self.seen = self.seen.max(zxid);
        Ok(())
    }

    fn on_reply(&mut self, ctx: &mut Ctx, header: ReplyHeader, body: &mut Reader<'_>) -> Check {
        let who = self.who();
        let ReplyHeader { xid, zxid, err } = header;
        let Some(conn) = &mut self.conn else { return Ok(()) };
        let sent = conn.unanswered.pop_front();
        if let Some(sent) = sent.as_ref().filter(|_| conn.is_read_only && err == NOT_READ_ONLY) {
            let may_be_refused = sent.op.is_write() || sent.op == OpCode::Sync;
            if !may_be_refused || sent.xid != xid.0 || zxid < self.seen {
                return broken(NAME, format!("{header:?} to {:?}", sent.op));
            }
            ctx.counts.read_only_refusals += 1;
            return Ok(());
        }
        ctx.counts.read_only_reads += u64::from(conn.is_read_only);
        self.order.on_reply(sent.as_deref(), xid, zxid)?;
        let Some(sent) = sent else { return Ok(()) };
        if ctx.trace.is_on() {
            let line = format!("reply xid {} {:?} at {zxid} err {err}", xid.0, sent.op);
            ctx.trace.line(ctx.now_us, &who, format_args!("{line}"));
        }
        ctx.counts.replies += 1;
        ctx.history.reveal(zxid)?;
        let model = &ctx.history.model;
        conn.watches.advance(model, zxid, &conn.ids_shown, &conn.ids);
        watch_order::on_reply(&mut conn.watches, zxid)?;
        conn.ids_shown = Rc::clone(&sent.ids);
        self.seen = self.seen.max(zxid);
        if sent.op.is_write() && !sent.is_garbage {
            ctx.counts.writes_checked += 1;
            writes::check(model, &sent, zxid, err, body)?;
            self.served.0 += u64::from(ctx.is_healing && err == 0);
            if sent.op == OpCode::CloseSession {
                ctx.counts.closed += 1;
                self.session = None;
            }
        } else {
            ctx.counts.reads_checked += 1;
            reads::check(model, &sent, &conn.watches, zxid, err, body)?;
            self.served.1 += u64::from(ctx.is_healing && err == 0 && sent.op != OpCode::Ping);
            conn.after_read(model, &sent, zxid, err)?;
        }
        Ok(())
    }
}

impl Conn {
    /// What a read leaves behind: watches.
    fn after_read(
        &mut self,
        model: &crate::model::Model,
        sent: &Sent,
        zxid: Zxid,
        err: i32,
    ) -> Check {
        let Some(request) = sent.request() else { return Ok(()) };
        let path = |text: &Text<'_>| text.as_deref().unwrap_or("").to_owned();
        match request {
            Request::Exists(r) if r.watch && matches!(err, 0 | -101) => {
                self.watches.watch_data(&path(&r.path));
            }
            Request::GetData(r) if r.watch && err == 0 => self.watches.watch_data(&path(&r.path)),
            Request::GetChildren(r) | Request::GetChildren2(r) if r.watch && err == 0 => {
                self.watches.watch_children(&path(&r.path));
            }
            Request::AddWatch(r) if err == 0 => {
                self.watches.watch_always(&path(&r.path), r.kind == 1);
            }
            Request::RemoveWatches(r) if err == 0 => self.watches.remove(&path(&r.path), r.kind),
            Request::SetWatches(r) | Request::SetWatches2(r) => {
                let expected = self.watches.rearm(model, zxid, &r);
                let came = std::mem::take(&mut self.catch_up);
                return watch_order::on_rearmed(&expected, &came);
            }
            _ => {}
        }
        if self.catch_up.is_empty() {
            return Ok(());
        }
        broken("watch_order", format!("{:?} came unasked", self.catch_up))
    }
}

const NOT_READ_ONLY: i32 = -119;

/// Whether this is what a read-only server answers in the place of a ConnectResponse.
fn is_not_read_only(frame: &[u8]) -> bool {
    let header = ReplyHeader::read(&mut Reader::new(frame));
    frame.len() == 16 && header.is_ok_and(|header| header.err == NOT_READ_ONLY)
}

/// Sends a segment to the server.
pub(crate) fn push(ctx: &mut Ctx, link: LinkId, delay_us: u64, segment: Segment) {
    if let Some(end) = ctx.links.get_mut(&link) {
        let at = end.up.send(ctx.now_us, delay_us, segment);
        ctx.agenda.push(at, Event::Up { link });
    }
}

/// Sends a frame, now and then in pieces.
pub(crate) fn transmit(ctx: &mut Ctx, link: LinkId, frame: &[u8]) {
    let mut bytes = (frame.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(frame);
    while ctx.rng.chance(50) && bytes.len() > 1 {
        let at = 1 + ctx.rng.index(bytes.len() - 1);
        let rest = bytes.split_off(at);
        let delay = ctx.latency_us();
        push(ctx, link, delay, Segment::Bytes(bytes));
        bytes = rest;
    }
    let delay = ctx.latency_us();
    push(ctx, link, delay, Segment::Bytes(bytes));
}

/// The header of a frame, for strays that send nonsense.
pub(crate) fn header(xid: i32, op: i32) -> Vec<u8> {
    let mut out = Vec::new();
    RequestHeader { xid: Xid(xid), op }.write(&mut out);
    out
}
