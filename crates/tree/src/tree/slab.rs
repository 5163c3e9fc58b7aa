//! A slab that grows by chunks: growing never moves what is there, ids stay valid, vacated slots are
//! reused last-in first-out (so that ids are deterministic).

/// What can live in a [`Slab`]: it must be able to represent a vacant slot without a discriminant.
pub(crate) trait Slot {
    /// A vacant slot that names the next one.
    fn vacant(next: u32) -> Self;
    /// The next vacant slot if this one is vacant.
    fn next_vacant(&self) -> Option<u32>;
}

/// "No id": ends lists.
pub(crate) const NONE: u32 = u32::MAX;

const CHUNK_BITS: u32 = 14;
const CHUNK: usize = 1 << CHUNK_BITS;

#[derive(Debug)]
pub(crate) struct Slab<T> {
    chunks: Vec<Vec<T>>,
    first_vacant: u32,
    live: u32,
}

impl<T: Slot> Slab<T> {
    pub(crate) fn new() -> Self {
        Self { chunks: Vec::new(), first_vacant: NONE, live: 0 }
    }

    /// Number of occupied slots.
    pub(crate) fn len(&self) -> usize {
        self.live as usize
    }

    /// One more than the largest id ever given out.
    pub(crate) fn end(&self) -> u32 {
        match self.chunks.last() {
            Some(last) => (((self.chunks.len() - 1) << CHUNK_BITS) + last.len()) as u32,
            None => 0,
        }
    }

    pub(crate) fn get(&self, id: u32) -> &T {
        &self.chunks[(id >> CHUNK_BITS) as usize][id as usize & (CHUNK - 1)]
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> &mut T {
        &mut self.chunks[(id >> CHUNK_BITS) as usize][id as usize & (CHUNK - 1)]
    }

    /// Whether the slot is occupied.
    pub(crate) fn is_live(&self, id: u32) -> bool {
        let chunk = self.chunks.get((id >> CHUNK_BITS) as usize);
        let slot = chunk.and_then(|chunk| chunk.get(id as usize & (CHUNK - 1)));
        slot.is_some_and(|slot| slot.next_vacant().is_none())
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        self.live += 1;
        let id = self.first_vacant;
        if id != NONE {
            let slot = self.get_mut(id);
            let next = slot.next_vacant();
            *slot = value;
            self.first_vacant = next.expect("the list of vacant slots holds vacant slots");
            return id;
        }
        let id = self.end();
        assert!(id < NONE - 1, "a slab holds at most 2^32 - 2 slots");
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(value),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(value);
                self.chunks.push(chunk);
            }
        }
        id
    }

    pub(crate) fn remove(&mut self, id: u32) -> T {
        let vacant = T::vacant(self.first_vacant);
        let value = std::mem::replace(self.get_mut(id), vacant);
        debug_assert!(value.next_vacant().is_none(), "slot {id} vacated twice");
        self.first_vacant = id;
        self.live -= 1;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Word(u32, bool);

    impl Slot for Word {
        fn vacant(next: u32) -> Self {
            Self(next, true)
        }
        fn next_vacant(&self) -> Option<u32> {
            self.1.then_some(self.0)
        }
    }

    #[test]
    fn slots_are_reused_and_chunks_cross() {
        let mut slab = Slab::new();
        for n in 0..CHUNK as u32 + 3 {
            assert_eq!(slab.insert(Word(n, false)), n);
        }
        assert_eq!(slab.remove(5).0, 5);
        assert_eq!(slab.remove(CHUNK as u32).0, CHUNK as u32);
        assert!(!slab.is_live(5) && slab.is_live(6) && !slab.is_live(CHUNK as u32 + 3));
        assert_eq!(slab.insert(Word(77, false)), CHUNK as u32);
        assert_eq!(slab.insert(Word(78, false)), 5);
        assert_eq!(slab.insert(Word(79, false)), CHUNK as u32 + 3);
        assert_eq!((slab.len(), slab.end()), (CHUNK + 4, CHUNK as u32 + 4));
        assert_eq!(slab.get(5).0, 78);
    }
}
