//! Watches kept by path: persistent and recursive ones, and exists watches on missing nodes.

use std::hash::Hash;
use std::ops::{BitAnd, BitOr};

use super::slots::Slots;
use crate::tree::shards::{Seed, Shards};
use crate::tree::slab::{NONE, Slab, Slot};

/// What a connection has at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flags(u8);

impl Flags {
    pub(super) const NONE: Self = Self(0);
    pub(super) const DATA: Self = Self(1);
    pub(super) const CHILD: Self = Self(2);
    pub(super) const PERSISTENT: Self = Self(4);
    pub(super) const RECURSIVE: Self = Self(8);
    pub(super) const ALL: Self = Self(15);
    /// What makes up the data registry.
    pub(super) const IN_DATA: Self = Self(1 | 4 | 8);
    /// What makes up the child registry.
    pub(super) const IN_CHILD: Self = Self(2 | 4);

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    #[must_use]
    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Flags {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// Marks an entry in use.
const LIVE: u32 = NONE - 1;

#[derive(Debug)]
struct Entry {
    path: Box<str>,
    /// By slot, ascending; no empty flags.
    watchers: Vec<(u32, Flags)>,
    /// How many of them are recursive.
    recursive: u32,
    next_vacant: u32,
}

impl Slot for Entry {
    fn vacant(next: u32) -> Self {
        Self { path: "".into(), watchers: Vec::new(), recursive: 0, next_vacant: next }
    }

    fn next_vacant(&self) -> Option<u32> {
        (self.next_vacant != LIVE).then_some(self.next_vacant)
    }
}

impl Entry {
    fn flags(&self, slot: u32) -> Flags {
        match self.watchers.binary_search_by_key(&slot, |w| w.0) {
            Ok(at) => self.watchers[at].1,
            Err(_) => Flags::NONE,
        }
    }
}

#[derive(Debug)]
pub(super) struct Paths {
    entries: Slab<Entry>,
    index: Shards,
    /// Recursive watches of all entries.
    recursive: usize,
    seed: Seed,
}

impl Paths {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            entries: Slab::new(),
            index: Shards::new(),
            recursive: 0,
            // Not the other store's, whose keys are not chosen by clients.
            seed: Seed::new(seed.wrapping_add(1)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.index.len() == 0
    }

    /// Whether any watch is recursive.
    pub(super) fn has_recursive(&self) -> bool {
        self.recursive > 0
    }

    fn find(&self, path: &str) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        let hash = self.seed.hash_bytes(path.as_bytes());
        self.index.find(hash, |id| *self.entries.get(id).path == *path)
    }

    /// What `slot` has at `path`.
    pub(super) fn flags(&self, path: &str, slot: u32) -> Flags {
        self.find(path).map_or(Flags::NONE, |id| self.entries.get(id).flags(slot))
    }

    /// Adds one flag that is not set.
    pub(super) fn insert<C: Copy + Eq + Hash>(
        &mut self,
        slots: &mut Slots<C>,
        path: &str,
        slot: u32,
        flag: Flags,
    ) {
        let id = self.find(path).unwrap_or_else(|| self.new_entry(path));
        let entry = self.entries.get_mut(id);
        match entry.watchers.binary_search_by_key(&slot, |w| w.0) {
            Ok(at) => entry.watchers[at].1 = entry.watchers[at].1 | flag,
            Err(at) => {
                entry.watchers.insert(at, (slot, flag));
                slots.paths_mut(slot).insert(id);
            }
        }
        if flag == Flags::RECURSIVE {
            entry.recursive += 1;
            self.recursive += 1;
        }
    }

    fn new_entry(&mut self, path: &str) -> u32 {
        let id = self.entries.insert(Entry {
            path: path.into(),
            watchers: Vec::with_capacity(1),
            recursive: 0,
            next_vacant: LIVE,
        });
        let (entries, seed) = (&self.entries, &self.seed);
        self.index.insert(seed.hash_bytes(path.as_bytes()), id, |id| {
            seed.hash_bytes(entries.get(id).path.as_bytes())
        });
        id
    }

    /// Removes `gone` from what `slot` has at `path`.
    pub(super) fn remove<C: Copy + Eq + Hash>(
        &mut self,
        slots: &mut Slots<C>,
        path: &str,
        slot: u32,
        gone: Flags,
    ) {
        if let Some(id) = self.find(path) {
            self.remove_at(slots, id, slot, gone);
        }
    }

    fn remove_at<C: Copy + Eq + Hash>(
        &mut self,
        slots: &mut Slots<C>,
        id: u32,
        slot: u32,
        gone: Flags,
    ) {
        let entry = self.entries.get_mut(id);
        let Ok(at) = entry.watchers.binary_search_by_key(&slot, |w| w.0) else { return };
        let before = entry.watchers[at].1;
        let after = before.without(gone);
        if (before & gone).has_any(Flags::RECURSIVE) {
            entry.recursive -= 1;
            self.recursive -= 1;
        }
        entry.watchers[at].1 = after;
        if after.is_empty() {
            entry.watchers.remove(at);
            slots.paths_mut(slot).remove(&id);
        }
        self.drop_if_unused(id);
    }

    fn drop_if_unused(&mut self, id: u32) {
        if self.entries.get(id).watchers.is_empty() {
            let entry = self.entries.remove(id);
            self.index.remove(self.seed.hash_bytes(entry.path.as_bytes()), id);
        }
    }

    /// Removes all a connection has.
    pub(super) fn remove_slot<C: Copy + Eq + Hash>(&mut self, slots: &mut Slots<C>, slot: u32) {
        for id in std::mem::take(slots.paths_mut(slot)) {
            self.remove_at(slots, id, slot, Flags::ALL);
        }
    }

    /// Appends who has any of `wanted` at `path`, with all flags there, and strips `once`.
    pub(super) fn take<C: Copy + Eq + Hash>(
        &mut self,
        slots: &mut Slots<C>,
        path: &str,
        wanted: Flags,
        once: Flags,
        out: &mut Vec<(u32, Flags)>,
    ) {
        let Some(id) = self.find(path) else { return };
        let entry = self.entries.get_mut(id);
        out.extend(entry.watchers.iter().copied().filter(|(_, flags)| flags.has_any(wanted)));
        entry.watchers.retain_mut(|(slot, flags)| {
            *flags = flags.without(once);
            if flags.is_empty() {
                slots.paths_mut(*slot).remove(&id);
            }
            !flags.is_empty()
        });
        self.drop_if_unused(id);
    }

    /// Appends who watches `path` recursively.
    pub(super) fn recursive_at(&self, path: &str, out: &mut Vec<u32>) {
        let Some(id) = self.find(path) else { return };
        let entry = self.entries.get(id);
        if entry.recursive > 0 {
            let recursive = entry.watchers.iter().filter(|w| w.1.has_any(Flags::RECURSIVE));
            out.extend(recursive.map(|w| w.0));
        }
    }

    /// Paths a connection has in the data registry.
    pub(super) fn data_paths<C: Copy + Eq + Hash>(
        &self,
        slots: &Slots<C>,
        slot: u32,
    ) -> impl Iterator<Item = &str> {
        let entries = slots.paths(slot).iter().map(|&id| self.entries.get(id));
        entries.filter(move |e| e.flags(slot).has_any(Flags::IN_DATA)).map(|e| &*e.path)
    }

    /// All paths with something in the data registry.
    pub(super) fn all_data_paths(&self) -> impl Iterator<Item = &str> {
        let ids = (0..self.entries.end()).filter(|&id| self.entries.is_live(id));
        let entries = ids.map(|id| self.entries.get(id));
        entries.filter(|e| e.watchers.iter().any(|w| w.1.has_any(Flags::IN_DATA))).map(|e| &*e.path)
    }
}
