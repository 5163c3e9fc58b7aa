//! A subtree, kept at hand by one persistent recursive watch.
//!
//! **It guarantees** what [`node_cache`](crate::node_cache) does, of every node of the subtree. After a
//! lost connection or in a new session it reads the subtree again and tells the differences.
//!
//! **It cannot** show the subtree as of one moment: each node is as of its own. For the rest see
//! [`node_cache`](crate::node_cache). Memory is that of the subtree; whoever takes its
//! [`TreeCache::events`] too slowly is told to look again. It needs servers of 3.6 or later.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use rookeeper_client::{AddWatchMode, Client, ErrorCode, EventKind, Notice, ReadResult};
use tokio::sync::{broadcast, watch};

use crate::Sessions;
use crate::base::nodes::child;
use crate::base::persist::{persist, persist_found};
use crate::base::task::Task;
use crate::error::{Error, Result};
use crate::node_cache::Node;
use crate::sessions::in_each_session;

/// A change of a cached subtree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A node is new.
    Added(String, Node),
    /// A node's data was set.
    Updated(String, Node),
    /// A node is gone.
    Removed(String),
}

/// Events a subscriber may leave waiting.
const EVENTS_MAX: usize = 4096;
/// Nodes read in one request.
const READ_MAX: usize = 128;

type Nodes = Arc<Mutex<BTreeMap<String, Node>>>;

/// A subtree, kept at hand; see the [module](self). It ends when dropped.
#[derive(Debug)]
pub struct TreeCache {
    nodes: Nodes,
    events: broadcast::Sender<Change>,
    version: watch::Receiver<u64>,
    _task: Task,
}

impl TreeCache {
    /// Begins to follow the subtree of a node, which need not exist.
    pub fn start(sessions: &Sessions, root: &str) -> Self {
        let (events, _) = broadcast::channel(EVENTS_MAX);
        let (told, version) = watch::channel(0);
        let nodes = Nodes::default();
        let (nodes_of_task, events_of_task) = (Arc::clone(&nodes), events.clone());
        let (sessions, root) = (sessions.clone(), root.to_owned());
        let task = Task::spawn(async move {
            let cache = Followed { root, nodes: nodes_of_task, events: events_of_task, told };
            in_each_session(&sessions, |client| cache.follow(client)).await;
        });
        Self { nodes, events, version, _task: task }
    }

    fn with<T>(&self, f: impl FnOnce(&BTreeMap<String, Node>) -> T) -> T {
        f(&self.nodes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A node.
    pub fn get(&self, path: &str) -> Option<Node> {
        self.with(|nodes| nodes.get(path).cloned())
    }

    /// All nodes by their paths.
    pub fn snapshot(&self) -> BTreeMap<String, Node> {
        self.with(BTreeMap::clone)
    }

    /// The children of a node, by name.
    pub fn children(&self, path: &str) -> BTreeMap<String, Node> {
        let prefix = child(path, "");
        self.with(|nodes| {
            below(nodes, &prefix)
                .filter_map(|(path, node)| {
                    let name = &path[prefix.len()..];
                    (!name.is_empty() && !name.contains('/'))
                        .then(|| (name.to_owned(), node.clone()))
                })
                .collect()
        })
    }

    /// The changes from now on.
    pub fn events(&self) -> broadcast::Receiver<Change> {
        self.events.subscribe()
    }

    /// Grows with every change; 0 until the subtree was read once.
    pub fn version(&self) -> watch::Receiver<u64> {
        self.version.clone()
    }

    /// Waits until the subtree was read once. Fails when the last session is over.
    pub async fn ready(&self) -> Result<()> {
        self.wait_for(|_| true).await
    }

    /// Waits until the nodes are as `wanted` says.
    pub async fn wait_for(&self, wanted: impl Fn(&BTreeMap<String, Node>) -> bool) -> Result<()> {
        let mut version = self.version.clone();
        let reached = version.wait_for(|version| 0 < *version && self.with(&wanted)).await;
        reached.map(drop).map_err(|_| Error::Ended)
    }
}

/// The nodes whose paths begin with a prefix.
fn below<'n>(
    nodes: &'n BTreeMap<String, Node>,
    prefix: &'n str,
) -> impl Iterator<Item = (&'n String, &'n Node)> {
    let from = (Bound::Included(prefix), Bound::Unbounded);
    nodes.range::<str, _>(from).take_while(move |(path, _)| path.starts_with(prefix))
}

/// The task's side.
struct Followed {
    root: String,
    nodes: Nodes,
    events: broadcast::Sender<Change>,
    told: watch::Sender<u64>,
}

impl Followed {
    async fn follow(&self, client: Client) -> Result<()> {
        let client = &client;
        let mode = AddWatchMode::PersistentRecursive;
        let mut watcher = persist(client, || client.watch(&self.root, mode)).await?;
        self.load(client).await?;
        while let Some(notice) = watcher.next().await {
            match notice {
                Notice::MayHaveMissed => self.load(client).await?,
                Notice::Event(event) => match event.kind {
                    EventKind::NodeDeleted => self.remove(&event.path),
                    EventKind::NodeCreated | EventKind::NodeDataChanged => {
                        self.read(client, &event.path).await?;
                    }
                    _ => {}
                },
            }
        }
        // No further notices: the session's end, or somebody removed the watch.
        persist(client, || client.exists(&self.root)).await?;
        Err(Error::Lost { path: self.root.clone() })
    }

