//! Fast leader election: one run of it, from LOOKING to a decision (`quorum-protocol.md` 2.4, 2.5).
//!
//! Guarantees: a decision is backed by a quorum of equal votes, and for a leader other than oneself
//! that is already established, by the word of that leader. It is a guess that discovery confirms or
//! refutes: nothing durable depends on it.
//!
//! Not here: connections ([`messenger`]), and who is answered with what while not electing (`peer`).
//!
//! Differs from Java: the settle time after a quorum is cut short when every voter that could still
//! change the outcome is unreachable or has voted the same; during the settle time, votes that do not
//! improve the outcome are counted and do not prolong it. Whoever hears of a leader, or hears others elect
//! and has no vote itself, asks again within a second instead of after up to a minute. Whom only a reconfig
//! under way makes a voter votes, and does not stand: who has not heard of the reconfig could not follow it
//! (`docs/zab.md`, "An election while a reconfig is under way").

pub mod messenger;
pub mod vote;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rookeeper_proto::quorum::{Notification, ServerState};
use rookeeper_proto::{Sid, Zxid};

use crate::limits;
use crate::quorum::{Joint, oracle};
use crate::time::Instant;

pub use vote::Vote;

/// What an election needs to know of its surroundings, at each step.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// The quorums.
    pub joint: &'a Joint,
    /// What the oracle says.
    pub oracle: oracle::Oracle,
    /// Servers with a live election connection.
    pub reachable: &'a BTreeSet<Sid>,
    /// Whether to decide early when nobody else can be heard.
    pub may_decide_early: bool,
}

/// What one step of an election asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Wait,
    /// Send the proposal to every voter.
    Broadcast,
    /// This is the leader (perhaps oneself).
    Decide(Vote),
}

/// Whom those vote for who have no vote, until they hear of somebody: Java's `Long.MIN_VALUE`.
pub const NOBODY: Sid = Sid(i64::MIN);

/// One run.
#[derive(Debug)]
pub struct Election {
    sid: Sid,
    /// The own vote, before anybody better was heard of.
    own: Vote,
    /// Whether a vote for this server counts. Otherwise it says so itself only to tell its round.
    stands: bool,
    proposal: Vote,
    /// Votes of this round.
    received: BTreeMap<Sid, Vote>,
    /// Votes of servers that have a leader.
    settled: BTreeMap<Sid, Vote>,
    interval: Duration,
    interval_max: Duration,
    resend_at: Instant,
    decide_at: Option<Instant>,
}

impl Election {
    /// Starts a run in which `own` is voted for first, and told again after `intervals`, from the first
    /// doubling to the last. If this server does not stand, anybody who does is better. The caller
    /// broadcasts [`Self::proposal`].
    pub fn start(
        now: Instant,
        sid: Sid,
        own: Vote,
        stands: bool,
        intervals: (Duration, Duration),
    ) -> Self {
        let (interval, mut interval_max) = intervals;
        if own.leader != sid || own.zxid == Zxid::UNKNOWN {
            // Others elect without this server and do not tell it the outcome. One that did not answer, because
            // it was about to lose its leader, may have another one soon.
            interval_max = interval_max.min(limits::NOTIFICATION_POLL.max(interval));
        }
        let mut election = Self {
            sid,
            own,
            stands,
            proposal: own,
            received: BTreeMap::new(),
            settled: BTreeMap::new(),
            interval,
            interval_max,
            resend_at: now + interval,
            decide_at: None,
        };
        election.received.insert(sid, own);
        election
    }

    /// The present proposal.
    pub fn proposal(&self) -> &Vote {
        &self.proposal
    }

    /// When [`Self::on_time`] is wanted.
    pub fn next_deadline(&self) -> Instant {
        self.decide_at.map_or(self.resend_at, |at| at.min(self.resend_at))
    }

    /// A voter's notification (see 2.2 for who is one).
    pub fn on_vote(
        &mut self,
        now: Instant,
        from: Sid,
        n: &Notification,
        at: &Surroundings<'_>,
    ) -> Step {
        let vote = Vote::of(n);
        // Who has no vote, as far as it knows itself, may be needed here: its round counts.
        let is_known = at.joint.is_voter(vote.leader);
        let counts = is_known || vote.leader == NOBODY && vote.state == ServerState::Looking;
        if !at.joint.is_voter(from) || !counts {
            return Step::Wait;
        }
        match vote.state {
            ServerState::Looking => self.on_looking(now, from, vote, at),
            ServerState::Following | ServerState::Leading => {
                // There is a leader: whatever is missing to join it, ask for it soon.
                self.resend_at = self.resend_at.min(now + limits::NOTIFICATION_POLL);
                self.on_settled(from, vote, at)
            }
            ServerState::Observing => Step::Wait,
        }
    }

