//! One server without I/O: what happens to a client's frame between the socket and the reply.
//!
//! The stages, in the order a write passes them: [`frontend`] (handshake, authentication, the gate
//! that keeps a session's order), [`prep`] (checks, zxid, the record encoded once), [`ordering`]
//! (log and, in an ensemble, quorum), [`applier`] (tree, watches, replies). Beside them: [`sessions`],
//! [`snapshotter`], [`auth`], [`stats`]. What they ask of the disk is carried out in [`durable`].
//!
//! Guarantees: no file, socket, clock, thread or randomness but what is handed in; everything that
//! queues is bounded ([`limits`]); the same inputs give the same outputs. The shell (`server`, or the
//! simulator) feeds `on_*`, carries out what `take_*` hand out, and calls `tick` when
//! `next_deadline_ms` has come.

/// Whether a known mistake is to be made; never without the feature of the tests.
#[cfg(feature = "planted-bugs")]
macro_rules! planted {
    ($bug:ident) => {
        $crate::planted::is($crate::planted::Bug::$bug)
    };
}
#[cfg(not(feature = "planted-bugs"))]
macro_rules! planted {
    ($bug:ident) => {
        false
    };
}

pub mod applier;
pub mod auth;
pub mod clock;
pub mod config;
pub mod conns;
pub mod durable;
pub mod frontend;
pub mod limits;
pub mod member;
mod membership;
pub mod namespaces;
pub mod notice;
pub mod ordering;
pub mod outbox;
#[cfg(feature = "planted-bugs")]
pub mod planted;
pub mod prep;
mod reads;
pub mod replica;
mod replies;
pub mod sessions;
pub mod snapshotter;
pub mod stats;
pub mod throttle;

pub use clock::Now;
pub use config::{LocalSessions, ReplicaConfig};
pub use frontend::{Flow, Refused};
pub use member::{IoEffect, Member};
pub use notice::Notice;
pub use ordering::{EpochFile, Installation, LogCommand};
pub use outbox::{ConnId, Outbox};
pub use replica::{Forward, LogState, Parts, Replica, Role};
pub use snapshotter::SnapshotWork;
