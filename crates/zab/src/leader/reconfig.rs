//! A committed reconfig (`quorum-protocol.md` 4.3).
//!
//! The leader activates the configuration on itself, then tells the learners, naming who leads from
//! now on. If that is another server, it commits nothing more and steps down in its favour.
//!
//! Nothing is proposed between a reconfig and its commit (Java does, and lets it wait for the old and the
//! new members). So whoever acknowledges what is proposed behind it has put it into force before, on disk:
//! no election can count a quorum of the new members that does not know of it.

use std::sync::Arc;

use bytes::Bytes;
use rookeeper_proto::quorum::{PacketType, QuorumPacket};
use rookeeper_proto::{JuteWrite, Sid};

use super::handle::LearnerHandle;
use super::{Leader, Outstanding, Phase, Stage};
use crate::core::Core;
use crate::effects::Effects;
use crate::ensemble::EnsembleConfig;
use crate::leave::{Leave, Step};
use crate::record::TxnRecord;

impl Leader {
    pub(super) fn commit_config(
        &mut self,
        core: &mut Core,
        entry: &Outstanding,
        config: Arc<EnsembleConfig>,
        fx: &mut Effects,
    ) -> Step {
        let zxid = entry.record.zxid;
        let designated = self.designated_leader(core, entry, &config);
        core.activate_config(config, fx);
        self.joint = core.joint();
        self.drop_unready(fx);
        let data = designated.0.to_be_bytes();
        let activate = QuorumPacket::with_data(PacketType::CommitAndActivate, zxid, &data);
        let activate = activate.to_bytes().into();
        self.tell(&activate, || inform_and_activate(&entry.record, designated), fx);
        if designated == core.sid() || !core.settings.is_reconfig_enabled {
            return Ok(());
        }
        core.commit_up_to(zxid, fx);
        let leave = Leave::new(format!("a reconfig hands leadership to server {designated}"));
        Err(Leave { designated: Some(designated), ..leave })
    }

    /// A leader that ended a reconfig by which it votes no more has put it into force: those who vote now elect
    /// one of themselves. Observers would not find this one, whom no voter's list allows to lead.
    pub(super) fn check_may_lead(&self, core: &Core) -> Step {
        if self.phase == Phase::Broadcasting && !core.committed.is_voter(core.sid()) {
            return Err(Leave::new("by the reconfig that it ended, this server votes no more"));
        }
        Ok(())
    }

    /// Who is not told of commits yet would acknowledge what comes next before it hears of this one.
    fn drop_unready(&mut self, fx: &mut Effects) {
        let is_unready =
            |l: &LearnerHandle| l.is_forwarding() && l.stage != Stage::Serving && !l.is_observer;
        self.learners.drop_those(is_unready, "the members changed while it was synchronised", fx);
    }

    /// This server, if it stays a voter at the same address; else a new voter that acknowledged the
    /// reconfig.
    fn designated_leader(&self, core: &Core, entry: &Outstanding, config: &EnsembleConfig) -> Sid {
        let me = core.sid();
        let address = |c: &EnsembleConfig| c.members.get(&me).map(|m| m.quorum_addresses());
        if config.is_voter(me) && address(config) == address(&core.committed) {
            return me;
        }
        let voters = entry.acks.iter().copied().filter(|sid| config.is_voter(*sid) && *sid != me);
        voters.max().unwrap_or(me)
    }
}

/// The packet that tells observers of a committed reconfig, and who leads from now on.
pub(crate) fn inform_and_activate(record: &TxnRecord, leader: Sid) -> Bytes {
    let mut data = Vec::with_capacity(8 + record.bytes.len());
    data.put_i64(leader.0);
    data.put(&record.bytes);
    QuorumPacket::with_data(PacketType::InformAndActivate, record.zxid, &data).to_bytes().into()
}
