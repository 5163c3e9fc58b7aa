//! I10: on the disk, acceptedEpoch >= currentEpoch >= epoch of the last durable zxid, and both grow.
//! Catches: write orders that leave a directory Java refuses to open.

use super::Verdict;
use crate::support::disk::Disk;

pub fn at_any_time(node: usize, before: (u32, u32), disk: &Disk) -> Verdict {
    let last = disk.last_durable();
    if disk.accepted < disk.current || i64::from(disk.current) < last.epoch() {
        return Err(format!(
            "I10: server {node}: accepted {} current {} last {last}",
            disk.accepted, disk.current
        ));
    }
    if disk.accepted < before.0 || disk.current < before.1 {
        return Err(format!("I10: an epoch of server {node} went back"));
    }
    Ok(())
}
