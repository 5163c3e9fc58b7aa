//! Group membership: who is there.
//!
//! **It guarantees** that a member stays in the group for as long as its [`Membership`] lives, through
//! lost connections and in new sessions, and leaves it with its session at the latest; that no two
//! members of one id are there at a time; that [`members`] and a [`TreeCache`] of the group's path show
//! members that were there.
//!
//! **It cannot** tell a member that is dead from one that cannot be reached: both leave when the
//! session time-out has passed. A member of an id whose former session has not ended yet waits for
//! that; two members of one session must have two ids.

use std::collections::BTreeMap;

use rookeeper_client::Client;
use tokio::sync::watch;

use crate::Sessions;
use crate::base::nodes::{Above, child, create_own};
use crate::base::persist::{self, persist, persist_found, stat_now};
use crate::base::task::{Task, after_drop, set};
use crate::error::{Error, Result};
use crate::sessions::in_each_session;
use crate::tree_cache::TreeCache;

/// A member's stay in a group; see the [module](self). Dropped, it ends in the background.
#[derive(Debug)]
pub struct Membership {
    data: watch::Sender<Vec<u8>>,
    leave: watch::Sender<bool>,
    /// What is written in the group, once something is.
    written: watch::Receiver<Option<Vec<u8>>>,
    left: watch::Receiver<bool>,
    _task: Task,
}

impl Membership {
    /// Begins to join, as `id`, showing `data` to the others.
    pub fn start(sessions: &Sessions, group: &str, id: &str, data: &[u8]) -> Self {
        let (data, data_seen) = watch::channel(data.to_vec());
        let (leave, asked) = watch::channel(false);
        let (told, written) = watch::channel(None);
        let (done, left) = watch::channel(false);
        let (sessions, path) = (sessions.clone(), child(group, id));
        let task = Task::spawn(async move {
            in_each_session(&sessions, |client| {
                stay(client, &path, data_seen.clone(), asked.clone(), &told)
            })
            .await;
            told.send_replace(None);
            done.send_replace(true);
        });
        Self { data, leave, written, left, _task: task }
    }

    /// Waits until the others can see what this member shows. Fails when its last session is over.
    pub async fn joined(&self) -> Result<()> {
        let (mut written, data) = (self.written.clone(), self.data.subscribe());
        let shown = written.wait_for(|written| written.as_ref() == Some(&*data.borrow())).await;
        shown.map(drop).map_err(|_| Error::Ended)
    }

    /// Shows something else.
    pub async fn show(&self, data: &[u8]) -> Result<()> {
        self.data.send_replace(data.to_vec());
        self.joined().await
    }

    /// Leaves; the others can see it when this returns.
    pub async fn leave(mut self) {
        self.leave.send_replace(true);
        // An error means that the task has ended.
        let _ = self.left.wait_for(|left| *left).await;
    }
}

/// Whether the member's node is ours. It is removed when the task is aborted.
struct Shown<'a> {
    client: &'a Client,
    path: &'a str,
    /// `None` while it is being made.
    ours: Option<bool>,
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if self.ours != Some(false) && !self.client.state().is_final() {
            let (client, path) = (self.client.clone(), self.path.to_owned());
            after_drop(async move {
                if let Err(error) = remove_own(&client, &path).await {
                    tracing::debug!(%error, path, "left to the session");
                }
            });
        }
    }
}

async fn remove_own(client: &Client, path: &str) -> Result<()> {
    match stat_now(client, path).await? {
        Some(stat) if stat.ephemeral_owner == client.session_id().0 => {
            Ok(persist::delete(client, path).await?)
        }
        _ => Ok(()),
    }
}

/// A member in one session. `Ok` when it was asked to leave.
async fn stay(
    client: Client,
    path: &str,
    mut data: watch::Receiver<Vec<u8>>,
    mut asked: watch::Receiver<bool>,
    told: &watch::Sender<Option<Vec<u8>>>,
) -> Result<()> {
    let client = &client;
    let mut shown = Shown { client, path, ours: Some(false) };
    told.send_replace(None);
    loop {
        let wanted = data.borrow_and_update().clone();
        if shown.ours == Some(false) {
            shown.ours = None;
            let made = create_own(client, path, &wanted, Above::Container).await?;
            shown.ours = Some(made.is_some());
        }
        let found = persist_found(client, || client.get_and_watch(path)).await?;
        let Some((present, _, watcher)) = found else {
            // The rival has gone, or somebody removed ours.
            shown.ours = Some(false);
            continue;
        };
        if shown.ours == Some(true) {
            if present != wanted {
                persist(client, || client.set(path, &wanted, None)).await?;
            }
            told.send_replace(Some(wanted));
        } else {
            tracing::debug!(path, "another session still has this id");
        }
        tokio::select! {
            changed = watcher.changed() => drop(changed?),
            changed = data.changed() => if changed.is_err() { return Ok(()) },
            () = set(&mut asked) => {
                if shown.ours == Some(true) {
                    persist::delete(client, path).await?;
                    shown.ours = Some(false);
                }
                return Ok(());
            }
        }
    }
}

/// The members of a group: what each shows, by id.
pub async fn members(client: &Client, group: &str) -> Result<BTreeMap<String, Vec<u8>>> {
    let listed = persist_found(client, || client.children(group)).await?;
    let mut members = BTreeMap::new();
    for id in listed.into_iter().flat_map(|(names, _)| names) {
        let path = child(group, &id);
        if let Some((data, _)) = persist_found(client, || client.get(&path)).await? {
            members.insert(id, data);
        }
    }
    Ok(members)
}

/// Follows a group: its children, and what they show, are those of the group's path.
pub fn follow(sessions: &Sessions, group: &str) -> TreeCache {
    TreeCache::start(sessions, group)
}
