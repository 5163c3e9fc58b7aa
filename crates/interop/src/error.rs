//! What can go wrong in the harness, each with what to do about it.

use std::path::PathBuf;

/// A failure of the harness or of a server it started.
#[derive(Debug, thiserror::Error)]
pub enum HarnessError {
    /// A component has not been fetched.
    #[error("{} is missing; run: scripts/fetch-oracles {name}", folder.display())]
    MissingOracle {
        /// The component's name, as the fetch command knows it.
        name: &'static str,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// No binary of ours was found.
    #[error("no rookeeper binary at {}; run: cargo build -p rookeeper, or set ROOKEEPER_BIN", looked_at.display())]
    MissingBinary {
        /// Where it was looked for last.
        looked_at: PathBuf,
    },
    /// An operation of the operating system failed.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A server ended before it answered.
    #[error("{server} ended during start-up ({status}); the end of {}:\n{tail}", log.display())]
    Exited {
        /// Which server.
        server: String,
        /// Its exit status.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// A server did not answer in time.
    #[error("{server} did not answer within {seconds} s; the end of {}:\n{tail}", log.display())]
    NotReady {
        /// Which server.
        server: String,
        /// How long it was waited for.
        seconds: u64,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The other side said something the harness cannot decode.
    #[error("cannot decode {what}: {why}")]
    Undecodable {
        /// What was being decoded.
        what: String,
        /// Why it is not that.
        why: String,
    },
    /// The other side did something else than what the test needs.
    #[error("{0}")]
    Unexpected(String),
}

impl HarnessError {
    /// Wraps an I/O error with what was attempted.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Whether a server could not start because another process took its port in the meantime.
    pub fn is_port_clash(&self) -> bool {
        match self {
            Self::Exited { tail, .. } | Self::NotReady { tail, .. } => {
                tail.contains("Address already in use") || tail.contains("BindException")
            }
            _ => false,
        }
    }
}
