//! The core thread: one turn takes what has arrived, lets the replica work, and passes on what it
//! hands out. The order within a turn is that of `server::core_thread`, except that the seed shuffles
//! what the reactor leaves open: which connection first, mail of the other threads before or after.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rookeeper_proto::client::RequestHeader;
use rookeeper_proto::create_mode::OwnerKind;
use rookeeper_proto::{OpCode, Reader, SessionId, Xid, Zxid};
use rookeeper_replica::auth::{AuthConfig, AuthRegistry};
use rookeeper_replica::conns::{Pending, Stage};
use rookeeper_replica::durable::{LogEvent, LogPlan, LogStage, Recovered, SnapshotGate};
use rookeeper_replica::{ConnId, Flow, LogCommand, Notice, Now, Parts, Replica, Role};
use rookeeper_storage::{DataDirs, DirLock, Disk, MemDisk};
use rookeeper_tree::DataTree;
use rookeeper_zab::EnsembleConfig;

use super::boot::Replayed;
use super::careless_disk::CarelessDisk;
use super::conns::ServerConns;
use super::log_stage::{LogInput, LogThread};
use super::member::{Ensemble, Place, sid_of};
use super::service::Service;
use super::snapshot_stage::SnapshotStage;
use crate::agenda::Event;
use crate::ctx::Ctx;
use crate::model::{Kind, Model, TxnEntry, membership};
use crate::net::{LinkId, Segment};
use crate::peers::Port;
use crate::plan::PlantedBug;
use crate::violation::{Check, broken};

/// Of `super:test`, the operator's.
pub(crate) const SUPER_DIGEST: &str = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=";
const FRAME_BYTES_MAX: usize = 0xf_ffff;

/// A running server.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) server: usize,
    pub(crate) boot: u64,
    pub(crate) service: Service,
    gate: SnapshotGate,
    pub(crate) log: LogThread,
    pub(crate) snapshots: SnapshotStage,
    pub(crate) conns: ServerConns,
    /// The monotonic clock's reading at virtual time 0.
    mono_origin_us: u64,
    turn_at_us: Option<u64>,
    pub(crate) stalled_until_us: u64,
    /// The machine stops while the next batch is written.
    pub(crate) tears_next_batch: bool,
    disk: Arc<MemDisk>,
    dirs: DataDirs,
    /// Why the process must end.
    pub(crate) failure: Option<String>,
    work: Vec<LogCommand>,
    turns: u64,
    /// Its name in the trace.
    who: String,
    _locks: Vec<Box<dyn DirLock>>,
}

