//! One connection as its bytes show it: every frame both ways, each compared with the history at once by
//! the checkers it is handed to. It knows nothing of the core that speaks, so that neither can hide
//! a mistake of the other.

use std::collections::VecDeque;
use std::rc::Rc;

use rookeeper_proto::acl::Id;
use rookeeper_proto::client::reply::EventType;
use rookeeper_proto::client::request::Text;
use rookeeper_proto::client::{ConnectResponse, ReplyHeader, Request, WatchedEvent};
use rookeeper_proto::password::password;
use rookeeper_proto::{ErrorCode, OpCode, Reader, SessionId, Xid, Zxid};

use crate::checkers::session_order::SessionOrder;
use crate::checkers::{reads, watch_order, writes};
use crate::ctx::Ctx;
use crate::history::{EPHEMERAL_ON_LOCAL, Sent};
use crate::model::Model;
use crate::model::watches::ConnWatches;
use crate::net::LinkId;
use crate::violation::{Check, broken};

const NAME: &str = "client";

/// What a frame from the server says.
#[derive(Debug)]
pub(super) enum Said {
    /// The session is open.
    Accepted { session: SessionId, password: [u8; 16] },
    /// There is no such session.
    Refused,
    /// None can be made without a leader; the connection is of no use.
    NoSession,
    /// A watch fired.
    Event { event: EventType, path: String, zxid: Zxid },
    /// The oldest request is answered.
    Reply { op: OpCode, is_write: bool, zxid: Zxid, err: i32, body: Vec<u8> },
    /// Credentials are answered.
    Auth { err: i32 },
    /// A ping is.
    Pong,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) link: LinkId,
    who: Rc<str>,
    /// The session asked for, then the one granted.
    pub(super) session: SessionId,
    pub(super) is_open: bool,
    pub(super) is_closing: bool,
    /// The handshake was sent.
    pub(super) is_begun: bool,
    /// The newest txn then.
    pub(super) begun_at: Zxid,
    /// It said that it would take a read-only server; and it has got one.
    pub(super) takes_read_only: bool,
    pub(super) is_read_only: bool,
    /// It was shown what may never have been committed: nobody can say which watches it set there.
    pub(super) is_unproven: bool,
    input: Vec<u8>,
    unanswered: VecDeque<Rc<Sent>>,
    /// Whether they are good.
    auths_unanswered: VecDeque<bool>,
    ids: Rc<[Id]>,
    /// The identities when something was last shown.
    ids_shown: Rc<[Id]>,
    pub(super) watches: ConnWatches,
    catch_up: Vec<(EventType, String)>,
}

impl Wire {
    pub(super) fn new(link: LinkId, who: Rc<str>, host: u8) -> Self {
        let ip = Id { scheme: "ip".to_owned(), id: format!("10.0.0.{host}") };
        let ids: Rc<[Id]> = Rc::from([ip]);
        Self {
            link,
            who,
            session: SessionId::NONE,
            is_open: false,
            is_closing: false,
            is_begun: false,
            begun_at: Zxid::ZERO,
            takes_read_only: false,
            is_read_only: false,
            is_unproven: false,
            input: Vec::new(),
            unanswered: VecDeque::new(),
            auths_unanswered: VecDeque::new(),
            ids_shown: Rc::clone(&ids),
            ids,
            watches: ConnWatches::default(),
            catch_up: Vec::new(),
        }
    }

    /// For the words of a liveness violation.
    pub(super) fn state(&self) -> String {
        let waiting = self.unanswered.front().map(|sent| (sent.op, sent.xid));
        format!("open {}, {} unanswered, first {waiting:?}", self.is_open, self.unanswered.len())
    }

    /// Writes that may or may not happen.
    pub(super) fn writes_unanswered(&self) -> impl Iterator<Item = (SessionId, i32)> {
        let writes = self.unanswered.iter().filter(|sent| sent.op.is_write() && !sent.is_garbage);
        writes.map(|sent| (sent.session, sent.xid))
    }

