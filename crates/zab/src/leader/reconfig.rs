//! A committed reconfig (`quorum-protocol.md` 4.3).
//!
//! The leader activates the configuration on itself, then tells the learners, naming who leads from
//! now on. If that is another server, it commits nothing more and steps down in its favour.

use std::sync::Arc;

use rookeeper_proto::quorum::{PacketType, QuorumPacket};
use rookeeper_proto::{JuteWrite, Sid, Zxid};

use super::{Leader, Outstanding};
use crate::core::Core;
use crate::effects::Effects;
use crate::ensemble::EnsembleConfig;
use crate::leave::{Leave, Step};

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
        self.joint = Arc::new(core.joint());
        // Proposals behind the reconfig wait for the old members no more: those who vote no longer do not
        // acknowledge either. No leader without the reconfig can be elected by a quorum of the old ones.
        for entry in &mut self.outstanding {
            entry.joint = Arc::clone(&self.joint);
        }
        let mut data = Vec::new();
        data.put_i64(designated.0);
        let activate = QuorumPacket::with_data(PacketType::CommitAndActivate, zxid, &data);
        let activate = activate.to_bytes().into();
        let inform = || {
            let mut data = data.clone();
            data.put(&entry.record.bytes);
            let packet = QuorumPacket::with_data(PacketType::InformAndActivate, zxid, &data);
            packet.to_bytes().into()
        };
        self.tell(&activate, inform, fx);
        if designated == core.sid() || !core.settings.is_reconfig_enabled {
            return Ok(());
        }
        core.commit_up_to(zxid, fx);
        let leave = Leave::new(format!("a reconfig hands leadership to server {designated}"));
        Err(Leave { designated: Some(designated), ..leave })
    }

    /// This server, if it stays a voter at the same address; else the new voter that acknowledged the
    /// reconfig and most of the proposals behind it.
    fn designated_leader(&self, core: &Core, entry: &Outstanding, config: &EnsembleConfig) -> Sid {
        let me = core.sid();
        let address = |c: &EnsembleConfig| c.members.get(&me).map(|m| m.quorum_addresses());
        if config.is_voter(me) && address(config) == address(&core.committed) {
            return me;
        }
        let acked = |sid: &Sid| {
            let mut more = self.outstanding.iter();
            more.rposition(|o| o.acks.contains(sid)).map_or(Zxid::ZERO, |at| {
                self.outstanding.get(at).map_or(Zxid::ZERO, |o| o.record.zxid)
            })
        };
        let candidates =
            entry.acks.iter().copied().filter(|sid| config.is_voter(*sid) && *sid != me);
        candidates.max_by_key(|sid| (acked(sid), *sid)).unwrap_or(me)
    }
}
