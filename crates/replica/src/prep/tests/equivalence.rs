//! The overlay's contract: what is prepared does not depend on what has been applied.
//!
//! Random requests go through one world that applies each record at once and through one that lets
//! them pile up and applies them at random. Every record must be the same to the byte, every
//! success must apply as a success, and every digest must be the one computed from nothing.

use proptest::prelude::*;
use rookeeper_proto::acl::{ALL, READ, RequestAcls};
use rookeeper_proto::client::request::{Create, PathVersion, Request, SetData};
use rookeeper_tree::DataTree;

use super::*;

/// Few paths, so that requests meet.
const PATHS: &[&str] = &[
    "/",
    "/a",
    "/b",
    "/c",
    "/a/x",
    "/a/y",
    "/b/x",
    "/a/x/p",
    "/a/x/q",
    "/zookeeper",
    "/zookeeper/n",
    "/zookeeper/n/m",
    "/a/",
    "",
    "/a//x",
    "/q",
    "/q/a",
    "/q/b",
    "/a0000000000",
    "/a/x0000000001",
];

#[derive(Debug, Clone)]
enum Op {
    Create { kind: u8, path: usize, flags: i32, ttl_ms: i64, acl: u8, bytes: usize },
    Delete { path: usize, version: i32 },
    Set { path: usize, version: i32, bytes: Option<usize> },
    SetAcl { path: usize, version: i32, acl: u8 },
    Check { path: usize, version: i32 },
    DeleteContainer { path: usize },
    CreateSession,
    CloseSession,
}

#[derive(Debug, Clone)]
struct Step {
    /// One is a single write, more or none a multi.
    ops: Vec<Op>,
    is_multi: bool,
    session: i64,
    state: SessionState,
    ids: u8,
    /// How many records the lazy world applies afterwards.
    applies: usize,
}

fn version() -> impl Strategy<Value = i32> {
    prop_oneof![6 => Just(-1), 2 => 0..3_i32, 1 => Just(-2)]
}

fn op() -> impl Strategy<Value = Op> {
    let path = || 0..PATHS.len();
    let flags = prop_oneof![8 => 0..7_i32, 1 => Just(9)];
    let ttl = prop_oneof![Just(-1_i64), Just(50), Just(0)];
    prop_oneof![
        8 => (0..4_u8, path(), flags, ttl, 0..4_u8, 0..40_usize).prop_map(
            |(kind, path, flags, ttl_ms, acl, bytes)| {
                Op::Create { kind, path, flags, ttl_ms, acl, bytes }
            }
        ),
        4 => (path(), version()).prop_map(|(path, version)| Op::Delete { path, version }),
        4 => (path(), version(), prop::option::of(0..40_usize))
            .prop_map(|(path, version, bytes)| Op::Set { path, version, bytes }),
        2 => (path(), version(), 0..4_u8)
            .prop_map(|(path, version, acl)| Op::SetAcl { path, version, acl }),
        2 => (path(), version()).prop_map(|(path, version)| Op::Check { path, version }),
        1 => path().prop_map(|path| Op::DeleteContainer { path }),
        1 => Just(Op::CreateSession),
        1 => Just(Op::CloseSession),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    use SessionState::{Expired, Foreign, Live, Local, Moved};
    let state = prop_oneof![
        20 => Just(Live), 1 => Just(Local), 1 => Just(Foreign), 1 => Just(Expired), 1 => Just(Moved)
    ];
    let ops = prop_oneof![
        3 => op().prop_map(|op| (vec![op], false)),
        2 => prop::collection::vec(op(), 0..6).prop_map(|ops| (ops, true)),
    ];
    let applies = prop_oneof![3 => Just(0), 1 => 0..8_usize];
    (ops, 1..4_i64, state, 0..3_u8, applies).prop_map(
        |((ops, is_multi), session, state, ids, applies)| Step {
            ops,
            is_multi,
            session,
            state,
            ids,
            applies,
        },
    )
}

fn list(which: u8) -> Option<RequestAcls<'static>> {
    match which {
        0 | 1 => Some(RequestAcls::Open),
        2 => Some(acls(&[(ALL, "digest", "u:h"), (READ, "world", "anyone")])),
        _ => Some(acls(&[(ALL, "auth", "")])),
    }
}

