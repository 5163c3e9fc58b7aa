//! The task that owns a session's socket: it feeds the core and does what the core asks.
//!
//! One task, one connection at a time. Requests arrive through a bounded channel and are taken only
//! while fewer than a limit are pending, so a slow server slows its callers instead of filling
//! memory. Names are looked up at every attempt to connect.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rookeeper_proto::Zxid;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::connect_string::ServerAddr;
use crate::event::{EventKind, SessionState};
use crate::session::{
    Call, CallId, Credentials, Failure, Millis, Output, Reply, Session, WatchId, WatchKind,
};
use crate::watcher::Sink;

/// How a request ended.
pub(crate) type Outcome = Result<Reply, Failure>;

/// What handles ask for, in order.
#[derive(Debug)]
pub(crate) enum Command {
    Call { id: CallId, call: Call, sink: Option<(WatchId, Sink)>, done: oneshot::Sender<Outcome> },
    Auth { id: CallId, scheme: String, auth: Vec<u8>, done: oneshot::Sender<Outcome> },
    Close { id: CallId, done: oneshot::Sender<Outcome> },
}

/// What dropped handles leave behind; at most one per request or watcher.
#[derive(Debug)]
pub(crate) enum Control {
    Cancel(CallId),
    Forget(WatchId, Vec<WatchKind>, String),
}

/// A notification of the session's own watcher, with the server's path.
#[derive(Debug)]
pub(crate) enum Told<'a> {
    State(SessionState),
    Watch { kind: EventKind, path: &'a str, zxid: Zxid },
}

pub(crate) type Listener = Box<dyn Fn(Told<'_>) + Send + Sync>;

/// Where a session stands, for handles.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) state: SessionState,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) timeout_ms: u64,
    /// Whether all servers were tried in vain since the last connection.
    pub(crate) failures: u64,
    pub(crate) last_failure: Option<Arc<io::Error>>,
}

type Opening = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

enum Link {
    None,
    Opening(Opening),
    Open(TcpStream),
}

pub(crate) struct Driver {
    pub(crate) session: Session,
    pub(crate) servers: Vec<ServerAddr>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) control: mpsc::UnboundedReceiver<Control>,
    pub(crate) standing: watch::Sender<Standing>,
    pub(crate) listener: Option<Listener>,
    pub(crate) pending_max: usize,
    /// Which of a name's addresses is tried first; differs between clients.
    pub(crate) spread: u64,
    pub(crate) start: Instant,
}

/// Commands taken from the channel at once.
const BATCH: usize = 256;
/// Bytes read from the socket at once.
const READ_BYTES: usize = 64 * 1024;
/// The id of the close that follows when every handle is gone.
const LAST_CLOSE: CallId = CallId(0);

/// How long a server may take to say whether it takes writes.
const ASKING_MAX: Duration = Duration::from_secs(1);

/// Who is asked, and the answer: whether that one takes writes.
type Asking = Pin<Box<dyn Future<Output = (usize, bool)> + Send>>;

struct Running {
    driver: Driver,
    link: Link,
    asking: Option<Asking>,
    calls: HashMap<CallId, oneshot::Sender<Outcome>>,
    sinks: HashMap<WatchId, Sink>,
    scratch: Vec<u8>,
}

enum Wake {
    Commands(usize),
    Control(Option<Control>),
    Opened(io::Result<TcpStream>),
    Ready(io::Result<()>),
    Answer(usize, bool),
    Time,
}

impl Driver {
    pub(crate) async fn run(self) {
        let link = Link::None;
        let scratch = vec![0; READ_BYTES];
        let (calls, sinks) = (HashMap::new(), HashMap::new());
        Running { driver: self, link, asking: None, calls, sinks, scratch }.run().await;
    }
}

