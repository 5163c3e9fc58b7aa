//! One server of an ensemble: looks for a leader, becomes one or follows one, looks again.
//!
//! Guarantees: a role ends by value, with its connections; the next one starts only when every
//! storage effect of the last has been reported, so that no late report can be taken for a new one
//! and a vote never names more than is durable. Inputs for connections of an old role are ignored,
//! because connections are never named twice.
//!
//! Who is answered on the election port with what, and the gossip of configurations, live here as
//! well (`quorum-protocol.md` 2.1, 2.2, 2.7); the election itself does not.
//!
//! Differs from Java: a LOOKING server answers the first vote it hears from a peer in an election,
//! because the peer may not have been LOOKING when this server's vote came; an election starts
//! without the pauses that this costs otherwise.

mod figures;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use rookeeper_proto::quorum::{ForwardedBody, Notification, ServerState};
use rookeeper_proto::{Id, SessionId, Sid, Zxid};

use crate::core::{Core, Settings, planted};
use crate::effects::{Conn, Effect, Effects};
use crate::election::messenger::{Directory, Messenger};
use crate::election::{Election, Step as ElectionStep, Surroundings, Vote};
use crate::ensemble::{Address, EnsembleConfig};
use crate::history::History;
use crate::leader::{HistoryAnswer, Leader, ProposeError};
use crate::learner::{Learner, NotServing};
use crate::leave::{Leave, Step};
use crate::quorum::oracle::Oracle;
use crate::record::TxnRecord;
use crate::store::Store;
use crate::time::Instant;

pub use figures::{Figures, ZabPhase};

/// What a server finds on its disk and in its configuration when it starts.
#[derive(Debug, Clone)]
pub struct Start {
    /// The fixed part of its configuration.
    pub settings: Settings,
    /// Where its election port can be reached while no configuration names it (a server that joins).
    pub election_addresses: Vec<Address>,
    /// Members in force.
    pub committed: Arc<EnsembleConfig>,
    /// The newest members seen; the same unless a reconfig was under way.
    pub last_seen: Arc<EnsembleConfig>,
    /// Content of the file.
    pub accepted_epoch: u32,
    /// Content of the file.
    pub current_epoch: u32,
    /// End of the log (or of the snapshot, without one); [`Zxid::UNKNOWN`] after a quarantine, and
    /// for an empty directory that may not vote.
    pub last: Zxid,
    /// The newest records of the log, contiguous, ending with `last`.
    pub recent: Vec<TxnRecord>,
    /// The point before the first of them: a record, or the snapshot the log builds upon.
    pub base: Zxid,
}

/// A data directory that must not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartError(String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

#[derive(Debug)]
enum Role {
    /// The last role has ended; its storage effects have not all been reported.
    Settling(Leave),
    Looking(Election),
    Learning(Box<Learner>),
    Leading(Box<Leader>),
}

/// See the module and the crate.
#[derive(Debug)]
pub struct Peer {
    core: Core,
    messenger: Messenger,
    role: Role,
    /// The logical clock: counts elections, in memory only.
    round: i64,
    /// Whom this server follows (or is), as it tells others.
    vote: Vote,
    /// What this server last told all voters.
    told: Option<Vote>,
    /// Whom this server has answered in this election.
    answered: BTreeSet<Sid>,
    /// Votes that came while settling.
    early: BTreeMap<Sid, Notification>,
    /// The configuration the messenger works with.
    known: Arc<EnsembleConfig>,
}

