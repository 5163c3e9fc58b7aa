//! Leader election: who wants to lead queues up, the first leads until it resigns or is gone.
//!
//! ```no_run
//! # async fn example(client: rookeeper_client::Client) -> rookeeper_recipes::Result<()> {
//! use rookeeper_recipes::Election;
//!
//! let leading = Election::new(&client, "/election", "host-7").campaign().await?;
//! tokio::select! {
//!     _ = async { /* lead */ } => {}
//!     why = leading.lost() => println!("no longer the leader: {why}"),
//! }
//! leading.release().await?;
//! # Ok(()) }
//! ```
//!
//! **It guarantees** what [`lock`](crate::lock) does: the servers know one leader at a time, its
//! successor is the one that waited longest, and its token is greater. [`LeaderLatch`] stays a
//! candidate for as long as it lives, through lost connections and in new sessions, and says
//! [`Leading::Suspended`] as soon as its connection is lost and [`Leading::Yes`] again only when it
//! has seen that its node is still there.
//!
//! **It cannot** keep a leader that was paused from believing that it leads; see
//! [`lock`](crate::lock).
//!
//! Nodes are named and hold what kazoo's `Election` writes: both may share a path.

use rookeeper_client::Client;
use tokio::sync::watch;

use crate::base::ordered::contenders;
use crate::base::persist::{persist, stat_now};
use crate::base::task::{Task, set};
use crate::error::{Error, Result};
use crate::sessions::in_each_session;
use crate::{FencingToken, Held, Lock, Sessions};

/// An election; see the [module](self).
#[derive(Debug, Clone)]
pub struct Election {
    client: Client,
    path: String,
    lock: Lock,
}

/// A candidate, or the leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What it called itself.
    pub id: String,
    /// The token it leads with when it leads.
    pub token: FencingToken,
}

impl Election {
    /// The election of this path, as the candidate `id`.
    pub fn new(client: &Client, path: &str, id: &str) -> Self {
        let lock = Lock::new(client, path).named(id);
        Self { client: client.clone(), path: path.to_owned(), lock }
    }

    /// Waits to be the leader.
    pub async fn campaign(&self) -> Result<Held> {
        self.lock.acquire().await
    }

    /// The candidates in order; the first leads or is about to.
    pub async fn candidates(&self) -> Result<Vec<Candidate>> {
        let list = contenders(&self.client, &self.path).await?;
        Ok(list.into_iter().map(|(token, id)| Candidate { id, token }).collect())
    }

    /// The leader, if there is any.
    pub async fn leader(&self) -> Result<Option<Candidate>> {
        Ok(self.candidates().await?.into_iter().next())
    }
}

/// Whether a [`LeaderLatch`] leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leading {
    /// Another leads, or it is not known yet.
    No,
    /// It led when the connection was lost. It must do nothing that only a leader may do.
    Suspended,
    /// It leads.
    Yes(FencingToken),
}

/// A standing candidate; see the [module](self). Dropping it resigns in the background.
#[derive(Debug)]
pub struct LeaderLatch {
    leading: watch::Receiver<Leading>,
    resign: watch::Sender<bool>,
    resigned: watch::Receiver<bool>,
    _task: Task,
}

impl LeaderLatch {
    /// Becomes a candidate.
    pub fn start(sessions: &Sessions, path: &str, id: &str) -> Self {
        let (told, leading) = watch::channel(Leading::No);
        let (resign, asked) = watch::channel(false);
        let (done, resigned) = watch::channel(false);
        let (sessions, path, id) = (sessions.clone(), path.to_owned(), id.to_owned());
        let task = Task::spawn(async move {
            in_each_session(&sessions, |client| stand(client, &path, &id, &told, asked.clone()))
                .await;
            told.send_replace(Leading::No);
            // Whoever waits for it is gone or is told.
            done.send_replace(true);
        });
        Self { leading, resign, resigned, _task: task }
    }

    /// Whether it leads now, as far as is known here.
    pub fn leading(&self) -> Leading {
        self.leading.borrow().clone()
    }

    /// Follows the changes.
    pub fn watch(&self) -> watch::Receiver<Leading> {
        self.leading.clone()
    }

    /// Waits until it leads. Fails when it never will: its last session is over.
    pub async fn wait(&self) -> Result<FencingToken> {
        let mut leading = self.leading.clone();
        loop {
            if let Leading::Yes(token) = &*leading.borrow_and_update() {
                return Ok(token.clone());
            }
            leading.changed().await.map_err(|_| Error::Ended)?;
        }
    }

    /// Resigns; the next may lead when this returns.
    pub async fn close(mut self) {
        self.resign.send_replace(true);
        // An error means that the task has ended, and resigned with it.
        let _ = self.resigned.wait_for(|resigned| *resigned).await;
    }
}

/// A candidate in one session. `Ok` when it was asked to resign.
async fn stand(
    client: Client,
    path: &str,
    id: &str,
    told: &watch::Sender<Leading>,
    mut asked: watch::Receiver<bool>,
) -> Result<()> {
    let election = Election::new(&client, path, id);
    loop {
        told.send_replace(Leading::No);
        let held = tokio::select! {
            held = election.campaign() => held?,
            () = set(&mut asked) => return Ok(()),
        };
        let outcome = tokio::select! {
            why = lead(&held, told) => Err(why),
            () = set(&mut asked) => Ok(()),
        };
        told.send_replace(Leading::No);
        match outcome {
            Ok(()) => return held.release().await,
            Err(Error::Lost { path }) => tracing::warn!(path, "somebody removed the leader's node"),
            Err(error) => return Err(error),
        }
    }
}

/// Leads until the grant is lost.
async fn lead(held: &Held, told: &watch::Sender<Leading>) -> Error {
    let token = held.token();
    let status = async {
        loop {
            told.send_replace(Leading::Yes(token.clone()));
            held.in_doubt().await;
            told.send_replace(Leading::Suspended);
            if let Err(error) = held.client().connected().await {
                return error.into();
            }
            match stat_now(held.client(), token.path()).await {
                Ok(Some(_)) => {}
                Ok(None) => return Error::Lost { path: token.path().to_owned() },
                Err(error) => return error.into(),
            }
        }
    };
    tokio::select! {
        why = status => why,
        why = held.lost() => why,
    }
}

/// Waits until somebody leads, for those that only want to know.
pub async fn await_leader(client: &Client, path: &str) -> Result<Candidate> {
    let election = Election::new(client, path, "");
    loop {
        let listed = persist(client, || client.exists_and_watch(path)).await?;
        let (Some(_), _) = listed else {
            listed.1.changed().await?;
            continue;
        };
        let (.., watcher) = persist(client, || client.children_and_watch(path)).await?;
        if let Some(leader) = election.leader().await? {
            return Ok(leader);
        }
        watcher.changed().await?;
    }
}
