//! Drives the connections of one thread, and the threads.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rookeeper_net::{CloseReason, ConnId, Handler, Io, Limits, ListenerTag, Reactor};
use rookeeper_proto::client::request::{PathWatch, SetData};
use rookeeper_proto::client::{ReplyHeader, Request};
use rookeeper_proto::{ErrorCode, Reader, Xid};

use crate::args::{Args, Op};
use crate::session::{Session, connect_frame};
use crate::workload::{Workload, frame, key_path, open_create};

/// The xid of a watcher's re-arming.
const ARMED: Xid = Xid(1);

/// What a run came to.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// Answered requests (churn: sessions; watch: notifications).
    pub(crate) operations: u64,
    /// Of these, answered with an error.
    pub(crate) errors: u64,
    /// Seconds it took.
    pub(crate) seconds: f64,
    /// Latencies in microseconds (watch: from the set to the last notification of a round).
    pub(crate) latency_us: Histogram<u64>,
    /// The longest time without any answer, in microseconds.
    pub(crate) longest_gap_us: u64,
    /// Connections lost.
    pub(crate) lost: u64,
}

impl Outcome {
    fn new() -> Self {
        Self {
            operations: 0,
            errors: 0,
            seconds: 0.0,
            latency_us: Histogram::new_with_bounds(1, 600_000_000, 3)
                .expect("the bounds are constants that the histogram takes"),
            longest_gap_us: 0,
            lost: 0,
        }
    }

    fn merge(&mut self, other: &Self) {
        self.operations += other.operations;
        self.errors += other.errors;
        self.seconds = self.seconds.max(other.seconds);
        // Same bounds: cannot fail.
        let _ = self.latency_us.add(&other.latency_us);
        self.longest_gap_us = self.longest_gap_us.max(other.longest_gap_us);
        self.lost += other.lost;
    }
}

/// Names of different runs differ, so that creates do not meet.
fn tag() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as u64)
}

/// Creates what the load needs.
pub(crate) fn prepare(args: &Args, addresses: &[SocketAddr]) -> Result<(), String> {
    let exists_is_fine = |err: i32| err == ErrorCode::NodeExists.as_i32();
    let mut session = Session::open(addresses[0], args.session_timeout_ms)?;
    let value = vec![b'x'; args.size];
    let mut paths = vec![args.root.clone()];
    match args.op {
        Op::Get | Op::Set | Op::Mixed | Op::Multi => {
            paths.push(format!("{}/keys", args.root));
            paths.extend((0..args.keys).map(|key| key_path(&args.root, key)));
        }
        Op::Children => {
            let parent = format!("{}/children", args.root);
            let n = if args.count == 0 { 100 } else { args.count };
            paths.push(parent.clone());
            paths.extend((0..n).map(|i| format!("{parent}/child-{i:08}")));
        }
        Op::Watch => paths.push(format!("{}/watched", args.root)),
        Op::Create | Op::Churn | Op::Fill | Op::Ping => {}
    }
    let requests = paths.iter().map(|path| Request::Create(open_create(path, &value)));
    session.run(requests, exists_is_fine)
}

/// Parents of the creates of one run. How many there will be is not known before; enough for a
/// million a second.
fn prepare_parents(
    args: &Args,
    addresses: &[SocketAddr],
    tag: u64,
    duration: Duration,
) -> Result<(), String> {
    let creates = match args.op {
        Op::Fill if args.count != 0 => args.count,
        Op::Fill => 1_000_000,
        Op::Create | Op::Multi => 400_000 * duration.as_secs().max(1),
        _ => return Ok(()),
    };
    let mut session = Session::open(addresses[0], args.session_timeout_ms)?;
    let parents = Workload::parents(args, tag, creates);
    session.run(parents.iter().map(|path| Request::Create(open_create(path, b""))), |_| false)
}

/// Runs the load for `duration` (fill: until done).
pub(crate) fn drive(
    args: &Args,
    addresses: &[SocketAddr],
    duration: Duration,
) -> Result<Outcome, String> {
    let tag = tag();
    prepare_parents(args, addresses, tag, duration)?;
    let results: Vec<Result<Outcome, String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..args.threads)
            .map(|thread| scope.spawn(move || drive_thread(args, addresses, duration, thread, tag)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".to_owned())))
            .collect()
    });
    let mut all = Outcome::new();
    for result in results {
        all.merge(&result?);
    }
    Ok(all)
}

