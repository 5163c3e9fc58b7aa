//! Standard watches on existing nodes: one edge between a node and a connection per registry.
//!
//! Each edge is in two lists, of its node (per registry) and of its connection, and in an index by all
//! three, so that adding, finding and removing take constant time however many watches a node or a
//! connection has. A list keyed by the registry too: firing one never walks over the other's.

use std::hash::Hash;

use super::Registry;
use super::slots::Slots;
use crate::tree::shards::{Seed, Shards};
use crate::tree::slab::{NONE, Slab, Slot};

/// Set in [`Edge::owner`] for the child registry.
const CHILD_BIT: u32 = 1 << 31;
/// Marks a vacant edge in `owner`: connections are fewer.
const VACANT: u32 = NONE;

#[derive(Debug)]
struct Edge {
    node: u32,
    /// Slot of the connection, with the registry.
    owner: u32,
    node_next: u32,
    node_prev: u32,
    conn_next: u32,
    conn_prev: u32,
}

const _: () = assert!(size_of::<Edge>() == 24, "an edge must not grow: there are millions");

impl Slot for Edge {
    fn vacant(next: u32) -> Self {
        Self {
            node: next,
            owner: VACANT,
            node_next: NONE,
            node_prev: NONE,
            conn_next: NONE,
            conn_prev: NONE,
        }
    }

    fn next_vacant(&self) -> Option<u32> {
        (self.owner == VACANT).then_some(self.node)
    }
}

impl Edge {
    fn slot(&self) -> u32 {
        self.owner & !CHILD_BIT
    }

    fn list(&self) -> u64 {
        list_key(self.node, self.owner)
    }

    fn key(&self) -> u64 {
        key(self.node, self.owner)
    }
}

fn owner(registry: Registry, slot: u32) -> u32 {
    match registry {
        Registry::Data => slot,
        Registry::Child => slot | CHILD_BIT,
    }
}

/// Identifies an edge.
fn key(node: u32, owner: u32) -> u64 {
    u64::from(node) << 32 | u64::from(owner)
}

/// Identifies a node's list: the owner without the slot.
fn list_key(node: u32, owner: u32) -> u64 {
    key(node, owner & CHILD_BIT)
}

#[derive(Debug)]
pub(super) struct Edges {
    edges: Slab<Edge>,
    /// All edges, by node, registry and slot.
    index: Shards,
    /// The newest edge of each list, by node and registry.
    heads: Shards,
    /// Lists of the data registry.
    data_lists: usize,
    seed: Seed,
}

