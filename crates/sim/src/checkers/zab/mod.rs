//! The invariants of ZooKeeper's published TLA+ specification (and those of `quorum-protocol.md` 6.1
//! beyond it), over all servers of an ensemble. One file per group; each header names the invariants.
//!
//! What is committed is decided once: the first server that delivers a txn extends the one history
//! ([`crate::history`]), and everybody else must deliver the same bytes in the same order.

pub mod committed;
pub mod integrity;
pub mod leadership;
pub mod membership;
pub mod primary_integrity;
pub mod promises;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use rookeeper_proto::{SessionId, Zxid};

/// What all servers together did; what no server can know.
#[derive(Debug, Default)]
pub struct Facts {
    /// What each zxid was proposed as, and what came before it in its leader's log.
    proposed: BTreeMap<Zxid, (Bytes, Zxid)>,
    /// Who was established as leader of each epoch.
    established: BTreeMap<u32, usize>,
    /// In which epoch each server serves.
    pub serving: BTreeMap<usize, u32>,
    /// Who belongs to the ensemble.
    pub members: membership::Membership,
    /// When servers in step took requests of a session.
    pub heard: BTreeMap<SessionId, Heard>,
}

/// When something was heard, oldest first: of late, and the last time before that.
#[derive(Debug, Default)]
pub struct Heard(VecDeque<u64>);

impl Heard {
    /// Something was heard; nobody will ask for what was known longer than `window_us` ago but the last of it.
    pub fn note(&mut self, now_us: u64, window_us: u64) {
        while self.0.get(1).is_some_and(|&next_us| next_us + window_us <= now_us) {
            self.0.pop_front();
        }
        self.0.push_back(now_us);
    }

    /// The last time not after `until_us`.
    pub fn last_before(&self, until_us: u64) -> Option<u64> {
        self.0.iter().rev().copied().find(|&at_us| at_us <= until_us)
    }
}

impl Facts {
    /// Whether a server serves in an epoch that is over, and does not know it yet.
    pub fn is_of_the_past(&self, server: usize) -> bool {
        let newest = self.established.keys().next_back();
        self.serving.get(&server).is_some_and(|epoch| Some(epoch) < newest)
    }

    /// Who was established in the epoch of a txn.
    pub fn leader_of(&self, zxid: Zxid) -> Option<usize> {
        self.established.get(&u32::try_from(zxid.epoch()).ok()?).copied()
    }

    /// The txns that lead to `upto` from a point at or before `from`, in order.
    pub fn between(&self, from: Zxid, upto: Zxid) -> Vec<(Zxid, Bytes)> {
        let mut list = Vec::new();
        let mut at = upto;
        while from < at
            && let Some((record, before)) = self.proposed.get(&at)
        {
            list.push((at, record.clone()));
            at = *before;
        }
        list.reverse();
        list
    }
}
