//! The transaction log (`storage-format.md` section 1).
mod writer;
pub use writer::{CommitError, TxnLog, TxnLogOptions};
