//! The watches of the connections of this server (`client-protocol.md` section 5).

use std::hash::Hash;
use std::marker::PhantomData;

use rookeeper_proto::AclList;
use rookeeper_proto::client::reply::EventType;
use rookeeper_proto::client::request::SetWatches;

use crate::change::Change;
use crate::tree::DataTree;

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
}

/// The figures of `wchs`: data registry only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WatchSummary {
    /// Connections with a watch.
    pub connections: usize,
    /// Paths with a watch.
    pub paths: usize,
    /// Pairs of both.
    pub watches: usize,
}

/// All watches, by connection key `C`.
#[derive(Debug)]
pub struct WatchTable<C> {
    _c: PhantomData<C>,
}

impl<C: Copy + Eq + Ord + Hash> WatchTable<C> {
    /// No watches.
    pub fn new(hash_seed: u64) -> Self {
        let _ = hash_seed;
        unimplemented!()
    }
    /// Registers. `path` as the client sent it; `""` is accepted and never fires.
    pub fn add(&mut self, tree: &DataTree, conn: C, path: &str, mode: WatchMode) {
        let _ = (tree, conn, path, mode);
        unimplemented!()
    }
    /// checkWatches: whether something of that type is registered.
    pub fn check(&self, tree: &DataTree, conn: C, path: &str, kind: WatcherType) -> bool {
        let _ = (tree, conn, path, kind);
        unimplemented!()
    }
    /// removeWatches: removes it and says whether there was something.
    pub fn remove(&mut self, tree: &DataTree, conn: C, path: &str, kind: WatcherType) -> bool {
        let _ = (tree, conn, path, kind);
        unimplemented!()
    }
    /// Forgets a connection, in time proportional to its own watches.
    pub fn remove_connection(&mut self, tree: &DataTree, conn: C) {
        let _ = (tree, conn);
        unimplemented!()
    }
    /// setWatches and setWatches2: arms, or tells at once what was missed through `emit`, which is
    /// neither filtered by ACL nor merged between the lists.
    pub fn set_watches(
        &mut self,
        tree: &DataTree,
        conn: C,
        request: &SetWatches<'_>,
        emit: impl FnMut(EventType, &str),
    ) {
        let _ = (tree, conn, request, emit);
        unimplemented!()
    }
    /// Fires for a change told by [`DataTree::apply`]; call it for every change, in order.
    /// `may_read` filters by the connection's present identities; `emit` gets the events in
    /// deterministic order.
    pub fn fire(
        &mut self,
        change: &Change<'_>,
        may_read: impl FnMut(C, &AclList) -> bool,
        emit: impl FnMut(C, EventType, &str),
    ) {
        let _ = (change, may_read, emit);
        unimplemented!()
    }
    /// The metric `watch_count`: both registries.
    pub fn watch_count(&self) -> usize {
        unimplemented!()
    }
    /// `wchs`.
    pub fn summary(&self, tree: &DataTree) -> WatchSummary {
        let _ = tree;
        unimplemented!()
    }
    /// `wchc`: connections ascending, each with its paths in the data registry, sorted.
    pub fn by_connection(&self, tree: &DataTree) -> Vec<(C, Vec<String>)> {
        let _ = tree;
        unimplemented!()
    }
    /// `wchp`: paths of the data registry ascending, each with its connections, sorted.
    pub fn by_path(&self, tree: &DataTree) -> Vec<(String, Vec<C>)> {
        let _ = tree;
        unimplemented!()
    }
}
