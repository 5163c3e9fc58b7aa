//! The tree's state, and reading it.
//!
//! Storage is in `store` (nodes, links, index), the state that hangs on nodes (owners, sizes, digest)
//! is kept right by `edit`; what transactions do is in `crate::apply`.

pub(crate) mod edit;
pub(crate) mod load;
pub(crate) mod node;
pub(crate) mod shards;
pub(crate) mod slab;
pub(crate) mod store;
mod znode;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rookeeper_proto::create_mode::OwnerKind;
use rookeeper_proto::{AclList, SessionId, StatPersisted, Zxid, acl};

use crate::acls::{AclMap, OPEN_SLOT};
use crate::snapshot::Snapshots;
use node::Node;
use store::{Hashed, ROOT, Store};
pub use znode::ZnodeRef;

/// The path of the ensemble's configuration.
pub(crate) const CONFIG: &str = "/zookeeper/config";

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
pub struct DataTree {
    options: TreeOptions,
    pub(crate) store: Store,
    pub(crate) acls: AclMap,
    pub(crate) sessions: BTreeMap<SessionId, i32>,
    /// By owner; no empty sets.
    ephemerals: BTreeMap<SessionId, BTreeSet<u32>>,
    ephemerals_count: usize,
    containers: BTreeSet<u32>,
    ttls: BTreeSet<u32>,
    /// Paths that have a limits node.
    pub(crate) quota_roots: BTreeSet<String>,
    /// Sum of path and data lengths.
    data_size: i64,
    pub(crate) digest: i64,
    pub(crate) digest_mismatches: u64,
    pub(crate) digest_history: VecDeque<(Zxid, i64)>,
    pub(crate) last_zxid: Zxid,
    pub(crate) snapshots: Snapshots,
}

impl DataTree {
    /// A fresh tree: `/`, `/zookeeper`, `/zookeeper/quota`, `/zookeeper/config`.
    pub fn new(options: TreeOptions) -> Self {
        let root = Node::new("", Some(b""), OPEN_SLOT, &StatPersisted::default());
        let mut tree = Self::bare(options, root);
        tree.add_special_nodes();
        tree
    }

    /// A tree that has only a root.
    fn bare(options: TreeOptions, root: Node) -> Self {
        let mut tree = Self {
            options,
            store: Store::new(root, options.hash_seed),
            acls: AclMap::new(options.hash_seed),
            sessions: BTreeMap::new(),
            ephemerals: BTreeMap::new(),
            ephemerals_count: 0,
            containers: BTreeSet::new(),
            ttls: BTreeSet::new(),
            quota_roots: BTreeSet::new(),
            data_size: 0,
            digest: 0,
            digest_mismatches: 0,
            digest_history: VecDeque::new(),
            last_zxid: Zxid::ZERO,
            snapshots: Snapshots::default(),
        };
        tree.entered(ROOT);
        tree
    }

    /// Adds what every tree has and this one lacks (`client-protocol.md` 6.5). Data directories older
    /// than 3.5 lack the configuration.
    fn add_special_nodes(&mut self) {
        let fresh = StatPersisted::default();
        let config = StatPersisted { aversion: -1, ..fresh };
        let (open, read) = (AclList::open(), AclList::world(acl::READ));
        for (path, acl, stat) in [
            ("/zookeeper", &open, fresh),
            // Before the quota node, as in Java's first snapshot.
            (CONFIG, &read, config),
            ("/zookeeper/quota", &open, fresh),
        ] {
            let key = self.store.hashed(path);
            let parent = rookeeper_proto::path::parent(path).and_then(|p| self.store.find(p));
            if let (Some(parent), None) = (parent, self.store.find_hashed(key)) {
                let acl = self.acls.intern(acl);
                self.insert_node(key, Node::new(path, Some(b""), acl, &stat), parent);
            }
        }
    }

    /// What it was built with.
    pub fn options(&self) -> TreeOptions {
        self.options
    }

    /// The node at `path`; `""` is an alias of `/`.
    pub fn find(&self, path: &str) -> Option<ZnodeId> {
        self.store.find(path).map(ZnodeId)
    }

    /// The hash of a path in the tree's index, seeded.
    pub fn hash_of(&self, path: &str) -> u64 {
        self.store.hashed(path).hash
    }

    /// [`Self::find`] for whoever has the hash already.
    pub fn find_hashed(&self, path: &str, hash: u64) -> Option<ZnodeId> {
        self.store.find_with(Hashed { path, hash }).map(ZnodeId)
    }

