//! The end of a role, as a value: steps of a role return it, `peer` acts on it.

use rookeeper_proto::Sid;

/// Why a role ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leave {
    /// One sentence for the operator.
    pub(crate) reason: String,
    /// What the disk holds is in doubt: set it aside and rejoin as unknown.
    pub(crate) is_in_doubt: bool,
    /// Follow this server next, without an election (a reconfig named it).
    pub(crate) designated: Option<Sid>,
}

impl Leave {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_in_doubt: false, designated: None }
    }

    pub(crate) fn in_doubt(reason: impl Into<String>) -> Self {
        Self { is_in_doubt: true, ..Self::new(reason) }
    }
}

/// Outcome of one step of a role.
pub(crate) type Step = Result<(), Leave>;
