//! What a seed decides before its run begins: settings of the server, the clients' habits, and which
//! faults strike how often. Swarm testing: every seed leaves most things out, so that what is left
//! happens often and in unusual company.

use rookeeper_replica::durable::Recovery;
use rookeeper_replica::prep::PrepConfig;
use rookeeper_replica::{LocalSessions, ReplicaConfig};
use rookeeper_storage::{Compression, RecoverOptions, TxnLogOptions};
use rookeeper_tree::TreeOptions;

use crate::rng::Rng;

/// Kinds of faults, the order of [`Plan::fault_weights`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The machine loses power between two steps.
    PowerLoss,
    /// The machine loses power within one of the next disk operations.
    TornStop,
    /// The process is killed; what it wrote stays in the machine's memory.
    Kill,
    /// The server is told to stop.
    Stop,
    /// One of the next disk operations fails.
    DiskError,
    /// The disk is full for a while.
    DiskFull,
    /// Forces take long for a while.
    SlowDisk,
    /// The process stands still.
    Stall,
    /// A connection is reset.
    Cut,
    /// A connection goes dead in one or both directions without anybody being told.
    BlackHole,
    /// Many connections at once, most of them useless.
    Storm,
    /// The wall clock jumps.
    ClockJump,
    /// A client falls silent.
    Freeze,
    /// Nothing gets from one server to another, or neither way.
    Block,
    /// A server, often the leader, is cut off from all others.
    Isolate,
    /// A stream among servers is cut; now and then only one end hears of it.
    PeerCut,
    /// A stream among servers goes dead without anybody being told.
    PeerStall,
    /// All machines lose power.
    Blackout,
    /// A machine loses its disk, where the protocol allows it.
    Wipe,
}

impl Fault {
    /// What strikes a single server and its clients.
    pub const ALONE: [Self; 13] = [
        Self::PowerLoss,
        Self::TornStop,
        Self::Kill,
        Self::Stop,
        Self::DiskError,
        Self::DiskFull,
        Self::SlowDisk,
        Self::Stall,
        Self::Cut,
        Self::BlackHole,
        Self::Storm,
        Self::ClockJump,
        Self::Freeze,
    ];

    /// What strikes an ensemble besides.
    pub const AMONG: [Self; 6] =
        [Self::Block, Self::Isolate, Self::PeerCut, Self::PeerStall, Self::Blackout, Self::Wipe];
}

/// A mistake put in on purpose, to prove that the checkers would find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlantedBug {
    /// Txns count as committed when they are handed to the log.
    ReplyBeforeDurable,
    /// Events are sent behind the replies of the same turn.
    EventAfterReply,
    /// Events of every seventh turn are forgotten.
    LostEvent,
    /// Recovery does not cut off a torn tail. Our recovery survives that (Java's does not): what
    /// follows in the next file explains it.
    TornTailKept,
    /// The log is written but never forced.
    NeverForced,
    /// Directories are never forced.
    NamesNeverForced,
}

/// Habits of the clients as a group.
#[derive(Debug, Clone)]
pub struct Habits {
    /// Number of clients.
    pub clients: usize,
    /// Operations they send in all before faults end.
    pub ops: u64,
    /// Largest number of unanswered requests of one client.
    pub window: u64,
    /// Mean pause between two requests.
    pub think_us: u64,
    /// Weights of request kinds, see `client::workload`.
    pub op_weights: Vec<u64>,
    /// Share of reads that leave a watch, in 1/1000.
    pub watch_per_mille: u64,
    /// Share of creates with a restrictive ACL, in 1/1000.
    pub acl_per_mille: u64,
    /// Whether clients read slowly.
    pub slow_readers: bool,
    /// Share of dropped connections behind which the same process comes back, with its watches, in
    /// 1/1000; behind the others it is a new one.
    pub rearm_per_mille: u64,
    /// Mean delay of a message.
    pub latency_us: u64,
    /// Share of handshakes that would take a read-only server, in 1/1000.
    pub read_only_per_mille: u64,
    /// Number of directories nodes are spread over.
    pub dirs: u64,
    /// Names per directory.
    pub names: u64,
}

