//! What preparation needs to see of the committed tree.
//!
//! A seam of its own so that the checks can be tested against a model as well as the real tree.

use rookeeper_proto::{AclList, SessionId, StatPersisted};

/// One committed node.
#[derive(Debug, Clone, Copy)]
pub struct NodeView<'t> {
    /// Its figures as stored.
    pub stat: StatPersisted,
    /// How many children it has.
    pub child_count: u32,
    /// Its list; `None` permits everything.
    pub acl: Option<&'t AclList>,
    /// Its data, may be null.
    pub data: Option<&'t [u8]>,
    /// Its share of the tree's digest, 0 below `/zookeeper`.
    pub digest: i64,
}

/// The committed tree.
pub trait TreeView {
    /// The node at `path`; `""` and `"/"` are the root.
    fn node(&self, path: &str) -> Option<NodeView<'_>>;

    /// Calls `each` with the path of every ephemeral of `session`, in any order.
    fn ephemerals(&self, session: SessionId, each: &mut dyn FnMut(&str));

    /// The deepest path with a quota at or above `path`, never the root.
    fn quota_root<'p>(&self, path: &'p str) -> Option<&'p str>;
}
