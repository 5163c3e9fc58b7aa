//! What an operator should read in the log: typed, so that the shell words it once and tests can
//! look at it.

use std::net::SocketAddr;

use rookeeper_proto::{SessionId, Zxid};

/// Something worth a line in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A connection was closed by the server.
    ConnectionDropped {
        /// The client.
        peer: SocketAddr,
        /// Its session, 0 if none.
        session: SessionId,
        /// The reason, as the end of "closed because ...".
        why: &'static str,
    },
    /// A session was not heard from in time.
    SessionExpired {
        /// The session.
        session: SessionId,
        /// Its time-out.
        timeout_ms: i32,
    },
    /// The tree's digest after a txn is not what the txn's writer recorded.
    DigestMismatch {
        /// The txn.
        zxid: Zxid,
    },
    /// Writes stopped: the log's disk is full.
    WritesStopped,
    /// Writes go on: there is room again.
    WritesResumed,
}