/// Everything a seed decides.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Settings of the replica.
    pub replica: ReplicaConfig,
    /// Settings of preparation.
    pub prep: PrepConfig,
    /// Settings of the tree.
    pub tree: TreeOptions,
    /// Settings of the log.
    pub log: TxnLogOptions,
    /// Codec of snapshots.
    pub compression: Compression,
    /// Whether old snapshots and logs are purged after a snapshot.
    pub purge: bool,
    /// Whether logs have a directory of their own.
    pub has_log_dir: bool,
    /// The clients.
    pub habits: Habits,
    /// How likely each fault is.
    pub fault_weights: Vec<(Fault, u64)>,
    /// Mean time between two faults.
    pub fault_every_us: u64,
    /// Ordinary duration of a force.
    pub force_us: u64,
    /// A mistake to make.
    pub planted: Option<PlantedBug>,
    /// Several servers, and how they are set up.
    pub ensemble: Option<EnsemblePlan>,
    /// Faults last at least so long.
    pub faults_us_min: u64,
}

/// What a seed decides about an ensemble.
#[derive(Debug, Clone)]
pub struct EnsemblePlan {
    /// Servers that vote: the first ones.
    pub voters: usize,
    /// Servers that do not.
    pub observers: usize,
    /// `tickTime`.
    pub tick_ms: u64,
    /// `initLimit`.
    pub init_limit: u32,
    /// `syncLimit`.
    pub sync_limit: u32,
    /// `commitLogCount`.
    pub history_records: usize,
    /// The last counter of an epoch.
    pub counter_max: u32,
    /// Whether the membership may change.
    pub is_reconfig_enabled: bool,
    /// Machines that may join: the last ones.
    pub spares: usize,
    /// `observerMasterPort`; 0 = observers learn from the leader.
    pub observer_master_port: u16,
    /// Lines of groups and weights in the list that everybody begins with; empty for majorities.
    pub groups: String,
    /// Mean time between two acts of the operator.
    pub operator_every_us: u64,
    /// Mean delay of a message among servers.
    pub latency_us: u64,
}

impl EnsemblePlan {
    /// Number of machines.
    pub fn servers(&self) -> usize {
        self.voters + self.observers + self.spares
    }

    /// Servers of the list that everybody begins with.
    pub fn members(&self) -> usize {
        self.voters + self.observers
    }
}

impl Plan {
    /// The plan of a seed, with about `ops` client operations.
    pub fn new(seed: u64, ops: u64, planted: Option<PlantedBug>) -> Self {
        let mut rng = Rng::new(seed ^ 0x7365_6564_706c_616e);
        let rng = &mut rng;
        let tick_ms = rng.pick(&[100, 200, 500, 1000, 2000]);
        let extended_types = rng.chance(500);
        let digest = rng.chance(850);
        let hash_seed = rng.u64();
        let replica = ReplicaConfig {
            tick_time_ms: tick_ms,
            min_session_timeout_ms: (2 * tick_ms) as i32,
            max_session_timeout_ms: (rng.between(3, 20) * tick_ms) as i32,
            max_client_cnxns: rng.pick(&[0, 0, 3, 60]),
            max_cnxns: rng.pick(&[0, 0, 40]),
            global_outstanding_limit: rng.pick(&[4, 20, 100, 1000]),
            sessionless_timeout_ms: rng.pick(&[500, 3000, 10_000]),
            snap_count: rng.pick(&[10, 40, 150, 100_000]),
            snap_size_limit_bytes: rng.pick(&[None, None, Some(20_000)]),
            container_check_interval_ms: rng.pick(&[700, 3000, 60_000]),
            container_max_never_used_ms: rng.pick(&[0, 0, 2000]),
            extended_types,
            digest_enabled: digest,
            close_session_txn: rng.chance(800),
            pending_per_conn_max: rng.pick(&[2, 8, 64, 1024]),
            ..ReplicaConfig::default()
        };
        let prep = PrepConfig {
            extended_types,
            close_session_txn: replica.close_session_txn,
            digest,
            ..PrepConfig::default()
        };
        let tree = TreeOptions {
            extended_types,
            emulate_353_ttl: false,
            digest_enabled: digest,
            hash_seed,
        };
        let log = TxnLogOptions {
            pre_alloc_bytes: rng.pick(&[0, 4 << 10, 16 << 10, 64 << 10]),
            fill_chunk_bytes: rng.pick(&[512, 4 << 10, 16 << 10]),
            force_sync: true,
            size_limit_bytes: rng.pick(&[None, None, Some(8000)]),
        };
        Self {
            seed,
            replica,
            prep,
            tree,
            log,
            compression: rng.pick(&[Compression::None, Compression::Gzip, Compression::Snappy]),
            purge: rng.chance(300),
            has_log_dir: rng.chance(300),
            habits: Self::habits(rng, ops),
            fault_weights: Self::faults(rng),
            fault_every_us: rng.pick(&[300_000, 1_000_000, 4_000_000]),
            force_us: rng.pick(&[100, 1000, 20_000]),
            planted,
            ensemble: None,
            faults_us_min: 0,
        }
    }