impl Process {
    /// Starts serving a recovered tree.
    pub(crate) fn start(
        ctx: &mut Ctx,
        place: Place,
        disk: &Arc<MemDisk>,
        dirs: &DataDirs,
        (mut recovered, replayed): (Recovered, Replayed),
        locks: Vec<Box<dyn DirLock>>,
    ) -> Result<Self, String> {
        let (server, boot) = (place.server, place.boot);
        let ensemble = ctx.plan.ensemble.clone();
        let mut log_options = ctx.plan.log.clone();
        if ctx.plan.planted == Some(PlantedBug::NeverForced) {
            log_options.force_sync = false;
        }
        let shared: Arc<dyn Disk> = match ctx.plan.planted {
            Some(PlantedBug::NamesNeverForced) => Arc::new(CarelessDisk(Arc::clone(disk))),
            _ => disk.clone(),
        };
        let last = recovered.tree.last_zxid();
        let plan = LogPlan {
            disk: Arc::clone(&shared),
            dirs: dirs.clone(),
            options: log_options,
            compression: ctx.plan.compression,
            recovery: ctx.plan.recovery(),
        };
        let log = LogThread::new(LogStage::new(plan, last));
        let mono_origin_us = 86_400_000_000 + ctx.rng.below(1_000_000_000_000);
        let auth = AuthConfig { super_digest: Some(SUPER_DIGEST.into()), ..AuthConfig::default() };
        let auth = AuthRegistry::new(auth).expect("the defaults are valid");
        let parts = Parts {
            tree: std::mem::replace(&mut recovered.tree, DataTree::new(ctx.plan.tree)),
            auth,
            prep: ctx.plan.prep.clone(),
            role: if ensemble.is_some() { Role::Looking } else { Role::Standalone },
            seed: ctx.rng.u64(),
        };
        let now = Now { mono_us: mono_origin_us + ctx.now_us, wall_ms: ctx.wall_ms(server) };
        let mut config = ctx.plan.replica.clone();
        config.server_id = server as u8 + 1;
        let mut replica = Replica::new(now, config, parts);
        if recovered.records > 0 {
            replica.want_snapshot();
        }
        let service = match ensemble {
            None => {
                replica.close_orphaned_sessions(now);
                let sessions = replica.tree().sessions().iter().map(|(&id, &ms)| (id, ms));
                ctx.expiry.restart(now.mono_ms(), ctx.plan.replica.tick_time_ms, sessions);
                Service::Alone(Box::new(replica))
            }
            Some(plan) => {
                let found = (&recovered, &replayed);
                Service::Member(Box::new(Ensemble::start(ctx, &plan, now, replica, place, found)?))
            }
        };
        Ok(Self {
            server,
            boot,
            service,
            gate: SnapshotGate::default(),
            log,
            snapshots: SnapshotStage::new(
                shared,
                dirs.clone(),
                ctx.plan.compression,
                ctx.plan.purge,
            ),
            conns: ServerConns::default(),
            mono_origin_us,
            turn_at_us: None,
            stalled_until_us: 0,
            tears_next_batch: false,
            disk: Arc::clone(disk),
            dirs: dirs.clone(),
            failure: None,
            work: Vec::new(),
            turns: 0,
            who: format!("server{}", server + 1),
            _locks: locks,
        })
    }

    /// Whether a dial gets through to it.
    pub(crate) fn accepts(&self, port: Port, numbers: &[u16]) -> bool {
        self.service.ensemble().is_some_and(|ensemble| ensemble.accepts(port, numbers))
    }

    /// Reads the log for learners.
    pub(crate) fn read_history(&mut self, ctx: &mut Ctx) {
        if let Some(ensemble) = self.service.ensemble_mut() {
            ensemble.on_read(ctx, &*self.disk, &self.dirs);
            self.wake(ctx, ctx.now_us + 1);
        }
    }

    /// The replica.
    pub(crate) fn replica(&self) -> &Replica {
        self.service.replica()
    }

    fn replica_mut(&mut self) -> &mut Replica {
        self.service.replica_mut()
    }

    /// Makes the loop turn at `at_us`, unless it does so before.
    pub(crate) fn wake(&mut self, ctx: &mut Ctx, at_us: u64) {
        let at_us = at_us.max(self.stalled_until_us).max(ctx.now_us);
        if self.turn_at_us.is_none_or(|turn| at_us < turn) {
            self.turn_at_us = Some(at_us);
            ctx.agenda.push(at_us, Event::Turn { server: self.server, boot: self.boot });
        }
    }

    /// Lets the log stage begin its next step.
    pub(crate) fn run_log(&mut self, ctx: &mut Ctx) {
        let (force_us, is_early) = (ctx.force_us(self.server), ctx.rng.chance(500));
        let bytes = self.log.batch_bytes();
        // Only what covers several sectors can be torn.
        if self.tears_next_batch && bytes > 0 && (bytes > 700 || ctx.rng.chance(50)) {
            self.tears_next_batch = false;
            self.disk.stop_at(self.disk.ops() + ctx.rng.between(1, 2));
        }
        if let Some(us) = self.log.begin(force_us, is_early) {
            ctx.agenda.push(ctx.now_us + us, Event::Log { server: self.server, boot: self.boot });
        }
    }

    /// Lets the snapshot stage begin its next piece.
    pub(crate) fn run_snapshots(&mut self, ctx: &mut Ctx) {
        if self.snapshots.begin() {
            let us = ctx.force_us(self.server) + 50;
            ctx.agenda
                .push(ctx.now_us + us, Event::Snapshot { server: self.server, boot: self.boot });
        }
    }

