//! What a transaction changed, told in the order in which watches fire (`client-protocol.md` 5.2).

use rookeeper_proto::{AclList, Zxid};

use crate::tree::ZnodeId;

/// What happened to a node. Creation and deletion also change the parent's list of children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// The node came into being.
    Created,
    /// The node is gone.
    Deleted,
    /// Its data was set.
    DataChanged,
}

/// One change, as [`crate::DataTree::apply`] tells it.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// What happened.
    pub kind: ChangeKind,
    /// The transaction; the parts of a multi share it.
    pub zxid: Zxid,
    /// The node; for a deletion the id it had, which the next creation may be given again.
    pub id: ZnodeId,
    /// Its path.
    pub path: &'a str,
    /// Its ACL; for a deletion the last one.
    pub acl: &'a AclList,
    /// The parent, when its list of children changed: id, path (`/` for the root), ACL.
    pub parent: Option<(ZnodeId, &'a str, &'a AclList)>,
}

/// Hears of every change while a transaction is applied.
pub trait ChangeSink {
    /// Called in emission order, after the change took effect.
    fn change(&mut self, change: Change<'_>);
}

/// For replay, when nobody watches.
impl ChangeSink for () {
    fn change(&mut self, _change: Change<'_>) {}
}

impl<F: FnMut(Change<'_>)> ChangeSink for F {
    fn change(&mut self, change: Change<'_>) {
        self(change);
    }
}
