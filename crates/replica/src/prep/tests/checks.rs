//! Single writes: which check fails first, and what a success looks like.

use rookeeper_proto::ErrorCode::{
    BadArguments, BadVersion, EphemeralOnLocalSession, InvalidAcl, MarshallingError, NoAuth,
    NoChildrenForEphemerals, NoNode, NodeExists, NotEmpty, Ok as Fine, ReconfigDisabled,
    ReconfigInProgress, SessionExpired, SessionMoved, Unimplemented,
};
use rookeeper_proto::acl::{ADMIN, ALL, DELETE, READ, RequestAcls, WRITE};
use rookeeper_proto::client::request::{Create, PathVersion, PathWatch, Request, SetAcl, SetData};
use rookeeper_proto::create_mode::{CONTAINER_OWNER, TTL_MS_MAX, ttl_owner};
use rookeeper_proto::txn::{CreateTxn, Record, Txn};
use rookeeper_proto::{AclList, ErrorCode, StatPersisted};
use rookeeper_tree::{AclId, DataTree, TreeLoader};

use super::*;

fn open<'a>(path: Option<&'a str>, flags: i32, acls: Option<RequestAcls<'static>>) -> Create<'a> {
    Create { path: path.map(Into::into), data: None, acls, flags, ttl_ms: -1 }
}

fn ttl(path: &str, flags: i32, ttl_ms: i64) -> Request<'_> {
    Request::CreateTtl(Create { ttl_ms, ..new_node(path, flags) })
}

/// `/p` (open), `/e` (ephemeral), `/r` (readable only), `/a` (one child `/a/b`).
fn populate(world: &mut World) {
    world.setup(&[
        create("/p", 0),
        create("/e", 1),
        create("/r", 0),
        create("/a", 0),
        create("/a/b", 0),
        set_acl("/r", acls(&[(READ, "world", "anyone")]), 0),
    ]);
}

