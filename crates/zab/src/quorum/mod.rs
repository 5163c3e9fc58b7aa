//! When a set of servers is a quorum (`quorum-protocol.md` 2.6).

mod hierarchical;
mod majority;
pub mod oracle;

use std::collections::BTreeSet;

use rookeeper_proto::Sid;

pub use hierarchical::Hierarchy;

/// The test of one configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verifier {
    /// More than half of the voters.
    Majority(BTreeSet<Sid>),
    /// More than half of the groups, each by more than half of its weight.
    Hierarchical(Hierarchy),
}

impl Verifier {
    /// Whether `set` contains a quorum. Members that do not vote are not counted.
    pub fn is_quorum(&self, set: &BTreeSet<Sid>) -> bool {
        match self {
            Self::Majority(voters) => majority::is_quorum(voters, set),
            Self::Hierarchical(hierarchy) => hierarchy.is_quorum(set),
        }
    }

    /// Whether `sid` votes.
    pub fn is_voter(&self, sid: Sid) -> bool {
        self.voters().contains(&sid)
    }

    /// Those who vote.
    pub fn voters(&self) -> &BTreeSet<Sid> {
        match self {
            Self::Majority(voters) => voters,
            Self::Hierarchical(hierarchy) => hierarchy.voters(),
        }
    }

    /// The weight of a server; one of weight 0 never leads.
    pub fn weight(&self, sid: Sid) -> i64 {
        match self {
            Self::Majority(_) => 1,
            Self::Hierarchical(hierarchy) => hierarchy.weight(sid),
        }
    }
}

/// The quorums that count at one moment: of the configuration in force and, while a newer one is
/// pending, of that one as well (`quorum-protocol.md` 4.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joint {
    /// In force.
    pub committed: Verifier,
    /// Proposed, not yet in force.
    pub pending: Option<Verifier>,
}

impl Joint {
    /// Whether `set` contains a quorum of each.
    pub fn is_quorum(&self, set: &BTreeSet<Sid>) -> bool {
        self.committed.is_quorum(set) && self.pending.as_ref().is_none_or(|v| v.is_quorum(set))
    }

    /// Whether `sid` votes in either.
    pub fn is_voter(&self, sid: Sid) -> bool {
        self.committed.is_voter(sid) || self.pending.as_ref().is_some_and(|v| v.is_voter(sid))
    }

    /// Those who vote in either.
    pub fn voters(&self) -> BTreeSet<Sid> {
        let pending = self.pending.iter().flat_map(|v| v.voters());
        self.committed.voters().iter().chain(pending).copied().collect()
    }
}
