//! What a handler may do.
//!
//! All methods are cheap and none blocks. Using a stale id does nothing. Effects on the wire come
//! at the end of the turn; see `reactor.rs` for the order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use crate::buffer::Pool;
use crate::conn::{Conn, State};
use crate::listener::Listener;
use crate::slab::{FIRST_RESERVED_SLOT, Slab};
use crate::transport::{Layer, Transport};
use crate::{CloseReason, ConnId, Limits, ListenOptions, ListenerTag, Waker};

/// Both directions, registered once and for ever: edge-triggered, an unneeded direction is silent.
const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// The reactor's sockets, as the handler sees them.
pub struct Io {
    pub(crate) registry: Registry,
    pub(crate) limits: Limits,
    pub(crate) conns: Slab<Conn>,
    pub(crate) listeners: Vec<Option<Listener>>,
    pub(crate) pool: Pool,
    pub(crate) waker: Waker,
    pub(crate) now: Instant,
    /// To be served next turn, each once (`Conn::in_ready`).
    pub(crate) ready: Vec<ConnId>,
    /// To be flushed at the end of this turn, each once (`Conn::in_dirty`).
    pub(crate) dirty: Vec<ConnId>,
    /// Gone, with `on_closed` still to be called.
    pub(crate) closed: VecDeque<(ConnId, CloseReason)>,
    /// Could not be connected, with `on_connect_failed` still to be called.
    pub(crate) unconnected: VecDeque<(ConnId, u32, io::Error)>,
    /// Ends by force of connections that are closing; outdated entries are recognised by
    /// `Conn::deadline`.
    pub(crate) deadlines: BinaryHeap<Reverse<(Instant, ConnId)>>,
    /// Connections `on_closed` was not called for yet.
    pub(crate) alive: usize,
    pub(crate) stopping: bool,
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io")
            .field("connections", &self.alive)
            .field("stopping", &self.stopping)
            .finish_non_exhaustive()
    }
}

impl Io {
    pub(crate) fn new(registry: Registry, limits: Limits, waker: Waker) -> Io {
        Io {
            registry,
            limits,
            conns: Slab::new(),
            listeners: Vec::new(),
            pool: Pool::default(),
            waker,
            now: Instant::now(),
            ready: Vec::new(),
            dirty: Vec::new(),
            closed: VecDeque::new(),
            unconnected: VecDeque::new(),
            deadlines: BinaryHeap::new(),
            alive: 0,
            stopping: false,
        }
    }

    /// The connection's output, to be appended to and not otherwise changed; it goes out at the end
    /// of the turn. None if the connection is gone or closing. Output for a connection that is
    /// still being made waits for it.
    #[inline]
    pub fn out(&mut self, conn: ConnId) -> Option<&mut Vec<u8>> {
        let c = self.conns.get_mut(conn)?;
        if !matches!(c.state, State::Open | State::Connecting) {
            return None;
        }
        if !c.in_dirty {
            c.in_dirty = true;
            self.dirty.push(conn);
        }
        Some(c.output.tail(&mut self.pool))
    }

    /// Bytes of output the kernel has not taken, including those of this turn.
    #[inline]
    pub fn queued(&self, conn: ConnId) -> usize {
        self.conns.get(conn).map_or(0, Conn::queued)
    }

    /// True when the connection has so much output queued that its input is held back. A handler
    /// that checks this between frames, and returns from `on_bytes` early, keeps one client's
    /// pipelined large reads from filling the memory; the rest of the input comes again.
    #[inline]
    pub fn backed_up(&self, conn: ConnId) -> bool {
        self.queued(conn) > self.limits.high_water_bytes
    }

    /// Do not call `on_bytes` for this connection before `bytes` are there, counted from the first
    /// byte not consumed. Holds for the next call only.
    pub fn want(&mut self, conn: ConnId, bytes: usize) {
        if let Some(c) = self.conns.get_mut(conn) {
            c.want = bytes;
        }
    }