impl Peer {
    /// Starts a server; it begins to look for a leader at once.
    ///
    /// # Errors
    /// When the epoch files contradict each other or the log (`storage-format.md` section 4).
    pub fn start(now: Instant, start: Start, fx: &mut Effects) -> Result<Self, StartError> {
        let (accepted, current) = (start.accepted_epoch, start.current_epoch);
        if accepted < current {
            return Err(StartError(format!(
                "acceptedEpoch {accepted} is older than currentEpoch {current}"
            )));
        }
        let mut store = Store::new(accepted, current, start.last);
        let log_epoch = u32::try_from(start.last.epoch()).unwrap_or(0);
        if current < log_epoch {
            // A crash between the log and the file. A record of an epoch proves its whole initial
            // history, so the file may catch up, unless that epoch was never accepted here.
            if accepted < log_epoch {
                return Err(StartError(format!(
                    "the log ends in epoch {log_epoch}, but acceptedEpoch is {accepted}"
                )));
            }
            store.write_current(log_epoch, fx);
        }
        let base = if start.last == Zxid::UNKNOWN { Zxid::ZERO } else { start.base };
        let history = History::new(base, start.recent);
        if start.last != Zxid::UNKNOWN && history.last() != start.last {
            return Err(StartError(format!(
                "the log ends with {}, not with {}",
                history.last(),
                start.last
            )));
        }
        let settings = start.settings;
        let sid = settings.sid;
        let mut addresses = own_addresses(&start.committed, &start.last_seen, sid);
        if addresses.is_empty() {
            addresses = start.election_addresses;
        }
        let messenger = Messenger::new(sid, addresses, settings.is_multi_address);
        let vote = Vote {
            leader: sid,
            zxid: start.last,
            round: -1,
            epoch: i64::from(current),
            state: ServerState::Looking,
            version: 2,
        };
        let mut peer = Self {
            messenger,
            role: Role::Settling(Leave::new("start")),
            round: 0,
            vote,
            told: None,
            answered: BTreeSet::new(),
            early: BTreeMap::new(),
            known: start.committed.clone(),
            core: Core {
                settings,
                committed: start.committed,
                last_seen: start.last_seen,
                store,
                history,
                commit: Zxid::ZERO,
                oracle: Oracle::Absent,
                is_state_replaced: false,
                synced_from_log: 0,
            },
        };
        peer.after(now, fx);
        Ok(peer)
    }

    // ---- what others may know ------------------------------------------------------------------

    /// What this server is doing, as the election port tells it.
    pub fn state(&self) -> ServerState {
        match &self.role {
            Role::Settling(_) | Role::Looking(_) => ServerState::Looking,
            Role::Leading(_) => ServerState::Leading,
            Role::Learning(_) if self.core.is_observer() => ServerState::Observing,
            Role::Learning(_) => ServerState::Following,
        }
    }

    /// The leader it follows or is, while it serves.
    pub fn serving_under(&self) -> Option<(Sid, u32)> {
        match &self.role {
            Role::Learning(learner) => Some((learner.leader(), learner.serving_epoch()?)),
            Role::Leading(leader) => Some((self.core.sid(), leader.serving_epoch()?)),
            _ => None,
        }
    }

    /// The epoch this server leads, or synchronises others to lead, once a quorum has accepted it.
    pub fn leading_epoch(&self) -> Option<u32> {
        match &self.role {
            Role::Leading(leader) => leader.epoch(),
            _ => None,
        }
    }

    /// The vote it tells.
    pub fn vote(&self) -> Vote {
        match &self.role {
            Role::Looking(election) => *election.proposal(),
            _ => self.vote,
        }
    }

    /// The configuration in force.
    pub fn config(&self) -> &Arc<EnsembleConfig> {
        &self.core.committed
    }

    /// The newest configuration seen.
    pub fn last_seen_config(&self) -> &Arc<EnsembleConfig> {
        &self.core.last_seen
    }

    /// Whether the membership may change at run time.
    pub fn is_reconfig_enabled(&self) -> bool {
        self.core.settings.is_reconfig_enabled
    }

    /// Leader: followers in step, with this server. `None` on others.
    pub fn synced_voters(&self) -> Option<BTreeSet<Sid>> {
        match &self.role {
            Role::Leading(leader) if leader.serving_epoch().is_some() => {
                Some(leader.synced(self.core.sid()))
            }
            _ => None,
        }
    }

    /// What the disk is known to hold.
    pub fn store(&self) -> &Store {
        &self.core.store
    }

