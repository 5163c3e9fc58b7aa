//! Data directories written by Apache, kept in `goldens/disk`, and what a server recovers from them.
//!
//! `ROOKEEPER_GOLDENS=write` makes them anew (their zxids and times change then).
//! `ROOKEEPER_SERVER=apache395` opens them with Apache instead of our binary.

use std::path::PathBuf;

use rookeeper_interop::Flavour;
use rookeeper_interop::disk::{CAPTURES, Dumps, comparable, recovered};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("goldens").join("disk").join(name)
}

#[test]
fn a_server_recovers_what_apache_wrote() {
    let flavour = Flavour::under_test().expect("a flavour");
    if std::env::var("ROOKEEPER_GOLDENS").is_ok_and(|value| value == "write") {
        write_all();
    }
    for capture in CAPTURES {
        let folder = folder(capture.name);
        let read = |name| std::fs::read_to_string(folder.join(name)).expect("a committed dump");
        let expected = Dumps { client: read("client.txt"), stored: read("stored.txt") };
        let got = recovered(capture, &folder, flavour)
            .unwrap_or_else(|error| panic!("{}: {error}", capture.name));
        assert_same(capture.name, "as clients see it", &expected.client, &got.client);
        let (expected, stored) = (comparable(&expected.stored), comparable(&got.stored));
        assert_same(capture.name, "as stored", &expected, &stored);
        println!("{}: {} znodes equal", capture.name, got.client.lines().count() - 1);
    }
}

#[test]
fn apache_recovers_what_a_server_wrote() {
    let flavour = Flavour::under_test().expect("a flavour");
    for capture in CAPTURES {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let seen = capture
            .make_with(flavour, scratch.path())
            .unwrap_or_else(|error| panic!("{}: {error}", capture.name));
        let got = recovered(capture, scratch.path(), Flavour::APACHE_395)
            .unwrap_or_else(|error| panic!("{}: {error}", capture.name));
        let (seen, found) = (without_config(&seen), without_config(&got.client));
        assert_same(capture.name, "as clients see it", &seen, &found);
        println!("{}: {} znodes equal", capture.name, seen.lines().count() - 1);
    }
}

/// A member of an ensemble fills this node in, a standalone server that opens its data does not.
fn without_config(dump: &str) -> String {
    let lines = dump.lines().filter(|line| !line.starts_with("/zookeeper/config\t"));
    lines.map(|line| format!("{line}\n")).collect()
}

fn write_all() {
    for capture in CAPTURES {
        let folder = folder(capture.name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).expect("removing the old directory");
        }
        capture.make(&folder).unwrap_or_else(|error| panic!("{}: {error}", capture.name));
        let dumps = recovered(capture, &folder, Flavour::APACHE_395).expect("dumps");
        std::fs::write(folder.join("client.txt"), dumps.client).expect("writing a dump");
        std::fs::write(folder.join("stored.txt"), dumps.stored).expect("writing a dump");
    }
}

fn assert_same(name: &str, what: &str, expected: &str, got: &str) {
    let mut lines = expected.lines().zip(got.lines());
    let first = lines.find(|(expected, got)| expected != got);
    assert!(expected == got, "{name}, {what}: first difference {first:#?}\nwhole:\n{got}");
}
