//! A leader, from winning an election to losing its quorum.
//!
//! ```text
//! Discovering -> AcceptingEpoch -> AwaitEpochAcks -> WritingEpoch -> Synchronizing -> Broadcasting
//! ```
//!
//! Guarantees: per learner, one ordered stream of packets; NEWLEADER stands behind everything that
//! synchronises; UPTODATE only once a quorum holds the leader's history; a proposal is committed only
//! with a quorum of durable acknowledgements, the own one counted like any other; zxids of an epoch
//! have no holes. When in doubt it steps down with a reason.
//!
//! One learner's trouble never is the others': whatever a learner sends wrong closes its connection.

mod broadcast;
mod discovery;
mod figures;
mod handle;
mod learners;
mod liveness;
mod reconfig;
mod sessions;
mod synchronization;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use rookeeper_proto::quorum::PacketType;
use rookeeper_proto::{Sid, Zxid};

use crate::core::Core;
use crate::effects::{Conn, Effects};
use crate::ensemble::EnsembleConfig;
use crate::leave::Step;
use crate::quorum::Joint;
use crate::record::TxnRecord;
use crate::time::Instant;

pub use broadcast::ProposeError;
pub use figures::LearnerFigures;
pub(crate) use handle::Stage;
pub(crate) use learners::{Introduction, Learners};
pub(crate) use reconfig::inform_and_activate;
pub use synchronization::HistoryAnswer;
pub(crate) use synchronization::{Terms, proposal};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Collecting FOLLOWERINFOs.
    Discovering,
    /// `acceptedEpoch` is being written.
    AcceptingEpoch,
    /// Collecting ACKEPOCHs.
    AwaitEpochAcks,
    /// `currentEpoch` is being written.
    WritingEpoch,
    /// Collecting ACKs of NEWLEADER.
    Synchronizing,
    /// Established.
    Broadcasting,
}

/// A proposal without its quorum.
#[derive(Debug)]
struct Outstanding {
    record: TxnRecord,
    /// The members that it proposes. Nothing is proposed behind it then.
    config: Option<Arc<EnsembleConfig>>,
    /// The quorums that counted when it was proposed.
    joint: Arc<Joint>,
    acks: BTreeSet<Sid>,
}

/// Why a learner's connection is closed.
pub(crate) type Drop = String;

/// A packet of a learner, owned.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) kind: PacketType,
    pub(crate) zxid: Zxid,
    pub(crate) data: Option<Bytes>,
    pub(crate) auth: Vec<rookeeper_proto::Id>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Leader {
    phase: Phase,
    epoch: u32,
    /// The largest accepted epoch heard of.
    max_accepted: i64,
    /// Own (currentEpoch, last zxid) when the election was won.
    summary: (i64, Zxid),
    joint: Arc<Joint>,
    learners: Learners,
    connected: BTreeSet<Sid>,
    /// Voters that began a later election before this leader had its quorum.
    deserters: BTreeSet<Sid>,
    epoch_acks: BTreeSet<Sid>,
    leader_acks: BTreeSet<Sid>,
    /// Last proposed zxid; (epoch, 0) before the first.
    proposed: Zxid,
    outstanding: VecDeque<Outstanding>,
    /// Everything through it is acknowledged by the own log.
    own_acked: Zxid,
    /// Syncs that wait for a commit.
    syncs: VecDeque<(Zxid, Conn)>,
    /// End of the present phase's patience; none while broadcasting.
    deadline: Option<Instant>,
    next_ping: Instant,
    is_full_tick: bool,
}

impl Leader {
    /// Starts to lead: discovery first.
    pub(crate) fn start(now: Instant, core: &mut Core, fx: &mut Effects) -> Self {
        let own = core.store.accepted_epoch();
        let mut leader = Self {
            phase: Phase::Discovering,
            epoch: 0,
            max_accepted: i64::from(own),
            summary: (i64::from(core.store.current_epoch()), core.store.durable()),
            joint: core.joint(),
            learners: Learners::default(),
            connected: BTreeSet::from([core.sid()]),
            deserters: BTreeSet::new(),
            epoch_acks: BTreeSet::new(),
            leader_acks: BTreeSet::new(),
            proposed: Zxid::ZERO,
            outstanding: VecDeque::new(),
            own_acked: Zxid::ZERO,
            syncs: VecDeque::new(),
            deadline: Some(now + core.settings.init_time()),
            next_ping: now + core.settings.tick / 2,
            is_full_tick: false,
        };
        leader.check_connected(core, fx);
        leader
    }

