//! A txn as this crate sees it: a zxid and bytes.

use std::fmt;

use bytes::Bytes;
use rookeeper_proto::txn::TxnHeader;
use rookeeper_proto::{OpCode, Reader, Zxid};

/// One encoded txn: header, body and optional digest, as the log holds it and PROPOSAL carries it.
/// Cheap to clone: the bytes are shared.
#[derive(Clone, PartialEq, Eq)]
pub struct TxnRecord {
    /// Its zxid, equal to the one in the header.
    pub zxid: Zxid,
    /// `TxnHeader`, body, digest.
    pub bytes: Bytes,
}

impl TxnRecord {
    /// Checks that `bytes` begin with a txn header for `zxid`.
    pub fn parse(zxid: Zxid, bytes: Bytes) -> Option<Self> {
        let header = TxnHeader::read(&mut Reader::new(&bytes)).ok()?;
        (header.zxid == zxid).then_some(Self { zxid, bytes })
    }

    /// Whether the txn changes the ensemble's configuration. Nothing else of a txn matters here.
    pub fn is_reconfig(&self) -> bool {
        TxnHeader::read(&mut Reader::new(&self.bytes))
            .is_ok_and(|header| header.op == OpCode::Reconfig as i32)
    }
}

impl fmt::Debug for TxnRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TxnRecord({}, {} bytes)", self.zxid, self.bytes.len())
    }
}
