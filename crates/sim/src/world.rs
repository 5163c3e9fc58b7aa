//! One run of one seed: a server, its disk, its clients, the faults, and time.
//!
//! Phases: *faults* while the clients use up their operations; *healing*, in which every client must be
//! served again; *draining*, in which every session must end and its ephemerals go; then one last
//! restart, after which the tree must be the model's.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use rookeeper_proto::SessionId;
use rookeeper_proto::acl::Id;
use rookeeper_replica::auth::{AuthConfig, AuthRegistry, Identities};
use rookeeper_storage::{DataDirs, DirLock, Disk, MemDisk};

use crate::agenda::{Agenda, Event};
use crate::checkers::expiry::Expiry;
use crate::checkers::sequential::Sequential;
use crate::checkers::{digest, durability, ephemerals, liveness};
use crate::client::{Client, credentials};
use crate::counts::Counts;
use crate::ctx::Ctx;
use crate::history::History;
use crate::model::ModelOptions;
use crate::net::{End, LinkId, NEVER_US, Segment};
use crate::plan::{Fault, Plan, PlantedBug};
use crate::rng::Rng;
use crate::server::Process;
use crate::server::boot::boot;
use crate::storm;
use crate::trace::Trace;
use crate::violation::{Check, Violation};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Faults,
    Healing,
    Draining,
    Over,
}

/// What became of a run.
#[derive(Debug)]
pub struct Outcome {
    /// How often each thing happened.
    pub counts: Counts,
    /// The first violation.
    pub violation: Option<Violation>,
    /// The trace.
    pub trace: Trace,
}

/// The longest the faults may last, in virtual time.
const FAULTS_US: u64 = 120_000_000;
/// How often the phase is looked at.
const PHASE_CHECK_US: u64 = 250_000;
/// Users of the simulation.
const USERS: usize = 3;

/// Runs a plan, keeping the last `trace_lines` lines of its trace.
pub fn run(plan: Plan, trace_lines: usize) -> Outcome {
    let mut world = World::new(plan, trace_lines);
    let ran = catch_unwind(AssertUnwindSafe(|| world.run()));
    let violation = match ran {
        Ok(ran) => ran.err(),
        Err(panic) => Some(Violation { checker: "panic", what: words(&*panic) }),
    };
    if let Some(violation) = &violation {
        world.ctx.note("VIOLATION", format_args!("{violation}"));
    }
    let mut counts = world.ctx.counts;
    counts.virtual_ms = world.ctx.now_us / 1000;
    Outcome { counts, violation, trace: world.ctx.trace }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("without words").to_owned()
}

#[derive(Debug)]
struct World {
    ctx: Ctx,
    disk: Arc<MemDisk>,
    dirs: DataDirs,
    process: Option<Process>,
    boots: u64,
    boot_planned: bool,
    /// The disk was told to fail or to stop: a failed start proves nothing.
    is_disk_faulty: bool,
    is_disk_full: bool,
    clients: Vec<Client>,
    ops_left: u64,
    phase: Phase,
    phase_limit_us: u64,
}

fn user_ids() -> Rc<[Id]> {
    let auth = AuthRegistry::new(AuthConfig::default()).expect("the defaults are valid");
    let id = |user: usize| {
        let (mut ids, secret) = (Identities::none(), credentials(user));
        let peer = crate::server::turn::address(1);
        auth.authenticate(Some("digest"), Some(secret.as_bytes()), peer, &mut ids);
        ids.as_slice()[0].clone()
    };
    (0..USERS).map(id).collect()
}

