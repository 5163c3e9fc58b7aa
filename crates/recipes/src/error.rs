//! Why a recipe failed.

use rookeeper_client::ErrorCode;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a recipe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A request failed; after [`rookeeper_client::ErrorKind::SessionExpired`] everything held
    /// through that session is gone.
    #[error(transparent)]
    Client(#[from] rookeeper_client::Error),
    /// Somebody else removed the node that stood for what was held or waited for.
    #[error("{path} was removed by somebody else")]
    Lost {
        /// The node.
        path: String,
    },
    /// A node holds what this recipe does not write.
    #[error("{path} cannot be understood: {reason}")]
    Malformed {
        /// The node.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The value cannot be written.
    #[error("the value cannot be written: {0}")]
    Unwritable(String),
    /// There is no further session: the last one is over, and what ran on it with it.
    #[error("its last session is over")]
    Ended,
    /// The call makes no sense.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// Whether the session is over, so that only a new client helps.
    pub fn is_session_over(&self) -> bool {
        match self {
            Self::Client(error) => error.is_session_over(),
            Self::Ended => true,
            _ => false,
        }
    }

    /// The server's code, if it was one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Client(error) => error.code(),
            _ => None,
        }
    }
}
