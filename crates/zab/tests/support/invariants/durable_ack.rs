//! I12: an ACK leaves only when the txn would survive a power loss.

use rookeeper_proto::Zxid;

use super::Verdict;
use crate::support::disk::Disk;

pub fn on_ack(node: usize, zxid: Zxid, disk: &Disk) -> Verdict {
    if zxid <= disk.last_durable() {
        return Ok(());
    }
    Err(format!("I12: server {node} acknowledges {zxid}, durable is {}", disk.last_durable()))
}
