//! Nodes as they will be once everything prepared is applied, where that differs from the tree.
//!
//! One slot per path changed by a txn that is not applied yet. Overlay first, tree otherwise, is
//! always the latest prepared state. A slot goes when the newest txn that changed it is in the tree.
//! Slots and their path buffers are reused: in steady state nothing is allocated.

use std::collections::{BTreeSet, VecDeque};

use hashbrown::HashTable;
use rookeeper_proto::create_mode::CONTAINER_OWNER;
use rookeeper_proto::{AclList, SessionId, StatPersisted, Zxid};

use super::view::TreeView;

/// A node as prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) stat: StatPersisted,
    pub(super) child_count: u32,
    pub(super) acl: AclList,
    pub(super) data_bytes: usize,
    /// Its share of the tree's digest; `None` until it is needed.
    pub(super) digest: Option<i64>,
}

/// Where a path was looked up: spares looking it up again when it changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<I> {
    /// The tree's, which the overlay uses as well: a path is hashed once.
    hash: u64,
    slot: Option<u32>,
    /// In the tree, if that is where the node was found.
    pub(super) committed: Option<I>,
}

#[derive(Debug)]
struct Slot {
    path: String,
    hash: u64,
    /// The newest txn that changed it.
    zxid: Zxid,
    /// `None`: deleted.
    node: Option<Node>,
}

/// How to undo one change.
#[derive(Debug)]
struct Undo {
    slot: u32,
    /// What the slot held; `None` if it is new.
    before: Option<(Zxid, Option<Node>)>,
}

/// The outstanding changes.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    index: HashTable<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// One entry per slot and txn, in zxid order.
    changes: VecDeque<(Zxid, u32)>,
    /// Slots holding an ephemeral, by owner.
    ephemerals: BTreeSet<(SessionId, u32)>,
    undo: Vec<Undo>,
    /// Length of `changes` when the present multi began, if one is being prepared.
    multi_start: Option<usize>,
}

/// A path buffer longer than this is given back when its slot becomes free.
const KEPT_PATH_BYTES: usize = 512;

