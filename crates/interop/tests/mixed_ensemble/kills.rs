//! Leaders killed again and again while clients write: what was acknowledged stays, sessions live on.

use std::net::SocketAddr;
use std::time::Instant;

use rookeeper_interop::Flavour;

use crate::cluster::{Cluster, eventually};
use crate::load::{Load, finish_all};

const CLIENTS: usize = 4;
const WRITES_BETWEEN: u64 = 100;

fn rounds() -> usize {
    std::env::var("ROOKEEPER_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
}

fn leaders_are_killed(members: &[Flavour]) {
    let mut cluster = Cluster::start(members, &[]);
    let servers: Vec<SocketAddr> = (0..cluster.len()).map(|at| cluster.server(at).addr()).collect();
    let loads: Vec<Load> = (0..CLIENTS)
        .map(|n| Load::start(&format!("load{}", "x".repeat(n)), servers.clone(), 30_000))
        .collect();
    let mut led = vec![0; cluster.len()];
    for round in 0..rounds() {
        let before: Vec<u64> = loads.iter().map(Load::acknowledged).collect();
        eventually("every client writes", || {
            loads
                .iter()
                .zip(&before)
                .all(|(load, before)| load.acknowledged() > before + WRITES_BETWEEN)
        });
        let leader = cluster.wait_for_leader();
        led[leader] += 1;
        cluster.server_mut(leader).kill();
        let began = Instant::now();
        eventually("another leads", || cluster.leader().is_some_and(|at| at != leader));
        println!(
            "round {round}: member {leader}, {}, was killed, member {:?} leads after {:?}",
            cluster.server(leader).flavour(),
            cluster.leader(),
            began.elapsed()
        );
        cluster.launch(&[leader]);
    }
    finish_all(loads);
    println!("killed as leader, by member: {led:?}");
    cluster.assert_equal_trees();
    cluster.assert_equal_digests();
}

#[test]
fn with_one_apache_of_three() {
    leaders_are_killed(&[Flavour::Rookeeper, Flavour::APACHE_395, Flavour::Rookeeper]);
}

#[test]
fn with_two_apaches_of_three() {
    leaders_are_killed(&[Flavour::APACHE_380, Flavour::Rookeeper, Flavour::APACHE_395]);
}
