//! The derived facts of `client-protocol.md` 5.2 to 5.5, each by name. `model.rs` has the rest.

mod common;

use common::*;
use rookeeper_proto::Zxid;
use rookeeper_proto::client::request::SetWatches;
use rookeeper_proto::txn::{CreateTxn, Txn};
use rookeeper_tree::EventType::*;
use rookeeper_tree::*;

struct World {
    tree: DataTree,
    table: WatchTable<u64>,
    zxid: i64,
}

impl World {
    /// A world with these nodes.
    fn with(paths: &[&str]) -> Self {
        let mut world = Self { tree: fresh(), table: WatchTable::new(3), zxid: 0 };
        for path in paths {
            world.run(&create(path, b""));
        }
        world
    }

    fn watch(&mut self, conn: u64, path: &str, mode: WatchMode) {
        self.table.add(&self.tree, conn, path, mode);
    }

    fn run(&mut self, txn: &Txn<'_>) -> Vec<(u64, EventType, String)> {
        self.zxid += 1;
        let mut events = Vec::new();
        self.tree.apply(&header(self.zxid, 1), txn, &mut |change: Change<'_>| {
            self.table.fire(&change, may_read, |conn, event, path| {
                events.push((conn, event, path.to_owned()));
            });
        });
        events
    }
}

fn event(conn: u64, event: EventType, path: &str) -> (u64, EventType, String) {
    (conn, event, path.to_owned())
}

use WatchMode::{Child, Data, Persistent, PersistentRecursive};

#[test]
fn both_standard_watches_are_told_of_a_deletion_once() {
    let mut w = World::with(&["/a", "/a/b"]);
    w.watch(1, "/a/b", Data);
    w.watch(1, "/a/b", Child);
    w.watch(2, "/a/b", Child);
    w.watch(1, "/a", Child);
    let told = w.run(&delete("/a/b"));
    let expected = [
        event(1, NodeDeleted, "/a/b"),
        event(2, NodeDeleted, "/a/b"),
        event(1, NodeChildrenChanged, "/a"),
    ];
    assert_eq!(told, expected);
    assert_eq!(w.table.watch_count(), 0);
    assert_eq!(w.run(&create("/a/b", b"")), [], "standard watches do not come back");
}

#[test]
fn an_exists_watch_on_a_missing_node() {
    let mut w = World::with(&[]);
    w.watch(1, "/a", Data);
    assert_eq!(w.run(&create("/a", b"")), [event(1, NodeCreated, "/a")]);
    assert_eq!(w.run(&set("/a", b"x", 1)), []);
}

#[test]
fn persistent_and_recursive_stay_and_differ() {
    let mut w = World::with(&["/a", "/ab"]);
    w.watch(1, "/a", Persistent);
    w.watch(2, "/a", PersistentRecursive);
    w.watch(3, "/a", Persistent);
    w.watch(3, "/a", PersistentRecursive);
    for _ in 0..2 {
        let told = w.run(&create("/a/c", b""));
        let expected = [
            event(2, NodeCreated, "/a/c"),
            event(3, NodeCreated, "/a/c"),
            event(1, NodeChildrenChanged, "/a"),
            event(3, NodeChildrenChanged, "/a"),
        ];
        assert_eq!(told, expected);
        assert_eq!(w.run(&delete("/a/c")).len(), 4);
        let each = |kind| [1, 2, 3].map(|conn| event(conn, kind, "/a"));
        assert_eq!(w.run(&set("/a", b"", 1)), each(NodeDataChanged));
        assert_eq!(w.run(&delete("/a")), each(NodeDeleted));
        assert_eq!(w.run(&create("/a", b"")), each(NodeCreated));
    }
    assert_eq!(w.run(&set("/ab", b"", 1)), [], "a longer name is no descendant");
    w.watch(9, "/", PersistentRecursive);
    assert_eq!(w.run(&set("/ab", b"", 1)), [event(9, NodeDataChanged, "/ab")]);
    assert_eq!(w.run(&set("/", b"", 1)), [event(9, NodeDataChanged, "/")]);
}

#[test]
fn who_may_not_read_hears_nothing_and_the_watch_is_used_up() {
    let mut w = World::with(&[]);
    let secret = CreateTxn { acl: private(2), ..create_txn("/s", None) };
    w.run(&Txn::Create { create: secret, ephemeral: false, is_create2: true });
    for conn in [1, 2] {
        w.watch(conn, "/s", Data);
        w.watch(conn, "/s", Child);
    }
    assert_eq!(w.run(&set("/s", b"", 1)), [event(2, NodeDataChanged, "/s")]);
    assert_eq!(w.table.watch_count(), 2, "the child watches are left");
    w.watch(1, "/s", Data);
    assert_eq!(w.run(&delete("/s")), [event(2, NodeDeleted, "/s")]);
    assert_eq!(w.table.watch_count(), 0);
}