    /// Stops delivering input. What has been read stays buffered (at most one read), the rest stays
    /// in the kernel; an end sent by the peer is not noticed before `resume`. Useful also while
    /// an answer is being made for a client that may close its direction at once.
    pub fn pause(&mut self, conn: ConnId) {
        if let Some(c) = self.conns.get_mut(conn) {
            c.paused = true;
        }
    }

    /// Frees the connection from the limits on its queued output: its input is never held back for it,
    /// and it is never closed as a slow consumer. For connections between servers, where both ends
    /// holding back at once would stop both, and where the protocol bounds what is queued.
    pub fn exempt(&mut self, conn: ConnId) {
        if let Some(c) = self.conns.get_mut(conn) {
            c.exempt = true;
        }
    }

    /// Undoes `pause`: unconsumed input is delivered next turn even if nothing new arrives. So
    /// `pause` and `resume` in one `on_bytes` mean "go on with this one next turn".
    pub fn resume(&mut self, conn: ConnId) {
        if let Some(c) = self.conns.get_mut(conn)
            && c.paused
        {
            c.paused = false;
            c.redeliver = true;
            self.serve_next_turn(conn);
        }
    }

    /// Writes everything queued, then closes; no more input is delivered, no more output taken.
    pub fn close_after_flush(&mut self, conn: ConnId) {
        let Some(c) = self.conns.get_mut(conn) else { return };
        match c.state {
            State::Connecting => self.kill(conn, CloseReason::Local),
            State::Open => self.start_closing(conn),
            State::Closing | State::Lingering => {}
        }
    }

    /// Closes without writing what is queued.
    pub fn close_now(&mut self, conn: ConnId) {
        if self.is_alive(conn) {
            self.kill(conn, CloseReason::Local);
        }
    }

    /// Closes with a reset (SO_LINGER 0).
    pub fn reset(&mut self, conn: ConnId) {
        if self.is_alive(conn) {
            self.prepare_reset(conn);
            self.kill(conn, CloseReason::Local);
        }
    }

    /// Starts an outgoing connection. `on_connected` or `on_connect_failed` follows, with `tag`;
    /// how long to wait is up to the caller (`close_now` ends the waiting, and leads to
    /// `on_closed`).
    pub fn connect(&mut self, addr: SocketAddr, tag: u32) -> ConnId {
        self.connect_through(addr, tag, None)
    }

    /// Like `connect`, with a layer between socket and connection.
    pub fn connect_through(
        &mut self,
        addr: SocketAddr,
        tag: u32,
        layer: Option<Box<dyn Layer>>,
    ) -> ConnId {
        let peer = unmapped(addr);
        let (stream, mut error) = match TcpStream::connect(addr) {
            Ok(stream) => (Some(stream), None),
            Err(error) => (None, Some(error)),
        };
        let mut c = Conn::new(stream, Transport::Plain, peer, tag, State::Connecting);
        if let Some(layer) = layer
            && let Err(why) = c.put_on(layer, &mut self.pool)
        {
            error = Some(io::Error::other(why));
        }
        let Ok(conn) = self.conns.insert(c) else {
            // 2^32 slots do not fit into memory, so this is only for the compiler's eyes.
            return ConnId::from_u64(0);
        };
        self.alive += 1;
        let error = error.or_else(|| self.register(conn).err());
        if let Some(error) = error {
            self.fail_connect(conn, error);
        }
        conn
    }

    /// Listens; returns the address with the port filled in.
    pub fn listen(&mut self, addr: SocketAddr, options: ListenOptions) -> io::Result<SocketAddr> {
        let free = self.listeners.iter().position(Option::is_none);
        let index = free.unwrap_or(self.listeners.len());
        let token = Token(FIRST_RESERVED_SLOT as usize + index);
        let (listener, bound) = Listener::open(addr, options, &self.registry, token)?;
        if free.is_none() {
            self.listeners.push(None);
        }
        if let Some(slot) = self.listeners.get_mut(index) {
            *slot = Some(listener);
        }
        Ok(bound)
    }

    /// Stops listening on every listener of this tag; its connections stay.
    pub fn unlisten(&mut self, tag: ListenerTag) {
        for slot in &mut self.listeners {
            if slot.as_ref().is_some_and(|listener| listener.tag == tag) {
                *slot = None;
            }
        }
    }

