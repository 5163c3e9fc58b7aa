//! I9 PrimaryIntegrity: an established leader has delivered everything of earlier epochs that anybody
//! delivered. Catches: acknowledged writes lost by an election.

use super::{Facts, Verdict};
use crate::support::disk::Entry;

pub fn on_established(facts: &Facts, node: usize, epoch: u32, delivered: &[Entry]) -> Verdict {
    let earlier = facts.truth.iter().filter(|(zxid, _)| zxid.epoch() < i64::from(epoch));
    match earlier.clone().find(|entry| !delivered.contains(entry)) {
        Some((zxid, _)) => {
            Err(format!("I9: server {node} leads epoch {epoch} without committed {zxid}"))
        }
        None => Ok(()),
    }
}
