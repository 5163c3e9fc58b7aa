//! A vote, as it travels on the election port (without the frame length).
//!
//! Five layouts exist, told apart by length (`quorum-protocol.md` 2.1). We write the newest; all that
//! Java 3.9 reads is read, and what it drops is an error.

use crate::ids::{Sid, Zxid};
use crate::jute::{DecodeError, JuteWrite, Reader, Result};

/// What the sender is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum ServerState {
    /// Electing.
    Looking = 0,
    /// Following a leader, with a vote.
    Following = 1,
    /// Leading.
    Leading = 2,
    /// Following a leader without a vote.
    Observing = 3,
}

impl ServerState {
    /// The state with this number.
    pub fn from_i32(n: i32) -> Option<Self> {
        Some(match n {
            0 => Self::Looking,
            1 => Self::Following,
            2 => Self::Leading,
            3 => Self::Observing,
            _ => return None,
        })
    }
}

/// The version of the layout with a configuration.
pub const NOTIFICATION_VERSION: i32 = 2;

/// One vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// What the sender is doing.
    pub state: ServerState,
    /// Whom it proposes or follows.
    pub leader: Sid,
    /// The last zxid of that server.
    pub zxid: Zxid,
    /// The election's round (Java: electionEpoch, logical clock).
    pub round: i64,
    /// The epoch of that server's history (Java: peerEpoch).
    pub epoch: i64,
    /// 0 if the layout has none; only [`NOTIFICATION_VERSION`] and above carry a configuration.
    pub version: i32,
    /// The sender's committed configuration, as text. May be anything: the sender may be lying.
    pub config: Option<String>,
}

impl Notification {
    /// Decodes one message.
    ///
    /// # Errors
    /// For every length that 3.9 drops, an unknown state, and a configuration length that does not fit.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(bytes);
        if bytes.len() < 28 {
            return Err(r.error("notification"));
        }
        let state = ServerState::from_i32(r.i32()?)
            .ok_or(DecodeError { at: 0, what: "state of a notification" })?;
        let (leader, zxid, round) = (Sid(r.i64()?), Zxid(r.i64()?), r.i64()?);
        let mut vote =
            Self { state, leader, zxid, round, epoch: zxid.epoch(), version: 0, config: None };
        if bytes.len() == 28 {
            return Ok(vote);
        }
        vote.epoch = r.i64()?;
        if bytes.len() < 40 {
            return Err(r.error("version of a notification"));
        }
        // In the 40-byte layout 3.9 does not look at the version, whatever it says.
        if bytes.len() == 40 {
            return Ok(vote);
        }
        vote.version = r.i32()?;
        if vote.version >= NOTIFICATION_VERSION {
            let config = r.buffer()?.ok_or(r.error("configuration of a notification"))?;
            // Checking first is quicker than what repairs as it goes, and it is nearly always sound.
            vote.config = Some(match str::from_utf8(config) {
                Ok(text) => text.to_owned(),
                Err(_) => String::from_utf8_lossy(config).into_owned(),
            });
        }
        Ok(vote)
    }

    /// The newest layout, without a frame length.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.put_i32(self.state as i32);
        out.put_i64(self.leader.0);
        out.put_i64(self.zxid.0);
        out.put_i64(self.round);
        out.put_i64(self.epoch);
        out.put_i32(NOTIFICATION_VERSION);
        out.put_str(self.config.as_deref().unwrap_or("version=0"));
    }

    /// The newest layout behind its frame length, ready to send.
    pub fn to_frame(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.config.as_ref().map_or(0, String::len));
        out.put_i32(0);
        self.write(&mut out);
        let len = (out.len() - 4) as i32;
        out[..4].copy_from_slice(&len.to_be_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::unhex;
    use super::*;

    const GOLDEN: &str = "00000035 00000000 0000000000000003 0000000100000005 0000000000000002 \
                          0000000000000001 00000002 00000009 76657273696f6e3d30";

    fn golden() -> Notification {
        Notification {
            state: ServerState::Looking,
            leader: Sid(3),
            zxid: Zxid::new(1, 5),
            round: 2,
            epoch: 1,
            version: 2,
            config: Some("version=0".to_owned()),
        }
    }

    #[test]
    fn golden_version_2() {
        let bytes = unhex(GOLDEN);
        assert_eq!(golden().to_frame(), bytes);
        assert_eq!(Notification::read(&bytes[4..]), Ok(golden()));
    }

    #[test]
    fn every_length() {
        let bytes = unhex(GOLDEN);
        let old = Notification { version: 0, config: None, ..golden() };
        for len in 0..40 {
            let read = Notification::read(&bytes[4..4 + len]);
            if len == 28 {
                assert_eq!(read, Ok(old.clone()));
            } else {
                assert!(read.is_err(), "length {len}");
            }
        }
        assert_eq!(Notification::read(&bytes[4..44]), Ok(old.clone()));
        assert!(Notification::read(&bytes[4..46]).is_err(), "configuration length cut");
        let mut version_1 = bytes[4..].to_vec();
        version_1[39] = 1;
        let read = Notification::read(&version_1).unwrap();
        assert_eq!(read, Notification { version: 1, ..old });
    }

    #[test]
    fn unknown_states_and_lying_lengths_are_refused() {
        let mut bytes = unhex(GOLDEN)[4..].to_vec();
        bytes[3] = 4;
        assert!(Notification::read(&bytes).is_err());
        bytes[3] = 0;
        for len in [-1i32, -5, 10, i32::MAX] {
            bytes[40..44].copy_from_slice(&len.to_be_bytes());
            assert!(Notification::read(&bytes).is_err(), "length {len}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Notification::read(&bytes);
        }
    }
}
