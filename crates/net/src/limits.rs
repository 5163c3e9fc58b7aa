//! The bounds a reactor keeps, in one place.
//!
//! Every queue, batch and wait of this crate has its bound here. The defaults suit a server with
//! frames of up to 1 MiB; whoever admits larger frames must raise `max_input_bytes` with them.

use std::time::Duration;

/// Bounds of a reactor.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Size of the shared read buffer, which is also the most that is read from one connection in
    /// one turn.
    pub read_bytes: usize,
    /// Most connections accepted from one listener in one turn.
    pub accept_batch: usize,
    /// How long a listener rests after the process ran out of descriptors or memory.
    pub accept_backoff: Duration,
    /// While more output than this is queued, the connection's input is not delivered; it is again
    /// once the queue has fallen to half of it.
    pub high_water_bytes: usize,
    /// Most bytes that may be appended to a connection *after* its socket was blocked with more
    /// than `high_water_bytes` queued. One huge reply alone never counts: it was appended before.
    pub max_queued_behind_bytes: usize,
    /// Most unconsumed input a connection may hold.
    pub max_input_bytes: usize,
    /// How long `close_after_flush` waits for a peer that does not read.
    pub close_flush: Duration,
    /// How long a socket whose output is flushed and shut down still swallows input, so that the
    /// kernel does not answer late input with a reset that destroys the output under way.
    pub linger: Duration,
    /// How long a stopping reactor waits for queued output.
    pub stop_flush: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            read_bytes: 256 * 1024,
            accept_batch: 64,
            accept_backoff: Duration::from_millis(100),
            high_water_bytes: 1024 * 1024,
            max_queued_behind_bytes: 16 * 1024 * 1024,
            max_input_bytes: 128 * 1024 * 1024,
            close_flush: Duration::from_secs(10),
            linger: Duration::from_secs(1),
            stop_flush: Duration::from_secs(2),
        }
    }
}

impl Limits {
    /// The queue length at which a connection held back by its output is served again.
    pub(crate) fn low_water_bytes(&self) -> usize {
        self.high_water_bytes / 2
    }
}
