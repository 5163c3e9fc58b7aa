//! I16: a follower that begins to serve holds nothing beside the leader's log: what TRUNC or SNAP was
//! to remove is gone.

use super::Verdict;
use crate::support::disk::{Disk, Entry, entry};

/// `leader`: the whole log of the leader, `disk`: that of a follower that has just become up to date.
pub fn on_up_to_date(node: usize, leader: &[Entry], disk: &Disk) -> Verdict {
    let own = disk.snapshot.entries.iter().copied().chain(disk.log.iter().map(entry));
    for (i, entry) in own.enumerate() {
        if leader.get(i) != Some(&entry) {
            return Err(format!("I16: server {node} still holds {} at index {i}", entry.0));
        }
    }
    Ok(())
}
