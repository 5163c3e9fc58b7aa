//! A simulated client: the core that ships (`rookeeper-session`), its user, and the wire between it and
//! the servers.
//!
//! This is the core's shell, as `rookeeper-client`'s driver is: it opens links, carries bytes and time, and
//! does what the core asks; the user ([`user`]) asks for random things. Every frame is looked at both ways
//! ([`wire`]), and everything the core tells its user is compared with what it must
//! ([`crate::checkers::promises`]). Processes die: another may then resume the session with what the first
//! one knew. What no core does (useless, silent and hostile connections) is in [`crate::storm`], but for a
//! request pipelined behind closeSession, which is sent by hand here.
//!
//! It holds no clock and no socket; the world calls [`Client::step`] when it may act, and
//! [`Client::on_bytes`] when something arrives.

mod user;
mod wire;
pub(crate) mod workload;

use std::collections::BTreeSet;
use std::rc::Rc;

use rookeeper_proto::acl::Id;
use rookeeper_proto::client::request::Auth;
use rookeeper_proto::client::{ConnectRequest, Request, RequestHeader};
use rookeeper_proto::{OpCode, Reader, SessionId, Xid};
use rookeeper_session::{
    CallId, Credentials, EventKind, Failure, Millis, Output, Session, SessionState,
};

use crate::agenda::Event;
use crate::checkers::promises::Promises;
use crate::checkers::session_order::SessionOrder;
use crate::ctx::Ctx;
use crate::net::{End, Link, LinkId, Segment};
use crate::server::turn::SUPER_DIGEST;
use crate::violation::{Check, broken};
use wire::{Said, Wire};

/// Passwords of the users, `u<n>:pw`.
pub(crate) fn credentials(user: usize) -> String {
    format!("u{user}:pw")
}

const SCHEME: &str = "digest";
/// See [`SUPER_DIGEST`].
const SUPER_SECRET: &str = "super:test";
/// What no server takes.
const NO_SCHEME: &str = "nosuch";

/// A program that uses the core, until it ends or its session does.
#[derive(Debug)]
struct Process {
    core: Session,
    promises: Promises,
    order: SessionOrder,
    begun_us: u64,
    is_closing: bool,
    /// It has had a connection.
    is_established: bool,
    /// A server has said that there is no such session.
    is_refused: bool,
    calls: u64,
    watchers: u64,
    /// Calls whose body is no request.
    garbage: BTreeSet<CallId>,
    /// The number of the newest request.
    xid: i32,
    /// Writes of unknown outcome.
    unknown: Vec<(SessionId, i32)>,
    /// It has the superuser's power.
    is_super: bool,
}

impl Process {
    fn next_call(&mut self) -> CallId {
        self.calls += 1;
        CallId(self.calls)
    }
}

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    index: usize,
    host: u8,
    who: Rc<str>,
    path: String,
    users: Rc<[Id]>,
    process: Option<Process>,
    wire: Option<Wire>,
    /// The session of a process that died, and the number of its next request.
    left: Option<(Credentials, i32)>,
    /// When the link in use is open.
    opens_at_us: Option<u64>,
    /// When the user does something next.
    acts_at_us: u64,
    /// How much later than usual that is.
    late_us: u64,
    wakes_at_us: Option<u64>,
    next_turn: u64,
    /// What the network has cut.
    cut: Option<LinkId>,
    pub(crate) frozen_until_us: u64,
    /// Requests sent since faults ended, and answered: writes, reads.
    pub(crate) served: (u64, u64),
    is_leaving: bool,
    is_drained: bool,
    /// It does only what the operator asks it to do.
    is_operator: bool,
}

