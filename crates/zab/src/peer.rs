//! One server of an ensemble: looks for a leader, becomes one or follows one, looks again.
//!
//! Guarantees: a role ends by value, with its connections; the next one starts only when every
//! storage effect of the last has been reported, so that no late report can be taken for a new one
//! and a vote never names more than is durable. Inputs for connections of an old role are ignored,
//! because connections are never named twice.
//!
//! Inputs come in by four doors, a module each: [`election_port`], [`quorum_port`], [`disk`] and
//! [`service`]. Here is what a server is made of and how one role follows another.
//!
//! Differs from Java: a LOOKING server answers the first vote it hears from a peer in an election,
//! because the peer may not have been LOOKING when this server's vote came; an election starts
//! without the pauses that this costs otherwise.

mod disk;
mod election_port;
mod figures;
mod quorum_port;
mod service;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use rookeeper_proto::quorum::{Notification, ServerState};
use rookeeper_proto::{Sid, Zxid};

use crate::core::{Core, Derived, Settings, planted};
use crate::effects::{Conn, Effect, Effects};
use crate::election::messenger::{Directory, Messenger};
use crate::election::{Election, NOBODY, Vote};
use crate::ensemble::{Address, EnsembleConfig};
use crate::history::History;
use crate::leader::{Leader, Learners, Terms};
use crate::learner::{Learner, Tries};
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

impl Role {
    /// Those who learn from this server, and what they are brought to.
    fn learners(&mut self, core: &Core) -> Option<(&mut Learners, Terms)> {
        match self {
            Self::Leading(leader) => Some(leader.learners(core)),
            Self::Learning(learner) => learner.observers(core),
            Self::Settling(_) | Self::Looking(_) => None,
        }
    }
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
    /// What this server last told all voters in this election.
    told: Option<Vote>,
    /// Whom this server has answered in this election.
    answered: BTreeSet<Sid>,
    /// An observer that has lost its leader does not look for one before (`observer.election.DelayMs`).
    pause_until: Option<Instant>,
    /// What others were answered last.
    answers: BTreeMap<Sid, election_port::Answer>,
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
        let mut messenger = Messenger::new(sid, addresses, settings.is_multi_address);
        messenger.set_patience(settings.election_patience);
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
            pause_until: None,
            answers: BTreeMap::new(),
            early: BTreeMap::new(),
            known: start.committed.clone(),
            core: Core {
                settings,
                derived: Derived::new(&start.committed, &start.last_seen),
                committed: start.committed,
                last_seen: start.last_seen,
                store,
                history,
                commit: Zxid::ZERO,
                oracle: Oracle::Absent,
                is_state_replaced: false,
                synced_from_log: 0,
                tries: Tries::default(),
                drawn: 0,
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

    /// How long a learner goes on without a word from its leader (`syncLimit` ticks).
    pub fn sync_time(&self) -> std::time::Duration {
        self.core.settings.sync_time()
    }

    /// Whether observers learn from followers (`observerMasterPort`).
    pub fn has_observer_masters(&self) -> bool {
        self.core.settings.observer_master_port != 0
    }

    /// Whether this server is a follower that serves observers now.
    pub fn is_observer_master(&self) -> bool {
        matches!(&self.role, Role::Learning(learner) if learner.is_hosting())
    }

    /// Whether the connection is that of the leader, or of whom this server learns from.
    pub fn is_learnt_from(&self, conn: Conn) -> bool {
        matches!(&self.role, Role::Learning(learner) if learner.owns(conn))
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
            Role::Settling(_) => self.pause_until,
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

    // ---- from one role to the next ------------------------------------------------------------------

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
            let elected = Vote { leader, ..self.vote };
            Role::Learning(Box::new(Learner::start(now, &mut self.core, &elected, fx)))
        };
        self.vote.state = self.state();
    }

    fn look(&mut self, now: Instant, fx: &mut Effects) {
        self.round += 1;
        self.told = None;
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
        let joint = self.core.joint();
        let (leader, zxid, epoch) = match joint.is_voter(sid) {
            true => (sid, zxid, epoch),
            // Takes up whatever vote it hears of.
            false => (NOBODY, Zxid(i64::MIN), i64::MIN),
        };
        let state = ServerState::Looking;
        let own = Vote { leader, zxid, round: self.round, epoch, state, version: 2 };
        let stands = joint.committed.is_voter(sid) && 0 < joint.committed.weight(sid);
        let interval = self.core.settings.notification_interval;
        self.role = Role::Looking(Election::start(now, sid, own, stands, interval));
        self.broadcast(now, fx);
        self.step_election(now, fx, |election, at| election.check_quorum(now, at));
        for (from, n) in std::mem::take(&mut self.early) {
            self.on_notification(now, from, n, fx);
        }
    }

    fn finish(&mut self, now: Instant, outcome: Step, fx: &mut Effects) {
        if let Err(leave) = outcome {
            self.pause(now);
            self.leave(leave, fx);
        }
        self.after(now, fx);
    }

    fn pause(&mut self, now: Instant) {
        let delay = self.core.settings.observer_election_delay;
        if !delay.is_zero() && matches!(self.role, Role::Learning(_)) && self.core.is_observer() {
            self.pause_until = Some(now + self.core.part_of(delay));
        }
    }

    fn leave(&mut self, leave: Leave, fx: &mut Effects) {
        if self.serving_under().is_some() {
            fx.push(Effect::StopServing { reason: leave.reason.clone() });
        }
        if matches!(self.role, Role::Settling(_) | Role::Looking(_)) {
            return;
        }
        fx.note(format!("looking for a leader: {}", leave.reason));
        self.core.history.set_awaited(false);
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
        let is_settled = match planted!(self.core, VoteBeyondDurable) {
            true => self.core.store.are_epochs_settled(),
            false => self.core.store.is_settled(),
        };
        if !is_settled {
            return;
        }
        if std::mem::take(&mut leave.is_in_doubt) {
            let reason = leave.reason.clone();
            self.core.store.quarantine(reason, fx);
            return;
        }
        if self.pause_until.is_some_and(|until| now < until) {
            return;
        }
        self.pause_until = None;
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