impl World {
    fn new(plan: Plan, trace_lines: usize) -> Self {
        let mut rng = Rng::new(plan.seed);
        let options = ModelOptions {
            extended_types: plan.tree.extended_types,
            digest: plan.tree.digest_enabled,
        };
        let agenda = Agenda::new(Rng::new(rng.u64()));
        let log_dir = plan.has_log_dir.then_some(Path::new("/log"));
        let dirs = DataDirs::new(Path::new("/data"), log_dir);
        let users = user_ids();
        let clients = (0..plan.habits.clients).map(|at| Client::new(at, Rc::clone(&users)));
        let clients = clients.collect();
        let ops_left = plan.habits.ops;
        let ctx = Ctx {
            now_us: 0,
            wall_offset_ms: 1_700_000_000_000,
            rng,
            agenda,
            links: BTreeMap::new(),
            next_link: 1,
            history: History::new(options),
            expiry: Expiry::default(),
            sequential: Sequential::default(),
            counts: Counts::default(),
            trace: Trace::new(trace_lines),
            is_healing: false,
            slow_until_us: 0,
            plan,
        };
        Self {
            ctx,
            disk: Arc::new(MemDisk::new()),
            dirs,
            process: None,
            boots: 0,
            boot_planned: false,
            is_disk_faulty: false,
            is_disk_full: false,
            clients,
            ops_left,
            phase: Phase::Faults,
            phase_limit_us: FAULTS_US,
        }
    }

    fn run(&mut self) -> Check {
        self.plan_boot(0);
        for at in 0..self.clients.len() {
            let us = self.ctx.rng.between(0, 100_000);
            self.clients[at].wake(&mut self.ctx, us);
        }
        self.plan_fault();
        self.ctx.agenda.push(PHASE_CHECK_US, Event::Phase);
        while self.phase != Phase::Over {
            let Some((at_us, event)) = self.ctx.agenda.pop() else { break };
            self.ctx.now_us = at_us;
            self.happen(event)?;
            self.look_at_disk();
        }
        self.last_restart()
    }

    fn happen(&mut self, event: Event) -> Check {
        let ctx = &mut self.ctx;
        match event {
            Event::Turn { boot } => {
                if let Some(process) = self.process.as_mut().filter(|p| p.boot == boot) {
                    process.turn(ctx)?;
                    self.end_failed_process();
                }
            }
            Event::Log { boot } => {
                if let Some(process) = self.process.as_mut().filter(|p| p.boot == boot) {
                    if process.log.end() {
                        let us = ctx.rng.between(1, 200);
                        process.wake(ctx, ctx.now_us + us);
                    }
                    process.run_log(ctx);
                }
            }
            Event::Snapshot { boot } => {
                if let Some(process) = self.process.as_mut().filter(|p| p.boot == boot) {
                    if process.snapshots.end() {
                        process.wake(ctx, ctx.now_us + 10);
                    }
                    process.run_snapshots(ctx);
                }
            }
            Event::Up { link } => self.up(link),
            Event::Down { link } => return self.down(link),
            Event::Client { client, turn } => {
                self.clients[client].step(ctx, turn, &mut self.ops_left);
            }
            Event::Fault => {
                if self.phase == Phase::Faults {
                    self.strike();
                    self.plan_fault();
                }
            }
            Event::Boot => return self.boot(),
            Event::Room => {
                self.is_disk_full = false;
                self.disk.set_space(None);
            }
            Event::Phase => return self.look_at_phase(),
        }
        Ok(())
    }

    /// Something reached the server's machine.
    fn up(&mut self, id: LinkId) {
        let ctx = &mut self.ctx;
        match &mut self.process {
            Some(process) => {
                let us = ctx.rng.between(0, 100);
                process.wake(ctx, ctx.now_us + us);
            }
            None => {
                // Nobody listens.
                let delay = ctx.latency_us();
                let now_us = ctx.now_us;
                let Some(link) = ctx.links.get_mut(&id) else { return };
                let mut is_wanted = false;
                while let Some(segment) = link.up.receive(now_us) {
                    is_wanted |= segment == Segment::Open;
                }
                if is_wanted {
                    let at = link.down.send(now_us, delay, Segment::Closed);
                    ctx.agenda.push(at, Event::Down { link: id });
                }
            }
        }
    }

