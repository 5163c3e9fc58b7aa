//! The seam between socket and connection, where TLS goes.
//!
//! A [`Layer`] does no I/O: it is handed bytes of the wire and gives out bytes of the application,
//! and the other way round, so it can be tested without sockets and the connection's logic
//! (flushing, back-pressure, half-close) is the same with and without it. A [`Chooser`] on a
//! listener looks at the first bytes of a connection and decides whether there is a layer at all
//! (one port for TLS and plaintext). Without a chooser a connection is plain and pays nothing.
//!
//! Only the plain transport lives in this crate.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::buffer::{Pool, Queue};

/// Why a layer gave up.
pub type LayerError = Box<dyn std::error::Error + Send + Sync>;

/// What a layer thinks of the peer's direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// More may come.
    Open,
    /// The peer has said that nothing more comes (TLS close_notify).
    PeerClosed,
}

/// A transformation of a connection's bytes with a handshake of its own.
///
/// `Any` lets the handler look at what it knows, such as the peer's certificate: see `Io::layer`.
pub trait Layer: Any + Send {
    /// Called once, before anything else; a client puts its hello into `wire`.
    fn start(&mut self, wire: &mut Vec<u8>) -> Result<(), LayerError>;

    /// Takes all of `raw` from the wire; appends application bytes to `plain` and answers of its
    /// own to `wire`. What it put into `wire` before an error (an alert) is still sent.
    fn open(
        &mut self,
        raw: &[u8],
        plain: &mut Vec<u8>,
        wire: &mut Vec<u8>,
    ) -> Result<Status, LayerError>;

    /// Appends application bytes in sealed form to `wire` and says how many it took: 0 while the
    /// handshake runs, whereupon they are kept and offered again.
    fn seal(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<usize, LayerError>;

    /// Called once after the last byte was sealed: says goodbye.
    fn close(&mut self, wire: &mut Vec<u8>);
}

/// A chooser's verdict.
pub enum Choice {
    /// Undecidable yet; ask again with more. With 64 of them there must be a verdict.
    More,
    /// No layer.
    Plain,
    /// This layer, which sees the connection from its first byte.
    Layer(Box<dyn Layer>),
    /// Close.
    Refuse(LayerError),
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Choice::More => "More",
            Choice::Plain => "Plain",
            Choice::Layer(_) => "Layer",
            Choice::Refuse(_) => "Refuse",
        })
    }
}

/// Decides by the first bytes of an accepted connection.
pub trait Chooser: Send + Sync {
    /// `first` is never empty and grows from call to call.
    fn choose(&self, first: &[u8]) -> Choice;
}

/// With that many bytes a chooser must know.
pub(crate) const MAX_SNIFFED_BYTES: usize = 64;

/// What lies between a socket and its connection.
pub(crate) enum Transport {
    Plain,
    Undecided(Arc<dyn Chooser>),
    Layered(Box<Layered>),
}

/// A layer and what it wants on the wire.
pub(crate) struct Layered {
    pub(crate) layer: Box<dyn Layer>,
    pub(crate) wire: Queue,
    said_goodbye: bool,
}

impl Layered {
    pub(crate) fn start(layer: Box<dyn Layer>, pool: &mut Pool) -> Result<Layered, LayerError> {
        let mut layered = Layered { layer, wire: Queue::default(), said_goodbye: false };
        layered.layer.start(layered.wire.tail(pool))?;
        Ok(layered)
    }

    /// See [`Layer::open`].
    pub(crate) fn open(
        &mut self,
        raw: &[u8],
        plain: &mut Vec<u8>,
        pool: &mut Pool,
    ) -> Result<Status, LayerError> {
        let status = self.layer.open(raw, plain, self.wire.tail(pool));
        if self.wire.is_empty() {
            self.wire.release(pool);
        }
        status
    }

    /// Moves what the layer takes from `plain` to the wire.
    pub(crate) fn seal(&mut self, plain: &mut Queue, pool: &mut Pool) -> Result<(), LayerError> {
        if !plain.is_empty() {
            let taken = self.layer.seal(plain.bytes(), self.wire.tail(pool))?;
            plain.remove(taken.min(plain.len()), pool);
        }
        Ok(())
    }

    /// Says goodbye, the first time.
    pub(crate) fn close(&mut self, pool: &mut Pool) {
        if !self.said_goodbye {
            self.said_goodbye = true;
            self.layer.close(self.wire.tail(pool));
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Plain => "Plain",
            Transport::Undecided(_) => "Undecided",
            Transport::Layered(_) => "Layered",
        })
    }
}
