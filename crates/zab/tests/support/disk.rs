//! A disk that keeps what was forced and some of what was not.
//!
//! Operations run one after the other, as the effects demand; consecutive appends are forced together.
//! At a crash, of the records being forced any prefix survives, and another operation under way has
//! happened or not.

use std::collections::VecDeque;

use rookeeper_proto::Zxid;
use rookeeper_zab::{HistoryAnswer, TxnRecord};

use super::rng::Rng;

/// A txn as the checkers see it: its zxid and a hash of its bytes.
pub type Entry = (Zxid, u64);

pub fn entry(record: &TxnRecord) -> Entry {
    let hash = record
        .bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    (record.zxid, hash)
}

/// A state: everything applied, in order, and the zxid it stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    pub zxid: Zxid,
    pub entries: Vec<Entry>,
}

impl State {
    pub fn apply(&mut self, record: &TxnRecord) {
        if self.zxid < record.zxid {
            self.zxid = record.zxid;
            self.entries.push(entry(record));
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = (self.entries.len() as u64).to_be_bytes().to_vec();
        out.extend(self.zxid.0.to_be_bytes());
        for (zxid, hash) in &self.entries {
            out.extend(zxid.0.to_be_bytes());
            out.extend(hash.to_be_bytes());
        }
        out
    }

    /// The state at the start of `bytes` and its length, once it is all there.
    pub fn from_bytes(bytes: &[u8]) -> Option<(Self, usize)> {
        let long = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let count = long(0)? as usize;
        let zxid = Zxid(long(8)? as i64);
        let len = 16 + count * 16;
        if bytes.len() < len {
            return None;
        }
        let entry = |i: usize| Some((Zxid(long(16 + i * 16)? as i64), long(24 + i * 16)?));
        Some((Self { zxid, entries: (0..count).filter_map(entry).collect() }, len))
    }
}

#[derive(Debug, Clone)]
pub enum Op {
    Accepted(u32),
    Current(u32),
    Append(TxnRecord),
    Truncate(Zxid),
    Install(State, u32),
    Quarantine,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    Accepted(u32),
    Current(u32),
    Durable(Zxid),
    Truncated(bool),
    Installed(State),
    Quarantined,
}

#[derive(Debug, Default)]
pub struct Disk {
    pub accepted: u32,
    pub current: u32,
    pub is_quarantined: bool,
    pub snapshot: State,
    /// Records of the log; the first `synced` of them survive a crash.
    pub log: Vec<TxnRecord>,
    pub synced: usize,
    queue: VecDeque<Op>,
    running: Option<Op>,
}

impl Disk {
    pub fn submit(&mut self, op: Op) {
        self.queue.push_back(op);
    }

    pub fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    /// Starts the next operation. Returns whether there is one.
    pub fn start(&mut self) -> bool {
        let Some(op) = self.queue.pop_front() else { return false };
        if let Op::Append(record) = &op {
            self.log.push(record.clone());
            while let Some(Op::Append(record)) = self.queue.front() {
                self.log.push(record.clone());
                self.queue.pop_front();
            }
        }
        self.running = Some(op);
        true
    }

    /// Ends the operation that was started.
    pub fn finish(&mut self) -> Option<Done> {
        let op = self.running.take()?;
        Some(self.carry_out(op))
    }

    fn carry_out(&mut self, op: Op) -> Done {
        match op {
            Op::Accepted(epoch) => {
                self.accepted = epoch;
                Done::Accepted(epoch)
            }
            Op::Current(epoch) => {
                self.current = epoch;
                Done::Current(epoch)
            }
            Op::Append(_) => {
                self.synced = self.log.len();
                Done::Durable(self.last_durable())
            }
            Op::Truncate(to) => Done::Truncated(self.truncate(to)),
            Op::Install(state, epoch) => {
                self.snapshot = state.clone();
                self.log.clear();
                self.synced = 0;
                self.current = epoch;
                self.is_quarantined = false;
                Done::Installed(state)
            }
            Op::Quarantine => {
                self.wipe();
                Done::Quarantined
            }
        }
    }

    /// Everything but the epochs is gone, and the server knows it.
    pub fn wipe(&mut self) {
        self.snapshot = State::default();
        self.log.clear();
        self.synced = 0;
        self.is_quarantined = true;
    }

    fn truncate(&mut self, to: Zxid) -> bool {
        let is_record = self.log.iter().any(|record| record.zxid == to);
        if !is_record && self.snapshot.zxid != to {
            return false;
        }
        self.log.retain(|record| record.zxid <= to);
        self.synced = self.log.len();
        true
    }

    /// Power is lost.
    pub fn crash(&mut self, rng: &mut Rng) {
        self.queue.clear();
        if let Some(op) = self.running.take() {
            if matches!(op, Op::Append(_)) {
                let unsynced = (self.log.len() - self.synced) as u64;
                self.synced += rng.range(0, unsynced) as usize;
            } else if rng.one_in(2) {
                self.carry_out(op);
            }
        }
        self.log.truncate(self.synced);
    }

    /// Writes a snapshot of the applied state, if the log is durable through it.
    pub fn take_snapshot(&mut self, state: &State) -> bool {
        if self.is_busy() || self.last_durable() < state.zxid || state.zxid <= self.snapshot.zxid {
            return false;
        }
        self.snapshot = state.clone();
        self.log.retain(|record| state.zxid < record.zxid);
        self.synced = self.log.len();
        true
    }

    pub fn last_durable(&self) -> Zxid {
        self.synced.checked_sub(1).map_or(self.snapshot.zxid, |at| self.log[at].zxid)
    }

    /// Everything that would survive a crash, as a list.
    pub fn durable_entries(&self) -> Vec<Entry> {
        let log = self.log[..self.synced].iter().map(entry);
        self.snapshot.entries.iter().copied().chain(log).collect()
    }

    pub fn read(&self, after: Zxid, through: Zxid, max: usize) -> HistoryAnswer {
        if after < self.snapshot.zxid {
            return HistoryAnswer::Unavailable;
        }
        let at = self.log.partition_point(|record| record.zxid <= after);
        let prev = at.checked_sub(1).map_or(self.snapshot.zxid, |at| self.log[at].zxid);
        let records = self.log[at..].iter().filter(|r| r.zxid <= through).take(max);
        HistoryAnswer::Records { prev, records: records.cloned().collect() }
    }
}