impl Overlay {
    /// How many nodes have outstanding changes.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    fn slot_of(&self, hash: u64, path: &str) -> Option<u32> {
        self.index.find(hash, |&slot| self.slots[slot as usize].path == path).copied()
    }

    /// Whether the path has outstanding changes, and if so the node.
    pub(super) fn outstanding<T: TreeView>(&self, tree: &T, path: &str) -> Option<Option<&Node>> {
        let slot = self.slot_of(tree.hash(path), path)?;
        Some(self.slots[slot as usize].node.as_ref())
    }

    /// The latest prepared state of a path.
    pub(super) fn find<T: TreeView>(&self, tree: &T, path: &str) -> (Place<T::Id>, Option<Node>) {
        let hash = tree.hash(path);
        let slot = self.slot_of(hash, path);
        if let Some(at) = slot {
            let place = Place { hash, slot, committed: None };
            return (place, self.slots[at as usize].node.clone());
        }
        let committed = tree.find(path, hash);
        (Place { hash, slot, committed }, committed.map(|id| Node::of(tree, id)))
    }

    /// Makes `node` the state of `path` as of `zxid`. `place` must come from [`Self::find`] with no
    /// change of this path in between.
    pub(super) fn put<I>(&mut self, path: &str, place: Place<I>, zxid: Zxid, node: Option<Node>) {
        let at = place.slot.unwrap_or_else(|| self.insert(path, place.hash));
        let slot = &mut self.slots[at as usize];
        let is_new = place.slot.is_none();
        let (old_zxid, old_owner, new_owner) = (slot.zxid, owner(&slot.node), owner(&node));
        let old = std::mem::replace(&mut slot.node, node);
        slot.zxid = zxid;
        if self.multi_start.is_some() {
            let before = (!is_new).then_some((old_zxid, old));
            self.undo.push(Undo { slot: at, before });
        }
        if is_new || old_zxid != zxid {
            self.changes.push_back((zxid, at));
        }
        self.own(at, old_owner, new_owner);
    }

    fn own(&mut self, slot: u32, before: Option<SessionId>, after: Option<SessionId>) {
        if before != after {
            before.map(|session| self.ephemerals.remove(&(session, slot)));
            after.map(|session| self.ephemerals.insert((session, slot)));
        }
    }

    fn insert(&mut self, path: &str, hash: u64) -> u32 {
        let at = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { path: String::new(), hash: 0, zxid: Zxid::ZERO, node: None });
            u32::try_from(self.slots.len() - 1).expect("far fewer outstanding changes than 2^32")
        });
        let slot = &mut self.slots[at as usize];
        slot.hash = hash;
        slot.path.push_str(path);
        let slots = &self.slots;
        self.index.insert_unique(hash, at, |&slot| slots[slot as usize].hash);
        at
    }

    fn remove(&mut self, at: u32) {
        let slot = &mut self.slots[at as usize];
        let owned_by = owner(&slot.node);
        slot.node = None;
        slot.path.clear();
        slot.path.shrink_to(KEPT_PATH_BYTES);
        if let Ok(entry) = self.index.find_entry(slot.hash, |&slot| slot == at) {
            entry.remove();
        }
        self.own(at, owned_by, None);
        self.free.push(at);
    }

    /// Everything up to `zxid` is in the tree.
    pub(super) fn applied(&mut self, zxid: Zxid) {
        while let Some(&(changed, at)) = self.changes.front()
            && changed <= zxid
        {
            self.changes.pop_front();
            if self.slots[at as usize].zxid == changed {
                self.remove(at);
            }
        }
    }

    /// Changes from here on can be undone together.
    pub(super) fn begin_multi(&mut self) {
        self.undo.clear();
        self.multi_start = Some(self.changes.len());
    }

    /// Keeps the changes of the multi.
    pub(super) fn end_multi(&mut self) {
        self.undo.clear();
        self.multi_start = None;
    }

    /// Takes the changes of the multi back, as if it had never been.
    pub(super) fn roll_back(&mut self) {
        while let Some(Undo { slot: at, before }) = self.undo.pop() {
            match before {
                None => self.remove(at),
                Some((zxid, node)) => {
                    let (undone, restored) = (owner(&self.slots[at as usize].node), owner(&node));
                    let slot = &mut self.slots[at as usize];
                    (slot.zxid, slot.node) = (zxid, node);
                    self.own(at, undone, restored);
                }
            }
        }
        if let Some(start) = self.multi_start.take() {
            self.changes.truncate(start);
        }
    }

    /// Calls `each` with the outstanding ephemerals of a session.
    pub(super) fn ephemerals_of(&self, session: SessionId, mut each: impl FnMut(&str)) {
        for &(_, at) in self.ephemerals.range((session, 0)..=(session, u32::MAX)) {
            each(&self.slots[at as usize].path);
        }
    }
}

impl Node {
    fn of<T: TreeView>(tree: &T, id: T::Id) -> Self {
        let view = tree.view(id);
        Self {
            stat: view.stat,
            child_count: view.child_count,
            acl: view.acl.clone(),
            data_bytes: view.data_bytes,
            digest: None,
        }
    }

    /// Whether closing `session` deletes it. Container and TTL owners are no sessions.
    pub(super) fn is_ephemeral_of(&self, session: SessionId) -> bool {
        self.stat.ephemeral_owner == session.0 && session != SessionId::NONE
    }
}

/// The owner that may be a session. TTL owners pass: no session has such an id.
fn owner(node: &Option<Node>) -> Option<SessionId> {
    let owner = node.as_ref()?.stat.ephemeral_owner;
    (owner != 0 && owner != CONTAINER_OWNER).then_some(SessionId(owner))
}
