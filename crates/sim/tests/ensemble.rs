//! Whole ensembles: a fixed slice of seeds without a violation, every run repeatable, and the seeds that
//! showed something once.

use rookeeper_sim::{Counts, Plan, world};

const OPS: u64 = 600;

/// The counts of a seed's run, which must find nothing.
fn run(seed: u64, ops: u64) -> Counts {
    let outcome = world::run(Plan::ensemble(seed, ops), 0);
    if let Some(violation) = outcome.violation {
        let again = world::run(Plan::ensemble(seed, ops), 60);
        again.trace.lines().for_each(|line| println!("{line}"));
        panic!(
            "seed {seed}: {violation}; rookeeper sim --ensemble --seed {seed} --ops {ops} --trace"
        );
    }
    let (ms, counts) = (outcome.counts.virtual_ms, &outcome.counts);
    assert!(ms >= 30_000, "seed {seed} lasts {ms} virtual ms");
    assert!(counts.operations >= ops.min(500), "seed {seed}: {} operations", counts.operations);
    assert!(counts.faults >= 3, "seed {seed}: {} faults", counts.faults);
    outcome.counts
}

/// Each run lasts, asks and suffers as much as it must. What the protocol is there for happens in a handful of runs; that nothing at all is left out takes
/// more than a test of this length can run (`docs/simulator.md`).
#[test]
fn a_slice_of_seeds_finds_nothing_and_exercises_the_protocol() {
    let mut counts = Counts::default();
    (0..12).for_each(|seed| counts.add(&run(seed, OPS)));
    let happened = |name: &str, count: u64| assert!(count > 0, "no {name} in twelve runs");
    happened("election", counts.elections);
    happened("DIFF", counts.diffs);
    happened("TRUNC", counts.truncs);
    happened("SNAP", counts.snaps);
    happened("expiry", counts.expiries);
    happened("forwarded request", counts.forwarded);
    happened("held read", counts.held_reads);
    happened("revalidation", counts.revalidations);
    happened("reconfig", counts.reconfigs);
}

#[test]
fn a_seed_run_twice_gives_the_same_trace() {
    for seed in [2, 7] {
        let run = || world::run(Plan::ensemble(seed, OPS), usize::MAX);
        let (first, second) = (run(), run());
        assert!(first.trace.fingerprint().1 > 1000, "seed {seed} does hardly anything");
        assert_eq!(first.trace.fingerprint(), second.trace.fingerprint());
        assert_eq!(first.counts, second.counts);
    }
}

/// 43: a log older than an installed snapshot brought back a txn that was never committed.
/// 285: a server that had accepted a newer epoch than the leader's. 476, 566: writes of moved sessions.
/// 10513: a joiner put a membership into force that was only proposed, and told those who looked for a leader.
/// 277: a session closed by its leader and its client at once. 1486: a leader that had stood still told a client that its session did not exist.
#[test]
fn seeds_that_showed_something_once() {
    for seed in [43, 60, 71, 277, 285, 476, 566, 1486, 10513] {
        run(seed, 600);
    }
}
