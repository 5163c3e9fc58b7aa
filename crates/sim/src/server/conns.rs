//! The server's end of its connections: input not consumed yet, output not sent yet, and the replica's
//! grip on both ([`Outbox`]).

use std::collections::BTreeMap;

use rookeeper_replica::{ConnId, Outbox};

use crate::net::LinkId;

/// Output beyond which a connection's input is left alone.
const HIGH_WATER_BYTES: usize = 16 << 10;

/// One connection.
#[derive(Debug)]
pub(crate) struct ServerConn {
    pub(crate) id: ConnId,
    pub(crate) link: LinkId,
    pub(crate) input: Vec<u8>,
    pub(crate) out: Vec<u8>,
    pub(crate) is_paused: bool,
    /// Nothing more is read; it ends when `out` is empty.
    pub(crate) is_closing: bool,
    /// It ends now.
    pub(crate) is_dead: bool,
    /// The client has closed its end.
    pub(crate) peer_gone: bool,
    /// The input holds no whole frame: more bytes are needed.
    pub(crate) is_waiting: bool,
}

impl ServerConn {
    /// Whether its input should be looked at.
    pub(crate) fn is_ready(&self) -> bool {
        !self.is_paused
            && !self.is_closing
            && !self.is_dead
            && !self.is_waiting
            && !self.input.is_empty()
            && !self.is_backed_up()
    }

    /// Whether its client reads too slowly.
    pub(crate) fn is_backed_up(&self) -> bool {
        self.out.len() > HIGH_WATER_BYTES
    }
}

/// All connections, by slot.
#[derive(Debug, Default)]
pub(crate) struct ServerConns {
    pub(crate) by_slot: BTreeMap<u32, ServerConn>,
    generation: u32,
    /// Times a connection was paused for running ahead.
    pub(crate) pauses: u64,
}

impl ServerConns {
    /// Gives a new connection the lowest free slot.
    pub(crate) fn open(&mut self, link: LinkId) -> ConnId {
        let index = (0..).find(|index| !self.by_slot.contains_key(index)).unwrap_or(0);
        self.generation += 1;
        let id = ConnId { index, generation: self.generation };
        let conn = ServerConn {
            id,
            link,
            input: Vec::new(),
            out: Vec::new(),
            is_paused: false,
            is_closing: false,
            is_dead: false,
            peer_gone: false,
            is_waiting: false,
        };
        self.by_slot.insert(index, conn);
        id
    }

    /// The connection of this name.
    pub(crate) fn at_mut(&mut self, id: ConnId) -> Option<&mut ServerConn> {
        self.by_slot.get_mut(&id.index).filter(|conn| conn.id == id)
    }

    /// The connection at the end of a link.
    pub(crate) fn of_link(&mut self, link: LinkId) -> Option<&mut ServerConn> {
        self.by_slot.values_mut().find(|conn| conn.link == link)
    }
}

impl Outbox for ServerConns {
    fn buffer(&mut self, conn: ConnId) -> Option<&mut Vec<u8>> {
        let conn = self.at_mut(conn).filter(|conn| !conn.is_closing && !conn.is_dead)?;
        Some(&mut conn.out)
    }

    fn close_after_flush(&mut self, conn: ConnId) {
        if let Some(conn) = self.at_mut(conn) {
            conn.is_closing = true;
        }
    }

    fn close_now(&mut self, conn: ConnId) {
        if let Some(conn) = self.at_mut(conn) {
            conn.is_dead = true;
        }
    }

    fn pause(&mut self, conn: ConnId) {
        self.pauses += 1;
        if let Some(conn) = self.at_mut(conn) {
            conn.is_paused = true;
        }
    }

    fn resume(&mut self, conn: ConnId) {
        if let Some(conn) = self.at_mut(conn) {
            conn.is_paused = false;
        }
    }
}
