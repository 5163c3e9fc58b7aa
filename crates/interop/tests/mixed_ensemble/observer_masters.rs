//! Observers that learn from followers (`observerMasterPort`; ZOOKEEPER-3140): ours from Apache's, Apache's
//! from ours, and both going on to the next one when theirs dies.

use rookeeper_interop::{Flavour, fourletter};

use crate::battery;
use crate::cluster::{Cluster, eventually};
use crate::synchronisation::away_and_back;

const OURS: Flavour = Flavour::Rookeeper;
const APACHE: Flavour = Flavour::APACHE_395;
const EPHEMERAL: i32 = 1;

fn figure(cluster: &Cluster, at: usize, name: &str) -> Option<i64> {
    let figures = fourletter::ask(cluster.server(at).addr(), "mntr").ok()?;
    let line = figures.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
    line?.trim().parse().ok()
}

/// The index of the follower that an observer learns from.
fn master(cluster: &Cluster, observer: usize) -> Option<usize> {
    let sid = figure(cluster, observer, "zk_observer_master_id")?;
    usize::try_from(sid).ok()?.checked_sub(1)
}

/// Every observer learns from a follower, and none from the leader.
fn wait_until_observed_through_followers(cluster: &Cluster, observers: &[usize]) {
    let is_observed = |leader: usize, observer: usize| {
        let master = master(cluster, observer).filter(|&master| master != leader);
        let served = master.and_then(|master| figure(cluster, master, "zk_synced_observers"));
        served.is_some_and(|served| 0 < served)
    };
    eventually("the observers learn from followers", || {
        let leader = cluster.wait_for_leader();
        observers.iter().all(|&observer| is_observed(leader, observer))
            && figure(cluster, leader, "zk_synced_observers") == Some(0)
    });
}

#[test]
fn rookeeper_learns_from_a_follower_of_apaches() {
    let mut cluster = Cluster::start_with_observer_masters(&[APACHE, APACHE], &[OURS]);
    wait_until_observed_through_followers(&cluster, &[2]);
    battery::all(&cluster, "observed");
    away_and_back(&mut cluster, 2);
    battery::all(&cluster, "observed-again");
    wait_until_observed_through_followers(&cluster, &[2]);
}

#[test]
fn apache_learns_from_a_follower_of_ours() {
    let mut cluster = Cluster::start_with_observer_masters(&[OURS, OURS], &[APACHE]);
    wait_until_observed_through_followers(&cluster, &[2]);
    battery::all(&cluster, "observed");
    away_and_back(&mut cluster, 2);
    battery::all(&cluster, "observed-again");
    wait_until_observed_through_followers(&cluster, &[2]);
}

/// To the leader, whatever comes through one follower comes from the same place; the follower tells its
/// observers apart.
#[test]
fn a_session_that_moved_is_not_spoken_for_by_its_old_observer() {
    let cluster = Cluster::start_with_observer_masters(&[OURS, OURS], &[OURS, APACHE]);
    let follower = 1 - cluster.wait_for_leader();
    let mut last = cluster.client(2);
    assert_eq!(last.create("/moving", b"", EPHEMERAL).expect("a reply").error, 0);
    for to in [follower, 3, 2, 3, follower, 2] {
        let moved = last.move_to(cluster.server(to).addr()).expect("an answer");
        let mut moved = moved.expect("the session lives");
        assert_eq!(moved.set("/moving", b"new", -1).expect("a reply").error, 0);
        // It finds itself disconnected, or refused.
        let late = last.set("/moving", b"late", -1);
        assert!(late.is_err() || late.is_ok_and(|reply| reply.error != 0), "before {to}");
        assert_eq!(moved.get("/moving", false).expect("data"), Some(b"new".to_vec()));
        last = moved;
    }
    last.close().expect("a closed session");
}

/// Each observer in turn loses its master, then all lose their leader; sessions live on.
#[test]
fn observers_go_on_to_the_next_master() {
    let mut cluster = Cluster::start_with_observer_masters(&[OURS, APACHE, OURS], &[OURS, APACHE]);
    let observers = [3, 4];
    let mut sessions: Vec<_> = observers.iter().map(|&at| cluster.client(at)).collect();
    for (n, client) in sessions.iter_mut().enumerate() {
        let reply = client.create(&format!("/of-{n}"), b"", EPHEMERAL).expect("a reply");
        assert_eq!(reply.error, 0);
    }
    for (n, observer) in [Some(3), Some(4), None].into_iter().enumerate() {
        let lost = match observer {
            Some(observer) => master(&cluster, observer).expect("a master"),
            None => cluster.wait_for_leader(),
        };
        cluster.server_mut(lost).kill();
        eventually("the observers have found another", || {
            let found = |&at: &usize| {
                cluster.server(at).mode().as_deref() == Some("observer")
                    && master(&cluster, at).is_some_and(|master| master != lost)
            };
            observers.iter().all(found)
        });
        for (client, at) in sessions.iter_mut().zip(observers) {
            let moved = client.move_to(cluster.server(at).addr()).expect("an answer");
            *client = moved.expect("the session lives");
            let reply = client.create(&format!("/after-{n}-at-{at}"), b"", 0).expect("a reply");
            assert_eq!(reply.error, 0);
        }
        cluster.launch(&[lost]);
        cluster.assert_equal_trees();
    }
    wait_until_observed_through_followers(&cluster, &observers);
    cluster.assert_equal_digests();
}
