//! The handle: connecting, closing, and how one request travels to the driver and back.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rookeeper_proto::client::{Request, Response};
use rookeeper_proto::{Acl, Reader, SessionId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::connect_string::{Chroot, ConnectString};
use crate::driver::{Command, Control, Driver, Listener, Outcome, Standing, Told};
use crate::error::{Error, ErrorKind, Result, over};
use crate::event::{SessionState, WatchedEvent};
use crate::options::CreateOptions;
use crate::session::{
    Call, CallId, Config, Credentials, Failure, Reply, Session, WatchChange, WatchId,
};
use crate::watcher::Sink;

/// Requests that may wait between handles and the driver.
const CHANNEL_MAX: usize = 1024;

/// What a session's own watcher is told; see [`Builder::on_event`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEvent {
    /// The state changed.
    State(SessionState),
    /// A watch left for the session fired.
    Watch(WatchedEvent),
}

/// Sets up a [`Client`].
pub struct Builder {
    config: Config,
    connect_timeout: Option<Duration>,
    request_timeout: Option<Duration>,
    listener: Option<Box<dyn Fn(SessionEvent) + Send + Sync>>,
    default_acl: Option<Vec<Acl>>,
    seeded: bool,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("config", &self.config)
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// The session time-out to ask for; servers grant what their configuration allows. Default 30 s.
    #[must_use]
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        self
    }

    /// How long [`Builder::connect`] waits for a first connection. Default: the session time-out.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// How long each request may take, waiting for a connection included. Default: no limit but
    /// the session's.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = Some(timeout);
        self
    }

    /// Whether a server that has lost its quorum, and only reads, will do. Default: no.
    #[must_use]
    pub fn read_only(mut self, allowed: bool) -> Self {
        self.config.read_only = allowed;
        self
    }

    /// Whether requests fail as soon as every server was tried in vain, as in Java's client.
    /// Default: no, they wait for a server until the session is given up.
    #[must_use]
    pub fn fail_fast(mut self, fail_fast: bool) -> Self {
        self.config.fail_fast = fail_fast;
        self
    }

    /// The ACL of nodes whose [`CreateOptions`](crate::CreateOptions) name none, instead of
    /// `world:anyone` with all permissions.
    #[must_use]
    pub fn default_acl(mut self, acl: Vec<Acl>) -> Self {
        self.default_acl = Some(acl);
        self
    }

    /// The largest reply accepted. Default 64 MiB.
    #[must_use]
    pub fn reply_bytes_max(mut self, bytes: usize) -> Self {
        self.config.reply_bytes_max = bytes;
        self
    }

    /// Credentials the session has from the start, on every connection; see [`Client::add_auth`].
    /// A server that refuses them ends the session.
    #[must_use]
    pub fn auth(mut self, scheme: &str, auth: &[u8]) -> Self {
        self.config.auths.push((scheme.to_owned(), auth.to_vec()));
        self
    }

    /// Resumes a session instead of creating one.
    #[must_use]
    pub fn resume(mut self, credentials: Credentials) -> Self {
        self.config.resume = Some(credentials);
        self
    }

    /// Seed of the order of servers and of the jitter between attempts, for repeatable runs.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = seed;
        self.seeded = true;
        self
    }

    /// Called for every change of state and every event of a watch left for the session (see
    /// [`Watch::Session`](crate::Watch)): in order, from the client's task, and before any later
    /// reply completes. It must not block for long.
    #[must_use]
    pub fn on_event(mut self, listener: impl Fn(SessionEvent) + Send + Sync + 'static) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }

    /// Connects to one of the servers of `host:port,host:port/chroot`.
    pub async fn connect(self, servers: &str) -> Result<Client> {
        let timeout = self
            .connect_timeout
            .unwrap_or(Duration::from_millis(u64::from(self.config.timeout_ms)));
        let client = self.start(servers)?;
        match tokio::time::timeout(timeout, client.connected()).await {
            Ok(Ok(())) => Ok(client),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(client.not_connected_error()),
        }
    }

    /// Starts to connect and does not wait. Must be called within a tokio runtime.
    pub fn start(mut self, servers: &str) -> Result<Client> {
        let parsed = ConnectString::parse(servers)?;
        if !self.seeded {
            self.config.seed = random_seed();
        }
        self.config.servers = parsed.servers.len();
        let chroot = parsed.chroot;
        let (commands, receiver) = mpsc::channel(CHANNEL_MAX);
        let (control, control_receiver) = mpsc::unbounded_channel();
        let standing = watch::Sender::new(Standing {
            state: SessionState::Disconnected,
            credentials: self.config.resume.clone(),
            timeout_ms: u64::from(self.config.timeout_ms),
            failures: 0,
            last_failure: None,
        });
        let inner = Inner {
            commands,
            control,
            standing: standing.subscribe(),
            next_call: AtomicU64::new(1),
            next_watch: AtomicU64::new(1),
            default_acl: self.default_acl,
            servers: parsed.servers.len() as u64,
        };
        let driver = Driver {
            spread: self.config.seed,
            pending_max: self.config.in_flight_max.saturating_mul(2),
            session: Session::new(self.config, 0),
            servers: parsed.servers,
            commands: receiver,
            control: control_receiver,
            standing,
            listener: self.listener.map(|listener| translated(listener, chroot.clone())),
            start: Instant::now(),
        };
        tokio::spawn(driver.run());
        let request_timeout = self.request_timeout;
        Ok(Client { inner: Arc::new(inner), chroot, request_timeout })
    }
}

