//! The core thread: the reactor's handler around the replica.
//!
//! It cuts the byte stream of each connection into frames, answers four-letter words, hands frames
//! to the replica, and after each turn passes the log's work on: all writes of one turn reach the log
//! thread as one batch.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rookeeper_net::{CloseReason, ConnId as NetConn, Handler, Io, ListenerTag};
use rookeeper_proto::Zxid;
use rookeeper_replica::conns::Stage;
use rookeeper_replica::durable::{LogEvent, SnapshotGate};
use rookeeper_replica::{ConnId, Flow, LogCommand, Notice, Now, Outbox};

use crate::fourletter::{self, FourLetter};
use crate::log_thread::{LogInput, LogMail, LogReport};
use crate::lone_write::LoneGate;
use crate::metrics::ServerMetrics;
use crate::service::Service;
use crate::snapshot_thread::{SnapshotDone, SnapshotMail};

/// Connections accepted on the plaintext client port.
pub(crate) const CLIENT_PORT: ListenerTag = ListenerTag(1);

/// What the core thread owns.
pub(crate) struct Core {
    pub(crate) service: Service,
    pub(crate) log: Arc<LogMail>,
    pub(crate) snapshots: Arc<SnapshotMail>,
    pub(crate) four_letter: FourLetter,
    pub(crate) metrics: ServerMetrics,
    /// Largest frame of a client, inclusive.
    pub(crate) frame_bytes_max: usize,
    /// `fsync.warningthresholdms`.
    pub(crate) fsync_warning: Duration,
    /// Set by the signal handlers; the waker is called behind it.
    pub(crate) stop_requested: Arc<AtomicBool>,
    pub(crate) clock: Clock,
    /// Why the loop ended, if not by request.
    pub(crate) failure: Option<String>,
    work: Vec<LogCommand>,
    /// For the log thread; at the end of a turn nothing, or a lone write.
    log_input: Vec<LogInput>,
    lone_gate: LoneGate,
    log_reports: Vec<LogReport>,
    snapshots_done: Vec<SnapshotDone>,
    snapshot_gate: SnapshotGate,
    stopping_since: Option<Instant>,
}

/// Turns the loop's clock into the replica's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that began a day ago, so that no subtraction of a time-out underflows.
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self { origin: now.checked_sub(Duration::from_secs(86_400)).unwrap_or(now) }
    }

    pub(crate) fn now(self, at: Instant) -> Now {
        let mono_us = at.saturating_duration_since(self.origin).as_micros();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            mono_us: u64::try_from(mono_us).unwrap_or(u64::MAX),
            wall_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
        }
    }

    pub(crate) fn instant(self, mono_ms: u64) -> Option<Instant> {
        self.instant_us(mono_ms.saturating_mul(1000))
    }

    pub(crate) fn instant_us(self, mono_us: u64) -> Option<Instant> {
        self.origin.checked_add(Duration::from_micros(mono_us))
    }
}

/// How long a stopping server waits for writes under way.
const DRAIN: Duration = Duration::from_secs(2);

/// The replica's view of the reactor's connections.
struct IoOutbox<'a>(&'a mut Io);

fn net(conn: ConnId) -> NetConn {
    NetConn::from_u64(conn.as_u64())
}

fn core(conn: NetConn) -> ConnId {
    ConnId::from_u64(conn.as_u64())
}

impl Outbox for IoOutbox<'_> {
    #[inline]
    fn buffer(&mut self, conn: ConnId) -> Option<&mut Vec<u8>> {
        self.0.out(net(conn))
    }
    fn close_after_flush(&mut self, conn: ConnId) {
        self.0.close_after_flush(net(conn));
    }
    fn close_now(&mut self, conn: ConnId) {
        self.0.close_now(net(conn));
    }
    fn pause(&mut self, conn: ConnId) {
        self.0.pause(net(conn));
    }
    fn resume(&mut self, conn: ConnId) {
        self.0.resume(net(conn));
    }
}

