//! A number that many change.
//!
//! **It guarantees** that every [`Counter::add`] that returns has been counted exactly once, also
//! when replies were lost (it is committed through [`transaction`](crate::transaction)), and that it
//! answers the number right after its own change.
//!
//! **It cannot** say whether an addition was counted when the session ended in the middle; see
//! [`transaction`](crate::transaction). It is not fast under contention: who comes second tries again.
//! It stays when nobody uses it. An overflow is refused.
//!
//! The node holds the number as text, as kazoo's `Counter` does.

use rookeeper_client::{Client, ErrorCode};

use crate::ExactlyOnce;
use crate::base::nodes::{self, Above, child};
use crate::base::persist::{persist, persist_found};
use crate::error::{Error, Result};

/// A counter; see the [module](self).
#[derive(Debug)]
pub struct Counter {
    client: Client,
    path: String,
    once: ExactlyOnce,
}

impl Counter {
    /// The counter below this path; 0 until added to.
    pub fn new(client: &Client, path: &str) -> Self {
        let once = ExactlyOnce::new(client, &child(path, "ledgers"));
        Self { client: client.clone(), path: child(path, "value"), once }
    }

    /// The number. It may be an earlier one if the connected server lags behind; see
    /// [`Client::sync`].
    pub async fn get(&self) -> Result<i64> {
        Ok(self.read().await?.map_or(0, |(value, _)| value))
    }

    async fn read(&self) -> Result<Option<(i64, i32)>> {
        let found = persist_found(&self.client, || self.client.get(&self.path)).await?;
        let Some((data, stat)) = found else { return Ok(None) };
        let text = String::from_utf8_lossy(&data);
        let value = text.parse().map_err(|error| Error::Malformed {
            path: self.path.clone(),
            reason: format!("'{text}' is not a number: {error}"),
        })?;
        Ok(Some((value, stat.version)))
    }

    /// Adds, and answers the sum.
    pub async fn add(&self, amount: i64) -> Result<i64> {
        loop {
            let Some((value, version)) = self.read().await? else {
                nodes::make(&self.client, &self.path, b"0", Above::Persistent).await?;
                continue;
            };
            let sum = value.checked_add(amount).ok_or_else(|| {
                Error::Invalid(format!("{value} + {amount} is not within 64 bits"))
            })?;
            let text = sum.to_string();
            let set = self.once.commit(|t| t.set(&self.path, text.as_bytes(), Some(version)));
            match set.await {
                Ok(_) => return Ok(sum),
                Err(error) if error.code() == Some(ErrorCode::BadVersion) => {
                    // Behind a server's back; the next read shows the winner's number.
                    persist(&self.client, || self.client.sync(&self.path)).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
