//! One test per rule of `storage-format.md` 2.1, 5 and `client-protocol.md` 6.4 to 6.6.

mod common;

use common::*;
use rookeeper_proto::acl::AclList;
use rookeeper_proto::create_mode::CreateMode;
use rookeeper_proto::txn::{CreateTxn, Txn, TxnDigest};
use rookeeper_proto::{ErrorCode, OpCode, SessionId, StatPersisted, Zxid};
use rookeeper_tree::*;

const NO_NODE: i32 = ErrorCode::NoNode as i32;
const NODE_EXISTS: i32 = ErrorCode::NodeExists as i32;

#[test]
fn a_fresh_tree_is_java_s() {
    let tree = fresh();
    assert_eq!(tree.digest(), 1_371_985_504);
    assert_eq!(tree.node_count(), 4);
    assert_eq!(tree.descendant_count(tree.find("/").unwrap()), 3);
    let stat = |path: &str| tree.get(path).unwrap().stat();
    assert_eq!((stat("/").cversion, stat("/").num_children), (-1, 1));
    assert_eq!((stat("/zookeeper").cversion, stat("/zookeeper").num_children), (-2, 2));
    assert_eq!(stat("/zookeeper/config").aversion, -1);
    let config = tree.get("/zookeeper/config").unwrap();
    assert_eq!((config.acl(), config.acl_id()), (&AclList::world(1), AclId(1)));
    assert_eq!(config.data(), Some(&b""[..]));
    assert_eq!(tree.find(""), tree.find("/"));
    assert_eq!(tree.get("").unwrap().path(), "/");
    assert_eq!(tree.find("/zookeeper/"), None);
    assert_eq!(tree.find("//"), None);
}

#[test]
fn the_snapshot_of_a_fresh_tree_is_java_s() {
    let mut file = Vec::from(*b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff");
    file.extend(snapshot_body(&mut fresh()));
    assert_eq!(file.len(), 478 - 13 - 54);
    let (mut a, mut b) = (1u32, 0u32);
    for byte in file {
        a = (a + u32::from(byte)) % 65521;
        b = (b + a) % 65521;
    }
    assert_eq!(b << 16 | a, 0xB8A2_3B49);
}

#[test]
fn create_and_delete_touch_the_parent_as_documented() {
    let mut tree = fresh();
    let h = header(7, 1);
    let txn = create("/a", b"xy");
    let applied = tree.apply(&h, &txn, &mut ());
    let stat = applied.result.stat.unwrap();
    assert_eq!((applied.result.op, applied.result.err), (OpCode::Create2, 0));
    assert_eq!(applied.result.path, "/a");
    assert_eq!((stat.czxid, stat.mzxid, stat.pzxid), (Zxid(7), Zxid(7), Zxid(7)));
    assert_eq!((stat.ctime_ms, stat.mtime_ms, stat.data_length), (1007, 1007, 2));
    assert_eq!(tree.get("/").unwrap().stat().cversion, 0);
    assert_eq!(tree.get("/").unwrap().stat().pzxid, Zxid(7));
    assert_eq!(run(&mut tree, 8, &delete("/a")), 0);
    let root = tree.get("/").unwrap();
    assert_eq!((root.persisted().cversion, root.stat().cversion), (1, 1));
    assert_eq!(root.stat().pzxid, Zxid(8));
    assert_eq!(run(&mut tree, 9, &create("/a/b", b"")), NO_NODE);
    assert_eq!(run(&mut tree, 9, &delete("/x/y")), NO_NODE);
}

#[test]
fn a_deletion_of_nothing_still_raises_pzxid() {
    let mut tree = fresh();
    assert_eq!(run(&mut tree, 5, &delete("/gone")), NO_NODE);
    assert_eq!(tree.get("/").unwrap().stat().pzxid, Zxid(5));
    assert_eq!(run(&mut tree, 3, &delete("/gone")), NO_NODE);
    assert_eq!(tree.get("/").unwrap().stat().pzxid, Zxid(5), "it never goes back");
    assert_eq!(tree.digest(), digest_from_scratch(&tree));
}

#[test]
fn parent_cversion_only_grows() {
    let mut tree = fresh();
    let with = |path: &'static str, parent_cversion| Txn::Create {
        create: CreateTxn { parent_cversion, ..create_txn(path, None) },
        ephemeral: false,
        is_create2: true,
    };
    run(&mut tree, 10, &with("/a", 7));
    assert_eq!(tree.get("/").unwrap().persisted().cversion, 7);
    run(&mut tree, 11, &with("/b", 3));
    let root = tree.get("/").unwrap().persisted();
    assert_eq!((root.cversion, root.pzxid), (7, Zxid(10)), "pzxid goes with cversion");
    run(&mut tree, 12, &with("/c", i32::MAX));
    run(&mut tree, 13, &with("/d", -1));
    let root = tree.get("/").unwrap().persisted();
    assert_eq!((root.cversion, root.pzxid), (i32::MAX, Zxid(12)), "it sticks at the maximum");
}

