//! Building a tree from a snapshot.

use rookeeper_proto::{AclList, SessionId, StatPersisted, Zxid};

use super::{DataTree, TreeOptions};
use crate::acls::AclId;

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

/// Takes the parts of a snapshot in file order.
#[derive(Debug)]
pub struct TreeLoader {}

impl TreeLoader {
    /// A loader of an empty tree.
    pub fn new(options: TreeOptions) -> Self {
        let _ = options;
        unimplemented!()
    }
    /// An entry of the session map.
    pub fn on_session(&mut self, session: SessionId, timeout_ms: i32) {
        let _ = (session, timeout_ms);
        unimplemented!()
    }
    /// An entry of the ACL map.
    pub fn on_acl(&mut self, id: AclId, list: AclList) {
        let _ = (id, list);
        unimplemented!()
    }
    /// A node; parents come before their children, `""` or `/` is the root.
    pub fn on_node(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl: AclId,
        stat: StatPersisted,
    ) -> Result<(), LoadError> {
        let _ = (path, data, acl, stat);
        unimplemented!()
    }
    /// The tree as of `zxid`, with the nodes every tree has, quotas recomputed.
    pub fn finish(self, zxid: Zxid) -> Result<DataTree, LoadError> {
        let _ = zxid;
        unimplemented!()
    }
}
