//! Connections by generational id.
//!
//! A slot is reused, an id is not: the generation in the id changes with every reuse, and a slot
//! whose generations are used up is retired. So an id kept too long finds nothing, whether it
//! comes from the handler or from an event that was already in the kernel's batch.

use std::fmt;

use mio::Token;

/// Names one connection of one reactor for ever; cheap to copy and to hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(u64);

impl ConnId {
    fn new(index: u32, generation: u32) -> ConnId {
        ConnId(u64::from(generation) << 32 | u64::from(index))
    }

    /// The slot, small and dense: handlers may keep their own state in a vector by it (and must
    /// compare the whole id, since slots are reused).
    pub fn index(self) -> usize {
        self.slot() as usize
    }

    /// The id as a number, for logs and tables.
    pub fn as_u64(self) -> u64 {
        self.0
    }

    /// The id that `as_u64` gave out. Any other number is a stale id.
    pub fn from_u64(id: u64) -> ConnId {
        ConnId(id)
    }

    pub(crate) fn token(self) -> Token {
        Token(self.0 as usize)
    }

    pub(crate) fn from_token(token: Token) -> ConnId {
        ConnId(token.0 as u64)
    }

    fn slot(self) -> u32 {
        self.0 as u32
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

// A token must hold slot and generation.
const _: () = assert!(usize::BITS >= 64, "a 64-bit target is needed");

/// Slots from here on are not connections: tokens of listeners and of the waker.
pub(crate) const FIRST_RESERVED_SLOT: u32 = 0xffff_0000;

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conn {}.{}", self.slot(), self.generation())
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Slab<T> {
        Slab { slots: Vec::new(), free: Vec::new() }
    }

    /// Stores the value; gives it back when every slot is taken.
    pub(crate) fn insert(&mut self, value: T) -> Result<ConnId, T> {
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(index as usize)
        {
            slot.value = Some(value);
            return Ok(ConnId::new(index, slot.generation));
        }
        let index = self.slots.len() as u32;
        if index >= FIRST_RESERVED_SLOT {
            return Err(value);
        }
        // Generations start at 1 so that the number 0 is nobody's id.
        self.slots.push(Slot { generation: 1, value: Some(value) });
        Ok(ConnId::new(index, 1))
    }

    #[inline]
    pub(crate) fn get(&self, id: ConnId) -> Option<&T> {
        let slot = self.slots.get(id.index())?;
        if slot.generation == id.generation() { slot.value.as_ref() } else { None }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut T> {
        let slot = self.slots.get_mut(id.index())?;
        if slot.generation == id.generation() { slot.value.as_mut() } else { None }
    }

    pub(crate) fn remove(&mut self, id: ConnId) -> Option<T> {
        let slot = self.slots.get_mut(id.index())?;
        if slot.generation != id.generation() {
            return None;
        }
        let value = slot.value.take()?;
        match slot.generation.checked_add(1) {
            Some(next) => {
                slot.generation = next;
                self.free.push(id.slot());
            }
            // All generations are used up: leave the slot empty for ever.
            None => tracing::debug!(slot = id.slot(), "connection slot retired"),
        }
        Some(value)
    }

    /// The ids of all values, by slot.
    pub(crate) fn ids(&self) -> Vec<ConnId> {
        let taken = self.slots.iter().enumerate().filter(|(_, slot)| slot.value.is_some());
        taken.map(|(index, slot)| ConnId::new(index as u32, slot.generation)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_slot_has_another_id() {
        let mut slab = Slab::new();
        let first = slab.insert('a').unwrap();
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.insert('b').unwrap();
        assert_eq!(first.index(), second.index());
        assert_ne!(first, second);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get_mut(second), Some(&mut 'b'));
        assert_eq!(slab.ids(), [second]);
    }

    #[test]
    fn a_worn_out_slot_is_retired() {
        let mut slab = Slab::new();
        let id = slab.insert('a').unwrap();
        slab.slots[0].generation = u32::MAX;
        let last = ConnId::new(0, u32::MAX);
        assert_eq!(slab.remove(id), None);
        assert_eq!(slab.remove(last), Some('a'));
        assert_eq!(slab.get(last), None);
        assert_eq!(slab.insert('b').unwrap().index(), 1);
    }

    #[test]
    fn ids_survive_the_way_through_tokens_and_numbers() {
        let id = ConnId::new(7, 0x8000_0001);
        assert_eq!(ConnId::from_token(id.token()), id);
        assert_eq!(ConnId::from_u64(id.as_u64()), id);
        assert_eq!(id.to_string(), "conn 7.2147483649");
    }
}
