//! A client's session without I/O: bytes, commands and the time go in; bytes, completions, events
//! and the next deadline come out.
//!
//! It guarantees: replies complete in request order and an event is given out before any reply that
//! follows it on the wire, a
//! change of state before the completions it causes; a request is sent at most once; a write whose reply was lost is told
//! apart from one that was never sent; watches and credentials are re-established on every new
//! connection before any further request; bytes of a hostile server end the connection and never
//! panic. Given the same inputs and seed it behaves the same: the simulator runs it against simulated
//! servers and checks all of this (`docs/simulator.md`).
//!
//! It deliberately does not open sockets, look up names, read a clock, decode bodies of replies, or
//! retry requests. While a server that only reads serves, it names the servers to be asked whether they take
//! writes ([`Session::whom_to_ask`]); nobody needs to ask.
//!
//! Times and order follow `client-protocol.md` 2, 4, 5.4, 12.1: ping after a third of the session
//! time-out without sending, give up a connection after two thirds without hearing, give up the
//! session after four thirds without a server.

/// Whether a known mistake is to be made; never without the feature of the tests.
#[cfg(feature = "planted-bugs")]
macro_rules! planted {
    ($bug:ident) => {
        $crate::planted::is($crate::planted::Bug::$bug)
    };
}
#[cfg(not(feature = "planted-bugs"))]
macro_rules! planted {
    ($bug:ident) => {
        false
    };
}

mod connection;
mod event;
mod input;
#[cfg(feature = "planted-bugs")]
pub mod planted;
mod random;
mod replies;
mod servers;
mod watches;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use rookeeper_proto::client::request::PathKind;
use rookeeper_proto::client::{ConnectRequest, Request, RequestHeader};
use rookeeper_proto::{ErrorCode, JuteWrite, OpCode, SessionId, Xid, Zxid};

pub use event::{EventKind, SessionState};
use random::Random;
use servers::{Search, Servers};
use watches::Watches;
pub use watches::{WatchId, WatchKind, WatcherType};

/// Milliseconds since any fixed moment; handed in with every call and never going back.
pub type Millis = u64;

/// What a session is set up with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Number of servers; they are named by index.
    pub servers: usize,
    /// Session time-out to ask for.
    pub timeout_ms: u32,
    /// Whether a server without quorum will do.
    pub read_only: bool,
    /// Seed of the shuffle and the jitter.
    pub seed: u64,
    /// The largest frame accepted from a server.
    pub reply_bytes_max: usize,
    /// Requests sent and not answered; more wait.
    pub in_flight_max: usize,
    /// Whether waiting requests fail once every server was tried in vain, as in Java's client.
    /// Otherwise they wait for a server until the session is given up.
    pub fail_fast: bool,
    /// A session to resume instead of creating one.
    pub resume: Option<Credentials>,
    /// Number of the first request. Servers do not care; whoever resumes a session may go on where it
    /// was left, so that logs tell its requests apart.
    pub first_xid: i32,
    /// Credentials sent on every connection: scheme and content.
    pub auths: Vec<(String, Vec<u8>)>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            servers: 1,
            timeout_ms: 30_000,
            read_only: false,
            seed: 0,
            reply_bytes_max: 64 << 20,
            in_flight_max: 1000,
            fail_fast: false,
            resume: None,
            first_xid: 1,
            auths: Vec::new(),
        }
    }
}

/// What proves that a session is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The session's id.
    pub session: SessionId,
    /// Its password.
    pub password: [u8; 16],
}

/// Names a request until it completes; chosen by the caller, never 0 and never twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// A request, encoded.
#[derive(Debug, Clone)]
pub struct Call {
    /// Operation.
    pub op: OpCode,
    /// Body without header.
    pub body: Vec<u8>,
    /// What its success means for the watches held.
    pub watch: WatchChange,
}

