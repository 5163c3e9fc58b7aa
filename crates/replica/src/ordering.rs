//! Writes between preparation and application, and what the log stage is handed.
//!
//! A standalone server orders by itself: a txn is committed once its record is durable. The queue
//! here holds every prepared txn in zxid order until it is applied.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use rookeeper_proto::{OpCode, SessionId, Xid, Zxid};

use crate::outbox::ConnId;

/// What the log stage is to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogCommand {
    /// Append a record.
    Append {
        /// Its zxid.
        zxid: Zxid,
        /// Header, txn and digest, as encoded once.
        record: Bytes,
    },
    /// Begin a new file with the next record.
    Roll,
}

/// A prepared txn that is not applied yet.
#[derive(Debug)]
pub struct InFlight {
    /// Its zxid.
    pub zxid: Zxid,
    /// The encoded record; the applier decodes these very bytes.
    pub record: Bytes,
    /// Who waits for the reply, if anybody here does.
    pub origin: Option<Origin>,
}

/// Where a write came from.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// The connection.
    pub conn: ConnId,
    /// Its session.
    pub session: SessionId,
    /// The request's xid.
    pub xid: Xid,
    /// The request's operation.
    pub op: OpCode,
    /// When the request arrived.
    pub received_us: u64,
}

/// Prepared txns in zxid order, and the log's work list.
#[derive(Debug, Default)]
pub struct Ordering {
    in_flight: VecDeque<InFlight>,
    log: Vec<LogCommand>,
    /// Records are cut from this buffer, so that a txn costs no allocation of its own.
    encode: BytesMut,
    scratch: Vec<u8>,
}

/// Records are cut from buffers of this size.
const ENCODE_CHUNK_BYTES: usize = 64 << 10;

impl Ordering {
    /// The scratch buffer a record is encoded into; hand it back with [`Ordering::push`].
    pub fn take_scratch(&mut self) -> Vec<u8> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch
    }

    /// Queues a prepared txn for log and application.
    pub fn push(&mut self, zxid: Zxid, encoded: Vec<u8>, origin: Option<Origin>) -> Bytes {
        debug_assert!(self.in_flight.back().is_none_or(|last| last.zxid < zxid));
        if self.encode.capacity() < encoded.len() {
            self.encode.reserve(encoded.len().max(ENCODE_CHUNK_BYTES));
        }
        self.encode.extend_from_slice(&encoded);
        let record = self.encode.split().freeze();
        self.scratch = encoded;
        self.in_flight.push_back(InFlight { zxid, record: record.clone(), origin });
        self.log.push(LogCommand::Append { zxid, record: record.clone() });
        record
    }

    /// Makes the log begin a new file with the next record.
    pub fn roll(&mut self) {
        self.log.push(LogCommand::Roll);
    }

    /// The next txn to apply, if it is committed.
    pub fn pop_committed(&mut self, committed: Zxid) -> Option<InFlight> {
        if self.in_flight.front()?.zxid <= committed { self.in_flight.pop_front() } else { None }
    }

    /// Moves the log's work to `work`, which must be empty. Returns whether there is any.
    pub fn take_log_work(&mut self, work: &mut Vec<LogCommand>) -> bool {
        debug_assert!(work.is_empty());
        std::mem::swap(&mut self.log, work);
        !work.is_empty()
    }

    /// Forgets everything prepared but not applied, for a log that cannot take it.
    pub fn drop_all(&mut self) -> Vec<InFlight> {
        self.log.clear();
        self.in_flight.drain(..).collect()
    }

    /// Number of txns prepared and not applied.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }
}
