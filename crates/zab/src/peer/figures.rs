//! What a peer says of itself to those who watch the ensemble: read from its state, counted nowhere.
//!
//! Names follow `mntr` (`operations.md` 2.3).

use rookeeper_proto::Sid;

use super::{Peer, Role};
use crate::leader::LearnerFigures;

/// How far a server is between two elections: Java's ZabState.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZabPhase {
    /// It has no leader.
    Election,
    /// An epoch is being agreed upon.
    Discovery,
    /// Logs are being made equal.
    Synchronization,
    /// It serves.
    Broadcast,
}

impl ZabPhase {
    /// As `mntr` prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Election => "election",
            Self::Discovery => "discovery",
            Self::Synchronization => "synchronization",
            Self::Broadcast => "broadcast",
        }
    }
}

/// One look at a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// How far it is.
    pub phase: ZabPhase,
    /// Whom it follows, or itself while it leads.
    pub leader: Option<Sid>,
    /// Whom it learns from, which for an observer may be a follower.
    pub master: Option<Sid>,
    /// Servers with a vote.
    pub voters: usize,
    /// Learners it has brought up to date from its log since it was started.
    pub synced_from_log: u64,
    /// Its learners, while it leads.
    pub learners: Option<LearnerFigures>,
    /// Observers that are sent what is committed, while it is a follower that serves observers.
    pub synced_observers: Option<usize>,
}

impl Peer {
    /// What `mntr` tells of it.
    pub fn figures(&self) -> Figures {
        let (phase, leader, learners) = match &self.role {
            Role::Settling(_) | Role::Looking(_) => (ZabPhase::Election, None, None),
            Role::Learning(learner) => (learner.zab_phase(), Some(learner.leader()), None),
            Role::Leading(leader) => {
                let figures = leader.figures(&self.core);
                (leader.zab_phase(), Some(self.core.sid()), Some(figures))
            }
        };
        let (master, synced_observers) = match &self.role {
            Role::Learning(learner) => (Some(learner.master()), learner.synced_observers()),
            _ => (None, None),
        };
        Figures {
            phase,
            leader,
            master,
            synced_observers,
            voters: self.core.committed.voters().count(),
            synced_from_log: self.core.synced_from_log,
            learners,
        }
    }
}
