//! The loop.
//!
//! # The order within a turn
//!
//! One turn takes what the kernel has, lets the handler work on it, and writes the answers:
//!
//! 1. **Sleep** in `epoll_wait` until something happens, but not past the handler's deadline, a
//!    deadline of a closing connection or the end of a listener's rest; and not at all while a
//!    connection is left to be served from the turn before, or the waker was called meanwhile.
//! 2. **Note** the events in flags of their connections; nothing is read or written yet. The
//!    registration is edge-triggered and made once per socket, so these flags are the only memory
//!    of what the kernel said. A connection that became readable joins the *ready* list; one that
//!    became writable with output waiting joins the *dirty* list.
//! 3. **Accept** from each listener, a bounded batch (`on_accept`).
//! 4. **Wake**: `on_wake`, if another thread asked for it. It comes before reading, so that what
//!    other threads have finished is seen by the requests of this turn.
//! 5. **Serve** each ready connection once, in the order they became ready: one read of at most the
//!    shared buffer (or the input kept from before), then `on_bytes`. A connection that may hold
//!    more joins the ready list of the *next* turn, behind the others: a flood costs its neighbours
//!    one buffer per turn. A paused connection, or one with too much output, is passed over; it
//!    joins again when it is resumed, or drained.
//! 6. **Time**: closing connections that took too long are ended; `on_timer` if its time has come.
//! 7. **Report and flush**: `on_closed` for what ended, `on_turn_end`, then one write for each
//!    dirty connection. If a write ended a connection, its `on_closed` may produce output for
//!    others, so this step is repeated while there is reason to, a few times at most; the rest is
//!    for the next turn, which then does not sleep.
//! 8. **Idle**: `on_idle`, if nothing is left for the next turn.
//!
//! `on_closed` is also called between the steps, always with nothing of the handler on the stack.
//! A handler that hands work to other threads in `on_turn_end` so does it before the writes: a log
//! thread can force a batch while this thread is busy in the kernel.
//!
//! # Ends
//!
//! Bytes before an end are delivered before `on_closed`. An end the kernel announces together with
//! bytes is remembered, so the connection stays ready until a read shows it. A connection that is
//! closing does not look for ends at all: a client that sends a command and closes its direction at
//! once still gets its answer.

use std::cmp::Reverse;
use std::io;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Token};

use crate::conn::{Conn, Input, Scratch, State};
use crate::handler::Handler;
use crate::io::{Io, unmapped};
use crate::listener::Accepted;
use crate::slab::FIRST_RESERVED_SLOT;
use crate::transport::Transport;
use crate::{CloseReason, ConnId, Limits, Waker};

const WAKER: Token = Token(FIRST_RESERVED_SLOT as usize - 1 + (1 << 16));
const EVENTS_PER_TURN: usize = 1024;
/// How often step 7 is repeated at most.
const FLUSH_ROUNDS: usize = 4;
/// Smallest shared buffer: the kept input put in front must leave ample room.
const LEAST_READ_BYTES: usize = 16 * 1024;

/// A readiness loop with its sockets. Belongs to one thread.
#[derive(Debug)]
pub struct Reactor {
    poll: Poll,
    events: Events,
    io: Io,
    scratch: Scratch,
    /// The ready list being served, kept for its memory.
    serving: Vec<ConnId>,
    /// `on_idle` asked for another turn.
    is_restless: bool,
}

