//! Generated scripts against two servers: every reply, Stat, error and watch event must be equal.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `ROOKEEPER_DIFF_LEFT` | `apache395` | one server |
//! | `ROOKEEPER_SERVER` | `rookeeper` | the other: `rookeeper`, `apache395`, `apache380` |
//! | `ROOKEEPER_DIFF_SEEDS` | `0..64` | which seeds: `7`, or `0..2000` |
//! | `ROOKEEPER_DIFF_OPS` | `500` | requests in a script |
//! | `ROOKEEPER_DIFF_PROFILE` | by seed | run all under one profile: `default`, `extended`, `enforce-auth`, `quorum`, `local-sessions` |
//! | `ROOKEEPER_DIFF_STOP` | `5` | give up a profile after so many differing scripts |
//!
//! A differing script is written to the temporary folder whole, and printed shrunk, both with the left
//! server's answers.
//!
//! Apache against Apache must be silent: that shows that what is normalised is enough.

use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use rookeeper_interop::diff::compare::{first_difference, listing};
use rookeeper_interop::diff::coverage::Coverage;
use rookeeper_interop::diff::profile::Profile;
use rookeeper_interop::diff::run::{Transcript, play};
use rookeeper_interop::diff::script::Script;
use rookeeper_interop::diff::{generate, shrink};
use rookeeper_interop::raw::codes::{error_name, op, op_name};
use rookeeper_interop::{Flavour, golden};

const SHRINK_PATIENCE: Duration = Duration::from_secs(60);
const AHEAD: usize = 32;

/// From this many replies on, everything below must have been reached.
const ENOUGH: u64 = 100_000;

/// Every operation a client may send, but deleteContainer and createSession (see `diff::generate`).
const OPERATIONS: [i32; 27] = [
    op::CREATE,
    op::DELETE,
    op::EXISTS,
    op::GET_DATA,
    op::SET_DATA,
    op::GET_ACL,
    op::SET_ACL,
    op::GET_CHILDREN,
    op::SYNC,
    op::PING,
    op::GET_CHILDREN2,
    op::MULTI,
    op::CREATE2,
    op::RECONFIG,
    op::CHECK_WATCHES,
    op::REMOVE_WATCHES,
    op::CREATE_CONTAINER,
    op::CREATE_TTL,
    op::MULTI_READ,
    op::AUTH,
    op::SET_WATCHES,
    op::SASL,
    op::GET_EPHEMERALS,
    op::GET_ALL_CHILDREN_NUMBER,
    op::SET_WATCHES2,
    op::ADD_WATCH,
    op::WHO_AM_I,
];

/// Every error code a standalone server sends. The others need an ensemble (-13, -14, -112, -119, -120) or
/// an overloaded server (-127), or never reach a client (-118).
const ERRORS: [i32; 16] =
    [-2, -5, -6, -8, -101, -102, -103, -108, -110, -111, -114, -115, -121, -123, -124, -125];

struct Parameters {
    flavours: [Flavour; 2],
    seeds: std::ops::Range<u64>,
    ops: usize,
    stop: usize,
    profile: Option<Profile>,
}

impl Parameters {
    fn read() -> Self {
        let left = Flavour::from_env("ROOKEEPER_DIFF_LEFT", Flavour::APACHE_395);
        let seeds = variable("ROOKEEPER_DIFF_SEEDS", "0..64");
        let seeds = match seeds.split_once("..") {
            Some((from, to)) => number(from)..number(to),
            None => number(&seeds)..number(&seeds) + 1,
        };
        Self {
            flavours: [left, Flavour::under_test()].map(|flavour| flavour.expect("a flavour")),
            seeds,
            ops: usize::try_from(number(&variable("ROOKEEPER_DIFF_OPS", "500"))).expect("a size"),
            stop: usize::try_from(number(&variable("ROOKEEPER_DIFF_STOP", "5"))).expect("a count"),
            profile: std::env::var("ROOKEEPER_DIFF_PROFILE")
                .ok()
                .map(|name| Profile::named(&name).expect("the name of a profile")),
        }
    }
}

