//! ZooKeeper's recipes on [`rookeeper_client`]: what Curator is to Java's client.
//!
//! | recipe | module |
//! | --- | --- |
//! | exclusive lock | [`lock`] |
//! | read/write lock | [`rwlock`] |
//! | semaphore | [`semaphore`] |
//! | leader election, leader latch | [`election`] |
//! | barrier, double barrier | [`barrier`] |
//! | queue, plain and with priorities | [`queue`] |
//! | counter | [`counter`] |
//! | names, unique ids, worker numbers | [`naming`] |
//! | group membership | [`membership`] |
//! | service discovery and load balancing | [`discovery`] |
//! | configuration with live reload | [`config`] |
//! | a job that one member runs | [`job`] |
//! | a node or a subtree kept at hand | [`node_cache`], [`tree_cache`] |
//! | transactions exactly once | [`transaction`] |
//!
//! Each module's page says what the recipe guarantees and what it cannot. Common to all:
//!
//! - A **lost reply** and a **lost connection** are the recipe's business: it finds out what happened and goes
//!   on with the same session.
//! - An **expired session** takes along what was held through it. What waits fails with an error whose
//!   [`Error::is_session_over`] is true. What runs for as long as its process takes [`Sessions`] and
//!   goes on in a new one.
//! - A **dropped future** or value gives up what it stood for, in the background.
//! - What grants exclusion hands out a [`FencingToken`].
//!
//! Their nodes have the ACL of the client ([`rookeeper_client::Builder::default_acl`]).
//!
//! They work on Apache ZooKeeper 3.6 and later as on Rookeeper. Servers decide alone: members agree by
//! what is in the tree, never by clocks (but for the slots of [`job`]).

pub mod barrier;
mod base;
pub mod config;
pub mod counter;
pub mod discovery;
pub mod election;
mod error;
pub mod job;
pub mod lock;
pub mod membership;
pub mod naming;
pub mod node_cache;
pub mod queue;
pub mod rwlock;
pub mod semaphore;
pub mod sessions;
pub mod transaction;
pub mod tree_cache;

pub use barrier::{Barrier, DoubleBarrier, Inside};
pub use base::held::{FencingToken, Held};
pub use config::Config;
pub use counter::Counter;
pub use discovery::{Balance, Directory, Health, Instance, Picked, announce};
pub use election::{Candidate, Election, LeaderLatch, Leading};
pub use error::{Error, Result};
pub use job::{Run, ScheduledJob};
pub use lock::Lock;
pub use membership::Membership;
pub use naming::{Bound, UniqueIds, WorkerNumber};
pub use node_cache::{Known, Node, NodeCache};
pub use queue::{Item, Queue};
pub use rwlock::ReadWriteLock;
pub use semaphore::Semaphore;
pub use sessions::Sessions;
pub use transaction::{Committed, ExactlyOnce};
pub use tree_cache::{Change, TreeCache};
