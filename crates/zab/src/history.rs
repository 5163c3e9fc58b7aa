//! The newest part of the log, kept in memory to synchronise learners by DIFF.
//!
//! Guarantees: the records are contiguous (each [`Zxid::follows`] the one before), and `base`, the
//! point right before the first of them, is a point of the log too: a record or the zxid of the
//! snapshot the log builds upon. Records not known to be committed are never dropped.
//!
//! Java's counterpart is the committed log; this one also holds what is not committed yet, because a
//! leader's whole log counts once it leads.

use std::collections::VecDeque;

use rookeeper_proto::Zxid;

use crate::limits;
use crate::record::TxnRecord;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct History {
    base: Zxid,
    records: VecDeque<TxnRecord>,
    bytes: usize,
    /// A learner is being brought up to it.
    is_awaited: bool,
}

impl History {
    /// `records` directly follow `base`. Records before a gap are dropped: they prove nothing.
    pub(crate) fn new(base: Zxid, records: Vec<TxnRecord>) -> Self {
        let mut history = Self::empty(base);
        for record in records {
            if !record.zxid.follows(history.last()) {
                history = Self::empty(record.zxid);
                continue;
            }
            history.append(record);
        }
        history
    }

    fn empty(base: Zxid) -> Self {
        Self { base, records: VecDeque::new(), bytes: 0, is_awaited: false }
    }

    /// The point before the first record.
    pub(crate) fn base(&self) -> Zxid {
        self.base
    }

    /// The last point.
    pub(crate) fn last(&self) -> Zxid {
        self.records.back().map_or(self.base, |record| record.zxid)
    }

    /// Adds a record that follows the last.
    pub(crate) fn append(&mut self, record: TxnRecord) {
        assert!(record.zxid.follows(self.last()), "{} after {}", record.zxid, self.last());
        self.bytes += record.bytes.len();
        self.records.push_back(record);
    }

    /// Whether a learner is being brought up to it. While one is, only the limit in bytes counts: under load a
    /// learner that reads older records from the disk would else never catch up with a window that moves on
    /// by more records than it is long in the time of one read.
    pub(crate) fn set_awaited(&mut self, is_awaited: bool) {
        self.is_awaited = is_awaited;
    }

    /// Drops the oldest committed records beyond the limits.
    pub(crate) fn trim(&mut self, committed: Zxid, records_max: usize) {
        while let Some(first) = self.records.front() {
            let is_long = !self.is_awaited && self.records.len() > records_max;
            let is_over = is_long || self.bytes > limits::HISTORY_BYTES;
            if !is_over || committed < first.zxid {
                return;
            }
            self.base = first.zxid;
            self.bytes -= first.bytes.len();
            self.records.pop_front();
        }
    }

    /// Drops everything after `to`, which becomes the last point.
    pub(crate) fn truncate(&mut self, to: Zxid) {
        while let Some(last) = self.records.back().filter(|last| to < last.zxid) {
            self.bytes -= last.bytes.len();
            self.records.pop_back();
        }
        if self.last() != to {
            *self = Self::new(to, Vec::new());
        }
    }

    /// The largest point not after `zxid`, if this window reaches that far back.
    pub(crate) fn floor(&self, zxid: Zxid) -> Option<Zxid> {
        if zxid < self.base {
            return None;
        }
        match self.position_after(zxid) {
            0 => Some(self.base),
            n => self.records.get(n - 1).map(|record| record.zxid),
        }
    }

    /// Records after `zxid`, oldest first.
    pub(crate) fn after(&self, zxid: Zxid) -> impl Iterator<Item = &TxnRecord> {
        self.records.range(self.position_after(zxid)..)
    }

    /// Records after `after`: all, or if those up to `end` are more than so many bytes, of those as many as fit,
    /// at least one; then true comes with them.
    pub(crate) fn slice(&self, after: Zxid, bytes_max: usize, end: Zxid) -> (Vec<TxnRecord>, bool) {
        let mut bytes = 0;
        let mut slice = Vec::new();
        for record in self.after(after) {
            bytes += record.bytes.len();
            if bytes_max < bytes && record.zxid <= end && !slice.is_empty() {
                return (slice, true);
            }
            slice.push(record.clone());
        }
        (slice, false)
    }

    /// The record `zxid`, if it is in the window.
    pub(crate) fn get(&self, zxid: Zxid) -> Option<&TxnRecord> {
        let at = self.position_after(zxid).checked_sub(1)?;
        self.records.get(at).filter(|record| record.zxid == zxid)
    }

    fn position_after(&self, zxid: Zxid) -> usize {
        self.records.partition_point(|record| record.zxid <= zxid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn record(epoch: u32, counter: u32) -> TxnRecord {
        TxnRecord { zxid: Zxid::new(epoch, counter), bytes: Bytes::from_static(b"x") }
    }

    #[test]
    fn points_and_ranges() {
        let records = vec![record(1, 2), record(1, 3), record(3, 1)];
        let mut history = History::new(Zxid::new(1, 1), records);
        assert_eq!(history.floor(Zxid::new(1, 0)), None);
        assert_eq!(history.floor(Zxid::new(1, 1)), Some(Zxid::new(1, 1)));
        assert_eq!(history.floor(Zxid::new(2, 7)), Some(Zxid::new(1, 3)));
        assert_eq!(history.floor(Zxid::new(9, 9)), Some(Zxid::new(3, 1)));
        assert_eq!(history.after(Zxid::new(1, 2)).count(), 2);
        history.truncate(Zxid::new(1, 2));
        assert_eq!((history.base(), history.last()), (Zxid::new(1, 1), Zxid::new(1, 2)));
        history.truncate(Zxid::new(1, 0));
        assert_eq!((history.base(), history.last()), (Zxid::new(1, 0), Zxid::new(1, 0)));
    }

    #[test]
    fn slices_end_before_what_is_not_committed() {
        let history = History::new(Zxid::ZERO, (1..=9).map(|n| record(1, n)).collect());
        let at = |n| Zxid::new(1, n);
        let slice = |after, bytes_max, end| {
            let (records, has_more) = history.slice(at(after), bytes_max, at(end));
            (records.iter().map(|record| record.zxid.counter()).collect::<Vec<_>>(), has_more)
        };
        assert_eq!(slice(2, 3, 7), (vec![3, 4, 5], true));
        assert_eq!(slice(5, 3, 7), (vec![6, 7, 8, 9], false), "a tail of proposals goes at once");
        assert_eq!(slice(4, 3, 7), (vec![5, 6, 7, 8, 9], false));
        assert_eq!(slice(3, 3, 9), (vec![4, 5, 6], true));
        assert_eq!(slice(3, 0, 9), (vec![4], true), "one is always sent");
        assert_eq!(slice(9, 3, 9), (vec![], false));
    }

    #[test]
    fn only_committed_records_are_trimmed() {
        let records = (1..=600).map(|n| record(1, n)).collect();
        let mut history = History::new(Zxid::ZERO, records);
        history.trim(Zxid::new(1, 30), limits::HISTORY_RECORDS);
        assert_eq!(history.base(), Zxid::new(1, 30));
        history.trim(Zxid::new(1, 600), limits::HISTORY_RECORDS);
        assert_eq!(history.base(), Zxid::new(1, 100));
        assert_eq!(history.after(Zxid::ZERO).count(), limits::HISTORY_RECORDS);
    }
}
