//! What all roles of one server share.

use std::sync::Arc;
use std::time::Duration;

use rookeeper_proto::{Sid, Zxid};

use crate::effects::{Effect, Effects};
use crate::ensemble::{EnsembleConfig, MemberRole};
use crate::history::History;
use crate::learner::Tries;
use crate::limits;
use crate::quorum::Joint;
use crate::quorum::oracle::Oracle;
use crate::record::TxnRecord;
use crate::store::Store;
use crate::time::Instant;

/// What does not change while a server runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This server.
    pub sid: Sid,
    /// The unit of the limits below.
    pub tick: Duration,
    /// Ticks a learner may take to connect and synchronise.
    pub init_limit: u32,
    /// Ticks of silence after which either side gives up.
    pub sync_limit: u32,
    /// `peerType=observer` for a server that the configuration does not name.
    pub is_observer: bool,
    /// Whether the membership may change at run time. Must be equal on all members.
    pub is_reconfig_enabled: bool,
    /// `multiAddress.enabled`: send the newer initial message.
    pub is_multi_address: bool,
    /// First and longest interval after which the own vote is sent again.
    pub notification_interval: (Duration, Duration),
    /// Ticks a learner may take to connect to its leader; 0 = `init_limit`.
    pub connect_limit: u32,
    /// Pause between two tries to connect to the leader.
    pub connect_pause: Duration,
    /// `observerMasterPort`: where followers serve observers, and observers look for them; 0 = they do not.
    pub observer_master_port: u16,
    /// What tells this server from others of the same configuration: any number.
    pub seed: u64,
    /// `leader.maxConcurrentSnapSyncs`: learners that are sent a snapshot at a time; observers beyond it are
    /// turned away.
    pub snap_syncs_max: usize,
    /// `leader.maxConcurrentDiffSyncs`: the same of learners brought up to date from the log.
    pub diff_syncs_max: usize,
    /// `observer.reconnectDelayMs`: an observer waits up to so long before it connects.
    pub observer_reconnect_delay: Duration,
    /// `observer.election.DelayMs`: it waits up to so long before it looks for a leader again.
    pub observer_election_delay: Duration,
    /// `quorumCnxnTimeoutMs`: how long an election connection may take for a message that it has begun.
    pub election_patience: Duration,
    /// Committed txns kept in memory to synchronise learners by DIFF.
    pub history_records: usize,
    /// Whether an election may be decided before its settle time ends (see `election`).
    pub may_decide_early: bool,
    /// Largest data field of a quorum packet.
    pub packet_data_bytes: usize,
    /// The last counter of an epoch that is used; smaller than [`limits::COUNTER_MAX`] only in tests.
    pub counter_max: u32,
    /// Known mistakes to make, for tests of the tests.
    #[cfg(feature = "planted-bugs")]
    pub bug: Option<Bug>,
}

impl Settings {
    /// Apache's defaults for server `sid`.
    pub fn new(sid: Sid) -> Self {
        Self {
            sid,
            tick: Duration::from_millis(3000),
            init_limit: 10,
            sync_limit: 5,
            is_observer: false,
            is_reconfig_enabled: false,
            is_multi_address: false,
            notification_interval: (
                limits::NOTIFICATION_INTERVAL_MIN,
                limits::NOTIFICATION_INTERVAL_MAX,
            ),
            connect_limit: 0,
            connect_pause: limits::LEADER_CONNECT_PAUSE,
            observer_master_port: 0,
            seed: 0,
            snap_syncs_max: limits::SNAP_SYNCS,
            diff_syncs_max: limits::DIFF_SYNCS,
            observer_reconnect_delay: Duration::ZERO,
            observer_election_delay: Duration::ZERO,
            election_patience: limits::ELECTION_INTRODUCTION,
            history_records: limits::HISTORY_RECORDS,
            may_decide_early: true,
            packet_data_bytes: limits::PACKET_DATA_BYTES,
            counter_max: limits::COUNTER_MAX,
            #[cfg(feature = "planted-bugs")]
            bug: planted_on_this_thread(),
        }
    }

    /// `initLimit` as a duration.
    pub fn init_time(&self) -> Duration {
        self.tick * self.init_limit
    }

    /// `connectToLearnerMasterLimit` as a duration.
    pub fn connect_time(&self) -> Duration {
        if self.connect_limit == 0 { self.init_time() } else { self.tick * self.connect_limit }
    }

    /// `syncLimit` as a duration.
    pub fn sync_time(&self) -> Duration {
        self.tick * self.sync_limit
    }
}

/// A mistake that somebody made once; the simulation must find each.
#[cfg(feature = "planted-bugs")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A follower acknowledges a proposal when it hands it to the log (ZOOKEEPER-4646).
    AckBeforeDurable,
    /// The leader commits what a single server has.
    CommitWithoutQuorum,
    /// The leader tells a learner to keep one record too many.
    TruncOffByOne,
    /// A learner writes currentEpoch before the txns it synchronised (ZOOKEEPER-4643).
    EpochBeforeTxns,
    /// The leader sends NEWLEADER before the packets that synchronise (ZOOKEEPER-3104).
    NewLeaderBeforeSync,
    /// A learner acknowledges NEWLEADER before the synchronised txns are durable (ZOOKEEPER-3911).
    NewLeaderAckBeforeDurable,
    /// A server votes with what it appended instead of what is durable (ZOOKEEPER-4882).
    VoteBeyondDurable,
    /// Votes do not tell the history, and the leader lets learners in that are ahead of it.
    AnyoneMayLead,
}

