//! A queue, plain or with priorities, whose items are done exactly when they are acknowledged.
//!
//! ```no_run
//! # async fn example(client: rookeeper_client::Client) -> rookeeper_recipes::Result<()> {
//! use rookeeper_recipes::Queue;
//!
//! let queue = Queue::new(&client, "/queue");
//! queue.put(b"job").await?;
//! let item = queue.take().await?;
//! println!("{:?}", item.data());
//! item.ack().await?;
//! # Ok(()) }
//! ```
//!
//! **It guarantees** that an item whose [`Queue::put`] returned is in the queue once, also when
//! replies were lost, until an [`Item::ack`] returned; that it is given to one consumer at a time;
//! that the item of a consumer that drops it or dies is given to another; that an acknowledgement
//! of a consumer whose claim has ended is refused. Items are given out by priority (0 first), and in
//! the order of their puts within one.
//!
//! **It cannot** give an item to a consumer only once: one that dies after the work and before the
//! acknowledgement has done work that another does again. Nor can a consumer that was paused know
//! that its item went to another before it tries to acknowledge it. A put whose session ended in the
//! middle may or may not have happened. Items taken and given back come in their old order, so
//! order among several consumers is not strict. A queue of very many items is slow: every consumer
//! lists it. Items are at most as large as a node may be.
//!
//! Consumers that wait queue up, and only the first is woken by a new item. The nodes are those of
//! kazoo's `LockingQueue`, so both may share a path.

use std::collections::BTreeSet;

use rookeeper_client::{Client, CreateOptions, ErrorCode};

use crate::base::nodes::{Above, below, child, create_own, ensure, guid};
use crate::base::persist::{self, pause, persist, persist_found, stat_now, unanswered};
use crate::base::task::after_drop;
use crate::error::{Error, Result};
use crate::{ExactlyOnce, Lock};

/// The priority of [`Queue::put`]; smaller is sooner.
pub const PRIORITY: u16 = 100;
const PRIORITY_MAX: u16 = 999;

/// A queue; see the [module](self).
#[derive(Debug)]
pub struct Queue {
    client: Client,
    entries: String,
    taken: String,
    waiting: Lock,
    once: ExactlyOnce,
}

/// An item that is ours until acknowledged or dropped. Dropped, it is given to another.
#[derive(Debug)]
pub struct Item {
    client: Client,
    entry: String,
    claim: String,
    /// What is written in our claim and in no other.
    mark: String,
    data: Vec<u8>,
    done: bool,
}

impl Queue {
    /// The queue of this path.
    pub fn new(client: &Client, path: &str) -> Self {
        Self {
            client: client.clone(),
            entries: child(path, "entries"),
            taken: child(path, "taken"),
            waiting: Lock::new(client, &child(path, "waiting")),
            once: ExactlyOnce::new(client, &child(path, "producers")),
        }
    }

    /// Puts an item at the end.
    pub async fn put(&self, data: &[u8]) -> Result<()> {
        self.put_with_priority(data, PRIORITY).await
    }

    /// Puts an item behind those of the same or a smaller priority; at most 999.
    pub async fn put_with_priority(&self, data: &[u8], priority: u16) -> Result<()> {
        if PRIORITY_MAX < priority {
            return Err(Error::Invalid(format!("priority {priority} is above {PRIORITY_MAX}")));
        }
        let prefix = child(&self.entries, &format!("entry-{priority:03}-"));
        let options = CreateOptions::persistent_sequential();
        loop {
            let put = self.once.commit(|transaction| transaction.create(&prefix, data, &options));
            match put.await {
                Err(Error::Client(error))
                    if error.code() == Some(ErrorCode::NoNode) && error.operation() == Some(0) =>
                {
                    ensure(&self.client, &self.entries, Above::Persistent).await?;
                }
                other => return other.map(drop),
            }
        }
    }

    /// Takes the first item, waiting for one if there is none.
    pub async fn take(&self) -> Result<Item> {
        if let Some(item) = self.try_take().await? {
            return Ok(item);
        }
        let first = self.waiting.acquire().await?;
        let item = self.await_item().await?;
        first.release().await?;
        Ok(item)
    }

    async fn await_item(&self) -> Result<Item> {
        let client = &self.client;
        loop {
            let entries = below(client, &self.entries, Above::Persistent, || {
                persist(client, || client.children_and_watch(&self.entries))
            });
            let (.., entries) = entries.await?;
            let taken = below(client, &self.taken, Above::Container, || {
                persist(client, || client.children_and_watch(&self.taken))
            });
            let (.., taken) = taken.await?;
            if let Some(item) = self.try_take().await? {
                return Ok(item);
            }
            tokio::select! {
                changed = entries.changed() => changed?,
                changed = taken.changed() => changed?,
            };
        }
    }