    fn now(&self, ctx: &Ctx) -> Now {
        Now { mono_us: self.mono_origin_us + ctx.now_us, wall_ms: ctx.wall_ms(self.server) }
    }

    /// One turn, if this is the moment for it.
    pub(crate) fn turn(&mut self, ctx: &mut Ctx) -> Check {
        if self.turn_at_us != Some(ctx.now_us) {
            return Ok(());
        }
        self.turn_at_us = None;
        if ctx.now_us < self.stalled_until_us {
            self.wake(ctx, self.stalled_until_us);
            return Ok(());
        }
        self.turns += 1;
        let now = self.now(ctx);
        self.receive(ctx, now);
        let quiet = self.quiet_before_a_mistake(ctx);
        let mail_first = ctx.rng.chance(500);
        if mail_first {
            self.mail(ctx, now)?;
        }
        self.frames(ctx, now)?;
        if !mail_first {
            self.mail(ctx, now)?;
        }
        self.pass_time(ctx, now)?;
        self.pass_on_log_work(ctx, now)?;
        self.serialise_slice();
        self.notices(ctx)?;
        self.check(ctx, now)?;
        self.plant(ctx, quiet.as_deref());
        self.flush(ctx);
        self.run_log(ctx);
        self.run_snapshots(ctx);
        self.plan_next(ctx);
        Ok(())
    }

    /// What is due, and for a member everything that ends a turn of its shell.
    fn pass_time(&mut self, ctx: &mut Ctx, now: Now) -> Check {
        match &mut self.service {
            Service::Alone(replica) => {
                if replica.next_deadline_ms() <= now.mono_ms() {
                    replica.tick(now, &mut self.conns);
                }
                Ok(())
            }
            Service::Member(ensemble) => {
                if ensemble.member.next_deadline_us() <= now.mono_us {
                    ensemble.member.tick(now, &mut self.conns);
                }
                ensemble.report_drained(ctx, now);
                ensemble.member.pump(now, &mut self.conns);
                ensemble.note_epoch();
                ensemble.carry_out(ctx)
            }
        }
    }

    /// Looks at what came of the turn before anybody hears of it.
    fn check(&mut self, ctx: &mut Ctx, now: Now) -> Check {
        match &mut self.service {
            Service::Alone(replica) => {
                if replica.accepts_writes() {
                    ctx.expiry.looked(now.mono_ms())?;
                    ctx.expiry.deadline(now.mono_ms(), replica.next_deadline_ms())?;
                }
                Ok(())
            }
            Service::Member(ensemble) => {
                let (upto, fresh) = ensemble.delivered(ctx);
                let epoch = ensemble.serving().map(|(_, epoch)| i64::from(epoch));
                for (zxid, record) in fresh {
                    if epoch == Some(zxid.epoch()) {
                        ctx.facts.members.on_committed(self.server, zxid)?;
                    }
                    admit(ctx, zxid, &record)?;
                }
                ensemble.check_delivered(ctx, now, upto)
            }
        }
    }

    fn receive(&mut self, ctx: &mut Ctx, now: Now) {
        if let Service::Member(ensemble) = &mut self.service {
            ensemble.note_epoch();
            ensemble.receive(ctx, now, &mut self.conns);
        }
        for id in ctx.links.rising_to(self.server) {
            while let Some(segment) = ctx.links.receive_up(id, ctx.now_us) {
                match segment {
                    Segment::Open => self.accept(ctx, now, id),
                    Segment::Bytes(bytes) => {
                        if let Some(conn) = self.conns.of_link(id) {
                            conn.input.extend_from_slice(&bytes);
                            conn.is_waiting = false;
                        }
                    }
                    Segment::Closed => {
                        if let Some(conn) = self.conns.of_link(id) {
                            conn.peer_gone = true;
                        }
                    }
                }
            }
        }
    }

