//! Synchronisation, the leader's side: what one learner needs to hold the leader's history
//! (`quorum-protocol.md` 3.5, corrected by 7.3).
//!
//! A *point* is a zxid at which the leader's log has a record, or the snapshot it builds upon. Let P
//! be where the learner's log ends and E the end of what counts as committed (before this leader is
//! established, its whole log). First match:
//!
//! | P | action |
//! | --- | --- |
//! | unknown | SNAP |
//! | a point, at most E | DIFF, records after P |
//! | (e, 0), and the log goes on with (e, 1) | DIFF, records from there |
//! | behind a point F of the same epoch | TRUNC to F, records after F |
//! | an outstanding proposal of this very epoch | TRUNC to E, then the proposals again |
//! | anything else | SNAP, labelled with a zxid not before P |
//!
//! Differs from Java: a learner ahead in an epoch that died is never cut across epochs, and never gets
//! a snapshot labelled older than what it holds; (e, 0) gets a DIFF only if epoch e was established.
//!
//! Records come from memory, older ones from the log, in slices, each after the one before has left. With
//! the last slice, which comes from memory, the outstanding proposals and NEWLEADER are queued, and the learner
//! joins the stream of new proposals. So there is no gap, no overlap, and nothing waits in memory while a
//! snapshot is on its way but what the window of the newest records holds: it is longer while somebody is being
//! brought up to it ([`crate::limits::HISTORY_BYTES`]). From NEWLEADER on a learner has `initLimit` to answer, so
//! little may be on its way in front of it.

use bytes::Bytes;
use rookeeper_proto::quorum::{PacketType, QuorumPacket};
use rookeeper_proto::{JuteWrite, Zxid};

use super::handle::{Sync, SyncKind};
use super::{Leader, Learners, Phase, Stage};
use crate::core::{Core, planted};
use crate::effects::{Conn, Effect, Effects};
use crate::learner::SNAPSHOT_SIGNATURE;
use crate::limits;
use crate::record::TxnRecord;
use crate::time::Instant;

/// What a read of the log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryAnswer {
    /// Contiguous records.
    Records {
        /// The last point of the log not after the zxid asked for: a record, or the zxid of a snapshot
        /// the log builds upon without a gap.
        prev: Zxid,
        /// The records that follow `prev`; at least one if there is any.
        records: Vec<TxnRecord>,
    },
    /// The log does not reach back that far, or reading it would cost more than a snapshot.
    Unavailable,
}

/// What to do for a learner, decided from a point of the log and what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    Diff,
    Trunc,
    Snap,
}

/// What learners are brought to: whose epoch it is, and how much of this server's log counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) epoch: u32,
    /// Whether a quorum holds the epoch's initial history.
    pub(crate) is_established: bool,
    /// The end of what learners may take for committed.
    pub(crate) end: Zxid,
    /// The end of the epoch's initial history; looked at only while nothing behind it is committed.
    pub(crate) initial: Zxid,
}

/// What the log holds for a learner.
struct Found {
    /// The last point not after the end of the learner's log.
    point: Zxid,
    /// The record behind it.
    next: Option<Zxid>,
    /// What was read from the disk, if it was asked.
    records: Vec<TxnRecord>,
}

impl Leader {
    pub(super) fn terms(&self, core: &Core) -> Terms {
        let is_established = self.phase == Phase::Broadcasting;
        let end = if is_established { core.commit } else { core.history.last() };
        Terms { epoch: self.epoch, is_established, end, initial: self.summary.1 }
    }

    /// Starts to bring a learner up to date.
    pub(super) fn synchronize(
        &mut self,
        now: Instant,
        core: &mut Core,
        conn: Conn,
        fx: &mut Effects,
    ) {
        let Some(sid) = self.learners.get(&conn).map(|l| l.sid) else { return };
        // What it holds behind `end` is cut off and proposed again. Its acknowledgements from before, on
        // another connection, would make a quorum of logs that hold it no more.
        for entry in &mut self.outstanding {
            entry.acks.remove(&sid);
        }
        let terms = self.terms(core);
        self.learners.synchronize(now, core, &terms, conn, fx);
    }
}

impl Terms {
    fn plan(&self, last: Zxid, point: Zxid, next: Option<Zxid>) -> Plan {
        let is_own_epoch = last.epoch() == i64::from(self.epoch) && self.is_established;
        if last == point {
            Plan::Diff
        } else if last.counter() == 0 && 0 < last.epoch() {
            // The start of an epoch: the same as the point before its first record, if it has one; of
            // this epoch it is known to be so.
            let goes_on = next.is_some_and(|next| next.epoch() == last.epoch());
            let is_initial = is_own_epoch && point == self.initial;
            if goes_on || is_initial { Plan::Diff } else { Plan::Snap }
        } else if is_own_epoch && point == self.end
            || last.epoch() == point.epoch() && 0 < point.counter()
        {
            Plan::Trunc
        } else {
            Plan::Snap
        }
    }
}

