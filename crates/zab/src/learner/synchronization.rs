//! Synchronisation, the learner's side: DIFF, TRUNC or SNAP, what follows, NEWLEADER, UPTODATE
//! (`quorum-protocol.md` 3.4 to 3.7, 7.2).
//!
//! The order of durable writes, which `docs/zab.md` argues for:
//!
//! - *DIFF, TRUNC*: records go to the log as their COMMITs arrive. Before the first record of an epoch
//!   newer than `currentEpoch`, everything older is durable and `currentEpoch` is raised to that
//!   epoch; so `currentEpoch` is never behind the log (Java would not open such a directory) and never
//!   ahead of the history it vouches for.
//! - *SNAP*: nothing is written until NEWLEADER, because a Java leader's snapshot is complete only with
//!   the records behind it. Then snapshot and `currentEpoch` become durable as one.
//! - ACK of NEWLEADER leaves when all of it is durable and `currentEpoch` is the leader's epoch.
//!
//! Proposals without a COMMIT wait until UPTODATE; then they are logged and acknowledged one by one.

use rookeeper_proto::quorum::{PacketType, QuorumPacket};
use rookeeper_proto::txn::TxnHeader;
use rookeeper_proto::{JuteWrite, Zxid};

use super::observer_master::ObserverMaster;
use super::{Learner, Mode, Packet, Phase};
use crate::core::{Core, planted};
use crate::effects::{Effect, Effects, ServingRole};
use crate::ensemble::EnsembleConfig;
use crate::leave::{Leave, Step};
use crate::limits;
use crate::record::TxnRecord;
use crate::time::Instant;

/// What ends a snapshot on the wire, as a jute string.
pub(crate) const SNAPSHOT_SIGNATURE: &str = "BenWasHere";

impl Learner {
    pub(super) fn on_sync_start(
        &mut self,
        now: Instant,
        core: &mut Core,
        packet: &Packet,
        fx: &mut Effects,
    ) -> Step {
        let last = core.store.appended();
        if last == Zxid::UNKNOWN && packet.kind != PacketType::Snap {
            return Err(Leave::new("only a snapshot can help a server that holds nothing"));
        }
        let how = format!("{:?}", packet.kind).to_uppercase();
        fx.note(format!("the leader begins with {how} {}; the log ends at {last}", packet.zxid));
        match packet.kind {
            PacketType::Diff => self.continue_log(now, core, last, fx),
            PacketType::Trunc if packet.zxid == last => self.continue_log(now, core, last, fx),
            PacketType::Trunc => {
                let to = packet.zxid;
                if last < to || to < core.commit {
                    return Err(Leave::new(format!(
                        "leader asks to cut at {to}; the log ends at {last}, committed is {}",
                        core.commit
                    )));
                }
                self.phase = Phase::Truncating(to);
                core.store.truncate(to, fx);
                Ok(())
            }
            PacketType::Snap => {
                if packet.zxid < core.commit {
                    return Err(Leave::new(format!(
                        "leader's snapshot {} is older than what is committed here, {}",
                        packet.zxid, core.commit
                    )));
                }
                self.phase = Phase::ReceivingSnapshot(packet.zxid);
                fx.push(Effect::ReceiveSnapshot { zxid: packet.zxid });
                Ok(())
            }
            kind => Err(Leave::new(format!("{kind:?} instead of DIFF, TRUNC or SNAP"))),
        }
    }

    fn continue_log(
        &mut self,
        now: Instant,
        core: &mut Core,
        from: Zxid,
        fx: &mut Effects,
    ) -> Step {
        self.start_at(from, Mode::Log);
        if planted!(core, EpochBeforeTxns) && core.store.current_epoch() < self.epoch {
            core.store.write_current(self.epoch, fx);
        }
        self.persist(now, core, fx)
    }

    fn start_at(&mut self, from: Zxid, mode: Mode) {
        self.phase = Phase::Synchronizing;
        self.mode = mode;
        self.last_queued = from;
        self.committed = from;
    }

    /// The log was cut, or could not be.
    pub(crate) fn on_truncated(
        &mut self,
        now: Instant,
        core: &mut Core,
        is_done: bool,
        fx: &mut Effects,
    ) -> Step {
        let Phase::Truncating(to) = self.phase else { return Ok(()) };
        if !is_done {
            return Err(Leave::in_doubt(format!(
                "leader asks to cut at {to}, which is neither a record nor a snapshot here"
            )));
        }
        self.continue_log(now, core, to, fx)?;
        self.parse(now, core, fx)
    }

    /// The driver has read the snapshot's body; `rest` came behind it.
    pub(crate) fn on_snapshot_received(
        &mut self,
        now: Instant,
        core: &mut Core,
        rest: &[u8],
        fx: &mut Effects,
    ) -> Step {
        let Phase::ReceivingSnapshot(zxid) = self.phase else { return Ok(()) };
        self.phase = Phase::AwaitSignature(zxid);
        self.buffer = rest.to_vec();
        self.parse(now, core, fx)
    }

