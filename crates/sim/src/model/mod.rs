//! The naive ZooKeeper everything is compared with: no overlay, no queue, no cache; one request at a
//! time in zxid order, every state kept for ever.
//!
//! [`tree`] is the tree at every zxid, [`write`] says what a write request must come to, [`read`] what
//! a read must answer, [`watches`] which events a connection must get. Written from the protocol's
//! description (`client-protocol.md` 3 to 6), sharing with the server only the records of the wire.
//!
//! Left out: quotas, which the workload does not use. [`membership`] is what a reconfig must come to.

pub mod access;
pub mod membership;
pub mod read;
pub mod tree;
pub mod watches;
pub mod write;

pub use tree::{Change, Kind, Model, ModelOptions, Node, TxnEntry};