fn translated(listener: Box<dyn Fn(SessionEvent) + Send + Sync>, chroot: Chroot) -> Listener {
    Box::new(move |told| {
        listener(match told {
            Told::State(state) => SessionEvent::State(state),
            Told::Watch { kind, path, zxid } => {
                let path = chroot.to_client(path).to_owned();
                SessionEvent::Watch(WatchedEvent { kind, path, zxid })
            }
        });
    })
}

/// Enough to spread clients; nothing secret depends on it.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}

/// A session with an ensemble. Clones share it; it is closed when the last one is dropped.
///
/// Every method may be called from several tasks at once; requests are sent in the order of the
/// calls and pipelined on one connection. Dropping a future before it completes takes the request
/// back if it was not sent yet; otherwise its reply is ignored.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    chroot: Chroot,
    request_timeout: Option<Duration>,
}

struct Inner {
    commands: mpsc::Sender<Command>,
    control: mpsc::UnboundedSender<Control>,
    standing: watch::Receiver<Standing>,
    next_call: AtomicU64,
    next_watch: AtomicU64,
    default_acl: Option<Vec<Acl>>,
    servers: u64,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("session", &self.session_id())
            .field("state", &self.state())
            .field("chroot", &self.chroot.as_str())
            .finish()
    }
}

impl Client {
    /// A builder with the defaults.
    pub fn builder() -> Builder {
        Builder {
            config: Config::default(),
            connect_timeout: None,
            request_timeout: None,
            listener: None,
            default_acl: None,
            seeded: false,
        }
    }

    /// Connects with the defaults.
    pub async fn connect(servers: &str) -> Result<Self> {
        Self::builder().connect(servers).await
    }

    /// A handle on the same session whose paths begin below `path`.
    pub fn below(&self, path: &str) -> Result<Self> {
        let chroot = Chroot::new(&self.chroot.to_server(path))?;
        Ok(Self { chroot, ..self.clone() })
    }

    /// A handle on the same session whose requests may take this long each, instead of what
    /// [`Builder::request_timeout`] said; `None` is no limit but the session's.
    #[must_use]
    pub fn with_request_timeout(&self, timeout: Option<Duration>) -> Self {
        Self { request_timeout: timeout, ..self.clone() }
    }

    /// Where the session stands.
    pub fn state(&self) -> SessionState {
        self.inner.standing.borrow().state
    }

    /// Waits for the next state that differs from `seen`; `None` when there will be none.
    pub async fn state_changed(&self, seen: SessionState) -> Option<SessionState> {
        let mut standing = self.inner.standing.clone();
        let state = standing.wait_for(|now| now.state != seen).await.ok()?.state;
        Some(state)
    }

    /// Waits until there is a connection. Fails when the session is over.
    pub async fn connected(&self) -> Result<()> {
        let mut standing = self.inner.standing.clone();
        let reached = standing
            .wait_for(|now| now.state.is_connected() || now.state.is_final())
            .await
            .map(|now| now.state);
        match reached {
            Ok(state) if state.is_connected() => Ok(()),
            Ok(state) => Err(over(state)),
            Err(_) => Err(Error::of_kind(ErrorKind::Closed)),
        }
    }

    /// Waits until there is a connection, or every server was tried in vain since the last one, or
    /// the session is over; says whether there is a connection.
    pub async fn reachable(&self) -> bool {
        let mut standing = self.inner.standing.clone();
        let servers = self.inner.servers;
        let settled = standing
            .wait_for(|now| {
                now.state.is_connected() || now.state.is_final() || now.failures >= servers
            })
            .await
            .map(|now| now.state.is_connected());
        settled.unwrap_or(false)
    }

    /// The session's id; 0 before there is one.
    pub fn session_id(&self) -> SessionId {
        self.credentials().map_or(SessionId::NONE, |known| known.session)
    }

    /// What resumes this session in another process.
    pub fn credentials(&self) -> Option<Credentials> {
        self.inner.standing.borrow().credentials.clone()
    }

    /// The session time-out the servers granted.
    pub fn session_timeout(&self) -> Duration {
        Duration::from_millis(self.inner.standing.borrow().timeout_ms)
    }

