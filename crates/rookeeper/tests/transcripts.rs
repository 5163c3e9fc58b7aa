//! What newcomers type, with the real scripts and the real binary, under dash and bash:
//! `operations.md` section 9 and `tutorials.md`. The words and corners of `zkServer.sh` are tested
//! with a stand-in in `zkserver_sh.rs`, the shell's commands in the crate `rookeeper-cli`.

mod terminal;

use terminal::{Distribution, under_each_shell};

fn play(name: &str) {
    under_each_shell(|shell| Distribution::new().play(shell, name));
}

#[test]
fn a_newcomers_first_hour() {
    play("single");
}

#[test]
fn one_server_as_tutorials_have_it() {
    play("tutorial");
}

#[test]
fn snapshots_are_purged() {
    play("purge");
}

#[test]
fn three_servers_and_an_observer() {
    play("ensemble");
}

#[test]
fn directories_are_made_first() {
    play("initialize");
}

#[test]
fn what_apaches_shell_cannot() {
    play("extras");
}

#[test]
fn every_command_answers_in_json() {
    play("json");
}
