//! A queue between two threads: whole batches in, whole batches out, one lock each way.
//!
//! Bounded by what is put in: the core thread stops reading sockets when too much is in flight
//! (`replica::limits`), so at most that much waits here.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The queue.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    queue: Mutex<Vec<T>>,
    filled: Condvar,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self { queue: Mutex::new(Vec::new()), filled: Condvar::new() }
    }
}

impl<T> Mailbox<T> {
    /// A panic elsewhere while the lock was held leaves a vector that is whole all the same.
    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves all of `batch` in.
    pub(crate) fn put_all(&self, batch: &mut Vec<T>) {
        let mut queue = self.lock();
        let was_empty = queue.is_empty();
        if was_empty {
            std::mem::swap(&mut *queue, batch);
        } else {
            queue.append(batch);
        }
        drop(queue);
        if was_empty {
            self.filled.notify_one();
        }
    }

    /// Puts one in.
    pub(crate) fn put(&self, item: T) {
        self.put_all(&mut vec![item]);
    }

    /// Swaps everything into `out`, which must be empty. Does not wait.
    pub(crate) fn take_all(&self, out: &mut Vec<T>) {
        debug_assert!(out.is_empty());
        std::mem::swap(&mut *self.lock(), out);
    }

    /// Waits until there is something or `limit` has passed. Takes nothing.
    pub(crate) fn wait(&self, limit: Option<std::time::Duration>) {
        let queue = self.lock();
        match limit {
            None => drop(self.filled.wait_while(queue, |queue| queue.is_empty())),
            Some(limit) => {
                drop(self.filled.wait_timeout_while(queue, limit, |queue| queue.is_empty()));
            }
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}
