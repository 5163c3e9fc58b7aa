//! Quotas (`client-protocol.md` 6.7): usage kept by the tree, and what kills Java kept harmless.

#![allow(clippy::unwrap_used, reason = "helpers of tests, though not tests themselves")]

mod common;

use common::*;
use rookeeper_proto::txn::Txn;
use rookeeper_tree::{DataTree, MalformedQuota};

const LIMITS: &str = "/zookeeper/quota/f/zookeeper_limits";
const STATS: &str = "/zookeeper/quota/f/zookeeper_stats";

/// `/f` with five bytes and a quota.
fn with_quota() -> DataTree {
    let mut tree = fresh();
    run(&mut tree, 1, &create("/f", b"12345"));
    run(&mut tree, 2, &create("/zookeeper/quota/f", b""));
    run(&mut tree, 3, &create(LIMITS, b"count=9,bytes=-1=;countHardLimit=4"));
    run(&mut tree, 4, &create(STATS, b"whatever the client thought"));
    tree
}

fn stats(tree: &DataTree) -> &str {
    std::str::from_utf8(tree.get(STATS).unwrap().data().unwrap_or(b"null")).unwrap()
}

#[test]
fn usage_follows_creates_sets_and_deletes() {
    let mut tree = with_quota();
    assert_eq!(stats(&tree), "count=1,bytes=5");
    run(&mut tree, 5, &create("/f/g", b"123"));
    assert_eq!(stats(&tree), "count=2,bytes=8");
    run(&mut tree, 6, &set("/f", b"", 1));
    assert_eq!(stats(&tree), "count=2,bytes=3");
    run(&mut tree, 7, &create("/ff", b"outside"));
    assert_eq!(stats(&tree), "count=2,bytes=3");
    run(&mut tree, 8, &delete("/f/g"));
    assert_eq!(stats(&tree), "count=1,bytes=0");
    let stat = tree.get(STATS).unwrap().stat();
    assert_eq!((stat.version, stat.mzxid.0, stat.data_length), (0, 4, 15), "only data changes");
    assert_eq!(tree.digest(), digest_from_scratch(&tree));
    let quota = tree.quota_of("/f").unwrap();
    let (limits, usage) = (quota.limits.unwrap(), quota.usage.unwrap());
    assert_eq!((limits.count, limits.count_hard, limits.bytes_hard), (9, 4, -1));
    assert_eq!((usage.count, usage.bytes), (1, 0));
    assert_eq!(tree.quota_of("/g"), None);
}

#[test]
fn the_deepest_quota_by_components_counts() {
    let mut tree = with_quota();
    run(&mut tree, 5, &create("/f/g", b""));
    run(&mut tree, 6, &create("/zookeeper/quota/f/g", b""));
    run(&mut tree, 7, &create("/zookeeper/quota/f/g/zookeeper_limits", b"count=1"));
    assert_eq!(tree.quota_root("/f/g/h"), Some("/f/g"));
    assert_eq!(tree.quota_root("/f/gg"), Some("/f"));
    assert_eq!(tree.quota_root("/f"), Some("/f"));
    assert_eq!(tree.quota_root("/ff"), None);
    assert_eq!(tree.quota_root("/"), None);
    assert_eq!(stats(&tree), "count=2,bytes=5");
    run(&mut tree, 8, &create("/f/g/h", b""));
    assert_eq!(stats(&tree), "count=2,bytes=5", "the inner quota has no stats; the outer rests");
    run(&mut tree, 9, &delete("/zookeeper/quota/f/g/zookeeper_limits"));
    assert_eq!(tree.quota_root("/f/g/h"), Some("/f"));
    run(&mut tree, 10, &delete(LIMITS));
    assert_eq!(tree.quota_root("/f/g/h"), None);
    assert_eq!(tree.quota_of("/f"), None);
}

/// Each of these makes a Java server exit and fail at every start.
#[test]
fn what_kills_java_is_harmless() {
    let mut tree = with_quota();
    for path in [
        "/zookeeper/quota/zookeeper_limits",
        "/zookeeper/quota/zookeeper_stats",
        "/zookeeper/zookeeper_limits",
        "/zookeeper/x",
        "/zookeeper/x/zookeeper_limits",
        "/zookeeperA",
        "/zookeeperA/zookeeper_limits",
    ] {
        assert_eq!(run(&mut tree, 9, &create(path, b"count=1,bytes=1")), 0, "{path}");
    }
    assert_eq!(tree.quota_root("/x"), None);
    for path in [
        "/zookeeper/x/zookeeper_limits",
        "/zookeeperA/zookeeper_limits",
        "/zookeeper/zookeeper_limits",
    ] {
        assert_eq!(run(&mut tree, 10, &delete(path)), 0, "{path}");
    }
    run(&mut tree, 11, &set(STATS, b"\xff;;;=", 1));
    assert_eq!(tree.quota_of("/f").unwrap().usage, Err(MalformedQuota));
    run(&mut tree, 12, &create("/f/g", b"123"));
    assert_eq!(stats(&tree), "count=0,bytes=2", "unparsable stats count from -1, as unset ones");
    let null = Txn::SetData { path: STATS.into(), data: None, version: 2, is_reconfig: false };
    run(&mut tree, 13, &null);
    run(&mut tree, 14, &delete("/f/g"));
    assert_eq!(stats(&tree), "count=-2,bytes=-4");
    let body = snapshot_body(&mut tree);
    let loaded = load(&body, tree.last_zxid());
    assert_eq!(stats(&loaded), "count=1,bytes=5", "loading counts anew");
}