    /// Closes the session: its ephemeral nodes go at once.
    pub async fn close(&self) -> Result<()> {
        let id = self.next_call();
        let (done, outcome) = oneshot::channel();
        if self.inner.commands.send(Command::Close { id, done }).await.is_err() {
            return Ok(());
        }
        // A driver that is gone has closed the session or has seen it end.
        let _ = outcome.await;
        Ok(())
    }

    /// Adds credentials to the session, on this and every later connection.
    pub async fn add_auth(&self, scheme: &str, auth: &[u8]) -> Result<()> {
        let id = self.next_call();
        let (done, outcome) = oneshot::channel();
        let (scheme, auth) = (scheme.to_owned(), auth.to_vec());
        self.send(Command::Auth { id, scheme, auth, done }).await?;
        self.outcome(id, outcome, true).await?;
        Ok(())
    }

    fn not_connected_error(&self) -> Error {
        let standing = self.inner.standing.borrow();
        let error = Error::of_kind(ErrorKind::ConnectionLoss);
        match &standing.last_failure {
            Some(cause) => error.with_message(format!("no connection to a server: {cause}")),
            None => error.with_message("no server answered in time"),
        }
    }

    // ---- for the operations ---------------------------------------------------------------------

    pub(crate) fn chroot(&self) -> &Chroot {
        &self.chroot
    }

    /// The ACL of a node to be created; `None` is open.
    pub(crate) fn acl_of<'a>(&'a self, options: &'a CreateOptions) -> Option<&'a [Acl]> {
        options.acl.as_deref().or(self.inner.default_acl.as_deref())
    }

    pub(crate) fn control(&self) -> mpsc::UnboundedSender<Control> {
        self.inner.control.clone()
    }

    pub(crate) fn standing(&self) -> watch::Receiver<Standing> {
        self.inner.standing.clone()
    }

    pub(crate) fn next_watch(&self) -> WatchId {
        WatchId(self.inner.next_watch.fetch_add(1, Ordering::Relaxed))
    }

    fn next_call(&self) -> CallId {
        CallId(self.inner.next_call.fetch_add(1, Ordering::Relaxed))
    }

    async fn send(&self, command: Command) -> Result<()> {
        self.inner.commands.send(command).await.map_err(|_| over(self.state()))
    }

    /// Sends a request and waits for its reply.
    pub(crate) async fn request(
        &self,
        request: &Request<'_>,
        watch: WatchChange,
        sink: Option<(WatchId, Sink)>,
    ) -> Result<Reply> {
        let id = self.next_call();
        let (done, outcome) = oneshot::channel();
        let call = Call { watch, ..Call::new(request) };
        let is_write = call.op.is_write();
        let work = async {
            self.send(Command::Call { id, call, sink, done }).await?;
            self.outcome(id, outcome, is_write).await
        };
        match self.request_timeout {
            None => work.await,
            Some(limit) => match tokio::time::timeout(limit, work).await {
                Ok(result) => result,
                Err(_) if is_write => Err(Error::of_kind(ErrorKind::OutcomeUnknown)
                    .with_message("no reply to a write in time: it may or may not have happened")),
                Err(_) => Err(Error::of_kind(ErrorKind::Timeout)),
            },
        }
    }

    async fn outcome(
        &self,
        id: CallId,
        outcome: oneshot::Receiver<Outcome>,
        is_write: bool,
    ) -> Result<Reply> {
        let mut guard = CancelGuard { id: Some(id), control: &self.inner.control };
        let outcome = outcome.await;
        guard.id = None;
        match outcome {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(Failure::Code(code))) => Err(Error::server(code)),
            Ok(Err(Failure::ConnectionLoss { sent: true })) if is_write => {
                Err(Error::of_kind(ErrorKind::OutcomeUnknown))
            }
            Ok(Err(Failure::ConnectionLoss { sent: true })) => {
                Err(Error::of_kind(ErrorKind::ConnectionLoss)
                    .with_message("the connection was lost before the reply"))
            }
            Ok(Err(Failure::ConnectionLoss { sent: false })) => Err(self.not_connected_error()),
            Ok(Err(Failure::Over(state))) => Err(over(state)),
            Ok(Err(Failure::TooLarge)) => Err(Error::invalid("the request is too large")),
            Err(_) => Err(over(self.state())),
        }
    }

    /// Decodes a reply's body.
    pub(crate) fn decode<'r>(request: &Request<'_>, reply: &'r Reply) -> Result<Response<'r>> {
        Response::read(request.op(), &mut Reader::new(&reply.body))
            .map_err(|error| Error::of_kind(ErrorKind::Malformed).with_message(error.to_string()))
    }
}

/// Takes a request back when its future is dropped.
struct CancelGuard<'a> {
    id: Option<CallId>,
    control: &'a mpsc::UnboundedSender<Control>,
}

impl Drop for CancelGuard<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            // Without a driver there is nothing to cancel.
            let _ = self.control.send(Control::Cancel(id));
        }
    }
}
