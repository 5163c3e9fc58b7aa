//! Random histories: steps that a little leader turns into transactions as a real one would record
//! them (it deletes leaves only, and counts cversions).

use proptest::prelude::*;
use rookeeper_proto::acl::AclList;
use rookeeper_proto::txn::{CreateTxn, Txn};

use super::naive::Tree;
use super::private;

pub(crate) const PATHS: &[&str] = &[
    "/a",
    "/a/x",
    "/a/x/p",
    "/a/y",
    "/ab",
    "/b",
    "/b/z",
    "/zookeeper/quota/a",
    "/zookeeper/quota/a/zookeeper_limits",
    "/zookeeper/quota/a/zookeeper_stats",
    "/zookeeper/quota/a/x",
    "/zookeeper/quota/a/x/zookeeper_limits",
    "/zookeeper/quota/a/x/zookeeper_stats",
    "/zookeeper/quota/zookeeper_limits",
    "/zookeeper/x",
    "/zookeeper/x/zookeeper_limits",
    "/",
    "/zookeeper/config",
];

const DATA: &[Option<&[u8]>] =
    &[None, Some(b""), Some(b"x"), Some(b"longer data"), Some(b"count=5,bytes=7"), Some(b"=;!")];

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Create { path: usize, data: usize, acl: u64, kind: u8, counted: bool },
    Delete { path: usize },
    Set { path: usize, data: usize, version: i32 },
    SetAcl { path: usize, acl: u64 },
    Session,
    Close { recorded: bool },
    Multi(Vec<Step>),
    Failed,
}

/// Who does it, and what.
pub(crate) type SessionStep = (i64, Step);

fn simple(paths: usize) -> impl Strategy<Value = Step> + Clone {
    let (path, data, acl) = (0..paths, 0..DATA.len(), 0u64..5);
    prop_oneof![
        6 => (path.clone(), data.clone(), acl.clone(), 0u8..6, any::<bool>()).prop_map(
            |(path, data, acl, kind, counted)| Step::Create { path, data, acl, kind, counted }
        ),
        3 => path.clone().prop_map(|path| Step::Delete { path }),
        3 => (path.clone(), data, 0..9).prop_map(|(path, data, version)| Step::Set { path, data, version }),
        1 => (path, acl).prop_map(|(path, acl)| Step::SetAcl { path, acl }),
    ]
}

/// A step over the first `paths` of [`PATHS`].
pub(crate) fn step(paths: usize) -> impl Strategy<Value = SessionStep> {
    let step = prop_oneof![
        12 => simple(paths),
        1 => Just(Step::Session),
        1 => any::<bool>().prop_map(|recorded| Step::Close { recorded }),
        2 => prop::collection::vec(simple(paths), 0..5).prop_map(Step::Multi),
        1 => Just(Step::Failed),
    ];
    (1i64..4, step)
}

/// Histories over the first `paths` of [`PATHS`].
pub(crate) fn steps(paths: usize, max: usize) -> impl Strategy<Value = Vec<SessionStep>> {
    prop::collection::vec(step(paths), 0..max)
}

fn acl(n: u64) -> AclList {
    match n {
        0 => AclList::open(),
        1 => AclList::world(1),
        2 => AclList::world(2),
        n => private(n),
    }
}

impl Step {
    /// The transaction, given the state before it. `counted` is whether cversions are always recorded.
    pub(crate) fn txn(&self, tree: &Tree, session: i64, counted: bool) -> Txn<'static> {
        match self {
            Self::Create { path, data, acl: list, kind, counted: also } => {
                let path = PATHS[*path];
                let above = &path[..path.rfind('/').unwrap()];
                let cversion = tree.nodes.get(above).map_or(0, |n| n.stat.cversion + 1);
                let create = CreateTxn {
                    path: path.into(),
                    data: DATA[*data],
                    acl: acl(*list),
                    parent_cversion: if counted || *also { cversion } else { -1 },
                };
                match kind {
                    _ if path == "/" => Txn::Check { path: path.into(), version: 1 },
                    0 => Txn::CreateContainer(create),
                    1 => Txn::CreateTtl { create, ttl_ms: 77 },
                    2 => Txn::Create { create, ephemeral: true, is_create2: false },
                    3 => Txn::Create { create, ephemeral: true, is_create2: true },
                    4 => Txn::Create { create, ephemeral: false, is_create2: false },
                    _ => Txn::Create { create, ephemeral: false, is_create2: true },
                }
            }
            Self::Delete { path } => {
                let path = PATHS[*path];
                if matches!(path, "/" | "/zookeeper/config") || !tree.children(path).is_empty() {
                    return Txn::Check { path: path.into(), version: 1 };
                }
                Txn::Delete { path: path.into(), is_container: false }
            }
            Self::Set { path, data, version } => Txn::SetData {
                path: PATHS[*path].into(),
                data: DATA[*data],
                version: *version,
                is_reconfig: false,
            },
            Self::SetAcl { path, acl: list } => {
                Txn::SetAcl { path: PATHS[*path].into(), acl: acl(*list), version: 3 }
            }
            Self::Session => Txn::CreateSession { timeout_ms: 4000 },
            Self::Close { recorded } => {
                // Ephemerals with children cannot be; these histories have some.
                let owned = tree.ephemerals_of(session).into_iter();
                let mut paths: Vec<String> = owned.collect();
                paths.sort_by_key(|path| std::cmp::Reverse(path.len()));
                let is_closed = |path: &String| {
                    let below = format!("{path}/");
                    let mut inside = tree.nodes.keys().filter(|p| p.starts_with(&below));
                    inside.all(|p| paths.contains(p))
                };
                if !paths.iter().all(is_closed) {
                    return Txn::Error(-1);
                }
                let has_order = *recorded || paths.iter().any(|p| !tree.children(p).is_empty());
                let paths: Vec<_> = paths.into_iter().map(Into::into).collect();
                Txn::CloseSession(if has_order || counted { Some(paths) } else { None })
            }
            Self::Multi(steps) => {
                // Each part is made from the state after the ones before it.
                let (mut state, mut parts) = (tree.clone(), Vec::new());
                for step in steps {
                    let part = step.txn(&state, session, counted);
                    state.apply(&super::header(1, session), &part, &mut Vec::new());
                    parts.push(part);
                }
                Txn::Multi(parts)
            }
            Self::Failed => Txn::Multi(vec![super::create("/failed", b""), Txn::Error(-101)]),
        }
    }
}
