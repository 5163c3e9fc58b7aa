//! A watch's event as users see it.

use rookeeper_proto::Zxid;
pub use rookeeper_session::{EventKind, SessionState};

/// An event of a watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedEvent {
    /// What happened.
    pub kind: EventKind,
    /// The node, without the chroot.
    pub path: String,
    /// The transaction that caused it; -1 when not known (servers before 3.9, changes found on
    /// reconnecting, removed watches).
    pub zxid: Zxid,
}
