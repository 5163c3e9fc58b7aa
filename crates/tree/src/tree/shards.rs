//! A hash index of ids in 256 shards: a growing shard moves 1/256 of the entries, so no insertion
//! stalls long (one table of 10 million entries takes seconds to grow, `house.md` 11.2).
//!
//! The keys live with the values the ids name; the caller hands in how to compare and to rehash.

use std::hash::Hasher;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use hashbrown::HashTable;

const SHARD_BITS: u32 = 8;

/// Hashes with a seed of our own, so that clients cannot choose paths that collide.
#[derive(Debug)]
pub(crate) struct Seed(u64, SharedSeed);

impl Seed {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed, SharedSeed::from_u64(seed.rotate_left(32) ^ 0x9E37_79B9_7F4A_7C15))
    }

    pub(crate) fn hash_bytes(&self, bytes: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.0, &self.1);
        hasher.write(bytes);
        hasher.finish()
    }

    pub(crate) fn hash_u64(&self, n: u64) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.0, &self.1);
        hasher.write_u64(n);
        hasher.finish()
    }
}

#[derive(Debug)]
pub(crate) struct Shards {
    tables: Vec<HashTable<u32>>,
    len: usize,
}

/// How many keys are looked at before they are hashed.
const TOUCHED: usize = 64;

/// Moves the ids to a table of twice the size. Keys are all over memory, and the processor waits for one
/// after the other when each is hashed and entered before the next is read: that was a third of the time
/// that loading a large tree takes. So the memory of some of them is asked for at once.
fn grow(table: &mut HashTable<u32>, touch: impl Fn(&[u32]), rehash: &impl Fn(u32) -> u64) {
    let ids: Vec<u32> = table.iter().copied().collect();
    let mut grown = HashTable::with_capacity((ids.len() * 2).max(1));
    for some in ids.chunks(TOUCHED) {
        touch(some);
        for &id in some {
            grown.insert_unique(rehash(id), id, |&id| rehash(id));
        }
    }
    *table = grown;
}

/// Not the top bits, which the tables use for their tags, nor the low ones, their bucket numbers.
fn shard(hash: u64) -> usize {
    (hash >> 40) as usize & ((1 << SHARD_BITS) - 1)
}

impl Shards {
    pub(crate) fn new() -> Self {
        Self { tables: (0..1 << SHARD_BITS).map(|_| HashTable::new()).collect(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        self.tables[shard(hash)].find(hash, |&id| is(id)).copied()
    }

    /// Adds an id whose key is not present.
    pub(crate) fn insert(&mut self, hash: u64, id: u32, rehash: impl Fn(u32) -> u64) {
        self.insert_touching(hash, id, |_| (), rehash);
    }

    /// [`Self::insert`] where keys are large: `touch` looks at what `rehash` is going to read.
    pub(crate) fn insert_touching(
        &mut self,
        hash: u64,
        id: u32,
        touch: impl Fn(&[u32]),
        rehash: impl Fn(u32) -> u64,
    ) {
        let table = &mut self.tables[shard(hash)];
        if table.len() == table.capacity() {
            grow(table, touch, &rehash);
        }
        table.insert_unique(hash, id, |&id| rehash(id));
        self.len += 1;
    }

    pub(crate) fn remove(&mut self, hash: u64, id: u32) -> bool {
        match self.tables[shard(hash)].find_entry(hash, |&other| other == id) {
            Ok(entry) => {
                entry.remove();
                self.len -= 1;
                true
            }
            Err(_) => false,
        }
    }

    /// Puts `new` where `old` is; both have the same key.
    pub(crate) fn replace(&mut self, hash: u64, old: u32, new: u32) {
        if let Some(id) = self.tables[shard(hash)].find_mut(hash, |&id| id == old) {
            *id = new;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_while_tables_grow_and_shrink() {
        let (seed, mut shards) = (Seed::new(1), Shards::new());
        let hash = |id| seed.hash_u64(u64::from(id));
        let insert = |shards: &mut Shards, id| shards.insert(hash(id), id, hash);
        (0..50_000).for_each(|id| insert(&mut shards, id));
        // Vacated places are used again: the same size for ever.
        let room = |shards: &Shards| shards.tables.iter().map(HashTable::capacity).sum::<usize>();
        let full = room(&shards);
        for round in 0..10 {
            let ids = |from: u32| (from..50_000).step_by(10);
            ids(round).for_each(|id| assert!(shards.remove(hash(id), id)));
            assert_eq!(shards.len(), 45_000);
            ids(round).for_each(|id| insert(&mut shards, id));
        }
        assert!(room(&shards) <= 2 * full, "{} {full}", room(&shards));
        assert_eq!(shards.len(), 50_000);
        for id in 0..50_000 {
            assert_eq!(shards.find(hash(id), |found| found == id), Some(id));
        }
        assert_eq!(shards.find(hash(50_000), |_| true), None);
    }
}
