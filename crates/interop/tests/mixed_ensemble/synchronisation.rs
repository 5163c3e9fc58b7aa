//! A learner that was away comes back, by each way a leader has of bringing it up to date.

use std::path::Path;

use rookeeper_interop::Flavour;

use crate::cluster::{Cluster, catch_up, eventually};

/// More than any leader keeps in memory.
const MANY: usize = 700;

/// What the learner's log must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Diff,
    Trunc,
    Snap,
}

impl How {
    fn phrase(self, flavour: Flavour) -> &'static str {
        match (flavour, self) {
            (Flavour::Rookeeper, Self::Diff) => "the leader begins with DIFF",
            (Flavour::Rookeeper, Self::Trunc) => "the leader begins with TRUNC",
            (Flavour::Rookeeper, Self::Snap) => "the leader begins with SNAP",
            (_, Self::Diff) => "Getting a diff from the leader",
            (_, Self::Trunc) => "Truncating log to get in sync with the leader",
            (_, Self::Snap) => "Getting a snapshot from leader",
        }
    }
}

fn assert_came_back(cluster: &Cluster, learner: usize, from: usize, how: &[How]) {
    let flavour = cluster.server(learner).flavour();
    let log = cluster.log_since(learner, from);
    let phrases: Vec<_> = how.iter().map(|how| how.phrase(flavour)).collect();
    let found = phrases.iter().any(|phrase| log.contains(phrase));
    assert!(found, "{flavour} does not say one of {phrases:?}:\n{log}");
}

/// A counter, so that no data is written twice.
fn write(cluster: &Cluster, at: usize, path: &str, count: usize) {
    let mut client = cluster.client(at);
    client.create(path, b"", 0).expect("a reply");
    let codes = client.pipeline(path, count).expect("replies");
    assert!(codes.iter().all(|&code| code == 0), "{codes:?}");
    client.close().expect("a closed session");
}

/// The learner stops, `count` writes pass, it comes back with its disk or with an empty one.
pub(crate) fn after_missing(
    cluster: &mut Cluster,
    learner: usize,
    count: usize,
    is_wiped: bool,
    how: &[How],
) {
    let leader = cluster.wait_for_leader();
    assert_ne!(leader, learner);
    cluster.stop(learner);
    if is_wiped {
        let stored = cluster.server(learner).data_dir().join("version-2");
        std::fs::remove_dir_all(stored).expect("removing what it stored");
    }
    write(cluster, leader, "/missed", count);
    let from = cluster.log_length(learner);
    cluster.launch(&[learner]);
    assert_came_back(cluster, learner, from, how);
    assert_eq!(cluster.assert_equal_trees(), cluster.assert_equal_trees());
    cluster.assert_equal_digests();
    write(cluster, learner, "/seen", 10);
    cluster.assert_leader(leader);
}

/// Few, and more than the leader's memory holds, and all.
pub(crate) fn away_and_back(cluster: &mut Cluster, learner: usize) {
    after_missing(cluster, learner, 0, false, &[How::Diff]);
    after_missing(cluster, learner, 20, false, &[How::Diff]);
    after_missing(cluster, learner, MANY, false, &[How::Diff, How::Snap]);
    after_missing(cluster, learner, MANY, true, &[How::Snap]);
    // What was received is on disk, too: once more from there.
    after_missing(cluster, learner, 20, false, &[How::Diff]);
}

/// `ahead` leads for a while and logs what nobody else ever sees; then `leader` leads.
pub(crate) fn ahead_and_back(cluster: &mut Cluster, ahead: usize, leader: usize, other: usize) {
    write(cluster, leader, "/before", 10);
    cluster.stop(leader);
    cluster.wait_for_leader();
    write(cluster, ahead, "/between", 10);
    cluster.stop(other);
    cluster.launch(&[leader]);
    cluster.assert_leader(ahead);
    let mut client = cluster.client(ahead);
    client.create("/tail", b"", 0).expect("a reply");
    catch_up(&mut client);
    // Its only follower acknowledges nothing from here on, and is gone before it can read.
    cluster.server_mut(leader).pause();
    for number in 0..20 {
        let path = format!("/tail/of-{ahead}-{number}");
        client
            .send(rookeeper_interop::raw::codes::op::CREATE, |frame| {
                frame.create(&path, Some(b""), &rookeeper_interop::raw::Acl::open(), 0)
            })
            .expect("sent");
    }
    let last = format!("/tail/of-{ahead}-19");
    let folder = cluster.server(ahead).data_log_dir().join("version-2");
    eventually("the tail is logged", || is_in_a_log(&folder, &last));
    cluster.server_mut(leader).kill();
    cluster.server_mut(ahead).kill();
    drop(client);
    cluster.launch(&[leader, other]);
    cluster.assert_leader(leader);
    let from = cluster.log_length(ahead);
    cluster.launch(&[ahead]);
    assert_came_back(cluster, ahead, from, &[How::Trunc]);
    let mut client = cluster.client(ahead);
    catch_up(&mut client);
    assert_eq!(client.children("/tail", false).expect("children"), [""; 0], "all cut off");
    client.close().expect("a closed session");
    cluster.assert_equal_trees();
    write(cluster, ahead, "/after", 10);
    // And it is cut off on disk.
    after_missing(cluster, ahead, 5, false, &[How::Diff]);
}

fn is_in_a_log(folder: &Path, text: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with("log.")).any(|entry| {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}