impl Client {
    pub(crate) fn new(index: usize, users: Rc<[Id]>) -> Self {
        Self {
            index,
            host: 1 + (index % 4) as u8,
            who: Rc::from(format!("client{index}")),
            path: format!("/proof{index}"),
            users,
            process: None,
            wire: None,
            left: None,
            opens_at_us: None,
            acts_at_us: 0,
            late_us: 0,
            wakes_at_us: None,
            next_turn: 0,
            cut: None,
            frozen_until_us: 0,
            served: (0, 0),
            is_leaving: false,
            is_drained: false,
            is_operator: false,
        }
    }

    /// The client of the ensemble's operator.
    pub(crate) fn operator(index: usize, users: Rc<[Id]>) -> Self {
        Self { is_operator: true, ..Self::new(index, users) }
    }

    /// The link in use.
    pub(crate) fn link(&self) -> Option<LinkId> {
        self.wire.as_ref().map(|wire| wire.link)
    }

    /// Its session.
    pub(crate) fn session_id(&self) -> Option<SessionId> {
        let known = self.process.as_ref().and_then(|process| process.core.credentials());
        known.map(|known| known.session)
    }

    /// For the words of a liveness violation.
    pub(crate) fn state(&self) -> String {
        let (who, wire) = (&self.who, self.wire.as_ref().map(Wire::state));
        let core = self.process.as_ref().map(|process| {
            (process.core.state(), process.core.pending(), process.core.timeout_ms())
        });
        let (session, served) = (self.session_id(), self.served);
        format!("{who} session {session:?} core {core:?} conn {wire:?} served {served:?}")
    }

    // ---- time -----------------------------------------------------------------------------------

    /// Lets the user act soon.
    pub(crate) fn wake(&mut self, ctx: &mut Ctx, in_us: u64) {
        self.acts_at_us = ctx.now_us + in_us;
        self.plan(ctx);
    }

    /// Schedules the next step.
    fn plan(&mut self, ctx: &mut Ctx) {
        let core = self.process.as_ref().and_then(|process| process.core.deadline());
        let core_us = core.map_or(u64::MAX, |ms| ms.saturating_mul(1000));
        let user_us = if self.is_drained { u64::MAX } else { self.acts_at_us };
        let mut at_us = core_us.min(user_us).min(self.opens_at_us.unwrap_or(u64::MAX));
        if self.cut.is_some() || self.is_leaving {
            at_us = ctx.now_us;
        }
        let at_us = at_us.max(ctx.now_us).max(self.frozen_until_us);
        if at_us < u64::MAX / 2 && self.wakes_at_us.is_none_or(|planned| at_us < planned) {
            self.wakes_at_us = Some(at_us);
            self.next_turn += 1;
            ctx.agenda.push(at_us, Event::Client { client: self.index, turn: self.next_turn });
        }
    }

    /// Does what is due. `ops_left` is what all clients together may still ask.
    pub(crate) fn step(&mut self, ctx: &mut Ctx, turn: u64, ops_left: &mut u64) -> Check {
        if turn != self.next_turn {
            return Ok(());
        }
        self.wakes_at_us = None;
        if ctx.now_us < self.frozen_until_us {
            self.plan(ctx);
            return Ok(());
        }
        if self.cut.take().is_some_and(|cut| self.link() == Some(cut)) {
            self.lose_transport(ctx)?;
        }
        if self.opens_at_us.is_some_and(|at_us| at_us <= ctx.now_us) {
            self.opens_at_us = None;
            self.with_core(ctx, |core, now| core.connected(now))?;
        }
        if self.core_is_due(ctx) {
            self.with_core(ctx, |core, now| core.tick(now))?;
        }
        if std::mem::take(&mut self.is_leaving) {
            self.leave(ctx)?;
        }
        if self.acts_at_us <= ctx.now_us && !self.is_drained {
            let pause_us = self.act(ctx, ops_left)?;
            self.acts_at_us = ctx.now_us + pause_us + std::mem::take(&mut self.late_us);
        }
        self.plan(ctx);
        Ok(())
    }

    fn core_is_due(&self, ctx: &Ctx) -> bool {
        let deadline = self.process.as_ref().and_then(|process| process.core.deadline());
        deadline.is_some_and(|deadline| deadline <= now_ms(ctx))
    }

