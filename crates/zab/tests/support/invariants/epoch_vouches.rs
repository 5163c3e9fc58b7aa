//! Part of I10 and I11: whoever writes currentEpoch = e holds, durably, the initial history of e; for
//! with that epoch it will win elections. Catches: ZOOKEEPER-4643 at once, not only when the election
//! that it spoils takes place.

use super::{Facts, Verdict};
use crate::support::disk::Disk;

pub fn on_current_written(facts: &Facts, node: usize, epoch: u32, disk: &Disk) -> Verdict {
    // The leader itself writes it first; only then is its history known as the initial one.
    let Some(initial) = facts.initial.get(&epoch) else { return Ok(()) };
    if disk.durable_entries().get(..initial.len()) == Some(&initial[..]) {
        return Ok(());
    }
    Err(format!("I11: server {node} makes epoch {epoch} current without its initial history"))
}
