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
mod liveness;
mod reconfig;
mod sessions;
mod synchronization;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use rookeeper_proto::quorum::{PacketType, QuorumPacket, TryRead};
use rookeeper_proto::{Sid, Zxid};

use crate::core::Core;
use crate::effects::{Conn, Effect, Effects};
use crate::ensemble::EnsembleConfig;
use crate::leave::Step;
use crate::limits;
use crate::quorum::Joint;
use crate::record::TxnRecord;
use crate::time::Instant;

pub use broadcast::ProposeError;
pub use figures::LearnerFigures;
use handle::{LearnerHandle, Stage};
pub use synchronization::HistoryAnswer;

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
type Drop = String;

/// A packet of a learner, owned.
#[derive(Debug)]
struct Packet {
    kind: PacketType,
    zxid: Zxid,
    data: Option<Bytes>,
    auth: Vec<rookeeper_proto::Id>,
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
    learners: BTreeMap<Conn, LearnerHandle>,
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
            learners: BTreeMap::new(),
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

    pub(crate) fn on_accepted(&mut self, now: Instant, core: &Core, conn: Conn, fx: &mut Effects) {
        if self.learners.len() >= limits::LEARNER_CONNECTIONS {
            // Strangers that say nothing must not keep learners out.
            let strangers = self.learners.values().filter(|l| l.stage == Stage::AwaitInfo);
            let Some(oldest) = strangers.min_by_key(|l| (l.deadline, l.conn)).map(|l| l.conn)
            else {
                fx.warn("too many learner connections");
                fx.push(Effect::CloseQuorum { conn });
                return;
            };
            self.drop_learner(oldest, "too many connections, and it has not said who it is", fx);
        }
        self.learners.insert(conn, LearnerHandle::new(conn, now + core.settings.init_time()));
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
        let Some(learner) = self.learners.get_mut(&conn) else { return Ok(()) };
        let mut buffer = std::mem::take(&mut learner.buffer);
        buffer.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            let limit = core.settings.packet_data_bytes;
            let packet = match QuorumPacket::try_read(&buffer[at..], limit) {
                Ok(TryRead::Incomplete) => break,
                Ok(TryRead::Done(packet, used)) => {
                    at += used;
                    packet
                }
                Err(error) => {
                    self.drop_learner(conn, &format!("garbage: {error}"), fx);
                    break;
                }
            };
            let Some(kind) = packet.packet_type() else { continue };
            let data = packet.data.map(Bytes::copy_from_slice);
            let auth = packet.auth.unwrap_or_default();
            let packet = Packet { kind, zxid: packet.zxid, data, auth };
            if let Err(reason) = self.on_packet(now, core, conn, packet, fx) {
                self.drop_learner(conn, &reason, fx);
            }
            if !self.learners.contains_key(&conn) {
                break;
            }
        }
        if let Some(learner) = self.learners.get_mut(&conn) {
            buffer.drain(..at);
            learner.buffer = buffer;
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
                _ => self.on_service_packet(conn, packet, fx),
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

    /// A learner's connection is gone.
    pub(crate) fn on_closed(&mut self, conn: Conn, fx: &mut Effects) {
        if let Some(learner) = self.learners.remove(&conn) {
            learner.on_gone(fx);
        }
    }

    fn drop_learner(&mut self, conn: Conn, reason: &str, fx: &mut Effects) {
        if let Some(learner) = self.learners.remove(&conn) {
            fx.warn(format!("closing the connection of learner {}: {reason}", learner.sid));
            learner.on_gone(fx);
            fx.push(Effect::CloseQuorum { conn });
        }
    }

    /// Everything handed out for the connection has left.
    pub(crate) fn on_drained(
        &mut self,
        now: Instant,
        core: &mut Core,
        conn: Conn,
        fx: &mut Effects,
    ) {
        let Some(learner) = self.learners.get_mut(&conn) else { return };
        learner.unsent = 0;
        if matches!(learner.stage, Stage::Synchronizing(_)) {
            learner.deadline = Some(now + core.settings.init_time());
            self.continue_history(now, core, conn, fx);
        }
    }

    /// The role ends.
    pub(crate) fn stop(mut self, fx: &mut Effects) {
        for (conn, learner) in std::mem::take(&mut self.learners) {
            learner.on_gone(fx);
            fx.push(Effect::CloseQuorum { conn });
        }
    }

    /// Sends one packet to one learner; closes it if it takes nothing.
    fn send(&mut self, conn: Conn, bytes: Bytes, fx: &mut Effects) {
        let Some(learner) = self.learners.get_mut(&conn) else { return };
        learner.unsent += bytes.len();
        if learner.waiting() > limits::LEARNER_UNSENT_BYTES {
            self.drop_learner(conn, "it does not read what it is sent", fx);
            return;
        }
        fx.push(Effect::SendQuorum { conn, bytes });
    }

    fn send_packet(&mut self, conn: Conn, packet: &QuorumPacket<'_>, fx: &mut Effects) {
        self.send(conn, packet.to_bytes().into(), fx);
    }
}
