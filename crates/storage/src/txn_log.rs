//! The transaction log: `storage-format.md` section 1, byte for byte.
//!
//! `format` has the bytes, `writer` appends, `file` reads one file, `tail` judges how a file ends,
//! `reader` strings files together, `repair` makes a log fit to be continued, `inspect` looks into a
//! file that may be anything.

mod file;
pub(crate) mod format;
pub mod inspect;
mod reader;
mod repair;
mod tail;
mod writer;

pub(crate) use file::first_record_beyond;
pub use reader::{LogReader, LogRecord, LogSummary, Repair};
pub(crate) use repair::{make_durable, repair};
pub use writer::{CommitError, TxnLog, TxnLogOptions};
pub(crate) use writer::{SPARE_NAME, continues};
