//! Losses of the past, made again on purpose: each is found by the ordinary swarm of ensembles, with no
//! scenario written for it. `docs/simulator.md` lists them by id.
//!
//! `cargo test -p rookeeper-sim --release --test planted_ensemble -- --ignored --nocapture` searches for
//! every one from seed 0 on and prints the table (`ROOKEEPER_SIM_LOSS` names one); the other tests look where it was found last.

use rookeeper_replica::planted::{self, Bug};
use rookeeper_sim::{Plan, PlantedBug, world};

const OPS: u64 = 600;
const SEEDS_MAX: u64 = 5000;

/// Where a mistake is made.
#[derive(Debug, Clone, Copy)]
enum Loss {
    Protocol(rookeeper_zab::Bug),
    Replica(Bug),
    Shell(PlantedBug),
}

use Loss::{Protocol, Replica, Shell};
use rookeeper_zab::Bug as Zab;

/// Every loss, and the first seed that finds it.
const LOSSES: [(Loss, u64); 19] = [
    (Protocol(Zab::AckBeforeDurable), 0),
    (Protocol(Zab::CommitWithoutQuorum), 0),
    (Protocol(Zab::TruncOffByOne), 6),
    (Protocol(Zab::EpochBeforeTxns), 8),
    (Protocol(Zab::NewLeaderBeforeSync), 0),
    (Protocol(Zab::NewLeaderAckBeforeDurable), 0),
    (Protocol(Zab::VoteBeyondDurable), 3),
    (Protocol(Zab::AnyoneMayLead), 2),
    (Replica(Bug::TreeNotReloaded), 48),
    (Replica(Bug::SessionsForgotten), 0),
    (Replica(Bug::FailedWriteIgnored), 2),
    (Replica(Bug::AcceptedEpochNotWritten), 0),
    (Replica(Bug::CurrentEpochNotWritten), 0),
    (Replica(Bug::OldLogsKept), 220),
    (Replica(Bug::SessionMoveIgnored), 2),
    (Replica(Bug::EphemeralsKept), 0),
    (Replica(Bug::ReadNotHeld), 0),
    (Replica(Bug::TouchIgnored), 0),
    (Shell(PlantedBug::LostEvent), 39),
];

/// The first of these seeds that finds the loss, and what it says.
fn find(loss: Loss, mut seeds: impl Iterator<Item = u64>) -> Option<(u64, String)> {
    planted::set(if let Replica(bug) = loss { Some(bug) } else { None });
    rookeeper_zab::plant(if let Protocol(bug) = loss { Some(bug) } else { None });
    let found = seeds.find_map(|seed| {
        let mut plan = Plan::ensemble(seed, OPS);
        plan.planted = if let Shell(bug) = loss { Some(bug) } else { None };
        let violation = world::run(plan, 0).violation?;
        Some((seed, violation.to_string()))
    });
    planted::set(None);
    rookeeper_zab::plant(None);
    found
}

/// How many seeds are tried from the one that found it last: what a seed does changes with the code.
const NEARBY: u64 = 300;

#[test]
fn every_loss_is_found_where_it_was_found_before() {
    for (loss, seed) in LOSSES {
        let found = find(loss, seed..seed + NEARBY);
        assert!(found.is_some(), "{loss:?} is not found by {NEARBY} seeds from {seed} on");
    }
}

#[test]
#[ignore = "takes minutes; prints the table of docs/simulator.md"]
fn every_loss_is_found_within_five_thousand_seeds() {
    let wanted = std::env::var("ROOKEEPER_SIM_LOSS").unwrap_or_default();
    for (loss, _) in LOSSES.into_iter().filter(|it| format!("{it:?}").contains(&wanted)) {
        let Some((seed, words)) = find(loss, 0..SEEDS_MAX) else {
            panic!("{loss:?} is not found within {SEEDS_MAX} seeds");
        };
        let words: String = words.chars().take(120).collect();
        println!("{loss:?} | {seed} | {words}");
    }
}
