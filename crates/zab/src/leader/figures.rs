//! What a leader says of its learners.

use rookeeper_proto::Sid;

use super::handle::Stage;
use super::{Leader, Phase};
use crate::core::Core;
use crate::peer::ZabPhase;

/// Counts of learners, as `mntr` of a leader names them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LearnerFigures {
    /// Connections of learners.
    pub learners: usize,
    /// Followers that are sent proposals.
    pub synced_followers: usize,
    /// Those of them without a vote: they are not observers, and no configuration names them.
    pub synced_non_voting_followers: usize,
    /// Observers that are sent what is committed.
    pub synced_observers: usize,
    /// Syncs that wait for a commit.
    pub pending_syncs: usize,
}

impl Leader {
    pub(crate) fn zab_phase(&self) -> ZabPhase {
        match self.phase {
            Phase::Broadcasting => ZabPhase::Broadcast,
            Phase::Synchronizing => ZabPhase::Synchronization,
            _ => ZabPhase::Discovery,
        }
    }

    pub(crate) fn figures(&self, core: &Core) -> LearnerFigures {
        let joint = core.joint();
        let known = |sid: Sid| joint.is_voter(sid);
        let mut figures = LearnerFigures {
            learners: self.learners.values().filter(|l| l.stage != Stage::AwaitInfo).count(),
            pending_syncs: self.syncs.len(),
            ..LearnerFigures::default()
        };
        for learner in self.learners.values().filter(|l| l.is_forwarding()) {
            if learner.is_observer {
                figures.synced_observers += 1;
            } else {
                figures.synced_followers += 1;
                figures.synced_non_voting_followers += usize::from(!known(learner.sid));
            }
        }
        figures
    }
}
