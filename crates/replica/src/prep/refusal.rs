//! Why a write, or one operation of a multi, is refused.

use rookeeper_proto::ErrorCode;

/// A refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A business error: the code of the write, or of the operation within its multi.
    Code(ErrorCode),
    /// What Java fails on unexpectedly (a null path, a quota it cannot parse): -5 for the write as
    /// a whole, also inside a multi.
    Undecodable,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl Refusal {
    /// The code of the write as a whole.
    pub(super) fn code(self) -> ErrorCode {
        match self {
            Self::Code(code) => code,
            Self::Undecodable => ErrorCode::MarshallingError,
        }
    }
}
