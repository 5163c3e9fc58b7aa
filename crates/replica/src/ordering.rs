//! Writes between preparation and application, and what the log stage is handed.
//!
//! A standalone server orders by itself: a txn is committed once its record is durable. The leader of
//! an ensemble proposes what it prepares, and the log's work comes back from `zab`; a learner only
//! appends what it is sent. The queue here holds every such txn in zxid order until it is applied.

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
    /// Write an epoch file, durably.
    WriteEpoch {
        /// Which.
        file: EpochFile,
        /// Its new content.
        epoch: u32,
    },
    /// Cut everything behind `to`, durably; then, if `reload`, open the directory again.
    Truncate {
        /// The last zxid to keep.
        to: Zxid,
        /// Whether the tree holds more than that.
        reload: bool,
    },
    /// Make a received state the durable one.
    Install(Box<Installation>),
    /// Take all logs and snapshots out of sight: they may end with something that was never
    /// committed, or miss something that was.
    SetAside {
        /// For the operator.
        reason: String,
    },
}

impl LogCommand {
    /// Whether the state on the disk is another one afterwards.
    pub fn replaces_state(&self) -> bool {
        matches!(self, Self::Truncate { .. } | Self::Install(_) | Self::SetAside { .. })
    }
}

/// One of the two epoch files (`quorum-protocol.md` 3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochFile {
    /// `acceptedEpoch`.
    Accepted,
    /// `currentEpoch`.
    Current,
}

/// A state received from a leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The last txn in it.
    pub zxid: Zxid,
    /// The tree's digest there.
    pub digest: i64,
    /// Its serialised body.
    pub body: Vec<u8>,
    /// New content of `currentEpoch`.
    pub current_epoch: u32,
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
    in_flight_bytes: usize,
    log: Vec<LogCommand>,
    /// Prepared by a leader, to be proposed.
    proposals: Vec<(Zxid, Bytes)>,
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

    /// Queues a prepared txn for application, and for the log or (on a leader) for proposal, which
    /// brings it to the log as well.
    pub fn push(
        &mut self,
        zxid: Zxid,
        encoded: Vec<u8>,
        origin: Option<Origin>,
        is_proposal: bool,
    ) {
        debug_assert!(self.in_flight.back().is_none_or(|last| last.zxid < zxid));
        if self.encode.capacity() < encoded.len() {
            self.encode.reserve(encoded.len().max(ENCODE_CHUNK_BYTES));
        }
        self.encode.extend_from_slice(&encoded);
        let record = self.encode.split().freeze();
        self.scratch = encoded;
        self.in_flight_bytes += record.len();
        self.in_flight.push_back(InFlight { zxid, record: record.clone(), origin });
        if is_proposal {
            self.proposals.push((zxid, record));
        } else {
            self.log.push(LogCommand::Append { zxid, record });
        }
    }

    /// Queues a record for the log; a learner's also for application (a leader's is queued already).
    pub fn append(&mut self, zxid: Zxid, record: Bytes) {
        if self.in_flight.back().is_none_or(|last| last.zxid < zxid) {
            self.in_flight_bytes += record.len();
            self.in_flight.push_back(InFlight { zxid, record: record.clone(), origin: None });
        }
        self.log.push(LogCommand::Append { zxid, record });
    }

    /// Adds other work for the log stage, behind what it was given before.
    pub fn push_log(&mut self, command: LogCommand) {
        self.log.push(command);
    }

    /// Moves what is to be proposed to `proposals`, which must be empty.
    pub fn take_proposals(&mut self, proposals: &mut Vec<(Zxid, Bytes)>) {
        std::mem::swap(&mut self.proposals, proposals);
    }

    /// Nobody here waits for any of these any more.
    pub fn forget_origins(&mut self) {
        self.in_flight.iter_mut().for_each(|txn| txn.origin = None);
        self.proposals.clear();
    }

    /// Drops what is behind `zxid`: it was never committed.
    pub fn drop_beyond(&mut self, zxid: Zxid) {
        self.in_flight.retain(|txn| txn.zxid <= zxid);
        self.in_flight_bytes = self.in_flight.iter().map(|txn| txn.record.len()).sum();
    }

    /// Makes the log begin a new file with the next record.
    pub fn roll(&mut self) {
        self.log.push(LogCommand::Roll);
    }

    /// The next txn to apply, if it is committed.
    pub fn pop_committed(&mut self, committed: Zxid) -> Option<InFlight> {
        if committed < self.in_flight.front()?.zxid {
            return None;
        }
        let txn = self.in_flight.pop_front()?;
        self.in_flight_bytes -= txn.record.len();
        Some(txn)
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
        self.in_flight_bytes = 0;
        self.in_flight.drain(..).collect()
    }

    /// Their bytes.
    pub fn in_flight_bytes(&self) -> usize {
        self.in_flight_bytes
    }

    /// Number of txns prepared and not applied.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }
}
