//! When to take a snapshot, and its serialisation in slices between turns.
//!
//! The tree hands out the state at one zxid while txns go on being applied, so a snapshot is exact
//! and holds up nobody for longer than a slice. Writing and forcing the file is the shell's business.
//!
//! Java: SyncRequestProcessor.shouldSnapshot (the random distance keeps the servers of an ensemble
//! from taking their snapshots at once).

use rookeeper_proto::Zxid;
use rookeeper_tree::{Slice, SnapshotId};

use crate::config::ReplicaConfig;
use crate::limits;
use crate::ordering::LogCommand;
use crate::replica::{Replica, Role};

/// A piece of work for whoever writes snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotWork {
    /// A snapshot begins.
    Begin {
        /// It holds exactly the txns up to this one.
        zxid: Zxid,
        /// The tree's digest there.
        digest: i64,
    },
    /// Bytes of its body, in order.
    Chunk(Vec<u8>),
    /// The last bytes of its body.
    End(Vec<u8>),
    /// There will be no end: nothing of it may stay.
    GiveUp {
        /// Why.
        why: String,
    },
}

impl SnapshotWork {
    /// Bytes of the body in it.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Chunk(bytes) | Self::End(bytes) => bytes.len(),
            Self::Begin { .. } | Self::GiveUp { .. } => 0,
        }
    }
}

/// Decides and serialises.
#[derive(Debug)]
pub struct Snapshotter {
    snap_count: u64,
    size_limit_bytes: Option<u64>,
    rng: u64,
    records: u64,
    bytes: u64,
    count_at: u64,
    bytes_at: u64,
    /// Bytes of the last snapshot's body, 0 before the first.
    last_body_bytes: u64,
    /// Bytes of the present one so far.
    body_bytes: u64,
    state: State,
    /// Another state is about to take the place of this one.
    is_held: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Wanted,
    Serialising(SnapshotId),
    /// Handed over whole; the file is still being written.
    Writing,
}

impl Snapshotter {
    /// Begins counting.
    pub fn new(config: &ReplicaConfig, seed: u64) -> Self {
        let mut this = Self {
            snap_count: config.snap_count.max(2),
            size_limit_bytes: config.snap_size_limit_bytes,
            rng: seed | 1,
            records: 0,
            bytes: 0,
            count_at: 0,
            bytes_at: 0,
            last_body_bytes: 0,
            body_bytes: 0,
            state: State::Idle,
            is_held: false,
        };
        this.draw();
        this
    }

    /// Draws the next distance: more than half of the limits, at most the whole.
    fn draw(&mut self) {
        let half = self.snap_count / 2;
        self.count_at = half + self.random_below(half);
        self.bytes_at = self.size_limit_bytes.map_or(u64::MAX, |limit| {
            let half = limit / 2;
            half + self.random_below(half)
        });
    }

    /// xorshift64*: seeded, so that a simulation repeats.
    fn random_below(&mut self, bound: u64) -> u64 {
        self.rng ^= self.rng >> 12;
        self.rng ^= self.rng << 25;
        self.rng ^= self.rng >> 27;
        let n = self.rng.wrapping_mul(0x2545_F491_4F6C_DD1D);
        if bound == 0 { 0 } else { n % bound }
    }

    /// Counts a record. True when the log should roll because a snapshot is due.
    ///
    /// A snapshot writes the whole tree, so one of a large tree every `snapCount` txns would cost many
    /// times what the txns themselves do. It also waits until the log has grown by half of what the
    /// last snapshot took. So snapshots write at most twice what the log does, and a start takes at most
    /// about 1.6 times as long as reading the snapshot: as many bytes of log take 1.2 times as long.
    /// (Apache does not wait; see COMPAT.md.)
    pub(crate) fn on_append(&mut self, bytes: usize) -> bool {
        self.records += 1;
        self.bytes += bytes as u64;
        let is_due = self.count_at < self.records || self.bytes_at < self.bytes;
        if !is_due || self.bytes * 2 < self.last_body_bytes {
            return false;
        }
        self.records = 0;
        self.bytes = 0;
        self.draw();
        if self.state == State::Idle {
            self.state = State::Wanted;
        }
        true
    }

