//! Preparation against the real tree: every order of checks and every error of
//! `client-protocol.md` 3.3 to 3.8, with nothing applied and with everything applied at once.

mod checks;
mod equivalence;
mod golden;
mod multi;
mod quotas;
mod sessions;

use std::collections::VecDeque;

use rookeeper_proto::acl::{RequestAcl, RequestAcls};
use rookeeper_proto::client::request::{
    Create, MultiOp, PathVersion, Reconfig, Request, SetAcl, SetData,
};
use rookeeper_proto::txn::{Record, Txn};
use rookeeper_proto::{ErrorCode, SessionId, Zxid};
use rookeeper_tree::{DataTree, TreeOptions, node_digest};

use super::{Outcome, Prep, PrepConfig, Prepared, SessionState, WriteRequest};
use crate::auth::{AuthConfig, AuthRegistry, Identities};

pub(super) const OPTIONS: TreeOptions = TreeOptions {
    extended_types: true,
    emulate_353_ttl: false,
    digest_enabled: true,
    hash_seed: 7,
};

/// A tree, what prepares for it, and the records on their way.
pub(super) struct World {
    pub(super) tree: DataTree,
    pub(super) prep: Prep,
    auth: AuthRegistry,
    pub(super) in_flight: VecDeque<Vec<u8>>,
    pub(super) session: SessionId,
    pub(super) state: SessionState,
    pub(super) ids: Identities,
    pub(super) time_ms: i64,
    pub(super) reconfig: Option<Result<&'static str, ErrorCode>>,
    /// Apply every record at once.
    pub(super) is_eager: bool,
}

pub(super) fn config() -> PrepConfig {
    PrepConfig { extended_types: true, ..PrepConfig::default() }
}

impl World {
    pub(super) fn new(is_eager: bool) -> Self {
        Self::of(DataTree::new(OPTIONS), config(), is_eager)
    }

    pub(super) fn of(tree: DataTree, config: PrepConfig, is_eager: bool) -> Self {
        Self {
            prep: Prep::new(config, tree.last_zxid(), tree.digest()),
            tree,
            auth: AuthRegistry::new(AuthConfig::default()).unwrap(),
            in_flight: VecDeque::new(),
            session: SessionId(0x1_0001),
            state: SessionState::Live,
            ids: Identities::none(),
            time_ms: 1_000,
            reconfig: None,
            is_eager,
        }
    }

    /// Prepares one write. Every one of them is checked for what holds of all.
    pub(super) fn prepare(&mut self, request: &Request<'_>) -> Prepared {
        self.time_ms += 1;
        let write = WriteRequest {
            session: self.session,
            session_state: self.state,
            cxid: 5,
            time_ms: self.time_ms,
            request,
            ids: &self.ids,
            reconfig: self.reconfig,
        };
        let next = self.prep.next_zxid();
        let digest = self.prep.digest();
        let mut out = b"before".to_vec();
        let prepared = self.prep.prepare(&self.tree, &self.auth, &write, &mut out);
        assert!(out.starts_with(b"before"));
        let bytes = out.split_off(6);
        let record = Record::read(&bytes).unwrap();
        assert_eq!((prepared.zxid, record.header.zxid, self.prep.last_zxid()), (next, next, next));
        assert_eq!(record.header.session, self.session);
        assert_eq!((record.header.cxid, record.header.time_ms), (5, self.time_ms));
        let mut again = Vec::new();
        record.write(&mut again);
        assert_eq!(again, bytes, "the record is what decoding and encoding it gives");
        match prepared.outcome {
            Outcome::Error(code) => {
                assert_eq!(record.txn, Txn::Error(code.as_i32()));
                assert_eq!((record.digest, self.prep.digest()), (None, digest));
            }
            Outcome::MultiFailed { .. } => assert_eq!(self.prep.digest(), digest),
            Outcome::Txn => {}
        }
        if let Some(recorded) = record.digest {
            assert_eq!(recorded.digest, self.prep.digest());
        }
        self.in_flight.push_back(bytes);
        if self.is_eager {
            while self.apply_next() {}
        }
        prepared
    }

    /// The record prepared last, if it is not applied.
    pub(super) fn last_record(&self) -> &[u8] {
        self.in_flight.back().unwrap()
    }

    /// Applies the oldest record in flight, which must succeed exactly as it was prepared.
    pub(super) fn apply_next(&mut self) -> bool {
        let Some(bytes) = self.in_flight.pop_front() else { return false };
        let record = Record::read(&bytes).unwrap();
        let (applied, mismatch) = self.tree.apply_record(&record, &mut ());
        assert_eq!(mismatch, None);
        let is_error = matches!(record.txn, Txn::Error(_));
        let is_failed = matches!(&record.txn, Txn::Multi(parts)
            if parts.iter().any(|part| matches!(part, Txn::Error(_))));
        if !is_error && !is_failed {
            assert_eq!(applied.result.err, 0, "{record:?}");
        }
        self.prep.applied(record.header.zxid);
        true
    }