impl Running {
    fn now(&self) -> Millis {
        u64::try_from(self.driver.start.elapsed().as_millis()).unwrap_or(u64::MAX / 2)
    }

    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut handles_gone = false;
        let mut control_open = true;
        loop {
            self.settle();
            let Some(deadline) = self.driver.session.deadline() else { break };
            let deadline = self.driver.start + Duration::from_millis(deadline);
            let has_room = self.driver.session.pending() < self.driver.pending_max;
            let wants_write = !self.driver.session.outgoing().is_empty();
            let driver = &mut self.driver;
            let link = &mut self.link;
            let asking = &mut self.asking;
            let wake = tokio::select! {
                n = driver.commands.recv_many(&mut batch, BATCH), if has_room && !handles_gone => {
                    Wake::Commands(n)
                }
                control = driver.control.recv(), if control_open => Wake::Control(control),
                wake = link.wait(wants_write) => wake,
                Some((server, is_writable)) = answer(asking), if asking.is_some() => {
                    Wake::Answer(server, is_writable)
                }
                () = tokio::time::sleep_until(deadline) => Wake::Time,
            };
            match wake {
                Wake::Commands(0) => {
                    handles_gone = true;
                    let now = self.now();
                    self.driver.session.close(LAST_CLOSE, now);
                }
                Wake::Commands(_) => batch.drain(..).for_each(|command| self.command(command)),
                Wake::Control(None) => control_open = false,
                Wake::Control(Some(control)) => self.control(control),
                Wake::Opened(Ok(stream)) => self.opened(stream),
                Wake::Opened(Err(error)) => self.not_opened(error),
                Wake::Ready(Ok(())) => self.read(),
                Wake::Ready(Err(_)) => self.lost(),
                Wake::Answer(server, is_writable) => {
                    self.asking = None;
                    if is_writable {
                        let now = self.now();
                        self.driver.session.found_writable(server, now);
                    }
                }
                Wake::Time => {
                    let now = self.now();
                    self.driver.session.tick(now);
                }
            }
        }
        self.finish(&mut batch);
    }

    /// The session is over: whatever comes now fails.
    fn finish(&mut self, batch: &mut Vec<Command>) {
        self.driver.commands.close();
        while let Ok(command) = self.driver.commands.try_recv() {
            batch.push(command);
        }
        batch.drain(..).for_each(|command| self.command(command));
        self.settle();
    }

    fn command(&mut self, command: Command) {
        let now = self.now();
        let session = &mut self.driver.session;
        match command {
            Command::Call { id, call, sink, done } => {
                if done.is_closed() {
                    return;
                }
                tracing::trace!(call = id.0, op = ?call.op, "request");
                self.calls.insert(id, done);
                self.sinks.extend(sink);
                session.submit(id, call, now);
            }
            Command::Auth { id, scheme, auth, done } => {
                self.calls.insert(id, done);
                session.add_auth(id, scheme, auth, now);
            }
            Command::Close { id, done } => {
                self.calls.insert(id, done);
                session.close(id, now);
            }
        }
    }

    fn control(&mut self, control: Control) {
        let now = self.now();
        match control {
            Control::Cancel(id) => {
                self.calls.remove(&id);
                self.driver.session.cancel(id);
            }
            Control::Forget(id, kinds, path) => {
                self.sinks.remove(&id);
                for kind in kinds {
                    self.driver.session.forget_watch(id, kind, &path, now);
                }
            }
        }
    }

    /// Does everything the core asks and sends what can be sent without waiting.
    fn settle(&mut self) {
        loop {
            while let Some(output) = self.driver.session.poll() {
                self.output(output);
            }
            if let Some(server) = self.driver.session.whom_to_ask() {
                self.ask(server);
            }
            if !self.write() {
                return;
            }
        }
    }

    /// Asks a server whether it takes writes. Who has not answered until the next is asked says no.
    fn ask(&mut self, number: usize) {
        let Some(server) = self.driver.servers.get(number).cloned() else { return };
        let spread = self.driver.spread;
        self.asking = Some(Box::pin(async move {
            let asked = tokio::time::timeout(ASKING_MAX, takes_writes(&server, spread)).await;
            (number, matches!(asked, Ok(Ok(true))))
        }));
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Connect { server } => self.link = self.open(server),
            Output::Disconnect => self.link = Link::None,
            Output::Done { call, result } => {
                let failure = result.as_ref().err();
                tracing::trace!(call = call.0, ?failure, "answered");
                if let Some(done) = self.calls.remove(&call) {
                    // Nobody waits for a request whose future was dropped.
                    let _ = done.send(result);
                }
            }
            Output::Event { kind, path, zxid, watchers } => {
                for id in watchers {
                    self.tell(id, kind, &path, zxid);
                }
            }
            Output::State { state, watchers } => self.state(state, &watchers),
        }
    }

    fn tell(&mut self, id: WatchId, kind: EventKind, path: &str, zxid: Zxid) {
        if id == WatchId::SESSION {
            if let Some(listener) = &self.driver.listener {
                listener(Told::Watch { kind, path, zxid });
            }
            return;
        }
        let Some(sink) = self.sinks.get_mut(&id) else { return };
        if sink.event(kind, path, zxid) {
            self.sinks.remove(&id);
        }
    }

    fn state(&mut self, state: SessionState, watchers: &[WatchId]) {
        let session = self.driver.session.credentials().map(|known| known.session);
        if matches!(state, SessionState::Expired | SessionState::AuthFailed) {
            tracing::warn!(state = state.name(), ?session, "the session is over");
        } else {
            tracing::debug!(state = state.name(), ?session, "session");
        }
        // Before anybody who waits for the state goes on.
        if let Some(listener) = &self.driver.listener {
            listener(Told::State(state));
        }
        let credentials = self.driver.session.credentials().cloned();
        let timeout_ms = self.driver.session.timeout_ms();
        self.driver.standing.send_modify(|standing| {
            standing.state = state;
            standing.credentials = credentials;
            standing.timeout_ms = timeout_ms;
            if state.is_connected() {
                standing.failures = 0;
                standing.last_failure = None;
            }
        });
        for id in watchers {
            if let Some(sink) = self.sinks.get_mut(id) {
                sink.reconnected();
            }
        }
    }

    fn open(&self, server: usize) -> Link {
        let Some(server) = self.driver.servers.get(server).cloned() else { return Link::None };
        tracing::debug!(host = server.host, port = server.port, "connecting");
        let spread = self.driver.spread.wrapping_add(self.driver.standing.borrow().failures);
        Link::Opening(Box::pin(async move { connect(&server, spread).await }))
    }

    fn opened(&mut self, stream: TcpStream) {
        self.link = Link::Open(stream);
        let now = self.now();
        self.driver.session.connected(now);
    }

    fn not_opened(&mut self, error: io::Error) {
        tracing::debug!(%error, "cannot connect");
        self.link = Link::None;
        let now = self.now();
        self.driver.session.connect_failed(now);
        self.count_failure(error);
    }

    fn lost(&mut self) {
        let established = self.driver.session.state().is_connected();
        self.link = Link::None;
        let now = self.now();
        self.driver.session.disconnected(now);
        if !established {
            self.count_failure(io::Error::new(
                io::ErrorKind::ConnectionReset,
                "the server closed the connection instead of granting a session",
            ));
        }
    }

    fn count_failure(&self, error: io::Error) {
        self.driver.standing.send_modify(|standing| {
            standing.failures += 1;
            standing.last_failure = Some(Arc::new(error));
        });
    }

    fn read(&mut self) {
        loop {
            let Link::Open(stream) = &self.link else { return };
            match stream.try_read(&mut self.scratch) {
                Ok(0) => return self.lost(),
                Ok(n) => {
                    let now = self.now();
                    self.driver.session.received(&self.scratch[..n], now);
                    if n < self.scratch.len() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.lost(),
            }
        }
    }

    /// Sends without waiting; true when the connection was lost over it.
    fn write(&mut self) -> bool {
        let Link::Open(stream) = &self.link else { return false };
        let outgoing = self.driver.session.outgoing();
        let mut sent = 0;
        while sent < outgoing.len() {
            match stream.try_write(&outgoing[sent..]) {
                Ok(n) => sent += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.lost();
                    return true;
                }
            }
        }
        outgoing.drain(..sent);
        if outgoing.is_empty() {
            outgoing.shrink_to(READ_BYTES);
        }
        false
    }
}

