//! A member comes back with an empty disk while clients write: the leader's snapshot is taken, sent and
//! received under load, and what is committed meanwhile follows it. A Java leader's snapshot is fuzzy: it
//! holds parts of txns that are sent again behind it.

use std::net::SocketAddr;

use rookeeper_interop::Flavour;

use crate::cluster::{Cluster, eventually};
use crate::load::{Load, finish_all};

const ZNODES: usize = 3000;
const ROUNDS: usize = 3;
const CLIENTS: usize = 3;

fn comes_back_empty(voters: &[Flavour], learner: usize) {
    let mut cluster = Cluster::prepare(voters, &[]);
    // Together first, so that the pinned leader is among them.
    let others: Vec<usize> = (0..cluster.len()).filter(|&at| at != learner).collect();
    cluster.launch(&others);
    cluster.launch(&[learner]);
    let leader = cluster.wait_for_leader();
    assert_ne!(leader, learner);
    fill(&cluster, leader);
    let servers: Vec<SocketAddr> = others.iter().map(|&at| cluster.server(at).addr()).collect();
    let loads: Vec<Load> = (0..CLIENTS)
        .map(|n| Load::start(&format!("load{}", "x".repeat(n)), servers.clone(), 30_000))
        .collect();
    for _ in 0..ROUNDS {
        cluster.stop(learner);
        let stored = cluster.server(learner).data_dir().join("version-2");
        std::fs::remove_dir_all(stored).expect("removing what it stored");
        let before: Vec<u64> = loads.iter().map(Load::acknowledged).collect();
        cluster.launch(&[learner]);
        eventually("every client writes on", || {
            loads.iter().zip(&before).all(|(load, before)| load.acknowledged() > before + 50)
        });
    }
    finish_all(loads);
    cluster.assert_leader(leader);
    cluster.assert_equal_trees();
    // What it received is on its disk, too.
    cluster.server_mut(learner).kill();
    cluster.launch(&[learner]);
    cluster.assert_equal_trees();
    cluster.assert_equal_digests();
}

/// So many that a snapshot takes a while, and is longer than what a leader sends from its log.
fn fill(cluster: &Cluster, at: usize) {
    let mut client = cluster.client(at);
    assert_eq!(client.create("/filled", b"", 0).expect("a reply").error, 0);
    for number in 0..ZNODES {
        let path = format!("/filled/{number}");
        let data = number.to_string();
        client
            .send(rookeeper_interop::raw::codes::op::CREATE, |frame| {
                let open = rookeeper_interop::raw::Acl::open();
                frame.create(&path, Some(data.as_bytes()), &open, 0)
            })
            .expect("sent");
    }
    for _ in 0..ZNODES {
        assert_eq!(client.receive().expect("a reply").1.error, 0);
    }
    client.close().expect("a closed session");
}

#[test]
fn rookeeper_from_apache_395() {
    comes_back_empty(&[Flavour::Rookeeper, Flavour::APACHE_395, Flavour::APACHE_395], 0);
}

#[test]
fn rookeeper_from_apache_380() {
    comes_back_empty(&[Flavour::Rookeeper, Flavour::APACHE_380, Flavour::APACHE_380], 0);
}

#[test]
fn apache_395_from_rookeeper() {
    comes_back_empty(&[Flavour::APACHE_395, Flavour::Rookeeper, Flavour::Rookeeper], 0);
}

#[test]
fn apache_380_from_rookeeper() {
    comes_back_empty(&[Flavour::APACHE_380, Flavour::Rookeeper, Flavour::Rookeeper], 0);
}