impl Learners {
    /// Starts to bring a learner up to date.
    pub(crate) fn synchronize(
        &mut self,
        now: Instant,
        core: &mut Core,
        terms: &Terms,
        conn: Conn,
        fx: &mut Effects,
    ) {
        let Some(learner) = self.get_mut(&conn) else { return };
        learner.deadline = Some(now + core.settings.init_time());
        let last = learner.last;
        core.history.set_awaited(true);
        if last == Zxid::UNKNOWN {
            return self.capture(core, terms, conn, fx);
        }
        match core.history.floor(last.min(terms.end)) {
            Some(point) => {
                let next = core.history.after(point).next().map(|record| record.zxid);
                let found = Found { point, next, records: Vec::new() };
                self.carry_out(now, core, terms, conn, found, fx);
            }
            // Where memory begins with the start of an epoch, a snapshot says so, and no record of the log
            // can prove that nothing is missing before it.
            None if core.history.base().counter() == 0 => self.capture(core, terms, conn, fx),
            None => {
                learner.stage = Stage::Synchronizing(Sync::Deciding);
                let through = core.history.base();
                fx.push(Effect::ReadHistory { conn, after: last, through });
            }
        }
    }

    /// Sends DIFF or TRUNC and the records behind the point, or turns to a snapshot.
    fn carry_out(
        &mut self,
        now: Instant,
        core: &mut Core,
        terms: &Terms,
        conn: Conn,
        found: Found,
        fx: &mut Effects,
    ) {
        let Found { point, next, records } = found;
        let Some((sid, last)) = self.get(&conn).map(|l| (l.sid, l.last)) else { return };
        let (how, kind, zxid) = match terms.plan(last, point, next) {
            Plan::Diff => ("DIFF", PacketType::Diff, terms.end),
            Plan::Trunc if planted!(core, TruncOffByOne) => {
                ("TRUNC", PacketType::Trunc, point.next().min(last))
            }
            Plan::Trunc => ("TRUNC", PacketType::Trunc, point),
            Plan::Snap => return self.capture(core, terms, conn, fx),
        };
        if !self.admit(core, conn, SyncKind::Log, fx) {
            return;
        }
        fx.note(format!("server {sid}, whose log ends at {last}, gets {how} {zxid}"));
        core.synced_from_log += 1;
        self.send_packet(conn, &QuorumPacket::bare(kind, zxid), fx);
        if planted!(core, NewLeaderBeforeSync) {
            self.send_new_leader(core, terms, conn, fx);
        }
        self.send_records(now, core, terms, conn, point, records, fx);
    }

    /// Sends a slice read from the log, or what memory holds behind `after`.
    fn send_records(
        &mut self,
        now: Instant,
        core: &mut Core,
        terms: &Terms,
        conn: Conn,
        after: Zxid,
        records: Vec<TxnRecord>,
        fx: &mut Effects,
    ) {
        let mut after = after;
        for record in records {
            self.send_committed(conn, &record, fx);
            after = record.zxid;
        }
        let Some(learner) = self.get_mut(&conn) else { return };
        learner.stage = Stage::Synchronizing(Sync::Draining(after));
        if learner.unsent == 0 || core.history.base() <= after {
            self.continue_history(now, core, terms, conn, fx);
        }
    }

    /// Takes the next slice, once the one before has left.
    fn continue_history(
        &mut self,
        now: Instant,
        core: &mut Core,
        terms: &Terms,
        conn: Conn,
        fx: &mut Effects,
    ) {
        let end = terms.end;
        let Some(learner) = self.get_mut(&conn) else { return };
        let Stage::Synchronizing(Sync::Draining(after)) = learner.stage else { return };
        let base = core.history.base();
        if after < base {
            learner.stage = Stage::Synchronizing(Sync::Reading(after));
            fx.push(Effect::ReadHistory { conn, after, through: base });
            return;
        }
        let is_observer = learner.is_observer;
        let (records, has_more) = core.history.slice(after, limits::HISTORY_READ_BYTES, end);
        if has_more {
            for record in &records {
                self.send_committed(conn, record, fx);
            }
            let sent = records.last().map_or(after, |record| record.zxid);
            if let Some(learner) = self.get_mut(&conn) {
                learner.stage = Stage::Synchronizing(Sync::Draining(sent));
            }
            return;
        }
        for record in records {
            if record.zxid <= end {
                self.send_committed(conn, &record, fx);
            } else if !is_observer {
                self.send(conn, proposal(PacketType::Proposal, &record), fx);
            }
        }
        if !planted!(core, NewLeaderBeforeSync) {
            self.send_new_leader(core, terms, conn, fx);
        }
        if let Some(learner) = self.get_mut(&conn) {
            learner.stage = Stage::AwaitLeaderAck;
            learner.deadline = Some(now + core.settings.init_time());
        }
        core.history.set_awaited(self.is_anyone_behind());
    }