fn variable(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn number(text: &str) -> u64 {
    text.trim().parse().expect("a number")
}

fn root(seed: u64) -> String {
    format!("/d{seed:08}")
}

#[test]
fn two_servers_answer_the_same() {
    let parameters = Parameters::read();
    let mut coverage = Coverage::default();
    let mut differing = Vec::new();
    let started = Instant::now();
    for profile in Profile::ALL {
        let runs_here = |seed: &u64| parameters.profile.unwrap_or(Profile::of(*seed)) == profile;
        let seeds: Vec<u64> = parameters.seeds.clone().filter(runs_here).collect();
        if !seeds.is_empty() {
            differing.extend(run_profile(profile, &seeds, &parameters, &mut coverage));
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{}", coverage.table());
    println!(
        "{} against {}: {} replies from {} scripts in {seconds:.0} s ({:.0}/s), {} scripts differ",
        parameters.flavours[0],
        parameters.flavours[1],
        coverage.replies(),
        parameters.seeds.end - parameters.seeds.start,
        coverage.replies() as f64 / seconds,
        differing.len(),
    );
    assert!(coverage.replies() > 0, "no script ran");
    let names = |codes: &[i32], name: fn(i32) -> &'static str, has: &dyn Fn(i32) -> bool| {
        codes.iter().filter(|&&code| !has(code)).map(|&code| name(code)).collect::<Vec<_>>()
    };
    let operations = names(&OPERATIONS, op_name, &|code| coverage.has_op(code));
    let errors = names(&ERRORS, error_name, &|code| coverage.has_error(code));
    println!("not reached: operations {operations:?}, errors {errors:?}");
    if coverage.replies() >= ENOUGH && parameters.profile.is_none() {
        assert!(operations.is_empty() && errors.is_empty(), "the scripts do not reach everything");
    }
    assert!(differing.is_empty(), "seeds that differ: {differing:?}");
}

/// Runs all scripts of one profile against one pair of servers; the seeds that differ.
fn run_profile(
    profile: Profile,
    seeds: &[u64],
    parameters: &Parameters,
    coverage: &mut Coverage,
) -> Vec<u64> {
    let servers = parameters.flavours.map(|flavour| profile.start(flavour).expect("a server"));
    let addrs = [servers[0].addr(), servers[1].addr()];
    let firsts = addrs.map(|addr| golden::last_zxid(addr).expect("the first zxid"));
    let names = parameters.flavours.map(Flavour::name);
    let mut differing = Vec::new();
    std::thread::scope(|scope| {
        let players = [0, 1].map(|side| {
            let (sender, receiver) = sync_channel::<Result<Transcript, String>>(AHEAD);
            scope.spawn(move || {
                for &seed in seeds {
                    let script = generate::script(seed, profile, parameters.ops, &root(seed));
                    let played = play(addrs[side], firsts[side], &script);
                    // The receiver is gone when enough scripts differ.
                    if sender.send(played.map_err(|error| error.to_string())).is_err() {
                        return;
                    }
                }
            });
            receiver
        });
        for &seed in seeds {
            let [left, right] =
                [0, 1].map(|side: usize| players[side].recv().expect("a transcript for each seed"));
            let (left, right) = match (left, right) {
                (Ok(left), Ok(right)) => (left, right),
                (left, right) => {
                    let why = [left.err(), right.err()];
                    println!("seed {seed} ({profile:?}) could not be played: {why:?}");
                    differing.push(seed);
                    break;
                }
            };
            coverage.add(&left);
            let script = generate::script(seed, profile, parameters.ops, &root(seed));
            if let Some(difference) = first_difference(&script, &left, &right, names) {
                println!("seed {seed} ({profile:?}) DIFFERS: {difference}");
                let file = std::env::temp_dir().join(format!("differential-{seed}.txt"));
                std::fs::write(&file, listing(&script, &left)).expect("writing the listing");
                println!("  the whole script with the answers of {}: {}", names[0], file.display());
                differing.push(seed);
                if differing.len() >= parameters.stop {
                    break;
                }
            }
        }
    });
    if let Some(&seed) = differing.first() {
        explain(seed, profile, parameters, addrs, firsts);
    }
    differing
}

/// Prints the smallest script found that still differs.
fn explain(
    seed: u64,
    profile: Profile,
    parameters: &Parameters,
    addrs: [std::net::SocketAddr; 2],
    firsts: [i64; 2],
) {
    let names = parameters.flavours.map(Flavour::name);
    let mut attempt = 0;
    let make = || {
        attempt += 1;
        generate::script(seed, profile, parameters.ops, &format!("/e{attempt:08}"))
    };
    let both = |script: &Script| {
        let left = play(addrs[0], firsts[0], script)?;
        Ok((left, play(addrs[1], firsts[1], script)?))
    };
    let differs = |script: &Script| {
        both(script).map(|(left, right)| first_difference(script, &left, &right, names).is_some())
    };
    match shrink::shrink(make, differs, SHRINK_PATIENCE) {
        Ok(script) => {
            println!("seed {seed} shrinks to {} requests:", script.requests());
            match both(&script) {
                Ok((left, right)) => {
                    let difference = first_difference(&script, &left, &right, names);
                    let gone = "no difference any more: it depends on what came before".to_owned();
                    println!("{}", difference.unwrap_or(gone));
                    println!("{}", listing(&script, &left));
                }
                Err(error) => println!("playing it failed: {error}"),
            }
        }
        Err(error) => println!("seed {seed} could not be shrunk: {error}"),
    }
}
