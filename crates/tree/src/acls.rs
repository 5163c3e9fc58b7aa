//! Interned ACLs: every distinct list once, under the id snapshots use (`storage-format.md` 3.1, S16).

use rookeeper_proto::{Acl, AclList, Id};

/// The id of an interned list; -1 is `world:anyone` with all permissions and is never in the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AclId(pub i64);

impl AclId {
    /// `world:anyone` with all permissions.
    pub const OPEN: Self = Self(-1);
}

/// Every distinct ACL of the tree.
#[derive(Debug)]
pub struct AclMap {}

impl AclMap {
    /// The list behind an id.
    pub fn get(&self, id: AclId) -> Option<&AclList> {
        let _ = id;
        unimplemented!()
    }

    /// Every list with its id, ascending, without the open one.
    pub fn iter(&self) -> impl Iterator<Item = (AclId, &AclList)> {
        std::iter::empty()
    }
}

/// `client-protocol.md` 7.1 without `skipACL`: whether `ids` may do any of `perms` under `list`. `matches` is asked for an entry
/// and an id of the same scheme; schemes live elsewhere.
pub fn permits(
    list: &AclList,
    perms: i32,
    ids: &[Id],
    matches: impl FnMut(&Acl, &Id) -> bool,
) -> bool {
    let _ = (list, perms, ids, matches);
    unimplemented!()
}