    fn accept(&mut self, ctx: &mut Ctx, now: Now, link: LinkId) {
        let Some(host) = ctx.links.get(link).map(|link| link.host) else { return };
        let conn = self.conns.open(link);
        let peer = SocketAddr::new(address(host), 40_000);
        if self.replica_mut().on_accept(now, conn, peer, false).is_err() {
            ctx.counts.refused_conns += 1;
            if let Some(conn) = self.conns.at_mut(conn) {
                conn.is_dead = true;
            }
        }
    }

    fn frames(&mut self, ctx: &mut Ctx, now: Now) -> Check {
        if let Service::Member(ensemble) = &mut self.service {
            ensemble.member.catch_up(now, &mut self.conns);
        }
        let mut ready: Vec<ConnId> = self
            .conns
            .by_slot
            .values()
            .filter(|conn| conn.is_ready())
            .map(|conn| conn.id)
            .collect();
        for at in (1..ready.len()).rev() {
            ready.swap(at, ctx.rng.index(at + 1));
        }
        for conn in ready {
            self.bytes(ctx, now, conn)?;
        }
        Ok(())
    }

    /// Cuts frames off a connection's input, as `Core::on_bytes`.
    fn bytes(&mut self, ctx: &mut Ctx, now: Now, id: ConnId) -> Check {
        let Some(conn) = self.conns.at_mut(id) else { return Ok(()) };
        let input = std::mem::take(&mut conn.input);
        let mut at = 0;
        loop {
            let Some(prefix) = input[at..].first_chunk::<4>() else {
                self.wait_for_more(id);
                break;
            };
            let len = i32::from_be_bytes(*prefix);
            let Some(len) = usize::try_from(len).ok().filter(|&len| len <= FRAME_BYTES_MAX) else {
                if let Some(conn) = self.conns.at_mut(id) {
                    conn.is_dead = true;
                }
                break;
            };
            let Some(frame) = input.get(at + 4..at + 4 + len) else {
                self.wait_for_more(id);
                break;
            };
            at += 4 + len;
            let flow = self.frame(ctx, now, id, frame);
            let is_backed_up = self.conns.at_mut(id).is_none_or(|conn| conn.is_backed_up());
            if flow == Flow::Stop || is_backed_up {
                break;
            }
        }
        if let Some(conn) = self.conns.at_mut(id) {
            conn.input = input[at.min(input.len())..].to_vec();
        }
        Ok(())
    }

    fn wait_for_more(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.at_mut(id) {
            conn.is_waiting = true;
        }
    }

    fn frame(&mut self, ctx: &mut Ctx, now: Now, id: ConnId, frame: &[u8]) -> Flow {
        let op = RequestHeader::read(&mut Reader::new(frame)).ok().map(|header| header.op);
        let mut was_fresh = false;
        let mut heard = None;
        if let Some(conn) = self.replica().conns().at(id) {
            was_fresh = conn.stage == Stage::Fresh;
            let is_touch = !matches!(op, None | Some(100) | Some(102));
            let session = self.replica().sessions().session(conn.session);
            if conn.stage == Stage::Established && is_touch {
                heard = session
                    .filter(|session| !session.is_closing)
                    .map(|session| (session.id, session.timeout_ms));
                let is_read = op.and_then(OpCode::from_i32).is_some_and(|op| !op.is_write());
                if is_read && conn.pending.iter().any(|p| matches!(p, Pending::Write { .. })) {
                    ctx.counts.held_reads += 1;
                }
            }
        }
        let flow = self.service.replica_mut().on_frame(now, id, frame, &mut self.conns);
        let conn = self.replica().conns().at(id);
        if was_fresh && let Some(conn) = conn.filter(|conn| conn.slot.is_some()) {
            heard = Some((conn.session, conn.timeout_ms));
        }
        match (&mut self.service, heard) {
            (Service::Alone(_), Some((session, timeout_ms))) => {
                ctx.expiry.heard(now.mono_ms(), session, timeout_ms);
            }
            (Service::Member(ensemble), Some((session, _))) => ensemble.heard(ctx, now, session),
            (_, None) => {}
        }
        flow
    }