fn drive_thread(
    args: &Args,
    addresses: &[SocketAddr],
    duration: Duration,
    thread: usize,
    tag: u64,
) -> Result<Outcome, String> {
    let failed = |error: std::io::Error| format!("cannot poll sockets: {error}");
    let mut reactor = Reactor::new(Limits::default()).map_err(failed)?;
    let mine: Vec<usize> = (thread..args.connections).step_by(args.threads).collect();
    let mut driver = Driver::new(args, addresses.to_vec(), duration, thread, tag, mine.len());
    for &n in &mine {
        let address = addresses[n % addresses.len()];
        driver.open(reactor.io(), address);
    }
    reactor.run(&mut driver).map_err(failed)?;
    driver.finish()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Handshake,
    Ready,
}

#[derive(Debug)]
struct Client {
    id: ConnId,
    address: SocketAddr,
    state: State,
    xid: i32,
    /// When each unanswered request was due.
    sent: VecDeque<Instant>,
    opened: Instant,
}

/// The load of one thread.
struct Driver<'a> {
    args: &'a Args,
    addresses: Vec<SocketAddr>,
    workload: Workload,
    clients: Vec<Option<Client>>,
    expected: usize,
    ready: usize,
    duration: Duration,
    started: Option<Instant>,
    last_answer: Option<Instant>,
    outcome: Outcome,
    failure: Option<String>,
    /// Open loop: when the next request is due, and who sends it.
    next_due: Option<Instant>,
    interval: Duration,
    turn: usize,
    backlog: VecDeque<Instant>,
    /// Watch: the round's set and the watchers still to hear of it.
    round_began: Instant,
    to_hear: usize,
    to_arm: usize,
    value: Vec<u8>,
    stopping: bool,
}

impl<'a> Driver<'a> {
    fn new(
        args: &'a Args,
        addresses: Vec<SocketAddr>,
        duration: Duration,
        thread: usize,
        tag: u64,
        expected: usize,
    ) -> Self {
        let rate = args.rate / args.threads as u64;
        Self {
            args,
            addresses,
            workload: Workload::new(args, thread, tag),
            clients: Vec::new(),
            expected,
            ready: 0,
            duration,
            started: None,
            last_answer: None,
            outcome: Outcome::new(),
            failure: None,
            next_due: None,
            interval: Duration::from_nanos(1_000_000_000u64.checked_div(rate).unwrap_or(0)),
            turn: 0,
            backlog: VecDeque::new(),
            round_began: Instant::now(),
            to_hear: 0,
            to_arm: 0,
            value: vec![b'x'; args.size],
            stopping: false,
        }
    }

    fn is_open_loop(&self) -> bool {
        0 < self.args.rate
    }

    fn open(&mut self, io: &mut Io, address: SocketAddr) {
        let id = io.connect(address, 0);
        let index = id.index();
        if self.clients.len() <= index {
            self.clients.resize_with(index + 1, || None);
        }
        self.clients[index] = Some(Client {
            id,
            address,
            state: State::Handshake,
            xid: 0,
            sent: VecDeque::new(),
            opened: Instant::now(),
        });
    }

    fn client(&mut self, id: ConnId) -> Option<&mut Client> {
        self.clients.get_mut(id.index())?.as_mut().filter(|client| client.id == id)
    }

    fn fail(&mut self, io: &mut Io, why: String) {
        self.failure.get_or_insert(why);
        self.stopping = true;
        io.stop();
    }

    /// Sends one request on a connection.
    fn send(&mut self, io: &mut Io, id: ConnId, due: Instant) {
        let Some(client) = self.clients.get_mut(id.index()).and_then(Option::as_mut) else {
            return;
        };
        client.xid = client.xid.wrapping_add(1).max(1);
        let Some(out) = io.out(id) else { return };
        self.workload.next_frame(Xid(client.xid), out);
        client.sent.push_back(due);
    }

