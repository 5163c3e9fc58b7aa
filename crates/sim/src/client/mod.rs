//! A simulated client: the core that ships (`rookeeper-session`), its user, and the wire between it and
//! the servers.
//!
//! This is the core's shell, as `rookeeper-client`'s driver is: it opens links, carries bytes and time, and
//! does what the core asks; the user asks for random things. Every frame is looked at both ways
//! ([`wire`]), and everything the core tells its user is compared with what it must
//! ([`crate::checkers::promises`]). Processes die: another may then resume the session with what the first
//! one knew. What no core does (useless, silent and hostile connections) is in [`crate::storm`], but for a
//! request pipelined behind closeSession, which is sent by hand here.
//!
//! It holds no clock and no socket; the world calls [`Client::step`] when it may act, and
//! [`Client::on_bytes`] when something arrives.

mod wire;
pub(crate) mod workload;

use std::collections::BTreeSet;
use std::rc::Rc;

use rookeeper_proto::acl::{Id, RequestAcls};
use rookeeper_proto::client::request::{Auth, Create, PathKind, PathWatch};
use rookeeper_proto::client::{ConnectRequest, Request, RequestHeader};
use rookeeper_proto::{OpCode, Reader, SessionId, Xid};
use rookeeper_session::{
    Call, CallId, Config, Credentials, EventKind, Failure, Millis, Output, Session, SessionState,
    WatchChange, WatchKind, WatcherType,
};

use crate::agenda::Event;
use crate::checkers::promises::Promises;
use crate::checkers::session_order::SessionOrder;
use crate::ctx::Ctx;
use crate::net::{End, Link, LinkId, Pipe, Segment};
use crate::server::turn::SUPER_DIGEST;
use crate::violation::{Check, broken};
use wire::{Said, Wire};
use workload::Action;

/// Passwords of the users, `u<n>:pw`.
pub(crate) fn credentials(user: usize) -> String {
    format!("u{user}:pw")
}