impl Call {
    /// Encodes a request that leaves no watch.
    pub fn new(request: &Request<'_>) -> Self {
        let mut body = Vec::new();
        request.write(&mut body);
        Self { op: request.op(), body, watch: WatchChange::None }
    }
}

/// What a successful request changes in the watches held. Paths are the server's.
#[derive(Debug, Clone, Default)]
pub enum WatchChange {
    /// Nothing.
    #[default]
    None,
    /// It leaves a watch: for an exists the kind is decided by the answer.
    Add(WatchId, WatchKind, String),
    /// It removes watches; with `locally`, also when there is no connection.
    Remove {
        /// Path.
        path: String,
        /// Which.
        which: WatcherType,
        /// Whether to do without a server.
        locally: bool,
    },
}

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The header's zxid.
    pub zxid: Zxid,
    /// The encoded body; empty for many operations.
    pub body: Vec<u8>,
}

/// Why there is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The server answered with this code.
    Code(i32),
    /// The connection was lost. `sent` says whether the server may have seen the request.
    ConnectionLoss {
        /// Whether it was sent.
        sent: bool,
    },
    /// The session is over.
    Over(SessionState),
    /// The request does not fit into a frame.
    TooLarge,
}

/// What the session wants done or known, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// Open a transport to this server, then call [`Session::connected`] or
    /// [`Session::connect_failed`].
    Connect {
        /// Its index.
        server: usize,
    },
    /// Give up the transport, or the attempt to open it; nothing it still delivers counts.
    Disconnect,
    /// A request is complete.
    Done {
        /// Which.
        call: CallId,
        /// How.
        result: Result<Reply, Failure>,
    },
    /// A watch fired. The path is the server's.
    Event {
        /// What happened.
        kind: EventKind,
        /// Where.
        path: String,
        /// When, -1 when not known.
        zxid: Zxid,
        /// Who is told, in order, nobody twice.
        watchers: Vec<WatchId>,
    },
    /// The state changed. `watchers` may have missed events since the last connection.
    State {
        /// The new state.
        state: SessionState,
        /// Holders of persistent watches, when a connection was re-established.
        watchers: Vec<WatchId>,
    },
}

#[derive(Debug)]
enum Phase {
    Waiting { until: Millis },
    Connecting { deadline: Millis },
    Handshaking { deadline: Millis },
    Connected,
    Over(SessionState),
}

/// A request sent and not answered. `call` is `None` for our own and for cancelled ones.
#[derive(Debug)]
struct InFlight {
    xid: Xid,
    op: OpCode,
    call: Option<CallId>,
    watch: WatchChange,
}

#[derive(Debug)]
struct Credential {
    scheme: String,
    auth: Vec<u8>,
    /// Who waits for the server's word on them.
    calls: Vec<CallId>,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Session {
    config: Config,
    phase: Phase,
    servers: Servers,
    random: Random,
    credentials: Option<Credentials>,
    /// Whether the session is known to all servers, not only to a read-only one.
    seen_writable: bool,
    timeout_ms: u64,
    last_zxid: Zxid,
    next_xid: i32,
    last_sent: Millis,
    last_heard: Millis,
    auths: Vec<Credential>,
    auths_in_flight: VecDeque<usize>,
    watches: Watches,
    waiting: VecDeque<(Option<CallId>, Call)>,
    in_flight: VecDeque<InFlight>,
    closing: bool,
    /// Who asked for the close besides the first.
    closers: Vec<CallId>,
    /// When a server was last heard on an established connection.
    last_alive: Option<Millis>,
    /// Whether the present connection is to a server that only reads.
    read_only_now: bool,
    search: Search,
    input: input::Frames,
    outgoing: Vec<u8>,
    outputs: VecDeque<Output>,
}

impl Session {
    /// A session that wants to connect at once: ask [`Session::poll`].
    pub fn new(config: Config, now: Millis) -> Self {
        let mut random = Random::new(config.seed);
        let known = config.auths.iter().cloned();
        let auths =
            known.map(|(scheme, auth)| Credential { scheme, auth, calls: Vec::new() }).collect();
        let mut session = Self {
            servers: Servers::new(config.servers, &mut random),
            random,
            phase: Phase::Waiting { until: now },
            seen_writable: config.resume.is_some(),
            credentials: config.resume.clone(),
            timeout_ms: u64::from(config.timeout_ms.max(1)),
            last_zxid: Zxid::ZERO,
            next_xid: config.first_xid.max(1),
            last_sent: now,
            last_heard: now,
            auths,
            auths_in_flight: VecDeque::new(),
            watches: Watches::default(),
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            closing: false,
            closers: Vec::new(),
            last_alive: None,
            read_only_now: false,
            search: Search::default(),
            input: input::Frames::new(config.reply_bytes_max),
            outgoing: Vec::new(),
            outputs: VecDeque::new(),
            config,
        };
        session.tick(now);
        session
    }