fn expect(table: &[(Request<'_>, ErrorCode)]) {
    both_ways(|world| {
        populate(world);
        for (request, code) in table {
            assert_eq!(world.code(request), *code, "{request:?}, eager {}", world.is_eager);
        }
    });
}

/// The order of 3.3, one row per pair of neighbouring checks where both would fail.
#[test]
fn create_checks_in_order() {
    let empty = || Some(RequestAcls::List(vec![]));
    let ok = || Some(RequestAcls::Open);
    expect(&[
        (Request::Create(open(None, 7, ok())), BadArguments),
        (Request::Create(open(None, -1, ok())), BadArguments),
        (Request::Create(open(None, 5, ok())), BadArguments),
        (Request::Create(open(None, 0, empty())), MarshallingError),
        (Request::Create(open(Some("bad"), 0, empty())), BadArguments),
        (Request::Create(open(Some(""), 0, empty())), BadArguments),
        (Request::Create(open(Some("/nul\0"), 0, empty())), BadArguments),
        (Request::Create(open(Some("/none/x"), 0, empty())), InvalidAcl),
        (Request::Create(open(Some("/none/x"), 0, None)), InvalidAcl),
        (create("/none/x/", 0), NoNode),
        (create("/a/b//c", 0), NoNode),
        (create("/r/", 0), NoAuth),
        (create("/p/", 0), BadArguments),
        (create("/p/..", 0), BadArguments),
        (create("/p/\u{1}", 0), BadArguments),
        (create("/e/..", 0), BadArguments),
        (create("/p", 0), NodeExists),
        (create("/", 0), NodeExists),
        (create("/e/x", 0), NoChildrenForEphemerals),
        (create("/e/x", 1), NoChildrenForEphemerals),
        (create("/p/x", 0), Fine),
        (create("/p/x", 0), NodeExists),
        (create("/p/x", 2), Fine),
        // The open node of the system takes children.
        (create("/zookeeper/x", 0), Fine),
    ]);
}

/// NoAuth beats NodeExists.
#[test]
fn create_needs_create_on_the_parent() {
    both_ways(|world| {
        world.setup(&[create("/r", 0), create("/r/x", 0)]);
        world.setup(&[set_acl("/r", acls(&[(ALL & !4, "world", "anyone")]), -1)]);
        assert_eq!(world.code(&create("/r/x", 0)), NoAuth);
        world.ids.add("super", "");
        assert_eq!(world.code(&create("/r/x", 0)), NodeExists);
        assert_eq!(world.code(&create("/r/y", 0)), Fine);
    });
}

/// ACLRootTest: -114 precedes -102, and -102 applies at once.
#[test]
fn a_new_acl_counts_before_it_is_applied() {
    both_ways(|world| {
        world.become_user("u:h");
        world.setup(&[create("/p", 0), set_acl("/", acls(&[(ALL, "auth", "")]), -1)]);
        world.ids = Identities::none();
        let auth =
            Request::Create(Create { acls: Some(acls(&[(ALL, "auth", "")])), ..new_node("/x", 0) });
        assert_eq!(world.code(&auth), InvalidAcl);
        assert_eq!(world.code(&create("/x", 0)), NoAuth);
        assert_eq!(world.code(&delete("/p", -1)), NoAuth);
        assert_eq!(world.code(&set("/", b"", -1)), NoAuth);
        assert_eq!(world.code(&set_acl("/", RequestAcls::Open, -1)), NoAuth);
        world.become_user("u:h");
        assert_eq!(world.code(&set("/", b"", -1)), Fine);
        assert_eq!(world.code(&delete("/p", -1)), Fine);
    });
}

/// DELETE is a matter of the parent alone.
#[test]
fn delete_asks_the_parent() {
    both_ways(|world| {
        let none = acls(&[(ADMIN, "world", "anyone")]);
        world.setup(&[create("/p", 0), create("/p/x", 0), set_acl("/p/x", none.clone(), -1)]);
        world.setup(&[set_acl("/p", acls(&[(DELETE | ADMIN, "world", "anyone")]), -1)]);
        assert_eq!(world.code(&set("/p/x", b"", -1)), NoAuth);
        assert_eq!(world.code(&delete("/p/x", -1)), Fine);
        world.setup(&[set_acl("/p", none, -1)]);
        assert_eq!(world.code(&delete("/p/none", -1)), NoAuth);
    });
}

#[test]
fn delete_checks_in_order() {
    let null = Request::Delete(PathVersion { path: None, version: -1 });
    expect(&[
        (null, MarshallingError),
        (delete("", -1), BadArguments),
        (delete("p", -1), BadArguments),
        (delete("/p\0", -1), BadArguments),
        (delete("/", -1), BadArguments),
        (delete("/zookeeper", -1), BadArguments),
        (delete("/zookeeper/quota", -1), BadArguments),
        (delete("/zookeeper/config", -1), BadArguments),
        (delete("/none/x", -1), NoNode),
        (delete("/r/none", -1), NoAuth),
        (delete("/none", -1), NoNode),
        (delete("/p/", -1), NoNode),
        (delete("/a", 9), BadVersion),
        (delete("/a", -2), BadVersion),
        (delete("/a", 0), NotEmpty),
        (delete("/a/b", 0), Fine),
        (delete("/a/b", 0), NoNode),
        (delete("/a", -1), Fine),
        (create("/a", 0), Fine),
    ]);
}

#[test]
fn set_data_checks_in_order() {
    let null = Request::SetData(SetData { path: None, data: None, version: -1 });
    expect(&[
        (null, BadArguments),
        (set("", b"", -1), BadArguments),
        (set("/none/", b"", -1), BadArguments),
        (set("/none", b"", 7), NoNode),
        (set("/r", b"", 7), NoAuth),
        (set("/p", b"", 7), BadVersion),
        (set("/p", b"", -2), BadVersion),
        (set("/p", b"1", 0), Fine),
        (set("/p", b"2", 0), BadVersion),
        (set("/p", b"2", 1), Fine),
        (set("/", b"root", 0), Fine),
        (set("/zookeeper/config", b"", -1), NoAuth),
    ]);
}

#[test]
fn set_acl_checks_in_order() {
    let empty = || RequestAcls::List(vec![]);
    let null = Request::SetAcl(SetAcl { path: None, acls: None, version: -1 });
    let no_list = Request::SetAcl(SetAcl { path: Some("/none".into()), acls: None, version: -1 });
    expect(&[
        (null, BadArguments),
        (no_list, InvalidAcl),
        (set_acl("", empty(), -1), BadArguments),
        (set_acl("/none/", empty(), -1), BadArguments),
        (set_acl("/none", empty(), -1), InvalidAcl),
        (set_acl("/none", RequestAcls::Open, 7), NoNode),
        (set_acl("/r", RequestAcls::Open, 7), NoAuth),
        (set_acl("/p", RequestAcls::Open, 7), BadVersion),
        (set_acl("/p", RequestAcls::Open, 0), Fine),
        (set_acl("/p", RequestAcls::Open, 0), BadVersion),
        (set_acl("/p", RequestAcls::Open, 1), Fine),
        // The data version is another one.
        (set("/p", b"", 0), Fine),
    ]);
}

/// CreateTTLTest, CreateContainerTest, and what would kill a Java server (3.3).
#[test]
fn modes() {
    let container = |path, flags| Request::CreateContainer(new_node(path, flags));
    expect(&[
        (create("/p/c", 4), Fine),
        (create("/p/t", 5), BadArguments),
        (create("/p/t", 6), BadArguments),
        (container("/p/0", 0), Fine),
        (container("/p/1", 1), Fine),
        (container("/p/2", 2), Fine),
        (container("/p/4", 4), Fine),
        (container("/p/5", 5), BadArguments),
        (container("/p/7", 7), BadArguments),
        (ttl("/p/t0", 5, 0), BadArguments),
        (ttl("/p/t0", 5, -1), BadArguments),
        (ttl("/p/t0", 5, TTL_MS_MAX + 1), BadArguments),
        (ttl("/p/t0", 5, TTL_MS_MAX), Fine),
        (ttl("/p/t1", 6, 1), Fine),
        (ttl("/p/t2", 0, -1), BadArguments),
        (ttl("/p/t2", 1, -1), BadArguments),
        (ttl("/p/t2", 4, -5), BadArguments),
        (ttl("/p/t2", 0, 5), BadArguments),
        // Containers, TTL nodes and what Java makes of type 19 with flag 1 may have children.
        (create("/p/4/x", 1), Fine),
        (create("/p/t0/x", 1), Fine),
        (create("/p/1/x", 0), Fine),
    ]);
    let mut off =
        World::of(DataTree::new(OPTIONS), PrepConfig { extended_types: false, ..config() }, true);
    assert_eq!(off.code(&ttl("/t", 5, 1000)), Unimplemented);
    assert_eq!(off.code(&ttl("/t", 6, -1)), Unimplemented);
    assert_eq!(off.code(&create("/t", 5)), Unimplemented);
    assert_eq!(off.code(&ttl("/t", 0, -1)), BadArguments);
}

/// What the records hold.
#[test]
fn created_nodes_are_recorded_as_their_kind() {
    let mut world = World::new(false);
    world.time_ms = 99;
    let txn = |world: &mut World, request: &Request<'_>| {
        assert_eq!(world.code(request), Fine);
        let bytes: &'static [u8] = world.last_record().to_vec().leak();
        Record::read(bytes).unwrap().txn
    };
    let node = |path: &'static str, parent_cversion| CreateTxn {
        path: path.into(),
        data: Some(b"x"),
        acl: AclList::open(),
        parent_cversion,
    };
    let expected = Txn::Create { create: node("/a", 1), ephemeral: false, is_create2: false };
    assert_eq!(txn(&mut world, &create("/a", 4)), expected);
    let expected = Txn::Create { create: node("/b", 2), ephemeral: true, is_create2: true };
    assert_eq!(txn(&mut world, &Request::Create2(new_node("/b", 1))), expected);
    let expected = Txn::CreateContainer(node("/c0000000002", 3));
    assert_eq!(txn(&mut world, &Request::CreateContainer(new_node("/c", 3))), expected);
    let expected = Txn::CreateTtl { create: node("/d0000000003", 4), ttl_ms: 77 };
    assert_eq!(txn(&mut world, &ttl("/d", 6, 77)), expected);
    let expected =
        Txn::SetData { path: "/a".into(), data: Some(b"y"), version: 1, is_reconfig: false };
    assert_eq!(txn(&mut world, &set("/a", b"y", -1)), expected);
    let expected = Txn::SetAcl { path: "/a".into(), acl: AclList::open(), version: 1 };
    assert_eq!(txn(&mut world, &set_acl("/a", RequestAcls::Open, -1)), expected);
    let expected = Txn::Delete { path: "/a".into(), is_container: false };
    assert_eq!(txn(&mut world, &delete("/a", 1)), expected);
    let expected = Txn::Delete { path: "/c0000000002".into(), is_container: true };
    let container = Request::DeleteContainer(Some("/c0000000002".into()));
    assert_eq!(txn(&mut world, &container), expected);
    assert_eq!(
        txn(&mut world, &Request::CreateSession { timeout_ms: 4000 }),
        Txn::CreateSession { timeout_ms: 4000 }
    );
    world.settle();
    let owner = |path: &str| world.tree.get(path).unwrap().persisted().ephemeral_owner;
    assert_eq!(owner("/b"), world.session.0);
    assert_eq!(owner("/d0000000003"), ttl_owner(77));
    assert_ne!(CONTAINER_OWNER, 0);
}

