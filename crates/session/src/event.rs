//! What a client is told without asking: kinds of events and states of the session.

use std::fmt;

use rookeeper_proto::client::reply::EventType;

/// What happened to a watched node, or to the watch itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// The node was created.
    NodeCreated,
    /// The node was deleted.
    NodeDeleted,
    /// Its data was set.
    NodeDataChanged,
    /// A child was created or deleted.
    NodeChildrenChanged,
    /// A data or exists watch was removed on request.
    DataWatchRemoved,
    /// A child watch was removed on request.
    ChildWatchRemoved,
    /// A persistent watch was removed on request.
    PersistentWatchRemoved,
}

impl EventKind {
    /// ZooKeeper's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NodeCreated => "NodeCreated",
            Self::NodeDeleted => "NodeDeleted",
            Self::NodeDataChanged => "NodeDataChanged",
            Self::NodeChildrenChanged => "NodeChildrenChanged",
            Self::DataWatchRemoved => "DataWatchRemoved",
            Self::ChildWatchRemoved => "ChildWatchRemoved",
            Self::PersistentWatchRemoved => "PersistentWatchRemoved",
        }
    }
}

impl From<EventType> for EventKind {
    fn from(event: EventType) -> Self {
        match event {
            EventType::NodeCreated => Self::NodeCreated,
            EventType::NodeDeleted => Self::NodeDeleted,
            EventType::NodeDataChanged => Self::NodeDataChanged,
            EventType::NodeChildrenChanged => Self::NodeChildrenChanged,
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionState {
    /// No connection; the client is trying to get one. The session may still be alive.
    Disconnected,
    /// Connected to a server that takes writes.
    Connected,
    /// Connected to a server that only reads, because it has lost its quorum.
    ConnectedReadOnly,
    /// The servers have ended the session, or it can no longer be alive. Final.
    Expired,
    /// The servers have refused credentials. Final.
    AuthFailed,
    /// Closed by this client. Final.
    Closed,
}

impl SessionState {
    /// Whether no request will ever succeed again.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Expired | Self::AuthFailed | Self::Closed)
    }

    /// Whether there is a connection.
    pub fn is_connected(self) -> bool {
        matches!(self, Self::Connected | Self::ConnectedReadOnly)
    }

    /// The keeper state as ZooKeeper's events name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disconnected => "Disconnected",
            Self::Connected => "SyncConnected",
            Self::ConnectedReadOnly => "ConnectedReadOnly",
            Self::Expired => "Expired",
            Self::AuthFailed => "AuthFailed",
            Self::Closed => "Closed",
        }
    }
}