    /// Takes the first item that is not taken, if there is one.
    pub async fn try_take(&self) -> Result<Option<Item>> {
        let entries = self.list(&self.entries).await?;
        if entries.is_empty() {
            return Ok(None);
        }
        let taken = self.list(&self.taken).await?;
        for name in entries.difference(&taken) {
            if let Some(item) = self.claim(name).await? {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    async fn list(&self, path: &str) -> Result<BTreeSet<String>> {
        let client = &self.client;
        let found = persist_found(client, || client.children(path)).await?;
        Ok(found.into_iter().flat_map(|(names, _)| names).collect())
    }

    /// Claims an item, if nobody has it and it is still there.
    async fn claim(&self, name: &str) -> Result<Option<Item>> {
        let (entry, claim) = (child(&self.entries, name), child(&self.taken, name));
        let client = self.client.clone();
        // Whoever drops this future from here on gives back what it may have claimed.
        let mut item = Item { client, entry, claim, mark: guid(), data: Vec::new(), done: false };
        if !item.create_claim().await? {
            item.done = true;
            return Ok(None);
        }
        let (client, entry) = (&self.client, &item.entry);
        match persist_found(client, || client.get(entry)).await? {
            Some((data, _)) => {
                item.data = data;
                Ok(Some(item))
            }
            // Acknowledged since it was listed; dropping the item drops the claim.
            None => Ok(None),
        }
    }

    /// How many items are in the queue, those taken and not acknowledged included.
    pub async fn len(&self) -> Result<usize> {
        Ok(self.list(&self.entries).await?.len())
    }

    /// Whether nothing is in the queue.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(self.len().await? == 0)
    }
}

impl Item {
    /// Makes the claim's node; false when another has it, be it a consumer of the same session.
    async fn create_claim(&self) -> Result<bool> {
        let (client, claim) = (&self.client, &self.claim);
        let mark = self.mark.as_bytes();
        if create_own(client, claim, mark, Above::Container).await?.is_none() {
            return Ok(false);
        }
        let found = persist_found(client, || client.get(claim)).await?;
        Ok(found.is_some_and(|(data, _)| data == mark))
    }

    /// What was put.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The item is done: it leaves the queue. Fails with [`Error::Lost`] when the claim was removed,
    /// and with an error that says so when the session is over: then another has it or will.
    pub async fn ack(mut self) -> Result<Vec<u8>> {
        let client = self.client.clone();
        loop {
            let done = client.transaction().delete(&self.claim, None).delete(&self.entry, None);
            match done.commit().await {
                Ok(_) => break,
                Err(error) if unanswered(&error) => {
                    if let Err(over) = pause(&client, &error).await {
                        let unknown = error.kind() == rookeeper_client::ErrorKind::OutcomeUnknown;
                        return Err(if unknown { error } else { over }.into());
                    }
                    // Nobody else removes an item that this session has claimed.
                    if stat_now(&client, &self.entry).await?.is_none() {
                        break;
                    }
                }
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    self.done = true;
                    return Err(Error::Lost { path: self.claim.clone() });
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.done = true;
        Ok(std::mem::take(&mut self.data))
    }

    /// Gives the item back; another may have it when this returns.
    pub async fn give_back(mut self) -> Result<()> {
        unclaim(&self.client, &self.claim, &self.mark).await?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        if !self.done && !self.client.state().is_final() {
            let (client, claim) = (self.client.clone(), std::mem::take(&mut self.claim));
            let mark = std::mem::take(&mut self.mark);
            after_drop(async move {
                if let Err(error) = unclaim(&client, &claim, &mark).await {
                    tracing::debug!(%error, claim, "left to the session");
                }
            });
        }
    }
}

/// Removes a claim if it is ours. It cannot become another's in between: while our session lives
/// nobody else removes it, and when it does not the delete is refused.
async fn unclaim(client: &Client, claim: &str, mark: &str) -> Result<()> {
    persist(client, || client.sync(claim)).await?;
    match persist_found(client, || client.get(claim)).await? {
        Some((data, _)) if data == mark.as_bytes() => Ok(persist::delete(client, claim).await?),
        _ => Ok(()),
    }
}
