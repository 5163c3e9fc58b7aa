//! Three real processes are killed, or replaced by a newer build, while many sessions write, and what every
//! client saw is held against what is there in the end.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `ROOKEEPER_LEADER_KILLS` | 5 | how many leaders are killed, 25 of one ensemble |
//! | `ROOKEEPER_LEADER_KILLS_SESSIONS` | 50 | sessions that write |
//! | `ROOKEEPER_LEADER_KILLS_RATE` | - | writes per second that must have been reached between kills |
//! | `ROOKEEPER_PLANTED_BIN` | - | a build with `--features planted-bugs`, for the test that wants one |
//! | `ROOKEEPER_EARLIER_BIN` | - | a build of an earlier commit (`scripts/build-commit`), likewise |
//!
//! What is checked: acknowledged writes survive; a session reads its own writes, in order; zxids of a
//! session's replies never go back, and no two writes share one; sequential numbers are given once, and no
//! create is done twice; an ephemeral lives as long as its session and no longer; a watch fires before the
//! change can be seen, and for nothing else; in the end all servers show the same.
//!
//! That the checker finds each of these is shown on doctored histories, and on real servers that
//! acknowledge before a quorum has the write.

mod campaign;
mod history;
mod session;

use std::path::PathBuf;
use std::time::Duration;

use campaign::{Fault, Outcome, Plan};

/// A new ensemble after so many, so that reading a long log again does not take most of the time.
const KILLS_OF_ONE_ENSEMBLE: usize = 25;
const FAULTS: [Fault; 4] = [Fault::Kill, Fault::Desert, Fault::Restart, Fault::Kill];
/// Within so many kills the planted mistake must show.
const KILLS_UNTIL_FOUND: usize = 5;
const SESSIONS: usize = 50;
/// A sound leader acknowledges nothing without its followers, however long they stand still.
const FROZEN: Duration = Duration::from_millis(300);
/// A leader with the planted mistake may need this long to acknowledge something on a busy machine.
const FROZEN_UNTIL_FOUND: Duration = Duration::from_secs(20);

fn from_env(name: &str) -> Option<usize> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn leaders_are_killed_under_load() {
    let kills = from_env("ROOKEEPER_LEADER_KILLS").unwrap_or(5);
    let sessions = from_env("ROOKEEPER_LEADER_KILLS_SESSIONS").unwrap_or(SESSIONS);
    let mut outcome = Outcome::default();
    while outcome.kills < kills {
        let kills = (kills - outcome.kills).min(KILLS_OF_ONE_ENSEMBLE);
        let (faults, frozen) = (&FAULTS, FROZEN);
        let plan = Plan { kills, faults, sessions, build: None, mistake: "", frozen };
        outcome.add(campaign::run(&plan));
        assert_silent(&outcome);
    }
    if let Some(rate) = from_env("ROOKEEPER_LEADER_KILLS_RATE") {
        assert!(rate as f64 <= outcome.quiet_rate(), "{:.0} writes/s", outcome.quiet_rate());
    }
}

/// Nothing is lost and no session expires, and the load was one.
fn assert_silent(outcome: &Outcome) {
    println!("{outcome}");
    assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
    assert!(outcome.reconnects > 0 && outcome.events > 0, "nobody noticed anything");
}

/// A program named by a variable, which the test cannot do without.
fn program(variable: &str) -> PathBuf {
    let named = std::env::var_os(variable).map(PathBuf::from);
    named
        .filter(|path| path.is_file())
        .unwrap_or_else(|| panic!("{variable} is not the path of a program"))
}

/// The members of an ensemble are replaced one after the other, the leader last, as in an upgrade.
#[test]
#[ignore = "needs ROOKEEPER_EARLIER_BIN, which scripts/build-commit builds"]
fn servers_are_replaced_by_a_newer_build() {
    let earlier = program("ROOKEEPER_EARLIER_BIN");
    let (build, faults, frozen) = (Some(earlier.as_path()), &[Fault::Upgrade], FROZEN);
    let plan = Plan { kills: 1, faults, sessions: SESSIONS, build, mistake: "", frozen };
    assert_silent(&campaign::run(&plan));
}

#[test]
#[ignore = "needs ROOKEEPER_PLANTED_BIN, a build of rookeeper with --features planted-bugs"]
fn an_acknowledgement_before_the_commit_is_found() {
    let planted = program("ROOKEEPER_PLANTED_BIN");
    let (build, mistake) = (Some(planted.as_path()), "commit-without-quorum");
    let (kills, faults, frozen) = (KILLS_UNTIL_FOUND, &[Fault::Desert], FROZEN_UNTIL_FOUND);
    let plan = Plan { kills, faults, sessions: SESSIONS, build, mistake, frozen };
    let outcome = campaign::run(&plan);
    println!("{outcome}, {:?}", outcome.violations.first());
    let is_loss = |text: &String| text.contains("is lost") || text.contains("not between");
    assert!(outcome.violations.iter().any(is_loss), "{:#?}", outcome.violations);
}
