//! Waking the reactor from another thread.
//!
//! Wakes coalesce: however many arrive before the reactor looks, `on_wake` is called once after the
//! last of them. A wake costs a system call only while the reactor sleeps (or is about to); while
//! it works, a wake is one atomic swap, and the reactor notices before it would sleep.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use mio::{Registry, Token};

/// The reactor is working and will look at the state before it sleeps.
const WORKING: u8 = 0;
/// The reactor is in the kernel, or past the last look on its way there.
const ASLEEP: u8 = 1;
/// Somebody woke it since it last looked.
const WOKEN: u8 = 2;

#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    kernel: mio::Waker,
}

/// A handle with which any thread makes the reactor call `on_wake`.
#[derive(Clone, Debug)]
pub struct Waker {
    shared: Arc<Shared>,
}

impl Waker {
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Waker> {
        let kernel = mio::Waker::new(registry, token)?;
        Ok(Waker { shared: Arc::new(Shared { state: AtomicU8::new(WORKING), kernel }) })
    }

    /// Makes the reactor call `on_wake` soon. Whatever this thread wrote before is visible to that
    /// call.
    pub fn wake(&self) {
        let previous = self.shared.state.swap(WOKEN, Ordering::AcqRel);
        if previous == ASLEEP
            && let Err(error) = self.shared.kernel.wake()
        {
            // Only possible when the descriptor is gone, that is, never while `shared` lives.
            tracing::error!(%error, "cannot wake the reactor");
        }
    }

    /// Announces that the reactor is about to sleep; false when it must not.
    pub(crate) fn may_sleep(&self) -> bool {
        let state = &self.shared.state;
        state.compare_exchange(WORKING, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Announces that the reactor works again; true when somebody woke it since the last call.
    pub(crate) fn take(&self) -> bool {
        self.shared.state.swap(WORKING, Ordering::AcqRel) == WOKEN
    }
}