#[test]
fn creating_what_exists_refreshes_the_acl_and_type_1_the_parent() {
    let mut tree = fresh();
    run(&mut tree, 1, &create("/a", b"old"));
    for (is_create2, zxid, cversion) in [(true, 2, 1), (false, 3, 9)] {
        let txn = Txn::Create {
            create: CreateTxn {
                path: "/a".into(),
                data: Some(b"new"),
                acl: private(zxid as u64),
                parent_cversion: 9,
            },
            ephemeral: false,
            is_create2,
        };
        assert_eq!(run(&mut tree, zxid, &txn), NODE_EXISTS);
        assert_eq!(tree.get("/").unwrap().persisted().cversion, cversion);
        assert_eq!(tree.get("/a").unwrap().acl(), &private(zxid as u64));
        assert_eq!(tree.get("/a").unwrap().data(), Some(&b"old"[..]));
    }
    assert_eq!(tree.acls().len(), 2, "the list replaced is forgotten");
    assert_eq!(run(&mut tree, 4, &create("/", b"")), NODE_EXISTS);
    assert_eq!(run(&mut tree, 4, &create("", b"")), NO_NODE);
    assert_eq!(run(&mut tree, 4, &create("a", b"")), NO_NODE);
    assert_eq!(run(&mut tree, 4, &delete("/")), NO_NODE);
    assert_eq!(run(&mut tree, 4, &delete("")), NO_NODE);
}

#[test]
fn set_data_and_set_acl() {
    let mut tree = fresh();
    run(&mut tree, 1, &create("/a", b"1"));
    let txn = set("/a", b"longer", 1);
    let applied = tree.apply(&header(2, 1), &txn, &mut ());
    let stat = applied.result.stat.unwrap();
    assert_eq!((stat.version, stat.mzxid, stat.mtime_ms), (1, Zxid(2), 1002));
    assert_eq!((stat.czxid, stat.pzxid, stat.data_length), (Zxid(1), Zxid(1), 6));
    let txn = Txn::SetAcl { path: "/a".into(), acl: private(1), version: 1 };
    let applied = tree.apply(&header(3, 1), &txn, &mut ());
    assert_eq!(applied.result.stat, Some(rookeeper_proto::Stat { aversion: 1, ..stat }));
    assert_eq!(tree.digest(), digest_from_scratch(&tree));
    let null = Txn::SetData { path: "/a".into(), data: None, version: 2, is_reconfig: false };
    run(&mut tree, 4, &null);
    assert_eq!(tree.get("/a").unwrap().data(), None);
    assert_eq!(tree.get("/a").unwrap().stat().data_length, 0);
    run(&mut tree, 5, &set("/a", b"", 3));
    assert_eq!(tree.get("/a").unwrap().data(), Some(&b""[..]));
    assert_eq!(run(&mut tree, 6, &set("/b", b"", 3)), NO_NODE);
    assert_eq!(run(&mut tree, 6, &set("/", b"root", 1)), 0);
    assert_eq!(tree.digest(), digest_from_scratch(&tree));
}