impl Reactor {
    /// A reactor without sockets.
    pub fn new(limits: Limits) -> io::Result<Reactor> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waker = Waker::new(&registry, WAKER)?;
        let raw = vec![0; limits.read_bytes.max(LEAST_READ_BYTES)];
        Ok(Reactor {
            poll,
            events: Events::with_capacity(EVENTS_PER_TURN),
            io: Io::new(registry, limits, waker),
            scratch: Scratch { raw, plain: Vec::new() },
            serving: Vec::new(),
            is_restless: false,
        })
    }

    /// The sockets, to listen and connect before the loop runs.
    pub fn io(&mut self) -> &mut Io {
        &mut self.io
    }

    /// A handle to wake this reactor with.
    pub fn waker(&self) -> Waker {
        self.io.waker()
    }

    /// Turns until the handler calls `Io::stop`, then writes what is queued (for a bounded time)
    /// and closes everything. An error means that the kernel's poll itself failed.
    pub fn run<H: Handler>(&mut self, handler: &mut H) -> io::Result<()> {
        while self.turn(handler, None)? {}
        Ok(())
    }

    /// One turn that sleeps for at most `longest`; false after a stop. For embedding into another
    /// loop, and for tests.
    pub fn turn<H: Handler>(
        &mut self,
        handler: &mut H,
        longest: Option<Duration>,
    ) -> io::Result<bool> {
        let timeout = self.timeout(handler, longest);
        let woken = self.wait(timeout)?;
        self.note_events();
        self.accept(handler);
        self.report_unconnected(handler);
        if woken {
            handler.on_wake(&mut self.io);
            self.report_closed(handler);
        }
        self.serve_ready(handler);
        self.io.expire();
        let now = self.io.now;
        if handler.next_deadline().is_some_and(|at| at <= now) {
            handler.on_timer(&mut self.io, now);
        }
        self.finish_turn(handler);
        if self.io.stopping {
            self.drain(handler)?;
        } else {
            self.is_restless = !self.has_work_left() && handler.on_idle(&mut self.io);
        }
        Ok(!self.io.stopping)
    }

    /// How long the kernel may keep us; None is for ever.
    fn timeout<H: Handler>(&self, handler: &H, longest: Option<Duration>) -> Option<Duration> {
        if self.is_restless || self.has_work_left() {
            return Some(Duration::ZERO);
        }
        let io = &self.io;
        let closing = io.deadlines.peek().map(|&Reverse((at, _))| at);
        let listeners = io.listeners.iter().flatten();
        let listening = listeners.filter(|l| l.ready).map(|l| l.rests_until.unwrap_or(io.now));
        let earliest = handler.next_deadline().into_iter().chain(closing).chain(listening).min();
        let until = earliest.map(|at| at.saturating_duration_since(Instant::now()));
        until.into_iter().chain(longest).min()
    }

    fn has_work_left(&self) -> bool {
        let io = &self.io;
        let done = [
            io.ready.is_empty(),
            io.dirty.is_empty(),
            io.closed.is_empty(),
            io.unconnected.is_empty(),
            !io.stopping,
        ];
        done.contains(&false)
    }

    /// Sleeps; true when the waker was called.
    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        let sleeps = timeout != Some(Duration::ZERO) && self.io.waker.may_sleep();
        let timeout = if sleeps { timeout } else { Some(Duration::ZERO) };
        let result = self.poll.poll(&mut self.events, timeout);
        let woken = self.io.waker.take();
        self.io.now = Instant::now();
        match result {
            Ok(()) => Ok(woken),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(woken)
            }
            Err(error) => Err(error),
        }
    }

    fn note_events(&mut self) {
        for event in &self.events {
            let token = event.token();
            let slot = token.0 & u32::MAX as usize;
            match slot.checked_sub(FIRST_RESERVED_SLOT as usize) {
                None => note(&mut self.io, ConnId::from_token(token), event),
                Some(index) => {
                    if let Some(Some(listener)) = self.io.listeners.get_mut(index) {
                        listener.ready = true;
                    }
                }
            }
        }
    }

    fn accept<H: Handler>(&mut self, handler: &mut H) {
        for index in 0..self.io.listeners.len() {
            for _ in 0..self.io.limits.accept_batch {
                if !self.accept_one(handler, index) {
                    break;
                }
            }
        }
        self.report_closed(handler);
    }

    /// False when nothing more is to be had from this listener now.
    fn accept_one<H: Handler>(&mut self, handler: &mut H, index: usize) -> bool {
        let now = self.io.now;
        let Some(Some(listener)) = self.io.listeners.get_mut(index) else { return false };
        if !listener.ready || listener.rests_until.is_some_and(|until| until > now) {
            return false;
        }
        listener.rests_until = None;
        match listener.accept() {
            Accepted::Conn(stream, peer) => {
                listener.in_trouble = false;
                let transport = match &listener.chooser {
                    Some(chooser) => Transport::Undecided(chooser.clone()),
                    None => Transport::Plain,
                };
                let (tag, peer) = (listener.tag, unmapped(peer));
                let c = Conn::new(Some(stream), transport, peer, tag.0, State::Open);
                let Ok(conn) = self.io.conns.insert(c) else { return true };
                self.io.alive += 1;
                if handler.on_accept(&mut self.io, conn, tag, peer) {
                    // Input that is already there raises an event at once.
                    if self.io.is_alive(conn)
                        && let Err(error) = self.io.register(conn)
                    {
                        self.io.kill(conn, CloseReason::Socket(error));
                    }
                } else {
                    self.io.prepare_reset(conn);
                    self.io.forget(conn);
                    self.io.closed.retain(|(closed, _)| *closed != conn);
                }
                true
            }
            Accepted::Lost => true,
            Accepted::Drained => {
                listener.ready = false;
                false
            }
            Accepted::Exhausted(error) => {
                if !listener.in_trouble {
                    tracing::warn!(%error, tag = listener.tag.0, "cannot accept connections");
                }
                listener.in_trouble = true;
                listener.rests_until = Some(now + self.io.limits.accept_backoff);
                false
            }
        }
    }

    fn serve_ready<H: Handler>(&mut self, handler: &mut H) {
        // What becomes ready from here on is for the next turn.
        std::mem::swap(&mut self.serving, &mut self.io.ready);
        let mut serving = std::mem::take(&mut self.serving);
        for conn in serving.drain(..) {
            self.serve(handler, conn);
            self.report_closed(handler);
        }
        self.serving = serving;
    }

    fn serve<H: Handler>(&mut self, handler: &mut H, conn: ConnId) {
        let Some(c) = self.io.conns.get_mut(conn) else { return };
        c.in_ready = false;
        match c.state {
            State::Open => self.serve_open(handler, conn),
            State::Connecting => self.finish_connect(handler, conn),
            State::Closing => self.serve_closing(conn),
            State::Lingering => {
                if !c.swallow(&mut self.scratch) {
                    self.io.forget(conn);
                } else if c.readable {
                    self.io.serve_next_turn(conn);
                }
            }
        }
    }

    fn serve_open<H: Handler>(&mut self, handler: &mut H, conn: ConnId) {
        let io = &mut self.io;
        let Some(c) = io.conns.get_mut(conn) else { return };
        if !c.paused && !c.exempt && holds_input_back(c, &io.limits) {
            c.throttled = true;
        }
        if c.paused || c.throttled {
            if c.failed {
                // Nobody reads, so the failure would go unnoticed.
                let error = c.stream.as_ref().and_then(|s| s.take_error().ok().flatten());
                let error = error.unwrap_or_else(|| io::ErrorKind::ConnectionReset.into());
                io.kill(conn, CloseReason::Socket(error));
            }
            return;
        }
        let input = if std::mem::take(&mut c.redeliver) && c.has_enough_input() {
            Input::Kept
        } else if c.readable {
            c.read(&mut self.scratch, &mut io.pool)
        } else {
            Input::Nothing
        };
        // A layer answers by itself (handshake), and may take only now what waited for it.
        let (readable, has_wire) = (c.readable, !c.blocked && c.queued() > 0);
        if readable {
            io.serve_next_turn(conn);
        }
        if has_wire {
            io.flush_this_turn(conn);
        }
        match input {
            Input::Nothing => check_input_limit(io, conn),
            Input::Scratch(end) => {
                offer(io, handler, conn, self.scratch.raw.get(..end).unwrap_or_default());
            }
            Input::Plain => offer(io, handler, conn, &self.scratch.plain),
            Input::Kept => offer_kept(io, handler, conn),
            Input::Ended(why) => io.kill(conn, why),
        }
    }

    /// Only a handshake is still of interest, and only while output waits for it.
    fn serve_closing(&mut self, conn: ConnId) {
        let io = &mut self.io;
        let Some(c) = io.conns.get_mut(conn) else { return };
        if matches!(c.transport, Transport::Plain) || c.output.is_empty() || !c.readable {
            return;
        }
        if let Input::Ended(why) = c.read(&mut self.scratch, &mut io.pool) {
            return io.kill(conn, why);
        }
        if !matches!(c.transport, Transport::Undecided(_)) {
            c.input.release(&mut io.pool);
        }
        if c.readable {
            io.serve_next_turn(conn);
        }
        io.flush_this_turn(conn);
    }

    fn finish_connect<H: Handler>(&mut self, handler: &mut H, conn: ConnId) {
        let Some(c) = self.io.conns.get_mut(conn) else { return };
        let Some(stream) = &c.stream else { return };
        let error = match stream.take_error() {
            Ok(None) => None,
            Ok(Some(error)) | Err(error) => Some(error),
        };
        if let Some(error) = error {
            self.io.fail_connect(conn, error);
            return self.report_unconnected(handler);
        }
        match stream.peer_addr() {
            Ok(_) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%conn, %error, "cannot set TCP_NODELAY");
                }
                let tag = c.tag;
                c.state = State::Open;
                let readable = c.readable;
                // Output may be waiting already, the layer's or the handler's.
                self.io.flush_this_turn(conn);
                if readable {
                    self.io.serve_next_turn(conn);
                }
                handler.on_connected(&mut self.io, conn, tag);
            }
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
            Err(error) => {
                self.io.fail_connect(conn, error);
                self.report_unconnected(handler);
            }
        }
    }

    fn finish_turn<H: Handler>(&mut self, handler: &mut H) {
        for _ in 0..FLUSH_ROUNDS {
            self.report_closed(handler);
            handler.on_turn_end(&mut self.io);
            self.io.flush_dirty();
            if self.io.closed.is_empty() && self.io.dirty.is_empty() {
                break;
            }
        }
    }

    /// Reporting may close further connections, but only make new ones for the next turn.
    fn report_closed<H: Handler>(&mut self, handler: &mut H) {
        while let Some((conn, why)) = self.io.closed.pop_front() {
            handler.on_closed(&mut self.io, conn, why);
        }
    }

    /// Only those there are now: a handler that tries again at once, and fails at once, must not
    /// keep the turn from ending.
    fn report_unconnected<H: Handler>(&mut self, handler: &mut H) {
        for _ in 0..self.io.unconnected.len() {
            if let Some((conn, tag, error)) = self.io.unconnected.pop_front() {
                handler.on_connect_failed(&mut self.io, conn, tag, error);
            }
        }
    }

    /// Writes what is queued, for a bounded time, then ends everything.
    fn drain<H: Handler>(&mut self, handler: &mut H) -> io::Result<()> {
        self.io.listeners.clear();
        let until = Instant::now() + self.io.limits.stop_flush;
        for conn in self.io.conns.ids() {
            let Some(c) = self.io.conns.get_mut(conn) else { continue };
            match c.state {
                State::Open if c.queued() > 0 => self.io.start_closing(conn),
                State::Open | State::Connecting => self.io.kill(conn, CloseReason::Stopped),
                State::Closing => {}
                State::Lingering => drop(self.io.forget(conn)),
            }
        }
        loop {
            self.io.flush_dirty();
            self.report_closed(handler);
            let left = until.saturating_duration_since(Instant::now());
            if self.io.alive == 0 || left.is_zero() {
                break;
            }
            self.wait(Some(left))?;
            self.note_events();
        }
        for conn in self.io.conns.ids() {
            self.io.kill(conn, CloseReason::Stopped);
        }
        self.report_closed(handler);
        self.report_unconnected(handler);
        Ok(())
    }
}

