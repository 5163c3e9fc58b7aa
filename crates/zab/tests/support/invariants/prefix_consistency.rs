//! I3 PrefixConsistency: what two servers delivered agrees index by index. Catches: diverging histories.

use super::{Facts, Verdict};
use crate::support::disk::Entry;

/// `delivered`: everything a server has delivered; what is before index `from` has been looked at.
pub fn on_delivered(facts: &mut Facts, node: usize, delivered: &[Entry], from: usize) -> Verdict {
    let known = facts.truth.len().min(delivered.len());
    if let Some(i) = (from..known).find(|i| facts.truth[*i] != delivered[*i]) {
        return Err(format!(
            "I3: server {node} delivered {:?} at index {i}, another {:?}",
            delivered[i], facts.truth[i]
        ));
    }
    facts.truth.extend_from_slice(&delivered[known..]);
    Ok(())
}