    /// All connections are ready: the clock starts.
    fn start(&mut self, io: &mut Io) {
        let now = Instant::now();
        self.started = Some(now);
        self.last_answer = Some(now);
        match self.args.op {
            Op::Churn => {}
            Op::Watch => {
                let ids = self.ready_ids();
                for &id in &ids {
                    self.arm(io, id);
                }
                (self.to_hear, self.to_arm) = (0, ids.len());
            }
            _ if self.is_open_loop() => self.next_due = Some(now),
            _ => {
                for id in self.ready_ids() {
                    for _ in 0..self.args.window {
                        if !self.workload.is_done() {
                            self.send(io, id, now);
                        }
                    }
                }
            }
        }
    }

    fn ready_ids(&self) -> Vec<ConnId> {
        let clients = self.clients.iter().flatten();
        clients.filter(|client| client.state == State::Ready).map(|client| client.id).collect()
    }

    fn watched(&self) -> String {
        format!("{}/watched", self.args.root)
    }

    fn arm(&mut self, io: &mut Io, id: ConnId) {
        let path = self.watched();
        if let Some(out) = io.out(id) {
            let read = PathWatch { path: Some(path.into()), watch: true };
            frame(ARMED, &Request::GetData(read), out);
        }
    }

    /// Its own reply (xid 2) is not an answer of interest.
    fn set_watched(&mut self, io: &mut Io, id: ConnId) {
        self.round_began = Instant::now();
        let path = self.watched();
        if let Some(out) = io.out(id) {
            let write = SetData { path: Some(path.into()), data: Some(&self.value), version: -1 };
            frame(Xid(2), &Request::SetData(write), out);
        }
    }

    fn note_answer(&mut self, now: Instant) {
        if let Some(last) = self.last_answer.replace(now) {
            let gap = now.saturating_duration_since(last).as_micros() as u64;
            self.outcome.longest_gap_us = self.outcome.longest_gap_us.max(gap);
        }
        self.outcome.operations += 1;
    }

    fn record(&mut self, since: Instant, now: Instant) {
        let us = now.saturating_duration_since(since).as_micros() as u64;
        // Saturates at the histogram's bound.
        self.outcome.latency_us.saturating_record(us.max(1));
    }

    fn on_frame(&mut self, io: &mut Io, id: ConnId, payload: &[u8], now: Instant) {
        let Some(client) = self.client(id) else { return };
        if client.state == State::Handshake {
            client.state = State::Ready;
            self.ready += 1;
            match self.args.op {
                Op::Churn => {
                    if let Some(out) = io.out(id) {
                        frame(Xid(1), &Request::CloseSession, out);
                    }
                    if self.started.is_none() {
                        self.start(io);
                    }
                }
                _ if self.ready == self.expected && self.started.is_none() => self.start(io),
                _ => {}
            }
            return;
        }
        let Ok(header) = ReplyHeader::read(&mut Reader::new(payload)) else {
            return self.fail(io, "a reply cannot be decoded".to_owned());
        };
        let op = self.args.op;
        if op == Op::Watch {
            return self.on_watch_frame(io, id, header, now);
        }
        if op == Op::Churn || header.xid == Xid::NOTIFICATION {
            return;
        }
        let Some(due) = self.client(id).and_then(|client| client.sent.pop_front()) else {
            return self.fail(io, format!("a reply (xid {}) to nothing", header.xid.0));
        };
        if header.err != 0 {
            self.outcome.errors += 1;
        }
        self.note_answer(now);
        self.record(due, now);
        self.go_on(io, id, now);
    }

    /// Sends the next request of a connection that got an answer.
    fn go_on(&mut self, io: &mut Io, id: ConnId, now: Instant) {
        if self.stopping {
            return;
        }
        if self.workload.is_done() {
            let in_flight = self.clients.iter().flatten().any(|client| !client.sent.is_empty());
            if !in_flight {
                self.end(io, now);
            }
            return;
        }
        if !self.is_open_loop() {
            self.send(io, id, now);
        } else if let Some(due) = self.backlog.pop_front() {
            self.send(io, id, due);
        }
    }

