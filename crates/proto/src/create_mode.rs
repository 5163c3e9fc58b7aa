//! The seven ways to create a node, and the owner values that mark special nodes.

/// How a node is created (the `flags` field of a create).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum CreateMode {
    /// Stays until deleted.
    Persistent = 0,
    /// Goes with its session.
    Ephemeral = 1,
    /// Persistent with a counter appended to its name.
    PersistentSequential = 2,
    /// Ephemeral with a counter appended to its name.
    EphemeralSequential = 3,
    /// Removed some time after its last child has gone.
    Container = 4,
    /// Removed when not modified for its time to live and without children.
    PersistentWithTtl = 5,
    /// TTL node with a counter appended to its name.
    PersistentSequentialWithTtl = 6,
}

impl CreateMode {
    /// The mode with this flag value.
    pub fn from_flags(flags: i32) -> Option<Self> {
        Some(match flags {
            0 => Self::Persistent,
            1 => Self::Ephemeral,
            2 => Self::PersistentSequential,
            3 => Self::EphemeralSequential,
            4 => Self::Container,
            5 => Self::PersistentWithTtl,
            6 => Self::PersistentSequentialWithTtl,
            _ => return None,
        })
    }

    /// The flag value.
    pub fn flags(self) -> i32 {
        self as i32
    }

    /// Whether the node goes with its session.
    pub fn is_ephemeral(self) -> bool {
        matches!(self, Self::Ephemeral | Self::EphemeralSequential)
    }

    /// Whether a counter is appended.
    pub fn is_sequential(self) -> bool {
        matches!(
            self,
            Self::PersistentSequential
                | Self::EphemeralSequential
                | Self::PersistentSequentialWithTtl
        )
    }

    /// Whether it carries a time to live.
    pub fn is_ttl(self) -> bool {
        matches!(self, Self::PersistentWithTtl | Self::PersistentSequentialWithTtl)
    }
}

/// The largest time to live in milliseconds: 40 bits.
pub const TTL_MS_MAX: i64 = (1 << 40) - 1;

/// The stored owner of a container.
pub const CONTAINER_OWNER: i64 = i64::MIN;

const TTL_MARK: i64 = 0xFF00_0000_0000_0000_u64 as i64;
const EXTENDED_MASK: i64 = TTL_MARK;
const RESERVED_BITS: i64 = 0x00FF_FF00_0000_0000;

/// What the stored `ephemeralOwner` of a node says (`client-protocol.md` 6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerKind {
    /// 0.
    Persistent,
    /// A session id.
    Ephemeral,
    /// [`CONTAINER_OWNER`].
    Container,
    /// A TTL node, with its time to live in milliseconds.
    Ttl(i64),
}

/// The stored owner of a TTL node.
pub fn ttl_owner(ttl_ms: i64) -> i64 {
    TTL_MARK | (ttl_ms & TTL_MS_MAX)
}

impl OwnerKind {
    /// Reads a stored owner. Without `extended_types` a TTL owner looks like a session, as in Java.
    /// `emulate_353` additionally reads the 60-bit encoding of 3.5.3. An owner marked as extended
    /// whose reserved bits are set (Java throws on every access) counts as ephemeral.
    pub fn of(owner: i64, extended_types: bool, emulate_353: bool) -> Self {
        if owner == CONTAINER_OWNER {
            return Self::Container;
        }
        if extended_types && emulate_353 && owner < 0 && owner & EXTENDED_MASK != TTL_MARK {
            return Self::Ttl(owner & i64::MAX & !(0xF << 60));
        }
        if extended_types && owner & EXTENDED_MASK == TTL_MARK && owner & RESERVED_BITS == 0 {
            return Self::Ttl(owner & TTL_MS_MAX);
        }
        if owner == 0 { Self::Persistent } else { Self::Ephemeral }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_round_trip() {
        for flags in 0..=6 {
            assert_eq!(CreateMode::from_flags(flags).unwrap().flags(), flags);
        }
        assert_eq!(CreateMode::from_flags(7), None);
        assert_eq!(CreateMode::from_flags(-1), None);
    }

    #[test]
    fn owners() {
        assert_eq!(OwnerKind::of(0, true, false), OwnerKind::Persistent);
        assert_eq!(OwnerKind::of(CONTAINER_OWNER, false, false), OwnerKind::Container);
        assert_eq!(OwnerKind::of(ttl_owner(5000), true, false), OwnerKind::Ttl(5000));
        assert_eq!(OwnerKind::of(ttl_owner(5000), false, false), OwnerKind::Ephemeral);
        assert_eq!(OwnerKind::of(0x0100_0000_0000_0001, true, false), OwnerKind::Ephemeral);
    }
}
