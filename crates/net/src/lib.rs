//! Readiness loop, connections and buffers; knows no ZooKeeper.
//!
//! A [`Reactor`] runs on one thread and owns listeners, connections and their buffers. What the
//! bytes mean is the business of a [`Handler`], which the reactor calls by static dispatch and
//! which acts through [`Io`]. Everything happens inline on that thread: no locks, no queues between
//! threads but the [`Waker`].
//!
//! What the crate guarantees:
//!
//! * At most one read and (normally) one write call per connection and turn; the order of things
//!   within a turn is told at the top of `reactor.rs`.
//! * A [`ConnId`] never comes to mean another connection; using a stale one does nothing.
//! * [`Handler::on_closed`] (or [`Handler::on_connect_failed`]) is called exactly once for every
//!   connection that was accepted or asked for, whoever ended it.
//! * Nothing that arrives from the network panics, spins or grows without a bound named in
//!   [`Limits`]; an error on a socket ends that connection only.
//! * An idle connection owns no heap buffer.
//!
//! What it deliberately does not do: framing, time-outs of a protocol, resolving names, UDP.

mod buffer;
mod conn;
mod handler;
mod io;
mod limits;
mod listener;
mod output;
mod reactor;
mod slab;
mod transport;
mod waker;

pub use handler::{CloseReason, Handler, ListenerTag};
pub use io::Io;
pub use limits::Limits;
pub use listener::ListenOptions;
pub use reactor::Reactor;
pub use slab::ConnId;
pub use transport::{Choice, Chooser, Layer, LayerError, Status};
pub use waker::Waker;
