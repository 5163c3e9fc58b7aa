//! I15: on one connection, COMMITs come in order, each after its PROPOSAL.

use rookeeper_proto::Zxid;
use rookeeper_proto::quorum::{PacketType, QuorumPacket};

use super::Verdict;

/// What a leader sent on one connection.
#[derive(Debug, Default, Clone)]
pub struct Stream {
    proposed: Zxid,
    committed: Zxid,
}

impl Stream {
    pub fn on_sent(&mut self, packet: &QuorumPacket<'_>) -> Verdict {
        let zxid = packet.zxid;
        match packet.packet_type() {
            Some(PacketType::Proposal) => {
                if zxid <= self.proposed {
                    return Err(format!("I15: PROPOSAL {zxid} after {}", self.proposed));
                }
                self.proposed = zxid;
            }
            Some(PacketType::Commit | PacketType::CommitAndActivate) => {
                if zxid <= self.committed || self.proposed < zxid {
                    return Err(format!(
                        "I15: COMMIT {zxid}, proposed {}, committed {}",
                        self.proposed, self.committed
                    ));
                }
                self.committed = zxid;
            }
            _ => {}
        }
        Ok(())
    }
}
