//! Reply header and watch notifications. Bodies of replies are written by whoever evaluates the
//! request, straight into the connection's buffer, from the primitives of [`crate::jute`].

use crate::ids::{Xid, Zxid};
use crate::jute::{JuteWrite, Reader, Result};

/// Header of every frame to a client behind the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyHeader {
    /// The request's xid, or -1 for a notification.
    pub xid: Xid,
    /// See `client-protocol.md` 4.1.
    pub zxid: Zxid,
    /// 0 or a negative [`crate::ErrorCode`].
    pub err: i32,
}

impl ReplyHeader {
    /// Encoded size in bytes.
    pub const ENCODED_BYTES: usize = 16;

    /// Appends the wire form.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut b = [0u8; Self::ENCODED_BYTES];
        b[0..4].copy_from_slice(&self.xid.0.to_be_bytes());
        b[4..12].copy_from_slice(&self.zxid.0.to_be_bytes());
        b[12..16].copy_from_slice(&self.err.to_be_bytes());
        out.extend_from_slice(&b);
    }

    /// Reads the wire form.
    pub fn read(r: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { xid: Xid(r.i32()?), zxid: Zxid(r.i64()?), err: r.i32()? })
    }
}

/// What happened to a watched node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum EventType {
    /// The node was created.
    NodeCreated = 1,
    /// The node was deleted.
    NodeDeleted = 2,
    /// Its data was set.
    NodeDataChanged = 3,
    /// A child was created or deleted.
    NodeChildrenChanged = 4,
}

impl EventType {
    /// The event with this number; 5 to 7 are made up by clients and never on the wire.
    pub fn from_i32(n: i32) -> Option<Self> {
        Some(match n {
            1 => Self::NodeCreated,
            2 => Self::NodeDeleted,
            3 => Self::NodeDataChanged,
            4 => Self::NodeChildrenChanged,
            _ => return None,
        })
    }
}

/// The body of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedEvent<'a> {
    /// What happened.
    pub event: EventType,
    /// Full path of the node.
    pub path: std::borrow::Cow<'a, str>,
}

/// The state field of every event a server sends: SyncConnected.
const STATE_SYNC_CONNECTED: i32 = 3;

impl<'a> WatchedEvent<'a> {
    /// Appends the wire form.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.put_i32(self.event as i32);
        out.put_i32(STATE_SYNC_CONNECTED);
        out.put_str(&self.path);
    }

    /// Reads the wire form.
    pub fn read(r: &mut Reader<'a>) -> Result<Self> {
        let event = r.i32()?;
        let Some(event) = EventType::from_i32(event) else { return Err(r.error("event type")) };
        let _state = r.i32()?;
        let path = r.string()?.unwrap_or_default();
        Ok(Self { event, path })
    }
}