    // ---- the core's shell -----------------------------------------------------------------------

    /// Hands the core something, and does what it wants done then.
    fn with_core(&mut self, ctx: &mut Ctx, input: impl FnOnce(&mut Session, Millis)) -> Check {
        if let Some(process) = &mut self.process {
            input(&mut process.core, now_ms(ctx));
        }
        self.settle(ctx)
    }

    fn settle(&mut self, ctx: &mut Ctx) -> Check {
        loop {
            let Some(process) = &mut self.process else { return Ok(()) };
            if let Some(output) = process.core.poll() {
                process.promises.told(&output)?;
                self.carry_out(ctx, output)?;
                continue;
            }
            if let Some(server) = process.core.whom_to_ask() {
                if ctx.facts.serving.contains_key(&server) {
                    ctx.counts.writable_found += 1;
                    process.core.found_writable(server, now_ms(ctx));
                }
                continue;
            }
            let bytes = std::mem::take(process.core.outgoing());
            if bytes.is_empty() {
                break;
            }
            self.send(ctx, &bytes)?;
        }
        let Some(process) = &self.process else { return Ok(()) };
        process.promises.settled()?;
        if process.core.deadline().is_none() {
            self.end_process(ctx);
            self.acts_at_us = ctx.now_us + ctx.rng.spread(20_000);
        }
        self.plan(ctx);
        Ok(())
    }

    fn carry_out(&mut self, ctx: &mut Ctx, output: Output) -> Check {
        match output {
            Output::Connect { server } => self.dial(ctx, server),
            Output::Disconnect => {
                self.check_watches(ctx)?;
                self.hang_up(ctx);
            }
            Output::Done { call, result } => {
                if let Err(failure) = result {
                    let is_unsent = matches!(
                        failure,
                        Failure::Over(_) | Failure::ConnectionLoss { sent: false }
                    );
                    ctx.counts.unsent += u64::from(is_unsent);
                    let who = &self.who;
                    ctx.trace.line(ctx.now_us, who, format_args!("call {} {failure:?}", call.0));
                }
            }
            Output::Event { kind, watchers, path, .. } => {
                let is_removal = matches!(
                    kind,
                    EventKind::DataWatchRemoved
                        | EventKind::ChildWatchRemoved
                        | EventKind::PersistentWatchRemoved
                );
                ctx.counts.unwatched += u64::from(is_removal);
                let who = &self.who;
                ctx.trace.line(
                    ctx.now_us,
                    who,
                    format_args!("told {kind:?} of {path} {watchers:?}"),
                );
            }
            Output::State { state, .. } => {
                let is_refused = self.process.as_ref().is_some_and(|process| process.is_refused);
                if state == SessionState::Expired && !is_refused {
                    ctx.counts.given_up += 1;
                }
                ctx.note(&self.who, format_args!("is {state:?}"));
            }
        }
        Ok(())
    }

    fn dial(&mut self, ctx: &mut Ctx, server: usize) {
        let link = LinkId(ctx.next_link);
        ctx.next_link += 1;
        ctx.links.insert(link, Link::new(End::Client(self.index), self.host, server));
        let delay = ctx.latency_us();
        push(ctx, link, delay, Segment::Open);
        ctx.note(&self.who, format_args!("connect link {} server{}", link.0, server + 1));
        self.wire = Some(Wire::new(link, Rc::clone(&self.who), self.host));
        // Mostly at once; now and then the first packet is lost.
        let opens_us = match ctx.rng.below(20) {
            0 => ctx.rng.between(1000, 3_000_000),
            1..6 => 2 * delay,
            _ => 0,
        };
        self.opens_at_us = Some(ctx.now_us + opens_us);
        if let Some(process) = &mut self.process {
            process.order.on_connection();
        }
    }