#[test]
fn a_reconfig_leaves_the_digest_alone() {
    let mut tree = fresh();
    let txn = Txn::SetData {
        path: "/zookeeper/config".into(),
        data: Some(b"server.1=..."),
        version: -1,
        is_reconfig: true,
    };
    let stat = tree.apply(&header(2, 1), &txn, &mut ()).result.stat.unwrap();
    assert_eq!((stat.version, stat.mzxid), (-1, Zxid(2)));
    assert_eq!(tree.digest(), 1_371_985_504);
    tree.set_config(b"x", 5, Zxid(9), 77);
    let stat = tree.get("/zookeeper/config").unwrap().stat();
    assert_eq!((stat.version, stat.mzxid, stat.mtime_ms, stat.data_length), (5, Zxid(9), 77, 1));
    assert_eq!((tree.digest(), tree.last_zxid()), (1_371_985_504, Zxid(2)));
}

#[test]
fn closing_a_session_deletes_what_is_recorded_then_what_is_left() {
    let mut tree = fresh();
    tree.apply(&header(1, 5), &Txn::CreateSession { timeout_ms: 30_000 }, &mut ());
    assert_eq!(tree.sessions().get(&SessionId(5)), Some(&30_000));
    for (zxid, path) in [(2, "/c"), (3, "/a"), (4, "/b"), (5, "/d")] {
        tree.apply(&header(zxid, 5), &ephemeral(path), &mut ());
    }
    assert_eq!(tree.ephemerals_of(SessionId(5)), ["/a", "/b", "/c", "/d"]);
    assert_eq!(tree.get("/a").unwrap().stat().ephemeral_owner, 5);
    assert_eq!(tree.ephemerals_count(), 4);
    let mut gone = Vec::new();
    let txn = Txn::CloseSession(Some(vec!["/d".into(), "/missing".into(), "/b".into()]));
    tree.apply(&header(6, 5), &txn, &mut |change: Change<'_>| {
        gone.push((change.kind, change.path.to_owned()));
    });
    let expected = ["/d", "/b", "/a", "/c"].map(|p| (ChangeKind::Deleted, p.to_owned()));
    assert_eq!(gone, expected);
    assert!(tree.sessions().is_empty() && tree.ephemeral_owners().next().is_none());
    assert_eq!(tree.ephemerals_count(), 0);
    assert_eq!(tree.get("/").unwrap().stat().pzxid, Zxid(6));
}

#[test]
fn ephemerals_by_prefix_are_compared_as_strings() {
    let mut tree = fresh();
    for path in ["/a", "/ab", "/b"] {
        run(&mut tree, 1, &ephemeral(path));
    }
    let with = |prefix| tree.ephemerals_with_prefix(SessionId(1), prefix);
    assert_eq!(with(Some("/a")), ["/a", "/ab"]);
    for all in [None, Some(""), Some(" "), Some("/")] {
        assert_eq!(with(all).len(), 3);
    }
}