    /// Reads everything and tells the differences.
    async fn load(&self, client: &Client) -> Result<()> {
        let mut gone: BTreeSet<String> = self.locked(|nodes| nodes.keys().cloned().collect());
        let mut unread = vec![self.root.clone()];
        while !unread.is_empty() {
            let batch = unread.split_off(unread.len().saturating_sub(READ_MAX));
            let batch = &batch;
            let read = persist(client, || async move {
                let start = client.multi_read();
                let reads = batch.iter().fold(start, |reads, path| reads.get(path).children(path));
                reads.send().await
            });
            for (path, results) in batch.iter().zip(read.await?.chunks(2)) {
                match results {
                    [Ok(ReadResult::Data(data, stat)), Ok(ReadResult::Children(names))] => {
                        gone.remove(path);
                        let data = data.clone().unwrap_or_default();
                        self.put(path, Node { data, stat: *stat });
                        unread.extend(names.iter().map(|name| child(path, name)));
                    }
                    results => check_refusals(path, results)?,
                }
            }
        }
        gone.iter().for_each(|path| self.remove(path));
        self.changed(1);
        Ok(())
    }

    async fn read(&self, client: &Client, path: &str) -> Result<()> {
        match persist_found(client, || client.get(path)).await {
            Ok(Some((data, stat))) => self.put(path, Node { data, stat }),
            // Gone again; that is told next.
            Ok(None) => {}
            Err(error) if error.code() == Some(ErrorCode::NoAuth) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn locked<T>(&self, f: impl FnOnce(&mut BTreeMap<String, Node>) -> T) -> T {
        f(&mut self.nodes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, path: &str, node: Node) {
        let before = self.locked(|nodes| nodes.insert(path.to_owned(), node.clone()));
        let change = match before {
            None => Change::Added(path.to_owned(), node),
            Some(before) if before.stat.mzxid == node.stat.mzxid => return,
            Some(_) => Change::Updated(path.to_owned(), node),
        };
        self.tell(change);
    }

    fn remove(&self, path: &str) {
        if self.locked(|nodes| nodes.remove(path)).is_some() {
            self.tell(Change::Removed(path.to_owned()));
        }
    }

    fn tell(&self, change: Change) {
        // Nobody listening is no error.
        let _ = self.events.send(change);
        // Before the first load ends, nothing is known.
        let is_known = *self.told.borrow() != 0;
        self.changed(u64::from(is_known));
    }

    fn changed(&self, by: u64) {
        self.told.send_if_modified(|version| {
            *version += by;
            by != 0
        });
    }
}

/// Nodes that are gone or not ours to read are left out.
fn check_refusals(path: &str, results: &[rookeeper_client::Result<ReadResult>]) -> Result<()> {
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        if !matches!(error.code(), Some(ErrorCode::NoNode | ErrorCode::NoAuth)) {
            let reason = error.to_string();
            return Err(Error::Malformed { path: path.to_owned(), reason });
        }
    }
    Ok(())
}