    /// Something reached a client.
    fn down(&mut self, id: LinkId) -> Check {
        let ctx = &mut self.ctx;
        let Some(link) = ctx.links.get_mut(&id) else { return Ok(()) };
        let end = link.end;
        if let End::Client(at) = end
            && ctx.now_us < self.clients[at].frozen_until_us
        {
            link.down.stall(self.clients[at].frozen_until_us);
        }
        let Some(segment) = link.down.receive(ctx.now_us) else {
            if let Some(at) = link.down.next_at().filter(|&at| at < NEVER_US) {
                ctx.agenda.push(at.max(ctx.now_us + 1), Event::Down { link: id });
            }
            return Ok(());
        };
        match (end, segment) {
            (End::Client(at), Segment::Bytes(bytes)) => {
                self.clients[at].on_bytes(ctx, id, &bytes)?;
                if let Some(process) = &mut self.process
                    && process.conns.of_link(id).is_some_and(|conn| !conn.out.is_empty())
                {
                    process.wake(ctx, ctx.now_us + 5);
                }
            }
            (End::Client(at), Segment::Closed) => {
                self.clients[at].on_closed(ctx, id);
            }
            _ => {}
        }
        Ok(())
    }

    fn plan_boot(&mut self, in_us: u64) {
        if !self.boot_planned {
            self.boot_planned = true;
            self.ctx.agenda.push(self.ctx.now_us + in_us, Event::Boot);
        }
    }

    fn boot(&mut self) -> Check {
        self.boot_planned = false;
        if self.process.is_some() {
            return Ok(());
        }
        self.boots += 1;
        let ctx = &mut self.ctx;
        if self.phase == Phase::Faults && ctx.rng.chance(100) {
            // Recovery itself may be cut off.
            let ops = self.disk.ops() + ctx.rng.between(1, 12);
            if ctx.rng.chance(500) {
                self.disk.stop_at(ops);
            } else {
                self.disk.fail_at(ops, io::ErrorKind::Other);
            }
            self.is_disk_faulty = true;
        }
        let before = ctx.plan.planted.map(|_| self.disk.files());
        let started = self.locks().and_then(|locks| {
            Ok((boot(&*self.disk, &self.dirs, &self.ctx.plan.recovery())?, locks))
        });
        if self.ctx.plan.planted == Some(PlantedBug::TornTailKept) {
            self.uncut(before.unwrap_or_default());
        }
        let ctx = &mut self.ctx;
        let ((recovered, replayed), locks) = match started {
            Ok(started) => started,
            Err(why) if self.is_disk_faulty || self.is_disk_full => {
                ctx.counts.broken_recoveries += 1;
                ctx.note("boot", format_args!("failed: {why}"));
                self.lose_power();
                return Ok(());
            }
            Err(why) => return Err(liveness::refused_start(&why)),
        };
        ctx.counts.recoveries += 1;
        let torn = recovered
            .report
            .warnings
            .iter()
            .any(|said| said.contains("a write that a crash cut off"));
        ctx.counts.torn_tails += u64::from(torn);
        ctx.note(
            "boot",
            format_args!(
                "recovered up to {}, {} replayed; {:?} {:?}",
                recovered.last,
                replayed.len(),
                recovered.report.notes,
                recovered.report.warnings
            ),
        );
        durability::on_recovery(&ctx.history, recovered.last, &replayed)?;
        let unacknowledged = (recovered.last.0 - ctx.history.revealed.0).max(0);
        ctx.counts.kept_txns += unacknowledged as u64;
        ctx.counts.dropped_txns += ctx.history.truncate(recovered.last).len() as u64;
        ctx.sequential.truncate(recovered.last);
        if let Some(zxid) = recovered.mismatches.1 {
            let what = format!("replaying {zxid} gave another digest than recorded");
            return crate::violation::broken("digest", what);
        }
        digest::compare(&recovered.tree, &ctx.history.model, recovered.last, "recovery")?;
        ephemerals::check(&recovered.tree, &ctx.history.model)?;
        let mut process = Process::start(ctx, self.boots, &self.disk, &self.dirs, recovered, locks);
        process.wake(ctx, ctx.now_us + 1);
        self.process = Some(process);
        Ok(())
    }

