//! The tree itself: storage and reading.

pub(crate) mod load;

use std::collections::BTreeMap;

use rookeeper_proto::create_mode::OwnerKind;
use rookeeper_proto::{AclList, SessionId, Stat, StatPersisted, Zxid};

use crate::acls::{AclId, AclMap};
use crate::quota::Quota;

/// A node of the tree, valid until the next change of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZnodeId(pub(crate) u32);

/// What a tree is built with. All servers of an ensemble must agree on the first two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeOptions {
    /// `zookeeper.extendedTypesEnabled`: TTL owners are recognised.
    pub extended_types: bool,
    /// `zookeeper.emulate353TTLNodes`.
    pub emulate_353_ttl: bool,
    /// `zookeeper.digest.enabled`; without it every digest is 0.
    pub digest_enabled: bool,
    /// Seed of the index; random in production, so that paths cannot be chosen to collide.
    pub hash_seed: u64,
}

/// The znode tree.
#[derive(Debug)]
pub struct DataTree {}

impl DataTree {
    /// A fresh tree: `/`, `/zookeeper`, `/zookeeper/quota`, `/zookeeper/config`.
    pub fn new(options: TreeOptions) -> Self {
        let _ = options;
        unimplemented!()
    }
    /// What it was built with.
    pub fn options(&self) -> TreeOptions {
        unimplemented!()
    }
    /// The node at `path`; `""` is an alias of `/`.
    pub fn find(&self, path: &str) -> Option<ZnodeId> {
        let _ = path;
        unimplemented!()
    }
    /// The node with this id.
    pub fn znode(&self, id: ZnodeId) -> ZnodeRef<'_> {
        ZnodeRef { _tree: self, _id: id }
    }
    /// [`Self::find`], then [`Self::znode`].
    pub fn get(&self, path: &str) -> Option<ZnodeRef<'_>> {
        self.find(path).map(|id| self.znode(id))
    }
    /// The tree's digest.
    pub fn digest(&self) -> i64 {
        unimplemented!()
    }
    /// Digests kept for the admin command `hash`: every 128th zxid, the last 1024, oldest first.
    pub fn digest_history(&self) -> impl Iterator<Item = (Zxid, i64)> {
        std::iter::empty()
    }
    /// The newest transaction applied.
    pub fn last_zxid(&self) -> Zxid {
        unimplemented!()
    }
    /// Declares transactions up to `zxid` applied (a new epoch begins at a zxid without a txn).
    pub fn set_last_zxid(&mut self, zxid: Zxid) {
        let _ = zxid;
        unimplemented!()
    }
    /// Sessions with their time-outs in milliseconds.
    pub fn sessions(&self) -> &BTreeMap<SessionId, i32> {
        unimplemented!()
    }
    /// Paths of the session's ephemerals, sorted.
    pub fn ephemerals_of(&self, session: SessionId) -> Vec<&str> {
        let _ = session;
        unimplemented!()
    }
    /// Sessions that own ephemerals, ascending, whether or not the session is known.
    pub fn ephemeral_owners(&self) -> impl Iterator<Item = SessionId> {
        std::iter::empty()
    }
    /// Nodes, the root once. Java's `znode_count` counts the root's alias too: one more.
    pub fn node_count(&self) -> usize {
        unimplemented!()
    }
    /// Sum of path and data lengths of all nodes.
    pub fn approximate_data_size(&self) -> i64 {
        unimplemented!()
    }
    /// Ephemeral nodes.
    pub fn ephemerals_count(&self) -> usize {
        unimplemented!()
    }
    /// All descendants of a node, without itself (getAllChildrenNumber).
    pub fn descendant_count(&self, id: ZnodeId) -> usize {
        let _ = id;
        unimplemented!()
    }
    /// The deepest quota at or above `path`.
    pub fn quota_root(&self, path: &str) -> Option<&str> {
        let _ = path;
        unimplemented!()
    }
    /// Limits and usage of the quota on `root`; `None` if either node is missing.
    pub fn quota_of(&self, root: &str) -> Option<Quota> {
        let _ = root;
        unimplemented!()
    }
    /// Containers and TTL nodes to delete now (`client-protocol.md` 6.6), at most `limit`.
    pub fn expiry_candidates(
        &self,
        now_ms: i64,
        max_never_used_ms: i64,
        limit: usize,
    ) -> Vec<&str> {
        let _ = (now_ms, max_never_used_ms, limit);
        unimplemented!()
    }
    /// The interned ACLs.
    pub fn acls(&self) -> &AclMap {
        unimplemented!()
    }
    /// Replaces the data of `/zookeeper/config` without a transaction: the text of the ensemble's
    /// configuration is each server's own and outside the digest (`client-protocol.md` 6.5).
    pub fn set_config(&mut self, data: &[u8], version: i32, mzxid: Zxid, mtime_ms: i64) {
        let _ = (data, version, mzxid, mtime_ms);
        unimplemented!()
    }
}

/// A node being read.
#[derive(Debug, Clone, Copy)]
pub struct ZnodeRef<'t> {
    _tree: &'t DataTree,
    _id: ZnodeId,
}

impl<'t> ZnodeRef<'t> {
    /// Its id.
    pub fn id(&self) -> ZnodeId {
        unimplemented!()
    }
    /// Full path; `/` for the root.
    pub fn path(&self) -> &'t str {
        unimplemented!()
    }
    /// Last component; empty for the root.
    pub fn name(&self) -> &'t str {
        unimplemented!()
    }
    /// Data; null is distinct from empty.
    pub fn data(&self) -> Option<&'t [u8]> {
        unimplemented!()
    }
    /// The stat clients see.
    pub fn stat(&self) -> Stat {
        unimplemented!()
    }
    /// The stat snapshots and digests hold.
    pub fn persisted(&self) -> StatPersisted {
        unimplemented!()
    }
    /// Its ACL.
    pub fn acl(&self) -> &'t AclList {
        unimplemented!()
    }
    /// The id of its ACL.
    pub fn acl_id(&self) -> AclId {
        unimplemented!()
    }
    /// Number of children.
    pub fn child_count(&self) -> usize {
        unimplemented!()
    }
    /// Names of its children, in the same order as long as nothing changes.
    pub fn children(&self) -> impl Iterator<Item = &'t str> + use<'t> {
        std::iter::empty()
    }
    /// Parent; `None` for the root.
    pub fn parent(&self) -> Option<ZnodeRef<'t>> {
        unimplemented!()
    }
    /// What its owner says.
    pub fn owner_kind(&self) -> OwnerKind {
        unimplemented!()
    }
    /// Its digest, computed.
    pub fn digest(&self) -> i64 {
        unimplemented!()
    }
}
