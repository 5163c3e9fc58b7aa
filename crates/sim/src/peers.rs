//! The network among the servers of an ensemble: streams on the election and the quorum ports, dials,
//! partitions one way and two ways, half-open streams.
//!
//! A blocked direction delivers nothing until its time is up and then everything, in order, as TCP's
//! retransmissions would; nobody is told. A stream whose other end has vanished answers what is sent on
//! it with its end.

use std::collections::{BTreeMap, BTreeSet};

use rookeeper_proto::Sid;
use rookeeper_zab::{Conn, HistoryAnswer};

use crate::net::{NEVER_US, Pipe, Segment};

/// Which port's protocol a stream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Election,
    Quorum,
}

/// What a server's shell hears besides bytes.
#[derive(Debug)]
pub(crate) enum News {
    Accepted { port: Port, conn: Conn },
    Connected { port: Port, sid: Sid, conn: Conn },
    Refused { port: Port, sid: Sid },
    History { conn: Conn, answer: HistoryAnswer },
}

/// One end of a stream. Its name is the other end's with the last bit turned.
#[derive(Debug)]
struct End {
    server: usize,
    port: Port,
    is_open: bool,
    /// Towards this end.
    pipe: Pipe,
}

/// A dial under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dial {
    pub(crate) from: usize,
    pub(crate) boot: u64,
    pub(crate) sid: Sid,
    pub(crate) port: Port,
    /// The numbers of the port that are tried.
    pub(crate) numbers: [u16; 3],
    /// Nothing was heard for too long.
    pub(crate) is_overdue: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct PeerNet {
    ends: BTreeMap<u64, End>,
    /// Open ends towards which something is under way, by server: it asks at every turn.
    waiting: BTreeSet<(usize, u64)>,
    /// Directions in which nothing arrives, until when.
    blocked: BTreeMap<(usize, usize), u64>,
    dials: BTreeMap<u64, Dial>,
    news: BTreeMap<usize, Vec<News>>,
    next: u64,
}

impl PeerNet {
    /// Begins a dial; names it.
    pub(crate) fn dial(&mut self, dial: Dial) -> u64 {
        self.next += 2;
        self.dials.insert(self.next, dial);
        self.next
    }

    /// Ends a dial.
    pub(crate) fn take_dial(&mut self, name: u64) -> Option<Dial> {
        self.dials.remove(&name)
    }

    /// Puts a dial back that has to wait.
    pub(crate) fn put_dial(&mut self, name: u64, dial: Dial) {
        self.dials.insert(name, dial);
    }

    /// Opens a stream: the dialler's end, and the other's.
    pub(crate) fn open(&mut self, now_us: u64, from: usize, to: usize, port: Port) -> (Conn, Conn) {
        self.next += 2;
        let end = |server, other| {
            let mut pipe = Pipe::default();
            if let Some(until_us) = self.blocked.get(&(other, server)).filter(|&&at| now_us < at) {
                pipe.stall(*until_us);
            }
            End { server, port, is_open: true, pipe }
        };
        let (a, b) = (end(from, to), end(to, from));
        self.ends.insert(self.next, a);
        self.ends.insert(self.next + 1, b);
        (Conn(self.next), Conn(self.next + 1))
    }

    /// Tells a server's shell something.
    pub(crate) fn tell(&mut self, server: usize, news: News) {
        self.news.entry(server).or_default().push(news);
    }

    /// What a server's shell has been told.
    pub(crate) fn take_news(&mut self, server: usize) -> Vec<News> {
        self.news.remove(&server).unwrap_or_default()
    }

    /// Sends on a stream; the end at which something will arrive, and when.
    pub(crate) fn send(
        &mut self,
        now_us: u64,
        delay_us: u64,
        conn: Conn,
        segment: Segment,
    ) -> Option<(u64, u64)> {
        self.ends.get(&conn.0).filter(|end| end.is_open)?;
        let other = conn.0 ^ 1;
        let (to, delay_us, segment) = match self.ends.get(&other).filter(|end| end.is_open) {
            Some(_) => (other, delay_us, segment),
            None => (conn.0, 2 * delay_us, Segment::Closed),
        };
        let end = self.ends.get_mut(&to)?;
        self.waiting.insert((end.server, to));
        Some((to, end.pipe.send(now_us, delay_us, segment)))
    }