const DATA: &[u8] = &[7; 40];

fn request(op: &Op) -> Request<'static> {
    let at = |path: usize| Some(PATHS[path].into());
    match *op {
        Op::Create { kind, path, flags, ttl_ms, acl, bytes } => {
            let data = (bytes > 0).then_some(&DATA[..bytes]);
            let ttl_ms = if kind == 3 { ttl_ms } else { -1 };
            let create = Create { path: at(path), data, acls: list(acl), flags, ttl_ms };
            match kind {
                0 => Request::Create(create),
                1 => Request::Create2(create),
                2 => Request::CreateContainer(create),
                _ => Request::CreateTtl(create),
            }
        }
        Op::Delete { path, version } => Request::Delete(PathVersion { path: at(path), version }),
        Op::Set { path, version, bytes } => {
            let data = bytes.map(|bytes| &DATA[..bytes]);
            Request::SetData(SetData { path: at(path), data, version })
        }
        Op::SetAcl { path, version, acl } => {
            Request::SetAcl(SetAcl { path: at(path), acls: list(acl), version })
        }
        Op::Check { path, version } => Request::Check(PathVersion { path: at(path), version }),
        Op::DeleteContainer { path } => Request::DeleteContainer(at(path)),
        Op::CreateSession => Request::CreateSession { timeout_ms: 4000 },
        Op::CloseSession => Request::CloseSession,
    }
}

fn write_of(step: &Step) -> Request<'static> {
    if !step.is_multi {
        return request(&step.ops[0]);
    }
    let fits = |op: &&Op| {
        !matches!(
            op,
            Op::SetAcl { .. } | Op::DeleteContainer { .. } | Op::CreateSession | Op::CloseSession
        )
    };
    multi(step.ops.iter().filter(fits).map(request))
}

/// A world with some nodes and an enforced quota on `/q`.
fn world() -> World {
    let config = PrepConfig { enforce_quota: true, ..config() };
    let mut world = World::of(DataTree::new(OPTIONS), config, true);
    let limits = b"count=-1,bytes=-1=;byteHardLimit=60;countHardLimit=3";
    let limits =
        Create { data: Some(limits), ..new_node("/zookeeper/quota/q/zookeeper_limits", 0) };
    world.setup(&[
        create("/a", 0),
        create("/b", 0),
        create("/q", 0),
        create("/zookeeper/quota/q", 0),
        Request::Create(limits),
        create("/zookeeper/quota/q/zookeeper_stats", 0),
    ]);
    world.is_eager = false;
    world
}

fn run(world: &mut World, step: &Step) -> (Prepared, Vec<u8>) {
    (world.session, world.state) = (SessionId(step.session), step.state);
    match step.ids {
        0 => world.ids = Identities::none(),
        1 => world.become_user("u:h"),
        _ => world.ids.add("super", ""),
    }
    let prepared = world.prepare(&write_of(step));
    (prepared, world.last_record().to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn what_is_outstanding_makes_no_difference(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let (mut eager, mut lazy) = (world(), world());
        for step in &steps {
            let (one, other) = (run(&mut eager, step), run(&mut lazy, step));
            prop_assert_eq!(one, other, "{:?}", step);
            eager.settle();
            for _ in 0..step.applies {
                lazy.apply_next();
            }
        }
        lazy.settle();
        prop_assert_eq!(paths(&eager.tree), paths(&lazy.tree));
        for path in paths(&eager.tree) {
            let (one, other) = (eager.tree.get(&path).unwrap(), lazy.tree.get(&path).unwrap());
            prop_assert_eq!(one.stat(), other.stat());
            prop_assert_eq!(one.data(), other.data());
            prop_assert_eq!(one.acl(), other.acl());
        }
    }
}
