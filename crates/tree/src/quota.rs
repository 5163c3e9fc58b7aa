//! Quota nodes below `/zookeeper/quota` (`client-protocol.md` 6.7).

/// The figures of a limits or stats node; -1 is "not set".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaFigures {
    /// Nodes: soft limit, or usage.
    pub count: i64,
    /// Bytes of data: soft limit, or usage.
    pub bytes: i64,
    /// Hard limit of nodes.
    pub count_hard: i64,
    /// Hard limit of bytes.
    pub bytes_hard: i64,
}

/// Data of a quota node that Java's parser refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedQuota;

/// What is needed to enforce a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// The limits node, parsed.
    pub limits: Result<QuotaFigures, MalformedQuota>,
    /// The stats node, parsed.
    pub usage: Result<QuotaFigures, MalformedQuota>,
}
