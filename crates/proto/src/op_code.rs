//! Operation codes of requests and transactions (`client-protocol.md` 3.2).

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident = $value:literal),* $(,)?) => {
        /// An operation code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        pub enum OpCode { $($(#[$doc])* $name = $value),* }

        impl OpCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The operation with this number.
            pub fn from_i32(n: i32) -> Option<Self> {
                match n { $($value => Some(Self::$name),)* _ => None }
            }
        }
    };
}

ops! {
    /// Server push; invalid as a request.
    Notification = 0,
    /// Create, answering the path.
    Create = 1,
    /// Delete.
    Delete = 2,
    /// Exists.
    Exists = 3,
    /// Get data.
    GetData = 4,
    /// Set data.
    SetData = 5,
    /// Get ACL.
    GetAcl = 6,
    /// Set ACL.
    SetAcl = 7,
    /// Get children, answering the names.
    GetChildren = 8,
    /// Sync.
    Sync = 9,
    /// Ping.
    Ping = 11,
    /// Get children, answering names and stat.
    GetChildren2 = 12,
    /// Check a version; only inside a multi.
    Check = 13,
    /// Several writes, all or none.
    Multi = 14,
    /// Create, answering path and stat.
    Create2 = 15,
    /// Change the ensemble's configuration.
    Reconfig = 16,
    /// Ask whether a watch is set.
    CheckWatches = 17,
    /// Remove watches.
    RemoveWatches = 18,
    /// Create a container.
    CreateContainer = 19,
    /// Internal: remove an empty container or an expired TTL node.
    DeleteContainer = 20,
    /// Create with a time to live.
    CreateTtl = 21,
    /// Several reads.
    MultiRead = 22,
    /// Add credentials.
    Auth = 100,
    /// Re-arm watches after a reconnect.
    SetWatches = 101,
    /// A step of a SASL exchange.
    Sasl = 102,
    /// List the session's ephemerals.
    GetEphemerals = 103,
    /// Count all descendants.
    GetAllChildrenNumber = 104,
    /// Re-arm watches of all kinds.
    SetWatches2 = 105,
    /// Add a persistent watch.
    AddWatch = 106,
    /// List the connection's identities.
    WhoAmI = 107,
    /// Internal: create a session.
    CreateSession = -10,
    /// Close the session.
    CloseSession = -11,
    /// A failed write, as a transaction.
    Error = -1,
}

impl OpCode {
    /// The number on the wire.
    pub fn as_i32(self) -> i32 {
        self as i32
    }

    /// Whether a client may send it: -10 and 20 are internal here, though Java answers them
    /// (`client-protocol.md` 2.10, 3.5, section 13).
    pub fn is_client_request(self) -> bool {
        !matches!(
            self,
            Self::Notification
                | Self::Check
                | Self::DeleteContainer
                | Self::CreateSession
                | Self::Error
        )
    }

    /// Whether it becomes a transaction.
    pub fn is_write(self) -> bool {
        matches!(
            self,
            Self::Create
                | Self::Create2
                | Self::CreateContainer
                | Self::CreateTtl
                | Self::Delete
                | Self::DeleteContainer
                | Self::SetData
                | Self::SetAcl
                | Self::Multi
                | Self::Reconfig
                | Self::CreateSession
                | Self::CloseSession
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        for &op in OpCode::ALL {
            assert_eq!(OpCode::from_i32(op.as_i32()), Some(op));
        }
        for unknown in [10, 23, 99, 108, 888, -2, i32::MIN] {
            assert_eq!(OpCode::from_i32(unknown), None);
        }
    }
}