    /// What was counted was never logged.
    pub(crate) fn on_log_dropped(&mut self) {
        self.records = 0;
        self.bytes = 0;
    }
}

impl Replica {
    /// Asks the log for another state than this one. A snapshot under way is of what goes: had it an end, it would
    /// get its name once the log has grown beyond it again. None begins until the other state is there
    /// ([`Replica::on_state_replaced`]).
    ///
    /// The shell gives up the end of one that it holds back, and what was begun when another begins.
    pub(crate) fn replace_state(&mut self, command: LogCommand) {
        debug_assert!(command.replaces_state());
        let snapshotter = &mut self.snapshotter;
        if let State::Serialising(id) = snapshotter.state {
            self.tree.abort_snapshot(id);
        }
        if matches!(snapshotter.state, State::Wanted | State::Serialising(_)) {
            snapshotter.state = State::Idle;
        }
        snapshotter.is_held = true;
        self.ordering.push_log(command);
    }

    /// The directory holds the other state, or could not be given it.
    pub(crate) fn on_state_replaced(&mut self) {
        self.snapshotter.is_held = false;
    }

    /// Asks for a snapshot soon, unless one is under way. A member takes it once it has joined a leader: what
    /// it has is written again if the leader's history is another, and until it joins it serves nobody.
    pub fn want_snapshot(&mut self) {
        if self.snapshotter.state == State::Idle {
            self.snapshotter.state = State::Wanted;
        }
    }

    /// Whether [`Replica::take_snapshot_work`] has something.
    pub fn has_snapshot_work(&self) -> bool {
        match self.snapshotter.state {
            _ if self.snapshotter.is_held => false,
            State::Idle | State::Writing => false,
            State::Wanted => match self.role {
                Role::Standalone => true,
                Role::Looking | Role::ReadOnly => false,
                // A leader that has written nothing stands at (epoch, 0), which is no record: whoever restarts from
                // it has nothing in common with the logs of others.
                _ => self.tree.last_zxid().counter() != 0,
            },
            State::Serialising(_) => true,
        }
    }

    /// The next piece of a snapshot, at most one slice of work. The shell calls it between turns,
    /// as long as the writer keeps up.
    pub fn take_snapshot_work(&mut self) -> Option<SnapshotWork> {
        if !self.has_snapshot_work() {
            return None;
        }
        match self.snapshotter.state {
            State::Idle | State::Writing => None,
            State::Wanted => {
                let Ok(id) = self.tree.begin_snapshot() else {
                    // Too many are being sent to learners; the next is due in its turn.
                    self.snapshotter.state = State::Idle;
                    return None;
                };
                let info = self.tree.snapshot_info(id).ok()?;
                self.snapshotter.state = State::Serialising(id);
                self.snapshotter.body_bytes = 0;
                Some(SnapshotWork::Begin { zxid: info.zxid, digest: info.digest })
            }
            State::Serialising(id) => {
                let mut chunk = Vec::with_capacity(limits::SNAPSHOT_CHUNK_BYTES);
                let slice =
                    self.tree.snapshot_slice(id, limits::SNAPSHOT_NODES_PER_SLICE, &mut chunk);
                self.snapshotter.body_bytes += chunk.len() as u64;
                match slice {
                    Ok(Slice::More) => Some(SnapshotWork::Chunk(chunk)),
                    Ok(Slice::Done) => {
                        self.snapshotter.last_body_bytes = self.snapshotter.body_bytes;
                        self.snapshotter.state = State::Writing;
                        Some(SnapshotWork::End(chunk))
                    }
                    Err(error) => {
                        self.snapshotter.state = State::Writing;
                        Some(SnapshotWork::GiveUp { why: error.to_string() })
                    }
                }
            }
        }
    }

