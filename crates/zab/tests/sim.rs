//! The deterministic simulation: many seeds, every invariant, liveness at the end of each.
//!
//! `ZAB_SIM_SEEDS=from..to` chooses the seeds, `ZAB_SIM_TRACE=1` prints what happens.

mod support;

use support::faults::{plan, run};

fn seeds(default: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("ZAB_SIM_SEEDS") else { return default };
    let (from, to) = text.split_once("..").expect("ZAB_SIM_SEEDS=from..to");
    from.parse().expect("a number")..to.parse().expect("a number")
}

#[test]
fn no_seed_violates_an_invariant() {
    let range = seeds(0..60);
    let mut total = support::Stats::default();
    let mut failures = Vec::new();
    for seed in range.clone() {
        match run(plan(seed)) {
            Ok(outcome) => total.add(&outcome.stats),
            Err(violation) => {
                println!("{violation}");
                failures.push(seed);
            }
        }
    }
    println!("seeds {range:?}: {total:?}");
    assert!(failures.is_empty(), "seeds with violations: {failures:?}");
}

/// The same swarm with observers that learn from followers: what they are given is held against the same
/// invariants, and in the end they must hold everything.
#[test]
fn no_seed_violates_an_invariant_with_observer_masters() {
    let range = seeds(0..24);
    let mut total = support::Stats::default();
    let mut failures = Vec::new();
    for seed in range.clone() {
        let plan = support::Plan { observers: 2, has_observer_masters: true, ..plan(seed) };
        match run(plan) {
            Ok(outcome) => total.add(&outcome.stats),
            Err(violation) => {
                println!("{violation}");
                failures.push(seed);
            }
        }
    }
    println!("seeds {range:?}: {total:?}");
    assert!(failures.is_empty(), "seeds with violations: {failures:?}");
    assert!(range.is_empty() || 0 < total.hosted, "no observer learnt from a follower");
}

#[test]
fn one_seed_twice_is_the_same_run() {
    for seed in [3, 8, 10] {
        assert_eq!(run(plan(seed)), run(plan(seed)), "seed {seed}");
    }
}

/// Each of these once showed a mistake: of the protocol, of the seam, or of a checker.
#[test]
fn seeds_that_showed_something_once() {
    for seed in [7, 44, 49, 175, 437, 755, 11_228, 11_368, 12_576, 13_461, 20_274, 21_318] {
        if let Err(violation) = run(plan(seed)) {
            panic!("{violation}");
        }
    }
}
