//! A semaphore: up to `n` hold a lease at a time.
//!
//! **It guarantees** that the servers grant at most `n` leases at a time, in the order of the requests;
//! that a lease that comes back wakes one waiter; the rest as [`lock`](crate::lock) does. Each lease has
//! a token: it says whether the lease stands, and orders the grants.
//!
//! **It cannot** notice that participants disagree about `n`; each goes by its own. What
//! [`lock`](crate::lock) cannot, it cannot either.
//!
//! Those that wait queue up for a lock below the semaphore's path (`queue`); who has it makes its node
//! in `leases` and is the only one that watches them.

use rookeeper_client::{Client, ErrorCode};

use crate::base::nodes::child;
use crate::base::ordered::{EXCLUSIVE, Place};
use crate::base::persist::{pause, unanswered};
use crate::error::{Error, Result};
use crate::{Held, Lock};

/// A semaphore; see the [module](self).
#[derive(Debug, Clone)]
pub struct Semaphore {
    client: Client,
    leases: String,
    queue: Lock,
    n: usize,
}

impl Semaphore {
    /// The semaphore of this path, with `n` leases.
    pub fn new(client: &Client, path: &str, n: usize) -> Self {
        let queue = Lock::new(client, &child(path, "queue"));
        Self { client: client.clone(), leases: child(path, "leases"), queue, n }
    }

    /// Waits for a lease.
    pub async fn acquire(&self) -> Result<Held> {
        let first = self.queue.acquire().await?;
        let place = self.place().await?;
        // Whoever is among the first n holds a lease, also if the queue's lock was lost meanwhile.
        loop {
            let watcher = match self.client.children_and_watch(&self.leases).await {
                Ok((.., watcher)) => watcher,
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    return Err(Error::Lost { path: place.path() });
                }
                Err(error) if unanswered(&error) => {
                    pause(&self.client, &error).await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if place.before().await?.len() < self.n {
                break;
            }
            watcher.changed().await?;
        }
        first.release().await?;
        Ok(Held::new(place))
    }

    /// Takes a lease if one is free and nobody waits.
    pub async fn try_acquire(&self) -> Result<Option<Held>> {
        let Some(first) = self.queue.try_acquire().await? else { return Ok(None) };
        let place = self.place().await?;
        let free = place.before().await?.len() < self.n;
        let held = if free {
            Some(Held::new(place))
        } else {
            place.leave().await?;
            None
        };
        first.release().await?;
        Ok(held)
    }

    async fn place(&self) -> Result<Place> {
        Place::take(&self.client, &self.leases, EXCLUSIVE, b"").await
    }
}
