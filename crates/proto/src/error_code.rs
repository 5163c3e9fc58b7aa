//! The codes a reply header or an error result carries (`client-protocol.md` section 8).

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal),* $(,)?) => {
        /// An error code of the client wire. Data, not a Rust error: replies carry it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        pub enum ErrorCode { $($(#[$doc])* $name = $value),* }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code with this number.
            pub fn from_i32(n: i32) -> Option<Self> {
                match n { $($value => Some(Self::$name),)* _ => None }
            }
        }
    };
}

codes! {
    /// Success.
    Ok = 0,
    /// Never sent on purpose.
    SystemError = -1,
    /// The operations of a multi behind the one that failed.
    RuntimeInconsistency = -2,
    /// Never sent.
    DataInconsistency = -3,
    /// Made up by clients.
    ConnectionLoss = -4,
    /// A body that cannot be decoded, or a failure while evaluating it.
    MarshallingError = -5,
    /// Unknown operation.
    Unimplemented = -6,
    /// Made up by clients.
    OperationTimeout = -7,
    /// Bad path, bad flags, bad TTL.
    BadArguments = -8,
    /// Internal: the session is not known to the tracker.
    UnknownSession = -12,
    /// Reconfig: no quorum of the new configuration is connected and synced.
    NewConfigNoQuorum = -13,
    /// Reconfig: another one is pending.
    ReconfigInProgress = -14,
    /// Never sent.
    ApiError = -100,
    /// The node does not exist.
    NoNode = -101,
    /// Not permitted by the ACL.
    NoAuth = -102,
    /// The expected version is not the actual one.
    BadVersion = -103,
    /// Ephemerals may not have children.
    NoChildrenForEphemerals = -108,
    /// The node exists.
    NodeExists = -110,
    /// The node has children.
    NotEmpty = -111,
    /// The session is closing or unknown.
    SessionExpired = -112,
    /// Made up by clients.
    InvalidCallback = -113,
    /// The ACL is empty, unknown or malformed.
    InvalidAcl = -114,
    /// Authentication failed; the connection closes behind it.
    AuthFailed = -115,
    /// Internal: the session moved to another server; the connection closes instead.
    SessionMoved = -118,
    /// A write on a read-only server.
    NotReadOnly = -119,
    /// An ephemeral on a local session that may not be upgraded.
    EphemeralOnLocalSession = -120,
    /// No such watch to check or remove.
    NoWatcher = -121,
    /// Made up by clients.
    RequestTimeout = -122,
    /// `reconfigEnabled` is false.
    ReconfigDisabled = -123,
    /// An unauthenticated request under enforced authentication; the connection closes behind it.
    SessionClosedRequireSaslAuth = -124,
    /// A hard quota is exceeded.
    QuotaExceeded = -125,
    /// The request waited too long in the throttle.
    ThrottledOp = -127,
}

impl ErrorCode {
    /// The number on the wire.
    pub fn as_i32(self) -> i32 {
        self as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        for &code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_i32(code.as_i32()), Some(code));
        }
        for unused in [-9, -10, -104, -107, -109, -126, -128, 1] {
            assert_eq!(ErrorCode::from_i32(unused), None);
        }
    }
}
