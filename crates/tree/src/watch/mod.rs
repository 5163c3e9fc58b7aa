//! The watches of the connections of this server (`client-protocol.md` section 5).
//!
//! [`WatchTable`] stands beside the tree: the owner of both calls [`WatchTable::fire`] for every
//! change the tree tells of, in order, and adds watches between transactions only. Two stores lie
//! behind it, by what they are good at:
//!
//! - `edges`: standard watches on nodes that exist, by node id: most watches, 24 bytes and two index
//!   entries each. They never outlive the node: its deletion fires (and consumes) all of them.
//! - `paths`: everything that must outlive a node or precede it (persistent, recursive, exists on a
//!   missing node), by path.
//!
//! A watch under `""` (an alias of `/` in reads) is kept by path and never fires: events say `/`.
//! Events go out in a fixed order: by age of the watches, or by connection slot where both stores
//! contribute.

mod edges;
mod fire;
mod paths;
mod report;
mod slots;

use std::hash::Hash;

use rookeeper_proto::client::reply::EventType;
use rookeeper_proto::client::request::SetWatches;

use crate::tree::DataTree;
use edges::Edges;
use paths::{Flags, Paths};
pub use report::WatchSummary;
use slots::Slots;

/// What is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WatchMode {
    /// exists, getData: once, data registry.
    Data,
    /// getChildren: once, child registry.
    Child,
    /// addWatch 0: stays, both registries.
    Persistent,
    /// addWatch 1: stays, data registry, covers all descendants.
    PersistentRecursive,
}

impl WatchMode {
    /// The mode of addWatch with this number.
    pub fn from_add_watch(n: i32) -> Option<Self> {
        match n {
            0 => Some(Self::Persistent),
            1 => Some(Self::PersistentRecursive),
            _ => None,
        }
    }
}

/// What checkWatches and removeWatches name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum WatcherType {
    /// Standard child watches.
    Children = 1,
    /// Standard data watches.
    Data = 2,
    /// Everything.
    Any = 3,
    /// Persistent watches.
    Persistent = 4,
    /// Persistent recursive watches.
    PersistentRecursive = 5,
}

impl WatcherType {
    /// The type with this number.
    pub fn from_i32(n: i32) -> Option<Self> {
        Some(match n {
            1 => Self::Children,
            2 => Self::Data,
            3 => Self::Any,
            4 => Self::Persistent,
            5 => Self::PersistentRecursive,
            _ => return None,
        })
    }

    fn flags(self) -> Flags {
        match self {
            Self::Children => Flags::CHILD,
            Self::Data => Flags::DATA,
            Self::Any => Flags::ALL,
            Self::Persistent => Flags::PERSISTENT,
            Self::PersistentRecursive => Flags::RECURSIVE,
        }
    }
}

/// Which of the two registries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Registry {
    /// exists, getData, recursive.
    Data,
    /// getChildren.
    Child,
}

/// All watches, by connection key `C`.
#[derive(Debug)]
pub struct WatchTable<C> {
    slots: Slots<C>,
    edges: Edges,
    paths: Paths,
    /// Reused by `fire`.
    matched: Vec<u32>,
    notified: Vec<u32>,
}

/// Where the watches of a path are kept: its node, if it has one and `path` is how events name it.
fn node_of(tree: &DataTree, path: &str) -> Option<u32> {
    if path.is_empty() { None } else { tree.store.find(path) }
}

impl<C: Copy + Eq + Ord + Hash> WatchTable<C> {
    /// No watches.
    pub fn new(hash_seed: u64) -> Self {
        Self {
            slots: Slots::new(hash_seed),
            edges: Edges::new(hash_seed),
            paths: Paths::new(hash_seed),
            matched: Vec::new(),
            notified: Vec::new(),
        }
    }

    /// What `slot` has at `path`, in both stores.
    fn flags_at(&self, slot: u32, node: Option<u32>, path: &str) -> Flags {
        let mut flags = self.paths.flags(path, slot);
        if let Some(node) = node {
            for (registry, flag) in [(Registry::Data, Flags::DATA), (Registry::Child, Flags::CHILD)]
            {
                if self.edges.contains(node, registry, slot) {
                    flags = flags | flag;
                }
            }
        }
        flags
    }

