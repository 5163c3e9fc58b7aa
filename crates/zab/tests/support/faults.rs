//! What goes wrong, and a whole run: faults first, then peace, in which everything must recover.

use super::invariants::agreement;
use super::{Event, MS, Plan, Stats, World};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub stats: Stats,
    pub trace: u64,
}

/// Virtual time with faults.
pub const TROUBLE: u64 = 12_000 * MS;
/// Virtual time in which everything must recover and then work.
pub const PEACE: u64 = 12_000 * MS;

impl World {
    pub fn fault(&mut self) {
        if TROUBLE <= self.now {
            return;
        }
        let delay = self.rng.range(10 * MS, 900 * MS);
        self.after_us(delay, Event::Fault);
        let n = self.nodes.len() as u64;
        let i = self.rng.below(n) as usize;
        // Which kinds happen at all depends on the seed; some seeds have all of them.
        let kinds = [0, 0, 1, 2, 3, 4, 5, 5, 6];
        let mask = self.plan.seed.wrapping_mul(0x9e37_79b9) >> 7;
        let kind = *self.rng.pick(&kinds).unwrap_or(&0);
        if mask & (1 << kind) == 0 && !self.plan.seed.is_multiple_of(3) {
            return;
        }
        match kind {
            0 => self.crash_for_a_while(i),
            1 => {
                let j = self.rng.below(n) as usize;
                self.block(i, j);
                if self.rng.one_in(2) {
                    self.block(j, i);
                }
            }
            2 => {
                // One server alone, often the leader: its last proposals will have to go.
                let leader = self.serving().into_keys().next().map(|(sid, _)| sid as usize - 1);
                let i = leader.filter(|_| self.rng.one_in(2)).unwrap_or(i);
                for j in 0..self.nodes.len() {
                    self.block(i, j);
                    self.block(j, i);
                }
            }
            3 => {
                let conns: Vec<_> = self.net.of(i);
                if let Some(conn) = self.rng.pick(&conns).copied() {
                    self.cut(conn);
                }
            }
            4 => {
                self.stats.stalls += 1;
                self.nodes[i].is_disk_slow = !self.nodes[i].is_disk_slow;
            }
            5 => self.snapshot(i),
            _ => {
                // The whole ensemble loses power.
                if self.rng.one_in(3) {
                    (0..self.nodes.len()).for_each(|j| self.crash_for_a_while(j));
                }
            }
        }
    }

    fn crash_for_a_while(&mut self, i: usize) {
        self.crash(i);
        // A disk is lost now and then; who knows that it lost something may come back at any time, but
        // where too few others are left to be a quorum, all rightly stay silent for ever.
        let is_only =
            2 < self.plan.voters && self.nodes.iter().all(|node| !node.disk.is_quarantined);
        if is_only && self.nodes[i].disk.accepted != 0 && self.rng.one_in(8) {
            self.say(|| format!("{i} loses its disk"));
            self.stats.wipes += 1;
            self.nodes[i].disk.wipe();
        }
        let delay = self.rng.range(MS, 1500 * MS);
        self.after_us(delay, Event::Restart { node: i });
    }

    fn block(&mut self, from: usize, to: usize) {
        if from == to || !self.net.blocked.insert((from, to)) {
            return;
        }
        self.stats.blocks += 1;
        self.say(|| format!("{from} -> {to} blocked"));
        let delay = self.rng.range(50 * MS, 2500 * MS);
        self.after_us(delay, Event::Unblock { from, to });
    }

    fn cut(&mut self, conn: rookeeper_zab::Conn) {
        self.stats.cuts += 1;
        let Some(end) = self.net.ends.get(&conn) else { return };
        let other = end.other;
        self.transmit(conn, super::net::Parcel::Close);
        if !self.rng.one_in(3) {
            self.transmit(other, super::net::Parcel::Close);
        }
    }

    fn snapshot(&mut self, i: usize) {
        let node = &mut self.nodes[i];
        let state = super::disk::State { zxid: node.app.zxid, entries: node.app.entries.clone() };
        let commit = node.peer.as_ref().map(rookeeper_zab::Peer::committed_zxid);
        if commit.is_some_and(|commit| state.zxid <= commit) {
            node.disk.take_snapshot(&state);
        }
    }

    /// Everything works again.
    pub fn heal(&mut self) {
        self.say(|| "peace".to_owned());
        for (from, to) in self.net.blocked.clone() {
            self.at(self.now, Event::Unblock { from, to });
        }
        for i in 0..self.nodes.len() {
            self.nodes[i].is_disk_slow = false;
            self.at(self.now, Event::Restart { node: i });
        }
    }
}

/// The ensemble of a seed.
pub fn plan(seed: u64) -> Plan {
    let voters = [3, 3, 5, 3, 4, 3, 5, 2][(seed % 8) as usize];
    let observers = usize::from(seed.is_multiple_of(5));
    let mut plan = Plan::new(seed, voters, observers);
    if seed.is_multiple_of(7) {
        plan.counter_max = 40;
    }
    if seed.is_multiple_of(11) && voters == 5 {
        plan.extra = "group.1=1:2:3\ngroup.2=4\ngroup.3=5\nweight.2=2\n".to_owned();
    }
    plan
}

/// One run: start, trouble, peace; then everybody must have the same, and more than before.
pub fn run(plan: Plan) -> Result<Outcome, String> {
    let mut world = World::new(plan);
    for i in 0..world.nodes.len() {
        let delay = world.rng.range(0, 300 * MS);
        world.at(delay, Event::Restart { node: i });
    }
    world.at(MS, Event::Workload);
    world.at(500 * MS, Event::Fault);
    world.run_until(TROUBLE)?;
    world.heal();
    world.run_until(TROUBLE + PEACE / 2)?;
    let before = world.facts.truth.len();
    world.run_until(TROUBLE + PEACE - 1000 * MS)?;
    world.is_working = false;
    world.run_until(TROUBLE + PEACE)?;
    let serving = world.serving();
    let fail = |text: String| Err(format!("seed {}: {text}", world.plan.seed));
    if world.facts.truth.len() <= before {
        return fail(format!("liveness: nothing was committed in peace: {serving:?}"));
    }
    if serving.len() != 1 || serving.values().any(|list| list.len() != world.nodes.len()) {
        return fail(format!("liveness: not all serve under one leader: {serving:?}"));
    }
    let lists: Vec<_> = (0..world.nodes.len()).map(|i| world.delivered(i)).collect();
    for (i, list) in lists.iter().enumerate() {
        if list.len() != world.facts.truth.len() {
            return fail(format!("liveness: {i} delivered {} txns", list.len()));
        }
        for other in &lists {
            agreement::between(list, other)?;
        }
    }
    Ok(Outcome { stats: world.stats.clone(), trace: world.trace_hash() })
}
