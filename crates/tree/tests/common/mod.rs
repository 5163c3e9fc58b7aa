//! What the tests of this crate share: short ways to write transactions, and `naive`, the tree and the
//! watches once more, written for obviousness.

#![allow(dead_code, reason = "every test file uses another part")]
#![allow(clippy::unwrap_used, reason = "a helper of tests, though not a test itself")]

pub(crate) mod naive;
pub(crate) mod steps;

use rookeeper_proto::acl::{ALL, Acl, AclList, Id};
use rookeeper_proto::txn::{CreateTxn, Txn, TxnHeader};
use rookeeper_proto::{SessionId, Zxid};
use rookeeper_tree::{DataTree, TreeOptions};

pub(crate) const OPTIONS: TreeOptions = TreeOptions {
    extended_types: true,
    emulate_353_ttl: false,
    digest_enabled: true,
    hash_seed: 42,
};

pub(crate) fn fresh() -> DataTree {
    DataTree::new(OPTIONS)
}

pub(crate) fn header(zxid: i64, session: i64) -> TxnHeader {
    TxnHeader {
        session: SessionId(session),
        cxid: 0,
        zxid: Zxid(zxid),
        time_ms: 1000 + zxid,
        op: 0,
    }
}

/// Only connection `n` may read.
pub(crate) fn private(n: u64) -> AclList {
    let id = Id { scheme: "digest".to_owned(), id: format!("u{n}") };
    vec![Acl { perms: ALL, id }].into()
}

/// Whether connection `n` may read, as far as these tests go.
pub(crate) fn may_read(n: u64, list: &AclList) -> bool {
    list.entries()
        .iter()
        .any(|acl| acl.perms & 1 != 0 && (acl.id.scheme == "world" || acl.id.id == format!("u{n}")))
}

pub(crate) fn create_txn<'a>(path: &'a str, data: Option<&'a [u8]>) -> CreateTxn<'a> {
    CreateTxn { path: path.into(), data, acl: AclList::open(), parent_cversion: -1 }
}

pub(crate) fn create<'a>(path: &'a str, data: &'a [u8]) -> Txn<'a> {
    Txn::Create { create: create_txn(path, Some(data)), ephemeral: false, is_create2: true }
}

pub(crate) fn ephemeral(path: &str) -> Txn<'_> {
    Txn::Create { create: create_txn(path, None), ephemeral: true, is_create2: true }
}

pub(crate) fn delete(path: &str) -> Txn<'_> {
    Txn::Delete { path: path.into(), is_container: false }
}

pub(crate) fn set<'a>(path: &'a str, data: &'a [u8], version: i32) -> Txn<'a> {
    Txn::SetData { path: path.into(), data: Some(data), version, is_reconfig: false }
}

/// Applies as session 1, with nobody listening; returns the error code.
pub(crate) fn run(tree: &mut DataTree, zxid: i64, txn: &Txn<'_>) -> i32 {
    tree.apply(&header(zxid, 1), txn, &mut ()).result.err
}

/// The sum of all node digests, computed anew.
pub(crate) fn digest_from_scratch(tree: &DataTree) -> i64 {
    fn sum(node: rookeeper_tree::ZnodeRef<'_>) -> i64 {
        node.child_nodes().map(sum).fold(node.digest(), i64::wrapping_add)
    }
    sum(tree.get("/").unwrap())
}

/// The whole body of a snapshot taken at once.
pub(crate) fn snapshot_body(tree: &mut DataTree) -> Vec<u8> {
    let id = tree.begin_snapshot().unwrap();
    let mut body = Vec::new();
    while tree.snapshot_slice(id, 1000, &mut body).unwrap() == rookeeper_tree::Slice::More {}
    body
}

/// Loads a body.
pub(crate) fn load(body: &[u8], zxid: Zxid) -> DataTree {
    let parsed = naive::Body::parse(body);
    let mut loader = rookeeper_tree::TreeLoader::new(OPTIONS);
    for (session, timeout_ms) in parsed.sessions {
        loader.on_session(session, timeout_ms);
    }
    for (id, list) in parsed.acls {
        loader.on_acl(rookeeper_tree::AclId(id), list);
    }
    for (path, data, acl, stat) in parsed.nodes {
        loader.on_node(&path, data.as_deref(), rookeeper_tree::AclId(acl), stat).unwrap();
    }
    loader.finish(zxid).unwrap()
}
