//! Connections as small numbers, with the heads of what each has registered and its counts.

use std::collections::BTreeSet;
use std::hash::Hash;

use foldhash::quality::FixedState;
use hashbrown::HashMap;

use super::paths::Flags;
use crate::tree::slab::NONE;

#[derive(Debug)]
struct Connection<C> {
    /// `None`: vacant.
    conn: Option<C>,
    first_edge: u32,
    /// Entries of the path store.
    paths: BTreeSet<u32>,
    /// Paths watched, by registry.
    pairs: Pairs,
}

/// Pairs of path and connection in the data and in the child registry.
#[derive(Debug, Clone, Copy, Default)]
struct Pairs {
    data: usize,
    child: usize,
}

#[derive(Debug)]
pub(super) struct Slots<C> {
    connections: Vec<Connection<C>>,
    vacant: Vec<u32>,
    /// Looked up only, never iterated.
    by_conn: HashMap<C, u32, FixedState>,
    total: Pairs,
    /// Connections with something in the data registry.
    data_connections: usize,
}

impl<C: Copy + Eq + Hash> Slots<C> {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            connections: Vec::new(),
            vacant: Vec::new(),
            by_conn: HashMap::with_hasher(FixedState::with_seed(seed)),
            total: Pairs::default(),
            data_connections: 0,
        }
    }

    pub(super) fn slot(&self, conn: C) -> Option<u32> {
        self.by_conn.get(&conn).copied()
    }

    pub(super) fn slot_or_new(&mut self, conn: C) -> u32 {
        if let Some(slot) = self.slot(conn) {
            return slot;
        }
        let fresh = Connection {
            conn: Some(conn),
            first_edge: NONE,
            paths: BTreeSet::new(),
            pairs: Pairs::default(),
        };
        let slot = match self.vacant.pop() {
            Some(slot) => {
                self.connections[slot as usize] = fresh;
                slot
            }
            None => {
                self.connections.push(fresh);
                (self.connections.len() - 1) as u32
            }
        };
        self.by_conn.insert(conn, slot);
        slot
    }

    /// Frees a slot that nothing refers to any more.
    pub(super) fn release(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        debug_assert!(connection.first_edge == NONE && connection.paths.is_empty());
        let pairs = std::mem::take(&mut connection.pairs);
        self.total.data -= pairs.data;
        self.total.child -= pairs.child;
        self.data_connections -= usize::from(pairs.data > 0);
        if let Some(conn) = connection.conn.take() {
            self.by_conn.remove(&conn);
            self.vacant.push(slot);
        }
    }

    pub(super) fn conn(&self, slot: u32) -> C {
        self.connections[slot as usize].conn.expect("a watch belongs to a connection in the table")
    }

    pub(super) fn first_edge(&self, slot: u32) -> u32 {
        self.connections[slot as usize].first_edge
    }

    pub(super) fn set_first_edge(&mut self, slot: u32, edge: u32) {
        self.connections[slot as usize].first_edge = edge;
    }

    pub(super) fn paths(&self, slot: u32) -> &BTreeSet<u32> {
        &self.connections[slot as usize].paths
    }

    pub(super) fn paths_mut(&mut self, slot: u32) -> &mut BTreeSet<u32> {
        &mut self.connections[slot as usize].paths
    }

    /// Books that what a connection has at one path went from `before` to `after`.
    pub(super) fn recount(&mut self, slot: u32, before: Flags, after: Flags) {
        let pairs = &mut self.connections[slot as usize].pairs;
        let had_data = pairs.data > 0;
        let step = |count: &mut usize, total: &mut usize, was: bool, is: bool| {
            *count = *count + usize::from(is) - usize::from(was);
            *total = *total + usize::from(is) - usize::from(was);
        };
        let total = &mut self.total;
        let data = (before.has_any(Flags::IN_DATA), after.has_any(Flags::IN_DATA));
        step(&mut pairs.data, &mut total.data, data.0, data.1);
        let child = (before.has_any(Flags::IN_CHILD), after.has_any(Flags::IN_CHILD));
        step(&mut pairs.child, &mut total.child, child.0, child.1);
        self.data_connections += usize::from(pairs.data > 0);
        self.data_connections -= usize::from(had_data);
    }

    /// Pairs in the data registry.
    pub(super) fn data_pairs(&self) -> usize {
        self.total.data
    }

    /// Pairs in both registries.
    pub(super) fn all_pairs(&self) -> usize {
        self.total.data + self.total.child
    }

    pub(super) fn data_connections(&self) -> usize {
        self.data_connections
    }

    /// Slots in use, with their connections.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, C)> {
        let numbered = self.connections.iter().enumerate();
        numbered.filter_map(|(slot, c)| c.conn.map(|conn| (slot as u32, conn)))
    }
}
