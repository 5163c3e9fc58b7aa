//! Discovery, the learner's side: dial, FOLLOWERINFO, LEADERINFO, ACKEPOCH (`quorum-protocol.md` 3.2
//! to 3.4).
//!
//! The accepted epoch is durable before ACKEPOCH leaves; ACKEPOCH carries the *current* epoch as it
//! was before, or -1 if this epoch had been accepted already (else one server would count twice).

use rookeeper_proto::quorum::{LearnerInfo, PacketType, QuorumPacket, learner_info};
use rookeeper_proto::{Reader, Sid, Zxid};

use super::{Learner, Packet, Phase};
use crate::core::Core;
use crate::effects::{Conn, Effect, Effects};
use crate::leave::{Leave, Step};
use crate::limits;
use crate::time::Instant;

impl Learner {
    pub(super) fn connect(&mut self, core: &Core, fx: &mut Effects) {
        self.tries += 1;
        let configs = [&core.committed, &core.last_seen];
        let member = configs.iter().find_map(|config| config.members.get(&self.master));
        let mut addresses =
            member.map(crate::ensemble::Member::quorum_addresses).unwrap_or_default();
        if self.master != self.leader {
            for address in &mut addresses {
                address.port = core.settings.observer_master_port;
            }
        }
        fx.push(Effect::ConnectLeader { sid: self.master, addresses });
    }

    /// A try failed. `is_alive` says whether the leader still holds its election connection. Then it
    /// may not have found out yet that it leads, and whoever gave up now would begin a round that no
    /// leader answers before it has waited `initLimit` for this server in vain.
    pub(crate) fn on_connect_failed(&mut self, now: Instant, is_alive: bool) -> Step {
        if self.phase != Phase::Connecting {
            return Ok(());
        }
        // Of a follower that serves no observers (yet) nothing is to be hoped for: there are others.
        let is_patient = is_alive
            && self.master == self.leader
            && now < self.since + limits::LEADER_CONNECT_PATIENCE;
        if self.tries >= limits::LEADER_CONNECT_TRIES && !is_patient {
            return Err(Leave::new(format!(
                "server {} cannot be reached on its port for learners",
                self.master
            )));
        }
        self.retry_at = Some(now + self.pause);
        Ok(())
    }

    /// The connection is gone. Before LEADERINFO that is another failed try: the leader may not know
    /// yet that it was elected.
    pub(crate) fn on_closed(&mut self, now: Instant, is_alive: bool) -> Step {
        if self.phase != Phase::AwaitLeaderInfo {
            return Err(Leave::new(format!("server {} closed the connection", self.master)));
        }
        self.phase = Phase::Connecting;
        self.conn = None;
        self.unsent = 0;
        self.buffer.clear();
        self.on_connect_failed(now, is_alive)
    }

    /// The elected leader says that it looks for a leader, or has one, in `round` and for `candidate`; this
    /// server elected it in `elected`. (Servers that start at the same time may decide while the last vote
    /// is on its way; waiting for the one that does not lead would cost seconds.)
    pub(crate) fn on_leader_elsewhere(&self, round: i64, elected: i64, candidate: Sid) -> Step {
        let is_before = matches!(self.phase, Phase::Connecting | Phase::AwaitLeaderInfo);
        if is_before && (elected != round || candidate != self.leader) {
            let leader = self.leader;
            return Err(Leave::new(format!(
                "server {leader} does not lead: in round {round} it votes for {candidate}"
            )));
        }
        Ok(())
    }

    pub(crate) fn on_connected(
        &mut self,
        now: Instant,
        core: &Core,
        conn: Conn,
        fx: &mut Effects,
    ) -> Step {
        if self.phase != Phase::Connecting || self.conn.is_some() {
            fx.push(Effect::CloseQuorum { conn });
            return Ok(());
        }
        self.conn = Some(conn);
        self.deadline = now + core.settings.init_time();
        let info = LearnerInfo {
            sid: core.sid(),
            protocol_version: learner_info::PROTOCOL_VERSION,
            config_version: core.committed.version,
        };
        let kind = match self.is_observer {
            true => PacketType::ObserverInfo,
            false => PacketType::FollowerInfo,
        };
        let zxid = Zxid::new(core.store.accepted_epoch(), 0);
        self.send(&QuorumPacket::with_data(kind, zxid, &info.to_bytes()), fx);
        self.phase = Phase::AwaitLeaderInfo;
        Ok(())
    }

    pub(super) fn on_leader_info(
        &mut self,
        core: &mut Core,
        packet: &Packet,
        fx: &mut Effects,
    ) -> Step {
        if packet.kind != PacketType::LeaderInfo {
            return Err(Leave::new(format!("{:?} instead of LEADERINFO", packet.kind)));
        }
        // Another length may mean another split of the zxid (ZOOKEEPER-2789): refuse what we cannot read.
        let data = packet.data.as_deref().unwrap_or_default();
        let version = Reader::new(data).i32().unwrap_or(-1);
        if data.len() < 4 || version != learner_info::PROTOCOL_VERSION {
            return Err(Leave::new(format!("leader speaks protocol version {version}")));
        }
        let Ok(epoch) = u32::try_from(packet.zxid.epoch()) else {
            return Err(Leave::new(format!("leader's epoch in {} is negative", packet.zxid)));
        };
        let accepted = core.store.accepted_epoch();
        if epoch < accepted {
            return Err(Leave::new(format!("leader's epoch {epoch} is older than {accepted}")));
        }
        if self.master != self.leader && i64::from(epoch) != self.elected_epoch {
            // A follower does not say whom it follows. Those who serve under a leader tell its epoch in their
            // votes: asked once more, they say who leads in this one.
            return Err(Leave::new(format!(
                "server {} serves in epoch {epoch}, leader {} was elected with {}",
                self.master, self.leader, self.elected_epoch
            )));
        }
        self.epoch = epoch;
        if epoch == accepted {
            self.ack_epoch(core, -1, fx);
        } else {
            self.phase = Phase::AcceptingEpoch;
            core.store.write_accepted(epoch, fx);
        }
        Ok(())
    }

    pub(super) fn ack_epoch(&mut self, core: &Core, current_epoch: i32, fx: &mut Effects) {
        self.phase = Phase::AwaitSync;
        let data = current_epoch.to_be_bytes();
        let zxid = core.store.durable();
        self.send(&QuorumPacket::with_data(PacketType::AckEpoch, zxid, &data), fx);
    }
}
