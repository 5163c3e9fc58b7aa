//! I13: zxids of a log have no holes within an epoch, and each epoch begins with counter 1.

use super::Verdict;
use crate::support::disk::Disk;

pub fn on_appended(node: usize, disk: &Disk) -> Verdict {
    let mut previous = disk.snapshot.zxid;
    for record in &disk.log {
        if !record.zxid.follows(previous) {
            return Err(format!("I13: log of {node}: {} after {previous}", record.zxid));
        }
        previous = record.zxid;
    }
    Ok(())
}