const SCHEME: &str = "digest";
/// See [`SUPER_DIGEST`].
const SUPER_SECRET: &str = "super:test";
/// What no server takes.
const NO_SCHEME: &str = "nosuch";
/// How long a user waits for a first connection.
const PATIENCE_US: u64 = 5_000_000;

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
    /// The network has cut the connection.
    is_cut: bool,
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
            is_cut: false,
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

    /// Asks what the operator wants, if it can; with the superuser's power or without.
    pub(crate) fn operate(
        &mut self,
        ctx: &mut Ctx,
        request: &Request<'_>,
        is_super: bool,
    ) -> Check {
        let Some(process) = &mut self.process else { return Ok(()) };
        if !process.core.state().is_connected() {
            return Ok(());
        }
        if is_super && !process.is_super {
            process.is_super = true;
            let (id, secret) = (process.next_call(), SUPER_SECRET.as_bytes().to_vec());
            process.promises.asked_auth(id, &secret);
            self.with_core(ctx, |core, now| core.add_auth(id, SCHEME.to_owned(), secret, now))?;
        }
        self.ask(ctx, Call::new(request), false)
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
        if self.is_cut || self.is_leaving {
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
        if std::mem::take(&mut self.is_cut) {
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

    // ---- the user -------------------------------------------------------------------------------

    /// The user does something; returns the pause before the next thing.
    fn act(&mut self, ctx: &mut Ctx, ops_left: &mut u64) -> Check<u64> {
        let Some(process) = &self.process else {
            self.start(ctx)?;
            return Ok(ctx.rng.between(1000, 50_000));
        };
        if !process.is_established && process.begun_us + PATIENCE_US < ctx.now_us {
            self.die(ctx, "no connection in time");
            return Ok(ctx.rng.spread(20_000));
        }
        // What is asked without a connection, or of a session being closed, mostly fails unsent: a
        // little of it is enough.
        let is_served = process.core.state().is_connected() && !process.is_closing;
        let is_likely = is_served || ctx.rng.chance(50);
        let is_free = is_likely && (process.core.pending() as u64) < ctx.plan.habits.window + 2;
        let timeout_us = process.core.timeout_ms().saturating_mul(1000);
        if is_free && ctx.is_healing {
            self.ask_proof(ctx)?;
        } else if is_free && *ops_left > 0 && !self.is_operator {
            *ops_left -= 1;
            ctx.counts.operations += 1;
            self.ask_random(ctx)?;
        }
        let think = ctx.plan.habits.think_us;
        Ok(ctx.rng.spread(think).min(timeout_us / 8 + 1))
    }

    /// A process begins: with a new session, or with one that another has left.
    fn start(&mut self, ctx: &mut Ctx) -> Check {
        let max_ms = ctx.plan.replica.max_session_timeout_ms as u64;
        let min_ms = ctx.plan.replica.min_session_timeout_ms as u64;
        let timeout_ms = if ctx.rng.chance(100) && !ctx.is_healing {
            ctx.rng.pick(&[0, 1, u32::MAX])
        } else {
            ctx.rng.between(min_ms, max_ms) as u32
        };
        let (resume, first_xid) = match self.left.take() {
            Some((left, xid)) => (Some(left), xid),
            None => (None, 1),
        };
        ctx.counts.taken_over += u64::from(resume.is_some());
        let share = ctx.plan.habits.read_only_per_mille;
        let known = if ctx.rng.chance(100) { vec![credentials(0)] } else { Vec::new() };
        let auths = known.iter().map(|secret| (SCHEME.to_owned(), secret.as_bytes().to_vec()));
        let config = Config {
            servers: ctx.machines.len(),
            timeout_ms,
            seed: ctx.rng.u64(),
            in_flight_max: ctx.plan.habits.window as usize,
            fail_fast: ctx.rng.chance(300),
            resume: resume.clone(),
            first_xid,
            auths: auths.collect(),
            read_only: share > 0 && ctx.rng.chance(share),
            ..Config::default()
        };
        let secrets = known.into_iter().map(String::into_bytes).collect();
        let promises = Promises::new(config.fail_fast, resume, secrets);
        ctx.note(&self.who, format_args!("begins, time-out {timeout_ms}"));
        self.process = Some(Process {
            core: Session::new(config, now_ms(ctx)),
            promises,
            order: SessionOrder::default(),
            begun_us: ctx.now_us,
            is_closing: false,
            is_established: false,
            is_refused: false,
            calls: 0,
            watchers: 0,
            garbage: BTreeSet::new(),
            xid: first_xid - 1,
            unknown: Vec::new(),
            is_super: false,
        });
        self.settle(ctx)
    }

    fn ask_random(&mut self, ctx: &mut Ctx) -> Check {
        let users = Rc::clone(&self.users);
        let Some(process) = &mut self.process else { return Ok(()) };
        match workload::draw(&ctx.plan, &mut ctx.rng, &users, &mut process.watchers) {
            Action::Ask(calls) => {
                for (call, is_garbage) in calls {
                    self.ask(ctx, call, is_garbage)?;
                }
            }
            Action::Auth(user) => {
                let (id, is_bad) = (process.next_call(), ctx.rng.chance(30));
                let (scheme, secret) = match is_bad {
                    true => (NO_SCHEME.to_owned(), NO_SCHEME.to_owned()),
                    false => (SCHEME.to_owned(), credentials(user)),
                };
                let secret = secret.into_bytes();
                process.promises.asked_auth(id, &secret);
                self.with_core(ctx, |core, now| core.add_auth(id, scheme, secret, now))?;
            }
            Action::Close => self.close(ctx)?,
            Action::Drop if ctx.rng.chance(ctx.plan.habits.rearm_per_mille) => {
                self.lose_transport(ctx)?;
            }
            Action::Drop => {
                let known = process.core.credentials().cloned();
                self.left = known.map(|known| (known, process.xid + 1));
                self.die(ctx, "so it pleases");
                if ctx.rng.chance(100) {
                    // The next one may come too late.
                    let max_ms = ctx.plan.replica.max_session_timeout_ms as u64;
                    self.late_us = ctx.rng.between(1000, 3 * max_ms * 1000);
                }
            }
            Action::Cancel => {
                if let Some(id) = process.promises.one_pending(ctx.rng.index(100)) {
                    ctx.counts.cancelled += 1;
                    process.promises.cancelled(id);
                    self.with_core(ctx, |core, _| core.cancel(id))?;
                }
            }
            Action::Unwatch => {
                if let Some((_, kind, path)) = process.promises.one_watch(ctx.rng.index(100)) {
                    let which = match kind {
                        _ if ctx.rng.chance(300) => WatcherType::Any,
                        WatchKind::Data | WatchKind::Exist => WatcherType::Data,
                        WatchKind::Child => WatcherType::Children,
                        WatchKind::Persistent => WatcherType::Persistent,
                        WatchKind::PersistentRecursive => WatcherType::PersistentRecursive,
                    };
                    let kind = which as i32;
                    let request =
                        Request::RemoveWatches(PathKind { path: Some(path.as_str().into()), kind });
                    let call = Call::new(&request);
                    let watch = WatchChange::Remove { path, which, locally: ctx.rng.chance(300) };
                    self.ask(ctx, Call { watch, ..call }, false)?;
                }
            }
            Action::Forget => {
                if let Some((id, kind, path)) = process.promises.one_watch(ctx.rng.index(100)) {
                    ctx.counts.forgotten += 1;
                    process.promises.forgot(id, kind, &path);
                    self.with_core(ctx, |core, now| core.forget_watch(id, kind, &path, now))?;
                }
            }
        }
        Ok(())
    }

    fn ask(&mut self, ctx: &mut Ctx, call: Call, is_garbage: bool) -> Check {
        let Some(process) = &mut self.process else { return Ok(()) };
        let id = process.next_call();
        if is_garbage {
            process.garbage.insert(id);
        }
        process.promises.asked(id, &call);
        self.with_core(ctx, |core, now| core.submit(id, call, now))
    }

    /// Behind the faults: a write that must succeed, and a read.
    fn ask_proof(&mut self, ctx: &mut Ctx) -> Check {
        if self.served.0 > 0 && self.served.1 > 0 {
            return Ok(());
        }
        let create = Create {
            path: Some(self.path.as_str().into()),
            data: None,
            acls: Some(RequestAcls::Open),
            flags: 2,
            ttl_ms: -1,
        };
        let write = Call::new(&Request::Create(create));
        let read = PathWatch { path: Some("/".into()), watch: false };
        self.ask(ctx, write, false)?;
        self.ask(ctx, Call::new(&Request::GetChildren2(read)), false)
    }

    /// Closes the session properly.
    fn close(&mut self, ctx: &mut Ctx) -> Check {
        let Some(process) = &mut self.process else { return Ok(()) };
        let id = process.next_call();
        process.promises.asked_close(id);
        process.is_closing = true;
        self.with_core(ctx, |core, now| core.close(id, now))
    }

    /// The process is gone from one moment to the next. Its session lives on.
    fn die(&mut self, ctx: &mut Ctx, why: &str) {
        ctx.note(&self.who, format_args!("dies: {why}"));
        self.hang_up(ctx);
        self.end_process(ctx);
    }

    fn end_process(&mut self, ctx: &mut Ctx) {
        let Some(process) = self.process.take() else { return };
        let executed = |write: &&(SessionId, i32)| ctx.history.is_executed(write.0, write.1);
        ctx.counts.unknown_executed += process.unknown.iter().filter(executed).count() as u64;
    }

    /// The run is over for this client: it closes its session or vanishes.
    pub(crate) fn drain(&mut self, ctx: &mut Ctx) {
        self.is_drained = true;
        self.is_leaving = true;
        self.plan(ctx);
    }

    fn leave(&mut self, ctx: &mut Ctx) -> Check {
        let is_open = self.wire.as_ref().is_some_and(|wire| wire.is_open && !wire.is_closing);
        if is_open && ctx.rng.chance(500) {
            return self.close(ctx);
        }
        self.die(ctx, "it vanishes");
        Ok(())
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
        let (end, host) = (End::Client(self.index), self.host);
        let new = Link { end, host, server, up: Pipe::default(), down: Pipe::default() };
        ctx.links.insert(link, new);
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
        if let Some(link) = ctx.links.get_mut(&wire.link) {
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
        self.is_cut = true;
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
            }
            let link = wire.link;
            transmit(ctx, link, frame);
            // Pipelined behind closeSession: must be neither executed nor answered.
            if wire.is_closing && ctx.rng.chance(300) {
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
