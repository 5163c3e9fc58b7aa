//! I3 PrefixConsistency, I5 Agreement, I6 TotalOrder, I7 LocalPrimaryOrder, I8 GlobalPrimaryOrder:
//! there is one committed history, in zxid order, without holes in an epoch; what a server delivers is
//! its beginning. Catches: diverging histories, holes, lost commits.
//!
//! (That the history itself has no holes is checked where it grows, in `history`.)

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};

use bytes::Bytes;
use rookeeper_proto::Zxid;

use crate::model::Model;
use crate::violation::{Check, broken};

/// What a server may have delivered: the records it knows of, and up to where its state came whole.
#[derive(Debug, Default)]
pub struct Delivery {
    /// Records of its log, as far as known.
    pub records: BTreeMap<Zxid, Bytes>,
    /// Its state up to here came as a snapshot.
    pub base: Zxid,
    /// Delivered and checked.
    pub upto: Zxid,
}

impl Delivery {
    /// The last txn it holds.
    pub fn last(&self) -> Zxid {
        self.records.keys().next_back().copied().unwrap_or(self.base)
    }

    /// It has delivered up to `upto`; the history holds what it delivered first.
    pub fn on_delivered(&mut self, server: usize, model: &Model, upto: Zxid) -> Check {
        if upto <= self.upto {
            return Ok(());
        }
        let who = server + 1;
        if model.last() < upto && upto.counter() != 0 {
            let what = format!("server{who} delivers up to {upto}, nobody knows what that is");
            return broken("Integrity", what);
        }
        for (zxid, bytes) in self.records.range((Excluded(self.upto), Included(upto))) {
            if model.txn(*zxid).is_none_or(|txn| txn.record != *bytes) {
                let what = format!("server{who} delivers {zxid}, which others did not");
                return broken("PrefixConsistency", what);
            }
        }
        for txn in model.txns_behind(self.upto.max(self.base)) {
            if upto < txn.zxid {
                break;
            }
            if !self.records.contains_key(&txn.zxid) {
                let zxid = txn.zxid;
                let what = format!("server{who} delivers up to {upto} without {zxid}");
                return broken("Agreement", what);
            }
        }
        self.upto = upto;
        Ok(())
    }

    /// Its log is cut behind `to`.
    pub fn truncate(&mut self, server: usize, to: Zxid) -> Check {
        if to < self.upto {
            let what =
                format!("server{} cuts its log to {to}, delivered {}", server + 1, self.upto);
            return broken("PrefixConsistency", what);
        }
        self.records.split_off(&to.next());
        Ok(())
    }

    /// Its state is replaced by that of `zxid`.
    pub fn install(&mut self, server: usize, zxid: Zxid) -> Check {
        if zxid < self.upto {
            let what = format!("server{} installs {zxid}, delivered {}", server + 1, self.upto);
            return broken("PrefixConsistency", what);
        }
        self.records.clear();
        self.base = zxid;
        Ok(())
    }
}
