//! Links between clients and servers: two byte streams with delays, cuts and black holes.
//!
//! Within one direction nothing overtakes anything, as in TCP; a black hole keeps what it is given for
//! ever and tells nobody. The links of servers among each other ([`crate::peers`]) are made of the same
//! pipes.

use std::collections::VecDeque;

/// Names a link; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// What travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    /// The connection is wanted.
    Open,
    /// Bytes.
    Bytes(Vec<u8>),
    /// The other end has closed.
    Closed,
}

/// One direction.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    queue: VecDeque<(u64, Segment)>,
    last_at_us: u64,
    stalled_until_us: u64,
}

impl Pipe {
    /// Sends; returns when it arrives.
    pub(crate) fn send(&mut self, now_us: u64, delay_us: u64, segment: Segment) -> u64 {
        let at = (now_us + delay_us).max(self.last_at_us).max(self.stalled_until_us);
        self.last_at_us = at;
        self.queue.push_back((at, segment));
        at
    }

    /// The next segment that has arrived.
    pub(crate) fn receive(&mut self, now_us: u64) -> Option<Segment> {
        let (at, _) = self.queue.front()?;
        if now_us < (*at).max(self.stalled_until_us) {
            return None;
        }
        self.queue.pop_front().map(|(_, segment)| segment)
    }

    /// Delivers nothing before `until_us`.
    pub(crate) fn stall(&mut self, until_us: u64) {
        self.stalled_until_us = self.stalled_until_us.max(until_us);
    }

    /// Delivers again what it was stalled with.
    pub(crate) fn unstall(&mut self) {
        self.stalled_until_us = 0;
    }

    /// When the next segment can be received.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.queue.front().map(|(at, _)| (*at).max(self.stalled_until_us))
    }

    /// Bytes under way.
    pub(crate) fn bytes(&self) -> usize {
        let len = |segment: &Segment| match segment {
            Segment::Bytes(bytes) => bytes.len(),
            Segment::Open | Segment::Closed => 0,
        };
        self.queue.iter().map(|(_, segment)| len(segment)).sum()
    }

    /// Loses what is under way.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
    }
}

/// Whose link it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// A client, by number.
    Client(usize),
    /// Nobody in particular: part of a storm.
    Stray,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) end: End,
    /// Last part of the client's address.
    pub(crate) host: u8,
    /// The server at the other end, by number.
    pub(crate) server: usize,
    /// To the server.
    pub(crate) up: Pipe,
    /// To the client.
    pub(crate) down: Pipe,
}

/// For ever, as far as a run is concerned.
pub(crate) const NEVER_US: u64 = u64::MAX / 4;