    /// The epoch, once established.
    pub(crate) fn serving_epoch(&self) -> Option<u32> {
        (self.phase == Phase::Broadcasting).then_some(self.epoch)
    }

    /// The epoch, once a quorum has accepted it.
    pub(crate) fn epoch(&self) -> Option<u32> {
        (Phase::Synchronizing <= self.phase).then_some(self.epoch)
    }

    pub(crate) fn owns(&self, conn: Conn) -> bool {
        self.learners.contains_key(&conn)
    }

    /// Its learners, and what they are brought to.
    pub(crate) fn learners(&mut self, core: &Core) -> (&mut Learners, Terms) {
        let terms = self.terms(core);
        (&mut self.learners, terms)
    }

    /// Bytes from a learner.
    pub(crate) fn on_bytes(
        &mut self,
        now: Instant,
        core: &mut Core,
        conn: Conn,
        bytes: &[u8],
        fx: &mut Effects,
    ) -> Step {
        if !self.owns(conn) {
            return Ok(());
        }
        let (packets, garbage) = self.learners.cut(conn, bytes, core.settings.packet_data_bytes);
        for packet in packets {
            if let Err(reason) = self.on_packet(now, core, conn, packet, fx) {
                self.drop_learner(conn, &reason, fx);
            }
        }
        if let Some(reason) = garbage {
            self.drop_learner(conn, &reason, fx);
        }
        self.settle(now, core, fx)
    }

    fn on_packet(
        &mut self,
        now: Instant,
        core: &mut Core,
        conn: Conn,
        packet: Packet,
        fx: &mut Effects,
    ) -> Result<(), Drop> {
        let Some(learner) = self.learners.get_mut(&conn) else { return Ok(()) };
        learner.heard(now, &core.settings);
        match learner.stage {
            Stage::AwaitInfo => self.on_learner_info(core, conn, &packet, fx),
            Stage::AwaitEpoch => Err(format!("{:?} before LEADERINFO", packet.kind)),
            Stage::AwaitEpochAck => self.on_epoch_ack(now, core, conn, &packet, fx),
            Stage::AwaitEpochQuorum | Stage::Synchronizing(_) => {
                Err(format!("{:?} during synchronisation", packet.kind))
            }
            Stage::AwaitLeaderAck => match packet.kind {
                PacketType::Ack => self.on_ack(now, core, conn, packet.zxid, fx),
                kind => Err(format!("{kind:?} before the ACK of NEWLEADER")),
            },
            Stage::AwaitStart | Stage::Serving => match packet.kind {
                PacketType::Ack => self.on_ack(now, core, conn, packet.zxid, fx),
                _ => self.learners.on_service_packet(conn, packet, fx),
            },
        }
    }

    /// Follow-up of any input that may have completed a quorum.
    fn settle(&mut self, now: Instant, core: &mut Core, fx: &mut Effects) -> Step {
        self.check_epoch_acks(core, fx);
        self.check_leader_acks(now, core, fx);
        self.check_may_lead(core)?;
        self.try_commit(core, fx)?;
        self.check_exhausted(core)
    }

    /// The disk reported something.
    pub(crate) fn on_store(&mut self, now: Instant, core: &mut Core, fx: &mut Effects) -> Step {
        match self.phase {
            Phase::AcceptingEpoch if core.store.accepted_epoch() == self.epoch => {
                self.announce_epoch(now, core, fx);
            }
            Phase::WritingEpoch if core.store.current_epoch() == self.epoch => {
                self.start_synchronizing(now, core, fx);
            }
            Phase::Broadcasting => self.ack_own(core),
            _ => {}
        }
        self.settle(now, core, fx)
    }

    fn drop_learner(&mut self, conn: Conn, reason: &str, fx: &mut Effects) {
        self.learners.drop_learner(conn, reason, fx);
    }

    /// The role ends.
    pub(crate) fn stop(self, fx: &mut Effects) {
        self.learners.stop(fx);
    }

    fn send(&mut self, conn: Conn, bytes: Bytes, fx: &mut Effects) {
        self.learners.send(conn, bytes, fx);
    }
}
