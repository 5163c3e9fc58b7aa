//! Configuration with live reload, typed through serde, kept as JSON in one node.
//!
//! ```no_run
//! # async fn example(sessions: rookeeper_recipes::Sessions) -> rookeeper_recipes::Result<()> {
//! use rookeeper_recipes::Config;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Limits {
//!     requests: u32,
//! }
//!
//! let limits = Config::<Limits>::start(&sessions, "/config/limits");
//! println!("{}", limits.ready().await?.requests);
//! let mut changes = limits.watch();
//! # Ok(()) }
//! ```
//!
//! **It guarantees** that [`Config::get`] is always a whole, readable configuration, the last one there
//! was: one that cannot be read is reported ([`Config::problem`]) and not taken; that an
//! [`Config::update`] changes what it read and nothing newer; that no last change is missed, as
//! [`node_cache`](crate::node_cache) guarantees.
//!
//! **It cannot** bring a change to all members at one moment: each takes it when it hears of it. After
//! a lost reply an update may be applied twice: it is given the result of its own first attempt. Make
//! updates that set, not that add. A configuration is as large as a node may be (1 MiB by default).

use std::sync::Arc;

use rookeeper_client::ErrorCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::Sessions;
use crate::base::nodes::{self, Above, below};
use crate::base::persist::{persist, persist_found};
use crate::base::task::Task;
use crate::error::{Error, Result};
use crate::node_cache::{Known, NodeCache};

/// A configuration; see the [module](self). It ends when dropped.
#[derive(Debug)]
pub struct Config<T> {
    sessions: Sessions,
    path: String,
    value: watch::Receiver<Option<Arc<T>>>,
    problem: watch::Receiver<Option<String>>,
    _task: Task,
}

fn read<T: DeserializeOwned>(path: &str, data: &[u8]) -> Result<T> {
    serde_json::from_slice(data)
        .map_err(|error| Error::Malformed { path: path.to_owned(), reason: error.to_string() })
}

impl<T: DeserializeOwned + Send + Sync + 'static> Config<T> {
    /// Begins to follow the configuration of a node, which need not exist.
    pub fn start(sessions: &Sessions, path: &str) -> Self {
        let cache = NodeCache::start(sessions, path);
        let (told, value) = watch::channel(None);
        let (trouble, problem) = watch::channel(None);
        let of = path.to_owned();
        let task = Task::spawn(async move {
            let mut known = cache.watch();
            loop {
                let now = known.borrow_and_update().clone();
                let wrong = match now {
                    Known::NotYet => None,
                    Known::Missing => Some(format!("{of} does not exist")),
                    Known::Node(node) => match read(&of, &node.data) {
                        Ok(value) => {
                            told.send_replace(Some(Arc::new(value)));
                            None
                        }
                        Err(error) => Some(error.to_string()),
                    },
                };
                if let Some(wrong) = &wrong {
                    tracing::warn!(wrong, "keeping the last configuration");
                }
                trouble.send_replace(wrong);
                if known.changed().await.is_err() {
                    return;
                }
            }
        });
        let (sessions, path) = (sessions.clone(), path.to_owned());
        Self { sessions, path, value, problem, _task: task }
    }

    /// The last configuration that could be read, if there was any.
    pub fn get(&self) -> Option<Arc<T>> {
        self.value.borrow().clone()
    }

    /// Why the node as it is now was not taken.
    pub fn problem(&self) -> Option<String> {
        self.problem.borrow().clone()
    }

    /// Follows the configurations.
    pub fn watch(&self) -> watch::Receiver<Option<Arc<T>>> {
        self.value.clone()
    }

    /// Follows what [`Config::problem`] says.
    pub fn watch_problem(&self) -> watch::Receiver<Option<String>> {
        self.problem.clone()
    }

    /// Waits for a first configuration. Fails when the last session is over.
    pub async fn ready(&self) -> Result<Arc<T>> {
        let mut value = self.value.clone();
        loop {
            if let Some(value) = &*value.borrow_and_update() {
                return Ok(Arc::clone(value));
            }
            value.changed().await.map_err(|_| Error::Ended)?;
        }
    }

    /// Writes what `change` makes of the present configuration (`None`: there is none), again and
    /// again until nobody was faster.
    pub async fn update(&self, mut change: impl FnMut(Option<T>) -> T) -> Result<()>
    where
        T: Serialize,
    {
        let client = self.sessions.client()?;
        let (client, path) = (&client, self.path.as_str());
        loop {
            let found = persist_found(client, || client.get(path)).await?;
            let (present, version) = match found {
                Some((data, stat)) => (Some(read(path, &data)?), Some(stat.version)),
                None => (None, None),
            };
            let data = serde_json::to_vec_pretty(&change(present))
                .map_err(|error| Error::Unwritable(error.to_string()))?;
            let data = data.as_slice();
            let options = rookeeper_client::CreateOptions::persistent();
            let options = &options;
            let outcome = match version {
                Some(_) => persist(client, || client.set(path, data, version)).await.map(drop),
                None => {
                    let create = || persist(client, || client.create(path, data, options));
                    below(client, nodes::parent(path), Above::Persistent, create).await.map(drop)
                }
            };
            match outcome {
                Err(error) => match error.code() {
                    Some(ErrorCode::BadVersion | ErrorCode::NodeExists | ErrorCode::NoNode) => {
                        persist(client, || client.sync(path)).await?;
                    }
                    _ => return Err(error.into()),
                },
                Ok(()) => return Ok(()),
            }
        }
    }
}