    // ---- what comes out -------------------------------------------------------------------------

    /// The next thing to do or to tell.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Bytes to send on the present transport; take what was written from the front.
    pub fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.outgoing
    }

    /// When [`Session::tick`] must be called at the latest; `None` when the session is over.
    pub fn deadline(&self) -> Option<Millis> {
        let own = match self.phase {
            Phase::Waiting { until } => until,
            Phase::Connecting { deadline } | Phase::Handshaking { deadline } => deadline,
            Phase::Connected if self.is_searching() => {
                self.ping_at().min(self.read_deadline()).min(self.search.due())
            }
            Phase::Connected => self.ping_at().min(self.read_deadline()),
            Phase::Over(_) => return None,
        };
        Some(self.expiry_deadline().map_or(own, |expiry| own.min(expiry)))
    }

    /// A server to ask whether it takes writes, with the word `isro`; if it says `rw`, call
    /// [`Session::found_writable`].
    pub fn whom_to_ask(&mut self) -> Option<usize> {
        self.search.whom.take().filter(|_| self.is_searching())
    }

    /// Where the session stands.
    pub fn state(&self) -> SessionState {
        match self.phase {
            Phase::Connected if self.read_only_now => SessionState::ConnectedReadOnly,
            Phase::Connected => SessionState::Connected,
            Phase::Over(state) => state,
            _ => SessionState::Disconnected,
        }
    }

    /// The session's id and password, once it has any.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The negotiated session time-out; what was asked for before there is one.
    pub fn timeout_ms(&self) -> u64 {
        self.timeout_ms
    }

    /// The newest transaction this client has seen.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// Requests that are not complete yet.
    pub fn pending(&self) -> usize {
        self.waiting.len() + self.in_flight.len()
    }

    // ---- commands -------------------------------------------------------------------------------

    /// Sends a request as soon as possible, behind those before it.
    pub fn submit(&mut self, id: CallId, call: Call, now: Millis) {
        if let Some(failure) = self.refusal(&call) {
            self.done(Some(id), Err(failure));
            return;
        }
        if let WatchChange::Remove { path, which, locally } = &call.watch {
            if !self.watches.holds(path, *which) {
                self.done(Some(id), Err(Failure::Code(ErrorCode::NoWatcher.as_i32())));
                return;
            }
            if *locally && !matches!(self.phase, Phase::Connected) {
                let (path, which) = (path.clone(), *which);
                self.drop_watches(&path, which);
                self.done(Some(id), Ok(Reply { zxid: Zxid(-1), body: Vec::new() }));
                return;
            }
        }
        self.waiting.push_back((Some(id), call));
        self.send_waiting(now);
    }

