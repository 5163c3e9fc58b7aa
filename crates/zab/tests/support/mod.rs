//! A whole ensemble in one thread: virtual time, a seeded network, disks that forget, servers that
//! crash; every step checked against the invariants.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "shared by several test binaries")]

pub mod bench;
pub mod disk;
pub mod drive;
pub mod faults;
pub mod invariants;
pub mod net;
pub mod rng;

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rookeeper_proto::txn::{Record, Txn, TxnHeader};
use rookeeper_proto::{SessionId, Sid, Zxid};
use rookeeper_zab::{
    Address, Conn, Effects, EnsembleConfig, Instant, Peer, Settings, Start, TxnRecord,
};

use disk::{Disk, State};
use invariants::{Facts, commit_order, epochs_on_disk, leadership};
use net::{Net, Parcel};
use rng::Rng;

pub const MS: u64 = 1000;

/// How one run is set up.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub voters: usize,
    pub observers: usize,
    pub tick_ms: u64,
    /// Extra lines of the configuration: groups and weights.
    pub extra: String,
    pub counter_max: u32,
    pub is_reconfig_enabled: bool,
    /// Observers learn from followers.
    pub has_observer_masters: bool,
    #[cfg(feature = "planted-bugs")]
    pub bug: Option<rookeeper_zab::Bug>,
}

impl Plan {
    pub fn new(seed: u64, voters: usize, observers: usize) -> Self {
        Self {
            seed,
            voters,
            observers,
            tick_ms: 200,
            extra: String::new(),
            counter_max: u32::MAX - 1,
            is_reconfig_enabled: false,
            has_observer_masters: false,
            #[cfg(feature = "planted-bugs")]
            bug: None,
        }
    }
}

#[derive(Debug, Clone)]
pub enum Event {
    Wake { node: usize, life: u32 },
    Deliver { conn: Conn, parcel: Parcel },
    Drained { conn: Conn },
    Dialed { node: usize, life: u32, sid: Sid, is_election: bool, is_ok: bool },
    DiskDone { node: usize, life: u32 },
    SnapshotSent { node: usize, life: u32, conn: Conn },
    Workload,
    Fault,
    Restart { node: usize },
    Unblock { from: usize, to: usize },
    Script(u32),
}

/// One server.
#[derive(Debug)]
pub struct Node {
    pub sid: Sid,
    pub peer: Option<Peer>,
    pub life: u32,
    pub disk: Disk,
    pub epochs: (u32, u32),
    /// Configurations on its disk: in force, and last seen.
    pub configs: (Arc<EnsembleConfig>, Arc<EnsembleConfig>),
    /// What is applied, and what waits for it.
    pub app: State,
    pub pending: VecDeque<TxnRecord>,
    /// How many entries of `app` the checkers have looked at.
    pub checked: usize,
    /// The bytes of a snapshot that is being received.
    pub incoming: Option<Vec<u8>>,
    pub received: Option<State>,
    pub captured: BTreeMap<Conn, State>,
    pub wake_at: Option<u64>,
    pub is_disk_slow: bool,
    pub is_serving: bool,
}

/// How often things happened.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Stats {
    pub established: u64,
    pub diffs: u64,
    pub truncs: u64,
    pub snaps: u64,
    pub history_reads: u64,
    pub commits: u64,
    pub crashes: u64,
    pub torn: u64,
    pub blocks: u64,
    pub cuts: u64,
    pub stalls: u64,
    pub quarantines: u64,
    pub wipes: u64,
    pub forwarded: u64,
    /// Observers that began to serve under a follower.
    pub hosted: u64,
}

pub struct World {
    pub now: u64,
    pub plan: Plan,
    pub rng: Rng,
    pub nodes: Vec<Node>,
    pub net: Net,
    pub facts: Facts,
    pub stats: Stats,
    pub streams: BTreeMap<Conn, commit_order::Stream>,
    pub acked_leader: BTreeSet<Conn>,
    pub config: Arc<EnsembleConfig>,
    pub is_verbose: bool,
    pub trace: DefaultHasher,
    pub violation: Option<String>,
    pub is_working: bool,
    heap: BinaryHeap<std::cmp::Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Event>,
    order: u64,
    payload: u64,
}