/// Null and empty data stay what they are (NullDataTest).
#[test]
fn null_data_is_recorded_as_null() {
    both_ways(|world| {
        world.setup(&[
            Request::Create(open(Some("/n"), 0, Some(RequestAcls::Open))),
            create("/m", 0),
            Request::SetData(SetData { path: Some("/m".into()), data: None, version: 0 }),
            set("/n", b"", 0),
        ]);
        world.settle();
        assert_eq!(world.tree.get("/m").unwrap().data(), None);
        assert_eq!(world.tree.get("/n").unwrap().data(), Some(&b""[..]));
    });
}

#[test]
fn delete_container_checks_in_order() {
    let internal = |path: &'static str| Request::DeleteContainer(Some(path.into()));
    expect(&[
        (Request::DeleteContainer(None), MarshallingError),
        (internal("p"), BadArguments),
        (internal("/zookeeper"), BadArguments),
        (internal("/none"), NoNode),
        (internal("/a"), NotEmpty),
        (internal("/e"), BadVersion),
        (internal("/p"), Fine),
        (internal("/p"), NoNode),
    ]);
    // Neither a session nor an ACL has a say.
    both_ways(|world| {
        world.setup(&[Request::CreateContainer(new_node("/c", 4))]);
        world.setup(&[set_acl("/", acls(&[(READ, "world", "anyone")]), -1)]);
        (world.session, world.state) = (SessionId::NONE, SessionState::Expired);
        assert_eq!(world.code(&internal("/c")), Fine);
    });
}