    // ---- to the server --------------------------------------------------------------------------

    /// Credentials are sent; without an identity they must be refused.
    pub(super) fn on_auth(&mut self, ids: &[Id]) {
        self.auths_unanswered.push_back(!ids.is_empty());
        let fresh = ids.iter().filter(|id| !self.ids.contains(id)).cloned();
        self.ids = self.ids.iter().cloned().chain(fresh).collect();
    }

    /// A request is sent.
    pub(super) fn on_request(
        &mut self,
        ctx: &mut Ctx,
        order: &SessionOrder,
        (xid, op, frame): (Xid, OpCode, Vec<u8>),
        is_garbage: bool,
    ) -> Check {
        if self.is_closing && op == OpCode::Ping {
            // It does no harm, and is not answered.
            return Ok(());
        }
        if self.is_closing {
            return broken("promises", format!("{op:?} was sent behind closeSession"));
        }
        let sent = Rc::new(Sent {
            session: self.session,
            xid: xid.0,
            op,
            frame,
            ids: Rc::clone(&self.ids),
            // Reads of an ensemble may be as old as what their session has seen.
            floor: match ctx.is_ensemble() && (!op.is_write() || is_garbage) {
                true => order.newest(),
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
            ctx.trace.line(ctx.now_us, &self.who, format_args!("send xid {} {request:?}", xid.0));
        }
        self.is_closing = op == OpCode::CloseSession;
        if self.is_closing && ctx.is_ensemble() {
            // A leader proposes it later while a reconfig is under way, and resumes it for nobody.
            ctx.expiry.order_closing(self.session);
        }
        self.unanswered.push_back(sent);
        Ok(())
    }

    // ---- from the server ------------------------------------------------------------------------

    /// Bytes arrived.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next whole frame.
    pub(super) fn next_frame(&mut self) -> Check<Option<Vec<u8>>> {
        let Some(prefix) = self.input.first_chunk::<4>() else { return Ok(None) };
        let Ok(len) = usize::try_from(i32::from_be_bytes(*prefix)) else {
            return broken(NAME, "a frame of negative length");
        };
        if self.input.len() < 4 + len {
            return Ok(None);
        }
        Ok(Some(self.input.drain(..4 + len).skip(4).collect()))
    }

    /// Compares a frame with what happened.
    pub(super) fn on_frame(
        &mut self,
        ctx: &mut Ctx,
        order: &mut SessionOrder,
        frame: &[u8],
    ) -> Check<Said> {
        if !self.is_open {
            return self.on_handshake(ctx, frame);
        }
        let mut body = Reader::new(frame);
        let Ok(header) = ReplyHeader::read(&mut body) else {
            return broken(NAME, "a reply without a header");
        };
        match header.xid {
            Xid::NOTIFICATION => self.on_event(ctx, order, header.zxid, &mut body),
            Xid::AUTH => {
                let expected = match self.auths_unanswered.pop_front() {
                    Some(true) => Some(ErrorCode::Ok.as_i32()),
                    Some(false) => Some(ErrorCode::AuthFailed.as_i32()),
                    None => None,
                };
                if Some(header.err) != expected || header.zxid != Zxid::ZERO {
                    return broken(NAME, format!("{header:?} to an auth packet"));
                }
                ctx.counts.auths_refused += u64::from(header.err != 0);
                Ok(Said::Auth { err: header.err })
            }
            _ => self.on_reply(ctx, order, header, &mut body),
        }
    }

    fn on_handshake(&mut self, ctx: &mut Ctx, frame: &[u8]) -> Check<Said> {
        if self.takes_read_only && self.session == SessionId::NONE && is_not_read_only(frame) {
            ctx.counts.read_only_refusals += 1;
            return Ok(Said::NoSession);
        }
        let Ok(response) = ConnectResponse::read(&mut Reader::new(frame)) else {
            return broken(NAME, "a ConnectResponse that cannot be decoded");
        };
        ctx.note(&self.who, format_args!("{response:?}"));
        if response.timeout_ms <= 0 {
            return self.on_refused(ctx, response.read_only == Some(true));
        }
        self.is_open = true;
        self.is_read_only = response.read_only == Some(true);
        if self.is_read_only && !self.takes_read_only {
            return broken(NAME, format!("not asked for: {response:?}"));
        }
        ctx.counts.read_only += u64::from(self.is_read_only);
        let config = &ctx.plan.replica;
        let is_fair = config.min_session_timeout_ms <= response.timeout_ms
            && response.timeout_ms <= config.max_session_timeout_ms
            && response.password == password(response.session);
        if !is_fair {
            return broken(NAME, format!("{response:?}"));
        }
        if self.session == response.session {
            ctx.counts.resumed += 1;
        } else if self.session == SessionId::NONE {
            ctx.counts.sessions += 1;
            let life = ctx.history.model.session(response.session);
            if life.is_none() && ctx.plan.has_local_sessions() {
                ctx.counts.local_sessions += 1;
                ctx.history.local.insert(response.session);
            } else if let Some(life) = life {
                ctx.history.reveal(life.created)?;
            } else {
                let what = format!("session {} was granted, but does not exist", response.session);
                return broken("durability", what);
            }
        } else {
            let what = format!("{:?} for a resumption of {}", response, self.session);
            return broken(NAME, what);
        }
        self.session = response.session;
        Ok(Said::Accepted { session: response.session, password: response.password })
    }

    fn on_refused(&mut self, ctx: &mut Ctx, is_read_only: bool) -> Check<Said> {
        ctx.counts.refused_sessions += 1;
        if self.session == SessionId::NONE {
            return broken(NAME, "a new session was refused");
        }
        // Without a leader a server that has local sessions believes in no session that it does not know.
        let is_ignorant = is_read_only && ctx.plan.has_local_sessions();
        let server = ctx.links.get(self.link).map(|link| link.server);
        if server.is_some_and(|server| ctx.facts.is_of_the_past(server)) {
            // It does not know of sessions that began since (`docs/simulator.md`).
            ctx.counts.refused_by_the_past += 1;
        } else if ctx.history.was_local_since(self.session, self.begun_at) {
            ctx.counts.local_ends += 1;
        } else if !ctx.expiry.has_ended(self.session) && !is_ignorant {
            let what = format!("session {} was refused, but is alive", self.session);
            return broken("expiry", what);
        }
        Ok(Said::Refused)
    }

    fn on_event(
        &mut self,
        ctx: &mut Ctx,
        order: &mut SessionOrder,
        zxid: Zxid,
        body: &mut Reader<'_>,
    ) -> Check<Said> {
        let Ok(WatchedEvent { event, path }) = WatchedEvent::read(body) else {
            return broken(NAME, "an event that cannot be decoded");
        };
        let path = path.into_owned();
        ctx.trace.line(ctx.now_us, &self.who, format_args!("event {event:?} of {path} at {zxid}"));
        if zxid == Zxid::UNKNOWN {
            ctx.counts.catch_ups += 1;
            self.catch_up.push((event, path.clone()));
            return Ok(Said::Event { event, path, zxid });
        }
        ctx.counts.events += 1;
        ctx.history.reveal(zxid)?;
        if zxid < self.watches.seen {
            let what = format!("{event:?} of {path} at {zxid} behind {}", self.watches.seen);
            return broken("watch_order", what);
        }
        self.watches.advance(&ctx.history.model, zxid, &self.ids_shown, &self.ids);
        watch_order::on_event(&mut self.watches, zxid, event, &path)?;
        order.on_event(zxid)?;
        Ok(Said::Event { event, path, zxid })
    }

    fn on_reply(
        &mut self,
        ctx: &mut Ctx,
        order: &mut SessionOrder,
        header: ReplyHeader,
        body: &mut Reader<'_>,
    ) -> Check<Said> {
        let ReplyHeader { xid, zxid, err } = header;
        let mut first = 0;
        if xid == Xid::PING && ctx.plan.replica.quiet_elections {
            // Without a leader it overtakes what waits for one, also a closeSession.
            match self.unanswered.iter().position(|sent| sent.op == OpCode::Ping) {
                Some(at) => first = at,
                None if self.is_closing => return Ok(Said::Pong),
                None => {}
            }
        }
        let sent = self.unanswered.remove(first);
        if let Some(sent) = sent.as_ref().filter(|_| self.is_read_only && err == NOT_READ_ONLY) {
            let op = sent.op;
            let may_be_refused = op.is_write() || op == OpCode::Sync;
            if !may_be_refused || sent.xid != xid.0 || zxid < order.newest() {
                return broken(NAME, format!("{header:?} to {op:?}"));
            }
            ctx.counts.read_only_refusals += 1;
            return Ok(Said::Reply { op, is_write: op.is_write(), zxid, err, body: Vec::new() });
        }
        ctx.counts.read_only_reads += u64::from(self.is_read_only);
        if let Some(sent) = sent.as_ref().filter(|sent| sent.op == OpCode::CloseSession)
            && ctx.history.is_local(sent.session)
        {
            if (err, sent.xid) != (0, xid.0) || zxid < order.newest() {
                return broken(NAME, format!("{header:?} to the closing of a local session"));
            }
            ctx.counts.local_ends += 1;
            let op = OpCode::CloseSession;
            return Ok(Said::Reply { op, is_write: true, zxid, err, body: Vec::new() });
        }
        order.on_reply(sent.as_deref(), xid, zxid)?;
        let Some(sent) = sent else { return Ok(Said::Pong) };
        let op = sent.op;
        if ctx.trace.is_on() {
            let line = format!("reply xid {} {op:?} at {zxid} err {err}", xid.0);
            ctx.trace.line(ctx.now_us, &self.who, format_args!("{line}"));
        }
        ctx.counts.replies += 1;
        let bytes = body.rest().to_vec();
        let is_unknown = zxid.counter() != 0 && ctx.history.model.txn(zxid).is_none();
        if self.is_unproven || self.is_read_only && is_unknown {
            // After a restart nobody knows which end of the log is committed (`docs/simulator.md`). Nor, on the same
            // connection, once it is known: which watches were left meanwhile was not followed.
            ctx.counts.read_only_unproven += 1;
            self.catch_up.clear();
            self.is_unproven = true;
            return Ok(match op {
                OpCode::Ping => Said::Pong,
                _ => Said::Reply { op, is_write: false, zxid, err, body: bytes },
            });
        }
        ctx.history.reveal(zxid)?;
        let model = &ctx.history.model;
        self.watches.advance(model, zxid, &self.ids_shown, &self.ids);
        watch_order::on_reply(&mut self.watches, zxid)?;
        self.ids_shown = Rc::clone(&sent.ids);
        let is_write = op.is_write() && !sent.is_garbage;
        if is_write {
            ctx.counts.writes_checked += 1;
            writes::check(model, &sent, zxid, err, body)?;
            ctx.counts.local_refusals += u64::from(err == EPHEMERAL_ON_LOCAL);
            ctx.counts.closed += u64::from(op == OpCode::CloseSession);
        } else {
            ctx.counts.reads_checked += 1;
            reads::check(model, &sent, &self.watches, zxid, err, body)?;
            self.after_read(model, &sent, zxid, err)?;
        }
        if op == OpCode::Ping {
            return Ok(Said::Pong);
        }
        Ok(Said::Reply { op, is_write, zxid, err, body: bytes })
    }

    /// What a read leaves behind: watches.
    fn after_read(&mut self, model: &Model, sent: &Sent, zxid: Zxid, err: i32) -> Check {
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