#[test]
fn a_failed_multi_does_nothing() {
    let mut tree = fresh();
    let txn = Txn::Multi(vec![create("/a", b""), Txn::Error(-101), Txn::Error(-2), delete("/q")]);
    let applied = tree.apply(&header(9, 1), &txn, &mut |_: Change<'_>| panic!("nothing changes"));
    assert_eq!(applied.parts.iter().map(|p| p.err).collect::<Vec<_>>(), [0, -101, -2, -2]);
    assert!(applied.parts.iter().all(|p| p.op == OpCode::Error));
    assert_eq!((tree.node_count(), tree.last_zxid()), (4, Zxid(9)));
    assert_eq!(tree.digest(), 1_371_985_504);
}

#[test]
fn stats_in_a_multi_are_as_of_each_part() {
    let mut tree = fresh();
    let txn = Txn::Multi(vec![
        create("/a", b"1"),
        set("/a", b"22", 1),
        Txn::Check { path: "/a".into(), version: 2 },
        create("/a/b", b""),
        delete("/a/b"),
    ]);
    let applied = tree.apply(&header(9, 1), &txn, &mut ());
    assert_eq!(applied.result.op, OpCode::Multi);
    let stats = applied.parts.iter().map(|p| p.stat.map(|s| (s.version, s.num_children)));
    assert_eq!(stats.collect::<Vec<_>>(), [Some((0, 0)), Some((1, 0)), None, Some((0, 0)), None]);
    assert!(applied.parts.iter().all(|p| p.err == 0));
    assert_eq!(tree.get("/a").unwrap().stat().cversion, 2);
    let empty = Txn::Multi(vec![]);
    assert_eq!(tree.apply(&header(10, 1), &empty, &mut ()).parts, []);
}

#[test]
fn deleting_a_node_with_children_in_replay_takes_them_along() {
    let mut tree = fresh();
    for path in ["/a", "/a/b", "/a/b/c", "/a/d"] {
        run(&mut tree, 1, &create(path, b""));
    }
    let mut gone = Vec::new();
    tree.apply(&header(2, 1), &delete("/a"), &mut |c: Change<'_>| gone.push(c.path.to_owned()));
    assert_eq!(gone, ["/a/d", "/a/b/c", "/a/b", "/a"]);
    assert_eq!(tree.node_count(), 4);
    assert_eq!(tree.digest(), digest_from_scratch(&tree));
}

#[test]
fn owners_and_expiry() {
    let mut tree = fresh();
    let ttl =
        |path: &'static str, ttl_ms| Txn::CreateTtl { create: create_txn(path, None), ttl_ms };
    run(&mut tree, 1, &Txn::CreateContainer(create_txn("/used", None)));
    run(&mut tree, 1, &Txn::CreateContainer(create_txn("/unused", None)));
    run(&mut tree, 1, &Txn::CreateContainer(create_txn("/busy", None)));
    run(&mut tree, 1, &ttl("/ttl", 100));
    run(&mut tree, 1, &ttl("/ttl-busy", 100));
    for path in ["/used/x", "/busy/x", "/ttl-busy/x"] {
        run(&mut tree, 1, &create(path, b""));
    }
    assert_eq!(tree.expiry_candidates(1000, 0, 9), [""; 0]);
    run(&mut tree, 2, &delete("/used/x"));
    assert_eq!(tree.get("/used").unwrap().owner_kind(), OwnerKind::Container);
    assert_eq!(tree.get("/ttl").unwrap().owner_kind(), OwnerKind::Ttl(100));
    assert_eq!(tree.get("/ttl").unwrap().stat().ephemeral_owner, 0);
    assert_eq!(tree.expiry_candidates(1101, 0, 9), ["/used"], "the TTL counts from 1001");
    assert_eq!(tree.expiry_candidates(1102, 0, 9), ["/used", "/ttl"]);
    assert_eq!(tree.expiry_candidates(1102, 100, 9), ["/used", "/unused", "/ttl"]);
    assert_eq!(tree.expiry_candidates(1102, 101, 9), ["/used", "/ttl"]);
    assert_eq!(tree.expiry_candidates(1102, 100, 2), ["/used", "/unused"]);
    run(&mut tree, 200, &set("/ttl", b"", 1));
    assert_eq!(tree.expiry_candidates(1102, 0, 9), ["/used"], "setData extends");
    run(&mut tree, 201, &delete("/used"));
    assert_eq!(tree.expiry_candidates(i64::MAX, 0, 9), ["/ttl"]);
    assert!(CreateMode::Container.flags() == 4);
}

#[test]
fn without_extended_types_a_ttl_owner_is_a_session() {
    let mut tree = DataTree::new(TreeOptions { extended_types: false, ..OPTIONS });
    let txn = Txn::CreateTtl { create: create_txn("/t", None), ttl_ms: 5 };
    let stat = tree.apply(&header(1, 1), &txn, &mut ()).result.stat.unwrap();
    assert_eq!(stat.ephemeral_owner, 0xFF00_0000_0000_0005_u64 as i64);
    assert_eq!(tree.ephemerals_of(SessionId(stat.ephemeral_owner)), ["/t"]);
    assert!(tree.expiry_candidates(i64::MAX, 1, 9).is_empty());
}

#[test]
fn digests_are_compared_and_kept() {
    let mut tree = fresh();
    run(&mut tree, 127, &create("/a", b""));
    run(&mut tree, 128, &create("/b", b""));
    let digest = tree.digest();
    assert_eq!(tree.digest_history().collect::<Vec<_>>(), [(Zxid(128), digest)]);
    let recorded = |version, digest| TxnDigest { version, digest };
    assert_eq!(tree.check_digest(Zxid(128), recorded(2, digest)), None);
    assert_eq!(tree.check_digest(Zxid(128), recorded(1, 5)), None);
    let mismatch = DigestMismatch { zxid: Zxid(128), expected: 5, actual: digest };
    assert_eq!(tree.check_digest(Zxid(128), recorded(2, 5)), Some(mismatch));
    assert_eq!(tree.digest_mismatches(), 1);
    let mut off = DataTree::new(TreeOptions { digest_enabled: false, ..OPTIONS });
    run(&mut off, 128, &create("/a", b""));
    assert_eq!((off.digest(), off.get("/a").unwrap().digest()), (0, 0));
    assert_eq!(off.check_digest(Zxid(128), recorded(2, 5)), None);
}

#[test]
fn children_keep_their_order_while_nothing_changes() {
    let mut tree = fresh();
    for path in ["/a", "/c", "/b"] {
        run(&mut tree, 1, &create(path, b""));
    }
    let names = |tree: &DataTree| -> Vec<String> {
        tree.get("/").unwrap().children().map(str::to_owned).collect()
    };
    let before = names(&tree);
    assert_eq!(before, ["b", "c", "a", "zookeeper"]);
    assert_eq!(names(&tree), before);
    assert_eq!(tree.get("/b").unwrap().parent().unwrap().path(), "/");
    assert_eq!(tree.get("/b").unwrap().name(), "b");
}

#[test]
fn what_is_not_a_tree_is_named() {
    let stat = StatPersisted::default();
    let mut loader = TreeLoader::new(OPTIONS);
    let orphan = |path: &str| Err(LoadError::Orphan { path: path.to_owned() });
    assert_eq!(loader.on_node("/a", None, AclId::OPEN, stat), orphan("/a"));
    assert_eq!(loader.on_node("", None, AclId::OPEN, stat), Ok(()));
    assert_eq!(loader.on_node("/a/b", None, AclId::OPEN, stat), orphan("/a/b"));
    let unknown = LoadError::UnknownAcl { path: "/a".to_owned(), acl: AclId(3) };
    assert_eq!(loader.on_node("/a", None, AclId(3), stat), Err(unknown.clone()));
    assert_eq!(unknown.to_string(), "node \"/a\" names ACL 3, which the ACL map does not hold");
    loader.on_acl(AclId(3), private(1));
    loader.on_acl(AclId(i64::MAX), private(2));
    assert_eq!(loader.on_node("/a", None, AclId(3), stat), Ok(()));
    let twice = Err(LoadError::Duplicate { path: "/a".to_owned() });
    assert_eq!(loader.on_node("/a", None, AclId(3), stat), twice);
    let bad = Err(LoadError::BadPath { path: "a".to_owned() });
    assert_eq!(loader.on_node("a", None, AclId(3), stat), bad);
    let tree = loader.finish(Zxid(9)).unwrap();
    assert_eq!(tree.get("/a").unwrap().acl(), &private(1));
    assert_eq!(tree.acls().iter().count(), 2, "the unused list is purged, config's is there");
    assert!(tree.find("/zookeeper/config").is_some(), "old directories get it");
    assert_eq!(TreeLoader::new(OPTIONS).finish(Zxid(0)).err(), Some(LoadError::NoRoot));
}

#[test]
fn ttl_nodes_under_the_wrong_option_are_counted() {
    let options = TreeOptions { extended_types: false, ..OPTIONS };
    let mut loader = TreeLoader::new(options);
    let owner = |ephemeral_owner| StatPersisted { ephemeral_owner, ..StatPersisted::default() };
    loader.on_node("", None, AclId::OPEN, owner(0)).unwrap();
    loader.on_node("/t", None, AclId::OPEN, owner(0xFF00_0000_0000_0005_u64 as i64)).unwrap();
    loader.on_node("/e", None, AclId::OPEN, owner(77)).unwrap();
    assert_eq!(loader.unrecognised_ttl_nodes(), 1);
}
