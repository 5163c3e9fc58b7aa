//! The limit of open files. A test binary of its own: it lowers the limit of its process.

use std::fs;

use rookeeper_interop::{Flavour, Server, ServerConfig, fourletter};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[test]
fn the_soft_limit_is_raised_to_the_hard_one() {
    let mut limit = getrlimit(Resource::Nofile);
    // Where the hard limit is as low, there is nothing to raise.
    let low = limit.maximum.unwrap_or(u64::MAX).min(200);
    limit = Rlimit { current: Some(low), ..limit };
    setrlimit(Resource::Nofile, limit).expect("a lower limit is always allowed");
    let server = Server::start(Flavour::Rookeeper, ServerConfig::new()).expect("a server");
    let figures = fourletter::ask(server.addr(), "mntr").expect("an answer");
    let most = figures.lines().find_map(|line| line.strip_prefix("zk_max_file_descriptor_count\t"));
    let most: u64 = most.expect("the figure").parse().expect("a number");
    let hard = limit.maximum.unwrap_or(u64::MAX).min(i64::MAX as u64);
    assert_eq!(most, hard, "{figures}");
    let log = fs::read_to_string(server.log()).expect("a log");
    let line = log.lines().find(|line| line.contains("open files: at most ")).expect("it says so");
    let named = limit.maximum.map_or("no limit".to_owned(), |hard| hard.to_string());
    assert!(line.contains(&format!("at most {named}")), "{line}");
    assert!(low == hard || line.contains("it was 200"), "{line}");
}
