//! A ZooKeeper client, asynchronous on tokio.
//!
//! ```no_run
//! use rookeeper_client::{Client, CreateOptions};
//!
//! # async fn example() -> rookeeper_client::Result<()> {
//! let client = Client::connect("127.0.0.1:2181,127.0.0.1:2182/app").await?;
//! client.create("/greeting", b"hello", &CreateOptions::persistent()).await?;
//!
//! let (data, stat, watcher) = client.get_and_watch("/greeting").await?;
//! assert_eq!((data.as_slice(), stat.version), (&b"hello"[..], 0));
//! client.set("/greeting", b"good morning", Some(stat.version)).await?;
//! println!("{:?}", watcher.changed().await?);
//! client.close().await?;
//! # Ok(()) }
//! ```
//!
//! It speaks to Apache ZooKeeper 3.5 and later and to Rookeeper. It guarantees:
//!
//! - requests are sent in the order of the calls, pipelined, and each at most once;
//! - a write whose reply was lost fails with [`ErrorKind::OutcomeUnknown`], never with an error that
//!   claims it did not happen;
//! - lost connections are re-established to any of the servers, with the same session, credentials
//!   and watches; what a one-time watch waited for in the meantime is reported afterwards;
//! - dropping a future is safe at any time.
//!
//! It deliberately does not retry: [`Error::is_retryable`] says when that is safe. It has no TLS and
//! no SASL yet.
//!
//! The protocol itself is [`session::Session`], a crate of its own without I/O, clock or randomness, which
//! the simulator runs against its servers (`docs/simulator.md`). Source of behaviour:
//! `client-protocol.md` sections 2, 4, 5, 12.1.

mod client;
mod connect_string;
mod driver;
mod error;
mod event;
mod multi;
mod ops;
mod options;
mod watcher;

/// The protocol itself, without I/O.
pub use rookeeper_session as session;

/// Entries of access control lists.
pub mod acl {
    pub use crate::options::{creator_all, entry, open, read_only};
    pub use rookeeper_proto::acl::{ADMIN, ALL, CREATE, DELETE, READ, WRITE};
}

pub use client::{Builder, Client, SessionEvent};
pub use connect_string::{Chroot, ConnectString, DEFAULT_PORT, ServerAddr};
pub use error::{Error, ErrorKind, Result};
pub use event::{EventKind, SessionState, WatchedEvent};
pub use multi::{MultiRead, OpResult, ReadResult, Transaction};
pub use ops::{AddWatchMode, CONFIG_PATH, Data, Watch};
pub use options::CreateOptions;
pub use rookeeper_proto::{Acl, CreateMode, ErrorCode, Id, SessionId, Stat, Zxid};
pub use session::{Credentials, WatcherType};
pub use watcher::{Notice, OneshotWatcher, PersistentWatcher};