#[test]
fn sessions_come_first() {
    use SessionState::{Expired, Foreign, Live, Local, Moved};
    let local = EphemeralOnLocalSession;
    for (state, plain, ephemeral) in [
        (Live, Fine, Fine),
        (Local, Fine, local),
        (Foreign, Fine, SessionExpired),
        (Expired, SessionExpired, SessionExpired),
        (Moved, SessionMoved, SessionMoved),
    ] {
        both_ways(|world| {
            world.setup(&[create("/p", 0), create("/q", 0)]);
            world.state = state;
            assert_eq!(world.code(&create("/x", 0)), plain);
            assert_eq!(world.code(&Request::Create2(new_node("/y", 1))), ephemeral);
            assert_eq!(world.code(&Request::CreateContainer(new_node("/w", 4))), plain);
            assert_eq!(world.code(&ttl("/z", 5, 9)), plain);
            assert_eq!(world.code(&set("/p", b"", -1)), plain);
            assert_eq!(world.code(&set_acl("/p", RequestAcls::Open, -1)), plain);
            assert_eq!(world.code(&delete("/q", -1)), plain);
            if plain != Fine {
                // Before path, ACL and node, but after the mode.
                assert_eq!(world.code(&Request::Create(open(None, 0, None))), plain);
                assert_eq!(world.code(&Request::Create(open(None, 9, None))), BadArguments);
                assert_eq!(world.code(&delete("/", -1)), plain);
                assert_eq!(world.code(&set("", b"", -1)), plain);
                assert_eq!(world.code(&set_acl("", RequestAcls::Open, -1)), plain);
            }
        });
    }
}