/// What the threads around the core are reached by.
pub(crate) struct Wiring {
    pub(crate) log: Arc<LogMail>,
    pub(crate) snapshots: Arc<SnapshotMail>,
    pub(crate) stop_requested: Arc<AtomicBool>,
    pub(crate) clock: Clock,
}

impl Core {
    pub(crate) fn new(
        service: Service,
        four_letter: FourLetter,
        frame_bytes_max: usize,
        fsync_warning: Duration,
        wiring: Wiring,
    ) -> Self {
        Self {
            service,
            log: wiring.log,
            snapshots: wiring.snapshots,
            four_letter,
            metrics: ServerMetrics::default(),
            frame_bytes_max,
            fsync_warning,
            stop_requested: wiring.stop_requested,
            clock: wiring.clock,
            failure: None,
            work: Vec::new(),
            log_input: Vec::new(),
            lone_gate: LoneGate::new(),
            log_reports: Vec::new(),
            snapshots_done: Vec::new(),
            snapshot_gate: SnapshotGate::default(),
            stopping_since: None,
        }
    }

    /// Serves a four-letter word if the bytes begin with one. `None`: they do not; `Some(0)`: more
    /// bytes are needed.
    fn four_letter_word(&mut self, io: &mut Io, conn: NetConn, bytes: &[u8]) -> Option<usize> {
        let word: [u8; 4] = *bytes.first_chunk()?;
        let command = fourletter::Command::of(word)?;
        let argument_bytes = self.four_letter.argument_bytes(command);
        if argument_bytes + 4 > bytes.len() {
            io.want(conn, argument_bytes + 4);
            return Some(0);
        }
        let now = self.clock.now(io.now());
        let id = core(conn);
        self.service.replica_mut().on_four_letter_word(id);
        let member = match &self.service {
            Service::Alone(_) => None,
            Service::Member(ensemble) => Some(ensemble.member.figures(now)),
        };
        let answer = self.four_letter.answer(
            command,
            &bytes[4..4 + argument_bytes],
            fourletter::Context {
                replica: self.service.replica_mut(),
                metrics: &mut self.metrics,
                member,
                now,
                conn: id,
            },
        );
        self.service.replica_mut().on_four_letter_answer(answer.len());
        if let Some(out) = io.out(conn) {
            out.extend_from_slice(answer.as_bytes());
        }
        io.close_after_flush(conn);
        Some(bytes.len())
    }

    fn on_log_events(&mut self, io: &mut Io, now: Now) {
        let mut reports = std::mem::take(&mut self.log_reports);
        self.log.reports.take_all(&mut reports);
        self.on_reports(io, now, &mut reports);
        self.log_reports = reports;
    }