    /// The peer's address, unmapped: an IPv4 client of a dual-stack listener has an IPv4 address.
    pub fn peer_addr(&self, conn: ConnId) -> Option<SocketAddr> {
        self.conns.get(conn).map(|c| c.peer)
    }

    /// This side's address, unmapped. Costs a system call.
    pub fn local_addr(&self, conn: ConnId) -> Option<SocketAddr> {
        let stream = self.conns.get(conn)?.stream.as_ref()?;
        stream.local_addr().ok().map(unmapped)
    }

    /// The connection's layer, if it has one; `Any` leads to its real type.
    pub fn layer(&self, conn: ConnId) -> Option<&dyn Layer> {
        match &self.conns.get(conn)?.transport {
            Transport::Layered(layered) => Some(layered.layer.as_ref()),
            Transport::Plain | Transport::Undecided(_) => None,
        }
    }

    /// Has the kernel find out whether the peer of a silent connection is still there (SO_KEEPALIVE). A
    /// socket that refuses is left without.
    pub fn keep_alive(&mut self, conn: ConnId) {
        if let Some(stream) = self.conns.get(conn).and_then(|c| c.stream.as_ref()) {
            let _ = SockRef::from(stream).set_keepalive(true);
        }
    }

    /// True while the id means a connection the handler has not lost.
    pub fn is_alive(&self, conn: ConnId) -> bool {
        self.conns.get(conn).is_some_and(|c| c.state != State::Lingering)
    }

    /// How many connections there are, in either direction and including those being made.
    pub fn connections(&self) -> usize {
        self.alive
    }

    /// When this turn's events were taken from the kernel. Costs nothing.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// A handle to wake this reactor with.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Ends `run` after this turn, once queued output is written or `Limits::stop_flush` is over.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Has the connection looked at, at the next occasion.
    pub(crate) fn serve_next_turn(&mut self, conn: ConnId) {
        if let Some(c) = self.conns.get_mut(conn)
            && !c.in_ready
        {
            c.in_ready = true;
            self.ready.push(conn);
        }
    }

    /// Has the connection's output written at the end of the turn.
    pub(crate) fn flush_this_turn(&mut self, conn: ConnId) {
        if let Some(c) = self.conns.get_mut(conn)
            && !c.in_dirty
        {
            c.in_dirty = true;
            self.dirty.push(conn);
        }
    }

    pub(crate) fn register(&mut self, conn: ConnId) -> io::Result<()> {
        match self.conns.get_mut(conn).and_then(|c| c.stream.as_mut()) {
            Some(stream) => self.registry.register(stream, conn.token(), BOTH),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    pub(crate) fn prepare_reset(&mut self, conn: ConnId) {
        if let Some(stream) = self.conns.get(conn).and_then(|c| c.stream.as_ref())
            && let Err(error) = SockRef::from(stream).set_linger(Some(Duration::ZERO))
        {
            tracing::debug!(%conn, %error, "cannot have the connection reset");
        }
    }

    /// Removes the connection without a word to the handler.
    pub(crate) fn forget(&mut self, conn: ConnId) -> Option<Conn> {
        let mut c = self.conns.remove(conn)?;
        if c.state != State::Lingering {
            self.alive -= 1;
        }
        c.release(&mut self.pool);
        Some(c)
    }

    /// Removes the connection; the handler is told of it soon.
    pub(crate) fn kill(&mut self, conn: ConnId, why: CloseReason) {
        if self.forget(conn).is_some() {
            self.closed.push_back((conn, why));
        }
    }

    /// Removes an outgoing connection; the handler is told of it soon.
    pub(crate) fn fail_connect(&mut self, conn: ConnId, error: io::Error) {
        if let Some(c) = self.forget(conn) {
            self.unconnected.push_back((conn, c.tag, error));
        }
    }
}

/// An IPv4 address in IPv6 clothes without them.
pub(crate) fn unmapped(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::from((v4, v6.port())),
            None => addr,
        },
        SocketAddr::V4(_) => addr,
    }
}