    /// The snapshot's file is written, or will never be.
    pub fn on_snapshot_done(&mut self, millis: u64) {
        self.stats.snapshot_ms.add(millis);
        if let State::Serialising(id) = self.snapshotter.state {
            self.tree.abort_snapshot(id);
        }
        self.snapshotter.state = State::Idle;
    }
}

#[cfg(test)]
mod tests {
    use rookeeper_tree::{DataTree, TreeOptions};

    use super::*;
    use crate::auth::{AuthConfig, AuthRegistry};
    use crate::clock::Now;
    use crate::prep::PrepConfig;
    use crate::replica::Parts;

    fn snapshotter(snap_count: u64) -> Snapshotter {
        Snapshotter::new(&ReplicaConfig { snap_count, ..ReplicaConfig::default() }, 7)
    }

    #[test]
    fn a_snapshot_is_due_between_half_of_snap_count_and_all_of_it() {
        let mut s = snapshotter(100);
        for _ in 0..20 {
            let distance = (1..).find(|_| s.on_append(1)).unwrap();
            assert!((51..=100).contains(&distance), "{distance}");
            s.state = State::Idle;
        }
    }

    #[test]
    fn snapshots_of_a_large_tree_wait_for_the_log() {
        let mut s = snapshotter(100);
        s.last_body_bytes = 20_000;
        let distance = (1..).find(|_| s.on_append(10)).unwrap();
        assert_eq!(distance, 1000, "half of the last snapshot, ten bytes at a time");
    }

    fn replica(role: Role) -> Replica {
        let options = TreeOptions {
            extended_types: false,
            emulate_353_ttl: false,
            digest_enabled: false,
            hash_seed: 1,
        };
        let mut tree = DataTree::new(options);
        tree.set_last_zxid(Zxid::new(1, 5));
        let parts = Parts {
            tree,
            auth: AuthRegistry::new(AuthConfig::default()).unwrap(),
            prep: PrepConfig { digest: false, ..PrepConfig::default() },
            role,
            seed: 1,
        };
        Replica::new(Now { mono_us: 1, wall_ms: 1 }, ReplicaConfig::default(), parts)
    }

    /// What was begun, or waited for its turn, had its end given to the log's next records (simulator, 44528).
    #[test]
    fn none_is_taken_of_a_state_that_is_being_replaced() {
        for is_begun in [false, true] {
            let mut replica = replica(Role::Following);
            replica.want_snapshot();
            if is_begun {
                let begun = replica.take_snapshot_work();
                assert!(matches!(begun, Some(SnapshotWork::Begin { .. })));
            }
            replica.replace_state(LogCommand::Truncate { to: Zxid::new(1, 2), reload: true });
            replica.want_snapshot();
            assert_eq!(replica.take_snapshot_work(), None);
            replica.on_state_replaced();
            let begun = replica.take_snapshot_work();
            assert!(matches!(begun, Some(SnapshotWork::Begin { .. })), "{begun:?}");
        }
    }

    #[test]
    fn a_member_takes_none_before_it_has_joined() {
        for (role, is_due) in [
            (Role::Standalone, true),
            (Role::Looking, false),
            (Role::ReadOnly, false),
            (Role::Leading, true),
            (Role::Following, true),
            (Role::Observing, true),
        ] {
            let mut replica = replica(role);
            replica.want_snapshot();
            assert_eq!(replica.has_snapshot_work(), is_due, "{role:?}");
        }
    }

    #[test]
    fn one_at_a_time() {
        let mut s = snapshotter(2);
        while !s.on_append(1) {}
        assert_eq!(s.state, State::Wanted);
        s.state = State::Writing;
        while !s.on_append(1) {}
        assert_eq!(s.state, State::Writing);
    }
}