    /// Adds credentials to this and every later connection.
    pub fn add_auth(&mut self, id: CallId, scheme: String, auth: Vec<u8>, now: Millis) {
        if let Phase::Over(state) = self.phase {
            self.done(Some(id), Err(Failure::Over(state)));
            return;
        }
        let known = self.auths.iter().position(|old| old.scheme == scheme && old.auth == auth);
        let index = known.unwrap_or(self.auths.len());
        match known.and_then(|index| self.auths.get_mut(index)) {
            Some(old) => old.calls.push(id),
            None => self.auths.push(Credential { scheme, auth, calls: vec![id] }),
        }
        if matches!(self.phase, Phase::Connected) {
            self.send_auth(index, now);
        }
    }

    /// Forgets a request: it is not sent if it was not yet, and its completion is not told.
    pub fn cancel(&mut self, id: CallId) {
        self.waiting.retain(|(call, _)| *call != Some(id));
        for entry in &mut self.in_flight {
            if entry.call == Some(id) {
                // What it does to the watches it still does.
                entry.call = None;
            }
        }
        for auth in &mut self.auths {
            auth.calls.retain(|call| *call != id);
        }
    }

    /// Forgets a watcher's watch; the server is told when it was the last persistent one there.
    pub fn forget_watch(&mut self, id: WatchId, kind: WatchKind, path: &str, now: Millis) {
        // An exists watch may have become either kind.
        let last = match kind {
            WatchKind::Data | WatchKind::Exist => {
                self.watches.forget(WatchKind::Data, path, id)
                    | self.watches.forget(WatchKind::Exist, path, id)
            }
            _ => self.watches.forget(kind, path, id),
        };
        if last {
            self.disarm(kind, path);
            self.send_waiting(now);
        }
    }

    /// Closes the session: behind everything submitted before when there is a connection, else at
    /// once without the servers' knowledge.
    pub fn close(&mut self, id: CallId, now: Millis) {
        match self.phase {
            Phase::Over(_) => self.done(Some(id), Ok(Reply { zxid: Zxid(-1), body: Vec::new() })),
            _ if self.closing => self.closers.push(id),
            Phase::Connected => {
                self.closing = true;
                self.waiting.push_back((Some(id), Call::new(&Request::CloseSession)));
                self.send_waiting(now);
            }
            _ => {
                self.end(SessionState::Closed);
                self.done(Some(id), Ok(Reply { zxid: Zxid(-1), body: Vec::new() }));
            }
        }
    }

    // ---- the transport --------------------------------------------------------------------------