impl Edges {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            edges: Slab::new(),
            index: Shards::new(),
            heads: Shards::new(),
            data_lists: 0,
            seed: Seed::new(seed),
        }
    }

    fn find(&self, node: u32, registry: Registry, slot: u32) -> Option<u32> {
        let owner = owner(registry, slot);
        let is = |id: u32| {
            let edge = self.edges.get(id);
            edge.node == node && edge.owner == owner
        };
        self.index.find(self.seed.hash_u64(key(node, owner)), is)
    }

    fn head(&self, list: u64) -> Option<u32> {
        if self.heads.len() == 0 {
            return None;
        }
        self.heads.find(self.seed.hash_u64(list), |id| self.edges.get(id).list() == list)
    }

    pub(super) fn contains(&self, node: u32, registry: Registry, slot: u32) -> bool {
        self.find(node, registry, slot).is_some()
    }

    pub(super) fn has_list(&self, node: u32, registry: Registry) -> bool {
        self.head(list_key(node, owner(registry, 0))).is_some()
    }

    pub(super) fn data_lists(&self) -> usize {
        self.data_lists
    }

    /// Adds an edge that is not there.
    pub(super) fn insert<C: Copy + Eq + Hash>(
        &mut self,
        slots: &mut Slots<C>,
        node: u32,
        registry: Registry,
        slot: u32,
    ) {
        let owner = owner(registry, slot);
        let list = list_key(node, owner);
        let old_head = self.head(list);
        let conn_next = slots.first_edge(slot);
        let node_next = old_head.unwrap_or(NONE);
        let edge = Edge { node, owner, node_next, node_prev: NONE, conn_next, conn_prev: NONE };
        let id = self.edges.insert(edge);
        if conn_next != NONE {
            self.edges.get_mut(conn_next).conn_prev = id;
        }
        slots.set_first_edge(slot, id);
        let (edges, seed) = (&self.edges, &self.seed);
        self.index
            .insert(seed.hash_u64(key(node, owner)), id, |id| seed.hash_u64(edges.get(id).key()));
        match old_head {
            Some(head) => {
                self.heads.replace(self.seed.hash_u64(list), head, id);
                self.edges.get_mut(head).node_prev = id;
            }
            None => {
                self.heads
                    .insert(seed.hash_u64(list), id, |id| seed.hash_u64(edges.get(id).list()));
                self.data_lists += usize::from(registry == Registry::Data);
            }
        }
    }

    pub(super) fn remove<C: Copy + Eq + Hash>(
        &mut self,
        slots: &mut Slots<C>,
        node: u32,
        registry: Registry,
        slot: u32,
    ) {
        if let Some(id) = self.find(node, registry, slot) {
            let edge = self.detach(slots, id);
            self.unlink_from_node(&edge, id);
        }
    }

    /// Removes all edges of a connection.
    pub(super) fn remove_slot<C: Copy + Eq + Hash>(&mut self, slots: &mut Slots<C>, slot: u32) {
        while slots.first_edge(slot) != NONE {
            let id = slots.first_edge(slot);
            let edge = self.detach(slots, id);
            self.unlink_from_node(&edge, id);
        }
    }

    /// Removes all edges of a node's list and appends their connections, oldest first.
    pub(super) fn take<C: Copy + Eq + Hash>(
        &mut self,
        slots: &mut Slots<C>,
        node: u32,
        registry: Registry,
        out: &mut Vec<u32>,
    ) {
        let list = list_key(node, owner(registry, 0));
        let Some(head) = self.head(list) else { return };
        self.heads.remove(self.seed.hash_u64(list), head);
        self.data_lists -= usize::from(registry == Registry::Data);
        let start = out.len();
        let mut id = head;
        while id != NONE {
            let edge = self.detach(slots, id);
            out.push(edge.slot());
            id = edge.node_next;
        }
        out[start..].reverse();
    }

    /// Takes an edge out of everything but its node's list.
    fn detach<C: Copy + Eq + Hash>(&mut self, slots: &mut Slots<C>, id: u32) -> Edge {
        let edge = self.edges.remove(id);
        self.index.remove(self.seed.hash_u64(edge.key()), id);
        if edge.conn_next != NONE {
            self.edges.get_mut(edge.conn_next).conn_prev = edge.conn_prev;
        }
        if edge.conn_prev != NONE {
            self.edges.get_mut(edge.conn_prev).conn_next = edge.conn_next;
        } else {
            slots.set_first_edge(edge.slot(), edge.conn_next);
        }
        edge
    }

    fn unlink_from_node(&mut self, edge: &Edge, id: u32) {
        if edge.node_next != NONE {
            self.edges.get_mut(edge.node_next).node_prev = edge.node_prev;
        }
        if edge.node_prev != NONE {
            self.edges.get_mut(edge.node_prev).node_next = edge.node_next;
            return;
        }
        let hash = self.seed.hash_u64(edge.list());
        if edge.node_next != NONE {
            self.heads.replace(hash, id, edge.node_next);
        } else {
            self.heads.remove(hash, id);
            self.data_lists -= usize::from(edge.owner & CHILD_BIT == 0);
        }
    }

    /// Nodes a connection watches in the data registry.
    pub(super) fn data_nodes<C: Copy + Eq + Hash>(
        &self,
        slots: &Slots<C>,
        slot: u32,
    ) -> impl Iterator<Item = u32> {
        let some = |id| (id != NONE).then_some(id);
        let ids = std::iter::successors(some(slots.first_edge(slot)), move |&id| {
            some(self.edges.get(id).conn_next)
        });
        ids.map(|id| self.edges.get(id))
            .filter(|edge| edge.owner & CHILD_BIT == 0)
            .map(|edge| edge.node)
    }
}