    /// The node with this id.
    pub fn znode(&self, id: ZnodeId) -> ZnodeRef<'_> {
        ZnodeRef::new(self, id)
    }

    /// [`Self::find`], then [`Self::znode`].
    pub fn get(&self, path: &str) -> Option<ZnodeRef<'_>> {
        self.find(path).map(|id| self.znode(id))
    }

    /// The tree's digest.
    pub fn digest(&self) -> i64 {
        self.digest
    }

    /// Digests kept for the admin command `hash`: every 128th zxid, the last 1024, oldest first.
    pub fn digest_history(&self) -> impl Iterator<Item = (Zxid, i64)> {
        self.digest_history.iter().copied()
    }

    /// The newest transaction applied.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// Declares transactions up to `zxid` applied (a new epoch begins at a zxid without a txn).
    pub fn set_last_zxid(&mut self, zxid: Zxid) {
        self.last_zxid = zxid;
    }

    /// Sessions with their time-outs in milliseconds.
    pub fn sessions(&self) -> &BTreeMap<SessionId, i32> {
        &self.sessions
    }

    /// Paths of the session's ephemerals, sorted.
    pub fn ephemerals_of(&self, session: SessionId) -> Vec<&str> {
        let ids = self.ephemerals.get(&session);
        let mut paths: Vec<_> =
            ids.into_iter().flatten().map(|&id| self.store.node(id).path()).collect();
        paths.sort_unstable();
        paths
    }

    /// getEphemerals: those that begin with `prefix` as a string; none, blank and `/` mean all.
    pub fn ephemerals_with_prefix(&self, session: SessionId, prefix: Option<&str>) -> Vec<&str> {
        let prefix = prefix.filter(|p| !p.trim().is_empty()).unwrap_or("/");
        let mut paths = self.ephemerals_of(session);
        paths.retain(|path| path.starts_with(prefix));
        paths
    }

    /// Sessions that own ephemerals, ascending, whether or not the session is known.
    pub fn ephemeral_owners(&self) -> impl Iterator<Item = SessionId> {
        self.ephemerals.keys().copied()
    }

    /// Nodes, the root once. Java's `znode_count` counts the root's alias too: one more.
    pub fn node_count(&self) -> usize {
        self.store.len()
    }

    /// Sum of path and data lengths of all nodes, in bytes (Java counts UTF-16 units of the path).
    pub fn approximate_data_size(&self) -> i64 {
        self.data_size
    }

    /// Ephemeral nodes.
    pub fn ephemerals_count(&self) -> usize {
        self.ephemerals_count
    }

    /// All descendants of a node, without itself (getAllChildrenNumber). Walks them, except for `/`.
    pub fn descendant_count(&self, id: ZnodeId) -> usize {
        match (id.0, self.store.node(id.0).child_count) {
            (ROOT, _) => self.store.len() - 1,
            (_, 0) => 0,
            (top, _) => self.store.walk(top).count() - 1,
        }
    }

    /// Containers and TTL nodes to delete now (`client-protocol.md` 6.6), at most `limit`.
    pub fn expiry_candidates(
        &self,
        now_ms: i64,
        max_never_used_ms: i64,
        limit: usize,
    ) -> Vec<&str> {
        let ids = self.containers.iter().chain(&self.ttls);
        let due = ids.map(|&id| self.store.node(id)).filter(|node| {
            node.child_count == 0
                && match self.owner_kind(node.owner) {
                    OwnerKind::Container if node.cversion > 0 => true,
                    OwnerKind::Container => {
                        node.cversion == 0
                            && max_never_used_ms != 0
                            && now_ms.saturating_sub(node.mtime_ms) > max_never_used_ms
                    }
                    OwnerKind::Ttl(ttl_ms) => now_ms.saturating_sub(node.mtime_ms) > ttl_ms,
                    OwnerKind::Persistent | OwnerKind::Ephemeral => false,
                }
        });
        due.take(limit).map(Node::path).collect()
    }

    /// The interned ACLs.
    pub fn acls(&self) -> &AclMap {
        &self.acls
    }

    /// What an owner means under this tree's options.
    pub(crate) fn owner_kind(&self, owner: i64) -> OwnerKind {
        OwnerKind::of(owner, self.options.extended_types, self.options.emulate_353_ttl)
    }
}
