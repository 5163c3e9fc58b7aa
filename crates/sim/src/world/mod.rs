//! One run of one seed: servers, their disks, their clients, the faults, and time.
//!
//! Phases: *faults* while the clients use up their operations; *healing*, in which every client must be
//! served again and all members must follow one leader; *draining*, in which every session must end and
//! its ephemerals go; then one last restart, after which the trees must be the model's.

mod boot;
mod faults;
mod machine;
mod operator;
mod phases;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use rookeeper_proto::acl::Id;
use rookeeper_replica::auth::{AuthConfig, AuthRegistry, Identities};

use crate::agenda::{Agenda, Event};
use crate::checkers::expiry::Expiry;
use crate::checkers::sequential::Sequential;
use crate::checkers::zab::{Facts, leadership};
use crate::client::{Client, credentials};
use crate::counts::Counts;
use crate::ctx::{Conditions, Ctx};
use crate::history::History;
use crate::model::ModelOptions;
use crate::net::{End, LinkId, Links, NEVER_US, Segment};
use crate::peers::{Dial, News, PeerNet};
use crate::plan::{EnsemblePlan, Plan};
use crate::rng::Rng;
use crate::trace::Trace;
use crate::violation::{Check, Violation};
use machine::Machine;
use operator::Operator;
use phases::PHASE_CHECK_US;

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
/// Users of the simulation.
const USERS: usize = 3;

/// Runs a plan, keeping the last `trace_lines` lines of its trace.
pub fn run(plan: Plan, trace_lines: usize) -> Outcome {
    run_traced(plan, Trace::new(trace_lines))
}