    /// What the other threads have reported, as `Core::on_wake`.
    fn mail(&mut self, ctx: &mut Ctx, now: Now) -> Check {
        for event in std::mem::take(&mut self.log.events) {
            if let LogEvent::Durable { zxid, records } = &event {
                ctx.counts.batches += 1;
                if ctx.trace.is_on() {
                    ctx.note(&self.who, format_args!("durable {zxid}, {records} records"));
                }
            }
            let event = match (&mut self.service, event) {
                (Service::Member(_), LogEvent::Full { why, .. }) => {
                    ctx.counts.fulls += 1;
                    self.failure = Some(why);
                    continue;
                }
                (Service::Member(_), LogEvent::Failed(why)) => {
                    self.failure = Some(why);
                    continue;
                }
                (Service::Member(ensemble), event) => {
                    ensemble.on_log_event(ctx, now, event)?;
                    continue;
                }
                (Service::Alone(_), event) => event,
            };
            match event {
                LogEvent::Durable { zxid, .. } => self.committed(ctx, now, zxid),
                LogEvent::Full { logged, .. } => {
                    ctx.note("log", format_args!("full behind {logged}"));
                    ctx.counts.fulls += 1;
                    self.work.clear();
                    // Also what was asked for in this very turn is dropped, and never seen here.
                    for session in self.replica().sessions().iter().filter(|s| s.is_closing) {
                        ctx.expiry.closing(now.mono_ms(), session.id, true)?;
                    }
                    self.service.replica_mut().on_log_full(logged, &mut self.conns);
                    let sessions = self.replica().sessions();
                    ctx.expiry.retain(|id| sessions.session(id).is_some());
                    ctx.history.truncate(logged);
                    ctx.sequential.truncate(logged);
                    self.log.input.push(LogInput::Continue);
                }
                LogEvent::Room => {
                    ctx.note("log", format_args!("room again"));
                    ctx.counts.rooms += 1;
                    self.replica_mut().on_log_room();
                }
                LogEvent::Failed(why) => self.failure = Some(why),
                other => unreachable!("only for members of an ensemble: {other:?}"),
            }
        }
        for done in std::mem::take(&mut self.snapshots.done) {
            ctx.note("snapshot", format_args!("{:?}, {} purged", done.result, done.purged));
            match done.result {
                Ok(_) => ctx.counts.snapshots += 1,
                Err(_) => ctx.counts.snapshots_failed += 1,
            }
            ctx.counts.purges += u64::from(done.purged > 0);
            self.replica_mut().on_snapshot_done(1);
        }
        ctx.counts.pauses += std::mem::take(&mut self.conns.pauses);
        Ok(())
    }

    fn committed(&mut self, ctx: &mut Ctx, now: Now, zxid: Zxid) {
        let before = self.replica().tree().last_zxid();
        self.service.replica_mut().on_committed(now, zxid, &mut self.conns);
        let applied = self.replica().tree().last_zxid();
        for txn in ctx.history.model.txns_behind(before) {
            if applied < txn.zxid {
                break;
            }
            match txn.op {
                OpCode::CreateSession => ctx.expiry.created(now.mono_ms(), txn.session),
                OpCode::CloseSession if txn.reply.is_ok() => ctx.expiry.gone(txn.session),
                _ => {}
            }
        }
    }

    fn pass_on_log_work(&mut self, ctx: &mut Ctx, now: Now) -> Check {
        if !self.service.replica_mut().take_log_work(&mut self.work) {
            return Ok(());
        }
        if self.work.iter().any(LogCommand::replaces_state) && self.gate.give_up() {
            self.replica_mut().on_snapshot_done(0);
        }
        let mut newest = None;
        for command in std::mem::take(&mut self.work) {
            if let Service::Member(ensemble) = &mut self.service {
                ensemble.on_command(ctx, now, &command)?;
            } else if let LogCommand::Append { zxid, record } = &command {
                self.prepared(ctx, now, *zxid, record)?;
                newest = Some(*zxid);
            }
            ctx.counts.rolls += u64::from(command == LogCommand::Roll);
            self.log.input.push(LogInput::Command(command));
        }
        if ctx.plan.planted == Some(PlantedBug::ReplyBeforeDurable)
            && let Some(zxid) = newest
        {
            self.committed(ctx, now, zxid);
        }
        Ok(())
    }