    fn on_looking(&mut self, now: Instant, from: Sid, vote: Vote, at: &Surroundings<'_>) -> Step {
        if self.own.leader != self.sid || self.own.zxid == Zxid::UNKNOWN {
            // Others elect without us and will not tell us the outcome: ask again soon.
            self.resend_at = self.resend_at.min(now + limits::NOTIFICATION_POLL);
        }
        // Who does not know what it holds neither counts nor is counted.
        if self.own.zxid == Zxid::UNKNOWN || vote.zxid == Zxid::UNKNOWN {
            return Step::Wait;
        }
        if vote.round < self.proposal.round {
            return Step::Wait;
        }
        let is_later = self.proposal.round < vote.round;
        let mine = if is_later { Vote { round: vote.round, ..self.own } } else { self.proposal };
        let is_better = self.is_better(from, &vote, &mine, at);
        if is_later {
            self.received.clear();
        }
        let broadcast = is_later || is_better;
        if broadcast {
            self.stands |= is_better && vote.leader == self.sid;
            self.adopt(if is_better { vote } else { mine });
        }
        self.received.insert(from, vote);
        match self.check_quorum(now, at) {
            Step::Wait if broadcast => Step::Broadcast,
            // The new proposal must still be told to the others: they need it for their quorum.
            Step::Decide(vote) => Step::Decide(vote),
            step => step,
        }
    }

    /// What this server itself holds, it knows best: a vote for it that says otherwise is of an earlier start.
    fn is_stale(&self, vote: &Vote) -> bool {
        vote.leader == self.sid && (vote.zxid, vote.epoch) != (self.own.zxid, self.own.epoch)
    }

    /// A candidate of weight 0 never leads.
    fn is_eligible(&self, from: Sid, vote: &Vote, at: &Surroundings<'_>) -> bool {
        // Java's servers do vote for members to be. If one that counts has begun, the others must go along.
        let committed = &at.joint.committed;
        let stands = committed.is_voter(vote.leader) || committed.is_voter(from);
        let is_known = at.joint.is_voter(vote.leader);
        !self.is_stale(vote) && is_known && stands && 0 < committed.weight(vote.leader)
    }

    fn is_better(&self, from: Sid, vote: &Vote, than: &Vote, at: &Surroundings<'_>) -> bool {
        self.is_eligible(from, vote, at) && (!self.is_candidate(than) || vote.beats(than))
    }

    /// Whether a quorum for `vote` would make a leader.
    fn is_candidate(&self, vote: &Vote) -> bool {
        vote.leader != NOBODY && (vote.leader != self.sid || self.stands)
    }

    fn adopt(&mut self, vote: Vote) {
        self.proposal = Vote { state: ServerState::Looking, version: 2, ..vote };
        self.received.insert(self.sid, self.proposal);
        self.decide_at = None;
    }

    /// Whether the present proposal has its quorum; starts the settle time when it gets it.
    pub fn check_quorum(&mut self, now: Instant, at: &Surroundings<'_>) -> Step {
        if self.own.zxid == Zxid::UNKNOWN || !self.is_candidate(&self.proposal) {
            return Step::Wait;
        }
        let mine = self.proposal;
        let agreeing = |(sid, vote): (&Sid, &Vote)| vote.agrees_with(&mine).then_some(*sid);
        let set: BTreeSet<Sid> = self.received.iter().filter_map(agreeing).collect();
        if !at.joint.is_quorum(&set) {
            self.decide_at = None;
            return Step::Wait;
        }
        let is_undecided = |sid: &Sid| !set.contains(sid) && at.reachable.contains(sid);
        if at.may_decide_early && !at.joint.voters().iter().any(is_undecided) {
            return Step::Decide(mine);
        }
        if self.decide_at.is_none() {
            self.decide_at = Some(now + limits::FINALIZE_WAIT);
        }
        Step::Wait
    }

