//! `docs/migration.md` as a test: three servers of Apache become three of ours, one by one, on the same
//! ports and data, while clients write; and back again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rookeeper_interop::Flavour;
use zookeeper_client as zk;

use crate::cluster::{Cluster, eventually};
use crate::load::{Load, finish_all};

const WRITES_BETWEEN: u64 = 60;
const SESSION: Duration = Duration::from_secs(30);

/// A client of somebody else, which reconnects by itself: it holds a lock-like ephemeral and counts.
fn registry_client(servers: String, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<u64> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(count_up(&servers, &stop))
    })
}

async fn count_up(servers: &str, stop: &AtomicBool) -> u64 {
    let client = zk::Client::connector()
        .with_session_timeout(SESSION)
        .connect(servers)
        .await
        .expect("a session");
    let anyone = zk::Acls::anyone_all();
    let lasting = zk::CreateMode::Persistent.with_acls(anyone);
    let ephemeral = zk::CreateMode::Ephemeral.with_acls(anyone);
    client.create("/registry", b"0", &lasting).await.expect("a znode");
    client.create("/registry-alive", b"", &ephemeral).await.expect("an ephemeral");
    let mut acknowledged = 0;
    let mut next: u64 = 1;
    while !stop.load(Ordering::Relaxed) {
        match client.set_data("/registry", next.to_string().as_bytes(), None).await {
            Ok(_) => {
                acknowledged = next;
                next += 1;
            }
            Err(error @ zk::Error::SessionExpired) => {
                panic!("after {acknowledged} writes: {error}")
            }
            // The socket's own errors among them. Not known whether it happened: the same again.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    let (data, _) = loop {
        match client.get_data("/registry").await {
            Ok(answer) => break answer,
            Err(error @ zk::Error::SessionExpired) => panic!("looking back: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let read: u64 = String::from_utf8_lossy(&data).parse().expect("a number");
    assert!(read >= acknowledged, "the register is {read}, was {acknowledged}");
    let alive = client.check_stat("/registry-alive").await.expect("an answer");
    assert!(alive.is_some(), "the session lived through it");
    acknowledged
}

fn there_and_back(apache: Flavour) {
    let mut cluster = Cluster::start(&[apache; 3], &[]);
    let servers: Vec<SocketAddr> = (0..cluster.len()).map(|at| cluster.server(at).addr()).collect();
    let loads: Vec<Load> =
        ["one", "three"].map(|name| Load::start(name, servers.clone(), 30_000)).into();
    let stop = Arc::new(AtomicBool::new(false));
    let registry = registry_client(cluster.connect_string(), Arc::clone(&stop));
    for to in [Flavour::Rookeeper, apache] {
        // The followers first, the leader last: one election instead of several.
        let leader = cluster.wait_for_leader();
        let followers = (0..cluster.len()).filter(|&at| at != leader);
        for at in followers.chain([leader]) {
            exchange(&mut cluster, at, to, &loads);
        }
        cluster.assert_equal_digests();
    }
    finish_all(loads);
    stop.store(true, Ordering::Relaxed);
    let counted = registry.join().expect("the registry's client saw nothing wrong");
    println!("the registry's client counted to {counted}");
    assert!(counted > WRITES_BETWEEN);
    cluster.assert_equal_trees();
}

fn exchange(cluster: &mut Cluster, at: usize, to: Flavour, loads: &[Load]) {
    let before: Vec<u64> = loads.iter().map(Load::acknowledged).collect();
    eventually("every client writes", || {
        loads
            .iter()
            .zip(&before)
            .all(|(load, before)| load.acknowledged() > before + WRITES_BETWEEN)
    });
    let (from, was) = (cluster.server(at).flavour(), cluster.server(at).mode());
    let began = Instant::now();
    cluster.stop(at);
    let stopped = began.elapsed();
    cluster.server_mut(at).set_flavour(to);
    cluster.launch(&[at]);
    println!(
        "member {at}, {}: {from} becomes {to}, stopped after {stopped:?}, serves after {:?}",
        was.unwrap_or_default(),
        began.elapsed()
    );
}

#[test]
fn of_apache_395() {
    there_and_back(Flavour::APACHE_395);
}

#[test]
fn of_apache_380() {
    there_and_back(Flavour::APACHE_380);
}