    fn on_reports(&mut self, io: &mut Io, now: Now, reports: &mut Vec<LogReport>) {
        for LogReport { event, queued, took } in reports.drain(..) {
            match event {
                LogEvent::Durable { zxid, records } => {
                    self.metrics.on_force(queued, took, records);
                    self.lone_gate.forced(took, io.now());
                    if self.fsync_warning < took {
                        self.metrics.slow_forces += 1;
                        tracing::warn!(
                            "fsync-ing the write ahead log took {}ms which will adversely effect \
                             operation latency; look at the disk of dataLogDir",
                            took.as_millis()
                        );
                    }
                    match &mut self.service {
                        Service::Alone(replica) => {
                            replica.on_committed(now, zxid, &mut IoOutbox(io));
                        }
                        Service::Member(ensemble) => ensemble.member.on_durable(now, zxid),
                    }
                }
                LogEvent::EpochWritten { file, epoch } => {
                    if let Some(ensemble) = self.service.ensemble() {
                        ensemble.member.on_epoch_written(now, file, epoch);
                    }
                }
                LogEvent::Truncated { is_done, reloaded } => {
                    if let Some(ensemble) = self.service.ensemble() {
                        ensemble.member.on_truncated(now, is_done, reloaded.map(|tree| *tree));
                    }
                }
                LogEvent::Installed => {
                    if let Some(ensemble) = self.service.ensemble() {
                        ensemble.member.on_installed(now);
                    }
                }
                LogEvent::SetAside => {
                    if let Some(ensemble) = self.service.ensemble() {
                        ensemble.member.on_set_aside(now);
                    }
                }
                LogEvent::Full { why, .. } if self.service.ensemble().is_some() => {
                    // What was proposed may be committed by others; this server cannot keep up.
                    self.failure = Some(why);
                    io.stop();
                }
                LogEvent::Full { logged, why } => {
                    tracing::error!(
                        "{why}. No writes are accepted until there is room; reads go on"
                    );
                    self.work.clear();
                    self.log_input.clear();
                    self.service.replica_mut().on_log_full(logged, &mut IoOutbox(io));
                    self.log.input.put(LogInput::Continue);
                }
                LogEvent::Room => self.service.replica_mut().on_log_room(),
                LogEvent::Note { .. } => unreachable!("the log thread says these itself"),
                LogEvent::Failed(why) => {
                    self.failure = Some(why);
                    io.stop();
                }
            }
        }
    }

    fn on_snapshots_done(&mut self) {
        let mut done = std::mem::take(&mut self.snapshots_done);
        self.snapshots.take_done(&mut done);
        for SnapshotDone { millis, result } in done.drain(..) {
            match result {
                Ok(Some(file)) => {
                    tracing::info!("snapshot {} written in {millis} ms", file.display());
                }
                Ok(None) => tracing::info!("a snapshot of this state exists already"),
                Err(why) => tracing::error!(
                    "no snapshot was written: {why}. The transaction log still holds everything; \
                     the next snapshot is tried in due course"
                ),
            }
            self.service.replica_mut().on_snapshot_done(millis);
        }
        self.snapshots_done = done;
    }

    /// One slice per turn, so that requests are never held up by more than that.
    fn serialise_slice(&mut self) {
        if self.service.replica().has_snapshot_work()
            && self.snapshots.has_room()
            && !self.snapshot_gate.is_shut()
            && let Some(work) = self.service.replica_mut().take_snapshot_work()
            && let Some(work) = self.snapshot_gate.pass(work, self.appended())
        {
            self.snapshots.put(work);
        }
        let reached = match &self.service {
            // Alone, what is applied is durable.
            Service::Alone(_) => Zxid(i64::MAX),
            Service::Member(ensemble) => {
                let peer = ensemble.member.peer();
                peer.store().durable().min(peer.committed_zxid())
            }
        };
        if let Some(end) = self.snapshot_gate.open(reached) {
            self.snapshots.put(end);
        }
    }

    fn appended(&self) -> Zxid {
        match &self.service {
            Service::Alone(_) => Zxid::ZERO,
            Service::Member(ensemble) => ensemble.member.peer().store().appended(),
        }
    }

    /// The state that a snapshot is of is about to be replaced.
    fn give_up_snapshot(&mut self) {
        if self.snapshot_gate.give_up() {
            self.service.replica_mut().on_snapshot_done(0);
        }
    }

    /// Hands the log's work over, but for a lone write: that is kept for [`Self::force_lone_write`].
    fn pass_on_log_work(&mut self, io: &Io) {
        let mut is_lone = self.log_input.is_empty();
        if self.service.replica_mut().take_log_work(&mut self.work) {
            if self.work.iter().any(LogCommand::replaces_state) {
                self.give_up_snapshot();
            }
            is_lone &= matches!(self.work.as_slice(), [LogCommand::Append { .. }])
                && matches!(self.service, Service::Alone(_))
                && self.lone_gate.is_open(io.now());
            self.log_input.push(LogInput::Handed(io.now()));
            self.log_input.extend(self.work.drain(..).map(LogInput::Command));
        }
        if !is_lone {
            self.log.input.put_all(&mut self.log_input);
        }
    }

