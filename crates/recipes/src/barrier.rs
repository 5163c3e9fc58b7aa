//! Barriers: [`Barrier`] holds everybody back until somebody lowers it; [`DoubleBarrier`] lets a
//! number of participants begin together and end together.
//!
//! **Guarantees.** Nobody passes a barrier while its node exists. Nobody enters a double barrier
//! before `n` are there at once, and nobody leaves before all that entered want to leave or are gone.
//! A participant that dies is gone when its session is. Lost replies and connections change nothing.
//!
//! **It cannot** keep a participant that dies inside from being missed: the others leave without it.
//! When one dies after all were there, the rest enter nevertheless. More participants than `n` are let
//! in as long as somebody is inside. A barrier that is lowered wakes everybody at once: that is its
//! purpose.

use rookeeper_client::Client;

use crate::base::nodes::{self, Above, below, child, create_own, guid};
use crate::base::persist::{self, persist, persist_found};
use crate::base::task::delete_after_drop;
use crate::error::{Error, Result};

/// A barrier; see the [module](self).
#[derive(Debug, Clone)]
pub struct Barrier {
    client: Client,
    path: String,
}

impl Barrier {
    /// The barrier of this path: raised while the node exists.
    pub fn new(client: &Client, path: &str) -> Self {
        Self { client: client.clone(), path: path.to_owned() }
    }

    /// Raises it; once raised it stays until lowered.
    pub async fn raise(&self) -> Result<()> {
        Ok(nodes::make(&self.client, &self.path, b"", Above::Container).await?)
    }

    /// Lowers it.
    pub async fn lower(&self) -> Result<()> {
        Ok(persist::delete(&self.client, &self.path).await?)
    }

    /// Waits until it is not raised.
    pub async fn wait(&self) -> Result<()> {
        let client = &self.client;
        while let Some((.., watcher)) =
            persist_found(client, || client.get_and_watch(&self.path)).await?
        {
            watcher.changed().await?;
        }
        Ok(())
    }
}

/// A double barrier; see the [module](self).
#[derive(Debug, Clone)]
pub struct DoubleBarrier {
    client: Client,
    members: String,
    ready: String,
    n: usize,
}

/// A participant's place in a double barrier, from before it enters until it has left.
#[derive(Debug)]
pub struct Inside {
    barrier: DoubleBarrier,
    name: String,
    left: bool,
}

impl DoubleBarrier {
    /// The double barrier of this path, for `n` participants.
    pub fn new(client: &Client, path: &str, n: usize) -> Self {
        let (members, ready) = (child(path, "members"), child(path, "ready"));
        Self { client: client.clone(), members, ready, n }
    }

    /// Waits until `n` participants are there.
    pub async fn enter(&self) -> Result<Inside> {
        self.forget_last_time().await?;
        let inside = Inside { barrier: self.clone(), name: guid(), left: false };
        let path = child(&self.members, &inside.name);
        create_own(&self.client, &path, b"", Above::Container).await?;
        loop {
            let client = &self.client;
            let watched = below(client, &self.ready, Above::Container, || {
                persist(client, || client.children_and_watch(&self.ready))
            });
            let (ready, _, watcher) = watched.await?;
            if !ready.is_empty() {
                return Ok(inside);
            }
            let members = self.list(&self.members).await?;
            if !members.contains(&inside.name) {
                return Err(Error::Lost { path });
            }
            if self.n <= members.len() {
                self.open().await?;
                return Ok(inside);
            }
            watcher.changed().await?;
        }
    }

    /// Tells those that wait: they all watch this one list.
    async fn open(&self) -> Result<()> {
        let path = child(&self.ready, &guid());
        Ok(nodes::make(&self.client, &path, b"", Above::Container).await?)
    }

    async fn list(&self, path: &str) -> Result<Vec<String>> {
        let client = &self.client;
        let found = persist_found(client, || client.children(path)).await?;
        let mut names = found.map(|(names, _)| names).unwrap_or_default();
        names.sort_unstable();
        Ok(names)
    }

    /// Removes what the last time left behind. What was ready before a look that finds nobody is
    /// over: its `n` members have been there and are gone.
    async fn forget_last_time(&self) -> Result<()> {
        let ready = self.list(&self.ready).await?;
        if !ready.is_empty() && self.list(&self.members).await?.is_empty() {
            for name in ready {
                persist::delete(&self.client, &child(&self.ready, &name)).await?;
            }
        }
        Ok(())
    }
}

impl Inside {
    /// Waits until everybody inside wants to leave.
    pub async fn leave(mut self) -> Result<()> {
        let barrier = self.barrier.clone();
        let (client, path) = (&barrier.client, child(&barrier.members, &self.name));
        // Those that come back for the next time while this one ends are not waited for.
        let inside = barrier.list(&barrier.members).await?;
        loop {
            let mut members = barrier.list(&barrier.members).await?;
            members.retain(|name| inside.binary_search(name).is_ok());
            let (Some(first), Some(last)) = (members.first(), members.last()) else { break };
            // The first leaves last, and meanwhile everybody else waits for it: the order of
            // ZooKeeper's recipe, in which a node that goes wakes at most one but at the end.
            let awaited = if *first == self.name {
                if first == last {
                    persist::delete(client, &path).await?;
                    break;
                }
                last
            } else {
                if members.contains(&self.name) {
                    persist::delete(client, &path).await?;
                }
                first
            };
            let awaited = child(&barrier.members, awaited);
            if let Some((.., watcher)) =
                persist_found(client, || client.get_and_watch(&awaited)).await?
            {
                watcher.changed().await?;
            }
        }
        self.left = true;
        barrier.forget_last_time().await
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if !self.left {
            let path = child(&self.barrier.members, &self.name);
            delete_after_drop(&self.barrier.client, path);
        }
    }
}
