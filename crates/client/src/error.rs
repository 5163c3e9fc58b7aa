//! Why a request failed, honestly: above all, whether a write may have happened.

use std::fmt;

use rookeeper_proto::ErrorCode;

use crate::event::SessionState;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The broad reason of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server answered with an error; see [`Error::code`].
    Server,
    /// The connection was lost or not to be had, and the request did not change anything: it was
    /// never sent, or it was a read.
    ConnectionLoss,
    /// A write was sent and its reply was lost or not awaited: it may or may not have happened.
    OutcomeUnknown,
    /// A read took longer than its time-out.
    Timeout,
    /// The session has expired; its ephemeral nodes are gone.
    SessionExpired,
    /// The servers refused credentials; the session is of no more use.
    AuthFailed,
    /// The client was closed.
    Closed,
    /// The request makes no sense; nothing was sent.
    InvalidArgument,
    /// The server's reply cannot be decoded.
    Malformed,
}

/// An error of a request.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    code: Option<i32>,
    path: Option<String>,
    message: Option<String>,
    operation: Option<usize>,
}

impl Error {
    fn build(kind: ErrorKind, code: Option<i32>) -> Self {
        Self(Box::new(Inner { kind, code, path: None, message: None, operation: None }))
    }

    pub(crate) fn server(code: i32) -> Self {
        match ErrorCode::from_i32(code) {
            Some(ErrorCode::SessionExpired) => Self::build(ErrorKind::SessionExpired, Some(code)),
            _ => Self::build(ErrorKind::Server, Some(code)),
        }
    }

    pub(crate) fn of_kind(kind: ErrorKind) -> Self {
        let code = match kind {
            ErrorKind::ConnectionLoss | ErrorKind::OutcomeUnknown => ErrorCode::ConnectionLoss,
            ErrorKind::Timeout => ErrorCode::RequestTimeout,
            ErrorKind::SessionExpired | ErrorKind::Closed => ErrorCode::SessionExpired,
            ErrorKind::AuthFailed => ErrorCode::AuthFailed,
            ErrorKind::InvalidArgument => ErrorCode::BadArguments,
            ErrorKind::Malformed => ErrorCode::MarshallingError,
            ErrorKind::Server => return Self::build(kind, None),
        };
        Self::build(kind, Some(code.as_i32()))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        let mut error = Self::of_kind(ErrorKind::InvalidArgument);
        error.0.message = Some(message.into());
        error
    }

    pub(crate) fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = Some(message.into());
        self
    }

    pub(crate) fn with_path(mut self, path: &str) -> Self {
        self.0.path = Some(path.to_owned());
        self
    }

    pub(crate) fn at_operation(mut self, index: usize) -> Self {
        self.0.operation = Some(index);
        self
    }

    /// Which operation of a transaction failed, counted from 0.
    pub fn operation(&self) -> Option<usize> {
        self.0.operation
    }

    /// The broad reason.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The code the server sent, or the one ZooKeeper's own client would report.
    pub fn code(&self) -> Option<ErrorCode> {
        self.0.code.and_then(ErrorCode::from_i32)
    }

    /// The number of [`Error::code`], also when no code has it.
    pub fn code_number(&self) -> Option<i32> {
        self.0.code
    }

    /// The path the request was about.
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// The explanation without path and code, if there is one.
    pub fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// Whether the same request may be sent again as it is: nothing has happened, and it may well
    /// succeed next time. False for [`ErrorKind::OutcomeUnknown`]: look first.
    pub fn is_retryable(&self) -> bool {
        match self.kind() {
            ErrorKind::ConnectionLoss | ErrorKind::Timeout => true,
            ErrorKind::Server => {
                matches!(self.code(), Some(ErrorCode::ThrottledOp | ErrorCode::OperationTimeout))
            }
            _ => false,
        }
    }

    /// Whether the session is over, so that only a new client helps.
    pub fn is_session_over(&self) -> bool {
        matches!(self.kind(), ErrorKind::SessionExpired | ErrorKind::AuthFailed | ErrorKind::Closed)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind(), &self.0.message) {
            (_, Some(message)) => f.write_str(message)?,
            (ErrorKind::Server, None) => match (self.code(), self.0.code) {
                (Some(code), _) => write!(f, "the server answered {code:?}")?,
                (None, Some(number)) => write!(f, "the server answered the unknown code {number}")?,
                (None, None) => f.write_str("the server answered an error")?,
            },
            (ErrorKind::ConnectionLoss, None) => f.write_str("no connection to a server")?,
            (ErrorKind::OutcomeUnknown, None) => {
                f.write_str("the reply to a write was lost: it may or may not have happened")?
            }
            (ErrorKind::Timeout, None) => f.write_str("no reply in time")?,
            (ErrorKind::SessionExpired, None) => f.write_str("the session has expired")?,
            (ErrorKind::AuthFailed, None) => f.write_str("authentication failed")?,
            (ErrorKind::Closed, None) => f.write_str("the client is closed")?,
            (ErrorKind::InvalidArgument, None) => f.write_str("invalid argument")?,
            (ErrorKind::Malformed, None) => f.write_str("the reply cannot be decoded")?,
        }
        match &self.0.path {
            Some(path) => write!(f, " ({path})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("code", &self.0.code)
            .field("path", &self.0.path)
            .field("message", &self.0.message)
            .finish()
    }
}

impl std::error::Error for Error {}

/// Why nothing succeeds in a session that is over.
pub(crate) fn over(state: SessionState) -> Error {
    Error::of_kind(match state {
        SessionState::Expired => ErrorKind::SessionExpired,
        SessionState::AuthFailed => ErrorKind::AuthFailed,
        _ => ErrorKind::Closed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_write_is_not_retryable_and_a_lost_read_is() {
        assert!(!Error::of_kind(ErrorKind::OutcomeUnknown).is_retryable());
        assert!(Error::of_kind(ErrorKind::ConnectionLoss).is_retryable());
        assert!(!Error::server(-101).is_retryable());
        assert!(Error::server(-127).is_retryable());
        assert!(Error::server(-112).is_session_over());
    }

    #[test]
    fn texts_name_the_path_and_unknown_codes() {
        let text = Error::server(-101).with_path("/a").to_string();
        assert_eq!(text, "the server answered NoNode (/a)");
        assert_eq!(Error::server(-999).to_string(), "the server answered the unknown code -999");
        assert_eq!(Error::server(-999).code_number(), Some(-999));
    }
}
