//! Nodes, their links and the index by path. Knows structure only: no rules, no bookkeeping.

use super::node::Node;
use super::shards::{Seed, Shards};
use super::slab::{NONE, Slab};

/// The id of the root, always present.
pub(crate) const ROOT: u32 = 0;

#[derive(Debug)]
pub(crate) struct Store {
    nodes: Slab<Node>,
    /// Every node but the root.
    index: Shards,
    seed: Seed,
}

/// A path with its hash, so that looking up and inserting hash once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hashed<'p> {
    pub(crate) path: &'p str,
    pub(crate) hash: u64,
}

impl Store {
    /// A store that holds `root` only.
    pub(crate) fn new(root: Node, seed: u64) -> Self {
        let mut nodes = Slab::new();
        let id = nodes.insert(root);
        debug_assert_eq!(id, ROOT);
        Self { nodes, index: Shards::new(), seed: Seed::new(seed) }
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// One more than the largest id in use.
    pub(crate) fn end(&self) -> u32 {
        self.nodes.end()
    }

    pub(crate) fn is_live(&self, id: u32) -> bool {
        self.nodes.is_live(id)
    }

    pub(crate) fn node(&self, id: u32) -> &Node {
        self.nodes.get(id)
    }

    pub(crate) fn node_mut(&mut self, id: u32) -> &mut Node {
        self.nodes.get_mut(id)
    }

    pub(crate) fn hashed<'p>(&self, path: &'p str) -> Hashed<'p> {
        Hashed { path, hash: self.seed.hash_bytes(path.as_bytes()) }
    }

    /// The node at `path`; `""` and `/` are the root.
    pub(crate) fn find(&self, path: &str) -> Option<u32> {
        if matches!(path, "" | "/") { Some(ROOT) } else { self.find_hashed(self.hashed(path)) }
    }

    /// [`Self::find`] with the hash at hand.
    pub(crate) fn find_with(&self, key: Hashed<'_>) -> Option<u32> {
        if matches!(key.path, "" | "/") { Some(ROOT) } else { self.find_hashed(key) }
    }

    /// The node at a path that is not the root's.
    pub(crate) fn find_hashed(&self, key: Hashed<'_>) -> Option<u32> {
        let path = key.path.as_bytes();
        self.index.find(key.hash, |id| self.nodes.get(id).path_bytes() == path)
    }

    /// Inserts `node`, whose path is `key` and not present, as the first child of `parent`.
    pub(crate) fn insert(&mut self, key: Hashed<'_>, mut node: Node, parent: u32) -> u32 {
        let next = self.nodes.get(parent).first_child;
        node.parent = parent;
        node.next = next;
        let id = self.nodes.insert(node);
        if next != NONE {
            self.nodes.get_mut(next).prev = id;
        }
        let parent = self.nodes.get_mut(parent);
        parent.first_child = id;
        parent.child_count += 1;
        let (nodes, seed) = (&self.nodes, &self.seed);
        let touch = |ids: &[u32]| {
            ids.iter().for_each(|&id| nodes.get(id).touch());
            ids.iter().for_each(|&id| nodes.get(id).touch_path());
        };
        let rehash = |id| seed.hash_bytes(nodes.get(id).path_bytes());
        self.index.insert_touching(key.hash, id, touch, rehash);
        id
    }

    /// Unlinks and returns a node without children that is not the root.
    pub(crate) fn remove(&mut self, id: u32) -> Node {
        let hash = self.seed.hash_bytes(self.nodes.get(id).path_bytes());
        let found = self.index.remove(hash, id);
        debug_assert!(found, "every node but the root is in the index");
        let node = self.nodes.remove(id);
        debug_assert_eq!(node.child_count, 0, "only leaves are removed");
        if node.next != NONE {
            self.nodes.get_mut(node.next).prev = node.prev;
        }
        if node.prev != NONE {
            self.nodes.get_mut(node.prev).next = node.next;
        }
        let parent = self.nodes.get_mut(node.parent);
        if node.prev == NONE {
            parent.first_child = node.next;
        }
        parent.child_count -= 1;
        node
    }

    /// The next node of a pre-order walk of the subtree of `top`, which begins with `top` itself.
    pub(crate) fn walk_next(&self, top: u32, at: u32) -> Option<u32> {
        let node = self.nodes.get(at);
        if node.first_child != NONE {
            return Some(node.first_child);
        }
        let mut at = at;
        while at != top {
            let node = self.nodes.get(at);
            if node.next != NONE {
                return Some(node.next);
            }
            at = node.parent;
        }
        None
    }

    /// All nodes of the subtree of `top`, parents first.
    pub(crate) fn walk(&self, top: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(top), move |&at| self.walk_next(top, at))
    }
}
