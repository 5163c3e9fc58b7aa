//! Enforcement of quotas (ZooKeeperQuotaTest, EnforceQuotaTest; `client-protocol.md` 6.7).

use rookeeper_proto::ErrorCode::{
    BadVersion, MarshallingError, NoAuth, NoChildrenForEphemerals, NodeExists, Ok as Fine,
    QuotaExceeded,
};
use rookeeper_proto::acl::READ;
use rookeeper_proto::client::request::{Create, Request};

use super::*;

const LIMITS: &str = "/zookeeper/quota/q/zookeeper_limits";

fn node<'p>(path: &'p str, data: &'p [u8], flags: i32) -> Request<'p> {
    Request::Create(Create { data: Some(data), ..new_node(path, flags) })
}

/// A world with `/q` (5 bytes of data) under these limits, all applied.
fn limited(limits: &str, enforce_quota: bool, is_eager: bool) -> World {
    let config = PrepConfig { enforce_quota, ..config() };
    let mut world = World::of(DataTree::new(OPTIONS), config, true);
    world.setup(&[
        node("/q", b"12345", 0),
        create("/zookeeper/quota/q", 0),
        node(LIMITS, limits.as_bytes(), 0),
        node("/zookeeper/quota/q/zookeeper_stats", b"count=1,bytes=5", 0),
    ]);
    world.is_eager = is_eager;
    world
}

fn expect(limits: &str, rows: &[(Request<'_>, ErrorCode)]) {
    for is_eager in [true, false] {
        let mut world = limited(limits, true, is_eager);
        for (request, code) in rows {
            assert_eq!(world.code(request), *code, "{limits}: {request:?}, eager {is_eager}");
        }
        world.settle();
    }
}

#[test]
fn count() {
    expect(
        "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2",
        &[
            (create("/q/a", 0), Fine),
            (create("/q/b", 0), QuotaExceeded),
            (set("/q/a", &[0; 100], -1), Fine),
            (delete("/q/a", -1), Fine),
            (create("/q/b", 2), Fine),
            (create("/q/b", 2), QuotaExceeded),
            (create("/other", 0), Fine),
        ],
    );
}

#[test]
fn bytes() {
    expect(
        "count=-1,bytes=-1=;byteHardLimit=8",
        &[
            (node("/q/a", b"123", 0), Fine),
            (node("/q/b", b"1", 0), QuotaExceeded),
            (node("/q/b", b"", 0), Fine),
            (set("/q/a", b"1234", -1), QuotaExceeded),
            (set("/q", b"123", -1), Fine),
            (set("/q/a", b"12345", -1), Fine),
            (set("/q/a", b"12345", -1), Fine),
        ],
    );
}

/// Even what makes things smaller is refused while it stays above the limit.
#[test]
fn shrinking_above_the_limit() {
    expect(
        "count=-1,bytes=-1=;byteHardLimit=3",
        &[(set("/q", b"1234", -1), QuotaExceeded), (set("/q", b"123", -1), Fine)],
    );
}

#[test]
fn hard_wins_over_soft_and_soft_only_warns() {
    expect("count=1,bytes=1", &[(node("/q/a", b"123", 0), Fine), (create("/q/b", 0), Fine)]);
    expect(
        "count=1,bytes=1=;countHardLimit=3",
        &[(create("/q/a", 0), Fine), (create("/q/b", 0), Fine), (create("/q/c", 0), QuotaExceeded)],
    );
}

/// Create: behind everything else. setData: behind the ACL, before the version.
#[test]
fn where_in_the_order() {
    let limits = "count=-1,bytes=-1=;byteHardLimit=6;countHardLimit=2";
    expect(
        limits,
        &[
            (create("/q/e", 1), Fine),
            (node("/q/e", b"123456789", 0), NodeExists),
            (node("/q/e/x", b"123456789", 0), NoChildrenForEphemerals),
            (set("/q", b"123456789", 77), QuotaExceeded),
            (set("/q", b"1", 77), BadVersion),
            (set_acl("/q", acls(&[(READ, "world", "anyone")]), -1), Fine),
            (set("/q", b"123456789", 77), NoAuth),
        ],
    );
}

/// The operations of a multi do not see each other's usage; later writes do.
#[test]
fn inside_a_multi() {
    expect(
        "count=-1,bytes=-1=;countHardLimit=2",
        &[
            (multi([create("/q/a", 0), create("/q/b", 0)]), Fine),
            (create("/q/c", 0), QuotaExceeded),
            (multi([delete("/q/a", -1), create("/q/c", 0)]), QuotaExceeded),
            (multi([delete("/q/a", -1), delete("/q/b", -1)]), Fine),
            (create("/q/c", 0), Fine),
        ],
    );
}

#[test]
fn limits_that_cannot_be_read() {
    expect(
        "nonsense",
        &[
            (create("/q/a", 0), MarshallingError),
            (set("/q", b"", -1), MarshallingError),
            (multi([create("/x", 0), create("/q/a", 0)]), MarshallingError),
            (create("/x", 0), Fine),
        ],
    );
    expect("count=28;bytes=", &[(create("/q/a", 0), MarshallingError)]);
    let mut world = limited("nonsense", true, true);
    world.setup(&[delete("/zookeeper/quota/q/zookeeper_stats", -1)]);
    assert_eq!(world.code(&create("/q/a", 0)), MarshallingError, "limits are parsed first");
    world.settle();
    let mut world = limited("count=1,bytes=-1=;countHardLimit=1", true, true);
    world.setup(&[delete("/zookeeper/quota/q/zookeeper_stats", -1)]);
    assert_eq!(world.code(&create("/q/a", 0)), Fine, "no stats, no enforcement");
    world.settle();
}

#[test]
fn without_enforcement_nothing_is_refused() {
    let mut world = limited("count=1,bytes=1=;byteHardLimit=1;countHardLimit=1", false, false);
    world.setup(&[create("/q/a", 0), set("/q", &[0; 50], -1), multi([create("/q/b", 0)])]);
    world.settle();
}

/// Only the deepest quota counts.
#[test]
fn nested_quotas() {
    for is_eager in [true, false] {
        let mut world = limited("count=-1,bytes=-1=;countHardLimit=2", true, true);
        world.setup(&[
            create("/q/in", 0),
            create("/zookeeper/quota/q/in", 0),
            node(
                "/zookeeper/quota/q/in/zookeeper_limits",
                b"count=-1,bytes=-1=;countHardLimit=9",
                0,
            ),
            node("/zookeeper/quota/q/in/zookeeper_stats", b"", 0),
        ]);
        world.is_eager = is_eager;
        assert_eq!(world.code(&create("/q/x", 0)), QuotaExceeded);
        world.setup(&[create("/q/in/x", 0), create("/q/in/y", 0)]);
        world.settle();
    }
}
