//! A session's password: the first 16 bytes of `java.util.Random` seeded from the session id, so that
//! every server of an ensemble, Java's included, computes the same (`client-protocol.md` 2.3).
//!
//! It is no secret in the cryptographic sense; it is what ZooKeeper does and must stay equal.

use crate::ids::SessionId;

/// Bytes of a password.
pub const PASSWORD_BYTES: usize = 16;

const SEED_XOR: i64 = 0xB341_5C00;
const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const MASK: u64 = (1 << 48) - 1;

/// The password of `session`.
pub fn password(session: SessionId) -> [u8; PASSWORD_BYTES] {
    let mut state = ((session.0 ^ SEED_XOR) as u64 ^ MULTIPLIER) & MASK;
    let mut out = [0; PASSWORD_BYTES];
    for chunk in out.chunks_exact_mut(4) {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        chunk.copy_from_slice(&((state >> 16) as u32).to_le_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(session: i64) -> String {
        password(SessionId(session)).iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn equals_what_java_servers_sent() {
        assert_eq!(hex(0x0100_0012_663d_0018), "004e9a8db22928cff5f995a6ae5cfe02");
        assert_eq!(hex(0x0100_0016_5856_0000), "288889fe951a58f246fbc1b666298306");
    }
}