    /// Undoes the cutting of torn tails.
    fn uncut(&self, before: BTreeMap<PathBuf, Vec<u8>>) {
        for (path, bytes) in before {
            if self.disk.contents(&path).is_some_and(|now| now.len() < bytes.len()) {
                self.disk.put(&path, &bytes);
            }
        }
    }

    fn locks(&self) -> Result<Vec<Box<dyn DirLock>>, String> {
        let mut locks = Vec::new();
        for dir in [Path::new("/data"), Path::new("/log")] {
            self.disk.create_dir_all(dir).map_err(|error| error.to_string())?;
            locks.push(self.disk.lock_dir(dir).map_err(|error| error.to_string())?);
        }
        Ok(locks)
    }

    /// The machine may have stopped in the middle of what just happened.
    fn look_at_disk(&mut self) {
        if self.disk.is_stopped() {
            self.ctx.counts.torn_stops += 1;
            self.ctx.note("fault", format_args!("the machine stops within a disk operation"));
            self.lose_power();
        }
    }

    fn end_failed_process(&mut self) {
        let Some(why) = self.process.as_mut().and_then(|process| process.failure.take()) else {
            return;
        };
        self.ctx.counts.failed_stops += 1;
        self.ctx.note("server", format_args!("stops: {why}"));
        if self.ctx.rng.chance(500) { self.lose_power() } else { self.kill() }
    }

    fn lose_power(&mut self) {
        self.process = None;
        let rng = &mut self.ctx.rng;
        // Mostly lost, mostly kept, or torn anyhow.
        let bias = rng.below(4);
        self.disk.crash(&mut |n| match bias {
            0 => 0,
            1 => n.saturating_sub(1),
            _ => rng.below(n),
        });
        self.is_disk_faulty = false;
        let is_silent = self.ctx.rng.chance(300);
        self.break_links(is_silent);
        let us = self.ctx.rng.between(1000, 3_000_000);
        self.plan_boot(us);
    }

    fn kill(&mut self) {
        self.process = None;
        self.disk.restart();
        self.is_disk_faulty = false;
        self.break_links(false);
        let us = self.ctx.rng.between(1000, 1_000_000);
        self.plan_boot(us);
    }

    /// All connections end; clients hear of it, or find out themselves.
    fn break_links(&mut self, is_silent: bool) {
        let ctx = &mut self.ctx;
        let ids: Vec<LinkId> = ctx.links.keys().copied().collect();
        for id in ids {
            let delay = ctx.latency_us();
            let loses = ctx.rng.chance(500);
            let now_us = ctx.now_us;
            let Some(link) = ctx.links.get_mut(&id) else { continue };
            link.up.clear();
            if loses {
                link.down.clear();
            }
            if !is_silent {
                let at = link.down.send(now_us, delay, Segment::Closed);
                ctx.agenda.push(at, Event::Down { link: id });
            }
        }
        self.forget_links();
    }

    /// Links nobody holds any more.
    fn forget_links(&mut self) {
        let held: Vec<Option<LinkId>> = self.clients.iter().map(Client::link).collect();
        let process = &mut self.process;
        self.ctx.links.retain(|id, link| {
            held.contains(&Some(*id))
                || link.up.next_at().is_some()
                || link.down.next_at().is_some()
                || process.as_mut().is_some_and(|p| p.conns.of_link(*id).is_some())
        });
    }

    fn plan_fault(&mut self) {
        let mean = self.ctx.plan.fault_every_us;
        let us = self.ctx.rng.spread(mean);
        self.ctx.agenda.push(self.ctx.now_us + us, Event::Fault);
    }

