//! What a learner says of itself in FOLLOWERINFO and OBSERVERINFO.

use crate::ids::Sid;
use crate::jute::{JuteWrite, Reader, Result};

/// `long serverid; int protocolVersion; long configVersion`, read by length: older learners leave
/// the tail out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearnerInfo {
    /// The learner.
    pub sid: Sid,
    /// At least [`PROTOCOL_VERSION`] for the handshake with LEADERINFO and ACKEPOCH.
    pub protocol_version: i32,
    /// Version of its committed configuration.
    pub config_version: i64,
}

/// The protocol version of ZooKeeper 3.4 to 3.9.
pub const PROTOCOL_VERSION: i32 = 0x1_0000;

impl LearnerInfo {
    /// Reads as much as is there; shorter than a sid is an error.
    pub fn read(data: &[u8]) -> Result<Self> {
        let mut r = Reader::new(data);
        let sid = Sid(r.i64()?);
        let protocol_version = if r.remaining() >= 4 { r.i32()? } else { 1 };
        let config_version = if r.remaining() >= 8 { r.i64()? } else { 0 };
        Ok(Self { sid, protocol_version, config_version })
    }

    /// All 20 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(20);
        out.put_i64(self.sid.0);
        out.put_i32(self.protocol_version);
        out.put_i64(self.config_version);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_by_length() {
        let info =
            LearnerInfo { sid: Sid(3), protocol_version: PROTOCOL_VERSION, config_version: 9 };
        let bytes = info.to_bytes();
        assert_eq!(bytes.len(), 20);
        assert_eq!(LearnerInfo::read(&bytes), Ok(info));
        assert_eq!(LearnerInfo::read(&bytes[..12]), Ok(LearnerInfo { config_version: 0, ..info }));
        let old = LearnerInfo { protocol_version: 1, config_version: 0, ..info };
        assert_eq!(LearnerInfo::read(&bytes[..8]), Ok(old));
        assert!(LearnerInfo::read(&bytes[..7]).is_err());
    }
}
