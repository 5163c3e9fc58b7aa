//! Interned ACLs: every distinct list once, under the id snapshots use (`storage-format.md` 3.1, S16).
//!
//! Ids are local to a server and stay as long as a node has the list. An id whose list no node has any
//! more is given to the next new list: snapshots here are exact, each carries the map of its own
//! moment, so an id never means two things in one file.

use foldhash::quality::FixedState;
use hashbrown::HashMap;
use rookeeper_proto::{Acl, AclList, Id};

/// The id of an interned list; -1 is `world:anyone` with all permissions and is never in the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AclId(pub i64);

impl AclId {
    /// `world:anyone` with all permissions.
    pub const OPEN: Self = Self(-1);
}

/// The slot of the open list, which is not counted.
pub(crate) const OPEN_SLOT: u32 = 0;

#[derive(Debug)]
struct Entry {
    list: AclList,
    /// Nodes that have it; 0 marks a vacant entry.
    refs: u64,
}

/// Every distinct ACL of the tree.
#[derive(Debug)]
pub struct AclMap {
    /// By slot; slot 0 is the open list.
    entries: Vec<Entry>,
    vacant: Vec<u32>,
    /// Looked up only, never iterated.
    slots: HashMap<AclList, u32, FixedState>,
}

impl AclMap {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            entries: vec![Entry { list: AclList::open(), refs: 1 }],
            vacant: Vec::new(),
            slots: HashMap::with_hasher(FixedState::with_seed(seed)),
        }
    }

    /// Counts one more user of `list`.
    pub(crate) fn intern(&mut self, list: &AclList) -> u32 {
        if list.is_open() {
            return OPEN_SLOT;
        }
        if let Some(&slot) = self.slots.get(list) {
            self.entries[slot as usize].refs += 1;
            return slot;
        }
        let entry = Entry { list: list.clone(), refs: 1 };
        let slot = match self.vacant.pop() {
            Some(slot) => {
                self.entries[slot as usize] = entry;
                slot
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        self.slots.insert(list.clone(), slot);
        slot
    }

    /// Counts one more user of a slot in use.
    pub(crate) fn retain(&mut self, slot: u32) {
        if slot != OPEN_SLOT {
            self.entries[slot as usize].refs += 1;
        }
    }

    /// Counts one user less.
    pub(crate) fn release(&mut self, slot: u32) {
        if slot == OPEN_SLOT {
            return;
        }
        let entry = &mut self.entries[slot as usize];
        entry.refs -= 1;
        if entry.refs == 0 {
            let list = std::mem::replace(&mut entry.list, AclList::open());
            self.slots.remove(&list);
            self.vacant.push(slot);
        }
    }

    pub(crate) fn list(&self, slot: u32) -> &AclList {
        &self.entries[slot as usize].list
    }

    /// The id that snapshots use for a slot.
    pub(crate) fn id(slot: u32) -> AclId {
        if slot == OPEN_SLOT { AclId::OPEN } else { AclId(i64::from(slot)) }
    }

    /// The list behind an id.
    pub fn get(&self, id: AclId) -> Option<&AclList> {
        let slot =
            if id == AclId::OPEN { 0 } else { usize::try_from(id.0).ok().filter(|&n| n > 0)? };
        self.entries.get(slot).filter(|entry| entry.refs > 0).map(|entry| &entry.list)
    }

    /// Every list with its id, ascending, without the open one.
    pub fn iter(&self) -> impl Iterator<Item = (AclId, &AclList)> {
        let numbered = self.entries.iter().enumerate().skip(1);
        numbered.filter(|(_, e)| e.refs > 0).map(|(slot, e)| (AclId(slot as i64), &e.list))
    }

    /// Number of lists, without the open one.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether every node is open.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

/// `client-protocol.md` 7.1 without `skipACL`: whether `ids` may do any of `perms` under `list`.
/// `matches` is asked for an entry and an id of the same scheme; schemes live elsewhere.
pub fn permits(
    list: &AclList,
    perms: i32,
    ids: &[Id],
    mut matches: impl FnMut(&Acl, &Id) -> bool,
) -> bool {
    if list.entries().is_empty() || ids.iter().any(|id| id.scheme == "super") {
        return true;
    }
    list.entries().iter().filter(|acl| acl.perms & perms != 0).any(|acl| {
        (acl.id.scheme == "world" && acl.id.id == "anyone")
            || ids.iter().any(|id| id.scheme == acl.id.scheme && matches(acl, id))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rookeeper_proto::acl::{ALL, READ, WRITE};

    fn id(scheme: &str, id: &str) -> Id {
        Id { scheme: scheme.to_owned(), id: id.to_owned() }
    }

    fn digest_list(user: &str, perms: i32) -> AclList {
        vec![Acl { perms, id: id("digest", user) }].into()
    }

    #[test]
    fn lists_are_shared_and_ids_stay_while_used() {
        let mut map = AclMap::new(1);
        assert_eq!(map.intern(&AclList::world(ALL)), OPEN_SLOT);
        let a = map.intern(&digest_list("a", ALL));
        assert_eq!(map.intern(&digest_list("a", ALL)), a);
        let b = map.intern(&digest_list("b", ALL));
        assert_eq!((AclMap::id(a), AclMap::id(b), AclMap::id(0)), (AclId(1), AclId(2), AclId(-1)));
        map.release(a);
        assert_eq!(map.get(AclId(1)), Some(&digest_list("a", ALL)));
        map.release(a);
        assert_eq!(map.get(AclId(1)), None);
        assert_eq!(map.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), [2]);
        assert_eq!(map.intern(&digest_list("c", ALL)), a);
        assert_eq!(map.get(AclId(0)), None);
        assert!(map.get(AclId(-1)).unwrap().is_open());
    }

    #[test]
    fn who_may() {
        let same = |acl: &Acl, id: &Id| acl.id.id == id.id;
        let list = digest_list("u", READ);
        assert!(permits(&list, READ, &[id("digest", "u")], same));
        assert!(permits(&list, READ | WRITE, &[id("digest", "u")], same));
        assert!(!permits(&list, WRITE, &[id("digest", "u")], same));
        assert!(!permits(&list, READ, &[id("ip", "u")], same));
        assert!(permits(&list, WRITE, &[id("super", "")], same));
        assert!(permits(&AclList::from(vec![]), WRITE, &[], same));
        assert!(permits(&AclList::world(READ), READ, &[], same));
        assert!(!permits(&AclList::world(READ), WRITE, &[], same));
    }
}