/// StandaloneTest, ReconfigExceptionTest.
#[test]
fn reconfig_checks_in_order() {
    let with = |reconfig, standalone| PrepConfig { reconfig, standalone, ..config() };
    let mut world = World::of(DataTree::new(OPTIONS), with(false, true), true);
    world.state = SessionState::Expired;
    assert_eq!(world.code(&reconfig()), ReconfigDisabled);
    let mut world = World::of(DataTree::new(OPTIONS), with(true, true), true);
    world.reconfig = Some(Ok("text"));
    assert_eq!(world.code(&reconfig()), Unimplemented);
    world.state = SessionState::Expired;
    assert_eq!(world.code(&reconfig()), SessionExpired);

    let mut world = World::of(DataTree::new(OPTIONS), with(true, false), false);
    world.reconfig = Some(Err(ReconfigInProgress));
    assert_eq!(world.code(&reconfig()), ReconfigInProgress);
    world.reconfig = Some(Ok("server.1=a:1:2:participant;3\nversion=5"));
    assert_eq!(world.code(&reconfig()), NoAuth);
    world.ids.add("super", "");
    let digest = world.prep.digest();
    assert_eq!(world.code(&reconfig()), Fine);
    assert_eq!(world.prep.digest(), digest);
    world.settle();
    let node = world.tree.get("/zookeeper/config").unwrap();
    assert_eq!((node.stat().version, node.stat().mzxid), (-1, z(3)));
}

/// What is no write, or one only inside a multi (CheckTest), is refused and logged as an error.
#[test]
fn other_operations_are_refused() {
    let read = || PathWatch { path: Some("/".into()), watch: false };
    expect(&[
        (Request::Check(PathVersion { path: Some("/".into()), version: -1 }), Unimplemented),
        (Request::GetData(read()), Unimplemented),
        (Request::Ping, Unimplemented),
        (Request::MultiRead(vec![]), Unimplemented),
    ]);
}

fn stat(version: i32, cversion: i32) -> StatPersisted {
    StatPersisted { version, cversion, aversion: version, ..StatPersisted::default() }
}

/// A tree with `/p`, whose counters are as given.
fn tree_with(version: i32, cversion: i32) -> DataTree {
    let mut loader = TreeLoader::new(OPTIONS);
    loader.on_node("/", None, AclId::OPEN, StatPersisted::default()).unwrap();
    loader.on_node("/p", None, AclId::OPEN, stat(version, cversion)).unwrap();
    loader.finish(Zxid::ZERO).unwrap()
}

/// 6.3: ten places, sign included; at the maximum the counter sticks, applied or not.
#[test]
fn sequential_names() {
    for (counter, names) in [
        (0, ["0000000000", "0000000001"]),
        (104, ["0000000104", "0000000105"]),
        (999_999_999, ["0999999999", "1000000000"]),
        (-2, ["-000000002", "-000000001"]),
        (-1, ["-000000001", "0000000000"]),
        (i32::MIN, ["-2147483648", "-2147483647"]),
    ] {
        for is_eager in [true, false] {
            let mut world = World::of(tree_with(0, counter), config(), is_eager);
            world.setup(&[create("/p/s", 2), create("/p/s", 3)]);
            world.settle();
            for name in names {
                assert!(world.tree.get(&format!("/p/s{name}")).is_some(), "{name}");
            }
        }
    }
    for is_eager in [true, false] {
        let mut world = World::of(tree_with(0, i32::MAX), config(), is_eager);
        assert_eq!(world.code(&create("/p/s", 2)), Fine);
        assert_eq!(world.code(&create("/p/s", 2)), NodeExists);
        assert_eq!(world.code(&create("/p/t", 2)), Fine);
        world.settle();
        assert!(world.tree.get("/p/s2147483647").is_some());
        assert_eq!(world.tree.get("/p").unwrap().persisted().cversion, i32::MAX);
    }
}

/// The counter counts creates of all kinds and no deletes; the prefix may end in `/`.
#[test]
fn sequential_names_count_creates() {
    both_ways(|world| {
        world.setup(&[
            create("/s", 2),
            create("/p", 0),
            create("/p/x", 0),
            delete("/p/x", -1),
            create("/p/", 2),
            create("/p/.", 2),
            create("/p/..", 2),
            create("/zookeeper/s", 2),
        ]);
        for bad in ["//", "/./", "/../"] {
            assert_ne!(world.code(&create(bad, 2)), Fine, "{bad}");
        }
        world.settle();
        for path in [
            "/s0000000000",
            "/p/0000000001",
            "/p/.0000000002",
            "/p/..0000000003",
            "/zookeeper/s0000000000",
        ] {
            assert!(world.tree.get(path).is_some(), "{path}");
        }
    });
}