    /// Returns the length of the signature, or 0 if it has not arrived.
    pub(super) fn check_signature(&mut self, bytes: &[u8]) -> Result<usize, Leave> {
        let Phase::AwaitSignature(zxid) = self.phase else { return Ok(0) };
        let mut wanted = Vec::new();
        wanted.put_str(SNAPSHOT_SIGNATURE);
        let n = bytes.len().min(wanted.len());
        if bytes[..n] != wanted[..n] {
            return Err(Leave::new("the leader's snapshot does not end with its signature"));
        }
        if n < wanted.len() {
            return Ok(0);
        }
        self.start_at(zxid, Mode::Snapshot(zxid));
        Ok(n)
    }

    pub(super) fn on_sync_packet(
        &mut self,
        now: Instant,
        core: &mut Core,
        packet: Packet,
        fx: &mut Effects,
    ) -> Step {
        match packet.kind {
            PacketType::Proposal => {
                self.enqueue(core, packet.zxid, packet.data)?;
            }
            PacketType::Commit => self.commit_queued(packet.zxid)?,
            PacketType::CommitAndActivate => {
                self.activate_queued(core, packet.zxid, fx)?;
                self.commit_queued(packet.zxid)?;
            }
            PacketType::Inform => {
                self.enqueue(core, packet.zxid, packet.data)?;
                self.commit_queued(packet.zxid)?;
            }
            PacketType::InformAndActivate => {
                let data = packet.data.filter(|data| 8 <= data.len()).map(|data| data.slice(8..));
                if self.enqueue(core, packet.zxid, data)? {
                    self.activate_queued(core, packet.zxid, fx)?;
                    self.commit_queued(packet.zxid)?;
                }
            }
            PacketType::NewLeader => self.on_new_leader(core, &packet, fx)?,
            PacketType::UpToDate => return self.on_up_to_date(now, core, fx),
            // The first packet after ACKEPOCH must be the ACK of NEWLEADER, so nothing is answered here.
            _ => {}
        }
        self.persist(now, core, fx)
    }

    /// Takes a proposal into the queue. False if it is known already.
    pub(super) fn enqueue(
        &mut self,
        core: &Core,
        zxid: Zxid,
        data: Option<bytes::Bytes>,
    ) -> Result<bool, Leave> {
        let record = self.check_record(zxid, data)?;
        if zxid <= self.last_queued {
            // Behind a snapshot, or at the seam of synchronisation and broadcast.
            self.check_duplicate(core, &record)?;
            return Ok(false);
        }
        if !zxid.follows(self.last_queued) {
            return Err(Leave::new(format!("{zxid} does not follow {}", self.last_queued)));
        }
        self.queue_bytes += record.bytes.len();
        if self.queue_bytes > limits::SYNC_QUEUE_BYTES {
            return Err(Leave::new("the leader proposes more than can wait here"));
        }
        self.last_queued = zxid;
        self.queue.push_back(record);
        Ok(true)
    }

    /// A proposal's bytes must be a txn of this epoch or an older one, with this very zxid.
    pub(super) fn check_record(
        &self,
        zxid: Zxid,
        data: Option<bytes::Bytes>,
    ) -> Result<TxnRecord, Leave> {
        let record = data.and_then(|data| TxnRecord::parse(zxid, data));
        let record = record.ok_or_else(|| Leave::new(format!("no txn in proposal {zxid}")))?;
        if zxid.counter() == 0 || zxid.epoch() > i64::from(self.epoch) || zxid.0 < 0 {
            return Err(Leave::new(format!(
                "{zxid} is no zxid of a txn under epoch {}",
                self.epoch
            )));
        }
        Ok(record)
    }

    /// The same zxid must be the same txn. A Java leader re-encodes bodies, so only headers are
    /// compared; if they differ, what this zxid means is unknown (`quorum-protocol.md` L7).
    pub(super) fn check_duplicate(&self, core: &Core, record: &TxnRecord) -> Step {
        if matches!(self.mode, Mode::Snapshot(at) if record.zxid <= at) {
            return Ok(());
        }
        let Some(known) = self.queued(record.zxid).or_else(|| core.history.get(record.zxid)) else {
            return Ok(());
        };
        let head = ..TxnHeader::ENCODED_BYTES;
        if known.bytes.get(head) == record.bytes.get(head) {
            return Ok(());
        }
        Err(Leave::in_doubt(format!("two different txns {} were proposed", record.zxid)))
    }

    /// COMMITs come in the order of the proposals, each after its own.
    fn commit_queued(&mut self, zxid: Zxid) -> Step {
        if zxid <= self.committed {
            return Ok(());
        }
        // Behind a snapshot the queue grows until NEWLEADER: it is not to be walked for each.
        let next = self.queue.partition_point(|record| record.zxid <= self.committed);
        match self.queue.get(next) {
            Some(next) if next.zxid == zxid => {
                self.committed = zxid;
                Ok(())
            }
            _ => Err(Leave::new(format!("COMMIT {zxid} is not for the next proposal"))),
        }
    }

    fn queued(&self, zxid: Zxid) -> Option<&TxnRecord> {
        let at = self.queue.partition_point(|record| record.zxid < zxid);
        self.queue.get(at).filter(|record| record.zxid == zxid)
    }

