//! The client wire: handshake, request header and bodies, reply header and bodies.
//!
//! Frames are `int length` + payload both ways; the length prefix is not part of these records.

pub mod connect;
pub mod reply;
pub mod request;
pub mod response;

pub use connect::{ConnectRequest, ConnectResponse};
pub use reply::{ReplyHeader, WatchedEvent};
pub use request::{MultiOp, Request, RequestHeader};
pub use response::{MultiResult, Response};

/// Default limit of a frame from a client, inclusive (`jute.maxbuffer`).
pub const FRAME_BYTES_MAX_DEFAULT: usize = 0xf_ffff;
