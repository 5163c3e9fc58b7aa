//! The committed goldens are what Apache 3.9.5 says today, and what the server under test says.
//!
//! `ROOKEEPER_GOLDENS=write` writes them anew. `ROOKEEPER_SERVER=apache395` replays them against Apache
//! instead of our binary.

use std::path::PathBuf;

use rookeeper_interop::scenarios::SUITES;
use rookeeper_interop::{Flavour, Server, golden};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("goldens").join(format!("{name}.txt"))
}

#[test]
fn goldens_are_what_apache_says() {
    let write = std::env::var("ROOKEEPER_GOLDENS").is_ok_and(|value| value == "write");
    for suite in SUITES {
        let text = suite.capture(Flavour::APACHE_395).expect("a capture from Apache 3.9.5");
        let path = file(suite.name);
        if write {
            std::fs::write(&path, &text).expect("writing a golden file");
        }
        let committed = std::fs::read_to_string(&path).expect("a committed golden file");
        let first = committed.lines().zip(text.lines()).find(|(old, new)| old != new);
        assert!(
            committed == text,
            "{} is not what Apache says; first difference: {first:?}; \
             write it anew with ROOKEEPER_GOLDENS=write",
            path.display()
        );
    }
}

#[test]
fn the_server_answers_as_recorded() {
    let flavour = Flavour::under_test().expect("a flavour");
    let mut failed = 0;
    for suite in SUITES {
        let text = std::fs::read_to_string(file(suite.name)).expect("a committed golden file");
        let config = golden::config_of(&text).expect("readable settings");
        let server = Server::start(flavour, config).expect("a server");
        let (differences, compared) = golden::replay(&text, server.addr()).expect("a replay");
        println!("{}: {compared} exchanges, {} differences", suite.name, differences.len());
        for difference in &differences {
            println!("{}.txt {difference}", suite.name);
        }
        assert!(compared > 0, "{} holds no exchange", suite.name);
        failed += differences.len();
    }
    assert_eq!(failed, 0, "{flavour} does not answer as recorded");
}
