//! A member of an ensemble: a [`Replica`] and a [`Peer`] that agree.
//!
//! The peer decides who leads, what is appended and what is committed; the replica prepares, applies
//! and answers. This module passes their words to each other and hands the rest out: network and
//! files as [`IoEffect`], storage in order as [`crate::LogCommand`] through the replica's log work.
//!
//! The shell feeds clients' frames to the replica ([`Member::replica_mut`]) and everything of the
//! ensemble's ports to the `on_*` methods here, then calls [`Member::pump`] once per turn: proposals of
//! the turn leave together, behind the reads of the turn.
//!
//! Not here: who counts, when to elect, what a packet means (`zab`); what a txn does (`tree`).

mod carry;
mod figures;
mod io;
mod leading;
mod learning;
mod quiet;
mod read_only;
mod relaying;
mod transfer;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use rookeeper_proto::{Sid, Zxid};
use rookeeper_tree::{DataTree, TreeOptions};
use rookeeper_zab::quorum::oracle::Oracle;
use rookeeper_zab::{Conn, Effects, HistoryAnswer, Instant, Peer};

pub use figures::{MemberFigures, ProposalSizes, QuorumStats};
pub use io::IoEffect;

use crate::clock::Now;
use crate::ordering::EpochFile;
use crate::outbox::Outbox;
use crate::replica::Replica;
use figures::Observed;
use relaying::Claims;
use transfer::{Incoming, Outgoing};

/// See the module.
#[derive(Debug)]
pub struct Member {
    replica: Replica,
    peer: Peer,
    fx: Effects,
    io: Vec<IoEffect>,
    options: TreeOptions,
    /// A snapshot on its way in.
    incoming: Option<Incoming>,
    /// Snapshots on their way out, by learner.
    outgoing: BTreeMap<Conn, Outgoing>,
    /// Prepared and not proposed yet.
    proposals: VecDeque<(Zxid, Bytes)>,
    /// Learners' syncs, and the last txn prepared before each.
    waiting_syncs: VecDeque<(Zxid, Conn)>,
    claims: Claims,
    next_touches_ms: u64,
    /// When it began to look for a leader, if it does.
    looking_since_ms: Option<u64>,
    /// The epoch in which it serves or served last.
    serving_epoch: u32,
    /// When the leader's last packet arrived, on a learner.
    leader_heard_ms: u64,
    /// The last turn.
    pumped_ms: u64,
    /// Largest field of a snapshot that is accepted from a leader.
    max_item_bytes: usize,
    observed: Observed,
}

/// A member that has done nothing for so long may have been away; more often it had nothing to do, and
/// then a look at the time costs nothing.
const AWAY_MS: u64 = 50;

fn at(now: Now) -> Instant {
    Instant(now.mono_us)
}

impl Member {
    /// Joins a replica (in role `Looking`) and a peer that was just started with these effects.
    /// `options` are for trees received from a leader.
    pub fn new(
        replica: Replica,
        peer: Peer,
        started: Effects,
        options: TreeOptions,
        max_item_bytes: usize,
    ) -> Self {
        Self {
            replica,
            peer,
            fx: started,
            io: Vec::new(),
            options,
            incoming: None,
            outgoing: BTreeMap::new(),
            proposals: VecDeque::new(),
            waiting_syncs: VecDeque::new(),
            claims: Claims::default(),
            next_touches_ms: 0,
            looking_since_ms: None,
            serving_epoch: 0,
            leader_heard_ms: 0,
            pumped_ms: u64::MAX,
            max_item_bytes,
            observed: Observed::new(),
        }
    }

    /// The replica, for clients' frames and for figures.
    pub fn replica_mut(&mut self) -> &mut Replica {
        &mut self.replica
    }

    /// The replica.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Leader: writes prepared that cannot be proposed before something is committed.
    pub fn held_writes(&self) -> usize {
        self.proposals.len()
    }

