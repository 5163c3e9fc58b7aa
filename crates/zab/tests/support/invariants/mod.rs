//! One file per invariant of `quorum-protocol.md` 6.1. Each is told what happened and answers whether
//! it may.

pub mod agreement;
pub mod commit_order;
pub mod durable_ack;
pub mod durable_vote;
pub mod epoch_vouches;
pub mod epochs_on_disk;
pub mod global_primary_order;
pub mod integrity;
pub mod leadership;
pub mod local_primary_order;
pub mod log_continuity;
pub mod new_leader_ack;
pub mod prefix_consistency;
pub mod primary_integrity;
pub mod total_order;
pub mod truncation;

use std::collections::BTreeMap;

use rookeeper_proto::Zxid;

use super::disk::Entry;

/// What all servers together did; what no server can know.
#[derive(Debug, Default)]
pub struct Facts {
    /// Committed by somebody, in order.
    pub truth: Vec<Entry>,
    /// What each zxid was proposed as.
    pub proposed: BTreeMap<Zxid, u64>,
    /// Who was established as leader of each epoch.
    pub established: BTreeMap<u32, usize>,
    /// The history each leader began to synchronise its epoch with.
    pub initial: BTreeMap<u32, Vec<Entry>>,
}

pub type Verdict = Result<(), String>;
