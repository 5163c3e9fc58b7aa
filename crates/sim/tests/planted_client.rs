//! What the client's core promises its users is checked: each of these mistakes of the core, made on
//! purpose, is found by the ordinary swarm within a bounded number of seeds.

use rookeeper_session::planted::{self, Bug};
use rookeeper_sim::{Plan, world};

const SEEDS_MAX: u64 = 300;
const OPS: u64 = 400;

/// The checker that finds the mistake first.
#[track_caller]
fn is_found_by(bug: Bug, checkers: &[&str]) {
    planted::set(Some(bug));
    let found = (0..SEEDS_MAX).find_map(|seed| {
        let violation = world::run(Plan::new(seed, OPS, None), 0).violation?;
        println!("{bug:?}: seed {seed}: {violation}");
        Some(violation.checker)
    });
    planted::set(None);
    let found = found.unwrap_or_else(|| panic!("{bug:?}: not found in {SEEDS_MAX} seeds"));
    assert!(checkers.contains(&found), "{bug:?}: found by {found}, not by one of {checkers:?}");
}

#[test]
fn a_lost_write_that_is_called_unsent() {
    is_found_by(Bug::LossDenied, &["promises"]);
}

#[test]
fn a_request_that_fails_twice() {
    is_found_by(Bug::AnsweredTwice, &["promises"]);
}

#[test]
fn requests_that_are_never_answered() {
    is_found_by(Bug::WaitingForgotten, &["promises"]);
}

#[test]
fn answers_in_the_wrong_order() {
    is_found_by(Bug::AnswersSwapped, &["promises"]);
}

#[test]
fn an_event_behind_the_answer_that_follows_it() {
    is_found_by(Bug::EventLate, &["promises"]);
}

#[test]
fn watches_that_are_not_re_armed() {
    is_found_by(Bug::ChildWatchesLost, &["client_watches"]);
}

#[test]
fn watches_that_sleep_through_a_change() {
    is_found_by(Bug::RearmedFromNow, &["client_watches"]);
}

#[test]
fn a_watch_that_fires_twice() {
    is_found_by(Bug::WatchKept, &["client_watches", "promises"]);
}

#[test]
fn credentials_that_a_new_connection_is_not_shown() {
    is_found_by(Bug::CredentialsForgotten, &["promises"]);
}