    fn prepared(&mut self, ctx: &mut Ctx, now: Now, zxid: Zxid, record: &[u8]) -> Check {
        let applied = self.replica().tree().last_zxid();
        admit(ctx, zxid, record)?;
        let Some(txn) = ctx.history.model.txn(zxid) else { return Ok(()) };
        let (op, session, cxid) = (txn.op, txn.session, txn.cxid);
        match op {
            OpCode::CloseSession => ctx.expiry.closing(now.mono_ms(), session, cxid != 0),
            OpCode::DeleteContainer if session == SessionId::NONE => {
                check_reaped(ctx, zxid, applied, now.wall_ms)
            }
            _ => Ok(()),
        }
    }

    fn serialise_slice(&mut self) {
        let (appended, reached) = match &self.service {
            Service::Alone(_) => (Zxid::ZERO, Zxid::ZERO),
            Service::Member(ensemble) => {
                let peer = ensemble.member.peer();
                (peer.store().appended(), peer.store().durable().min(peer.committed_zxid()))
            }
        };
        if self.replica().has_snapshot_work()
            && self.snapshots.has_room()
            && !self.gate.is_shut()
            && let Some(work) = self.replica_mut().take_snapshot_work()
            && let Some(work) = self.gate.pass(work, appended)
        {
            self.snapshots.put(work);
        }
        if let Some(end) = self.gate.open(reached) {
            self.snapshots.put(end);
        }
    }