    /// The peer.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What monitoring words tell of it.
    pub fn figures(&self, now: Now) -> MemberFigures {
        MemberFigures {
            state: self.peer.state(),
            peer: self.peer.figures(),
            serving_ms: now.mono_ms().saturating_sub(self.observed.serving_since_ms()),
            membership: self.peer.config().to_string(),
        }
    }

    /// Takes what is to be done outside, in order.
    pub fn take_io(&mut self) -> Vec<IoEffect> {
        std::mem::take(&mut self.io)
    }

    /// To be called before a client's frames. If the process has stood still for a while (SIGSTOP, a
    /// machine that swaps), time comes before what has arrived meanwhile: a leader that was deposed
    /// finds that out before it tells a client anything, such as that its session does not exist.
    pub fn catch_up(&mut self, now: Now, outbox: &mut impl Outbox) {
        if self.pumped_ms.saturating_add(AWAY_MS) <= now.mono_ms() {
            self.tick(now, outbox);
        }
    }

    /// Passes on what the turn brought: proposals, forwarded requests, touched sessions. Then carries
    /// out whatever follows from it.
    pub fn pump(&mut self, now: Now, outbox: &mut impl Outbox) {
        self.pumped_ms = now.mono_ms();
        self.propose_all(now);
        self.forward_all(now);
        self.tell_touches(now);
        self.carry_all(now, outbox);
        self.stream_snapshots(now, outbox);
        self.replica.let_go_overdue(now, outbox);
        self.try_read_only(now, outbox);
        self.tell_membership();
        self.observed.look(now, &self.peer, &mut self.replica.stats.quorum);
    }

    /// Milliseconds of the monotonic clock at which [`Member::tick`] is wanted.
    pub fn next_deadline_us(&self) -> u64 {
        let peer = self.peer.next_deadline().map_or(u64::MAX, |at| at.0);
        let replica_ms = self.replica.next_deadline_ms();
        let replica_ms = replica_ms.min(self.read_only_due_ms().unwrap_or(u64::MAX));
        peer.min(replica_ms.saturating_mul(1000))
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Now, outbox: &mut impl Outbox) {
        // The peer first: whoever leads no more has no session to expire.
        if self.peer.next_deadline().is_some_and(|due| due <= at(now)) {
            self.peer.on_time(at(now), &mut self.fx);
            self.carry_all(now, outbox);
        }
        self.replica.tick(now, outbox);
        self.pump(now, outbox);
    }

    /// The oracle of two servers says this from now on.
    pub fn set_oracle(&mut self, said: Oracle) {
        self.peer.set_oracle(said);
    }

    // ---- the ports -----------------------------------------------------------------------------

    /// A dial of the election port succeeded.
    pub fn on_election_connected(&mut self, now: Now, sid: Sid, conn: Conn) {
        self.peer.on_election_connected(at(now), sid, conn, &mut self.fx);
    }

    /// A dial of the election port failed.
    pub fn on_election_connect_failed(&mut self, now: Now, sid: Sid) {
        self.peer.on_election_connect_failed(at(now), sid, &mut self.fx);
    }

    /// Somebody connected to the election port.
    pub fn on_election_accepted(&mut self, now: Now, conn: Conn) {
        self.peer.on_election_accepted(at(now), conn, &mut self.fx);
    }

    /// Bytes on an election connection.
    pub fn on_election_bytes(&mut self, now: Now, conn: Conn, bytes: &[u8]) {
        self.peer.on_election_bytes(at(now), conn, bytes, &mut self.fx);
    }

    /// Everything sent on an election connection has left.
    pub fn on_election_drained(&mut self, now: Now, conn: Conn) {
        self.peer.on_election_drained(at(now), conn, &mut self.fx);
    }

    /// An election connection is gone.
    pub fn on_election_closed(&mut self, now: Now, conn: Conn) {
        self.peer.on_election_closed(at(now), conn, &mut self.fx);
    }

