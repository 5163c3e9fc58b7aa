//! Election connections: one per pair of servers, owned by the larger sid (`quorum-protocol.md` 1.1,
//! 1.2).
//!
//! Guarantees: at most one dial per server is under way; at most one message per server waits (the
//! newest wins); whoever gets a new connection is told the present vote, because one sent on the old
//! connection may be lost; every partial frame is bounded. Duplicates are possible and harmless.
//!
//! Differs from Java: a silent or slow connection blocks nobody; while LOOKING a failed dial is
//! repeated by itself with a growing pause instead of only with the next vote; a new connection
//! starts with the present vote, where Java repeats the last message, however old: that one may name
//! more than is still durable.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use rookeeper_proto::Sid;
use rookeeper_proto::quorum::{InitialMessage, initial};

use crate::effects::{Conn, Effect, Effects};
use crate::ensemble::{Address, EnsembleConfig};
use crate::limits;
use crate::time::Instant;

/// Where servers can be dialled: the configuration in force first, then the newer one.
#[derive(Debug, Clone, Copy)]
pub struct Directory<'a> {
    /// In force.
    pub committed: &'a EnsembleConfig,
    /// The newest seen.
    pub last_seen: &'a EnsembleConfig,
}

impl Directory<'_> {
    fn addresses(&self, sid: Sid) -> Option<Vec<Address>> {
        let lists = [self.committed, self.last_seen];
        let members = lists.iter().filter_map(|list| list.members.get(&sid));
        let all = members.map(crate::ensemble::Member::election_addresses);
        all.reduce(joined)
    }
}

/// Without doubles.
fn joined(mut first: Vec<Address>, then: Vec<Address>) -> Vec<Address> {
    for address in then {
        if !first.contains(&address) {
            first.push(address);
        }
    }
    first
}

/// One other server.
#[derive(Debug, Default)]
struct Link {
    conn: Option<Conn>,
    is_dialing: bool,
    /// Newest message not handed out yet.
    pending: Option<Bytes>,
    /// Whether the connection still writes the one before.
    is_busy: bool,
    /// Whether it is to be told the present vote when the connection takes it.
    is_owed: bool,
    /// Whether anything was ever to be told to it: while LOOKING it is dialled until it answers.
    is_wanted: bool,
    redial_at: Option<Instant>,
    pause: Duration,
    /// Where it says that it can be reached.
    learned: Vec<Address>,
}

/// A connection we accepted or won.
#[derive(Debug)]
struct Stream {
    /// `None` until the initial message.
    sid: Option<Sid>,
    buffer: Vec<u8>,
    /// When it was accepted, or when the message that is not complete yet began.
    since: Instant,
}

impl Stream {
    /// Whether the other side has begun something that it must end.
    fn is_waiting(&self) -> bool {
        self.sid.is_none() || !self.buffer.is_empty()
    }
}

/// All election connections of one server.
#[derive(Debug)]
pub struct Messenger {
    sid: Sid,
    addresses: Vec<Address>,
    is_multi_address: bool,
    links: BTreeMap<Sid, Link>,
    streams: BTreeMap<Conn, Stream>,
    next_anonymous: i64,
    /// How long a connection may take for a message that it has begun.
    patience: Duration,
    /// Whether failed dials are repeated.
    is_eager: bool,
    /// Servers with a new connection that have not been told the present vote on it.
    ungreeted: BTreeSet<Sid>,
}

/// A frame that arrived.
pub type Arrived = (Sid, Vec<u8>);

impl Messenger {
    /// `addresses`: where others can reach this server's election port.
    pub fn new(sid: Sid, addresses: Vec<Address>, is_multi_address: bool) -> Self {
        Self {
            sid,
            addresses,
            is_multi_address,
            links: BTreeMap::new(),
            streams: BTreeMap::new(),
            next_anonymous: -1,
            patience: limits::ELECTION_INTRODUCTION,
            is_eager: false,
            ungreeted: BTreeSet::new(),
        }
    }

    /// How long a connection may take for its initial message, or for any other once begun.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// While LOOKING, dials are repeated until they succeed.
    pub fn set_eager(&mut self, is_eager: bool) {
        self.is_eager = is_eager;
        if !is_eager {
            for link in self.links.values_mut() {
                link.redial_at = None;
            }
        }
    }