/// Step 2 for one connection.
fn note(io: &mut Io, conn: ConnId, event: &Event) {
    let Some(c) = io.conns.get_mut(conn) else { return };
    let ends = event.is_read_closed() || event.is_write_closed() || event.is_error();
    c.hup |= ends;
    c.failed |= event.is_error();
    c.readable |= ends || event.is_readable();
    let unblocked = c.blocked && (ends || event.is_writable());
    if unblocked {
        c.blocked = false;
    }
    if c.readable || c.state == State::Connecting {
        io.serve_next_turn(conn);
    }
    if unblocked {
        io.flush_this_turn(conn);
    }
}

/// True when input must wait for output. Output that waits for a handshake does not count: it is
/// input that brings the handshake on.
fn holds_input_back(c: &Conn, limits: &Limits) -> bool {
    (c.blocked || c.in_dirty) && c.queued() > limits.high_water_bytes
}

/// Step 5: shows bytes that lie in a buffer of the reactor.
fn offer<H: Handler>(io: &mut Io, handler: &mut H, conn: ConnId, bytes: &[u8]) {
    forget_wish(io, conn);
    let used = handler.on_bytes(io, conn, bytes);
    let rest = bytes.get(used..).unwrap_or_default();
    if let Some(c) = io.conns.get_mut(conn)
        && c.state == State::Open
    {
        c.input.append(rest, &mut io.pool);
        after_offer(io, conn);
    }
}

