//! Transactions that happen exactly once, also when a reply is lost.
//!
//! ```no_run
//! # async fn example(client: rookeeper_client::Client) -> rookeeper_recipes::Result<()> {
//! use rookeeper_client::CreateOptions;
//! use rookeeper_recipes::ExactlyOnce;
//!
//! let once = ExactlyOnce::new(&client, "/app/ledgers");
//! once.commit(|transaction| {
//!     transaction
//!         .set("/app/total", b"17", Some(4))
//!         .create("/app/log/entry-", b"+3", &CreateOptions::persistent_sequential())
//! })
//! .await?;
//! # Ok(()) }
//! ```
//!
//! Every transaction also sets an ephemeral node that belongs to this helper alone (the ledger), and
//! requires its version. After a lost reply the ledger's version says whether it happened.
//!
//! **It guarantees**, while the session lives, that a committed transaction happened once and a
//! refused one not at all; that of the transactions of one helper each sees those before it. It may
//! be dropped at any time: then the transaction under way happens once or not at all.
//!
//! **It cannot** say so when the session ends in the middle: then the error is
//! [`rookeeper_client::ErrorKind::OutcomeUnknown`] or says that the session is over, and the
//! transaction may or may not have happened. When the reply was lost, the results (paths of
//! sequential nodes, stats) are lost with it: [`Committed::Unseen`]. One helper commits one transaction
//! at a time; take several for more.

use rookeeper_client::{Client, ErrorKind, OpResult, Transaction};
use tokio::sync::Mutex;

use crate::base::nodes::{Above, child, create_own, guid};
use crate::base::persist::{pause, stat_now, unanswered};
use crate::base::task::delete_after_drop;
use crate::error::{Error, Result};

/// How a transaction was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// With these results.
    Seen(Vec<OpResult>),
    /// The reply was lost, and the ledger says that it happened.
    Unseen,
}

/// Commits transactions exactly once; see the [module](self).
#[derive(Debug)]
pub struct ExactlyOnce {
    client: Client,
    ledger: String,
    /// The ledger's version; `None` when it must be looked up.
    version: Mutex<Option<i32>>,
}

impl ExactlyOnce {
    /// A helper whose ledger is below `parent`; the path is made when needed.
    pub fn new(client: &Client, parent: &str) -> Self {
        let ledger = child(parent, &guid());
        Self { client: client.clone(), ledger, version: Mutex::new(None) }
    }

    /// Commits what `build` adds to a transaction; `build` may be called again for another attempt.
    /// On an error of the server nothing has happened.
    pub async fn commit<F>(&self, build: F) -> Result<Committed>
    where
        F: for<'c> Fn(Transaction<'c>) -> Transaction<'c>,
    {
        let mut known = self.version.lock().await;
        let version = match known.take() {
            Some(version) => version,
            None => self.open().await?,
        };
        loop {
            // Last, so that an error names the caller's operations.
            let transaction = build(self.client.transaction());
            let transaction = transaction.set(&self.ledger, b"", Some(version));
            match transaction.commit().await {
                Ok(mut results) => {
                    results.pop();
                    *known = Some(version.wrapping_add(1));
                    return Ok(Committed::Seen(results));
                }
                Err(error) if unanswered(&error) => {
                    let paused = pause(&self.client, &error).await;
                    let looked = match paused {
                        Ok(()) => self.look().await,
                        Err(over) => Err(over.into()),
                    };
                    match looked {
                        Ok(now) if now == version => {}
                        Ok(now) => {
                            *known = Some(now);
                            return Ok(Committed::Unseen);
                        }
                        // Nobody will ever know.
                        Err(_) if error.kind() == ErrorKind::OutcomeUnknown => {
                            return Err(error.into());
                        }
                        Err(over) => return Err(over),
                    }
                }
                Err(error) => {
                    *known = Some(version);
                    return Err(error.into());
                }
            }
        }
    }

    /// The ledger's version, making it first if it is missing.
    async fn open(&self) -> Result<i32> {
        create_own(&self.client, &self.ledger, b"", Above::Container).await?;
        self.look().await
    }

    async fn look(&self) -> Result<i32> {
        match stat_now(&self.client, &self.ledger).await? {
            Some(stat) => Ok(stat.version),
            None => Err(Error::Lost { path: self.ledger.clone() }),
        }
    }
}

impl Drop for ExactlyOnce {
    fn drop(&mut self) {
        // Made or not, it goes with the session; this only saves the servers some memory.
        if self.version.get_mut().is_some() {
            delete_after_drop(&self.client, std::mem::take(&mut self.ledger));
        }
    }
}
