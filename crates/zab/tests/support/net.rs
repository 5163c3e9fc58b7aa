//! A network of byte streams: ordered within one direction, delayed, blockable per direction, cut,
//! half-open.

use std::collections::{BTreeMap, BTreeSet};

use rookeeper_zab::Conn;

/// One end of a stream.
#[derive(Debug, Clone)]
pub struct End {
    /// Which server owns it.
    pub node: usize,
    /// The other end.
    pub other: Conn,
    pub other_node: usize,
    pub is_election: bool,
    /// The owner closed it or was told that it is closed.
    pub is_closed: bool,
    /// No delivery in this direction before then.
    pub not_before: u64,
    /// Bytes that wait for the direction to be unblocked.
    pub stalled: Vec<Parcel>,
}

#[derive(Debug, Clone)]
pub enum Parcel {
    Bytes(Vec<u8>),
    Close,
}

#[derive(Debug, Default)]
pub struct Net {
    pub ends: BTreeMap<Conn, End>,
    /// Directions in which nothing arrives.
    pub blocked: BTreeSet<(usize, usize)>,
    next: u64,
}

impl Net {
    /// A new stream between two servers.
    pub fn open(&mut self, a: usize, b: usize, is_election: bool) -> (Conn, Conn) {
        self.next += 2;
        let (x, y) = (Conn(self.next), Conn(self.next + 1));
        let end = |node, other, other_node| End {
            node,
            other,
            other_node,
            is_election,
            is_closed: false,
            not_before: 0,
            stalled: Vec::new(),
        };
        self.ends.insert(x, end(a, y, b));
        self.ends.insert(y, end(b, x, a));
        (x, y)
    }

    pub fn is_blocked(&self, from: usize, to: usize) -> bool {
        self.blocked.contains(&(from, to))
    }

    /// Streams with an open end at `node`.
    pub fn of(&self, node: usize) -> Vec<Conn> {
        let open = self.ends.iter().filter(|(_, end)| end.node == node && !end.is_closed);
        open.map(|(conn, _)| *conn).collect()
    }
}
