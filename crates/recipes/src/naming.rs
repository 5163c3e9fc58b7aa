//! Names and unique ids.
//!
//! [`UniqueIds`] gives out 64-bit numbers, [`WorkerNumber`] the lowest free small number, and
//! [`unique_name`] a path; [`bind`] gives something a name of its own.
//!
//! **Guarantees.** No two calls are given the same id or path, ever, in any process, whatever happens to
//! replies, connections and sessions. A worker number belongs to one session at a time. A name is bound
//! to one thing at a time.
//!
//! **They cannot** be without gaps: numbers that a process took and did not use are lost with it, as
//! are those of a lost reply. Ids of several processes are not in the order of the calls. A worker
//! that was paused may believe that it has a number that is another's by now; its
//! [`WorkerNumber::token`] tells.

use rookeeper_client::{Client, CreateOptions};
use tokio::sync::Mutex;

use crate::base::nodes::{Above, child, create_own, create_protected, guid};
use crate::base::persist::{self, persist_found};
use crate::base::task::{delete_after_drop, to_its_end};
use crate::error::{Error, Result};
use crate::{Counter, FencingToken};

/// Unique numbers, fetched in blocks; see the [module](self).
#[derive(Debug)]
pub struct UniqueIds {
    counter: Counter,
    block: i64,
    /// The next, and the end of the block.
    present: Mutex<(i64, i64)>,
}

impl UniqueIds {
    /// The numbers of this path, fetched `block` at a time: one write for each block.
    pub fn new(client: &Client, path: &str, block: u32) -> Self {
        let counter = Counter::new(client, path);
        Self { counter, block: i64::from(block.max(1)), present: Mutex::new((0, 0)) }
    }

    /// The next number.
    pub async fn next(&self) -> Result<i64> {
        let mut present = self.present.lock().await;
        if present.0 == present.1 {
            let end = self.counter.add(self.block).await?;
            *present = (end - self.block, end);
        }
        let id = present.0;
        present.0 += 1;
        Ok(id)
    }
}

/// Makes a persistent node whose name nobody else has: `prefix`, a GUID and digits that grow.
/// Answers its path.
pub async fn unique_name(client: &Client, parent: &str, prefix: &str) -> Result<String> {
    let guid = guid();
    let name = format!("{prefix}{guid}-");
    let options = CreateOptions::persistent_sequential();
    let place = (parent, name.as_str(), guid.as_str());
    let made = create_protected(client, place, b"", &options, Above::Persistent).await?;
    Ok(made.0)
}

/// Something a session has alone: a name or a number. Given up when dropped, in the background.
#[derive(Debug)]
pub struct Bound {
    client: Client,
    path: String,
    token: FencingToken,
    left: bool,
}

impl Bound {
    /// `None` when another has it.
    async fn take(client: Client, path: String, data: Vec<u8>) -> Result<Option<Self>> {
        let made = create_own(&client, &path, &data, Above::Container).await?;
        Ok(made.map(|stat| {
            let token = FencingToken::new(path.clone(), stat.czxid);
            Self { client, path, token, left: false }
        }))
    }

    /// The node.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Of two that had the same name the later has the greater number. A guard made of it only says
    /// that somebody has the name, so compare the numbers.
    pub fn token(&self) -> &FencingToken {
        &self.token
    }

    /// Gives it up.
    pub async fn release(mut self) -> Result<()> {
        persist::delete(&self.client, &self.path).await?;
        self.left = true;
        Ok(())
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if !self.left {
            delete_after_drop(&self.client, std::mem::take(&mut self.path));
        }
    }
}

/// Binds a name below `parent` to some data for as long as the session lives and nobody drops it;
/// `None` when it is bound already.
pub async fn bind(client: &Client, parent: &str, name: &str, data: &[u8]) -> Result<Option<Bound>> {
    to_its_end(Bound::take(client.clone(), child(parent, name), data.to_vec())).await
}

/// What a name is bound to.
pub async fn resolve(client: &Client, parent: &str, name: &str) -> Result<Option<Vec<u8>>> {
    let path = child(parent, name);
    let found = persist_found(client, || client.get(&path)).await?;
    Ok(found.map(|(data, _)| data))
}

/// The lowest number that no other session has: the worker's part of ids made elsewhere, a shard, a
/// port.
#[derive(Debug)]
pub struct WorkerNumber {
    number: u32,
    bound: Bound,
}

impl WorkerNumber {
    /// Takes the lowest free number below `limit`; fails when all are taken.
    pub async fn take(client: &Client, path: &str, limit: u32) -> Result<Self> {
        let listed = persist_found(client, || client.children(path)).await?;
        let taken = listed.map(|(names, _)| names).unwrap_or_default();
        for number in 0..limit {
            let name = number.to_string();
            if taken.contains(&name) {
                continue;
            }
            // What is written tells two workers of one session apart.
            let mark = guid();
            let Some(mut bound) = bind(client, path, &name, mark.as_bytes()).await? else {
                continue;
            };
            if resolve(client, path, &name).await?.as_deref() == Some(mark.as_bytes()) {
                return Ok(Self { number, bound });
            }
            bound.left = true;
        }
        Err(Error::Invalid(format!("all {limit} numbers of {path} are taken")))
    }

    /// The number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// See [`Bound::token`].
    pub fn token(&self) -> &FencingToken {
        self.bound.token()
    }

    /// Gives it up.
    pub async fn release(self) -> Result<()> {
        self.bound.release().await
    }
}