    fn notices(&mut self, ctx: &mut Ctx) -> Check {
        for notice in self.replica_mut().take_notices() {
            ctx.note(&self.who, format_args!("{notice:?}"));
            match notice {
                Notice::DigestMismatch { zxid } => {
                    return broken("digest", format!("the replica sees a mismatch at {zxid}"));
                }
                Notice::ConnectionDropped { why, .. }
                    if why.contains("newer zxid") && ctx.is_ensemble() =>
                {
                    ctx.counts.behind += 1;
                }
                // A leader that may not run further ahead of its disk proposes the closing later.
                Notice::SessionExpired { session, .. } if ctx.is_ensemble() => {
                    ctx.expiry.order_closing(session);
                }
                Notice::ConnectionDropped { why, .. } if why.contains("moved") => {
                    ctx.counts.moved_away += 1;
                }
                Notice::ConnectionDropped { why, session, .. } if why.contains("newer zxid") => {
                    return broken("durability", format!("session {session} was refused: {why}"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Connections with nothing to send at the beginning of a turn in which [`Self::plant`] makes a
    /// mistake.
    fn quiet_before_a_mistake(&self, ctx: &Ctx) -> Option<Vec<ConnId>> {
        match ctx.plan.planted {
            Some(PlantedBug::LostEvent) if self.turns.is_multiple_of(7) => {}
            Some(PlantedBug::EventAfterReply) => {}
            _ => return None,
        }
        let quiet = self.conns.by_slot.values().filter(|conn| conn.out.is_empty());
        Some(quiet.map(|conn| conn.id).collect())
    }

    /// Makes the mistakes that are made on the way out.
    fn plant(&mut self, ctx: &Ctx, quiet: Option<&[ConnId]>) {
        let Some(quiet) = quiet else { return };
        let loses = ctx.plan.planted == Some(PlantedBug::LostEvent);
        for conn in self.conns.by_slot.values_mut().filter(|conn| quiet.contains(&conn.id)) {
            let (mut replies, mut events) = (Vec::new(), Vec::new());
            let mut rest = &conn.out[..];
            while let Some(prefix) = rest.first_chunk::<4>() {
                let len = 4 + i32::from_be_bytes(*prefix) as usize;
                let (frame, behind) = rest.split_at(len);
                let xid = frame.get(4..8).and_then(|b| b.first_chunk::<4>());
                let is_event =
                    xid.is_some_and(|b| Xid(i32::from_be_bytes(*b)) == Xid::NOTIFICATION);
                if is_event { &mut events } else { &mut replies }.extend_from_slice(frame);
                rest = behind;
            }
            if !loses {
                replies.extend_from_slice(&events);
            }
            conn.out = replies;
        }
    }

    /// Sends what the clients' windows take, and ends what is over.
    fn flush(&mut self, ctx: &mut Ctx) {
        let window: usize =
            if ctx.plan.habits.slow_readers && !ctx.is_healing { 512 } else { 64 << 10 };
        let mut over = Vec::new();
        for conn in self.conns.by_slot.values_mut() {
            let is_unread = conn.peer_gone && !conn.is_paused && !conn.is_ready();
            if !conn.out.is_empty()
                && let Some(link) = ctx.links.get_mut(conn.link)
            {
                let room = window.saturating_sub(link.down.bytes());
                let n = conn.out.len().min(room);
                if n > 0 && !conn.is_dead {
                    let rest = conn.out.split_off(n);
                    let bytes = std::mem::replace(&mut conn.out, rest);
                    let mean = ctx.plan.habits.latency_us;
                    let delay = ctx.rng.spread(mean);
                    let at = link.down.send(ctx.now_us, delay, Segment::Bytes(bytes));
                    ctx.agenda.push(at, Event::Down { link: conn.link });
                }
            }
            if conn.is_dead || is_unread || conn.is_closing && conn.out.is_empty() {
                over.push(conn.id);
            }
        }
        for id in over {
            self.replica_mut().on_closed(id);
            let Some(conn) = self.conns.by_slot.remove(&id.index) else { continue };
            let delay = ctx.latency_us();
            if let Some(link) = ctx.links.get_mut(conn.link) {
                let at = link.down.send(ctx.now_us, delay, Segment::Closed);
                ctx.agenda.push(at, Event::Down { link: conn.link });
            }
        }
    }

    fn plan_next(&mut self, ctx: &mut Ctx) {
        let serialises =
            self.replica().has_snapshot_work() && self.snapshots.has_room() && !self.gate.is_shut();
        let streams = self.service.ensemble().is_some_and(Ensemble::wants_turn);
        if serialises || streams || self.conns.by_slot.values().any(|conn| conn.is_ready()) {
            let us = ctx.rng.between(1, 100);
            self.wake(ctx, ctx.now_us + us);
        }
        let deadline_us = match &self.service {
            Service::Alone(replica) => replica.next_deadline_ms().saturating_mul(1000),
            Service::Member(ensemble) => ensemble.member.next_deadline_us(),
        };
        if deadline_us < u64::MAX / 2 {
            let at_us = deadline_us.saturating_sub(self.mono_origin_us);
            let us = ctx.rng.between(1, 300);
            self.wake(ctx, at_us.max(ctx.now_us) + us);
        }
    }
}

/// A txn enters the history; what it must have come to is checked at once.
fn admit(ctx: &mut Ctx, zxid: Zxid, record: &[u8]) -> Check {
    ctx.history.propose(zxid, record)?;
    let Some(txn) = ctx.history.model.txn(zxid) else { return Ok(()) };
    let sent = ctx.history.proposed.clone();
    let request = sent.as_ref().and_then(|sent| sent.request());
    ctx.counts.sequentials += ctx.sequential.on_txn(&ctx.history.model, txn, request.as_ref())?;
    ctx.counts.ephemerals += ephemerals(&ctx.history.model, txn);
    let (op, session, cxid) = (txn.op, txn.session, txn.cxid);
    ctx.counts.expiries += u64::from(op == OpCode::CloseSession && cxid == 0);
    count_txn(&mut ctx.counts, txn);
    if ctx.trace.is_on() {
        let line = format!("{zxid} {op:?} session {session} cxid {cxid}: {:?}", txn.reply);
        ctx.trace.line(ctx.now_us, "txn", format_args!("{line}"));
    }
    let is_upgrade = op == OpCode::CreateSession && ctx.history.local.contains(&session);
    ctx.counts.upgrades += u64::from(is_upgrade);
    if op == OpCode::Reconfig {
        count_reconfig(ctx, zxid);
    }
    Ok(())
}

/// The address of a host of the simulation.
pub(crate) fn address(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, host))
}

fn count_txn(counts: &mut crate::counts::Counts, txn: &TxnEntry) {
    use rookeeper_proto::client::{MultiResult, Response};
    match &txn.reply {
        Err(_) => counts.errors += 1,
        Ok(Response::Multi(results)) => {
            let is_failed = results.iter().any(|result| matches!(result, MultiResult::Error(_)));
            if is_failed { counts.multis_failed += 1 } else { counts.multis += 1 }
        }
        Ok(_) => counts.reaped += u64::from(txn.op == OpCode::DeleteContainer),
    }
}

/// What a reconfig came to.
fn count_reconfig(ctx: &mut Ctx, zxid: Zxid) {
    let Some(txn) = ctx.history.model.txn(zxid) else { return };
    let counter = match txn.reply {
        Ok(_) => &mut ctx.counts.reconfigs,
        Err(membership::IN_PROGRESS) => &mut ctx.counts.reconfigs_pending,
        Err(membership::NO_QUORUM) => &mut ctx.counts.reconfigs_unready,
        Err(_) => &mut ctx.counts.reconfigs_refused,
    };
    *counter += 1;
    let text = |at| ctx.history.model.at("/zookeeper/config", at)?.data.as_deref().map(parse);
    let (Some(after), Some(before)) = (text(zxid), text(Zxid(zxid.0 - 1))) else { return };
    ctx.counts.regroupings +=
        u64::from((&after.groups, &after.weights) != (&before.groups, &before.weights));
    for (sid, now) in &after.members {
        let Some(old) = before.members.get(sid) else { continue };
        ctx.counts.role_changes += u64::from(old.role != now.role);
        ctx.counts.moved_ports += u64::from(old.addresses != now.addresses);
    }
    let leader = ctx.facts.leader_of(zxid).map(sid_of);
    let place = |config: &EnsembleConfig, sid| config.members.get(&sid).cloned();
    if let Some(sid) = leader
        && (!after.is_voter(sid)
            || place(&after, sid).map(|m| m.quorum_addresses())
                != place(&before, sid).map(|m| m.quorum_addresses()))
    {
        ctx.counts.handovers += 1;
    }
}

fn parse(text: &[u8]) -> EnsembleConfig {
    EnsembleConfig::parse(&String::from_utf8_lossy(text)).unwrap_or_default()
}

/// How many ephemerals a txn created.
fn ephemerals(model: &Model, txn: &TxnEntry) -> u64 {
    let created = txn.changes.iter().filter(|change| change.kind == Kind::Created);
    let nodes = created.filter_map(|change| model.at(&change.path, txn.zxid));
    nodes.filter(|node| model.owner(node) == OwnerKind::Ephemeral).count() as u64
}

/// The server removes only empty containers that had a child, or were never used for too long, and
/// TTL nodes beyond their time, judged by what was applied when it looked.
fn check_reaped(ctx: &Ctx, zxid: Zxid, applied: Zxid, wall_ms: i64) -> Check {
    let model = &ctx.history.model;
    let Some(txn) = model.txn(zxid) else { return Ok(()) };
    for change in &txn.changes {
        let Some(node) = model.at(&change.path, applied) else {
            return broken("reaper", format!("{} removed at {zxid}, not there", change.path));
        };
        let age_ms = wall_ms.saturating_sub(node.stat.mtime_ms);
        let never_used_ms = ctx.plan.replica.container_max_never_used_ms;
        let is_due = node.children.is_empty()
            && match model.owner(node) {
                OwnerKind::Container if node.stat.cversion > 0 => true,
                OwnerKind::Container => never_used_ms != 0 && age_ms > never_used_ms,
                OwnerKind::Ttl(ttl_ms) => age_ms > ttl_ms,
                OwnerKind::Persistent | OwnerKind::Ephemeral => false,
            };
        if !is_due {
            return broken("reaper", format!("{} removed at {zxid}: {node:?}", change.path));
        }
    }
    Ok(())
}
