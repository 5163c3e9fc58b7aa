//! Every limit of the replica that is not a configuration key, and the flow control they make up.
//!
//! Kernel socket -> per-connection queue of waiting requests ([`PENDING_PER_CONN_MAX`]) -> requests
//! in flight of the whole server (`globalOutstandingLimit`). A connection that passes a limit is
//! paused: its bytes stay in the kernel. Nothing on the way back waits, so there is no deadlock:
//! replies are bounded because requests are, and watch events are bounded by the connection's output
//! limit, which closes it.

/// Requests of one connection that wait behind its own writes before its socket is paused.
pub const PENDING_PER_CONN_MAX: usize = 1024;

/// Bytes of txns prepared or received and not applied yet, above which sockets are no longer read. Well
/// below what a leader may run ahead of its own disk (`zab::limits::RUN_AHEAD_BYTES`).
pub const IN_FLIGHT_BYTES_MAX: usize = 16 << 20;

/// Nodes serialised per slice of a snapshot. At about 0.2 microseconds each, a slice holds up
/// requests for a fraction of a millisecond.
pub const SNAPSHOT_NODES_PER_SLICE: usize = 512;

/// Bytes of serialised snapshot that may wait for the snapshot thread.
pub const SNAPSHOT_BYTES_QUEUED_MAX: usize = 2 << 20;

/// Expired containers and TTL nodes looked up at a time.
pub const EXPIRY_CANDIDATES_MAX: usize = 1000;

/// First capacity of a chunk: a slice of nodes of ordinary size fits.
pub const SNAPSHOT_CHUNK_BYTES: usize = 128 << 10;

/// Java's buffer behind the answer to a four-letter word; one packet each in the figures.
pub const FOUR_LETTER_PACKET_BYTES: usize = 8192;