#[test]
fn no_event_for_acls_failures_and_the_alias() {
    let mut w = World::with(&["/a"]);
    for mode in [Data, Child, Persistent] {
        w.watch(1, "/a", mode);
        w.watch(1, "", mode);
    }
    let acl = Txn::SetAcl { path: "/a".into(), acl: private(1), version: 1 };
    assert_eq!(w.run(&acl), []);
    assert_eq!(w.run(&Txn::Multi(vec![delete("/a"), Txn::Error(-1)])), []);
    assert_eq!(w.run(&Txn::CreateSession { timeout_ms: 1 }), []);
    assert_eq!(w.run(&set("/", b"x", 1)), []);
    assert_eq!(w.run(&create("/b", b"")), [], "a watch under the empty path never fires");
    assert!(w.table.check(&w.tree, 1, "", WatcherType::Children));
    assert!(!w.table.check(&w.tree, 1, "/", WatcherType::Any));
}

#[test]
fn a_multi_fires_part_by_part() {
    let mut w = World::with(&["/a"]);
    w.watch(1, "/", Child);
    w.watch(1, "/a", Data);
    w.watch(1, "/b", Data);
    let told = w.run(&Txn::Multi(vec![delete("/a"), create("/b", b""), set("/b", b"", 1)]));
    let expected = [
        event(1, NodeDeleted, "/a"),
        event(1, NodeChildrenChanged, "/"),
        event(1, NodeCreated, "/b"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn removal_by_type() {
    let mut w = World::with(&["/a"]);
    w.watch(1, "/a", Persistent);
    let remove = |w: &mut World, kind| w.table.remove(&w.tree, 1, "/a", kind);
    assert!(!remove(&mut w, WatcherType::Data), "persistent watches are not data watches");
    assert!(!remove(&mut w, WatcherType::PersistentRecursive));
    w.watch(1, "/a", Data);
    assert!(remove(&mut w, WatcherType::Data) && !remove(&mut w, WatcherType::Data));
    assert!(w.table.check(&w.tree, 1, "/a", WatcherType::Persistent));
    assert!(!w.table.check(&w.tree, 2, "/a", WatcherType::Persistent));
    assert!(remove(&mut w, WatcherType::Any) && !remove(&mut w, WatcherType::Any));
    assert_eq!(WatcherType::from_i32(0).or(WatcherType::from_i32(6)), None);
    assert_eq!(WatchMode::from_add_watch(2), None);
}

#[test]
fn catching_up_after_a_reconnect() {
    let mut w = World::with(&["/old", "/new"]);
    w.run(&create("/old/child", b""));
    w.run(&set("/new", b"", 1));
    let list = |paths: &[&str]| Some(paths.iter().map(|p| Some(p.to_string().into())).collect());
    let request = SetWatches {
        relative_zxid: Zxid(2),
        data: list(&["/gone", "/new", "/old"]),
        exist: list(&["/old", "/gone"]),
        child: list(&["/old", "/new", "/gone"]),
        persistent: list(&["/p"]),
        persistent_recursive: list(&["/r"]),
    };
    let mut told = Vec::new();
    w.table.set_watches(&w.tree, 1, &request, |event, path| told.push((event, path.to_owned())));
    let expected = [
        (NodeDeleted, "/gone"),
        (NodeDataChanged, "/new"),
        (NodeCreated, "/old"),
        (NodeChildrenChanged, "/old"),
        (NodeDeleted, "/gone"),
    ];
    assert_eq!(told, expected.map(|(event, path)| (event, path.to_owned())));
    for (path, kind) in [
        ("/old", WatcherType::Data),
        ("/gone", WatcherType::Data),
        ("/new", WatcherType::Children),
        ("/p", WatcherType::Persistent),
        ("/r", WatcherType::PersistentRecursive),
    ] {
        assert!(w.table.check(&w.tree, 1, path, kind), "{path}");
    }
    assert_eq!(w.table.watch_count(), 6);
}

#[test]
fn reports_cover_the_data_registry_sorted() {
    let mut w = World::with(&["/a", "/b"]);
    w.watch(2, "/b", Data);
    w.watch(2, "/b", Persistent);
    w.watch(2, "/missing", Data);
    w.watch(1, "/a", Child);
    w.watch(3, "/b", Data);
    assert_eq!(w.table.watch_count(), 5, "/b of 2 counts in both registries");
    let summary = WatchSummary { connections: 2, paths: 2, watches: 3 };
    assert_eq!(w.table.summary(&w.tree), summary);
    let own = |paths: &[&str]| paths.iter().map(|p| p.to_string()).collect::<Vec<_>>();
    assert_eq!(w.table.by_connection(&w.tree), [(2, own(&["/b", "/missing"])), (3, own(&["/b"]))]);
    let by_path = [("/b".to_owned(), vec![2, 3]), ("/missing".to_owned(), vec![2])];
    assert_eq!(w.table.by_path(&w.tree), by_path);
    for conn in 1..=3 {
        w.table.remove_connection(conn);
    }
    assert_eq!((w.table.watch_count(), w.table.summary(&w.tree)), (0, WatchSummary::default()));
}