    /// The last zxid known to be committed.
    pub fn committed_zxid(&self) -> Zxid {
        self.core.commit
    }

    /// When [`Self::on_time`] is wanted next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let role = match &self.role {
            Role::Settling(_) => None,
            Role::Looking(election) => Some(election.next_deadline()),
            Role::Learning(learner) => Some(learner.next_deadline()),
            Role::Leading(leader) => Some(leader.next_deadline()),
        };
        role.into_iter().chain(self.messenger.next_deadline()).min()
    }

    /// Time has passed.
    pub fn on_time(&mut self, now: Instant, fx: &mut Effects) {
        let dir = Directory { committed: &self.core.committed, last_seen: &self.core.last_seen };
        self.messenger.on_time(now, dir, fx);
        let outcome = match &mut self.role {
            Role::Learning(learner) => learner.on_time(now, &self.core, fx),
            Role::Leading(leader) => leader.on_time(now, &mut self.core, fx),
            Role::Looking(_) => {
                self.step_election(now, fx, |election, at| election.on_time(now, at));
                Ok(())
            }
            Role::Settling(_) => Ok(()),
        };
        self.finish(now, outcome, fx);
    }

    /// The oracle's file says something else.
    pub fn set_oracle(&mut self, oracle: Oracle) {
        self.core.oracle = oracle;
    }

    // ---- election port ---------------------------------------------------------------------------

    /// A dial asked for by `ConnectElection` succeeded.
    pub fn on_election_connected(&mut self, now: Instant, sid: Sid, conn: Conn, fx: &mut Effects) {
        self.messenger.on_connected(now, sid, conn, fx);
        self.greet(now, fx);
    }

    /// A dial asked for by `ConnectElection` failed.
    pub fn on_election_connect_failed(&mut self, now: Instant, sid: Sid, _fx: &mut Effects) {
        self.messenger.on_connect_failed(now, sid);
    }

    /// Somebody connected to the election port.
    pub fn on_election_accepted(&mut self, now: Instant, conn: Conn, fx: &mut Effects) {
        self.messenger.on_accepted(now, conn, fx);
    }

    /// Bytes arrived on an election connection.
    pub fn on_election_bytes(&mut self, now: Instant, conn: Conn, bytes: &[u8], fx: &mut Effects) {
        let dir = Directory { committed: &self.core.committed, last_seen: &self.core.last_seen };
        let arrived = self.messenger.on_bytes(now, conn, bytes, dir, fx);
        self.greet(now, fx);
        for (from, frame) in arrived {
            match Notification::read(&frame) {
                Ok(n) => self.on_notification(now, from, n, fx),
                Err(error) => fx.note(format!("vote of server {from} is ignored: {error}")),
            }
        }
        self.after(now, fx);
    }

    /// Everything handed out for an election connection has left.
    pub fn on_election_drained(&mut self, now: Instant, conn: Conn, fx: &mut Effects) {
        self.messenger.on_drained(conn, fx);
        self.greet(now, fx);
    }

    /// An election connection is gone.
    pub fn on_election_closed(&mut self, now: Instant, conn: Conn, fx: &mut Effects) {
        self.messenger.on_closed(now, conn);
        // Perhaps nobody else can be heard any more, and what is there may be decided.
        if matches!(self.role, Role::Looking(_)) {
            self.step_election(now, fx, |election, at| election.check_quorum(now, at));
            self.after(now, fx);
        }
    }

    fn on_notification(&mut self, now: Instant, from: Sid, n: Notification, fx: &mut Effects) {
        self.learn_config(now, &n, fx);
        let joint = self.core.joint();
        if !joint.is_voter(from) {
            if !matches!(self.role, Role::Settling(_)) {
                let reply = Vote { round: self.round, ..self.vote() };
                self.tell(now, from, reply, fx);
            }
            return;
        }
        match &self.role {
            Role::Settling(_) => {
                self.early.insert(from, n);
            }
            Role::Looking(election) => {
                let mine = *election.proposal();
                let is_first = n.round == mine.round && self.answered.insert(from);
                if n.state == ServerState::Looking && (n.round < mine.round || is_first) {
                    self.tell(now, from, mine, fx);
                }
                self.step_election(now, fx, |election, at| election.on_vote(now, from, &n, at));
            }
            _ if n.state == ServerState::Looking => {
                let vote = self.vote;
                self.tell(now, from, vote, fx);
                let is_later = vote.round < n.round;
                let outcome = match &mut self.role {
                    Role::Leading(leader) if is_later => leader.on_deserted(from),
                    Role::Learning(learner) if learner.leader() == from => {
                        learner.on_leader_looking(n.round, vote.round, n.leader)
                    }
                    _ => Ok(()),
                };
                if outcome.is_err() {
                    self.early.insert(from, n);
                    self.finish(now, outcome, fx);
                }
            }
            _ => {}
        }
    }

    /// A LOOKING server adopts a newer configuration; what does not parse is ignored.
    fn learn_config(&mut self, now: Instant, n: &Notification, fx: &mut Effects) {
        let is_looking = matches!(self.role, Role::Looking(_) | Role::Settling(_));
        if !self.core.settings.is_reconfig_enabled || !is_looking {
            return;
        }
        let Some(config) = n.config.as_deref().and_then(|text| EnsembleConfig::parse(text).ok())
        else {
            return;
        };
        if !config.members.is_empty() && self.core.activate_config(config.into(), fx) {
            self.after(now, fx);
        }
    }

    fn tell(&mut self, now: Instant, to: Sid, vote: Vote, fx: &mut Effects) {
        let n = Notification {
            state: self.state(),
            leader: vote.leader,
            zxid: vote.zxid,
            round: vote.round,
            epoch: vote.epoch,
            version: 2,
            config: Some(self.core.committed.to_string()),
        };
        let dir = Directory { committed: &self.core.committed, last_seen: &self.core.last_seen };
        self.messenger.send(now, to, n.to_frame().into(), dir, fx);
    }

    /// Tells the present vote on new connections.
    fn greet(&mut self, now: Instant, fx: &mut Effects) {
        if matches!(self.role, Role::Settling(_)) {
            return;
        }
        for sid in self.messenger.take_ungreeted() {
            let vote = self.vote();
            self.tell(now, sid, vote, fx);
        }
    }

    fn broadcast(&mut self, now: Instant, fx: &mut Effects) {
        let Role::Looking(election) = &self.role else { return };
        let mine = *election.proposal();
        self.told = Some(mine);
        for sid in self.core.joint().voters() {
            if sid != self.core.sid() {
                self.tell(now, sid, mine, fx);
            }
        }
    }

    /// Runs one step of the election and carries out what it asks for.
    fn step_election(
        &mut self,
        now: Instant,
        fx: &mut Effects,
        step: impl FnOnce(&mut Election, &Surroundings<'_>) -> ElectionStep,
    ) {
        let Role::Looking(election) = &mut self.role else { return };
        let joint = self.core.joint();
        let reachable = self.messenger.reachable();
        let surroundings = Surroundings {
            joint: &joint,
            oracle: self.core.oracle,
            reachable: &reachable,
            may_decide_early: self.core.settings.may_decide_early,
        };
        let asked = step(election, &surroundings);
        if self.round < election.proposal().round {
            self.answered.clear();
        }
        self.round = election.proposal().round;
        match asked {
            ElectionStep::Wait => {}
            ElectionStep::Broadcast => self.broadcast(now, fx),
            ElectionStep::Decide(vote) => {
                if self.told != Some(*election.proposal()) {
                    self.broadcast(now, fx);
                }
                self.decide(now, vote, fx);
            }
        }
    }

    fn decide(&mut self, now: Instant, vote: Vote, fx: &mut Effects) {
        // Java's clock goes back when it joins an older round; then one round could hold two different
        // own votes.
        self.round = self.round.max(vote.round);
        self.messenger.set_eager(false);
        self.messenger.expire_pending();
        self.vote = Vote { version: 2, ..vote };
        fx.note(format!("elected server {} in round {}", vote.leader, vote.round));
        self.take_role(now, vote.leader, fx);
    }

    fn take_role(&mut self, now: Instant, leader: Sid, fx: &mut Effects) {
        self.role = if leader == self.core.sid() {
            Role::Leading(Box::new(Leader::start(now, &mut self.core, fx)))
        } else {
            Role::Learning(Box::new(Learner::start(now, &self.core, leader, fx)))
        };
        self.vote.state = self.state();
    }

    fn look(&mut self, now: Instant, fx: &mut Effects) {
        self.round += 1;
        self.answered.clear();
        self.messenger.set_eager(true);
        let sid = self.core.sid();
        let zxid = match planted!(self.core, VoteBeyondDurable) {
            true => self.core.store.appended(),
            false => self.core.store.durable(),
        };
        let epoch = i64::from(self.core.store.current_epoch());
        let (zxid, epoch) =
            if planted!(self.core, AnyoneMayLead) { (Zxid::ZERO, 0) } else { (zxid, epoch) };
        let nobody = Sid(i64::MIN);
        let (leader, zxid, epoch) = if self.core.joint().is_voter(sid) {
            (sid, zxid, epoch)
        } else if self.core.is_observer() {
            (nobody, Zxid(i64::MIN), i64::MIN)
        } else {
            (nobody, zxid, epoch)
        };
        let state = ServerState::Looking;
        let own = Vote { leader, zxid, round: self.round, epoch, state, version: 2 };
        self.role =
            Role::Looking(Election::start(now, sid, own, self.core.settings.notification_interval));
        self.broadcast(now, fx);
        self.step_election(now, fx, |election, at| election.check_quorum(now, at));
        for (from, n) in std::mem::take(&mut self.early) {
            self.on_notification(now, from, n, fx);
        }
    }

    // ---- quorum port ------------------------------------------------------------------------------

    /// The dial asked for by `ConnectLeader` succeeded.
    pub fn on_leader_connected(&mut self, now: Instant, conn: Conn, fx: &mut Effects) {
        let outcome = match &mut self.role {
            Role::Learning(learner) => learner.on_connected(now, &self.core, conn, fx),
            _ => {
                fx.push(Effect::CloseQuorum { conn });
                Ok(())
            }
        };
        self.finish(now, outcome, fx);
    }

    /// The dial asked for by `ConnectLeader` failed.
    pub fn on_leader_connect_failed(&mut self, now: Instant, fx: &mut Effects) {
        let outcome = match &mut self.role {
            Role::Learning(learner) => {
                let is_alive = self.messenger.is_reachable(learner.leader());
                learner.on_connect_failed(now, is_alive)
            }
            _ => Ok(()),
        };
        self.finish(now, outcome, fx);
    }

    /// Somebody connected to the quorum port.
    pub fn on_learner_accepted(&mut self, now: Instant, conn: Conn, fx: &mut Effects) {
        match &mut self.role {
            Role::Leading(leader) => leader.on_accepted(now, &self.core, conn, fx),
            _ => fx.push(Effect::CloseQuorum { conn }),
        }
    }

    /// Bytes arrived on a quorum connection, from the leader or from a learner.
    pub fn on_quorum_bytes(&mut self, now: Instant, conn: Conn, bytes: &[u8], fx: &mut Effects) {
        let outcome = match &mut self.role {
            Role::Learning(learner) if learner.owns(conn) => {
                learner.on_bytes(now, &mut self.core, bytes, fx)
            }
            Role::Leading(leader) => leader.on_bytes(now, &mut self.core, conn, bytes, fx),
            _ => Ok(()),
        };
        self.finish(now, outcome, fx);
    }

    /// Everything handed out for a quorum connection has left.
    pub fn on_quorum_drained(&mut self, now: Instant, conn: Conn, fx: &mut Effects) {
        match &mut self.role {
            Role::Learning(learner) if learner.owns(conn) => learner.on_drained(),
            Role::Leading(leader) => leader.on_drained(now, &mut self.core, conn, fx),
            _ => {}
        }
    }

    /// A quorum connection is gone.
    pub fn on_quorum_closed(&mut self, now: Instant, conn: Conn, fx: &mut Effects) {
        let outcome = match &mut self.role {
            Role::Learning(learner) if learner.owns(conn) => {
                learner.on_closed(now, self.messenger.is_reachable(learner.leader()))
            }
            Role::Leading(leader) if leader.owns(conn) => {
                leader.on_closed(conn, fx);
                Ok(())
            }
            _ => Ok(()),
        };
        self.finish(now, outcome, fx);
    }

    // ---- disk -------------------------------------------------------------------------------------

    /// `WriteAcceptedEpoch` is done.
    pub fn on_accepted_epoch_written(&mut self, now: Instant, epoch: u32, fx: &mut Effects) {
        self.core.store.on_accepted_written(epoch);
        self.on_store(now, fx);
    }

    /// `WriteCurrentEpoch` is done.
    pub fn on_current_epoch_written(&mut self, now: Instant, epoch: u32, fx: &mut Effects) {
        self.core.store.on_current_written(epoch);
        self.on_store(now, fx);
    }

    /// Everything appended through `zxid` is durable.
    pub fn on_durable(&mut self, now: Instant, zxid: Zxid, fx: &mut Effects) {
        self.core.store.on_durable(zxid);
        self.on_store(now, fx);
    }

    fn on_store(&mut self, now: Instant, fx: &mut Effects) {
        let outcome = match &mut self.role {
            Role::Learning(learner) => learner.on_store(now, &mut self.core, fx),
            Role::Leading(leader) => leader.on_store(now, &mut self.core, fx),
            _ => Ok(()),
        };
        self.finish(now, outcome, fx);
    }

    /// `TruncateLog` is done, or (`false`) its target does not exist and nothing was changed.
    pub fn on_truncated(&mut self, now: Instant, is_done: bool, fx: &mut Effects) {
        self.core.store.on_replaced(is_done);
        if is_done {
            self.core.history.truncate(self.core.store.durable());
            self.core.is_state_replaced = true;
            // The driver has reloaded its tree and must hear again what is known to be committed.
            if Zxid::ZERO < self.core.commit {
                fx.push(Effect::CommitUpTo { zxid: self.core.commit });
            }
        }
        let outcome = match &mut self.role {
            Role::Learning(learner) => learner.on_truncated(now, &mut self.core, is_done, fx),
            _ => Ok(()),
        };
        self.finish(now, outcome, fx);
    }

    /// `InstallSnapshot` is done.
    pub fn on_snapshot_installed(&mut self, now: Instant, fx: &mut Effects) {
        self.core.store.on_replaced(true);
        self.core.history = History::new(self.core.store.durable(), Vec::new());
        self.core.is_state_replaced = true;
        let outcome = match &mut self.role {
            Role::Learning(learner) => learner.on_installed(now, &mut self.core, fx),
            _ => Ok(()),
        };
        self.finish(now, outcome, fx);
    }

    /// `Quarantine` is done.
    pub fn on_quarantined(&mut self, now: Instant, fx: &mut Effects) {
        self.core.store.on_replaced(true);
        self.core.history = History::new(Zxid::ZERO, Vec::new());
        self.core.commit = Zxid::ZERO;
        self.core.is_state_replaced = true;
        self.after(now, fx);
    }

    /// Answer to `ReadHistory`.
    pub fn on_history(
        &mut self,
        now: Instant,
        conn: Conn,
        answer: HistoryAnswer,
        fx: &mut Effects,
    ) {
        if let Role::Leading(leader) = &mut self.role {
            leader.on_history(now, &mut self.core, conn, answer, fx);
        }
    }

    // ---- snapshots on the wire ----------------------------------------------------------------------

    /// The body announced by `ReceiveSnapshot` is complete; `rest` was handed in behind it.
    pub fn on_snapshot_received(&mut self, now: Instant, rest: &[u8], fx: &mut Effects) {
        let outcome = match &mut self.role {
            Role::Learning(learner) => learner.on_snapshot_received(now, &mut self.core, rest, fx),
            _ => Ok(()),
        };
        self.finish(now, outcome, fx);
    }

    /// The body announced by `ReceiveSnapshot` cannot be decoded.
    pub fn on_snapshot_refused(&mut self, now: Instant, reason: &str, fx: &mut Effects) {
        let outcome = match &self.role {
            Role::Learning(_) => Err(Leave::new(format!("the leader's snapshot: {reason}"))),
            _ => Ok(()),
        };
        self.finish(now, outcome, fx);
    }

    /// `TakeSnapshot` is done: the captured state is exactly that of `zxid`.
    pub fn on_snapshot_taken(&mut self, now: Instant, conn: Conn, zxid: Zxid, fx: &mut Effects) {
        if let Role::Leading(leader) = &mut self.role {
            leader.on_snapshot_taken(now, &self.core, conn, zxid, fx);
        }
    }

    /// `StreamSnapshot` is done: the whole body has been handed to the connection.
    pub fn on_snapshot_sent(&mut self, now: Instant, conn: Conn, fx: &mut Effects) {
        if let Role::Leading(leader) = &mut self.role {
            leader.on_snapshot_sent(now, &mut self.core, conn, fx);
        }
    }

    // ---- service ------------------------------------------------------------------------------------

    /// The zxid that the next proposal must have.
    ///
    /// # Errors
    /// When this server does not lead or a limit is reached.
    pub fn next_zxid(&self) -> Result<Zxid, ProposeError> {
        match &self.role {
            Role::Leading(leader) => leader.next_zxid(&self.core),
            _ => Err(ProposeError::NotLeading),
        }
    }

    /// Proposes a txn: it goes to the own log and to all followers, and is committed by a quorum.
    ///
    /// # Errors
    /// Those of [`Self::next_zxid`], and when the zxid is another one.
    pub fn propose(
        &mut self,
        now: Instant,
        record: TxnRecord,
        fx: &mut Effects,
    ) -> Result<(), ProposeError> {
        match &mut self.role {
            Role::Leading(leader) => leader.propose(now, &mut self.core, record, fx),
            _ => Err(ProposeError::NotLeading),
        }
    }

    /// Whether enough followers of `config` are in step for it to be proposed.
    pub fn has_synced_quorum(&self, config: &EnsembleConfig) -> bool {
        match &self.role {
            Role::Leading(leader) => leader.has_synced_quorum(&self.core, config),
            _ => false,
        }
    }

    /// Leader: a forwarded `sync` has come to its turn; the answer follows the commit of everything
    /// proposed before.
    pub fn sync_for(&mut self, conn: Conn, fx: &mut Effects) {
        if let Role::Leading(leader) = &mut self.role {
            leader.sync_for(conn, fx);
        }
    }

    /// Leader: answer to `RevalidateRequest`.
    pub fn answer_revalidate(
        &mut self,
        conn: Conn,
        session: SessionId,
        is_valid: bool,
        fx: &mut Effects,
    ) {
        if let Role::Leading(leader) = &mut self.role {
            leader.answer_revalidate(conn, session, is_valid, fx);
        }
    }

    /// Leader: closes a learner's connection, for a reason of the caller's.
    pub fn close_learner(&mut self, conn: Conn, fx: &mut Effects) {
        if let Role::Leading(leader) = &mut self.role {
            leader.close_learner(conn, fx);
        }
    }

    /// Learner: sends a client's write or sync to the leader. The body must be decodable: a Java
    /// leader does not survive others.
    ///
    /// # Errors
    /// When this server is not in step with a leader.
    pub fn forward_request(
        &mut self,
        request: &ForwardedBody<'_>,
        auth: &[Id],
        fx: &mut Effects,
    ) -> Result<(), NotServing> {
        match &mut self.role {
            Role::Learning(learner) => learner.forward(request, auth, fx),
            _ => Err(NotServing),
        }
    }

    /// Learner: asks the leader whether a session lives.
    ///
    /// # Errors
    /// When this server is not in step with a leader.
    pub fn revalidate(
        &mut self,
        session: SessionId,
        timeout_ms: i32,
        fx: &mut Effects,
    ) -> Result<(), NotServing> {
        match &mut self.role {
            Role::Learning(learner) => learner.revalidate(session, timeout_ms, fx),
            _ => Err(NotServing),
        }
    }

    /// Learner: a session was heard of; the leader is told with the next PING.
    pub fn touch(&mut self, session: SessionId, timeout_ms: i32) {
        if let Role::Learning(learner) = &mut self.role {
            learner.touch(session, timeout_ms);
        }
    }

    /// Ends the present role and looks for a leader again.
    pub fn step_down(&mut self, now: Instant, reason: &str, fx: &mut Effects) {
        self.finish(now, Err(Leave::new(reason)), fx);
    }

    // ---- roles --------------------------------------------------------------------------------------

    fn finish(&mut self, now: Instant, outcome: Step, fx: &mut Effects) {
        if let Err(leave) = outcome {
            self.leave(leave, fx);
        }
        self.after(now, fx);
    }

    fn leave(&mut self, leave: Leave, fx: &mut Effects) {
        if self.serving_under().is_some() {
            fx.push(Effect::StopServing { reason: leave.reason.clone() });
        }
        if matches!(self.role, Role::Settling(_) | Role::Looking(_)) {
            return;
        }
        fx.note(format!("looking for a leader: {}", leave.reason));
        match std::mem::replace(&mut self.role, Role::Settling(leave)) {
            Role::Learning(learner) => learner.stop(fx),
            Role::Leading(leader) => leader.stop(fx),
            Role::Settling(_) | Role::Looking(_) => {}
        }
    }

    /// What may follow from any input.
    fn after(&mut self, now: Instant, fx: &mut Effects) {
        if let Some((_, epoch)) = self.serving_under() {
            // Others find a settled leader by equal epochs of those who follow it.
            self.vote.epoch = i64::from(epoch);
        }
        if !Arc::ptr_eq(&self.known, &self.core.committed) {
            self.on_config_changed(now, fx);
        }
        let Role::Settling(leave) = &mut self.role else { return };
        if !self.core.store.is_settled() && !planted!(self.core, VoteBeyondDurable) {
            return;
        }
        if std::mem::take(&mut leave.is_in_doubt) {
            let reason = leave.reason.clone();
            self.core.store.quarantine(reason, fx);
            return;
        }
        match leave.designated.take().filter(|_| !self.core.is_observer()) {
            Some(leader) => {
                let zxid = self.core.store.durable();
                self.vote = Vote { leader, zxid, round: -1, epoch: -1, ..self.vote };
                self.take_role(now, leader, fx);
            }
            None => self.look(now, fx),
        }
    }

    fn on_config_changed(&mut self, now: Instant, fx: &mut Effects) {
        let is_same = self.known.has_same_members(&self.core.committed);
        self.known = self.core.committed.clone();
        if is_same {
            return;
        }
        let sid = self.core.sid();
        let addresses = own_addresses(&self.core.committed, &self.core.last_seen, sid);
        self.messenger.restart(addresses, fx);
        if matches!(self.role, Role::Looking(_)) {
            self.look(now, fx);
        }
    }
}

fn own_addresses(committed: &EnsembleConfig, last_seen: &EnsembleConfig, sid: Sid) -> Vec<Address> {
    let member = committed.members.get(&sid).or_else(|| last_seen.members.get(&sid));
    member.map(crate::ensemble::Member::election_addresses).unwrap_or_default()
}
