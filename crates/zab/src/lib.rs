//! ZAB, ZooKeeper's atomic broadcast, without I/O: fast leader election, discovery, synchronisation
//! and broadcast, byte-compatible with Apache ZooKeeper's election and quorum ports.
//!
//! One [`Peer`] is one server of an ensemble. Its inputs are the `on_*` methods (something happened:
//! bytes arrived, a file was written, time passed) and a few commands (`propose`, `forward_request`);
//! each takes the time and an [`Effects`] sink. Its outputs are the closed enum [`Effect`], and
//! nothing else. It opens no socket or file, reads no clock, starts no thread, draws no randomness
//! but from the seed it was given: the same inputs give the same effects, in the server and in the
//! simulator.
//!
//! It knows no znodes. A txn is a [`TxnRecord`]: a zxid and opaque bytes. Only one kind is looked
//! into, the reconfig, because it changes the quorums.
//!
//! | phase | on a learner | on the leader |
//! | --- | --- | --- |
//! | election | [`election`] | [`election`] |
//! | discovery | `learner::discovery` | `leader::discovery` |
//! | synchronisation | `learner::synchronization` | `leader::synchronization` |
//! | broadcast | `learner::broadcast` | `leader::broadcast` |
//!
//! `docs/zab.md` tells the whole story, with the order of every durable write and each place where we
//! differ from Java on purpose.

mod core;
pub mod effects;
pub mod election;
pub mod ensemble;
mod history;
mod leader;
mod learner;
mod leave;
pub mod limits;
mod peer;
pub mod quorum;
mod record;
mod store;
mod time;

pub use core::Settings;
#[cfg(feature = "planted-bugs")]
pub use core::{Bug, plant};
pub use effects::{Conn, Effect, Effects, Forwarded, ServingRole};
pub use election::Vote;
pub use ensemble::{Address, EnsembleConfig, Member, MemberRole, ServerAddress};
pub use leader::{HistoryAnswer, LearnerFigures, ProposeError};
pub use learner::NotServing;
pub use peer::{Figures, Peer, Start, StartError, ZabPhase};
pub use record::TxnRecord;
pub use store::Store;
pub use time::Instant;