async fn connect(server: &ServerAddr, spread: u64) -> io::Result<TcpStream> {
    let found = tokio::net::lookup_host((server.host.as_str(), server.port)).await?;
    let stream = connect_to_any(found.collect(), spread).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Asks with the word `isro`, which servers with a read-only mode answer on the port of clients.
async fn takes_writes(server: &ServerAddr, spread: u64) -> io::Result<bool> {
    let mut stream = connect(server, spread).await?;
    stream.write_all(b"isro").await?;
    let mut answer = Vec::new();
    stream.take(16).read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"rw"))
}

/// The answer of who is being asked, if anybody is.
async fn answer(asking: &mut Option<Asking>) -> Option<(usize, bool)> {
    match asking {
        Some(asking) => Some(asking.await),
        None => None,
    }
}

/// Connects to the first address that accepts, beginning at another for each client and after each
/// failure: a name of several servers (a headless service) must not lead all clients to one.
async fn connect_to_any(mut addresses: Vec<SocketAddr>, spread: u64) -> io::Result<TcpStream> {
    let count = addresses.len().max(1) as u64;
    addresses.rotate_left(usize::try_from(spread % count).unwrap_or(0));
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Link {
    async fn wait(&mut self, wants_write: bool) -> Wake {
        match self {
            Self::None => std::future::pending().await,
            Self::Opening(opening) => Wake::Opened(opening.await),
            Self::Open(stream) => {
                let interest = if wants_write {
                    Interest::READABLE | Interest::WRITABLE
                } else {
                    Interest::READABLE
                };
                Wake::Ready(stream.ready(interest).await.map(drop))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_addresses_of_a_name_are_shared_out_and_dead_ones_passed_over() {
        let mut listeners = Vec::new();
        for _ in 0..3 {
            listeners.push(tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port"));
        }
        let mut addresses = Vec::new();
        for listener in &listeners {
            addresses.push(listener.local_addr().expect("bound"));
        }
        for spread in 0..6 {
            let stream = connect_to_any(addresses.clone(), spread).await.expect("a listener");
            let expected = addresses[usize::try_from(spread % 3).expect("small")];
            assert_eq!(stream.peer_addr().expect("connected"), expected);
        }
        // Bound, so that nobody else gets the port, and not listening.
        let dead = tokio::net::TcpSocket::new_v4().expect("a socket");
        dead.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        addresses.insert(0, dead.local_addr().expect("bound"));
        let stream = connect_to_any(addresses.clone(), 0).await.expect("a listener");
        assert_eq!(stream.peer_addr().expect("connected"), addresses[1]);
        assert!(connect_to_any(Vec::new(), 5).await.is_err());
    }
}