    /// Servers with a new connection, to be told the present vote: what was sent on the old one may be
    /// lost.
    pub fn take_ungreeted(&mut self) -> BTreeSet<Sid> {
        std::mem::take(&mut self.ungreeted)
    }

    /// The vote changed for good: what has not left yet is replaced by the present vote when it could
    /// leave.
    pub fn expire_pending(&mut self) {
        for link in self.links.values_mut() {
            link.is_owed |= link.pending.take().is_some();
        }
    }

    /// Servers with a live connection.
    pub fn reachable(&self) -> BTreeSet<Sid> {
        let live = |(sid, link): (&Sid, &Link)| link.conn.is_some().then_some(*sid);
        self.links.iter().filter_map(live).collect()
    }

    /// Whether there is a live connection to a server.
    pub fn is_reachable(&self, sid: Sid) -> bool {
        self.links.get(&sid).is_some_and(|link| link.conn.is_some())
    }

    /// Sends `frame`, replacing an older one that has not left; dials if there is no connection.
    pub fn send(
        &mut self,
        now: Instant,
        to: Sid,
        frame: Bytes,
        dir: Directory<'_>,
        fx: &mut Effects,
    ) {
        if !self.links.contains_key(&to) && self.links.len() >= limits::ELECTION_GUESTS {
            return;
        }
        let link = self.links.entry(to).or_default();
        link.pending = Some(frame);
        link.is_owed = false;
        link.is_wanted = true;
        self.ungreeted.remove(&to);
        if link.conn.is_some() {
            link.pump(fx);
        } else {
            self.dial(now, to, dir, fx);
        }
    }

    fn dial(&mut self, now: Instant, to: Sid, dir: Directory<'_>, fx: &mut Effects) {
        let learned = self.links.get(&to).map(|link| link.learned.clone());
        let addresses = dir.addresses(to).or(learned).unwrap_or_default();
        self.dial_at(now, to, addresses, fx);
    }

    fn dial_at(&mut self, now: Instant, to: Sid, addresses: Vec<Address>, fx: &mut Effects) {
        let Some(link) = self.links.get_mut(&to) else { return };
        if link.is_dialing || link.conn.is_some() || link.redial_at.is_some_and(|at| now < at) {
            return;
        }
        if addresses.is_empty() {
            return;
        }
        link.is_dialing = true;
        link.redial_at = None;
        fx.push(Effect::ConnectElection { sid: to, addresses });
    }

    /// A dial succeeded.
    pub fn on_connected(&mut self, now: Instant, to: Sid, conn: Conn, fx: &mut Effects) {
        let wire: Vec<_> = self.addresses.iter().map(|a| (a.host.clone(), a.port)).collect();
        let hello = InitialMessage { sid: self.sid, addresses: wire };
        let bytes = hello.to_bytes(self.is_multi_address).into();
        fx.push(Effect::SendElection { conn, bytes });
        let is_ours = to < self.sid;
        let link = self.links.entry(to).or_default();
        link.is_dialing = false;
        if !is_ours {
            // The larger sid owns the connection: it has our address now and calls back.
            fx.push(Effect::CloseElection { conn });
            link.postpone(now, self.is_eager);
            return;
        }
        self.keep(now, to, conn, fx);
        // The initial message is still being written.
        if let Some(link) = self.links.get_mut(&to) {
            link.pump(fx);
        }
    }

    /// A dial failed.
    pub fn on_connect_failed(&mut self, now: Instant, to: Sid) {
        if let Some(link) = self.links.get_mut(&to) {
            link.is_dialing = false;
            link.postpone(now, self.is_eager);
        }
    }

    /// Makes `conn` the connection to `sid`, instead of an older one.
    fn keep(&mut self, now: Instant, sid: Sid, conn: Conn, fx: &mut Effects) {
        let link = self.links.entry(sid).or_default();
        if let Some(old) = link.conn.replace(conn).filter(|old| *old != conn) {
            self.streams.remove(&old);
            fx.push(Effect::CloseElection { conn: old });
        }
        link.is_busy = false;
        link.redial_at = None;
        link.pause = Duration::ZERO;
        link.pending = None;
        self.ungreeted.insert(sid);
        let stream = Stream { sid: Some(sid), buffer: Vec::new(), since: now };
        self.streams.entry(conn).or_insert(stream).sid = Some(sid);
    }

