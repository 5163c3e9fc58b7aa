//! What the user of a reactor provides.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use crate::{ConnId, Io, LayerError};

/// Chosen by the handler when it listens, handed back with every connection accepted there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerTag(pub u32);

/// Why a connection is gone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer sent everything it had and closed its direction.
    #[error("closed by the peer")]
    PeerClosed,
    /// The socket failed, most often because the peer reset the connection.
    #[error("socket error: {0}")]
    Socket(#[source] io::Error),
    /// The peer does not read and too much has piled up behind.
    #[error("the peer does not read what it is sent")]
    SlowConsumer,
    /// The handler did not consume the input and it grew over `Limits::max_input_bytes`.
    #[error("too much unconsumed input")]
    InputOverflow,
    /// The layer between socket and connection (TLS) gave up.
    #[error("transport: {0}")]
    Transport(#[source] LayerError),
    /// The handler closed it.
    #[error("closed by this side")]
    Local,
    /// The reactor stopped.
    #[error("the server stopped")]
    Stopped,
}

/// The code a reactor drives. All methods run on the reactor's thread and must not block.
///
/// Calls are never nested: closing a connection from within a method leads to `on_closed` after
/// that method has returned.
pub trait Handler {
    /// A connection was accepted. False resets it (SO_LINGER 0, as Apache does over
    /// `maxClientCnxns`), and nothing more is heard of it. `peer` is unmapped (`::ffff:10.0.0.1` is
    /// `10.0.0.1`).
    fn on_accept(
        &mut self,
        io: &mut Io,
        conn: ConnId,
        listener: ListenerTag,
        peer: SocketAddr,
    ) -> bool;

    /// An outgoing connection stands. `tag` is what `Io::connect` was given.
    fn on_connected(&mut self, _io: &mut Io, _conn: ConnId, _tag: u32) {}

    /// An outgoing connection could not be made; the id is already stale.
    fn on_connect_failed(&mut self, _io: &mut Io, _conn: ConnId, _tag: u32, _error: io::Error) {}

    /// Input is there. Returns how many bytes of `bytes` are done with; the rest is kept and comes
    /// again, together with what follows it.
    ///
    /// A handler that knows how much it needs should say so with `Io::want`. One that answers
    /// large pipelined requests should check `Io::backed_up` between frames and return early; the
    /// rest comes again when the output has drained.
    fn on_bytes(&mut self, io: &mut Io, conn: ConnId, bytes: &[u8]) -> usize;

    /// The connection is gone and its id stale. Called exactly once per connection.
    fn on_closed(&mut self, io: &mut Io, conn: ConnId, why: CloseReason);

    /// Another thread called the waker, once or more, since the last call.
    fn on_wake(&mut self, _io: &mut Io) {}

    /// All ready sockets of this turn were served; output goes out after this. May be called more
    /// than once per turn, and in turns in which nothing happened.
    fn on_turn_end(&mut self, _io: &mut Io) {}

    /// The turn is over, its output is with the kernel, and nothing is left to be done: the reactor would
    /// sleep now. True asks for another turn at once.
    fn on_idle(&mut self, _io: &mut Io) -> bool {
        false
    }

    /// When `on_timer` is to be called. Asked every turn, so it must be cheap.
    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// The deadline is reached. `next_deadline` must then return a later one.
    fn on_timer(&mut self, _io: &mut Io, _now: Instant) {}
}
