//! The numbers of the protocol, each its own type so that they cannot be mixed up.

use std::fmt;

/// A transaction id: epoch in the high 32 bits, counter in the low 32. Signed, as Java compares it:
/// -1 means "unknown".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Zxid(pub i64);

impl Zxid {
    /// Before any transaction.
    pub const ZERO: Self = Self(0);
    /// Used by a server that cannot prove what it holds; never counted in an election.
    pub const UNKNOWN: Self = Self(-1);

    /// The zxid of transaction `counter` in `epoch`.
    pub fn new(epoch: u32, counter: u32) -> Self {
        Self((i64::from(epoch) << 32) | i64::from(counter))
    }

    /// The epoch, by arithmetic shift as Java does.
    pub fn epoch(self) -> i64 {
        self.0 >> 32
    }

    /// The counter within the epoch; 0 names the start of the epoch and is never a transaction.
    pub fn counter(self) -> u32 {
        (self.0 & 0xffff_ffff) as u32
    }

    /// The following zxid. The caller starts a new epoch before the counter runs out.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// Whether `self` may directly follow `before` in a log: the next counter of the same epoch, or
    /// the first of a later one (`storage-format.md` 1.6).
    pub fn follows(self, before: Self) -> bool {
        self.0 == before.0.wrapping_add(1) && self.epoch() == before.epoch()
            || self.epoch() > before.epoch() && self.counter() == 1
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

/// A session's id. Its high byte names the server that created it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SessionId(pub i64);

impl SessionId {
    /// "No session": asks for a new one in a ConnectRequest.
    pub const NONE: Self = Self(0);
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

/// A client's request number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Xid(pub i32);

impl Xid {
    /// Notification, server to client.
    pub const NOTIFICATION: Self = Self(-1);
    /// Ping, both ways.
    pub const PING: Self = Self(-2);
    /// Auth packet.
    pub const AUTH: Self = Self(-4);
    /// SetWatches of the C client.
    pub const SET_WATCHES: Self = Self(-8);
}

/// A server's number in the ensemble (`myid`); negative for anonymous observers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sid(pub i64);

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zxid_parts() {
        let z = Zxid::new(3, 7);
        assert_eq!((z.epoch(), z.counter()), (3, 7));
        assert_eq!(z.to_string(), "0x300000007");
        assert_eq!(Zxid::UNKNOWN.epoch(), -1);
    }

    #[test]
    fn follows_is_contiguous_within_and_first_across_epochs() {
        assert!(Zxid::new(1, 2).follows(Zxid::new(1, 1)));
        assert!(!Zxid::new(1, 3).follows(Zxid::new(1, 1)));
        assert!(Zxid::new(2, 1).follows(Zxid::new(1, 9)));
        assert!(!Zxid::new(2, 2).follows(Zxid::new(1, 9)));
        assert!(!Zxid::new(1, 1).follows(Zxid::new(1, 1)));
        assert!(!Zxid::new(2, 0).follows(Zxid::new(1, u32::MAX)));
    }
}