/// 6.4: the sum wraps, and -1 always means any.
#[test]
fn versions_wrap() {
    for (version, next) in [(i32::MAX, i32::MIN), (-2, -1), (-1, 0), (i32::MIN, i32::MIN + 1)] {
        for is_eager in [true, false] {
            let mut world = World::of(tree_with(version, 0), config(), is_eager);
            world.setup(&[set("/p", b"", version), set_acl("/p", RequestAcls::Open, version)]);
            world.settle();
            let stat = world.tree.get("/p").unwrap().stat();
            assert_eq!((stat.version, stat.aversion), (next, next));
        }
    }
}

/// 6.7: never proposed, because a Java server could not apply it or what follows.
#[test]
fn poison_is_refused() {
    let stats = "/zookeeper/quota/p/zookeeper_stats";
    let system = |path: &'static str| create(path, 0);
    both_ways(|world| {
        world.setup(&[
            system("/p"),
            system("/zookeeper/x"),
            system("/zookeeperA"),
            system("/zookeeper/quota/p"),
            system(stats),
        ]);
        for (request, code) in [
            (system("/zookeeper/quota/zookeeper_limits"), BadArguments),
            (system("/zookeeper/zookeeper_limits"), BadArguments),
            (system("/zookeeper/x/zookeeper_limits"), BadArguments),
            (system("/zookeeperA/zookeeper_limits"), BadArguments),
            (delete("/zookeeper/x/zookeeper_limits", -1), BadArguments),
            (Request::DeleteContainer(Some("/zookeeperA/zookeeper_limits".into())), BadArguments),
            (system("/zookeeper/quota/p/zookeeper_limits"), Fine),
            (set(stats, b"nonsense", -1), BadArguments),
            (set(stats, b"count=", -1), BadArguments),
            (set(stats, b"count=1,bytes=2", -1), Fine),
            (
                Request::SetData(SetData { path: Some(stats.into()), data: None, version: -1 }),
                BadArguments,
            ),
            (delete("/zookeeper/quota/p/zookeeper_limits", -1), Fine),
            (multi([system("/q"), set(stats, b"x", -1)]), BadArguments),
        ] {
            assert_eq!(world.code(&request), code, "{request:?}");
        }
    });
}

/// S31: what a peer could not read back is not proposed, and nothing of it stays.
#[test]
fn records_stay_readable() {
    let small = PrepConfig { record_max_bytes: 200, ..config() };
    for is_eager in [true, false] {
        let mut world = World::of(DataTree::new(OPTIONS), small.clone(), is_eager);
        world.setup(&[create("/p", 0)]);
        let big = [0; 200];
        assert_eq!(world.code(&set("/p", &big, -1)), MarshallingError);
        let big = Request::Create(Create { data: Some(&big), ..new_node("/q", 0) });
        assert_eq!(world.code(&big), MarshallingError);
        assert_eq!(world.code(&multi((0..9).map(|_| create("/p/s", 2)))), MarshallingError);
        assert_eq!(world.code(&create("/q", 0)), Fine);
        assert_eq!(world.code(&create("/p/s", 2)), Fine);
        world.settle();
        assert!(world.tree.get("/p/s0000000000").is_some());
    }
}

#[test]
fn without_digests_records_end_with_the_txn() {
    let plain = PrepConfig { digest: false, ..config() };
    let options = TreeOptions { digest_enabled: false, ..OPTIONS };
    let mut world = World::of(DataTree::new(options), plain, false);
    world.setup(&[create("/p", 0), set("/p", b"1", 0), delete("/p", 1)]);
    assert!(world.in_flight.iter().all(|bytes| Record::read(bytes).unwrap().digest.is_none()));
    assert_eq!(world.prep.digest(), 0);
    while world.apply_next() {}
}

#[test]
fn acl_needs_the_right_permission() {
    for (perms, set_data, acl) in
        [(WRITE, Fine, NoAuth), (ADMIN, NoAuth, Fine), (READ | DELETE, NoAuth, NoAuth)]
    {
        both_ways(|world| {
            world.setup(&[create("/p", 0), set_acl("/p", acls(&[(perms, "world", "anyone")]), 0)]);
            assert_eq!(world.code(&set("/p", b"", -1)), set_data);
            assert_eq!(world.code(&set_acl("/p", RequestAcls::Open, -1)), acl);
        });
    }
}
