//! What preparation needs to see of the committed tree.
//!
//! A seam of its own so that the checks can be tested against a model as well as the real tree.

use std::fmt;

use rookeeper_proto::{AclList, SessionId, StatPersisted};
use rookeeper_tree::{DataTree, MalformedQuota, Quota, ZnodeId};

/// One committed node.
#[derive(Debug, Clone, Copy)]
pub struct NodeView<'t> {
    /// Its figures as stored.
    pub stat: StatPersisted,
    /// How many children it has.
    pub child_count: u32,
    /// Its list.
    pub acl: &'t AclList,
    /// How many bytes of data it has; 0 for null.
    pub data_bytes: usize,
}

/// A committed quota.
#[derive(Debug, Clone, Copy)]
pub struct QuotaView<'t> {
    /// The path it is set on.
    pub root: &'t str,
    /// Limits and usage.
    pub quota: Quota,
}

/// The committed tree.
pub trait TreeView {
    /// Names a node until the tree changes.
    type Id: Copy + fmt::Debug;

    /// Hashes a path; clients cannot choose paths that collide.
    fn hash(&self, path: &str) -> u64;

    /// The node at `path`, whose hash is `hash`; `"/"` is the root.
    fn find(&self, path: &str, hash: u64) -> Option<Self::Id>;

    /// What it holds.
    fn view(&self, id: Self::Id) -> NodeView<'_>;

    /// Its share of the tree's digest. Asked only of a node that changes.
    fn digest_of(&self, id: Self::Id) -> i64;

    /// Paths of the session's ephemerals.
    fn ephemerals(&self, session: SessionId) -> Vec<&str>;

    /// The deepest quota at or above `path` whose limits and stats nodes both exist.
    fn quota(&self, path: &str) -> Option<QuotaView<'_>>;
}

impl TreeView for DataTree {
    type Id = ZnodeId;

    #[inline]
    fn hash(&self, path: &str) -> u64 {
        self.hash_of(path)
    }

    #[inline]
    fn find(&self, path: &str, hash: u64) -> Option<ZnodeId> {
        self.find_hashed(path, hash)
    }

    #[inline]
    fn view(&self, id: ZnodeId) -> NodeView<'_> {
        let node = self.znode(id);
        NodeView {
            stat: node.persisted(),
            child_count: u32::try_from(node.child_count()).unwrap_or(u32::MAX),
            acl: node.acl(),
            data_bytes: node.data().map_or(0, <[u8]>::len),
        }
    }

    #[inline]
    fn digest_of(&self, id: ZnodeId) -> i64 {
        self.znode(id).digest()
    }

    fn ephemerals(&self, session: SessionId) -> Vec<&str> {
        self.ephemerals_of(session)
    }

    #[inline]
    fn quota(&self, path: &str) -> Option<QuotaView<'_>> {
        let root = self.quota_root(path)?;
        let quota = self.quota_of(root).or_else(|| {
            // Without a stats node nothing is enforced, but the limits are parsed first.
            let limits = self.quota_limits(root)?;
            limits.is_err().then_some(Quota { limits, usage: Err(MalformedQuota) })
        })?;
        Some(QuotaView { root, quota })
    }
}