#[cfg(feature = "planted-bugs")]
thread_local! {
    static BUG: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Makes the peers of this thread that are set up from now on make a mistake, or none.
#[cfg(feature = "planted-bugs")]
pub fn plant(bug: Option<Bug>) {
    BUG.set(bug);
}

#[cfg(feature = "planted-bugs")]
fn planted_on_this_thread() -> Option<Bug> {
    BUG.get()
}

#[cfg(feature = "planted-bugs")]
macro_rules! planted {
    ($core:expr, $bug:ident) => {
        $core.settings.bug == Some($crate::core::Bug::$bug)
    };
}
#[cfg(not(feature = "planted-bugs"))]
macro_rules! planted {
    ($core:expr, $bug:ident) => {{
        let _ = &$core;
        false
    }};
}
pub(crate) use planted;

/// What follows from the configurations: computed when they change, not with every vote.
#[derive(Debug)]
pub(crate) struct Derived {
    /// The quorums that count.
    joint: Arc<Joint>,
    /// The configuration in force as text.
    pub(crate) text: String,
}

impl Derived {
    /// Of the configuration in force and the newest seen.
    pub(crate) fn new(committed: &EnsembleConfig, last_seen: &EnsembleConfig) -> Self {
        let is_pending =
            last_seen.version > committed.version && !last_seen.has_same_members(committed);
        let joint = Joint {
            committed: committed.verifier(),
            pending: is_pending.then(|| last_seen.verifier()),
        };
        Self { joint: joint.into(), text: committed.to_string() }
    }
}

/// Spreads neighbouring numbers (the finaliser of splitmix64).
pub(crate) fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// Shared by all roles of one server.
#[derive(Debug)]
pub(crate) struct Core {
    /// Fixed.
    pub(crate) settings: Settings,
    /// In force.
    pub(crate) committed: Arc<EnsembleConfig>,
    /// The newest seen; equal to `committed` unless a reconfig is pending.
    pub(crate) last_seen: Arc<EnsembleConfig>,
    /// What votes need of both.
    pub(crate) derived: Derived,
    /// The disk.
    pub(crate) store: Store,
    /// The newest part of the log.
    pub(crate) history: History,
    /// Everything through it is committed; what is not proven to be is not said to be.
    pub(crate) commit: Zxid,
    /// The oracle's word.
    pub(crate) oracle: Oracle,
    /// Whether the state was replaced or cut back since it last served.
    pub(crate) is_state_replaced: bool,
    /// Learners that this server has brought up to date from its log.
    pub(crate) synced_from_log: u64,
    /// Whom this observer has gone to.
    pub(crate) tries: Tries,
    /// Random numbers drawn.
    pub(crate) drawn: u64,
}

impl Core {
    /// This server.
    pub(crate) fn sid(&self) -> Sid {
        self.settings.sid
    }

    /// The quorums that count.
    pub(crate) fn joint(&self) -> Arc<Joint> {
        Arc::clone(&self.derived.joint)
    }

    /// Whether this server learns without a vote.
    pub(crate) fn is_observer(&self) -> bool {
        match self.committed.members.get(&self.sid()) {
            Some(member) => member.role == MemberRole::Observer,
            None => self.settings.is_observer,
        }
    }

    /// A random part of `limit`.
    pub(crate) fn part_of(&mut self, limit: Duration) -> Duration {
        self.drawn = self.drawn.wrapping_add(1);
        let micros = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        let drawn = mix(self.settings.seed.wrapping_add(mix(self.drawn)));
        Duration::from_micros(drawn.checked_rem(micros).unwrap_or(0))
    }

    /// Hands a record to the log and the window.
    pub(crate) fn append(&mut self, now: Instant, record: TxnRecord, fx: &mut Effects) {
        self.history.append(record.clone());
        self.store.append(now, record, fx);
    }

    /// Moves the commit point forward.
    pub(crate) fn commit_up_to(&mut self, zxid: Zxid, fx: &mut Effects) {
        if self.commit < zxid {
            self.commit = zxid;
            self.history.trim(zxid, self.settings.history_records);
            fx.push(Effect::CommitUpTo { zxid });
        }
    }

    /// Takes note of a configuration that is proposed.
    pub(crate) fn see_config(&mut self, config: Arc<EnsembleConfig>, fx: &mut Effects) {
        if !self.settings.is_reconfig_enabled || config.version == self.last_seen.version {
            return;
        }
        self.last_seen = config.clone();
        self.derived = Derived::new(&self.committed, &self.last_seen);
        fx.push(Effect::SaveLastSeenConfig { config });
    }

    /// Puts a configuration into force. Returns whether the members changed.
    pub(crate) fn activate_config(
        &mut self,
        config: Arc<EnsembleConfig>,
        fx: &mut Effects,
    ) -> bool {
        if !self.settings.is_reconfig_enabled || config.version <= self.committed.version {
            return false;
        }
        let is_changed = !config.has_same_members(&self.committed);
        self.committed = config.clone();
        if self.last_seen.version <= config.version {
            self.last_seen = config.clone();
        }
        self.derived = Derived::new(&self.committed, &self.last_seen);
        fx.push(Effect::ActivateConfig { config });
        is_changed
    }
}