    /// The code of a write: `Ok` is 0. A failed multi gives the code of the operation.
    pub(super) fn code(&mut self, request: &Request<'_>) -> ErrorCode {
        match self.prepare(request).outcome {
            Outcome::Txn => ErrorCode::Ok,
            Outcome::Error(code) | Outcome::MultiFailed { code, .. } => code,
        }
    }

    /// Prepares writes that must succeed.
    pub(super) fn setup(&mut self, requests: &[Request<'_>]) {
        for request in requests {
            assert_eq!(self.code(request), ErrorCode::Ok, "{request:?}");
        }
    }

    /// Applies everything and checks the tree's digest against one computed from nothing.
    pub(super) fn settle(&mut self) {
        while self.apply_next() {}
        assert_eq!(self.prep.outstanding_nodes(), 0);
        assert_eq!(self.tree.digest(), digest_from_scratch(&self.tree));
        assert_eq!(self.prep.digest(), self.tree.digest());
    }

    /// A client with digest identities.
    pub(super) fn become_user(&mut self, id: &str) {
        self.ids = Identities::none();
        self.ids.add("digest", id);
    }
}

/// Every path of a tree, parents first.
pub(super) fn paths(tree: &DataTree) -> Vec<String> {
    let mut paths = vec!["/".to_owned()];
    let mut at = 0;
    while let Some(path) = paths.get(at).cloned() {
        let node = tree.get(&path).unwrap();
        let prefix = if path == "/" { "" } else { &path };
        let mut children: Vec<_> = node.children().map(|name| format!("{prefix}/{name}")).collect();
        children.sort();
        paths.extend(children);
        at += 1;
    }
    paths
}

fn digest_from_scratch(tree: &DataTree) -> i64 {
    paths(tree).iter().fold(0_i64, |sum, path| {
        let node = tree.get(path).unwrap();
        sum.wrapping_add(node_digest(path, node.data(), &node.persisted()))
    })
}

pub(super) fn new_node(path: &str, flags: i32) -> Create<'_> {
    Create {
        path: Some(path.into()),
        data: Some(b"x"),
        acls: Some(RequestAcls::Open),
        flags,
        ttl_ms: -1,
    }
}

pub(super) fn create(path: &str, flags: i32) -> Request<'_> {
    Request::Create(new_node(path, flags))
}

pub(super) fn delete(path: &str, version: i32) -> Request<'_> {
    Request::Delete(PathVersion { path: Some(path.into()), version })
}

pub(super) fn set<'p>(path: &'p str, data: &'p [u8], version: i32) -> Request<'p> {
    Request::SetData(SetData { path: Some(path.into()), data: Some(data), version })
}

pub(super) fn set_acl<'p>(path: &'p str, acls: RequestAcls<'p>, version: i32) -> Request<'p> {
    Request::SetAcl(SetAcl { path: Some(path.into()), acls: Some(acls), version })
}

pub(super) fn acls<'p>(entries: &[(i32, &'p str, &'p str)]) -> RequestAcls<'p> {
    let entry = |&(perms, scheme, id): &(i32, &'p str, &'p str)| RequestAcl {
        perms,
        scheme: Some(scheme.into()),
        id: Some(id.into()),
    };
    RequestAcls::List(entries.iter().map(entry).collect())
}

pub(super) fn reconfig() -> Request<'static> {
    Request::Reconfig(Reconfig { joining: None, leaving: None, new_members: None, config_id: -1 })
}

pub(super) fn multi<'p>(ops: impl IntoIterator<Item = Request<'p>>) -> Request<'p> {
    let op = |request| match request {
        Request::Create(c) => MultiOp::Create(c),
        Request::Create2(c) => MultiOp::Create2(c),
        Request::CreateContainer(c) => MultiOp::CreateContainer(c),
        Request::CreateTtl(c) => MultiOp::CreateTtl(c),
        Request::Delete(d) => MultiOp::Delete(d),
        Request::SetData(s) => MultiOp::SetData(s),
        Request::Check(c) => MultiOp::Check(c),
        Request::GetData(g) => MultiOp::GetData(g),
        Request::GetChildren(g) => MultiOp::GetChildren(g),
        other => panic!("{other:?} cannot be part of a multi"),
    };
    Request::Multi(ops.into_iter().map(op).collect())
}

/// Runs a check twice: with every record applied at once, and with none.
pub(super) fn both_ways(check: impl Fn(&mut World)) {
    for is_eager in [true, false] {
        let mut world = World::new(is_eager);
        check(&mut world);
        world.settle();
    }
}

/// The zxid-th txn of epoch 0.
pub(super) fn z(counter: i64) -> Zxid {
    Zxid(counter)
}
