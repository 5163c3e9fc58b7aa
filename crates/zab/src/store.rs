//! What this server's disk is known to hold, and what it was asked to do and has not reported yet.
//!
//! Guarantees: nothing counts as durable before the driver said so; the epoch files only grow; a
//! truncation, a snapshot installation and a quarantine start only when nothing else is under way, so
//! a late report can never be mistaken for another one.

use std::collections::VecDeque;

use rookeeper_proto::Zxid;

use crate::effects::{Effect, Effects};
use crate::record::TxnRecord;
use crate::time::Instant;

/// See the module.
#[derive(Debug)]
pub struct Store {
    accepted: u32,
    current: u32,
    durable: Zxid,
    appended: Zxid,
    pending_accepted: Option<u32>,
    pending_current: Option<u32>,
    /// Appended, not durable: zxid, bytes, since when.
    unsynced: VecDeque<(Zxid, usize, Instant)>,
    unsynced_bytes: usize,
    /// A truncation, installation or quarantine under way: the last zxid and epoch it leads to.
    replacing: Option<(Zxid, u32)>,
}

impl Store {
    /// What a restart found.
    pub fn new(accepted: u32, current: u32, last: Zxid) -> Self {
        Self {
            accepted,
            current,
            durable: last,
            appended: last,
            pending_accepted: None,
            pending_current: None,
            unsynced: VecDeque::new(),
            unsynced_bytes: 0,
            replacing: None,
        }
    }

    /// Content of the `acceptedEpoch` file.
    pub fn accepted_epoch(&self) -> u32 {
        self.accepted
    }

    /// Content of the `currentEpoch` file.
    pub fn current_epoch(&self) -> u32 {
        self.current
    }

    /// The last zxid that would survive a power loss.
    pub fn durable(&self) -> Zxid {
        self.durable
    }

    /// The last zxid handed to the log.
    pub fn appended(&self) -> Zxid {
        self.appended
    }

    /// Bytes handed to the log and not durable.
    pub fn unsynced_bytes(&self) -> usize {
        self.unsynced_bytes
    }

    /// Since when the oldest such record waits.
    pub fn unsynced_since(&self) -> Option<Instant> {
        self.unsynced.front().map(|(_, _, since)| *since)
    }

    /// Whether everything asked for has been reported.
    pub fn is_settled(&self) -> bool {
        self.is_log_settled() && self.are_epochs_settled()
    }

    /// The same for the epochs alone.
    pub fn are_epochs_settled(&self) -> bool {
        self.pending_accepted.is_none() && self.pending_current.is_none()
    }

    /// The same for the log alone.
    pub fn is_log_settled(&self) -> bool {
        self.replacing.is_none() && self.unsynced.is_empty()
    }

    /// Asks for a new `acceptedEpoch`.
    pub fn write_accepted(&mut self, epoch: u32, fx: &mut Effects) {
        assert!(self.accepted < epoch, "accepted epoch {epoch} after {}", self.accepted);
        assert!(self.pending_accepted.is_none(), "two writes of the accepted epoch");
        self.pending_accepted = Some(epoch);
        fx.push(Effect::WriteAcceptedEpoch { epoch });
    }

    /// Asks for a new `currentEpoch`.
    pub fn write_current(&mut self, epoch: u32, fx: &mut Effects) {
        assert!(self.current < epoch, "current epoch {epoch} after {}", self.current);
        assert!(epoch <= self.accepted, "current epoch {epoch} beyond {}", self.accepted);
        assert!(self.pending_current.is_none(), "two writes of the current epoch");
        self.pending_current = Some(epoch);
        fx.push(Effect::WriteCurrentEpoch { epoch });
    }

    /// Whether a write of `currentEpoch` is under way.
    pub fn is_writing_current(&self) -> bool {
        self.pending_current.is_some()
    }

    /// Hands a record to the log.
    pub fn append(&mut self, now: Instant, record: TxnRecord, fx: &mut Effects) {
        assert!(self.replacing.is_none(), "append while the log is replaced");
        assert!(record.zxid.follows(self.appended), "{} after {}", record.zxid, self.appended);
        self.appended = record.zxid;
        self.unsynced_bytes += record.bytes.len();
        self.unsynced.push_back((record.zxid, record.bytes.len(), now));
        fx.push(Effect::Append { record });
    }

    /// Asks for the log to be cut after `to`.
    pub fn truncate(&mut self, to: Zxid, fx: &mut Effects) {
        assert!(self.is_log_settled(), "truncation of a busy log");
        self.replacing = Some((to, self.current));
        fx.push(Effect::TruncateLog { to });
    }

    /// Asks for the received snapshot to become the durable state.
    pub fn install(
        &mut self,
        through: Zxid,
        records: Vec<TxnRecord>,
        epoch: u32,
        fx: &mut Effects,
    ) {
        assert!(self.is_log_settled(), "installation over a busy log");
        assert!(epoch <= self.accepted, "current epoch {epoch} beyond {}", self.accepted);
        self.replacing = Some((through, epoch));
        fx.push(Effect::InstallSnapshot { through, records, current_epoch: epoch });
    }

    /// Asks for everything to be set aside.
    pub fn quarantine(&mut self, reason: String, fx: &mut Effects) {
        assert!(self.is_log_settled(), "quarantine of a busy log");
        self.replacing = Some((Zxid::UNKNOWN, self.current));
        fx.push(Effect::Quarantine { reason });
    }

    /// Reported.
    pub fn on_accepted_written(&mut self, epoch: u32) {
        if self.pending_accepted == Some(epoch) {
            self.pending_accepted = None;
            self.accepted = epoch;
        }
    }

    /// Reported.
    pub fn on_current_written(&mut self, epoch: u32) {
        if self.pending_current == Some(epoch) {
            self.pending_current = None;
            self.current = epoch;
        }
    }

    /// Reported: everything through `zxid` is durable.
    pub fn on_durable(&mut self, zxid: Zxid) {
        while let Some((first, bytes, _)) = self.unsynced.front().filter(|(z, _, _)| *z <= zxid) {
            self.durable = *first;
            self.unsynced_bytes -= bytes;
            self.unsynced.pop_front();
        }
    }

    /// Reported: the truncation, installation or quarantine is done, or (`false`) changed nothing.
    pub fn on_replaced(&mut self, is_done: bool) {
        if let Some((last, epoch)) = self.replacing.take().filter(|_| is_done) {
            self.durable = last;
            self.appended = last;
            self.current = epoch;
        }
    }
}