    fn strike(&mut self) {
        self.forget_links();
        let weights = self.ctx.plan.fault_weights.clone();
        if weights.iter().all(|&weight| weight == 0) {
            return;
        }
        let fault = Fault::ALL[self.ctx.rng.weighted(&weights)];
        self.ctx.note("fault", format_args!("{fault:?}"));
        match fault {
            Fault::PowerLoss | Fault::Kill | Fault::Stop | Fault::Stall => {
                self.strike_process(fault)
            }
            Fault::TornStop | Fault::DiskError | Fault::DiskFull | Fault::SlowDisk => {
                self.strike_disk(fault);
            }
            Fault::Cut | Fault::BlackHole | Fault::Storm | Fault::Freeze => self.strike_net(fault),
            Fault::ClockJump => {
                let ctx = &mut self.ctx;
                ctx.counts.clock_jumps += 1;
                let range_ms = ctx.rng.pick(&[500, 10_000, 100_000_000]);
                ctx.wall_offset_ms += ctx.rng.below(2 * range_ms) as i64 - range_ms as i64;
            }
        }
    }

    fn strike_process(&mut self, fault: Fault) {
        if self.process.is_none() {
            return;
        }
        match fault {
            Fault::PowerLoss => {
                self.ctx.counts.power_losses += 1;
                self.lose_power();
            }
            Fault::Kill => {
                self.ctx.counts.kills += 1;
                self.kill();
            }
            Fault::Stop => {
                self.ctx.counts.stops += 1;
                if let Some(process) = self.process.take() {
                    process.log.close();
                }
                self.kill();
            }
            _ => {
                let us = self.ctx.rng.between(10_000, 4_000_000);
                if let Some(process) = &mut self.process {
                    self.ctx.counts.stalls += 1;
                    process.stalled_until_us = self.ctx.now_us + us;
                }
            }
        }
    }

    fn strike_disk(&mut self, fault: Fault) {
        let ctx = &mut self.ctx;
        let soon = self.disk.ops() + ctx.rng.between(1, 25);
        match fault {
            Fault::TornStop => {
                self.is_disk_faulty = true;
                match &mut self.process {
                    Some(process) if ctx.rng.chance(600) => process.tears_next_batch = true,
                    _ => self.disk.stop_at(soon),
                }
            }
            Fault::DiskError => {
                ctx.counts.disk_errors += 1;
                self.is_disk_faulty = true;
                self.disk.fail_at(soon, io::ErrorKind::Other);
            }
            Fault::DiskFull => {
                let room = ctx.rng.pick(&[0, 100, 5000, 40_000]);
                self.is_disk_full = true;
                self.disk.set_space(Some(self.disk.used_bytes() + room));
                let us = ctx.rng.between(100_000, 8_000_000);
                ctx.agenda.push(ctx.now_us + us, Event::Room);
            }
            _ => {
                let us = ctx.rng.between(500_000, 6_000_000);
                ctx.slow_until_us = ctx.now_us + us;
            }
        }
    }

    fn strike_net(&mut self, fault: Fault) {
        let at = self.ctx.rng.index(self.clients.len());
        match fault {
            Fault::Cut => {
                self.ctx.counts.cuts += 1;
                self.clients[at].disconnect(&mut self.ctx, "cut");
            }
            Fault::BlackHole => {
                let ctx = &mut self.ctx;
                ctx.counts.black_holes += 1;
                let until_us = match ctx.rng.below(3) {
                    0 => ctx.now_us + ctx.rng.between(100_000, 5_000_000),
                    _ => NEVER_US,
                };
                let sides = ctx.rng.between(1, 3);
                let link = self.clients[at].link().and_then(|link| ctx.links.get_mut(&link));
                if let Some(link) = link {
                    if sides & 1 != 0 {
                        link.up.stall(until_us);
                    }
                    if sides & 2 != 0 {
                        link.down.stall(until_us);
                    }
                }
            }
            Fault::Storm => {
                self.ctx.counts.storms += 1;
                let victims: Vec<SessionId> =
                    self.clients.iter().filter_map(Client::session_id).collect();
                let count = self.ctx.rng.between(1, 60);
                storm::strike(&mut self.ctx, count, &victims);
            }
            _ => {
                self.ctx.counts.freezes += 1;
                let max_ms = self.ctx.plan.replica.max_session_timeout_ms as u64;
                let us = self.ctx.rng.between(1000, 2 * max_ms * 1000);
                self.clients[at].frozen_until_us = self.ctx.now_us + us;
            }
        }
    }