    /// Forces a lone write here, if the log is free; else the log thread does. True if it was done here.
    fn force_lone_write(&mut self, io: &mut Io) -> bool {
        if self.log_input.is_empty() {
            return false;
        }
        let mut reports = Vec::with_capacity(1);
        if !self.log.work_here(&mut self.log_input, &mut reports) {
            self.log.input.put_all(&mut self.log_input);
            return false;
        }
        let now = self.clock.now(Instant::now());
        // What the thread reported before comes first.
        self.on_log_events(io, now);
        self.on_reports(io, now, &mut reports);
        true
    }

    fn log_notices(&mut self) {
        for notice in self.service.replica_mut().take_notices() {
            match notice {
                Notice::ConnectionDropped { peer, session, why } => {
                    tracing::warn!("closed connection of {peer}, session {session}: {why}");
                }
                Notice::SessionExpired { session, timeout_ms } => {
                    tracing::info!(
                        "expiring session {session}, timeout of {timeout_ms}ms exceeded"
                    );
                }
                Notice::DigestMismatch { zxid } => tracing::error!(
                    "the tree's digest after {zxid} is not the one recorded with it: this server's \
                     state differs from its writer's"
                ),
                Notice::WritesStopped => {
                    tracing::error!("writes have stopped: the log's disk is full")
                }
                Notice::WritesResumed => tracing::info!("writes go on: there is room again"),
            }
        }
    }

    /// Stops once nothing is under way, or after a while.
    fn try_to_stop(&mut self, io: &mut Io) {
        let Some(since) = self.stopping_since else { return };
        if self.service.replica().outstanding() == 0
            || DRAIN <= io.now().saturating_duration_since(since)
        {
            io.stop();
        }
    }
}

impl Handler for Core {
    fn on_accept(
        &mut self,
        io: &mut Io,
        conn: NetConn,
        listener: ListenerTag,
        peer: SocketAddr,
    ) -> bool {
        let now = self.clock.now(io.now());
        if listener != CLIENT_PORT {
            let ensemble = self.service.ensemble();
            return ensemble.map(|ensemble| ensemble.on_accept(now, conn, listener, io)).is_some();
        }
        match self.service.replica_mut().on_accept(now, core(conn), peer, false) {
            Ok(()) => true,
            Err(refused) => {
                tracing::warn!("refused a connection of {peer}: {refused}");
                false
            }
        }
    }