    /// The plan of a seed for an ensemble.
    pub fn ensemble(seed: u64, ops: u64) -> Self {
        let mut plan = Self::new(seed, ops, None);
        let mut rng = Rng::new(seed ^ 0x656e_7365_6d62_6c65);
        let rng = &mut rng;
        let tick_ms = rng.pick(&[100, 200, 500]);
        let voters = rng.pick(&[3, 3, 3, 5, 5, 2, 4]);
        plan.replica.tick_time_ms = tick_ms;
        plan.replica.min_session_timeout_ms = (4 * tick_ms) as i32;
        plan.replica.max_session_timeout_ms = (rng.between(10, 40) * tick_ms) as i32;
        plan.replica.leader_serves = rng.chance(850);
        plan.ensemble = Some(EnsemblePlan {
            voters,
            observers: usize::from(rng.chance(300)),
            tick_ms,
            init_limit: 10,
            sync_limit: rng.pick(&[3, 5]),
            history_records: rng.pick(&[3, 20, 100, 500]),
            counter_max: rng.pick(&[u32::MAX - 1, u32::MAX - 1, 60]),
            is_reconfig_enabled: false,
            spares: 0,
            observer_master_port: 0,
            groups: String::new(),
            operator_every_us: 0,
            latency_us: rng.pick(&[200, 1000, 8000]),
        });
        plan.habits.clients = rng.between(3, 9) as usize;
        plan.habits.think_us = rng.pick(&[10_000, 40_000, 150_000]) * plan.habits.clients as u64;
        plan.habits.latency_us = rng.pick(&[50, 1000, 10_000]);
        plan.faults_us_min = 20_000_000;
        let share = rng.pick(&[300, 600, 900]);
        plan.fault_weights.extend(Fault::AMONG.iter().map(|&fault| {
            let weight = if rng.chance(share) { rng.between(2, 20) } else { 0 };
            (fault, weight)
        }));
        if plan.fault_weights.iter().all(|(_, weight)| *weight == 0) {
            plan.fault_weights.push((Fault::Kill, 1));
        }
        plan.fault_every_us = rng.pick(&[500_000, 1_500_000, 4_000_000]);
        // By dice of its own: worlds without it are what they were before there was such a key.
        plan.replica.quiet_elections = Rng::new(seed ^ 0x7175_6965_7421_2121).chance(500);
        plan.let_members_change();
        plan.group_voters();
        plan.serve_readers();
        plan.keep_sessions_local();
        plan.spare_the_leader();
        plan
    }

    /// Two in five ensembles have an operator. What is drawn here changes nothing of the others.
    fn let_members_change(&mut self) {
        let mut rng = Rng::new(self.seed ^ 0x7265_636f_6e66_6967);
        let Some(ensemble) = self.ensemble.as_mut().filter(|_| rng.chance(400)) else { return };
        ensemble.is_reconfig_enabled = true;
        ensemble.spares = rng.between(1, 3) as usize;
        ensemble.operator_every_us = rng.pick(&[500_000, 1_500_000, 3_000_000]);
        self.prep.reconfig = true;
        self.prep.standalone = false;
    }

    /// In one of six ensembles observers learn from followers, and there is at least one. What is drawn here
    /// changes nothing of the others.
    fn spare_the_leader(&mut self) {
        let mut rng = Rng::new(self.seed ^ 0x6f62_7365_7276_6572);
        if let Some(ensemble) = self.ensemble.as_mut().filter(|_| rng.chance(160)) {
            ensemble.observer_master_port = 2191;
            ensemble.observers = rng.between(1, 3) as usize;
        }
    }

    /// One in six ensembles has groups and weights. What is drawn here changes nothing of the others.
    fn group_voters(&mut self) {
        let mut rng = Rng::new(self.seed ^ 0x6772_6f75_7073);
        if let Some(ensemble) = self.ensemble.as_mut().filter(|_| rng.chance(160)) {
            let voters: Vec<i64> = (1..=ensemble.voters as i64).collect();
            ensemble.groups = groups(&mut rng, &voters);
        }
    }