impl World {
    pub fn new(plan: Plan) -> Self {
        let mut text = String::new();
        for i in 1..=plan.voters + plan.observers {
            let role = if i <= plan.voters { "participant" } else { "observer" };
            text += &format!("server.{i}=h{i}:2888:3888:{role};h{i}:2181\n");
        }
        text += &plan.extra;
        text += "version=0";
        let config = Arc::new(EnsembleConfig::parse(&text).expect("valid"));
        let nodes = (1..=plan.voters + plan.observers).map(|i| Node {
            sid: Sid(i as i64),
            peer: None,
            life: 0,
            disk: Disk::default(),
            epochs: (0, 0),
            configs: (config.clone(), config.clone()),
            app: State::default(),
            pending: VecDeque::new(),
            checked: 0,
            incoming: None,
            received: None,
            captured: BTreeMap::new(),
            wake_at: None,
            is_disk_slow: false,
            is_serving: false,
        });
        Self {
            now: 0,
            rng: Rng::new(plan.seed),
            nodes: nodes.collect(),
            net: Net::default(),
            facts: Facts::default(),
            stats: Stats::default(),
            streams: BTreeMap::new(),
            acked_leader: BTreeSet::new(),
            config,
            is_verbose: std::env::var("ZAB_SIM_TRACE").is_ok(),
            trace: DefaultHasher::new(),
            violation: None,
            is_working: true,
            heap: BinaryHeap::new(),
            events: BTreeMap::new(),
            order: 0,
            payload: 0,
            plan,
        }
    }

    pub fn say(&self, text: impl FnOnce() -> String) {
        if self.is_verbose {
            println!("{:>10.3} {}", self.now as f64 / 1000.0, text());
        }
    }

    pub fn at(&mut self, time: u64, event: Event) {
        self.order += 1;
        self.heap.push(std::cmp::Reverse((time.max(self.now), self.order)));
        self.events.insert(self.order, event);
    }

    pub fn after_us(&mut self, delay: u64, event: Event) {
        self.at(self.now + delay, event);
    }

    /// Runs until `until` (microseconds) or a violation.
    pub fn run_until(&mut self, until: u64) -> Result<(), String> {
        while let Some(std::cmp::Reverse((time, order))) = self.heap.peek().copied() {
            if until < time {
                break;
            }
            self.heap.pop();
            self.now = time;
            let Some(event) = self.events.remove(&order) else { continue };
            (time, order).hash(&mut self.trace);
            self.handle(event);
            self.check_always();
            if let Some(violation) = self.violation.take() {
                return Err(format!("seed {} at {} us: {violation}", self.plan.seed, self.now));
            }
        }
        self.now = self.now.max(until);
        Ok(())
    }

    pub fn verdict(&mut self, verdict: invariants::Verdict) {
        if let Err(text) = verdict
            && self.violation.is_none()
        {
            self.violation = Some(text);
        }
    }

    fn check_always(&mut self) {
        let mut leading = Vec::new();
        for i in 0..self.nodes.len() {
            let node = &self.nodes[i];
            let epoch = node.peer.as_ref().and_then(Peer::leading_epoch);
            leading.extend(epoch.map(|epoch| (i, epoch)));
            let epochs = (node.disk.accepted, node.disk.current);
            if epochs != node.epochs || node.disk.is_busy() {
                let verdict = epochs_on_disk::at_any_time(i, node.epochs, &node.disk);
                self.nodes[i].epochs = epochs;
                self.verdict(verdict);
            }
        }
        self.verdict(leadership::at_any_time(&leading));
    }

    fn settings(&self, node: usize) -> Settings {
        let sid = self.nodes[node].sid;
        #[allow(unused_mut, reason = "mutated with planted bugs")]
        let mut settings = Settings {
            tick: Duration::from_millis(self.plan.tick_ms),
            init_limit: 10,
            sync_limit: 5,
            is_observer: self.plan.voters < sid.0 as usize,
            counter_max: self.plan.counter_max,
            is_reconfig_enabled: self.plan.is_reconfig_enabled,
            observer_master_port: if self.plan.has_observer_masters { 2191 } else { 0 },
            seed: self.plan.seed ^ sid.0 as u64,
            ..Settings::new(sid)
        };
        #[cfg(feature = "planted-bugs")]
        {
            settings.bug = self.plan.bug;
        }
        settings
    }

