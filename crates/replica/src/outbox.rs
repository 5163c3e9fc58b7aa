//! The seam to connections: what a replica may do to them.
//!
//! Output is appended straight into the connection's buffer, so a reply is encoded once and never
//! copied. Production hands in `net`'s buffers, the simulator its own.

/// Names a connection: a slot and the slot's generation, so that a stale name does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    /// Slot; small and dense.
    pub index: u32,
    /// Use of the slot.
    pub generation: u32,
}

impl ConnId {
    /// Both parts in one number, for tables that key by `u64`.
    pub fn as_u64(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The inverse of [`ConnId::as_u64`].
    pub fn from_u64(n: u64) -> Self {
        Self { index: (n & 0xffff_ffff) as u32, generation: (n >> 32) as u32 }
    }
}

/// What a replica does to connections. Calls on a connection that is gone do nothing.
pub trait Outbox {
    /// The output buffer of a connection; `None` when it is gone or closing.
    fn buffer(&mut self, conn: ConnId) -> Option<&mut Vec<u8>>;
    /// Sends what is queued, then closes. Nothing more is read.
    fn close_after_flush(&mut self, conn: ConnId);
    /// Closes at once; what is queued may be lost.
    fn close_now(&mut self, conn: ConnId);
    /// Stops delivering frames of this connection.
    fn pause(&mut self, conn: ConnId);
    /// Delivers frames again, also those received meanwhile.
    fn resume(&mut self, conn: ConnId);
}
