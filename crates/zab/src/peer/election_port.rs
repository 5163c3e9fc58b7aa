//! The election port: who is answered with what, and the gossip of configurations
//! (`quorum-protocol.md` 2.1, 2.2, 2.7). The election itself is [`crate::election`].

use rookeeper_proto::Sid;
use rookeeper_proto::quorum::{Notification, ServerState};

use super::{Peer, Role};
use crate::effects::{Conn, Effects};
use crate::election::messenger::Directory;
use crate::election::{Election, Step as ElectionStep, Surroundings, Vote};
use crate::ensemble::EnsembleConfig;
use crate::leave::Step;
use crate::limits;
use crate::time::Instant;

/// A vote that was told because somebody asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    /// That of whoever asked.
    round: i64,
    vote: Vote,
    state: ServerState,
    at: Instant,
}

impl Answer {
    fn is_repeated_by(&self, next: &Self) -> bool {
        (self.round, self.vote, self.state) == (next.round, next.vote, next.state)
            && next.at < self.at + limits::ELECTION_ANSWER_PAUSE
    }
}

impl Peer {
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

    pub(super) fn on_notification(
        &mut self,
        now: Instant,
        from: Sid,
        n: Notification,
        fx: &mut Effects,
    ) {
        self.learn_config(now, &n, fx);
        let joint = self.core.joint();
        if !joint.is_voter(from) {
            if !matches!(self.role, Role::Settling(_)) {
                let reply = Vote { round: self.round, ..self.vote() };
                self.answer(now, from, n.round, reply, fx);
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
                    self.answer(now, from, n.round, mine, fx);
                }
                self.step_election(now, fx, |election, at| election.on_vote(now, from, &n, at));
            }
            _ if n.state == ServerState::Looking => {
                let vote = self.vote;
                self.answer(now, from, n.round, vote, fx);
                let is_later = vote.round < n.round;
                let outcome = match &mut self.role {
                    Role::Leading(leader) if is_later => leader.on_deserted(from),
                    Role::Learning(learner) if learner.leader() == from => {
                        learner.on_leader_elsewhere(n.round, vote.round, n.leader)
                    }
                    _ => Ok(()),
                };
                self.leave_early(now, from, n, outcome, fx);
            }
            Role::Learning(learner)
                if learner.leader() == from && n.state == ServerState::Following =>
            {
                let outcome = learner.on_leader_elsewhere(n.round, self.vote.round, n.leader);
                self.leave_early(now, from, n, outcome, fx);
            }
            _ => {}
        }
    }

    /// If a notification ends a role, it counts in the election that follows.
    fn leave_early(
        &mut self,
        now: Instant,
        from: Sid,
        n: Notification,
        outcome: Step,
        fx: &mut Effects,
    ) {
        if outcome.is_err() {
            self.early.insert(from, n);
            self.finish(now, outcome, fx);
        }
    }

    /// A LOOKING server adopts a newer configuration; what does not parse is ignored.
    fn learn_config(&mut self, now: Instant, n: &Notification, fx: &mut Effects) {
        let is_looking = matches!(self.role, Role::Looking(_) | Role::Settling(_));
        if !self.core.settings.is_reconfig_enabled || !is_looking {
            return;
        }
        // Most tell what is in force here, which is nothing new.
        let text = n.config.as_deref().filter(|&text| text != self.core.derived.text);
        let Some(config) = text.and_then(|text| EnsembleConfig::parse(text).ok()) else {
            return;
        };
        if !config.members.is_empty() && self.core.activate_config(config.into(), fx) {
            self.after(now, fx);
        }
    }

    /// Tells who has asked in its `round`; nobody twice at once. (An observer and a voter that is behind its round
    /// would answer each other as fast as the network carries it, for as long as there is no leader; Java's do.)
    fn answer(&mut self, now: Instant, to: Sid, round: i64, vote: Vote, fx: &mut Effects) {
        if limits::ELECTION_ANSWERS < self.answers.len() {
            self.answers.clear();
        }
        let answer = Answer { round, vote, state: self.state(), at: now };
        let last = self.answers.insert(to, answer);
        if let Some(last) = last
            && last.is_repeated_by(&answer)
        {
            self.answers.insert(to, last);
            return;
        }
        self.tell(now, to, vote, fx);
    }

    fn tell(&mut self, now: Instant, to: Sid, vote: Vote, fx: &mut Effects) {
        let n = Notification {
            state: self.state(),
            leader: vote.leader,
            zxid: vote.zxid,
            round: vote.round,
            epoch: vote.epoch,
            version: 2,
            config: Some(self.core.derived.text.clone()),
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

    /// Tells every voter the present proposal; and if none could be reached before, the other members as well:
    /// those who vote now may be elsewhere than this server knows, and whoever answers tells the list in force.
    pub(super) fn broadcast(&mut self, now: Instant, fx: &mut Effects) {
        let Role::Looking(election) = &self.role else { return };
        let mine = *election.proposal();
        let is_again = self.told.replace(mine).is_some();
        let me = self.core.sid();
        let mut to = self.core.joint().voters();
        to.remove(&me);
        if is_again && !to.iter().any(|sid| self.messenger.is_reachable(*sid)) {
            let lists = [&self.core.committed, &self.core.last_seen];
            to.extend(lists.iter().flat_map(|list| list.members.keys()).filter(|sid| **sid != me));
        }
        for sid in to {
            self.tell(now, sid, mine, fx);
        }
    }

    /// Runs one step of the election and carries out what it asks for.
    pub(super) fn step_election(
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
}
