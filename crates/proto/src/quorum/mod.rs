//! The wire between servers: packets of the quorum port, messages of the election port.
//!
//! Pure data with encode and decode. Which message may come when is `rookeeper-zab`'s business.
//! Source: `quorum-protocol.md` sections 1.1, 1.4, 2.1 and 3.1; golden bytes from the same place.

pub mod auth;
pub mod forward;
pub mod initial;
pub mod learner_info;
pub mod notification;
pub mod packet;

pub use auth::{QuorumAuthPacket, QuorumAuthStatus};
pub use forward::{ForwardedBody, Touches};
pub use initial::InitialMessage;
pub use learner_info::LearnerInfo;
pub use notification::{Notification, ServerState};
pub use packet::{PacketType, QuorumPacket, TryRead};

#[cfg(test)]
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
    digits.chunks(2).map(|pair| byte(pair).unwrap()).collect()
}