    /// A round: set, all watchers hear of it and arm again; when the last is armed the next begins,
    /// so that no watcher can miss a set.
    fn on_watch_frame(&mut self, io: &mut Io, id: ConnId, header: ReplyHeader, now: Instant) {
        if header.xid == Xid::NOTIFICATION {
            self.note_answer(now);
            self.to_hear = self.to_hear.saturating_sub(1);
            if self.to_hear == 0 {
                self.record(self.round_began, now);
            }
            return self.arm(io, id);
        }
        if header.xid != ARMED {
            return;
        }
        self.to_arm = self.to_arm.saturating_sub(1);
        if self.to_arm == 0 && self.to_hear == 0 && !self.stopping {
            (self.to_hear, self.to_arm) = (self.expected, self.expected);
            self.set_watched(io, id);
        }
    }

    fn end(&mut self, io: &mut Io, now: Instant) {
        if let Some(started) = self.started {
            self.outcome.seconds = now.saturating_duration_since(started).as_secs_f64();
        }
        self.stopping = true;
        io.stop();
    }

    fn finish(self) -> Result<Outcome, String> {
        match self.failure {
            Some(why) => Err(why),
            None => Ok(self.outcome),
        }
    }

    /// Open loop: sends everything that is due.
    fn send_due(&mut self, io: &mut Io, now: Instant) {
        while let Some(due) = self.next_due.filter(|&due| due <= now) {
            self.next_due = Some(due + self.interval);
            match self.idle_client() {
                Some(id) => self.send(io, id, due),
                None => self.backlog.push_back(due),
            }
        }
    }

    /// The next connection in turn whose window has room.
    fn idle_client(&mut self) -> Option<ConnId> {
        for _ in 0..self.clients.len() {
            self.turn = (self.turn + 1) % self.clients.len();
            if let Some(client) = &self.clients[self.turn]
                && client.state == State::Ready
                && client.sent.len() < self.args.window
            {
                return Some(client.id);
            }
        }
        None
    }
}

impl Handler for Driver<'_> {
    fn on_accept(&mut self, _: &mut Io, _: ConnId, _: ListenerTag, _: SocketAddr) -> bool {
        false
    }

    fn on_connected(&mut self, io: &mut Io, conn: ConnId, _tag: u32) {
        if let Some(out) = io.out(conn) {
            connect_frame(self.args.session_timeout_ms, out);
        }
    }

    fn on_connect_failed(&mut self, io: &mut Io, conn: ConnId, _: u32, error: std::io::Error) {
        let address = self.client(conn).map(|client| client.address);
        self.fail(io, format!("cannot connect to {address:?}: {error}"));
    }

    fn on_bytes(&mut self, io: &mut Io, conn: ConnId, bytes: &[u8]) -> usize {
        let now = Instant::now();
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let Some(prefix) = rest.first_chunk::<4>() else {
                io.want(conn, 4);
                return at;
            };
            let len = u32::from_be_bytes(*prefix) as usize;
            let Some(payload) = rest.get(4..4 + len) else {
                io.want(conn, 4 + len);
                return at;
            };
            self.on_frame(io, conn, payload, now);
            at += 4 + len;
        }
    }

    fn on_closed(&mut self, io: &mut Io, conn: ConnId, why: CloseReason) {
        let Some(slot) = self.clients.get_mut(conn.index()) else { return };
        let Some(client) = slot.take_if(|client| client.id == conn) else { return };
        if self.args.op == Op::Churn && client.state == State::Ready {
            let now = Instant::now();
            self.note_answer(now);
            self.record(client.opened, now);
            if !self.stopping {
                let next = self.addresses[self.turn % self.addresses.len()];
                self.turn += 1;
                self.open(io, next);
            }
            return;
        }
        self.outcome.lost += 1;
        if !self.stopping {
            self.fail(io, format!("the connection to {} was closed: {why}", client.address));
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        if self.stopping {
            return None;
        }
        let end = self.started.filter(|_| self.args.op.is_timed()).map(|at| at + self.duration);
        end.into_iter().chain(self.next_due).min()
    }

    fn on_timer(&mut self, io: &mut Io, now: Instant) {
        if self.args.op.is_timed()
            && self.started.is_some_and(|started| self.duration <= now.duration_since(started))
        {
            return self.end(io, now);
        }
        self.send_due(io, now);
    }
}
