//! What is held by a place at the front of a queue.

use rookeeper_client::{Client, ErrorCode, SessionState, Transaction, Zxid};
use serde::{Deserialize, Serialize};

use super::ordered::Place;
use super::persist::{pause, unanswered};
use crate::error::{Error, Result};

/// Proves, to whoever keeps the newest number seen, that a grant is not older than another.
///
/// Of two grants of the same lock the later one has the greater [`FencingToken::number`]: it is the
/// zxid of the transaction that created the lock's node. A resource that is not in ZooKeeper is
/// fenced by remembering the greatest number it has seen and refusing smaller ones. A write to
/// ZooKeeper is fenced by [`FencingToken::guard`]: it happens only while the lock's node exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FencingToken {
    path: String,
    number: i64,
}

impl FencingToken {
    pub(crate) fn new(path: String, czxid: Zxid) -> Self {
        Self { path, number: czxid.0 }
    }

    /// Greater for later grants.
    pub fn number(&self) -> i64 {
        self.number
    }

    /// The node that stands for the grant, as the client that got it names it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Adds the condition that the grant still stands. The transaction may be of any client with
    /// the same chroot.
    pub fn guard<'c>(&self, transaction: Transaction<'c>) -> Transaction<'c> {
        // The name has a GUID in it: a node of this path is this node.
        transaction.check(&self.path, None)
    }

    /// Whether a guarded transaction failed because the grant no longer stands.
    pub fn refused(&self, error: &rookeeper_client::Error) -> bool {
        error.code() == Some(ErrorCode::NoNode)
            && error.operation().is_some()
            && error.path() == Some(&self.path)
    }
}

/// Something held: a lock, a lease, a leadership. Given up when dropped, in the background.
///
/// It is held by an ephemeral node, so it ends with the session at the latest, and the servers may
/// end the session when they have not heard from this client for its time-out. Nobody can know at a
/// given moment that he holds something: what must never be done by two is done with the
/// [`FencingToken`].
#[derive(Debug)]
pub struct Held {
    place: Place,
}

impl Held {
    pub(crate) fn new(place: Place) -> Self {
        Self { place }
    }

    pub(crate) fn client(&self) -> &Client {
        self.place.client()
    }

    /// The token of this grant.
    pub fn token(&self) -> FencingToken {
        FencingToken::new(self.place.path(), self.place.czxid())
    }

    /// A transaction that happens only while this is held.
    pub fn transaction(&self) -> Transaction<'_> {
        self.token().guard(self.place.client().transaction())
    }

    /// Gives it up; the next may have it when this returns.
    pub async fn release(self) -> Result<()> {
        self.place.leave().await
    }

    /// Waits until there is no connection: from then on it is in doubt whether this is held. A
    /// connection that comes back in time with the same session ends the doubt.
    pub async fn in_doubt(&self) {
        let connected = SessionState::Connected;
        if self.client().state() == connected {
            self.client().state_changed(connected).await;
        }
    }

    /// Waits until it is certain that this is no longer held: the session is over or the node was
    /// removed. It leaves a watch on the own node.
    pub async fn lost(&self) -> Error {
        let (client, path) = (self.client(), self.place.path());
        loop {
            match client.get_and_watch(&path).await {
                Ok((.., watcher)) => {
                    if let Err(error) = watcher.changed().await {
                        return error.into();
                    }
                }
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    return Error::Lost { path };
                }
                Err(error) if unanswered(&error) => {
                    if let Err(error) = pause(client, &error).await {
                        return error.into();
                    }
                }
                Err(error) => return error.into(),
            }
        }
    }
}