    fn check_watches(&mut self, ctx: &Ctx) -> Check {
        let (Some(process), Some(wire)) = (&mut self.process, &self.wire) else { return Ok(()) };
        if !wire.is_open || wire.is_unproven {
            return Ok(());
        }
        process.promises.check_watches(&wire.watches, &ctx.history.model)
    }

    /// Ends the connection from this side.
    fn hang_up(&mut self, ctx: &mut Ctx) {
        self.opens_at_us = None;
        let Some(wire) = self.wire.take() else { return };
        ctx.note(&self.who, format_args!("hangs up link {}", wire.link.0));
        ctx.counts.filtered_events += wire.watches.filtered;
        if let Some(process) = &mut self.process {
            process.unknown.extend(wire.writes_unanswered());
        }
        ctx.counts.unknown_outcomes += wire.writes_unanswered().count() as u64;
        if let Some(link) = ctx.links.get_mut(wire.link) {
            link.down.clear();
        }
        let delay = ctx.latency_us();
        push(ctx, wire.link, delay, Segment::Closed);
    }

    /// The network cuts the connection; both ends hear of it.
    pub(crate) fn disconnect(&mut self, ctx: &mut Ctx, why: &str) {
        let Some(link) = self.link() else { return };
        ctx.note(&self.who, format_args!("disconnect link {}: {why}", link.0));
        let delay = ctx.latency_us();
        push(ctx, link, delay, Segment::Closed);
        self.cut = Some(link);
        self.plan(ctx);
    }

    /// The server, or the network, has ended the connection.
    pub(crate) fn on_closed(&mut self, ctx: &mut Ctx, link: LinkId) -> Check {
        if self.link() != Some(link) {
            return Ok(());
        }
        ctx.note(&self.who, format_args!("link {} closed by the server", link.0));
        self.lose_transport(ctx)
    }

    fn lose_transport(&mut self, ctx: &mut Ctx) -> Check {
        let Some(link) = self.link() else { return Ok(()) };
        let was_open = self.opens_at_us.take().is_none();
        self.with_core(ctx, |core, now| match was_open {
            true => core.disconnected(now),
            false => core.connect_failed(now),
        })?;
        if self.link() == Some(link) {
            return broken("promises", "the core clings to a connection that is lost");
        }
        Ok(())
    }

