//! A lock that many may share for reading and one has alone for writing.
//!
//! ```no_run
//! # async fn example(client: rookeeper_client::Client) -> rookeeper_recipes::Result<()> {
//! use rookeeper_recipes::ReadWriteLock;
//!
//! let lock = ReadWriteLock::new(&client, "/locks/index");
//! let reading = lock.read().await?;
//! reading.release().await?;
//! let writing = lock.write().await?;
//! # drop(writing); Ok(()) }
//! ```
//!
//! **It guarantees** what [`lock`](crate::lock) does, with this difference: a reader waits only for
//! the writers that came before it, and watches the last of them; a writer waits for everybody before
//! it and watches the last. Whoever came first goes first, so writers do not starve.
//!
//! **It cannot** turn a read lock into a write lock or back. The end of a writer wakes all readers
//! that wait for it: they all go on. For the rest see [`lock`](crate::lock).
//!
//! kazoo's `ReadLock` and `WriteLock` may share a path with these.

use rookeeper_client::Client;

use crate::Held;
use crate::base::ordered::{Child, EXCLUSIVE, Place, SHARED};
use crate::error::Result;

/// A read/write lock; see the [module](self).
#[derive(Debug, Clone)]
pub struct ReadWriteLock {
    client: Client,
    path: String,
}

impl ReadWriteLock {
    /// The lock of this path.
    pub fn new(client: &Client, path: &str) -> Self {
        Self { client: client.clone(), path: path.to_owned() }
    }

    /// Waits until no writer is before.
    pub async fn read(&self) -> Result<Held> {
        let place = Place::take(&self.client, &self.path, SHARED, b"").await?;
        place.turn(|child| !child.is_shared()).await?;
        Ok(Held::new(place))
    }

    /// Waits until nobody is before.
    pub async fn write(&self) -> Result<Held> {
        let place = Place::take(&self.client, &self.path, EXCLUSIVE, b"").await?;
        place.turn(|_| true).await?;
        Ok(Held::new(place))
    }

    /// A read lock, if no writer is before.
    pub async fn try_read(&self) -> Result<Option<Held>> {
        self.attempt(SHARED, |child| !child.is_shared()).await
    }

    /// The write lock, if nobody is before.
    pub async fn try_write(&self) -> Result<Option<Held>> {
        self.attempt(EXCLUSIVE, |_| true).await
    }

    async fn attempt(&self, marker: &str, blocks: impl Fn(&Child) -> bool) -> Result<Option<Held>> {
        let place = Place::take(&self.client, &self.path, marker, b"").await?;
        if place.before().await?.iter().any(blocks) {
            place.leave().await?;
            return Ok(None);
        }
        Ok(Some(Held::new(place)))
    }
}
