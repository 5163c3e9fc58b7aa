//! multi: what fails as a whole, what fails in part, and that nothing stays of a failure.

use rookeeper_proto::ErrorCode::{
    BadArguments, BadVersion, EphemeralOnLocalSession, InvalidAcl, MarshallingError,
    NoChildrenForEphemerals, NoNode, NodeExists, NotEmpty, Ok as Fine, SessionExpired,
    SessionMoved, Unimplemented,
};
use rookeeper_proto::acl::{RequestAcl, RequestAcls};
use rookeeper_proto::client::request::{Create, MultiOp, PathVersion, PathWatch, Request, SetData};
use rookeeper_proto::create_mode::{CONTAINER_OWNER, ttl_owner};
use rookeeper_proto::txn::{Record, Txn};
use rookeeper_proto::{ErrorCode, OpCode};

use super::*;

fn check(path: &str, version: i32) -> Request<'_> {
    Request::Check(PathVersion { path: Some(path.into()), version })
}

/// Type, flags and time to live of a create.
fn typed(kind: OpCode, path: &str, flags: i32, ttl_ms: i64) -> Request<'_> {
    let create = Create { ttl_ms, ..new_node(path, flags) };
    Request::Multi(vec![match kind {
        OpCode::Create => MultiOp::Create(create),
        OpCode::Create2 => MultiOp::Create2(create),
        OpCode::CreateContainer => MultiOp::CreateContainer(create),
        _ => MultiOp::CreateTtl(create),
    }])
}

/// The parts of the record prepared last.
fn parts(world: &World) -> Vec<i32> {
    let record = Record::read(world.last_record()).unwrap();
    let Txn::Multi(parts) = record.txn else { panic!("{record:?}") };
    assert!(record.digest.is_some(), "a failed multi, too, carries the digest");
    parts
        .iter()
        .map(|part| match part {
            Txn::Error(code) => *code,
            other => other.op().as_i32(),
        })
        .collect()
}

/// Observed on 3.9.5: type and flags against the type of txn, or -5 for the whole.
#[test]
fn types_and_flags() {
    use OpCode::{Create, Create2, CreateContainer, CreateTtl};
    let mut world = World::new(false);
    world.setup(&[create("/m", 0)]);
    for kind in [Create, Create2, CreateContainer] {
        for flags in 0..4 {
            let path = format!("/m/{}-{flags}-", kind.as_i32());
            assert_eq!(world.code(&typed(kind, &path, flags, -1)), Fine, "{kind:?} {flags}");
            assert_eq!(parts(&world), [kind.as_i32()]);
        }
        let path = format!("/m/{}-4", kind.as_i32());
        assert_eq!(world.code(&typed(kind, &path, 4, -1)), Fine);
        assert_eq!(parts(&world), [CreateContainer.as_i32()]);
        for flags in [5, 6, 7, 9, -1] {
            let code = world.code(&typed(kind, "/m/no", flags, -1));
            assert_eq!(code, MarshallingError, "{kind:?} {flags}");
        }
    }
    for (flags, ttl_ms, code, op) in [
        (0, 5, Fine, Create),
        (1, 5, Fine, Create),
        (2, -1, Fine, Create),
        (4, 5, Fine, CreateContainer),
        (5, 5, Fine, CreateTtl),
        (6, 5, Fine, CreateTtl),
        (5, 0, BadArguments, CreateTtl),
        (7, 5, BadArguments, CreateTtl),
    ] {
        let path = format!("/m/ttl{flags}-");
        let request = typed(CreateTtl, &path, flags, ttl_ms);
        let Outcome::Txn = world.prepare(&request).outcome else {
            let failed = Outcome::MultiFailed { index: 0, code };
            assert_eq!(world.prepare(&request).outcome, failed);
            continue;
        };
        assert_eq!((code, parts(&world)), (Fine, vec![op.as_i32()]), "{flags}");
    }
    world.settle();
    let owner = |path: &str| world.tree.get(path).unwrap().persisted().ephemeral_owner;
    assert_eq!(owner("/m/1-1-"), world.session.0);
    assert_eq!(owner("/m/19-1-"), CONTAINER_OWNER);
    assert_eq!(owner("/m/ttl5-"), ttl_owner(5));
}