    /// Closes an end; the other hears of it behind what was sent.
    pub(crate) fn close(
        &mut self,
        now_us: u64,
        delay_us: u64,
        conn: Conn,
        is_announced: bool,
    ) -> Option<(u64, u64)> {
        let arrival =
            if is_announced { self.send(now_us, delay_us, conn, Segment::Closed) } else { None };
        if let Some(end) = self.ends.get_mut(&conn.0) {
            end.is_open = false;
            self.waiting.remove(&(end.server, conn.0));
        }
        if self.ends.get(&(conn.0 ^ 1)).is_none_or(|other| !other.is_open) {
            self.ends.remove(&conn.0);
            self.ends.remove(&(conn.0 ^ 1));
        }
        arrival
    }

    /// The next segment that has arrived at an end.
    pub(crate) fn receive(&mut self, now_us: u64, conn: Conn) -> Option<(Port, Segment)> {
        let end = self.ends.get_mut(&conn.0).filter(|end| end.is_open)?;
        let segment = end.pipe.receive(now_us)?;
        if end.pipe.next_at().is_none() {
            self.waiting.remove(&(end.server, conn.0));
        }
        Some((end.port, segment))
    }

    /// Open ends of a server towards which something is under way.
    pub(crate) fn waiting_at(&self, server: usize) -> Vec<Conn> {
        let own = self.waiting.range((server, 0)..=(server, u64::MAX));
        own.map(|&(_, conn)| Conn(conn)).collect()
    }

    /// Whose end it is, and when something can be received there.
    pub(crate) fn due(&self, conn: u64) -> Option<(usize, u64)> {
        let end = self.ends.get(&conn).filter(|end| end.is_open)?;
        Some((end.server, end.pipe.next_at().filter(|&at| at < NEVER_US)?))
    }

    /// The port of an open end.
    pub(crate) fn port(&self, conn: Conn) -> Option<Port> {
        self.ends.get(&conn.0).filter(|end| end.is_open).map(|end| end.port)
    }

    /// Bytes sent on a stream that have not arrived.
    pub(crate) fn under_way(&self, conn: Conn) -> usize {
        self.ends.get(&(conn.0 ^ 1)).map_or(0, |other| other.pipe.bytes())
    }

    /// Open ends of a server.
    pub(crate) fn of(&self, server: usize) -> Vec<Conn> {
        let own = self.ends.iter().filter(|(_, end)| end.server == server && end.is_open);
        own.map(|(&conn, _)| Conn(conn)).collect()
    }

    /// Nothing gets from one server to another until then.
    pub(crate) fn block(&mut self, from: usize, to: usize, until_us: u64) {
        let until = self.blocked.entry((from, to)).or_default();
        *until = until_us.max(*until);
        let other_of = |conn: u64| conn ^ 1;
        let towards: Vec<u64> = self
            .ends
            .iter()
            .filter(|(conn, end)| {
                let sender = self.ends.get(&other_of(**conn)).map(|other| other.server);
                end.server == to && sender == Some(from)
            })
            .map(|(&conn, _)| conn)
            .collect();
        for conn in towards {
            self.stall(Conn(conn), until_us);
        }
    }

    /// Nothing arrives at this end until then.
    pub(crate) fn stall(&mut self, conn: Conn, until_us: u64) {
        if let Some(end) = self.ends.get_mut(&conn.0) {
            end.pipe.stall(until_us);
        }
    }

    /// Whether a dial gets through.
    pub(crate) fn is_blocked(&self, now_us: u64, a: usize, b: usize) -> bool {
        let is = |pair| self.blocked.get(&pair).is_some_and(|&until_us| now_us < until_us);
        is((a, b)) || is((b, a))
    }

    /// Everything arrives again. Returns the ends at which something waits.
    pub(crate) fn heal(&mut self) -> Vec<u64> {
        self.blocked.clear();
        self.ends.values_mut().for_each(|end| end.pipe.unstall());
        let waiting = self.ends.iter().filter(|(_, end)| end.pipe.next_at().is_some());
        waiting.map(|(&conn, _)| conn).collect()
    }
}
