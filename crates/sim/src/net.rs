//! Links between clients and servers: two byte streams with delays, cuts and black holes.
//!
//! Within one direction nothing overtakes anything, as in TCP; a black hole keeps what it is given for
//! ever and tells nobody. The links of servers among each other ([`crate::peers`]) are made of the same
//! pipes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

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

impl Segment {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Open | Self::Closed => 0,
        }
    }
}

/// One direction.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    queue: VecDeque<(u64, Segment)>,
    bytes: usize,
    last_at_us: u64,
    stalled_until_us: u64,
}

impl Pipe {
    /// Sends; returns when it arrives.
    pub(crate) fn send(&mut self, now_us: u64, delay_us: u64, segment: Segment) -> u64 {
        let at = (now_us + delay_us).max(self.last_at_us).max(self.stalled_until_us);
        self.last_at_us = at;
        self.bytes += segment.len();
        self.queue.push_back((at, segment));
        at
    }

    /// The next segment that has arrived.
    pub(crate) fn receive(&mut self, now_us: u64) -> Option<Segment> {
        let (at, _) = self.queue.front()?;
        if now_us < (*at).max(self.stalled_until_us) {
            return None;
        }
        let (_, segment) = self.queue.pop_front()?;
        self.bytes -= segment.len();
        Some(segment)
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
        self.bytes
    }

    /// Loses what is under way.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.bytes = 0;
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
    /// To the server: [`Links`] must know of what is sent there.
    up: Pipe,
    /// To the client.
    pub(crate) down: Pipe,
}

impl Link {
    /// A connection on which nothing was sent.
    pub(crate) fn new(end: End, host: u8, server: usize) -> Self {
        Self { end, host, server, up: Pipe::default(), down: Pipe::default() }
    }

    /// Delivers nothing to the server before `until_us`.
    pub(crate) fn stall_up(&mut self, until_us: u64) {
        self.up.stall(until_us);
    }

    /// Whether anything is under way, either way.
    pub(crate) fn is_in_use(&self) -> bool {
        self.up.next_at().is_some() || self.down.next_at().is_some()
    }
}

/// All connections, and which of them hold something for their server: a server asks at every turn, and
/// most connections are silent.
#[derive(Debug, Default)]
pub(crate) struct Links {
    by_id: BTreeMap<LinkId, Link>,
    /// By server.
    rising: BTreeSet<(usize, LinkId)>,
}

impl Links {
    /// Adds a connection.
    pub(crate) fn insert(&mut self, id: LinkId, link: Link) {
        self.by_id.insert(id, link);
    }

    /// The connection of this name.
    pub(crate) fn get(&self, id: LinkId) -> Option<&Link> {
        self.by_id.get(&id)
    }

    /// The connection of this name.
    pub(crate) fn get_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.by_id.get_mut(&id)
    }

    /// All of them.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        self.by_id.values_mut()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// A server's.
    pub(crate) fn of(&self, server: usize) -> Vec<LinkId> {
        let own = self.by_id.iter().filter(|(_, link)| link.server == server);
        own.map(|(&id, _)| id).collect()
    }

    /// A server's with something on its way there.
    pub(crate) fn rising_to(&self, server: usize) -> Vec<LinkId> {
        let own = self.rising.range((server, LinkId(0))..=(server, LinkId(u64::MAX)));
        own.map(|&(_, id)| id).collect()
    }

    /// Sends to the server; returns when it arrives.
    pub(crate) fn send_up(
        &mut self,
        id: LinkId,
        now_us: u64,
        delay_us: u64,
        segment: Segment,
    ) -> Option<u64> {
        let link = self.by_id.get_mut(&id)?;
        self.rising.insert((link.server, id));
        Some(link.up.send(now_us, delay_us, segment))
    }

    /// The next segment that has arrived at the server.
    pub(crate) fn receive_up(&mut self, id: LinkId, now_us: u64) -> Option<Segment> {
        let link = self.by_id.get_mut(&id)?;
        let segment = link.up.receive(now_us)?;
        if link.up.next_at().is_none() {
            self.rising.remove(&(link.server, id));
        }
        Some(segment)
    }

    /// Loses what is on its way to the server.
    pub(crate) fn clear_up(&mut self, id: LinkId) {
        let Some(link) = self.by_id.get_mut(&id) else { return };
        link.up.clear();
        self.rising.remove(&(link.server, id));
    }

    /// Forgets those that nobody needs; those in use stay.
    pub(crate) fn retain(&mut self, mut is_needed: impl FnMut(LinkId, &Link) -> bool) {
        self.by_id.retain(|id, link| link.is_in_use() || is_needed(*id, link));
    }
}

/// For ever, as far as a run is concerned.
pub(crate) const NEVER_US: u64 = u64::MAX / 4;
