//! What storage cannot go on with, in words an operator can act on.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rookeeper_proto::Zxid;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a data directory cannot be used or an operation on it failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk refused.
    #[error("cannot {what} {}: {source}", file.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file or directory.
        file: PathBuf,
        /// The disk's answer.
        source: io::Error,
    },
    /// Bytes that no crash explains. Nothing was changed.
    #[error(
        "{} is damaged at byte {offset}: expected {expected}, found {found}. Restore the file from a \
         copy, or (in an ensemble) empty this server's data directory and let it synchronise",
        file.display()
    )]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// Where in it (of the uncompressed bytes for a compressed snapshot).
        offset: u64,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Transactions are missing between two that are there.
    #[error(
        "transactions are missing: {} continues with {found} at byte {offset}, but the one before it \
         is {after}. A log file is missing or was emptied; restore it, or (in an ensemble) empty this \
         server's data directory and let it synchronise",
        file.display()
    )]
    Gap {
        /// The last zxid before the gap (a snapshot's or a record's).
        after: Zxid,
        /// The first behind it.
        found: Zxid,
        /// The log file it is in.
        file: PathBuf,
        /// Where in it.
        offset: u64,
    },
    /// Snapshots exist, but none can be used safely.
    #[error("Not able to find valid snapshots in {}: {why}", dir.display())]
    NoValidSnapshot {
        /// Where.
        dir: PathBuf,
        /// What is wrong with each.
        why: String,
    },
    /// The directory holds something it must not.
    #[error("{}: {why}", path.display())]
    Refused {
        /// The file or directory.
        path: PathBuf,
        /// Why, and what to do.
        why: String,
    },
}

impl Error {
    /// Names what was tried on which file.
    pub(crate) fn io(what: &'static str, file: &Path) -> impl FnOnce(io::Error) -> Self {
        let file = file.to_owned();
        move |source| Self::Io { what, file, source }
    }

    pub(crate) fn corrupt(
        file: &Path,
        offset: u64,
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Self {
        let (expected, found) = (expected.to_string(), found.to_string());
        Self::Corrupt { file: file.to_owned(), offset, expected, found }
    }

    pub(crate) fn refused(path: &Path, why: impl Into<String>) -> Self {
        Self::Refused { path: path.to_owned(), why: why.into() }
    }

    /// Whether there was no room; it may come back.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if crate::disk::is_full(source))
    }

    /// Whether a file is not there any more.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