    fn on_bytes(&mut self, io: &mut Io, conn: NetConn, bytes: &[u8]) -> usize {
        let id = core(conn);
        let now = self.clock.now(io.now());
        if let Service::Member(ensemble) = &mut self.service
            && let Some(port) = ensemble.port_of(conn)
        {
            ensemble.on_bytes(now, port, conn, bytes, &mut IoOutbox(io));
            return bytes.len();
        }
        if let Some(ensemble) = self.service.ensemble() {
            ensemble.member.catch_up(now, &mut IoOutbox(io));
        }
        self.lone_gate.heard(conn, io.now());
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let Some(prefix) = rest.first_chunk::<4>() else {
                io.want(conn, 4);
                return at;
            };
            if at == 0
                && self.service.replica().conns().at(id).is_some_and(|c| c.stage == Stage::Fresh)
            {
                match self.four_letter_word(io, conn, rest) {
                    None => {}
                    Some(consumed) => return consumed,
                }
            }
            let len = i32::from_be_bytes(*prefix);
            let frame_bytes_max = self.frame_bytes_max;
            let Some(len) = usize::try_from(len).ok().filter(|&len| len <= frame_bytes_max) else {
                tracing::warn!(
                    "closed connection of {:?}: a packet of {len} bytes is out of range (limit \
                     jute.maxbuffer = {frame_bytes_max})",
                    io.peer_addr(conn),
                );
                io.close_now(conn);
                return bytes.len();
            };
            if !self.service.replica_mut().admits_request_of(len) {
                tracing::warn!(
                    "closed connection of {:?}: with this request of {len} bytes the large requests \
                     in flight would pass largeRequestMaxBytes",
                    io.peer_addr(conn),
                );
                io.close_now(conn);
                return bytes.len();
            }
            let Some(frame) = rest.get(4..4 + len) else {
                io.want(conn, 4 + len);
                return at;
            };
            at += 4 + len;
            let flow = self.service.replica_mut().on_frame(now, id, frame, &mut IoOutbox(io));
            if flow == Flow::Stop || io.backed_up(conn) {
                return at;
            }
        }
    }

    fn on_closed(&mut self, io: &mut Io, conn: NetConn, why: CloseReason) {
        let now = self.clock.now(io.now());
        if let Some(ensemble) = self.service.ensemble()
            && ensemble.on_closed(now, conn, io)
        {
            return;
        }
        if matches!(why, CloseReason::PeerClosed) {
            self.service.replica_mut().on_peer_closed();
        }
        self.service.replica_mut().on_closed(core(conn));
    }

    fn on_connected(&mut self, io: &mut Io, conn: NetConn, tag: u32) {
        let now = self.clock.now(io.now());
        if let Some(ensemble) = self.service.ensemble() {
            ensemble.on_connected(now, conn, tag, io);
        }
    }

    fn on_connect_failed(&mut self, io: &mut Io, _: NetConn, tag: u32, _: std::io::Error) {
        let now = self.clock.now(io.now());
        if let Some(ensemble) = self.service.ensemble() {
            ensemble.on_connect_failed(now, tag, io);
        }
    }

    fn on_wake(&mut self, io: &mut Io) {
        let now = self.clock.now(io.now());
        self.on_log_events(io, now);
        self.on_snapshots_done();
        if let Some(ensemble) = self.service.ensemble() {
            ensemble.on_wake(now, io);
        }
        if self.stop_requested.load(Ordering::Acquire) && self.stopping_since.is_none() {
            tracing::info!("stopping");
            self.stopping_since = Some(io.now());
            io.unlisten(CLIENT_PORT);
        }
    }

    fn on_turn_end(&mut self, io: &mut Io) {
        if let Service::Member(ensemble) = &mut self.service {
            let now = self.clock.now(io.now());
            ensemble.report_drained(now, io);
            ensemble.member.pump(now, &mut IoOutbox(io));
            ensemble.carry_out(io);
        }
        self.pass_on_log_work(io);
        self.serialise_slice();
        self.log_notices();
        self.try_to_stop(io);
    }

    fn on_idle(&mut self, io: &mut Io) -> bool {
        self.force_lone_write(io)
    }

    fn next_deadline(&self) -> Option<Instant> {
        if let Some(since) = self.stopping_since {
            return Some(since + DRAIN);
        }
        if self.service.replica().has_snapshot_work() && self.snapshots.has_room() {
            return self.clock.instant(0);
        }
        match &self.service {
            Service::Alone(replica) => self.clock.instant(replica.next_deadline_ms()),
            Service::Member(ensemble) => {
                let member = self.clock.instant_us(ensemble.member.next_deadline_us());
                member.into_iter().chain(ensemble.next_deadline()).min()
            }
        }
    }

    fn on_timer(&mut self, io: &mut Io, now: Instant) {
        let at = now;
        let now = self.clock.now(at);
        match &mut self.service {
            Service::Alone(replica) => replica.tick(now, &mut IoOutbox(io)),
            Service::Member(ensemble) => {
                ensemble.on_timer(at, now, io);
                ensemble.member.tick(now, &mut IoOutbox(io));
            }
        }
    }
}
