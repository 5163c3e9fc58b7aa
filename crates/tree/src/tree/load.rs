//! Building a tree from a snapshot (`storage-format.md` 3.1, 3.4; traps S16, S17).
//!
//! Any order that has parents before children is accepted, as Java does. What Java accepts and dies of
//! later (an ACL id that is not in the map) is refused here, naming the node.

use std::collections::BTreeMap;
use std::fmt;

use rookeeper_proto::create_mode::OwnerKind;
use rookeeper_proto::{AclList, SessionId, StatPersisted, Zxid, path};

use super::node::Node;
use super::store::ROOT;
use super::{DataTree, TreeOptions};
use crate::acls::{AclId, OPEN_SLOT};

/// Why a snapshot is not a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadError {
    /// A node whose parent did not come before it.
    Orphan {
        /// The node.
        path: String,
    },
    /// A node naming an ACL that the map does not hold.
    UnknownAcl {
        /// The node.
        path: String,
        /// The id it names.
        acl: AclId,
    },
    /// A path that came twice.
    Duplicate {
        /// The node.
        path: String,
    },
    /// A path no node can have.
    BadPath {
        /// The path.
        path: String,
    },
    /// No root.
    NoRoot,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Orphan { path } => {
                write!(f, "node {path:?} comes before its parent or without it")
            }
            Self::UnknownAcl { path, acl } => {
                write!(f, "node {path:?} names ACL {}, which the ACL map does not hold", acl.0)
            }
            Self::Duplicate { path } => write!(f, "node {path:?} comes twice"),
            Self::BadPath { path } => write!(f, "{path:?} is not a node's path"),
            Self::NoRoot => write!(f, "the root is missing"),
        }
    }
}

impl std::error::Error for LoadError {}

/// Takes the parts of a snapshot in file order.
#[derive(Debug)]
pub struct TreeLoader {
    tree: DataTree,
    /// Slots by the file's ids; each holds one reference until the end.
    acls: BTreeMap<i64, u32>,
    has_root: bool,
    unrecognised_owners: usize,
}

impl TreeLoader {
    /// A loader of an empty tree.
    pub fn new(options: TreeOptions) -> Self {
        let root = Node::new("", Some(b""), OPEN_SLOT, &StatPersisted::default());
        Self {
            tree: DataTree::bare(options, root),
            acls: BTreeMap::new(),
            has_root: false,
            unrecognised_owners: 0,
        }
    }

    /// An entry of the session map.
    pub fn on_session(&mut self, session: SessionId, timeout_ms: i32) {
        self.tree.sessions.insert(session, timeout_ms);
    }

    /// An entry of the ACL map.
    pub fn on_acl(&mut self, id: AclId, list: AclList) {
        let slot = self.tree.acls.intern(&list);
        if let Some(old) = self.acls.insert(id.0, slot) {
            self.tree.acls.release(old);
        }
    }

    /// A node; parents come before their children, `""` or `/` is the root.
    pub fn on_node(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl: AclId,
        stat: StatPersisted,
    ) -> Result<(), LoadError> {
        let named = || path.to_owned();
        let slot = match self.acls.get(&acl.0) {
            Some(&slot) => slot,
            None if acl == AclId::OPEN => OPEN_SLOT,
            None => return Err(LoadError::UnknownAcl { path: named(), acl }),
        };
        if matches!(path, "" | "/") {
            if std::mem::replace(&mut self.has_root, true) {
                return Err(LoadError::Duplicate { path: named() });
            }
            self.tree.acls.retain(slot);
            self.tree.replace_root(data, slot, &stat);
            return Ok(());
        }
        let Some(parent) = path::parent(path).filter(|_| path.starts_with('/')) else {
            return Err(LoadError::BadPath { path: named() });
        };
        if !self.has_root {
            return Err(LoadError::Orphan { path: named() });
        }
        let Some(parent) = self.tree.store.find(parent) else {
            return Err(LoadError::Orphan { path: named() });
        };
        let key = self.tree.store.hashed(path);
        if self.tree.store.find_hashed(key).is_some() {
            return Err(LoadError::Duplicate { path: named() });
        }
        self.tree.acls.retain(slot);
        self.tree.insert_node(key, Node::new(path, data, slot, &stat), parent);
        self.unrecognised_owners += usize::from(self.is_unrecognised_ttl(stat.ephemeral_owner));
        Ok(())
    }

    /// Nodes that are TTL nodes by their owner but ephemerals under these options: with the wrong
    /// `zookeeper.extendedTypesEnabled` they would be deleted as a dead session's (trap S28).
    pub fn unrecognised_ttl_nodes(&self) -> usize {
        self.unrecognised_owners
    }

    fn is_unrecognised_ttl(&self, owner: i64) -> bool {
        !self.tree.options.extended_types
            && matches!(OwnerKind::of(owner, true, false), OwnerKind::Ttl(_))
    }

    /// The tree as of `zxid`, with the nodes every tree has, quotas recomputed.
    pub fn finish(mut self, zxid: Zxid) -> Result<DataTree, LoadError> {
        if !self.has_root {
            return Err(LoadError::NoRoot);
        }
        for slot in self.acls.into_values() {
            self.tree.acls.release(slot);
        }
        self.tree.add_special_nodes();
        self.tree.rebuild_quotas();
        self.tree.last_zxid = zxid;
        debug_assert!(self.tree.store.is_live(ROOT));
        Ok(self.tree)
    }
}
