//! What is watched, for operators: the metric `watch_count` and the commands `wchs`, `wchc`, `wchp`.
//!
//! As in Java the commands cover the data registry only (exists, getData, persistent, recursive), the
//! metric both.

use std::collections::BTreeMap;
use std::hash::Hash;

use super::{Registry, WatchTable, node_of};
use crate::tree::{DataTree, ZnodeId};

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

impl<C: Copy + Eq + Ord + Hash> WatchTable<C> {
    /// The metric `watch_count`: pairs of path and connection in both registries.
    pub fn watch_count(&self) -> usize {
        self.slots.all_pairs()
    }

    /// `wchs`. Takes time proportional to the paths with persistent watches or missing nodes.
    pub fn summary(&self, tree: &DataTree) -> WatchSummary {
        let is_counted = |path: &str| {
            node_of(tree, path).is_some_and(|node| self.edges.has_list(node, Registry::Data))
        };
        let by_path = self.paths.all_data_paths().filter(|path| !is_counted(path)).count();
        WatchSummary {
            connections: self.slots.data_connections(),
            paths: self.edges.data_lists() + by_path,
            watches: self.slots.data_pairs(),
        }
    }

    fn data_paths_of(&self, tree: &DataTree, slot: u32) -> Vec<String> {
        let on_nodes = self.edges.data_nodes(&self.slots, slot);
        let on_nodes = on_nodes.map(|node| tree.znode(ZnodeId(node)).path());
        let mut paths: Vec<String> =
            on_nodes.chain(self.paths.data_paths(&self.slots, slot)).map(str::to_owned).collect();
        paths.sort_unstable();
        paths.dedup();
        paths
    }

    /// `wchc`: connections ascending, each with its paths in the data registry, sorted.
    pub fn by_connection(&self, tree: &DataTree) -> Vec<(C, Vec<String>)> {
        let mut all: Vec<_> = self
            .slots
            .iter()
            .map(|(slot, conn)| (conn, self.data_paths_of(tree, slot)))
            .filter(|(_, paths)| !paths.is_empty())
            .collect();
        all.sort_unstable();
        all
    }

    /// `wchp`: paths of the data registry ascending, each with its connections, sorted.
    pub fn by_path(&self, tree: &DataTree) -> Vec<(String, Vec<C>)> {
        let mut all = BTreeMap::<String, Vec<C>>::new();
        for (conn, paths) in self.by_connection(tree) {
            for path in paths {
                all.entry(path).or_default().push(conn);
            }
        }
        all.into_iter().collect()
    }
}
