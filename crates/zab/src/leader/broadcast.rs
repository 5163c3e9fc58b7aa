//! Broadcast, the leader's side: propose, count acknowledgements, commit in order
//! (`quorum-protocol.md` 3.8).
//!
//! A proposal's packet is built once; all followers share its bytes. The own log is one voter among
//! others: its acknowledgement counts when it is durable, and a proposal may be committed before. How
//! far the leader may run ahead of its own disk is limited (`limits`, `liveness`).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use rookeeper_proto::Zxid;
use rookeeper_proto::quorum::{PacketType, QuorumPacket};

use super::synchronization::proposal;
use super::{Drop, Leader, Outstanding, Phase, Stage};
use crate::core::{Core, planted};
use crate::effects::{Conn, Effect, Effects, ServingRole};
use crate::leave::{Leave, Step};
use crate::limits;
use crate::quorum::oracle;
use crate::record::TxnRecord;
use crate::time::Instant;

/// Why nothing can be proposed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProposeError {
    /// This server is not an established leader.
    NotLeading,
    /// The zxid is not the one `next_zxid` gave.
    WrongZxid,
    /// A limit is reached: too many proposals without a quorum, or the own log is too far behind, or
    /// the epoch's counter is used up, or a reconfig is under way. Try again when something was committed.
    Full,
}

impl fmt::Display for ProposeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotLeading => "this server is not an established leader",
            Self::WrongZxid => "the proposal's zxid is not the next one",
            Self::Full => "too many proposals are outstanding, or a reconfig",
        })
    }
}

impl std::error::Error for ProposeError {}

impl Leader {
    /// The zxid of the next proposal.
    pub(crate) fn next_zxid(&self, core: &Core) -> Result<Zxid, ProposeError> {
        if self.phase != Phase::Broadcasting {
            return Err(ProposeError::NotLeading);
        }
        // What is proposed behind a reconfig has to be acknowledged by those who know that it is in force.
        let is_full = self.outstanding.back().is_some_and(|last| last.config.is_some())
            || self.outstanding.len() >= limits::OUTSTANDING_PROPOSALS
            || core.store.unsynced_bytes() >= limits::RUN_AHEAD_BYTES
            || self.proposed.counter() >= core.settings.counter_max;
        if is_full { Err(ProposeError::Full) } else { Ok(self.proposed.next()) }
    }

    pub(crate) fn propose(
        &mut self,
        now: Instant,
        core: &mut Core,
        record: TxnRecord,
        fx: &mut Effects,
    ) -> Result<(), ProposeError> {
        if self.next_zxid(core)? != record.zxid {
            return Err(ProposeError::WrongZxid);
        }
        let config = record.config();
        if let Some(config) = &config {
            core.see_config(Arc::clone(config), fx);
            self.joint = core.joint();
        }
        self.proposed = record.zxid;
        core.append(now, record.clone(), fx);
        let packet = proposal(PacketType::Proposal, &record);
        let followers = self.learners.values_mut().filter(|l| l.is_forwarding() && !l.is_observer);
        let conns: Vec<Conn> = followers
            .map(|learner| {
                learner.await_ack(now, record.zxid);
                learner.conn
            })
            .collect();
        for conn in conns {
            self.send(conn, packet.clone(), fx);
        }
        let joint = self.joint.clone();
        self.outstanding.push_back(Outstanding { record, config, joint, acks: BTreeSet::new() });
        Ok(())
    }

    /// An ACK of a learner: of NEWLEADER, or of a proposal.
    pub(super) fn on_ack(
        &mut self,
        _now: Instant,
        core: &Core,
        conn: Conn,
        zxid: Zxid,
        _fx: &mut Effects,
    ) -> Result<(), Drop> {
        let Some(learner) = self.learners.get_mut(&conn) else { return Ok(()) };
        if zxid.counter() == 0 {
            if learner.stage == Stage::AwaitLeaderAck {
                if zxid != Zxid::new(self.epoch, 0) {
                    return Err(format!("ACK {zxid} for NEWLEADER of epoch {}", self.epoch));
                }
                learner.stage = Stage::AwaitStart;
                learner.deadline = None;
                if self.joint.is_voter(learner.sid) {
                    self.leader_acks.insert(learner.sid);
                }
            }
            return Ok(());
        }
        learner.on_ack(zxid);
        let (sid, is_observer) = (learner.sid, learner.is_observer);
        if !is_observer {
            self.count(core, sid, zxid);
        }
        Ok(())
    }

    /// Counts `sid` for proposal `zxid`. Proposals of one epoch are numbered without holes.
    fn count(&mut self, _core: &Core, sid: rookeeper_proto::Sid, zxid: Zxid) {
        let Some(first) = self.outstanding.front().map(|o| o.record.zxid) else { return };
        let at = zxid.0.checked_sub(first.0).and_then(|at| usize::try_from(at).ok());
        if let Some(entry) = at.and_then(|at| self.outstanding.get_mut(at))
            && entry.joint.is_voter(sid)
        {
            entry.acks.insert(sid);
        }
    }

