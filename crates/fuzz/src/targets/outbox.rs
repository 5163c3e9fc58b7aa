//! Connections of a replica under test.

use std::collections::BTreeMap;

use rookeeper_replica::{ConnId, Outbox};

/// What was sent, and what the shell may still deliver.
#[derive(Debug, Default)]
pub(super) struct MemOutbox {
    conns: BTreeMap<ConnId, Conn>,
    next: u32,
    /// Closed by the replica and not told to it yet.
    pub(super) closed: Vec<ConnId>,
}

#[derive(Debug, Default)]
struct Conn {
    out: Vec<u8>,
    is_closing: bool,
    is_paused: bool,
}

impl MemOutbox {
    /// A new connection.
    pub(super) fn open(&mut self) -> ConnId {
        self.next += 1;
        let id = ConnId { index: self.next, generation: 1 };
        self.conns.insert(id, Conn::default());
        id
    }

    /// The connections that exist, oldest first.
    pub(super) fn ids(&self) -> Vec<ConnId> {
        self.conns.keys().copied().collect()
    }

    /// Whether a frame may be delivered.
    pub(super) fn may_deliver(&self, id: ConnId) -> bool {
        self.conns.get(&id).is_some_and(|conn| !conn.is_closing && !conn.is_paused)
    }

    /// The connection is gone; what it was sent.
    pub(super) fn remove(&mut self, id: ConnId) -> Vec<u8> {
        self.conns.remove(&id).map(|conn| conn.out).unwrap_or_default()
    }

    fn close(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(&id)
            && !conn.is_closing
        {
            conn.is_closing = true;
            self.closed.push(id);
        }
    }
}

impl Outbox for MemOutbox {
    fn buffer(&mut self, id: ConnId) -> Option<&mut Vec<u8>> {
        self.conns.get_mut(&id).filter(|conn| !conn.is_closing).map(|conn| &mut conn.out)
    }
    fn close_after_flush(&mut self, id: ConnId) {
        self.close(id);
    }
    fn close_now(&mut self, id: ConnId) {
        self.close(id);
    }
    fn pause(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.is_paused = true;
        }
    }
    fn resume(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.is_paused = false;
        }
    }
}
