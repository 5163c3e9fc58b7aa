//! ZooKeeper's records as plain data: primitives (`jute`), ids, paths, ACLs, stats, error and
//! operation codes, the client wire (`client`), the transaction records shared by the log and the
//! quorum wire (`txn`).
//!
//! Guarantees: decoding never panics and never allocates more than the input justifies; encoding a
//! decoded record gives the same bytes unless a doc comment says otherwise. This crate does no I/O
//! and knows no state: whether a request is *allowed* is decided elsewhere.
//!
//! Sources: `client-protocol.md` sections 1 to 3 and 8, `storage-format.md` section 2.

pub mod acl;
pub mod client;
pub mod create_mode;
pub mod error_code;
pub mod ids;
pub mod jute;
pub mod op_code;
pub mod password;
pub mod path;
pub mod quorum;
pub mod stat;
pub mod txn;

pub use acl::{Acl, AclList, Id};
pub use create_mode::CreateMode;
pub use error_code::ErrorCode;
pub use ids::{SessionId, Sid, Xid, Zxid};
pub use jute::{DecodeError, JuteWrite, Reader};
pub use op_code::OpCode;
pub use stat::{Stat, StatPersisted};
