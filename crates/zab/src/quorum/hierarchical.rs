//! Groups and weights.

use std::collections::{BTreeMap, BTreeSet};

use rookeeper_proto::Sid;

/// Voters in groups, each with a weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    voters: BTreeSet<Sid>,
    /// Group and weight of each member of a group.
    place: BTreeMap<Sid, (i64, i64)>,
    /// Total weight of each group that has any.
    totals: BTreeMap<i64, i64>,
}

impl Hierarchy {
    /// Members of no group have no say; a member without a weight weighs 1.
    pub fn new(
        voters: BTreeSet<Sid>,
        groups: &BTreeMap<i64, Vec<Sid>>,
        weights: &BTreeMap<Sid, i64>,
    ) -> Self {
        let mut place = BTreeMap::new();
        let mut totals = BTreeMap::new();
        for (group, sids) in groups {
            for sid in sids.iter().filter(|sid| voters.contains(sid)) {
                let weight = weights.get(sid).copied().unwrap_or(1);
                place.insert(*sid, (*group, weight));
                let total: &mut i64 = totals.entry(*group).or_insert(0);
                *total = total.saturating_add(weight);
            }
        }
        totals.retain(|_, total| 0 < *total);
        Self { voters, place, totals }
    }

    pub(super) fn voters(&self) -> &BTreeSet<Sid> {
        &self.voters
    }

    pub(super) fn weight(&self, sid: Sid) -> i64 {
        self.place.get(&sid).map_or(0, |(_, weight)| *weight)
    }

    pub(super) fn is_quorum(&self, set: &BTreeSet<Sid>) -> bool {
        let mut sums: BTreeMap<i64, i64> = BTreeMap::new();
        for (group, weight) in set.iter().filter_map(|sid| self.place.get(sid)) {
            let sum = sums.entry(*group).or_insert(0);
            *sum = sum.saturating_add(*weight);
        }
        let satisfied = self
            .totals
            .iter()
            .filter(|(group, total)| sums.get(group).is_some_and(|sum| *sum > **total / 2));
        satisfied.count() > self.totals.len() / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sids(list: &[i64]) -> BTreeSet<Sid> {
        list.iter().copied().map(Sid).collect()
    }

    #[test]
    fn majority_of_groups_by_majority_of_weight() {
        let groups = [(1, vec![Sid(1), Sid(2), Sid(3)]), (2, vec![Sid(4), Sid(5), Sid(6)])];
        let groups = groups.into_iter().chain([(3, vec![Sid(7), Sid(8), Sid(9)])]).collect();
        let h = Hierarchy::new(sids(&[1, 2, 3, 4, 5, 6, 7, 8, 9]), &groups, &BTreeMap::new());
        assert!(h.is_quorum(&sids(&[1, 2, 4, 5])));
        assert!(!h.is_quorum(&sids(&[1, 2, 3, 4, 7])));
    }

    #[test]
    fn groups_without_weight_are_not_counted() {
        let groups = [(1, vec![Sid(1), Sid(2)]), (2, vec![Sid(3)])].into_iter().collect();
        let weights = [(Sid(3), 0), (Sid(1), 3)].into_iter().collect();
        let h = Hierarchy::new(sids(&[1, 2, 3]), &groups, &weights);
        assert!(h.is_quorum(&sids(&[1])));
        assert!(!h.is_quorum(&sids(&[2, 3])));
        assert_eq!((h.weight(Sid(3)), h.weight(Sid(9))), (0, 0));
    }
}
