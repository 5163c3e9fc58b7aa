//! Broadcast, the learner's side: log what is proposed, acknowledge it once durable, apply what is
//! committed (`quorum-protocol.md` 3.8).
//!
//! One ACK per proposal, in order, never cumulative (L2). A COMMIT may come before the own log is
//! durable; it is passed on at once, and the durable zxid stays the log's (L29).

use bytes::Bytes;
use rookeeper_proto::quorum::{PacketType, QuorumPacket, Touches};
use rookeeper_proto::{Reader, Sid, Zxid};

use super::observer_master::revalidation;
use super::{Learner, Packet};
use crate::core::{Core, planted};
use crate::effects::{Effect, Effects};
use crate::leave::{Leave, Step};
use crate::record::TxnRecord;
use crate::time::Instant;

impl Learner {
    pub(super) fn on_broadcast(
        &mut self,
        now: Instant,
        core: &mut Core,
        packet: Packet,
        fx: &mut Effects,
    ) -> Step {
        match packet.kind {
            PacketType::Proposal if !self.is_observer => {
                self.on_proposal(now, core, packet.zxid, packet.data, fx)
            }
            PacketType::Commit if !self.is_observer => self.on_commit(core, packet.zxid, fx),
            PacketType::CommitAndActivate if !self.is_observer => {
                let designated = designated(packet.data.as_deref());
                self.on_activate(core, packet.zxid, designated, fx)
            }
            PacketType::Inform if self.is_observer => {
                self.on_inform(now, core, packet.zxid, packet.data, fx).map(|_| ())
            }
            PacketType::InformAndActivate if self.is_observer => {
                let designated = designated(packet.data.as_deref());
                let data = packet.data.filter(|data| 8 <= data.len()).map(|data| data.slice(8..));
                self.on_proposal(now, core, packet.zxid, data, fx)?;
                self.on_activate(core, packet.zxid, designated, fx)
            }
            PacketType::Ping => {
                self.answer_ping(packet.zxid, fx);
                if let Some(hosting) = &mut self.hosting {
                    hosting.observers.ping(packet.zxid, fx);
                    core.history.set_awaited(hosting.observers.is_anyone_behind());
                }
                Ok(())
            }
            PacketType::Revalidate => {
                if let Some((session, is_valid)) = revalidation(packet.data.as_deref())
                    && !self
                        .hosting
                        .as_mut()
                        .is_some_and(|hosting| hosting.on_revalidation(session, is_valid, fx))
                {
                    fx.push(Effect::RevalidateAnswer { session, is_valid });
                }
                Ok(())
            }
            PacketType::Sync => {
                if !self.hosting.as_mut().is_some_and(|hosting| hosting.on_sync(fx)) {
                    fx.push(Effect::SyncAnswer);
                }
                Ok(())
            }
            kind => {
                fx.warn(format!("{kind:?} {} makes no sense now", packet.zxid));
                Ok(())
            }
        }
    }

    fn on_proposal(
        &mut self,
        now: Instant,
        core: &mut Core,
        zxid: Zxid,
        data: Option<Bytes>,
        fx: &mut Effects,
    ) -> Step {
        let record = self.check_record(zxid, data)?;
        let last = core.store.appended();
        if zxid <= last {
            return self.check_duplicate(core, &record);
        }
        if !zxid.follows(last) {
            return Err(Leave::new(format!("proposal {zxid} does not follow {last}")));
        }
        self.log_proposal(now, core, record, fx);
        Ok(())
    }

    /// Hands a proposal to the log; its ACK follows when it is durable.
    pub(super) fn log_proposal(
        &mut self,
        now: Instant,
        core: &mut Core,
        record: TxnRecord,
        fx: &mut Effects,
    ) {
        if let Some(config) = record.config() {
            core.see_config(config, fx);
        }
        if !self.is_observer {
            self.to_ack.push_back(record.zxid);
        }
        core.append(now, record, fx);
        if planted!(core, AckBeforeDurable) {
            self.send_acks(core, fx);
        }
    }

    /// Sends an ACK for each durable proposal, as one write.
    pub(super) fn send_acks(&mut self, core: &Core, fx: &mut Effects) {
        let durable = match planted!(core, AckBeforeDurable) {
            true => core.store.appended(),
            false => core.store.durable(),
        };
        let mut bytes = Vec::new();
        while let Some(zxid) = self.to_ack.front().copied().filter(|zxid| *zxid <= durable) {
            QuorumPacket::bare(PacketType::Ack, zxid).write(&mut bytes);
            self.to_ack.pop_front();
        }
        if !bytes.is_empty() {
            self.send_bytes(bytes, fx);
        }
    }

    fn on_commit(&mut self, core: &mut Core, zxid: Zxid, fx: &mut Effects) -> Step {
        let committed = commit(core, zxid, fx)?;
        if let (Some(record), Some(hosting)) = (committed, &mut self.hosting) {
            hosting.inform(&record, fx);
        }
        Ok(())
    }

    fn on_inform(
        &mut self,
        now: Instant,
        core: &mut Core,
        zxid: Zxid,
        data: Option<Bytes>,
        fx: &mut Effects,
    ) -> Step {
        self.on_proposal(now, core, zxid, data, fx)?;
        self.on_commit(core, zxid, fx)
    }

    /// A reconfig is committed: first the configuration, then the txn, then leave if the leader or the
    /// own role changed.
    fn on_activate(
        &mut self,
        core: &mut Core,
        zxid: Zxid,
        designated: Option<Sid>,
        fx: &mut Effects,
    ) -> Step {
        let config = core.history.get(zxid).and_then(TxnRecord::config);
        if let Some(config) = config {
            core.activate_config(config, fx);
        }
        let committed = commit(core, zxid, fx)?;
        if let (Some(record), Some(hosting)) = (committed, &mut self.hosting) {
            hosting.inform_and_activate(&record, designated.unwrap_or(self.leader), fx);
        }
        let is_role_changed = core.is_observer() != self.is_observer;
        let is_leader_changed = designated.is_some_and(|sid| sid != self.leader);
        if core.settings.is_reconfig_enabled && (is_role_changed || is_leader_changed) {
            let leave = Leave::new("changes proposed in reconfig");
            return Err(Leave { designated, ..leave });
        }
        Ok(())
    }

    /// Whoever became a voter, or is one no more, has to come back as what it is: an observer's
    /// acknowledgements are not even sent.
    pub(super) fn check_role(&self, core: &Core) -> Step {
        if core.settings.is_reconfig_enabled && core.is_observer() != self.is_observer {
            return Err(Leave::new("the leader's configuration gives this server another role"));
        }
        Ok(())
    }

    fn answer_ping(&mut self, zxid: Zxid, fx: &mut Effects) {
        let touched = std::mem::take(&mut self.touched);
        let data = Touches::to_bytes(touched);
        self.send(&QuorumPacket::with_data(PacketType::Ping, zxid, &data), fx);
    }
}

/// Commits the next proposal, which must be this one, and returns it; nothing if that was done before.
fn commit(core: &mut Core, zxid: Zxid, fx: &mut Effects) -> Result<Option<TxnRecord>, Leave> {
    if zxid <= core.commit {
        return Ok(None);
    }
    let next = core.history.after(core.commit).next().filter(|record| record.zxid == zxid);
    let Some(record) = next.cloned() else {
        return Err(Leave::new(format!("COMMIT {zxid} is not for the next proposal")));
    };
    core.commit_up_to(zxid, fx);
    Ok(Some(record))
}

fn designated(data: Option<&[u8]>) -> Option<Sid> {
    Reader::new(data.unwrap_or_default()).i64().ok().map(Sid)
}