    fn send_committed(&mut self, conn: Conn, record: &TxnRecord, fx: &mut Effects) {
        self.send(conn, proposal(PacketType::Proposal, record), fx);
        self.send_packet(conn, &QuorumPacket::bare(PacketType::Commit, record.zxid), fx);
    }

    fn send_new_leader(&mut self, core: &Core, terms: &Terms, conn: Conn, fx: &mut Effects) {
        // Who leads gives what it has seen last to those who establish it, and it comes into force with them.
        // Later, what is only proposed is not for a learner to put into force: it comes as a proposal.
        let config = if terms.is_established { &core.committed } else { &core.last_seen };
        let text = config.to_string();
        let zxid = Zxid::new(terms.epoch, 0);
        let packet = QuorumPacket::with_data(PacketType::NewLeader, zxid, text.as_bytes());
        self.send_packet(conn, &packet, fx);
    }

    /// Everything handed out for the connection has left.
    pub(crate) fn on_drained(
        &mut self,
        now: Instant,
        core: &mut Core,
        terms: &Terms,
        conn: Conn,
        fx: &mut Effects,
    ) {
        let Some(learner) = self.get_mut(&conn) else { return };
        learner.unsent = 0;
        if matches!(learner.stage, Stage::Synchronizing(_)) {
            learner.deadline = Some(now + core.settings.init_time());
            self.continue_history(now, core, terms, conn, fx);
        }
    }

    /// The driver has read the log for a learner.
    pub(crate) fn on_history(
        &mut self,
        now: Instant,
        core: &mut Core,
        terms: &Terms,
        conn: Conn,
        answer: HistoryAnswer,
        fx: &mut Effects,
    ) {
        let Some(learner) = self.get_mut(&conn) else { return };
        let stage = learner.stage;
        learner.deadline = Some(now + core.settings.init_time());
        match (stage, answer) {
            (Stage::Synchronizing(Sync::Deciding), HistoryAnswer::Records { prev, records }) => {
                let next = records.first().map(|record| record.zxid);
                let found = Found { point: prev, next, records };
                self.carry_out(now, core, terms, conn, found, fx);
            }
            (
                Stage::Synchronizing(Sync::Reading(after)),
                HistoryAnswer::Records { prev, records },
            ) if prev == after && !records.is_empty() => {
                self.send_records(now, core, terms, conn, after, records, fx);
            }
            (Stage::Synchronizing(Sync::Deciding), HistoryAnswer::Unavailable) => {
                self.capture(core, terms, conn, fx);
            }
            (Stage::Synchronizing(Sync::Reading(_)), _) => {
                // Too late for a snapshot on this connection: the learner will come back.
                self.drop_learner(conn, "the log it needs is gone", fx);
            }
            _ => {}
        }
    }

    fn capture(&mut self, core: &Core, terms: &Terms, conn: Conn, fx: &mut Effects) {
        if !self.admit(core, conn, SyncKind::Snapshot, fx) {
            return;
        }
        if let Some(learner) = self.get_mut(&conn) {
            learner.stage = Stage::Synchronizing(Sync::Capturing);
            fx.push(Effect::TakeSnapshot { conn, through: terms.end });
        }
    }

    /// The driver has captured the state as of `zxid`.
    pub(crate) fn on_snapshot_taken(
        &mut self,
        now: Instant,
        core: &Core,
        terms: &Terms,
        conn: Conn,
        zxid: Zxid,
        fx: &mut Effects,
    ) {
        let Some(learner) = self.get_mut(&conn) else { return };
        if learner.stage != Stage::Synchronizing(Sync::Capturing) {
            return;
        }
        learner.deadline = Some(now + core.settings.init_time());
        learner.stage = Stage::Synchronizing(Sync::Streaming(zxid));
        let (sid, last) = (learner.sid, learner.last);
        fx.note(format!("server {sid}, whose log ends at {last}, gets SNAP {zxid}"));
        // A label older than what the learner holds would leave its old log in force after a restart.
        let label = if zxid < learner.last { Zxid::new(terms.epoch, 0) } else { zxid };
        self.send_packet(conn, &QuorumPacket::bare(PacketType::Snap, label), fx);
        fx.push(Effect::StreamSnapshot { conn });
    }

    /// The captured state has been handed to the connection.
    pub(crate) fn on_snapshot_sent(
        &mut self,
        now: Instant,
        core: &mut Core,
        terms: &Terms,
        conn: Conn,
        fx: &mut Effects,
    ) {
        let Some(learner) = self.get(&conn) else { return };
        let Stage::Synchronizing(Sync::Streaming(zxid)) = learner.stage else { return };
        let mut signature = Vec::new();
        signature.put_str(SNAPSHOT_SIGNATURE);
        self.send(conn, signature.into(), fx);
        self.send_records(now, core, terms, conn, zxid, Vec::new(), fx);
    }
}

/// The packet that carries a txn.
pub(crate) fn proposal(kind: PacketType, record: &TxnRecord) -> Bytes {
    QuorumPacket::with_data(kind, record.zxid, &record.bytes).to_bytes().into()
}