    pub fn start(&mut self, i: usize) {
        let settings = self.settings(i);
        let keep = self.rng.below(20) as usize;
        let node = &mut self.nodes[i];
        if node.peer.is_some() {
            return;
        }
        node.life += 1;
        node.app = node.disk.snapshot.clone();
        node.checked = 0;
        node.pending = node.disk.log.clone().into();
        let skip = node.disk.log.len().saturating_sub(keep);
        let base = match skip {
            0 => node.disk.snapshot.zxid,
            n => node.disk.log[n - 1].zxid,
        };
        let is_unknown = node.disk.is_quarantined;
        let start = Start {
            settings,
            election_addresses: vec![Address { host: format!("h{}", node.sid), port: 3888 }],
            committed: node.configs.0.clone(),
            last_seen: node.configs.1.clone(),
            accepted_epoch: node.disk.accepted,
            current_epoch: node.disk.current,
            last: if is_unknown { Zxid::UNKNOWN } else { node.disk.last_durable() },
            recent: node.disk.log[skip..].to_vec(),
            base,
        };
        let mut fx = Effects::new();
        match Peer::start(Instant(self.now), start, &mut fx) {
            Ok(peer) => self.nodes[i].peer = Some(peer),
            Err(error) => return self.verdict(Err(format!("I10: {i} refuses to start: {error}"))),
        }
        self.say(|| format!("{i} starts"));
        self.carry_out(i, fx);
    }

    pub fn crash(&mut self, i: usize) {
        if self.nodes[i].peer.take().is_none() {
            return;
        }
        self.stats.crashes += 1;
        self.say(|| format!("{i} crashes"));
        let node = &mut self.nodes[i];
        node.life += 1;
        let unsynced = node.disk.log.len() - node.disk.synced;
        node.disk.crash(&mut self.rng);
        self.stats.torn += u64::from(0 < unsynced);
        node.incoming = None;
        node.received = None;
        node.captured.clear();
        node.wake_at = None;
        node.is_serving = false;
        for conn in self.net.of(i) {
            let Some(end) = self.net.ends.get_mut(&conn) else { continue };
            end.is_closed = true;
            let other = end.other;
            // Sometimes the other side notices only when it sends.
            if !self.rng.one_in(4) {
                self.transmit(other, Parcel::Close);
            }
        }
    }

    /// Sends towards `to`, in order.
    pub fn transmit(&mut self, to: Conn, parcel: Parcel) {
        let mut delay = self.rng.range(100, 2000);
        if self.rng.one_in(50) {
            delay += self.rng.range(0, 30 * MS);
        }
        let Some(end) = self.net.ends.get_mut(&to) else { return };
        let time = (self.now + delay).max(end.not_before);
        end.not_before = time;
        self.at(time, Event::Deliver { conn: to, parcel });
    }

    pub fn record(&mut self, zxid: Zxid) -> TxnRecord {
        self.payload += 1;
        let mut bytes = Vec::new();
        let session = SessionId(self.payload as i64);
        TxnHeader { session, cxid: 0, zxid, time_ms: 0, op: -1 }.write(&mut bytes);
        bytes.extend_from_slice(&[0; 4]);
        TxnRecord { zxid, bytes: Bytes::from(bytes) }
    }

    /// A txn that makes `text` (without a version) the configuration.
    pub fn reconfig(&self, zxid: Zxid, text: &str) -> TxnRecord {
        let text = format!("{text}version={:x}", zxid.0);
        let txn = Txn::SetData {
            path: "/zookeeper/config".into(),
            data: Some(text.as_bytes()),
            version: -1,
            is_reconfig: true,
        };
        let header = TxnHeader { session: SessionId(1), cxid: 0, zxid, time_ms: 0, op: 16 };
        let mut bytes = Vec::new();
        Record { header, txn, digest: None }.write(&mut bytes);
        TxnRecord { zxid, bytes: Bytes::from(bytes) }
    }

    pub fn index(&self, sid: Sid) -> usize {
        sid.0 as usize - 1
    }

    pub fn trace_hash(&self) -> u64 {
        self.trace.finish()
    }

    /// The leader that serves, and who serves under it.
    pub fn serving(&self) -> BTreeMap<(i64, u32), Vec<usize>> {
        let mut out: BTreeMap<(i64, u32), Vec<usize>> = BTreeMap::new();
        for (i, node) in self.nodes.iter().enumerate() {
            if let Some((leader, epoch)) = node.peer.as_ref().and_then(Peer::serving_under) {
                out.entry((leader.0, epoch)).or_default().push(i);
            }
        }
        out
    }
}

impl Stats {
    pub fn add(&mut self, other: &Self) {
        self.established += other.established;
        self.diffs += other.diffs;
        self.truncs += other.truncs;
        self.snaps += other.snaps;
        self.history_reads += other.history_reads;
        self.commits += other.commits;
        self.crashes += other.crashes;
        self.torn += other.torn;
        self.blocks += other.blocks;
        self.cuts += other.cuts;
        self.stalls += other.stalls;
        self.quarantines += other.quarantines;
        self.wipes += other.wipes;
        self.forwarded += other.forwarded;
        self.hosted += other.hosted;
    }
}
