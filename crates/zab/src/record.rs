//! A txn as this crate sees it: a zxid and bytes.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use rookeeper_proto::txn::{Record, Txn, TxnHeader};
use rookeeper_proto::{OpCode, Reader, Zxid};

use crate::ensemble::EnsembleConfig;

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
    /// Checks that `bytes` are a whole txn for `zxid`. What cannot be decoded must never reach the
    /// log: it could not be applied, and no later start could read it.
    pub fn parse(zxid: Zxid, bytes: Bytes) -> Option<Self> {
        let record = Record::read(&bytes).ok()?;
        (record.header.zxid == zxid).then_some(Self { zxid, bytes })
    }

    /// The configuration inside a reconfig txn. Nothing else of a txn matters here.
    pub fn config(&self) -> Option<Arc<EnsembleConfig>> {
        let header = TxnHeader::read(&mut Reader::new(&self.bytes)).ok()?;
        if header.op != OpCode::Reconfig as i32 {
            return None;
        }
        let record = Record::read(&self.bytes).ok()?;
        let Txn::SetData { data: Some(text), .. } = record.txn else { return None };
        EnsembleConfig::parse(&String::from_utf8_lossy(text)).ok().map(Arc::new)
    }
}

impl fmt::Debug for TxnRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TxnRecord({}, {} bytes)", self.zxid, self.bytes.len())
    }
}