    /// Longest time-out and what surrounds it.
    fn patience_us(&self) -> u64 {
        let config = &self.ctx.plan.replica;
        let ms = config.max_session_timeout_ms as u64 + 2 * config.tick_time_ms + 10_000;
        ms * 1000
    }

    fn look_at_phase(&mut self) -> Check {
        let now_us = self.ctx.now_us;
        match self.phase {
            Phase::Faults if self.ops_left == 0 || self.phase_limit_us < now_us => self.heal(),
            Phase::Faults | Phase::Over => {}
            Phase::Healing => {
                let waiting = self.clients.iter().find(|c| c.served.0 == 0 || c.served.1 == 0);
                let limit_us = self.phase_limit_us;
                match waiting {
                    Some(client) => liveness::in_time(now_us, limit_us, || client.state())?,
                    None => self.drain(),
                }
            }
            Phase::Draining => {
                let left: Vec<_> = self.ctx.history.model.live_sessions().collect();
                let is_idle = self.process.as_ref().is_some_and(|p| p.replica.outstanding() == 0);
                if left.is_empty() && is_idle {
                    self.phase = Phase::Over;
                } else {
                    let what = || format!("sessions left: {left:?}, pipeline idle: {is_idle}");
                    liveness::in_time(now_us, self.phase_limit_us, what)?;
                }
            }
        }
        self.ctx.agenda.push(now_us + PHASE_CHECK_US, Event::Phase);
        Ok(())
    }

    fn heal(&mut self) {
        self.ctx.note("phase", format_args!("faults end"));
        self.phase = Phase::Healing;
        self.ctx.is_healing = true;
        self.ctx.slow_until_us = 0;
        self.is_disk_full = false;
        self.disk.set_space(None);
        for link in self.ctx.links.values_mut() {
            // A dead connection stays dead; its ends must find out.
            link.up.stall(0);
        }
        for client in &mut self.clients {
            client.frozen_until_us = 0;
        }
        // A fault armed in the disk may still strike once.
        self.phase_limit_us = self.ctx.now_us + 3 * self.patience_us();
        for at in 0..self.clients.len() {
            self.clients[at].wake(&mut self.ctx, 1000);
        }
    }

    fn drain(&mut self) {
        self.ctx.note("phase", format_args!("all served again; clients leave"));
        self.phase = Phase::Draining;
        for client in &mut self.clients {
            client.drain(&mut self.ctx);
        }
        self.phase_limit_us = self.ctx.now_us + 3 * self.patience_us();
    }

    /// The last look: the running tree, then the recovered one.
    fn last_restart(&mut self) -> Check {
        let Some(process) = self.process.take() else { return Ok(()) };
        let model = &self.ctx.history.model;
        let last = model.last();
        digest::compare(process.replica.tree(), model, last, "the end")?;
        ephemerals::check_none(process.replica.tree())?;
        let conns = process.replica.conns().len();
        drop(process);
        if conns > self.ctx.links.len() + self.clients.len() {
            return crate::violation::broken("liveness", format!("{conns} connections leaked"));
        }
        if self.ctx.rng.chance(500) {
            self.lose_power()
        } else {
            self.kill()
        }
        let recovery = self.ctx.plan.recovery();
        let (recovered, replayed) = match boot(&*self.disk, &self.dirs, &recovery) {
            Ok(recovered) => recovered,
            Err(why) => return Err(liveness::refused_start(&why)),
        };
        durability::on_recovery(&self.ctx.history, recovered.last, &replayed)?;
        self.ctx.history.truncate(recovered.last);
        digest::compare(&recovered.tree, &self.ctx.history.model, recovered.last, "the last start")
    }
}
