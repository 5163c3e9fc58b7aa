//! Byte queues of connections, and the pool their memory comes from and goes back to.
//!
//! A connection owns memory only while something is in its queue: an emptied queue gives its
//! vector back at once. The pool keeps a bounded number of bytes and no large vectors, so a burst
//! or a huge frame does not stay in the process for ever.

/// What a fresh vector can hold: a batch of small frames.
const FRESH_BYTES: usize = 4 * 1024;
/// A larger vector is freed instead of kept.
const LARGEST_KEPT_BYTES: usize = 256 * 1024;
/// What the pool keeps at most.
const POOL_BYTES: usize = 4 * 1024 * 1024;

/// Vectors nobody uses at the moment, last in first out: the warmest is used next.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    free: Vec<Vec<u8>>,
    bytes: usize,
}

impl Pool {
    pub(crate) fn take(&mut self) -> Vec<u8> {
        match self.free.pop() {
            Some(vector) => {
                self.bytes -= vector.capacity();
                vector
            }
            None => Vec::with_capacity(FRESH_BYTES),
        }
    }

    pub(crate) fn give(&mut self, mut vector: Vec<u8>) {
        let capacity = vector.capacity();
        if (1..=LARGEST_KEPT_BYTES).contains(&capacity) && self.bytes + capacity <= POOL_BYTES {
            vector.clear();
            self.bytes += capacity;
            self.free.push(vector);
        }
    }
}

/// Bytes appended at the end and removed from the front.
///
/// Removal moves a cursor; the bytes behind it are moved down only when at least half of the
/// vector is dead, so that removing costs amortised constant time per byte.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    vector: Vec<u8>,
    start: usize,
}

impl Queue {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        // The handler holds `vector` while it appends; should it shorten it, nothing breaks.
        self.vector.len().saturating_sub(self.start)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.vector.get(self.start..).unwrap_or_default()
    }

    /// The vector to append to.
    #[inline]
    pub(crate) fn tail(&mut self, pool: &mut Pool) -> &mut Vec<u8> {
        if self.vector.capacity() == 0 {
            self.vector = pool.take();
        }
        &mut self.vector
    }

    pub(crate) fn append(&mut self, bytes: &[u8], pool: &mut Pool) {
        if !bytes.is_empty() {
            self.tail(pool).extend_from_slice(bytes);
        }
    }

    /// Drops the first `count` bytes; memory goes back to the pool with the last of them.
    pub(crate) fn remove(&mut self, count: usize, pool: &mut Pool) {
        self.start += count;
        if self.start >= self.vector.len() {
            self.release(pool);
        } else if self.start >= self.vector.len() / 2 {
            self.vector.drain(..self.start);
            self.start = 0;
            self.shrink();
        }
    }

    /// Drops everything.
    pub(crate) fn release(&mut self, pool: &mut Pool) {
        pool.give(std::mem::take(&mut self.vector));
        self.start = 0;
    }

    /// A queue that has become much smaller than its memory gives most of that back.
    fn shrink(&mut self) {
        let len = self.vector.len();
        if self.vector.capacity() > LARGEST_KEPT_BYTES && len < self.vector.capacity() / 4 {
            self.vector.shrink_to(len * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_order_and_memory_goes_back() {
        let (mut queue, mut pool) = (Queue::default(), Pool::default());
        let mut expected = Vec::new();
        for round in 0..1000u32 {
            let chunk = round.to_be_bytes().repeat(3);
            queue.append(&chunk, &mut pool);
            expected.extend_from_slice(&chunk);
            let gone = (round as usize * 7 % 20).min(queue.len());
            queue.remove(gone, &mut pool);
            expected.drain(..gone);
            assert_eq!(queue.bytes(), expected);
        }
        queue.remove(queue.len(), &mut pool);
        assert_eq!((queue.vector.capacity(), pool.free.len()), (0, 1));
    }

    #[test]
    fn a_drained_large_queue_shrinks_and_is_not_kept() {
        let (mut queue, mut pool) = (Queue::default(), Pool::default());
        queue.append(&vec![1; 8 << 20], &mut pool);
        queue.remove((8 << 20) - 100, &mut pool);
        assert_eq!(queue.bytes(), [1; 100]);
        assert!(queue.vector.capacity() <= LARGEST_KEPT_BYTES, "{}", queue.vector.capacity());
        let mut huge = Queue::default();
        huge.append(&vec![1; 1 << 20], &mut pool);
        huge.release(&mut pool);
        assert!(pool.bytes <= POOL_BYTES && pool.free.iter().all(|v| v.capacity() < 1 << 20));
    }

    #[test]
    fn the_pool_is_bounded() {
        let mut pool = Pool::default();
        for _ in 0..10_000 {
            pool.give(Vec::with_capacity(FRESH_BYTES));
        }
        assert!(pool.bytes <= POOL_BYTES && pool.free.len() * FRESH_BYTES <= POOL_BYTES);
        let counted: usize = pool.free.iter().map(Vec::capacity).sum();
        assert_eq!(counted, pool.bytes);
    }

    #[test]
    fn a_vector_shortened_by_its_user_is_an_empty_queue() {
        let (mut queue, mut pool) = (Queue::default(), Pool::default());
        queue.append(&[1; 100], &mut pool);
        queue.remove(10, &mut pool);
        queue.tail(&mut pool).clear();
        assert!(queue.is_empty() && queue.bytes().is_empty());
    }
}
