//! The connections of this server, as the replica sees them: who they are, which session they speak
//! for, what of theirs is unanswered.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use foldhash::HashMap;
use rookeeper_proto::{ErrorCode, OpCode, SessionId, Xid, Zxid};

use crate::auth::Identities;
use crate::clock::Now;
use crate::outbox::ConnId;
use crate::sessions::SessionSlot;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing but perhaps part of its ConnectRequest has arrived.
    Fresh,
    /// Its session is being created; nothing is read meanwhile.
    Connecting,
    /// Learner: the leader is asked whether its session lives; nothing is read meanwhile.
    Asking,
    /// It speaks for a session.
    Established,
    /// It is closing; frames are ignored.
    Closing,
}

/// A request that is not answered yet, in the order of arrival.
#[derive(Debug)]
pub enum Pending {
    /// A write on its way through log and quorum.
    Write {
        /// Its xid.
        xid: Xid,
        /// Its operation.
        op: OpCode,
        /// Its txn, once it has one here (on a leader or a standalone server).
        zxid: Option<Zxid>,
        /// When it arrived.
        received_us: u64,
        /// Learner: what the client is told if the leader refuses it, which knows less of the session.
        refusal: Option<ErrorCode>,
    },
    /// Learner: a sync on its way to the leader and back.
    Sync {
        /// The whole frame.
        frame: Box<[u8]>,
        /// When it arrived.
        received_us: u64,
    },
    /// A request that waits behind a write of its session.
    Held {
        /// The whole frame.
        frame: Box<[u8]>,
        /// The connection's identities when it arrived: ACLs are checked against these.
        ids: Identities,
        /// When it arrived.
        received_us: u64,
    },
}

/// One connection.
#[derive(Debug)]
pub struct Conn {
    /// Its name.
    pub id: ConnId,
    /// The client's address, IPv4 unmapped.
    pub peer: SocketAddr,
    /// Whether it came in over TLS.
    pub is_secure: bool,
    /// How far it has come.
    pub stage: Stage,
    /// Whether its ConnectRequest carried the readOnly byte, and its value.
    pub read_only_byte: Option<bool>,
    /// Its session.
    pub session: SessionId,
    /// Its session's slot in the tracker.
    pub slot: Option<SessionSlot>,
    /// Negotiated time-out.
    pub timeout_ms: i32,
    /// Its identities.
    pub ids: Identities,
    /// Unanswered requests; empty means a read may be answered at once.
    pub pending: VecDeque<Pending>,
    /// The last txn of its session came by another way: the client may have left it.
    pub is_overtaken: bool,
    /// Whether the shell was told to stop delivering frames.
    pub is_paused: bool,
    /// When it was accepted.
    pub accepted_ms: u64,
    /// Figures for `cons` and `stat`.
    pub stats: ConnStats,
}

/// Figures of one connection.
#[derive(Debug, Clone)]
pub struct ConnStats {
    /// Wall clock at establishment.
    pub established_wall_ms: i64,
    /// Packets received.
    pub received: u64,
    /// Packets sent, notifications included.
    pub sent: u64,
    /// The last operation answered.
    pub last_op: &'static str,
    /// Its xid.
    pub last_cxid: i32,
    /// The zxid of its reply.
    pub last_zxid: i64,
    /// When it was answered, monotonic.
    pub last_response_ms: u64,
    /// Latency of the last reply.
    pub last_latency_ms: u64,
    /// Smallest latency.
    pub min_latency_ms: u64,
    /// Largest latency.
    pub max_latency_ms: u64,
    /// Sum of latencies.
    pub latency_sum_ms: u64,
    /// Number of latencies.
    pub latency_count: u64,
}

impl Default for ConnStats {
    fn default() -> Self {
        Self {
            established_wall_ms: 0,
            received: 0,
            sent: 0,
            last_op: "NA",
            last_cxid: -1,
            last_zxid: -1,
            last_response_ms: 0,
            last_latency_ms: 0,
            min_latency_ms: u64::MAX,
            max_latency_ms: 0,
            latency_sum_ms: 0,
            latency_count: 0,
        }
    }
}

impl ConnStats {
    /// Notes a reply.
    pub fn on_reply(&mut self, now: Now, op: &'static str, xid: Xid, zxid: Zxid, latency_ms: u64) {
        self.sent += 1;
        self.on_served(now, op, xid, zxid, latency_ms);
    }

    /// Notes what was served, without a packet.
    pub fn on_served(&mut self, now: Now, op: &'static str, xid: Xid, zxid: Zxid, latency_ms: u64) {
        self.last_op = op;
        // Pings, auth packets and setWatches have negative xids and do not count as the client's.
        if 0 <= xid.0 {
            self.last_cxid = xid.0;
        }
        self.last_zxid = zxid.0;
        self.last_response_ms = now.mono_ms();
        self.last_latency_ms = latency_ms;
        self.min_latency_ms = self.min_latency_ms.min(latency_ms);
        self.max_latency_ms = self.max_latency_ms.max(latency_ms);
        self.latency_sum_ms += latency_ms;
        self.latency_count += 1;
    }

    /// Forgets everything but the last operation (`crst`).
    pub fn reset(&mut self) {
        *self = Self { established_wall_ms: self.established_wall_ms, ..Self::default() };
    }
}

/// All connections, by slot.
#[derive(Debug, Default)]
pub struct Conns {
    slots: Vec<Option<Box<Conn>>>,
    count: usize,
    per_address: HashMap<IpAddr, u32>,
}

impl Conns {
    /// Adds a connection; the slot must be free.
    pub fn insert(&mut self, now: Now, id: ConnId, peer: SocketAddr, is_secure: bool) {
        let index = id.index as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        let conn = Conn {
            id,
            peer,
            is_secure,
            stage: Stage::Fresh,
            read_only_byte: None,
            session: SessionId::NONE,
            slot: None,
            timeout_ms: 0,
            ids: Identities::of_address(peer.ip()),
            pending: VecDeque::new(),
            is_overtaken: false,
            is_paused: false,
            accepted_ms: now.mono_ms(),
            stats: ConnStats { established_wall_ms: now.wall_ms, ..ConnStats::default() },
        };
        if self.slots[index].replace(Box::new(conn)).is_none() {
            self.count += 1;
        }
        *self.per_address.entry(peer.ip()).or_default() += 1;
    }

    /// Removes a connection.
    pub fn remove(&mut self, id: ConnId) -> Option<Box<Conn>> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.as_ref()?.id != id {
            return None;
        }
        let conn = slot.take()?;
        self.count -= 1;
        let ip = conn.peer.ip();
        if let Some(n) = self.per_address.get_mut(&ip) {
            *n -= 1;
            if *n == 0 {
                self.per_address.remove(&ip);
            }
        }
        Some(conn)
    }

    /// The connection with this name.
    pub fn at(&self, id: ConnId) -> Option<&Conn> {
        self.slots.get(id.index as usize)?.as_deref().filter(|conn| conn.id == id)
    }

    /// The connection with this name.
    pub fn at_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.slots.get_mut(id.index as usize)?.as_deref_mut().filter(|conn| conn.id == id)
    }

    /// Number of connections.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Number of connections from an address.
    pub fn from_address(&self, ip: IpAddr) -> u32 {
        self.per_address.get(&ip).copied().unwrap_or(0)
    }

    /// All connections, by slot.
    pub fn iter(&self) -> impl Iterator<Item = &Conn> {
        self.slots.iter().flatten().map(|conn| &**conn)
    }

    /// All connections, by slot.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Conn> {
        self.slots.iter_mut().flatten().map(|conn| &mut **conn)
    }
}
