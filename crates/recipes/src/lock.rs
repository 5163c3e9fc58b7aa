//! An exclusive lock.
//!
//! ```no_run
//! # async fn example(client: rookeeper_client::Client) -> rookeeper_recipes::Result<()> {
//! use rookeeper_recipes::Lock;
//!
//! let held = Lock::new(&client, "/locks/report").acquire().await?;
//! // Happens only while the lock is held, however long this program was asleep before.
//! held.transaction().set("/report", b"new", None).commit().await?;
//! held.release().await?;
//! # Ok(()) }
//! ```
//!
//! **It guarantees** that the servers grant it to one at a time, in the order of the requests; that
//! of two grants the later has the greater token; that a release wakes one waiter; that a lost reply
//! or a lost connection neither loses a place nor takes two; that an [`Lock::acquire`] whose future is
//! dropped gives its place up. When the session ends, waiting fails with
//! [`Error::is_session_over`](crate::Error::is_session_over) and what was held is gone.
//!
//! **It cannot** guarantee that a holder knows in time that it is none any more: a program that was
//! paused for longer than its session's time-out goes on as if it held the lock. Writes that matter
//! are made with [`Held::transaction`], or with the token's number where the resource is elsewhere.
//! It is not re-entrant. More than 2 147 483 647 acquisitions while somebody is always waiting wrap
//! the servers' counter and with it the order.
//!
//! Nodes are named as kazoo names them: its `Lock` and these may share a path. Curator's may not.

use std::time::Duration;

use rookeeper_client::Client;

use crate::base::ordered::{EXCLUSIVE, Place};
use crate::error::Result;
use crate::{FencingToken, Held};

/// An exclusive lock; see the [module](self).
#[derive(Debug, Clone)]
pub struct Lock {
    client: Client,
    path: String,
    holder: Vec<u8>,
}

impl Lock {
    /// The lock of this path. Its nodes are made when needed and go when nobody uses them.
    pub fn new(client: &Client, path: &str) -> Self {
        Self { client: client.clone(), path: path.to_owned(), holder: Vec::new() }
    }

    /// What is written into the lock's node for people to read.
    #[must_use]
    pub fn named(mut self, holder: &str) -> Self {
        self.holder = holder.as_bytes().to_vec();
        self
    }

    async fn place(&self) -> Result<Place> {
        Place::take(&self.client, &self.path, EXCLUSIVE, &self.holder).await
    }

    /// Waits for the lock.
    pub async fn acquire(&self) -> Result<Held> {
        let place = self.place().await?;
        place.turn(|_| true).await?;
        Ok(Held::new(place))
    }

    /// Takes the lock if it is free.
    pub async fn try_acquire(&self) -> Result<Option<Held>> {
        let place = self.place().await?;
        if place.before().await?.is_empty() {
            return Ok(Some(Held::new(place)));
        }
        place.leave().await?;
        Ok(None)
    }

    /// Waits for the lock, but not longer than this.
    pub async fn acquire_within(&self, patience: Duration) -> Result<Option<Held>> {
        tokio::time::timeout(patience, self.acquire()).await.ok().transpose()
    }

    /// Who holds it and who waits, in order: the tokens and what [`Lock::named`] wrote.
    pub async fn contenders(&self) -> Result<Vec<(FencingToken, String)>> {
        crate::base::ordered::contenders(&self.client, &self.path).await
    }
}
