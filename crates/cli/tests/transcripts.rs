//! Transcripts against the small server of the client's tests: no real component is needed. It has no
//! ACLs, quotas or TTLs; `interop.rs` plays everything against real servers.

#[path = "../../client/tests/support/mod.rs"]
mod fake;
mod support;

use fake::FakeServer;

fn play(name: &str) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(FakeServer::start());
    support::play(&server.servers(), name);
}

#[test]
fn basics() {
    play("basics");
}

#[test]
fn watches() {
    play("watches");
}

#[test]
fn kinds_of_nodes() {
    play("kinds");
}

#[test]
fn chinese_in_the_c_locale() {
    play("chinese");
}

#[test]
fn what_goes_wrong() {
    play("errors");
}

#[test]
fn looking_at_subtrees() {
    play("looking");
}