    /// The configuration inside a queued reconfig. Java looks only at the first proposal of the queue;
    /// here it is found by its zxid.
    fn activate_queued(&mut self, core: &mut Core, zxid: Zxid, fx: &mut Effects) -> Step {
        let config = self.queued(zxid).and_then(TxnRecord::config);
        let Some(config) = config else { return Ok(()) };
        core.see_config(config.clone(), fx);
        core.activate_config(config, fx);
        Ok(())
    }

    fn on_new_leader(&mut self, core: &mut Core, packet: &Packet, fx: &mut Effects) -> Step {
        if packet.zxid != Zxid::new(self.epoch, 0) || self.phase != Phase::Synchronizing {
            return Err(Leave::new(format!("NEWLEADER {} out of place", packet.zxid)));
        }
        if let Some(data) = packet.data.as_deref().filter(|data| 1 < data.len()) {
            let text = String::from_utf8_lossy(data).into_owned();
            match EnsembleConfig::parse(&text) {
                Ok(config) => core.see_config(config.into(), fx),
                Err(error) => fx.warn(format!("the leader's configuration is refused: {error}")),
            }
            self.new_config = Some(text);
        }
        self.phase = Phase::AcceptingLeader;
        if let Mode::Snapshot(at) = self.mode {
            let records: Vec<_> = self.take_committed().collect();
            let through = records.last().map_or(at, |record| record.zxid);
            core.store.install(through, records, self.epoch, fx);
        }
        Ok(())
    }

    /// Takes the committed records from the queue.
    fn take_committed(&mut self) -> impl Iterator<Item = TxnRecord> + use<> {
        let n = self.queue.partition_point(|record| record.zxid <= self.committed);
        let taken: Vec<_> = self.queue.drain(..n).collect();
        self.queue_bytes -= taken.iter().map(|record| record.bytes.len()).sum::<usize>();
        taken.into_iter()
    }

    /// The snapshot is the durable state now.
    pub(crate) fn on_installed(&mut self, now: Instant, core: &mut Core, fx: &mut Effects) -> Step {
        self.mode = Mode::Log;
        self.persist(now, core, fx)
    }

    /// Takes the next durable steps; see the module for their order.
    pub(super) fn persist(&mut self, now: Instant, core: &mut Core, fx: &mut Effects) -> Step {
        let is_persisting = matches!(self.phase, Phase::Synchronizing | Phase::AcceptingLeader);
        if !is_persisting
            || matches!(self.mode, Mode::Snapshot(_))
            || core.store.is_writing_current()
        {
            return Ok(());
        }
        while let Some(next) = self.queue.front().filter(|r| r.zxid <= self.committed) {
            let epoch = next.zxid.epoch() as u32;
            if core.store.current_epoch() < epoch {
                if core.store.is_log_settled() {
                    core.store.write_current(epoch, fx);
                }
                return Ok(());
            }
            self.queue_bytes -= next.bytes.len();
            if let Some(record) = self.queue.pop_front() {
                core.append(now, record, fx);
            }
        }
        if self.phase == Phase::AcceptingLeader
            && (core.store.is_log_settled() || planted!(core, NewLeaderAckBeforeDurable))
        {
            let is_early = planted!(core, NewLeaderAckBeforeDurable);
            if core.store.current_epoch() < self.epoch && !is_early {
                core.store.write_current(self.epoch, fx);
                return Ok(());
            }
            self.phase = Phase::AwaitUpToDate;
            self.ack_leader(fx);
        }
        Ok(())
    }

    fn ack_leader(&mut self, fx: &mut Effects) {
        self.send(&QuorumPacket::bare(PacketType::Ack, Zxid::new(self.epoch, 0)), fx);
    }

    fn on_up_to_date(&mut self, now: Instant, core: &mut Core, fx: &mut Effects) -> Step {
        if self.phase != Phase::AwaitUpToDate {
            return Err(Leave::new("UPTODATE before NEWLEADER was acknowledged"));
        }
        self.phase = Phase::Serving;
        self.deadline = now + core.settings.sync_time();
        if let Some(config) =
            self.new_config.take().and_then(|text| EnsembleConfig::parse(&text).ok())
        {
            core.activate_config(config.into(), fx);
            self.check_role(core)?;
        }
        self.ack_leader(fx);
        let committed = self.committed;
        for record in std::mem::take(&mut self.queue) {
            self.log_proposal(now, core, record, fx);
        }
        self.queue_bytes = 0;
        core.commit_up_to(committed, fx);
        core.tries.on_success();
        if core.settings.observer_master_port != 0 && !self.is_observer {
            self.hosting = Some(Box::new(ObserverMaster::new(self.epoch)));
        }
        let role = if self.is_observer { ServingRole::Observing } else { ServingRole::Following };
        let is_state_replaced = std::mem::take(&mut core.is_state_replaced);
        let (leader, epoch) = (self.leader, self.epoch);
        fx.push(Effect::StartServing { role, leader, epoch, is_state_replaced });
        Ok(())
    }
}