    /// Registers. `path` as the client sent it; `""` is accepted and never fires.
    pub fn add(&mut self, tree: &DataTree, conn: C, path: &str, mode: WatchMode) {
        let flag = match mode {
            WatchMode::Data => Flags::DATA,
            WatchMode::Child => Flags::CHILD,
            WatchMode::Persistent => Flags::PERSISTENT,
            WatchMode::PersistentRecursive => Flags::RECURSIVE,
        };
        let slot = self.slots.slot_or_new(conn);
        let node = node_of(tree, path);
        let before = self.flags_at(slot, node, path);
        if before.has_any(flag) {
            return;
        }
        match (mode, node) {
            (WatchMode::Data, Some(node)) => {
                self.edges.insert(&mut self.slots, node, Registry::Data, slot);
            }
            (WatchMode::Child, Some(node)) => {
                self.edges.insert(&mut self.slots, node, Registry::Child, slot);
            }
            _ => self.paths.insert(&mut self.slots, path, slot, flag),
        }
        self.slots.recount(slot, before, before | flag);
    }

    /// checkWatches: whether something of that type is registered. Persistent and recursive watches
    /// count for [`WatcherType::Any`] and their own types only.
    pub fn check(&self, tree: &DataTree, conn: C, path: &str, kind: WatcherType) -> bool {
        let Some(slot) = self.slots.slot(conn) else { return false };
        self.flags_at(slot, node_of(tree, path), path).has_any(kind.flags())
    }

    /// removeWatches: removes it and says whether there was something.
    pub fn remove(&mut self, tree: &DataTree, conn: C, path: &str, kind: WatcherType) -> bool {
        let Some(slot) = self.slots.slot(conn) else { return false };
        let node = node_of(tree, path);
        let before = self.flags_at(slot, node, path);
        let gone = before & kind.flags();
        if gone.is_empty() {
            return false;
        }
        if let Some(node) = node {
            if gone.has_any(Flags::DATA) {
                self.edges.remove(&mut self.slots, node, Registry::Data, slot);
            }
            if gone.has_any(Flags::CHILD) {
                self.edges.remove(&mut self.slots, node, Registry::Child, slot);
            }
        }
        self.paths.remove(&mut self.slots, path, slot, gone);
        self.slots.recount(slot, before, before.without(gone));
        true
    }

    /// Forgets a connection, in time proportional to its own watches.
    pub fn remove_connection(&mut self, conn: C) {
        let Some(slot) = self.slots.slot(conn) else { return };
        self.edges.remove_slot(&mut self.slots, slot);
        self.paths.remove_slot(&mut self.slots, slot);
        self.slots.release(slot);
    }

    /// setWatches and setWatches2: arms, or tells at once what was missed through `emit`, which is
    /// neither filtered by ACL nor merged between the lists. Null lists are for the caller to refuse.
    pub fn set_watches(
        &mut self,
        tree: &DataTree,
        conn: C,
        request: &SetWatches<'_>,
        mut emit: impl FnMut(EventType, &str),
    ) {
        let seen = request.relative_zxid;
        let mut arm = |path: &str, mode| self.add(tree, conn, path, mode);
        let stat = |path: &str| tree.get(path).map(|node| node.persisted());
        for path in request.data.iter().flatten().flatten() {
            match stat(path) {
                None => emit(EventType::NodeDeleted, path),
                Some(stat) if stat.mzxid > seen => emit(EventType::NodeDataChanged, path),
                Some(_) => arm(path, WatchMode::Data),
            }
        }
        for path in request.exist.iter().flatten().flatten() {
            match stat(path) {
                Some(_) => emit(EventType::NodeCreated, path),
                None => arm(path, WatchMode::Data),
            }
        }
        for path in request.child.iter().flatten().flatten() {
            match stat(path) {
                None => emit(EventType::NodeDeleted, path),
                Some(stat) if stat.pzxid > seen => emit(EventType::NodeChildrenChanged, path),
                Some(_) => arm(path, WatchMode::Child),
            }
        }
        for path in request.persistent.iter().flatten().flatten() {
            arm(path, WatchMode::Persistent);
        }
        for path in request.persistent_recursive.iter().flatten().flatten() {
            arm(path, WatchMode::PersistentRecursive);
        }
    }
}