    /// Somebody dialled us.
    pub fn on_accepted(&mut self, now: Instant, conn: Conn, fx: &mut Effects) {
        let strangers = self.streams.iter().filter(|(_, s)| s.sid.is_none());
        if strangers.clone().count() >= limits::ELECTION_STRANGERS
            && let Some(oldest) = strangers.min_by_key(|(_, s)| s.since).map(|(conn, _)| *conn)
        {
            self.drop_conn(oldest, fx);
        }
        self.streams.insert(conn, Stream { sid: None, buffer: Vec::new(), since: now });
    }

    /// Bytes arrived; returns the whole frames among them.
    pub fn on_bytes(
        &mut self,
        now: Instant,
        conn: Conn,
        bytes: &[u8],
        dir: Directory<'_>,
        fx: &mut Effects,
    ) -> Vec<Arrived> {
        let Some(stream) = self.streams.get_mut(&conn) else { return Vec::new() };
        stream.buffer.extend_from_slice(bytes);
        if stream.sid.is_none() && !self.introduce(now, conn, dir, fx) {
            return Vec::new();
        }
        let Some(stream) = self.streams.get_mut(&conn) else { return Vec::new() };
        let Some(sid) = stream.sid else { return Vec::new() };
        let mut arrived = Vec::new();
        let mut at = 0;
        let is_sound = loop {
            let rest = &stream.buffer[at..];
            let Some((head, body)) = rest.split_first_chunk::<4>() else { break true };
            let len = match usize::try_from(i32::from_be_bytes(*head)) {
                Ok(len) if (1..=limits::ELECTION_FRAME_BYTES).contains(&len) => len,
                _ => break false,
            };
            let Some(frame) = body.get(..len) else { break true };
            arrived.push((sid, frame.to_vec()));
            at += 4 + len;
        };
        stream.buffer.drain(..at);
        if 0 < at || stream.buffer.len() == bytes.len() {
            stream.since = now;
        }
        if !is_sound {
            fx.warn(format!("server {sid} sent a bad frame length on the election port"));
            self.drop_conn(conn, fx);
        }
        arrived
    }

    /// Reads the initial message. Returns whether the connection is kept and introduced.
    fn introduce(
        &mut self,
        now: Instant,
        conn: Conn,
        dir: Directory<'_>,
        fx: &mut Effects,
    ) -> bool {
        let Some(stream) = self.streams.get_mut(&conn) else { return false };
        let (hello, used) = match InitialMessage::try_read(&stream.buffer) {
            Ok(None) => return false,
            Ok(Some(done)) => done,
            Err(error) => {
                fx.warn(format!("an election connection began with garbage: {error}"));
                self.drop_conn(conn, fx);
                return false;
            }
        };
        stream.buffer.drain(..used);
        let mut sid = hello.sid;
        if sid == initial::ANONYMOUS {
            sid = Sid(self.next_anonymous);
            self.next_anonymous -= 1;
        }
        let is_guest = dir.addresses(sid).is_none() && !self.links.contains_key(&sid);
        if sid == self.sid || is_guest && self.links.len() >= limits::ELECTION_GUESTS {
            fx.warn(format!("server {sid} dialled; it has our own id or is one guest too many"));
            self.drop_conn(conn, fx);
            return false;
        }
        let addresses = hello.addresses.into_iter().map(|(host, port)| Address { host, port });
        let learned = addresses.filter(|a| !a.is_wildcard()).collect();
        let link = self.links.entry(sid).or_default();
        link.learned = learned;
        // Anonymous observers cannot be dialled, so their own connection is kept.
        if 0 <= sid.0 && sid < self.sid {
            self.streams.remove(&conn);
            fx.push(Effect::CloseElection { conn });
            if let Some(old) = link.conn.take() {
                link.is_busy = false;
                self.streams.remove(&old);
                fx.push(Effect::CloseElection { conn: old });
            }
            link.redial_at = None;
            // Where it says that it is, before where the configuration says so: it may have been away
            // while its ports were changed.
            let configured = dir.addresses(sid).unwrap_or_default();
            let addresses = joined(link.learned.clone(), configured);
            self.dial_at(now, sid, addresses, fx);
            return false;
        }
        self.keep(now, sid, conn, fx);
        if let Some(link) = self.links.get_mut(&sid) {
            link.pump(fx);
        }
        true
    }