    /// The transport asked for is open.
    pub fn connected(&mut self, now: Millis) {
        let Phase::Connecting { deadline } = self.phase else { return };
        self.phase = Phase::Handshaking { deadline };
        let known = self.credentials.as_ref().filter(|_| self.seen_writable);
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.last_zxid,
            timeout_ms: i32::try_from(self.config.timeout_ms).unwrap_or(i32::MAX),
            session: known.map_or(SessionId::NONE, |known| known.session),
            password: Some(known.map_or(&[0; 16], |known| &known.password)),
            read_only: Some(self.config.read_only),
        };
        self.outgoing.clear();
        frame(&mut self.outgoing, |out| request.write(out));
        self.last_sent = now;
    }

    /// The transport asked for is not to be had.
    pub fn connect_failed(&mut self, now: Millis) {
        if matches!(self.phase, Phase::Connecting { .. }) {
            self.attempt_failed(now);
        }
    }

    /// The transport ended.
    pub fn disconnected(&mut self, now: Millis) {
        if self.has_transport() {
            self.lose(now);
        }
    }

    /// A server takes writes: the session moves there if the present one does not.
    pub fn found_writable(&mut self, server: usize, now: Millis) {
        if self.is_searching() {
            self.servers.prefer(server);
            self.lose(now);
        }
    }

    /// Bytes arrived.
    pub fn received(&mut self, bytes: &[u8], now: Millis) {
        if !self.has_transport() {
            return;
        }
        self.last_heard = now;
        let mut input = std::mem::replace(&mut self.input, input::Frames::new(0));
        input.push(bytes);
        let outcome = loop {
            match input.next() {
                Ok(Some(payload)) => {
                    if let Err(error) = self.on_frame(payload, now) {
                        break Err(error);
                    }
                    if !self.has_transport() {
                        break Ok(());
                    }
                }
                Ok(None) => break Ok(()),
                Err(input::BadLength) => break Err(replies::ProtocolError),
            }
        };
        if self.has_transport() {
            input.compact();
        } else {
            input.clear();
        }
        self.input = input;
        if outcome.is_err() {
            self.lose(now);
        } else if matches!(self.phase, Phase::Connected) {
            self.send_waiting(now);
        }
    }

    /// Does what is due. Early calls do no harm.
    pub fn tick(&mut self, now: Millis) {
        if self.expiry_deadline().is_some_and(|deadline| deadline <= now) {
            self.end(SessionState::Expired);
            return;
        }
        match self.phase {
            Phase::Waiting { until } if until <= now => {
                let server = self.servers.take();
                let wait = (self.timeout_ms / self.servers.len()).max(100);
                self.phase = Phase::Connecting { deadline: now + wait };
                self.outputs.push_back(Output::Connect { server });
            }
            Phase::Connecting { deadline } | Phase::Handshaking { deadline } if deadline <= now => {
                self.attempt_failed(now);
            }
            Phase::Connected if self.read_deadline() <= now => self.lose(now),
            Phase::Connected if self.is_searching() && self.search.due() <= now => {
                self.search.ask(self.servers.pass(), now);
            }
            Phase::Connected if self.ping_at() <= now => {
                frame(&mut self.outgoing, |out| {
                    RequestHeader { xid: Xid::PING, op: OpCode::Ping.as_i32() }.write(out);
                });
                self.last_sent = now;
            }
            _ => {}
        }
    }

    // ---- inside ---------------------------------------------------------------------------------

    /// Takes a persistent watch that nobody holds from the server.
    fn disarm(&mut self, kind: WatchKind, path: &str) {
        let which = match kind {
            WatchKind::Persistent => WatcherType::Persistent,
            WatchKind::PersistentRecursive => WatcherType::PersistentRecursive,
            _ => return,
        };
        // Somebody else's that is on its way would be removed with it.
        let is_wanted = self.watches.holds(path, which) || self.is_adding(kind, path);
        if !is_wanted && matches!(self.phase, Phase::Connected) && !self.closing {
            let request =
                Request::RemoveWatches(PathKind { path: Some(path.into()), kind: which as i32 });
            self.waiting.push_back((None, Call::new(&request)));
        }
    }

    /// Whether a request is under way that leaves such a watch.
    fn is_adding(&self, kind: WatchKind, path: &str) -> bool {
        let waiting = self.waiting.iter().map(|(_, call)| &call.watch);
        let mut changes = self.in_flight.iter().map(|sent| &sent.watch).chain(waiting);
        changes.any(|change| {
            matches!(change, WatchChange::Add(_, k, p) if (*k, p.as_str()) == (kind, path))
        })
    }

    fn has_transport(&self) -> bool {
        matches!(self.phase, Phase::Handshaking { .. } | Phase::Connected)
    }

    fn is_searching(&self) -> bool {
        matches!(self.phase, Phase::Connected) && self.read_only_now && !self.closing
    }

    fn ping_at(&self) -> Millis {
        self.last_sent + self.timeout_ms / 3
    }

    fn read_deadline(&self) -> Millis {
        self.last_heard + self.timeout_ms * 2 / 3
    }

    /// When the servers must have ended the session for want of hearing from us.
    fn expiry_deadline(&self) -> Option<Millis> {
        if matches!(self.phase, Phase::Connected | Phase::Over(_)) {
            return None;
        }
        self.last_alive.map(|alive| alive + self.timeout_ms * 4 / 3)
    }
}

/// Appends a frame: the length, then what `body` writes.
fn frame(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.put_i32(0);
    body(out);
    let len = i32::try_from(out.len() - start - 4).unwrap_or(i32::MAX);
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}
