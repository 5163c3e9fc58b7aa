//! Reading one node.

use rookeeper_proto::create_mode::OwnerKind;
use rookeeper_proto::{AclList, Stat, StatPersisted, path};

use super::node::Node;
use super::slab::NONE;
use super::{DataTree, ZnodeId};
use crate::acls::{AclId, AclMap};

/// A node being read.
#[derive(Debug, Clone, Copy)]
pub struct ZnodeRef<'t> {
    tree: &'t DataTree,
    node: &'t Node,
    id: ZnodeId,
}

impl<'t> ZnodeRef<'t> {
    pub(super) fn new(tree: &'t DataTree, id: ZnodeId) -> Self {
        Self { tree, node: tree.store.node(id.0), id }
    }

    /// Its id.
    pub fn id(&self) -> ZnodeId {
        self.id
    }

    /// Full path; `/` for the root.
    pub fn path(&self) -> &'t str {
        match self.node.path() {
            "" => "/",
            path => path,
        }
    }

    /// Last component; empty for the root.
    pub fn name(&self) -> &'t str {
        path::name(self.node.path())
    }

    /// Data; null is distinct from empty.
    pub fn data(&self) -> Option<&'t [u8]> {
        self.node.data()
    }

    /// The stat clients see: `cversion` counts creates and deletes, the owner is a session or 0.
    pub fn stat(&self) -> Stat {
        let node = self.node;
        let is_ephemeral = self.owner_kind() == OwnerKind::Ephemeral;
        Stat {
            czxid: node.czxid,
            mzxid: node.mzxid,
            ctime_ms: node.ctime_ms,
            mtime_ms: node.mtime_ms,
            version: node.version,
            cversion: node.cversion.wrapping_mul(2).wrapping_sub(node.child_count as i32),
            aversion: node.aversion,
            ephemeral_owner: if is_ephemeral { node.owner } else { 0 },
            data_length: i32::try_from(node.data_len()).unwrap_or(i32::MAX),
            num_children: node.child_count as i32,
            pzxid: node.pzxid,
        }
    }

    /// The stat snapshots and digests hold.
    pub fn persisted(&self) -> StatPersisted {
        self.node.persisted()
    }

    /// Its ACL.
    pub fn acl(&self) -> &'t AclList {
        self.tree.acls.list(self.node.acl)
    }

    /// The id of its ACL.
    pub fn acl_id(&self) -> AclId {
        AclMap::id(self.node.acl)
    }

    /// Number of children.
    pub fn child_count(&self) -> usize {
        self.node.child_count as usize
    }

    /// Names of its children, in the same order as long as nothing changes.
    pub fn children(&self) -> impl Iterator<Item = &'t str> + use<'t> {
        // The name is what follows the parent's path, so no search for the last slash.
        let skip = self.node.path_bytes().len() + 1;
        self.child_nodes().map(move |child| child.node.path().get(skip..).unwrap_or_default())
    }

    /// Its children, in the same order.
    pub fn child_nodes(&self) -> impl Iterator<Item = ZnodeRef<'t>> + use<'t> {
        let tree = self.tree;
        let some = |id| (id != NONE).then_some(id);
        std::iter::successors(some(self.node.first_child), move |&id| {
            some(tree.store.node(id).next)
        })
        .map(move |id| ZnodeRef::new(tree, ZnodeId(id)))
    }

    /// Parent; `None` for the root.
    pub fn parent(&self) -> Option<ZnodeRef<'t>> {
        let parent = self.node.parent;
        (parent != NONE).then(|| ZnodeRef::new(self.tree, ZnodeId(parent)))
    }

    /// What its owner says.
    pub fn owner_kind(&self) -> OwnerKind {
        self.tree.owner_kind(self.node.owner)
    }

    /// Its digest; 0 if digests are off.
    pub fn digest(&self) -> i64 {
        self.node.digest()
    }
}
