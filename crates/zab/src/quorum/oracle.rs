//! The oracle of two-server ensembles: a file that some outside failure detector writes decides
//! whether one of two servers may go on alone (`quorum-protocol.md` 2.6).
//!
//! The file is the driver's; it hands in what the file says. Without an `oraclePath` the driver hands
//! in [`Oracle::Absent`] and everything here is a plain majority.

use std::collections::BTreeSet;

use rookeeper_proto::Sid;

use super::Joint;

/// What the oracle says at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Oracle {
    /// No oracle is configured.
    #[default]
    Absent,
    /// The file's first character is not `1`.
    Denies,
    /// The file's first character is `1`.
    Grants,
}

/// Whether `set` is a quorum, by itself or by the oracle's grace. The oracle is only asked where it
/// is needed: at most two voters, at least one of them in `set`, no newer configuration pending.
pub fn is_quorum(joint: &Joint, set: &BTreeSet<Sid>, oracle: Oracle) -> bool {
    joint.is_quorum(set)
        || oracle == Oracle::Grants
            && joint.pending.is_none()
            && joint.committed.voters().len() <= 2
            && set.iter().any(|sid| joint.committed.is_voter(*sid))
}

#[cfg(test)]
mod tests {
    use super::super::Verifier;
    use super::*;

    #[test]
    fn the_oracle_decides_for_one_of_two_only() {
        let joint = |n: i64| Joint {
            committed: Verifier::Majority((1..=n).map(Sid).collect()),
            pending: None,
        };
        let one = BTreeSet::from([Sid(1)]);
        assert!(is_quorum(&joint(2), &one, Oracle::Grants));
        assert!(!is_quorum(&joint(2), &one, Oracle::Denies));
        assert!(!is_quorum(&joint(2), &one, Oracle::Absent));
        assert!(!is_quorum(&joint(3), &one, Oracle::Grants));
        assert!(!is_quorum(&joint(2), &BTreeSet::new(), Oracle::Grants));
    }
}