    /// In one of four ensembles servers without a leader serve readers. What is drawn here changes nothing
    /// of the others.
    fn serve_readers(&mut self) {
        let mut rng = Rng::new(self.seed ^ 0x7265_6164_6f6e_6c79);
        if rng.chance(250) {
            self.replica.read_only_after_ms = Some(rng.pick(&[300, 1000, 2000]));
            self.habits.read_only_per_mille = rng.pick(&[300, 800]);
        }
    }

    /// In one of five ensembles sessions are local; in most of these, until they own something. What is
    /// drawn here changes nothing of the others.
    fn keep_sessions_local(&mut self) {
        let mut rng = Rng::new(self.seed ^ 0x6c6f_6361_6c73);
        if rng.chance(200) {
            use LocalSessions::{Lasting, Upgradable};
            self.replica.local_sessions = rng.pick(&[Upgradable, Upgradable, Lasting]);
        }
    }

    /// Whether sessions are local at first.
    pub fn has_local_sessions(&self) -> bool {
        self.replica.local_sessions != LocalSessions::Off
    }

    /// Whether there is an operator who changes the membership.
    pub fn may_members_change(&self) -> bool {
        self.ensemble.as_ref().is_some_and(|plan| plan.is_reconfig_enabled)
    }

    /// How a data directory is opened.
    pub fn recovery(&self) -> Recovery {
        let (tail_records, epochs) = match &self.ensemble {
            Some(ensemble) => (ensemble.history_records, true),
            None => (0, false),
        };
        // A member that finds its disk empty does not vote before it has been given a state.
        let storage = RecoverOptions { epochs, db_autocreate: !epochs, ..Default::default() };
        Recovery { tree: self.tree, storage, tail_records }
    }

    fn habits(rng: &mut Rng, ops: u64) -> Habits {
        let mut op_weights: Vec<u64> = (0..crate::client::workload::KINDS)
            .map(|_| if rng.chance(350) { 0 } else { rng.between(1, 20) })
            .collect();
        // Something must be there to be read, changed and lost.
        op_weights[0] = op_weights[0].max(8);
        op_weights[1] = op_weights[1].max(4);
        op_weights[2] = op_weights[2].max(4);
        Habits {
            clients: rng.between(1, 9) as usize,
            ops,
            window: rng.pick(&[1, 4, 16, 60]),
            think_us: rng.pick(&[200, 3000, 30_000, 200_000]),
            op_weights,
            watch_per_mille: rng.pick(&[0, 100, 500]),
            acl_per_mille: rng.pick(&[0, 0, 150]),
            slow_readers: rng.chance(200),
            rearm_per_mille: rng.pick(&[0, 500, 1000]),
            latency_us: rng.pick(&[50, 1000, 20_000]),
            read_only_per_mille: 0,
            dirs: rng.between(1, 4),
            names: rng.between(2, 12),
        }
    }

    fn faults(rng: &mut Rng) -> Vec<(Fault, u64)> {
        let all = Fault::ALONE.iter().copied();
        if rng.chance(50) {
            return all.map(|fault| (fault, 0)).collect();
        }
        let share = rng.pick(&[200, 500, 800]);
        let weight = |fault: Fault| {
            let weight = if rng.chance(share) { rng.between(1, 10) } else { 0 };
            (fault, if fault == Fault::TornStop { 3 * weight } else { weight })
        };
        all.map(weight).collect()
    }
}

/// Lines that put voters into groups and give them weights; a voter without weight never leads.
pub(crate) fn groups(rng: &mut Rng, voters: &[i64]) -> String {
    let count = rng.between(1, 3).min(voters.len() as u64) as usize;
    let offset = rng.index(voters.len());
    let mut lines = String::new();
    for group in 0..count {
        let of_group = |(at, _): &(usize, &i64)| (at + offset) % count == group;
        let sids: Vec<i64> = voters.iter().enumerate().filter(of_group).map(|(_, s)| *s).collect();
        let texts: Vec<String> = sids.iter().map(i64::to_string).collect();
        lines += &format!("group.{}={}\n", group + 1, texts.join(":"));
        for (at, sid) in sids.iter().enumerate() {
            let weight = if at > 0 { rng.pick(&[0, 1, 1, 2, 3]) } else { rng.between(1, 2) };
            lines += &format!("weight.{sid}={weight}\n");
        }
    }
    lines
}
