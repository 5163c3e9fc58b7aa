//! I14: a server votes for itself with no more than what is durable.

use rookeeper_proto::Sid;
use rookeeper_proto::quorum::{Notification, ServerState};

use super::Verdict;
use crate::support::disk::Disk;

pub fn on_vote(node: usize, sid: Sid, n: &Notification, disk: &Disk) -> Verdict {
    let is_own = n.state == ServerState::Looking && n.leader == sid;
    if !is_own || n.zxid <= disk.last_durable() {
        return Ok(());
    }
    Err(format!("I14: server {node} votes {}, durable is {}", n.zxid, disk.last_durable()))
}
