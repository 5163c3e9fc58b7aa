//! I7 LocalPrimaryOrder: one leader's txns are delivered in its order, none skipped.

use super::Verdict;
use crate::support::disk::Entry;

pub fn on_delivered(node: usize, previous: Option<Entry>, delivered: &[Entry]) -> Verdict {
    let mut previous = previous.map_or(rookeeper_proto::Zxid::ZERO, |entry| entry.0);
    for (zxid, _) in delivered {
        if !zxid.follows(previous) {
            return Err(format!("I7: server {node} delivered {zxid} right after {previous}"));
        }
        previous = *zxid;
    }
    Ok(())
}
