//! I11: NEWLEADER(e) is acknowledged only by a server whose durable history begins with the leader's
//! initial history of e. Catches: ZOOKEEPER-3911, 4643, 4646, 3104.

use super::{Facts, Verdict};
use crate::support::disk::Disk;

pub fn on_ack(facts: &Facts, node: usize, epoch: u32, disk: &Disk) -> Verdict {
    let Some(initial) = facts.initial.get(&epoch) else {
        return Err(format!("I11: server {node} accepts a leader of epoch {epoch} nobody saw"));
    };
    let durable = disk.durable_entries();
    if durable.get(..initial.len()) != Some(&initial[..]) {
        return Err(format!(
            "I11: server {node} accepts epoch {epoch} with {} of {} txns durable",
            durable.len(),
            initial.len()
        ));
    }
    if disk.current < epoch {
        return Err(format!("I11: server {node} accepts {epoch} at epoch {}", disk.current));
    }
    Ok(())
}
