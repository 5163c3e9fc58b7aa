//! The only places that change nodes. Each keeps right what hangs on them: digest, size, owners, ACL
//! counts, and the snapshots under way, which get a node's state before its first change.

use rookeeper_proto::create_mode::OwnerKind;
use rookeeper_proto::{AclList, SessionId, StatPersisted, Zxid};

use super::node::Node;
use super::store::Hashed;
use super::{CONFIG, DataTree};
use crate::digest::{is_covered, with_stat_changed};

impl DataTree {
    /// Books a node that is in the store.
    pub(super) fn entered(&mut self, id: u32) {
        if self.options.digest_enabled {
            let node = self.store.node_mut(id);
            node.set_digest(node.computed_digest());
        }
        self.book(id, 1);
        let owner = self.store.node(id).owner;
        match self.owner_kind(owner) {
            OwnerKind::Persistent => {}
            OwnerKind::Container => {
                self.containers.insert(id);
            }
            OwnerKind::Ttl(_) => {
                self.ttls.insert(id);
            }
            OwnerKind::Ephemeral => {
                self.ephemerals.entry(SessionId(owner)).or_default().insert(id);
                self.ephemerals_count += 1;
            }
        }
    }

    /// Takes a node out of the books, while it is still in the store.
    fn leaving(&mut self, id: u32) {
        self.book(id, -1);
        let owner = self.store.node(id).owner;
        match self.owner_kind(owner) {
            OwnerKind::Persistent => {}
            OwnerKind::Container => {
                self.containers.remove(&id);
            }
            OwnerKind::Ttl(_) => {
                self.ttls.remove(&id);
            }
            OwnerKind::Ephemeral => {
                let session = SessionId(owner);
                if let Some(ids) = self.ephemerals.get_mut(&session) {
                    ids.remove(&id);
                    self.ephemerals_count -= 1;
                    if ids.is_empty() {
                        self.ephemerals.remove(&session);
                    }
                }
            }
        }
    }

    /// Digest and size.
    fn book(&mut self, id: u32, sign: i64) {
        let node = self.store.node(id);
        self.data_size += sign * node.size();
        self.digest = self.digest.wrapping_add(sign * node.digest());
    }

    /// Adds a node below `parent`; the path is not present.
    pub(crate) fn insert_node(&mut self, key: Hashed<'_>, node: Node, parent: u32) -> u32 {
        let id = self.store.insert(key, node, parent);
        self.snapshots.created(id);
        self.entered(id);
        id
    }

    /// Removes a node without children that is not the root. Returns it with its last ACL.
    pub(crate) fn remove_leaf(&mut self, id: u32) -> (Node, AclList) {
        self.snapshots.before_change(&self.store, id);
        self.leaving(id);
        let node = self.store.remove(id);
        let acl = self.acls.list(node.acl).clone();
        self.acls.release(node.acl);
        (node, acl)
    }

    /// Changes a node's stat.
    pub(crate) fn change_stat(&mut self, id: u32, change: impl FnOnce(&mut Node)) {
        self.snapshots.before_change(&self.store, id);
        let node = self.store.node_mut(id);
        if !self.options.digest_enabled {
            return change(node);
        }
        let before = node.persisted();
        change(node);
        if is_covered(node.path_bytes()) {
            let old = node.digest();
            let new = with_stat_changed(old, &before, &node.persisted());
            debug_assert_eq!(new, node.computed_digest());
            node.set_digest(new);
            self.digest = self.digest.wrapping_add(new - old);
        }
    }

    /// Changes a node's data and stat.
    pub(crate) fn change_data(
        &mut self,
        id: u32,
        data: Option<&[u8]>,
        change: impl FnOnce(&mut Node),
    ) {
        self.snapshots.before_change(&self.store, id);
        let node = self.store.node_mut(id);
        let (old_digest, old_size) = (node.digest(), node.size());
        node.set_data(data);
        change(node);
        if self.options.digest_enabled {
            node.set_digest(node.computed_digest());
        }
        self.digest = self.digest.wrapping_add(node.digest() - old_digest);
        self.data_size += node.size() - old_size;
    }

    /// Changes a node's ACL.
    pub(crate) fn change_acl(&mut self, id: u32, acl: &AclList) {
        self.snapshots.before_change(&self.store, id);
        let new = self.acls.intern(acl);
        let old = std::mem::replace(&mut self.store.node_mut(id).acl, new);
        self.acls.release(old);
    }

    /// Overwrites the data of a node outside the digest, nothing else.
    pub(crate) fn overwrite_data(&mut self, id: u32, data: &[u8]) {
        self.change_data(id, Some(data), |_| {});
    }

    /// Replaces `/zookeeper/config` without a transaction: the text of the ensemble's configuration
    /// is each server's own and outside the digest (`client-protocol.md` 6.5).
    pub fn set_config(&mut self, data: &[u8], version: i32, mzxid: Zxid, mtime_ms: i64) {
        if let Some(id) = self.store.find(CONFIG) {
            self.change_data(id, Some(data), |node| {
                node.version = version;
                node.mzxid = mzxid;
                node.mtime_ms = mtime_ms;
            });
        }
    }

    /// Replaces everything about the root while loading.
    pub(super) fn replace_root(&mut self, data: Option<&[u8]>, acl: u32, stat: &StatPersisted) {
        self.change_data(super::store::ROOT, data, |node| {
            node.set_persisted(stat);
            node.acl = acl;
        });
    }
}