    fn on_settled(&mut self, from: Sid, vote: Vote, at: &Surroundings<'_>) -> Step {
        // It may have come back without what they elected it for. They will notice that it does not lead.
        if self.is_stale(&vote) {
            return Step::Wait;
        }
        if vote.round == self.proposal.round {
            // Stored without a version, as Java does, so that only ids are compared below.
            self.received.insert(from, Vote { version: 0, ..vote });
            if is_established(&self.received, &Vote { version: 0, ..vote }, at)
                && self.is_leader_heard(&self.received, &vote)
            {
                return Step::Decide(vote);
            }
        }
        self.settled.insert(from, vote);
        if is_established(&self.settled, &vote, at) && self.is_leader_heard(&self.settled, &vote) {
            return Step::Decide(vote);
        }
        if vote.state == ServerState::Leading
            && at.oracle == oracle::Oracle::Denies
            && at.joint.voters().len() <= 2
        {
            // The other of two servers leads by the oracle's grace, and the oracle denies us.
            return Step::Decide(vote);
        }
        Step::Wait
    }

    /// A leader counts only by its own word; oneself only in the round of those who say so, so that a
    /// restarted leader is not elected by followers that have not noticed yet.
    fn is_leader_heard(&self, votes: &BTreeMap<Sid, Vote>, vote: &Vote) -> bool {
        if vote.leader == self.sid {
            return vote.round == self.proposal.round;
        }
        votes.get(&vote.leader).is_some_and(|v| v.state == ServerState::Leading)
    }

    /// Time passed.
    pub fn on_time(&mut self, now: Instant, at: &Surroundings<'_>) -> Step {
        if self.decide_at.is_some_and(|at| at <= now) {
            return Step::Decide(self.proposal);
        }
        if now < self.resend_at {
            return Step::Wait;
        }
        self.interval = (self.interval * 2).min(self.interval_max);
        self.resend_at = now + self.interval;
        let voted: BTreeSet<Sid> = self.received.keys().copied().collect();
        let is_granted = at.oracle == oracle::Oracle::Grants
            && self.own.zxid != Zxid::UNKNOWN
            && self.is_candidate(&self.proposal);
        if is_granted && oracle::is_quorum(at.joint, &voted, at.oracle) {
            return Step::Decide(self.proposal);
        }
        Step::Broadcast
    }
}

/// Whether those who agree with `vote` are a quorum of the members in force. The own (LOOKING) vote never
/// agrees with a settled one of another round; in the same round it may, as in Java. A reconfig that only
/// this server has heard of may need its own vote: it does not count, as it does in Java, or whoever holds
/// what the others have given up would never find them.
fn is_established(votes: &BTreeMap<Sid, Vote>, vote: &Vote, at: &Surroundings<'_>) -> bool {
    let agreeing = |(sid, other): (&Sid, &Vote)| other.agrees_with(vote).then_some(*sid);
    let set: BTreeSet<Sid> = votes.iter().filter_map(agreeing).collect();
    at.joint.committed.is_quorum(&set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::EnsembleConfig;

    /// What server 3 of three makes of two others that say that it leads, elected with this.
    fn told_that_it_leads(own: Zxid, elected_with: Zxid) -> Step {
        let members = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nversion=0";
        let committed = EnsembleConfig::parse(members).expect("valid").verifier().clone();
        let joint = Joint { committed, pending: None };
        let at = Surroundings {
            joint: &joint,
            oracle: oracle::Oracle::Absent,
            reachable: &BTreeSet::new(),
            may_decide_early: true,
        };
        let (sid, state) = (Sid(3), ServerState::Looking);
        let vote = Vote { leader: sid, zxid: own, round: 1, epoch: 1, state, version: 2 };
        let intervals = (limits::NOTIFICATION_INTERVAL_MIN, limits::NOTIFICATION_INTERVAL_MAX);
        let mut election = Election::start(Instant(0), sid, vote, true, intervals);
        let told = Notification {
            state: ServerState::Following,
            leader: sid,
            zxid: elected_with,
            round: 1,
            epoch: 1,
            version: 2,
            config: None,
        };
        let steps = [1, 2].map(|from| election.on_vote(Instant(1), Sid(from), &told, &at));
        steps.into_iter().find(|step| *step != Step::Wait).unwrap_or(Step::Wait)
    }

    /// A server whose disk was replaced while it was voted for led the others from nothing (simulator, 30720).
    #[test]
    fn who_is_said_to_lead_leads_only_with_what_it_was_elected_for() {
        let held = Zxid::new(1, 21);
        let is_decided = |step| matches!(step, Step::Decide(Vote { leader: Sid(3), .. }));
        assert!(is_decided(told_that_it_leads(held, held)));
        for own in [Zxid::UNKNOWN, Zxid::ZERO, Zxid::new(1, 20)] {
            assert_eq!(told_that_it_leads(own, held), Step::Wait, "{own}");
        }
    }
}
