//! One node's data, kept at hand.
//!
//! **It guarantees** that what it shows was there at some time, never goes back in time within a
//! session, and is followed by what came after; that no last change is missed, through lost
//! connections and in new sessions. While there is no connection it shows what it knew last.
//!
//! **It cannot** show every change: of several in quick succession it may show only the last. What it
//! shows is late by the time a notification and a read take; a new session may for a moment know
//! less than the old one did.

use rookeeper_client::{Client, Stat};
use tokio::sync::watch;

use crate::Sessions;
use crate::base::persist::{persist, persist_found};
use crate::base::task::Task;
use crate::error::{Error, Result};
use crate::sessions::in_each_session;

/// A node's data and stat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The data.
    pub data: Vec<u8>,
    /// The stat.
    pub stat: Stat,
}

/// What a cache knows of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Nothing yet.
    NotYet,
    /// It does not exist.
    Missing,
    /// It exists.
    Node(Node),
}

/// A node, kept at hand; see the [module](self). It ends when dropped.
#[derive(Debug)]
pub struct NodeCache {
    known: watch::Receiver<Known>,
    _task: Task,
}

impl NodeCache {
    /// Begins to follow a node, which need not exist.
    pub fn start(sessions: &Sessions, path: &str) -> Self {
        let (sender, known) = watch::channel(Known::NotYet);
        let (sessions, path) = (sessions.clone(), path.to_owned());
        let task = Task::spawn(async move {
            in_each_session(&sessions, |client| follow(client, &path, &sender)).await;
        });
        Self { known, _task: task }
    }

    /// What is known now.
    pub fn get(&self) -> Known {
        self.known.borrow().clone()
    }

    /// Follows the changes.
    pub fn watch(&self) -> watch::Receiver<Known> {
        self.known.clone()
    }

    /// Waits until the node is known, or known to be missing. Fails when the last session is over.
    pub async fn ready(&self) -> Result<()> {
        let mut known = self.known.clone();
        let is_known = known.wait_for(|known| *known != Known::NotYet).await;
        is_known.map(drop).map_err(|_| Error::Ended)
    }
}

/// Follows a node in one session.
async fn follow(client: Client, path: &str, told: &watch::Sender<Known>) -> Result<()> {
    let client = &client;
    loop {
        let found = persist_found(client, || client.get_and_watch(path)).await?;
        let watcher = match found {
            Some((data, stat, watcher)) => {
                tell(told, Known::Node(Node { data, stat }));
                watcher
            }
            None => match persist(client, || client.exists_and_watch(path)).await? {
                (Some(_), _) => continue,
                (None, watcher) => {
                    tell(told, Known::Missing);
                    watcher
                }
            },
        };
        watcher.changed().await?;
    }
}

fn tell(told: &watch::Sender<Known>, now: Known) {
    told.send_if_modified(|known| {
        let changed = *known != now;
        *known = now;
        changed
    });
}
