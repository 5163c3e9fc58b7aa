//! The simulation finds what it is there to find: each planted bug is a real one of the past, and must
//! show within a bounded number of seeds of the standard swarm.
//!
//! Run with `cargo test -p rookeeper-zab --features planted-bugs --test planted_bugs`.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};

use rookeeper_zab::Bug;
use support::faults::{plan, run};

/// The first seed that finds the bug. An assertion of the core that fails counts as well.
fn first_seed(bug: Bug, within: u64) -> Option<(u64, String)> {
    (0..within).find_map(|seed| {
        let plan = support::Plan { bug: Some(bug), ..plan(seed) };
        match catch_unwind(AssertUnwindSafe(|| run(plan))) {
            Ok(Ok(_)) => None,
            Ok(Err(violation)) => Some((seed, violation)),
            Err(_) => Some((seed, "an assertion failed".to_owned())),
        }
    })
}

fn check(bug: Bug, within: u64) {
    match first_seed(bug, within) {
        Some((seed, text)) => println!("{bug:?}: seed {seed}: {text}"),
        None => panic!("{bug:?} was not found within {within} seeds"),
    }
}

#[test]
fn ack_before_durable() {
    check(Bug::AckBeforeDurable, 20);
}

#[test]
fn commit_without_quorum() {
    check(Bug::CommitWithoutQuorum, 100);
}

#[test]
fn trunc_off_by_one() {
    check(Bug::TruncOffByOne, 100);
}

#[test]
fn epoch_before_txns() {
    check(Bug::EpochBeforeTxns, 100);
}

#[test]
fn new_leader_before_sync() {
    check(Bug::NewLeaderBeforeSync, 50);
}

#[test]
fn new_leader_ack_before_durable() {
    check(Bug::NewLeaderAckBeforeDurable, 50);
}

#[test]
fn vote_beyond_durable() {
    check(Bug::VoteBeyondDurable, 100);
}

#[test]
fn anyone_may_lead() {
    check(Bug::AnyoneMayLead, 100);
}
