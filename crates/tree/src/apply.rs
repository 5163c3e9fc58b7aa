//! Applying transactions (`storage-format.md` 2.1), live and in replay.

use rookeeper_proto::txn::{Record, Txn, TxnDigest, TxnHeader};
use rookeeper_proto::{OpCode, Stat, Zxid};

use crate::change::ChangeSink;
use crate::tree::DataTree;

/// What one operation came to: all a reply needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpResult<'t> {
    /// The operation as the transaction says.
    pub op: OpCode,
    /// Error code on the wire, 0 for success. A number, because an error txn may carry any.
    pub err: i32,
    /// The node's path; empty for session, error and multi.
    pub path: &'t str,
    /// The node's stat right after this operation: creations, setData, setACL, reconfig.
    pub stat: Option<Stat>,
}

/// The outcome of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied<'t> {
    /// The operation, or the multi as a whole (first error of a part; 0 for a failed multi that was
    /// recorded as such, whose codes are in the parts).
    pub result: OpResult<'t>,
    /// The parts of a multi, in order; empty otherwise.
    pub parts: Vec<OpResult<'t>>,
}

/// The tree differs from what the transaction's author had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigestMismatch {
    /// After which transaction.
    pub zxid: Zxid,
    /// The digest in the record.
    pub expected: i64,
    /// The digest here.
    pub actual: i64,
}

impl DataTree {
    /// Applies a committed transaction. Never fails and never panics: what cannot be done (as in
    /// replay) is a result.
    pub fn apply<'t>(
        &mut self,
        header: &TxnHeader,
        txn: &'t Txn<'_>,
        sink: &mut impl ChangeSink,
    ) -> Applied<'t> {
        let _ = (header, txn, sink);
        unimplemented!()
    }

    /// [`Self::apply`], then [`Self::check_digest`].
    pub fn apply_record<'t>(
        &mut self,
        record: &'t Record<'_>,
        sink: &mut impl ChangeSink,
    ) -> (Applied<'t>, Option<DigestMismatch>) {
        let applied = self.apply(&record.header, &record.txn, sink);
        let mismatch = record.digest.and_then(|d| self.check_digest(record.header.zxid, d));
        (applied, mismatch)
    }

    /// Compares the digest recorded with the transaction just applied; a mismatch is counted.
    pub fn check_digest(&mut self, zxid: Zxid, recorded: TxnDigest) -> Option<DigestMismatch> {
        let _ = (zxid, recorded);
        unimplemented!()
    }

    /// Mismatches found since the tree was built.
    pub fn digest_mismatches(&self) -> u64 {
        unimplemented!()
    }
}
