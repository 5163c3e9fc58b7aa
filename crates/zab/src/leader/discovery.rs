//! Discovery, the leader's side: a new epoch, accepted by a quorum (`quorum-protocol.md` 3.3).
//!
//! The epoch is larger than every epoch a quorum (with this server) has accepted, and durable here
//! before it is told to anybody. A voter whose history is ahead of the leader's is turned away: the
//! election was wrong then. Whose vote does not count, or not yet, may be ahead: see `docs/zab.md`, "An
//! election while a reconfig is under way".

use rookeeper_proto::quorum::PacketType;
use rookeeper_proto::{Reader, Zxid};

use super::{Drop, Introduction, Leader, Packet, Phase, Stage};
use crate::core::{Core, planted};
use crate::effects::{Conn, Effects};
use crate::limits;
use crate::quorum::oracle;
use crate::time::Instant;

impl Leader {
    pub(super) fn on_learner_info(
        &mut self,
        core: &mut Core,
        conn: Conn,
        packet: &Packet,
        fx: &mut Effects,
    ) -> Result<(), Drop> {
        let who = Introduction::read(core, packet)?;
        let (sid, accepted) = (who.info.sid, who.accepted);
        if accepted < 0 || accepted > self.max_accepted + limits::EPOCH_JUMP {
            return Err(format!("its accepted epoch {accepted} cannot be"));
        }
        self.learners.introduce(conn, &who, fx);
        self.deserters.remove(&sid);
        if self.phase == Phase::Discovering {
            self.max_accepted = self.max_accepted.max(accepted);
            // Also an observer that a reconfig under way makes a voter: it makes the same promises.
            if self.joint.is_voter(sid) {
                self.connected.insert(sid);
            }
            self.check_connected(core, fx);
        } else if Phase::AwaitEpochAcks <= self.phase {
            self.learners.send_leader_info(conn, self.epoch, fx);
        }
        Ok(())
    }

    /// Fixes the epoch once a quorum has said what it accepted.
    pub(super) fn check_connected(&mut self, core: &mut Core, fx: &mut Effects) {
        if self.phase != Phase::Discovering
            || !oracle::is_quorum(&self.joint, &self.connected, core.oracle)
        {
            return;
        }
        // Beyond i32::MAX the zxid would be negative; 2^31 elections are not reachable honestly.
        let Ok(epoch) = i32::try_from(self.max_accepted + 1) else { return };
        self.epoch = epoch as u32;
        self.phase = Phase::AcceptingEpoch;
        core.store.write_accepted(self.epoch, fx);
    }

    /// The epoch is durable here: tell it.
    pub(super) fn announce_epoch(&mut self, now: Instant, core: &mut Core, fx: &mut Effects) {
        self.phase = Phase::AwaitEpochAcks;
        self.proposed = Zxid::new(self.epoch, 0);
        self.deadline = Some(now + core.settings.init_time());
        self.epoch_acks.insert(core.sid());
        for conn in self.learners.those(|l| l.stage == Stage::AwaitEpoch) {
            self.learners.send_leader_info(conn, self.epoch, fx);
        }
        if core.settings.is_reconfig_enabled && core.committed.version == 0 {
            // The first leader gives the static configuration a version (ZOOKEEPER-1783).
            let config = core.last_seen.with_version(Zxid::new(self.epoch, 0).0);
            if core.last_seen.version == 0 {
                core.see_config(config.into(), fx);
            }
        }
    }

    pub(super) fn on_epoch_ack(
        &mut self,
        now: Instant,
        core: &mut Core,
        conn: Conn,
        packet: &Packet,
        fx: &mut Effects,
    ) -> Result<(), Drop> {
        if packet.kind != PacketType::AckEpoch {
            return Err(format!("{:?} instead of ACKEPOCH", packet.kind));
        }
        let data = packet.data.as_deref().unwrap_or_default();
        let current = Reader::new(data).i32().map_err(|error| error.to_string())?;
        let last = packet.zxid;
        let Some(learner) = self.learners.get_mut(&conn) else { return Ok(()) };
        let in_force = &self.joint.committed;
        let has_vote = in_force.is_voter(learner.sid) && 0 < in_force.weight(learner.sid);
        let is_ahead = current != -1 && (i64::from(current), last) > self.summary && has_vote;
        if is_ahead && !planted!(core, AnyoneMayLead) {
            return Err(format!(
                "it is ahead of this leader: epoch {current}, zxid {last} against {:?}",
                self.summary
            ));
        }
        let is_known_future = last.epoch() >= i64::from(self.epoch) && self.proposed < last;
        if is_known_future || last < Zxid::UNKNOWN {
            return Err(format!("its zxid {last} cannot be in epoch {}", self.epoch));
        }
        learner.last = last;
        learner.stage = Stage::AwaitEpochQuorum;
        let counts = current != -1 && last != Zxid::UNKNOWN;
        if counts && self.joint.is_voter(learner.sid) && self.phase == Phase::AwaitEpochAcks {
            self.epoch_acks.insert(learner.sid);
        }
        if Phase::Synchronizing <= self.phase {
            self.synchronize(now, core, conn, fx);
        }
        Ok(())
    }

    /// Makes the epoch current once a quorum has accepted it and is not ahead.
    pub(super) fn check_epoch_acks(&mut self, core: &mut Core, fx: &mut Effects) {
        if self.phase == Phase::AwaitEpochAcks
            && oracle::is_quorum(&self.joint, &self.epoch_acks, core.oracle)
        {
            self.phase = Phase::WritingEpoch;
            core.store.write_current(self.epoch, fx);
        }
    }

    /// `currentEpoch` is durable here: this server accepts its own history as the initial one.
    pub(super) fn start_synchronizing(&mut self, now: Instant, core: &mut Core, fx: &mut Effects) {
        self.phase = Phase::Synchronizing;
        self.deadline = Some(now + core.settings.init_time());
        self.joint = core.joint();
        self.leader_acks.insert(core.sid());
        for conn in self.learners.those(|l| l.stage == Stage::AwaitEpochQuorum) {
            self.synchronize(now, core, conn, fx);
        }
    }
}