    /// Sends what the core has written.
    fn send(&mut self, ctx: &mut Ctx, mut bytes: &[u8]) -> Check {
        while let Some((prefix, rest)) = bytes.split_first_chunk::<4>() {
            let len = usize::try_from(i32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
            let Some((frame, rest)) = rest.split_at_checked(len) else {
                return broken("promises", "the core wrote half a frame");
            };
            bytes = rest;
            let (Some(process), Some(wire)) = (&mut self.process, &mut self.wire) else {
                return broken("promises", "the core wrote without a connection");
            };
            if wire.is_begun {
                Self::send_request(ctx, process, wire, &self.users, frame)?;
            } else {
                let Ok(request) = ConnectRequest::read(&mut Reader::new(frame)) else {
                    return broken("promises", "the core's handshake cannot be decoded");
                };
                process.promises.sent_connect(&request)?;
                wire.session = request.session;
                wire.takes_read_only = request.read_only == Some(true);
                wire.is_begun = true;
                wire.begun_at = ctx.history.model.last();
            }
            let link = wire.link;
            transmit(ctx, link, frame);
            // Pipelined behind closeSession: must be neither executed nor answered. (Without a leader it may be
            // refused, and the connection goes on.)
            if wire.is_closing && !wire.is_read_only && ctx.rng.chance(300) {
                let body = [0, 0, 0, 1, b'/', 0];
                transmit(ctx, link, &workload::frame(process.xid + 1, OpCode::GetData, &body));
            }
        }
        Ok(())
    }

    fn send_request(
        ctx: &mut Ctx,
        process: &mut Process,
        wire: &mut Wire,
        users: &[Id],
        frame: &[u8],
    ) -> Check {
        let mut reader = Reader::new(frame);
        let header = RequestHeader::read(&mut reader).ok();
        let known = header.and_then(|header| Some((header.xid, OpCode::from_i32(header.op)?)));
        let Some((xid, op)) = known else {
            return broken("promises", "the core sent a frame without a good header");
        };
        if op == OpCode::Auth {
            let Ok(Request::Auth(Auth { auth: Some(secret), .. })) = Request::read(op, &mut reader)
            else {
                return broken("promises", "the core's credentials cannot be decoded");
            };
            if secret == SUPER_SECRET.as_bytes() {
                let digest = Id { scheme: SCHEME.to_owned(), id: SUPER_DIGEST.to_owned() };
                let power = Id { scheme: "super".to_owned(), id: String::new() };
                wire.on_auth(&[power, digest]);
                return process.promises.sent_auth(secret);
            }
            let user = (0..users.len()).find(|&user| credentials(user).as_bytes() == secret);
            let known = user.and_then(|user| users.get(user));
            wire.on_auth(known.map_or(&[], std::slice::from_ref));
            return process.promises.sent_auth(secret);
        }
        let mut is_garbage = false;
        if op != OpCode::Ping {
            if xid.0 <= process.xid {
                let what = format!("xid {} was sent behind {}", xid.0, process.xid);
                return broken("promises", what);
            }
            process.xid = xid.0;
            let call = process.promises.sent(op, reader.rest())?;
            is_garbage = call.is_some_and(|call| process.garbage.remove(&call));
        } else if xid != Xid::PING {
            return broken("promises", format!("a ping has xid {}", xid.0));
        }
        ctx.counts.rearmed += u64::from(matches!(op, OpCode::SetWatches | OpCode::SetWatches2));
        wire.on_request(ctx, &process.order, (xid, op, frame.to_vec()), is_garbage)
    }

    /// Bytes arrived.
    pub(crate) fn on_bytes(&mut self, ctx: &mut Ctx, link: LinkId, bytes: &[u8]) -> Check {
        let (Some(process), Some(wire)) = (&mut self.process, &mut self.wire) else {
            return Ok(());
        };
        if wire.link != link {
            return Ok(());
        }
        wire.push(bytes);
        while let Some(frame) = wire.next_frame()? {
            let promises = &mut process.promises;
            match wire.on_frame(ctx, &mut process.order, &frame)? {
                Said::Accepted { session, password } => {
                    if process.is_established {
                        ctx.counts.auths_again += promises.credentials_known() as u64;
                    }
                    process.is_established = true;
                    promises.accepted(session, password, wire.is_read_only);
                }
                Said::Refused => {
                    process.is_refused = true;
                    promises.refused();
                }
                Said::Event { event, path, zxid } => {
                    promises.happened(EventKind::from(event), &path, zxid);
                }
                Said::Auth { err } => promises.answered_auth(err),
                Said::Pong | Said::NoSession => {}
                Said::Reply { op, is_write, zxid, err, body } => {
                    let is_served = u64::from(ctx.is_healing && err == 0);
                    let count = if is_write { &mut self.served.0 } else { &mut self.served.1 };
                    *count += is_served;
                    promises.answered(zxid, err, &body);
                    let is_proven = !wire.is_unproven;
                    if is_proven
                        && matches!(
                            op,
                            OpCode::SetWatches | OpCode::SetWatches2 | OpCode::RemoveWatches
                        )
                    {
                        promises.check_watches(&wire.watches, &ctx.history.model)?;
                    }
                }
            }
        }
        self.with_core(ctx, |core, now| core.received(bytes, now))
    }
}

fn now_ms(ctx: &Ctx) -> Millis {
    ctx.now_us / 1000
}

/// Sends a segment to the server.
pub(crate) fn push(ctx: &mut Ctx, link: LinkId, delay_us: u64, segment: Segment) {
    if let Some(at) = ctx.links.send_up(link, ctx.now_us, delay_us, segment) {
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