    /// The dial of the leader succeeded.
    pub fn on_leader_connected(&mut self, now: Now, conn: Conn) {
        self.peer.on_leader_connected(at(now), conn, &mut self.fx);
    }

    /// The dial of the leader failed.
    pub fn on_leader_connect_failed(&mut self, now: Now) {
        self.peer.on_leader_connect_failed(at(now), &mut self.fx);
    }

    /// Somebody connected to the quorum port, or to that for observers.
    pub fn on_learner_accepted(&mut self, now: Now, conn: Conn) {
        self.peer.on_learner_accepted(at(now), conn, &mut self.fx);
    }

    /// Bytes on a quorum connection.
    pub fn on_quorum_bytes(
        &mut self,
        now: Now,
        conn: Conn,
        bytes: &[u8],
        outbox: &mut impl Outbox,
    ) {
        if self.replica.role().is_learner() && !self.is_from_observer(conn) {
            self.leader_heard_ms = now.mono_ms();
        }
        self.peer.on_quorum_bytes(at(now), conn, bytes, &mut self.fx);
        // What came may be committed txns: applied at once, so that nothing piles up.
        self.carry_all(now, outbox);
    }

    /// Everything sent on a quorum connection has left.
    pub fn on_quorum_drained(&mut self, now: Now, conn: Conn) {
        if let Some(outgoing) = self.outgoing.get_mut(&conn) {
            outgoing.is_drained = true;
        }
        self.peer.on_quorum_drained(at(now), conn, &mut self.fx);
    }

    /// A quorum connection is gone.
    pub fn on_quorum_closed(&mut self, now: Now, conn: Conn) {
        self.cancel_snapshot(conn);
        self.claims.forget(conn);
        self.peer.on_quorum_closed(at(now), conn, &mut self.fx);
    }

    // ---- the disk ------------------------------------------------------------------------------

    /// Records up to `zxid` are durable.
    pub fn on_durable(&mut self, now: Now, zxid: Zxid) {
        self.peer.on_durable(at(now), zxid, &mut self.fx);
    }

    /// An epoch file is written.
    pub fn on_epoch_written(&mut self, now: Now, file: EpochFile, epoch: u32) {
        match file {
            EpochFile::Accepted => {
                self.peer.on_accepted_epoch_written(at(now), epoch, &mut self.fx);
            }
            EpochFile::Current => self.peer.on_current_epoch_written(at(now), epoch, &mut self.fx),
        }
    }

    /// The log is cut, or (`is_done` false) could not be, and nothing was changed. `reloaded` is the
    /// tree as the directory holds it now, if that was asked for.
    pub fn on_truncated(&mut self, now: Now, is_done: bool, reloaded: Option<DataTree>) {
        self.replica.on_state_replaced();
        if let Some(tree) = reloaded {
            self.replica.replace_tree(tree);
        }
        self.peer.on_truncated(at(now), is_done, &mut self.fx);
        if is_done {
            // Not before: a log that could not be cut still holds it, and may be what a quorum elects.
            self.replica.ordering.drop_beyond(self.peer.store().durable());
        }
    }

    /// The received state is durable.
    pub fn on_installed(&mut self, now: Now) {
        self.replica.on_state_replaced();
        self.peer.on_snapshot_installed(at(now), &mut self.fx);
    }

    /// Everything is set aside.
    pub fn on_set_aside(&mut self, now: Now) {
        self.replica.on_state_replaced();
        self.replica.replace_tree(DataTree::new(self.options));
        self.replica.ordering.drop_all();
        self.peer.on_quarantined(at(now), &mut self.fx);
    }

    /// What the log holds for a learner.
    pub fn on_history(&mut self, now: Now, conn: Conn, answer: HistoryAnswer) {
        self.peer.on_history(at(now), conn, answer, &mut self.fx);
    }
}