/// Observed on 3.9.5, too.
#[test]
fn what_fails_as_a_whole() {
    let null_acl = |kind: fn(Create<'static>) -> MultiOp<'static>| {
        Request::Multi(vec![kind(Create { acls: None, ..new_node("/m/x", 0) })])
    };
    let no_path = || Create { path: None, ..new_node("/", 0) };
    let read = || Request::GetData(PathWatch { path: Some("/".into()), watch: false });
    let nowhere = || PathVersion { path: None, version: -1 };
    both_ways(|world| {
        world.setup(&[create("/m", 0)]);
        for request in [
            null_acl(MultiOp::Create),
            null_acl(MultiOp::Create2),
            null_acl(MultiOp::CreateContainer),
            multi([create("/m/ok", 0), Request::Create(no_path())]),
            multi([create("/m/ok", 0), Request::CreateTtl(no_path())]),
            multi([create("/m/ok", 0), Request::Delete(nowhere())]),
            multi([create("/m/ok", 0), Request::Check(nowhere())]),
            multi([
                create("/m/ok", 0),
                Request::SetData(SetData { path: None, data: None, version: -1 }),
            ]),
            multi([read()]),
            multi([create("/m/ok", 0), read()]),
        ] {
            let prepared = world.prepare(&request);
            assert_eq!(prepared.outcome, Outcome::Error(MarshallingError), "{request:?}");
        }
        // The fourth kind of create forgives the list, but not its content.
        let failed = Outcome::MultiFailed { index: 0, code: InvalidAcl };
        assert_eq!(world.prepare(&null_acl(MultiOp::CreateTtl)).outcome, failed);
        assert_eq!(world.code(&create("/m/ok", 0)), Fine);
    });
}

/// Java's providers fail on a null id, and with them the multi.
#[test]
fn a_null_id_in_an_acl_fails_as_a_whole() {
    both_ways(|world| {
        for scheme in ["world", "ip", "digest"] {
            let entry = RequestAcl { perms: 31, scheme: Some(scheme.into()), id: None };
            let acls = Some(RequestAcls::List(vec![entry]));
            let create = || Create { acls: acls.clone(), ..new_node("/n", 0) };
            assert_eq!(world.code(&Request::Create(create())), MarshallingError, "{scheme}");
            let prepared = world.prepare(&Request::Multi(vec![MultiOp::Create(create())]));
            assert_eq!(prepared.outcome, Outcome::Error(MarshallingError), "{scheme}");
        }
    });
}

/// MultiOperationTest: each operation sees the ones before it.
#[test]
fn operations_build_on_each_other() {
    both_ways(|world| {
        world.setup(&[
            multi([]),
            multi([create("/p", 0), create("/p/c", 0), create("/p/c/d", 1)]),
            multi([create("/v", 0), set("/v", b"1", 0), check("/v", 1), delete("/v", 1)]),
            multi([delete("/p/c/d", 0), delete("/p/c", 0), create("/p/c", 2)]),
            multi([create("/p/s", 2), create("/p/s", 2), delete("/p/s0000000002", 0)]),
            multi([set_root(b"1"), set_root(b"2"), check("/", 2)]),
        ]);
        world.settle();
        let names = ["/p/c0000000001", "/p/s0000000003"];
        names.iter().for_each(|path| assert!(world.tree.get(path).is_some(), "{path}"));
        for gone in ["/v", "/p/c", "/p/c/d", "/p/s0000000002"] {
            assert!(world.tree.get(gone).is_none(), "{gone}");
        }
        // One zxid for all.
        let stat = world.tree.get("/p/s0000000003").unwrap().stat();
        assert_eq!((stat.czxid, world.tree.get("/p").unwrap().stat().pzxid), (z(5), z(5)));
    });
}

fn set_root(data: &[u8]) -> Request<'_> {
    set("/", data, -1)
}