/// Runs a plan with this trace.
pub fn run_traced(plan: Plan, trace: Trace) -> Outcome {
    let mut world = World::new(plan, trace);
    let ran = catch_unwind(AssertUnwindSafe(|| world.run()));
    let violation = match ran {
        Ok(ran) => ran.err(),
        Err(panic) => Some(Violation { checker: "panic", what: words(&*panic) }),
    };
    if let Some(violation) = &violation {
        world.ctx.note("VIOLATION", format_args!("{violation}"));
    }
    let mut counts = world.ctx.counts;
    counts.session_errors = world.ctx.history.session_errors;
    counts.refused_by_followers = world.ctx.history.refused_by_followers;
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
    machines: Vec<Machine>,
    clients: Vec<Client>,
    ops_left: u64,
    phase: Phase,
    phase_limit_us: u64,
    operator: Operator,
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
    fn new(plan: Plan, trace: Trace) -> Self {
        let mut rng = Rng::new(plan.seed);
        let options = ModelOptions {
            extended_types: plan.tree.extended_types,
            digest: plan.tree.digest_enabled,
        };
        let agenda = Agenda::new(Rng::new(rng.u64()));
        let servers = plan.ensemble.as_ref().map_or(1, EnsemblePlan::servers);
        let machine = |at| Machine::new(at, plan.has_log_dir, plan.ensemble.as_ref());
        let machines: Vec<Machine> = (0..servers).map(machine).collect();
        let users = user_ids();
        let clients = (0..plan.habits.clients).map(|at| Client::new(at, Rc::clone(&users)));
        let mut clients: Vec<Client> = clients.collect();
        let operator = Operator::new(plan.seed);
        if plan.may_members_change() {
            clients.push(Client::operator(clients.len(), Rc::clone(&users)));
        }
        let ops_left = plan.habits.ops;
        let ctx = Ctx {
            now_us: 0,
            machines: vec![
                Conditions { wall_offset_ms: 1_700_000_000_000, slow_until_us: 0 };
                servers
            ],
            rng,
            agenda,
            links: Links::default(),
            next_link: 1,
            history: {
                let mut history = History::new(options, plan.ensemble.is_some());
                let ensemble = plan.ensemble.as_ref();
                history.has_observer_masters =
                    ensemble.is_some_and(|plan| plan.observer_master_port != 0);
                history
            },
            expiry: Expiry::default(),
            sequential: Sequential::default(),
            counts: Counts::default(),
            trace,
            is_healing: false,
            healing_since_us: 0,
            peers: PeerNet::default(),
            facts: Facts::default(),
            plan,
        };
        let mut world = Self {
            ctx,
            machines,
            clients,
            ops_left,
            phase: Phase::Faults,
            phase_limit_us: FAULTS_US,
            operator,
        };
        let groups = world.ctx.plan.ensemble.as_ref().map_or("", |plan| &plan.groups);
        world.ctx.counts.grouped = u64::from(!groups.is_empty());
        world.tell_first_members();
        world
    }

    fn run(&mut self) -> Check {
        for at in 0..self.machines.len() {
            let us = if at == 0 { 0 } else { self.ctx.rng.between(0, 500_000) };
            self.plan_boot(at, us);
        }
        for at in 0..self.clients.len() {
            let us = self.ctx.rng.between(0, 100_000);
            self.clients[at].wake(&mut self.ctx, us);
        }
        self.plan_fault();
        self.plan_operator();
        self.ctx.agenda.push(PHASE_CHECK_US, Event::Phase);
        while self.phase != Phase::Over {
            let Some((at_us, event)) = self.ctx.agenda.pop() else { break };
            self.ctx.now_us = at_us;
            self.happen(event)?;
            self.look_at_disks(event.disks(self.machines.len()));
        }
        self.last_restart()
    }

    fn happen(&mut self, event: Event) -> Check {
        let ctx = &mut self.ctx;
        match event {
            Event::Turn { server, boot } => {
                if let Some(process) = self.machines[server].process_of(boot) {
                    process.turn(ctx)?;
                    self.end_failed_process(server);
                    return self.check_leadership();
                }
            }
            Event::Log { server, boot } => {
                if let Some(process) = self.machines[server].process_of(boot) {
                    if process.log.end() {
                        let us = ctx.rng.between(1, 200);
                        process.wake(ctx, ctx.now_us + us);
                    }
                    process.run_log(ctx);
                }
            }
            Event::Snapshot { server, boot } => {
                if let Some(process) = self.machines[server].process_of(boot) {
                    if process.snapshots.end() {
                        process.wake(ctx, ctx.now_us + 10);
                    }
                    process.run_snapshots(ctx);
                }
            }
            Event::Read { server, boot } => {
                if let Some(process) = self.machines[server].process_of(boot) {
                    process.read_history(ctx);
                }
            }
            Event::Up { link } => self.up(link),
            Event::Down { link } => return self.down(link),
            Event::Peer { conn } => self.peer(conn),
            Event::Dial { dial } => self.dialled(dial),
            Event::Client { client, turn } => {
                return self.clients[client].step(ctx, turn, &mut self.ops_left);
            }
            Event::Fault => {
                if self.phase == Phase::Faults {
                    self.strike();
                    self.plan_fault();
                }
            }
            Event::Operate => return self.operate(),
            Event::Boot { server } => return self.boot(server),
            Event::Room { server } => {
                let machine = &mut self.machines[server];
                machine.is_disk_full = false;
                machine.disk.set_space(None);
            }
            Event::Phase => return self.look_at_phase(),
        }
        Ok(())
    }

    /// Leadership1.
    fn check_leadership(&self) -> Check {
        if !self.ctx.is_ensemble() {
            return Ok(());
        }
        let mut leading = Vec::new();
        for machine in &self.machines {
            let ensemble = machine.process.as_ref().and_then(|process| process.service.ensemble());
            let epoch = ensemble.and_then(|ensemble| ensemble.member.peer().leading_epoch());
            if let Some(epoch) = epoch {
                leading.push((machine.server, epoch));
            }
        }
        leadership::at_any_time(&leading)
    }

    /// Something reached a server's machine from another server.
    fn peer(&mut self, conn: u64) {
        let ctx = &mut self.ctx;
        let Some((server, at_us)) = ctx.peers.due(conn) else { return };
        if ctx.now_us < at_us {
            return ctx.agenda.push(at_us, Event::Peer { conn });
        }
        if let Some(process) = &mut self.machines[server].process {
            let us = ctx.rng.between(0, 100);
            process.wake(ctx, ctx.now_us + us);
        }
    }

    /// A dial among servers has its outcome.
    fn dialled(&mut self, name: u64) {
        let ctx = &mut self.ctx;
        let Some(dial) = ctx.peers.take_dial(name) else { return };
        let Dial { from, boot, sid, port, numbers, is_overdue } = dial;
        if self.machines[from].process_of(boot).is_none() {
            return;
        }
        let to = usize::try_from(sid.0 - 1).unwrap_or(usize::MAX);
        if !is_overdue && ctx.peers.is_blocked(ctx.now_us, from, to) {
            ctx.peers.put_dial(name, Dial { is_overdue: true, ..dial });
            let us = ctx.rng.between(300_000, 5_000_000);
            return ctx.agenda.push(ctx.now_us + us, Event::Dial { dial: name });
        }
        let other = self.machines.get_mut(to).and_then(|machine| machine.process.as_mut());
        let other = other.filter(|other| other.accepts(port, &numbers));
        let now_us = ctx.now_us;
        match other.filter(|_| !is_overdue) {
            Some(other) => {
                let (own, theirs) = ctx.peers.open(now_us, from, to, port);
                ctx.peers.tell(to, News::Accepted { port, conn: theirs });
                ctx.peers.tell(from, News::Connected { port, sid, conn: own });
                other.wake(ctx, now_us + 1);
            }
            None => ctx.peers.tell(from, News::Refused { port, sid }),
        }
        if let Some(process) = self.machines[from].process_of(boot) {
            process.wake(ctx, now_us + 1);
        }
    }

    /// Something reached the server's machine.
    fn up(&mut self, id: LinkId) {
        let ctx = &mut self.ctx;
        let Some(server) = ctx.links.get(id).map(|link| link.server) else { return };
        match &mut self.machines[server].process {
            Some(process) => {
                let us = ctx.rng.between(0, 100);
                process.wake(ctx, ctx.now_us + us);
            }
            None => {
                // Nobody listens.
                let delay = ctx.latency_us();
                let now_us = ctx.now_us;
                let mut is_wanted = false;
                while let Some(segment) = ctx.links.receive_up(id, now_us) {
                    is_wanted |= segment == Segment::Open;
                }
                if is_wanted && let Some(link) = ctx.links.get_mut(id) {
                    let at = link.down.send(now_us, delay, Segment::Closed);
                    ctx.agenda.push(at, Event::Down { link: id });
                }
            }
        }
    }

    /// Something reached a client.
    fn down(&mut self, id: LinkId) -> Check {
        let ctx = &mut self.ctx;
        let Some(link) = ctx.links.get_mut(id) else { return Ok(()) };
        let (end, server) = (link.end, link.server);
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
                if let Some(process) = &mut self.machines[server].process
                    && process.conns.of_link(id).is_some_and(|conn| !conn.out.is_empty())
                {
                    process.wake(ctx, ctx.now_us + 5);
                }
            }
            (End::Client(at), Segment::Closed) => {
                self.clients[at].on_closed(ctx, id)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Links nobody holds any more.
    fn forget_links(&mut self) {
        let held: Vec<Option<LinkId>> = self.clients.iter().map(Client::link).collect();
        let machines = &mut self.machines;
        self.ctx.links.retain(|id, link| {
            let process = &mut machines[link.server].process;
            held.contains(&Some(id))
                || process.as_mut().is_some_and(|p| p.conns.of_link(id).is_some())
        });
    }
}