    /// Everything handed out for the connection has left.
    pub fn on_drained(&mut self, conn: Conn, fx: &mut Effects) {
        let Some(sid) = self.streams.get(&conn).and_then(|s| s.sid) else { return };
        if let Some(link) = self.links.get_mut(&sid).filter(|link| link.conn == Some(conn)) {
            link.is_busy = false;
            if std::mem::take(&mut link.is_owed) {
                self.ungreeted.insert(sid);
            }
            link.pump(fx);
        }
    }

    /// A connection is gone.
    pub fn on_closed(&mut self, now: Instant, conn: Conn) {
        let Some(stream) = self.streams.remove(&conn) else { return };
        let is_eager = self.is_eager;
        if let Some(link) = stream.sid.and_then(|sid| self.links.get_mut(&sid))
            && link.conn == Some(conn)
        {
            link.conn = None;
            link.is_busy = false;
            link.postpone(now, is_eager);
        }
    }

    fn drop_conn(&mut self, conn: Conn, fx: &mut Effects) {
        if let Some(stream) = self.streams.remove(&conn)
            && let Some(link) = stream.sid.and_then(|sid| self.links.get_mut(&sid))
            && link.conn == Some(conn)
        {
            link.conn = None;
            link.is_busy = false;
        }
        fx.push(Effect::CloseElection { conn });
    }

    /// Closes everything and forgets the peers: the configuration changed.
    pub fn restart(&mut self, addresses: Vec<Address>, fx: &mut Effects) {
        for conn in std::mem::take(&mut self.streams).into_keys() {
            fx.push(Effect::CloseElection { conn });
        }
        // Dials under way stay marked, so that none is started twice.
        self.links.retain(|_, link| link.is_dialing);
        for link in self.links.values_mut() {
            *link = Link { is_dialing: true, ..Link::default() };
        }
        // A configuration without this server does not change where it can be reached.
        if !addresses.is_empty() {
            self.addresses = addresses;
        }
    }

    /// When [`Self::on_time`] is wanted.
    pub fn next_deadline(&self) -> Option<Instant> {
        // Dials are repeated only while LOOKING; this is asked for at every turn.
        let links = self.is_eager.then(|| self.links.values()).into_iter().flatten();
        let redials = links.filter_map(|link| link.redial_at);
        let waiting = self.streams.values().filter(|s| s.is_waiting());
        redials.chain(waiting.map(|s| s.since + self.patience)).min()
    }

    /// Time passed: repeat dials, close connections that do not say who they are or do not end a
    /// message.
    pub fn on_time(&mut self, now: Instant, dir: Directory<'_>, fx: &mut Effects) {
        let due =
            |(sid, link): (&Sid, &Link)| link.redial_at.is_some_and(|at| at <= now).then_some(*sid);
        let sids: Vec<Sid> = self.links.iter().filter_map(due).collect();
        for sid in sids {
            if let Some(link) = self.links.get_mut(&sid) {
                link.redial_at = None;
            }
            self.dial(now, sid, dir, fx);
        }
        let silent = |(conn, s): (&Conn, &Stream)| {
            let is_late = s.since + self.patience <= now;
            (s.is_waiting() && is_late).then_some(*conn)
        };
        let conns: Vec<Conn> = self.streams.iter().filter_map(silent).collect();
        for conn in conns {
            self.drop_conn(conn, fx);
        }
    }
}

impl Link {
    fn pump(&mut self, fx: &mut Effects) {
        let Some(conn) = self.conn.filter(|_| !self.is_busy) else { return };
        let Some(bytes) = self.pending.take() else { return };
        self.is_busy = true;
        fx.push(Effect::SendElection { conn, bytes });
    }

    /// Schedules the next dial.
    fn postpone(&mut self, now: Instant, is_eager: bool) {
        self.pause = (self.pause * 2).clamp(limits::ELECTION_REDIAL, limits::ELECTION_REDIAL * 32);
        self.redial_at = (is_eager && self.is_wanted).then(|| now + self.pause);
    }
}
