//! Plain majority.

use std::collections::BTreeSet;

use rookeeper_proto::Sid;

/// More than half of the voters are in `set`.
pub(super) fn is_quorum(voters: &BTreeSet<Sid>, set: &BTreeSet<Sid>) -> bool {
    set.iter().filter(|sid| voters.contains(sid)).count() > voters.len() / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sids(list: &[i64]) -> BTreeSet<Sid> {
        list.iter().copied().map(Sid).collect()
    }

    #[test]
    fn more_than_half_of_the_voters_only() {
        let voters = sids(&[1, 2, 3, 4]);
        assert!(!is_quorum(&voters, &sids(&[1, 2])));
        assert!(is_quorum(&voters, &sids(&[1, 2, 3])));
        assert!(!is_quorum(&voters, &sids(&[1, 2, 8, 9])));
        assert!(!is_quorum(&sids(&[]), &sids(&[])));
        assert!(is_quorum(&sids(&[7]), &sids(&[7])));
    }
}