/// Which operation fails, with what, and how that is recorded.
#[test]
fn the_first_failure_decides() {
    let container = |path: &'static str| Request::CreateContainer(new_node(path, 4));
    let ttl = |ttl_ms| Request::CreateTtl(Create { ttl_ms, ..new_node("/t", 5) });
    let none = || acls(&[]);
    let bad_acl = || Request::Create(Create { acls: Some(none()), ..new_node("/z", 0) });
    let rows: Vec<(Vec<Request<'_>>, usize, ErrorCode, Vec<i32>)> = vec![
        (vec![create("/x", 0), create("/x", 0), create("/y", 0)], 1, NodeExists, vec![1, -110, -2]),
        (vec![delete("/none", -1), create("/x", 0)], 0, NoNode, vec![-101, -2]),
        (vec![create("/x", 0), delete("/p", -1)], 1, NotEmpty, vec![1, -111]),
        (vec![set("/p", b"", 5)], 0, BadVersion, vec![-103]),
        (vec![set("/p", b"", 0), check("/p", 0)], 1, BadVersion, vec![5, -103]),
        (vec![check("/p", -1), check("/none", -1)], 1, NoNode, vec![13, -101]),
        (vec![check("", -1)], 0, BadArguments, vec![-8]),
        (vec![create("/x", 1), create("/x/y", 0)], 1, NoChildrenForEphemerals, vec![1, -108]),
        (vec![container("/c"), create("/c/.", 0)], 1, BadArguments, vec![19, -8]),
        (vec![ttl(0)], 0, BadArguments, vec![-8]),
        (vec![bad_acl(), create("/x", 0)], 0, InvalidAcl, vec![-114, -2]),
    ];
    for (ops, index, code, recorded) in rows {
        let request = multi(ops);
        let mut world = World::new(false);
        world.setup(&[create("/p", 0), create("/p/c", 0)]);
        let failed = Outcome::MultiFailed { index, code };
        assert_eq!(world.prepare(&request).outcome, failed, "{request:?}");
        assert_eq!(parts(&world), recorded);
        world.settle();
        assert_eq!(paths(&world.tree).len(), 6, "nothing was created");
    }
}

/// PrepRequestProcessorTest, MultiOperationTest (ZOOKEEPER-1624, 2052), AsyncOpsTest: sequential
/// counters, versions, children and ACLs are as before.
#[test]
fn a_failure_leaves_no_trace() {
    both_ways(|world| {
        world.setup(&[create("/p", 0), create("/p/s", 2), create("/q", 0)]);
        let digest = world.prep.digest();
        let request = multi([
            create("/p/s", 2),
            create("/p/e", 1),
            set("/p", b"other", 0),
            delete("/q", -1),
            create("/q", 1),
            delete("/none", -1),
        ]);
        assert_eq!(world.code(&request), NoNode);
        assert_eq!(world.prep.digest(), digest);
        assert_eq!(world.code(&set("/p", b"", 0)), Fine);
        assert_eq!(world.code(&create("/q/child", 0)), Fine);
        assert_eq!(world.code(&create("/p/e", 0)), Fine);
        world.setup(&[create("/p/s", 2), Request::CloseSession]);
        world.settle();
        assert!(world.tree.get("/p/s0000000002").is_some());
        assert!(world.tree.get("/p/e").is_some() && world.tree.get("/q").is_some());
    });
}

#[test]
fn sessions_inside_a_multi() {
    let create_both = || multi([create("/x", 0), create("/y", 1)]);
    for (state, index, code) in [
        (SessionState::Local, 1, EphemeralOnLocalSession),
        (SessionState::Foreign, 1, SessionExpired),
        (SessionState::Expired, 0, SessionExpired),
        (SessionState::Moved, 0, SessionMoved),
    ] {
        let mut world = World::new(true);
        world.state = state;
        let failed = Outcome::MultiFailed { index, code };
        assert_eq!(world.prepare(&create_both()).outcome, failed);
        assert_eq!(world.code(&multi([])), Fine);
    }
}

#[test]
fn ttl_nodes_need_the_extended_types() {
    let plain = PrepConfig { extended_types: false, ..config() };
    let mut world = World::of(DataTree::new(OPTIONS), plain, true);
    let ttl = Request::CreateTtl(Create { ttl_ms: 5, ..new_node("/t", 5) });
    assert_eq!(world.code(&multi([ttl])), Unimplemented);
    // Without them a TTL flag on the other types is still -5 for the whole.
    assert_eq!(world.code(&multi([create("/t", 5)])), MarshallingError);
}

#[test]
fn open_acls_and_lists_mix() {
    both_ways(|world| {
        world.become_user("u:h");
        let own = |path| {
            Request::Create(Create { acls: Some(acls(&[(31, "auth", "")])), ..new_node(path, 0) })
        };
        world.setup(&[multi([own("/own"), create("/open", 0), own("/own/x")])]);
        world.ids = Identities::none();
        assert_eq!(world.code(&multi([create("/open/x", 0), set("/own", b"", -1)])).as_i32(), -102);
        assert_eq!(world.code(&set_acl("/open", RequestAcls::Open, 0)), Fine);
    });
}
