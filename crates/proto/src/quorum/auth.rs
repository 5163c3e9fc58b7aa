//! The packet of quorum SASL: `long magic; int status; buffer token`, without a length in front.

use crate::jute::{JuteWrite, Reader, Result};

/// The first eight bytes of every packet. (Java's literal is negated twice; on the wire it is positive.)
pub const AUTH_MAGIC: i64 = 0x5f24_3501_3501_edcc;
/// Longest token accepted.
const TOKEN_BYTES_MAX: usize = 64 << 10;

/// How far the exchange is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum QuorumAuthStatus {
    /// More to come.
    InProgress = 0,
    /// Done.
    Success = 1,
    /// Refused.
    Error = -1,
}

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuorumAuthPacket<'a> {
    /// How far the exchange is.
    pub status: QuorumAuthStatus,
    /// The mechanism's bytes; `None` is null.
    pub token: Option<&'a [u8]>,
}

impl<'a> QuorumAuthPacket<'a> {
    /// Whether a stream may begin with such a packet: false once the magic differs.
    pub fn may_begin(bytes: &[u8]) -> bool {
        let magic = AUTH_MAGIC.to_be_bytes();
        let n = bytes.len().min(magic.len());
        bytes[..n] == magic[..n]
    }

    /// Reads from the start of a stream; `None` when more bytes are needed.
    pub fn try_read(bytes: &'a [u8]) -> Result<Option<(Self, usize)>> {
        let mut r = Reader::new(bytes);
        if !Self::may_begin(bytes) {
            return Err(r.error("quorum authentication magic"));
        }
        if r.remaining() < 16 {
            return Ok(None);
        }
        r.i64()?;
        let start = r.clone();
        let status = match r.i32()? {
            0 => QuorumAuthStatus::InProgress,
            1 => QuorumAuthStatus::Success,
            -1 => QuorumAuthStatus::Error,
            _ => return Err(start.error("quorum authentication status")),
        };
        let start = r.clone();
        let len = r.i32()?;
        if len == -1 {
            return Ok(Some((Self { status, token: None }, r.at())));
        }
        match usize::try_from(len) {
            Ok(len) if len <= TOKEN_BYTES_MAX => {
                if r.remaining() < len {
                    return Ok(None);
                }
                let token = Some(r.bytes(len, "token")?);
                Ok(Some((Self { status, token }, r.at())))
            }
            _ => Err(start.error("quorum authentication token")),
        }
    }

    /// The packet's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_i64(AUTH_MAGIC);
        out.put_i32(self.status as i32);
        out.put_buffer(self.token);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::unhex;
    use super::*;

    #[test]
    fn golden_and_prefixes() {
        let golden = unhex("5F2435013501EDCC 00000001 00000002 6869");
        let packet = QuorumAuthPacket { status: QuorumAuthStatus::Success, token: Some(b"hi") };
        assert_eq!(packet.to_bytes(), golden);
        assert_eq!(QuorumAuthPacket::try_read(&golden), Ok(Some((packet, golden.len()))));
        for cut in 0..golden.len() {
            assert_eq!(QuorumAuthPacket::try_read(&golden[..cut]), Ok(None));
        }
        let null = QuorumAuthPacket { status: QuorumAuthStatus::InProgress, token: None };
        assert_eq!(QuorumAuthPacket::try_read(&null.to_bytes()), Ok(Some((null, 16))));
    }

    #[test]
    fn other_streams_are_told_at_the_first_byte() {
        assert!(QuorumAuthPacket::try_read(&[0]).is_err());
        assert!(QuorumAuthPacket::try_read(&unhex("5F2435013501EDCC 00000007 00000000")).is_err());
        assert!(QuorumAuthPacket::try_read(&unhex("5F2435013501EDCC 00000000 7fffffff")).is_err());
    }
}
