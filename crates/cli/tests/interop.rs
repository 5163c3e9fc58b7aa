//! The transcripts of `operations.md` 9 and of the tutorials with our shell against real servers.
//!
//! The server is the flavour named by `ROOKEEPER_FLAVOUR` (apache395, apache380, rookeeper; the first
//! if not set), or one that runs already at `ROOKEEPER_SERVER=host:port` with an empty tree.

mod support;

use rookeeper_interop::{Flavour, Server, ServerConfig};

fn play(name: &str, config: ServerConfig) {
    if let Ok(server) = std::env::var("ROOKEEPER_SERVER") {
        return support::play(&server, name);
    }
    let flavour = Flavour::from_env("ROOKEEPER_FLAVOUR", Flavour::APACHE_395).expect("a flavour");
    let server = Server::start(flavour, config).expect("a server");
    support::play(&server.addr().to_string(), name);
}

fn plain() -> ServerConfig {
    ServerConfig::new()
}

#[test]
fn basics() {
    play("basics", plain());
}

#[test]
fn acl_with_digest() {
    play("acl", plain());
}

#[test]
fn watches() {
    play("watches", plain());
}

#[test]
fn kinds_of_nodes() {
    play("kinds", plain());
}

#[test]
fn ttl_needs_a_switch() {
    play("no_ttl", plain().set("extendedTypesEnabled", "false"));
}

#[test]
fn ttl_and_containers() {
    let config = plain()
        .set("extendedTypesEnabled", "true")
        .property("zookeeper.extendedTypesEnabled", "true")
        .property("znode.container.checkIntervalMs", "2000");
    play("ttl", config);
}

#[test]
fn chinese_in_the_c_locale() {
    play("chinese", plain());
}

#[test]
fn what_goes_wrong() {
    play("errors", plain());
}

#[test]
fn looking_at_subtrees() {
    play("looking", plain());
}

#[test]
fn comparing_and_exporting() {
    play("moving", plain());
}

#[test]
fn quotas() {
    play("quota", plain().set("enforceQuota", "true"));
}
