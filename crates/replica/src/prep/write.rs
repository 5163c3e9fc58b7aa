//! What goes into preparation and what comes out.

use rookeeper_proto::client::request::Request;
use rookeeper_proto::{ErrorCode, SessionId, Zxid};

use crate::auth::Identities;

/// What the session tracker says about the session of a write, and about the server that sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// A live global session, owned by the server the write came from. Also: the server itself.
    Live,
    /// A live local session of this server that may not be upgraded: no ephemerals (-120).
    Local,
    /// A local session of another server: not known here, no ephemerals (-112).
    Foreign,
    /// Closing or unknown (-112).
    Expired,
    /// Owned by another server than the one the write came from (-118: close without a reply).
    Moved,
}

/// One write to prepare.
#[derive(Debug)]
pub struct WriteRequest<'r, 'b> {
    /// The session that asks; 0 for the server itself.
    pub session: SessionId,
    /// What is known of it. Not looked at for createSession, closeSession and deleteContainer.
    pub session_state: SessionState,
    /// The request's xid.
    pub cxid: i32,
    /// The wall clock; becomes ctime and mtime.
    pub time_ms: i64,
    /// The decoded request.
    pub request: &'r Request<'b>,
    /// The connection's identities when it sent the request.
    pub ids: &'r Identities,
    /// For a reconfig in an ensemble: the new configuration's text for [`super::Prep::next_zxid`], or
    /// why there is none (`client-protocol.md` 3.6, checks 4 to 9).
    pub reconfig: Option<Result<&'r str, ErrorCode>>,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepared {
    /// Its zxid.
    pub zxid: Zxid,
    /// The kind of txn.
    pub outcome: Outcome,
}

/// The kind of txn a write became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It will succeed when applied.
    Txn,
    /// It is an error txn (type -1) with this code. [`ErrorCode::SessionMoved`] closes the connection
    /// without a reply.
    Error(ErrorCode),
    /// A multi (type 14) that changes nothing because its operation `index` failed with `code`.
    /// [`ErrorCode::SessionMoved`] closes the connection without a reply.
    MultiFailed {
        /// Which operation.
        index: usize,
        /// Why.
        code: ErrorCode,
    },
}