    /// The own log made progress.
    pub(super) fn ack_own(&mut self, core: &Core) {
        let (sid, durable) = (core.sid(), core.store.durable());
        let fresh = self.own_acked;
        let begin = self.outstanding.partition_point(|entry| entry.record.zxid <= fresh);
        for entry in self.outstanding.range_mut(begin..) {
            if durable < entry.record.zxid {
                break;
            }
            if entry.joint.is_voter(sid) {
                entry.acks.insert(sid);
            }
        }
        self.own_acked = durable;
    }

    /// Commits what has its quorum, in order.
    pub(super) fn try_commit(&mut self, core: &mut Core, fx: &mut Effects) -> Step {
        let mut last = None;
        while let Some(first) = self.outstanding.front() {
            let is_committed = oracle::is_quorum(&first.joint, &first.acks, self.oracle(core))
                || planted!(core, CommitWithoutQuorum) && !first.acks.is_empty();
            if !is_committed {
                break;
            }
            let Some(entry) = self.outstanding.pop_front() else { break };
            last = Some(entry.record.zxid);
            if let Some(config) = entry.config.clone() {
                self.commit_config(core, &entry, config, fx)?;
            } else {
                self.tell_committed(&entry.record, fx);
            }
            // Behind the commit it waits for, and before the next: a learner holds what its session
            // sent behind the sync until it is answered.
            self.release_syncs(entry.record.zxid, fx);
        }
        if let Some(zxid) = last {
            core.commit_up_to(zxid, fx);
        }
        Ok(())
    }

    fn tell_committed(&mut self, record: &TxnRecord, fx: &mut Effects) {
        let commit = QuorumPacket::bare(PacketType::Commit, record.zxid).to_bytes().into();
        self.tell(&commit, || proposal(PacketType::Inform, record), fx);
    }

    /// Sends one packet to all forwarding followers and another to all observers.
    ///
    /// A follower that does not serve yet gets its commits behind UPTODATE: Java before 3.9.3 forgets
    /// its queue of proposals at NEWLEADER, fails on a COMMIT for one of them, and begins again with
    /// the same proposals logged twice (ZOOKEEPER-4394).
    pub(super) fn tell(
        &mut self,
        to_followers: &Bytes,
        to_observers: impl FnOnce() -> Bytes,
        fx: &mut Effects,
    ) {
        let mut list: Vec<(Conn, bool)> = Vec::new();
        let mut overfull: Vec<Conn> = Vec::new();
        for learner in self.learners.values_mut().filter(|l| l.is_forwarding()) {
            if learner.stage == Stage::Serving || learner.is_observer {
                list.push((learner.conn, learner.is_observer));
            } else if !learner.hold(to_followers) {
                overfull.push(learner.conn);
            }
        }
        for conn in overfull {
            self.drop_learner(conn, "too many commits wait until it serves", fx);
        }
        let has_observer = list.iter().any(|(_, is_observer)| *is_observer);
        let inform = if has_observer { to_observers() } else { Bytes::new() };
        for (conn, is_observer) in list {
            self.send(conn, if is_observer { inform.clone() } else { to_followers.clone() }, fx);
        }
    }

    /// Becomes the established leader once a quorum has accepted it, and lets learners serve.
    pub(super) fn check_leader_acks(&mut self, now: Instant, core: &mut Core, fx: &mut Effects) {
        if self.phase == Phase::Synchronizing
            && oracle::is_quorum(&self.joint, &self.leader_acks, self.oracle(core))
        {
            self.phase = Phase::Broadcasting;
            self.deadline = None;
            core.activate_config(core.last_seen.clone(), fx);
            self.joint = core.joint();
            core.commit_up_to(self.summary.1, fx);
            let is_state_replaced = std::mem::take(&mut core.is_state_replaced);
            let (role, leader, epoch) = (ServingRole::Leading, core.sid(), self.epoch);
            fx.push(Effect::StartServing { role, leader, epoch, is_state_replaced });
        }
        if self.phase != Phase::Broadcasting {
            return;
        }
        self.learners.start_ready(now, core, fx);
    }

    /// The counter must not run out: commit what is there, then make room for a new epoch.
    pub(super) fn check_exhausted(&self, core: &Core) -> Step {
        let is_exhausted = self.proposed.counter() >= core.settings.counter_max;
        if self.phase == Phase::Broadcasting && is_exhausted && self.outstanding.is_empty() {
            return Err(Leave::new("the zxid counter is used up; a new epoch is needed"));
        }
        Ok(())
    }

    /// Answers a learner's sync, behind the commit of everything proposed so far.
    pub(crate) fn sync_for(&mut self, conn: Conn, fx: &mut Effects) {
        if self.outstanding.is_empty() {
            self.learners.send_sync(conn, fx);
        } else {
            self.syncs.push_back((self.proposed, conn));
        }
    }

    fn release_syncs(&mut self, committed: Zxid, fx: &mut Effects) {
        while let Some((_, conn)) = self.syncs.front().copied().filter(|(z, _)| *z <= committed) {
            self.syncs.pop_front();
            self.learners.send_sync(conn, fx);
        }
    }
}