/// Step 5: shows bytes that lie in the connection.
fn offer_kept<H: Handler>(io: &mut Io, handler: &mut H, conn: ConnId) {
    forget_wish(io, conn);
    let Some(c) = io.conns.get_mut(conn) else { return };
    let mut kept = std::mem::take(&mut c.input);
    let used = handler.on_bytes(io, conn, kept.bytes());
    match io.conns.get_mut(conn) {
        Some(c) if c.state == State::Open => {
            kept.remove(used.min(kept.len()), &mut io.pool);
            c.input = kept;
            after_offer(io, conn);
        }
        _ => kept.release(&mut io.pool),
    }
}

/// A wish (`Io::want`) is for one call.
fn forget_wish(io: &mut Io, conn: ConnId) {
    if let Some(c) = io.conns.get_mut(conn) {
        c.want = 0;
    }
}

fn after_offer(io: &mut Io, conn: ConnId) {
    check_input_limit(io, conn);
    if let Some(c) = io.conns.get_mut(conn)
        && !c.input.is_empty()
        && holds_input_back(c, &io.limits)
    {
        // The handler returned early, or could not know; flushing brings the input back.
        c.throttled = true;
    }
}

fn check_input_limit(io: &mut Io, conn: ConnId) {
    if io.conns.get(conn).is_some_and(|c| c.input.len() > io.limits.max_input_bytes) {
        io.kill(conn, CloseReason::InputOverflow);
    }
}
