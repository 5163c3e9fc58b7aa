//! Records of the transaction log: header, txn, digest. Proposals carry the same bytes.

use rookeeper_proto::txn::Record;
use rookeeper_proto::{OpCode, Reader};

use super::goldens;

pub(super) fn run(data: &[u8]) {
    let Ok(record) = Record::read(data) else { return };
    let mut encoded = Vec::new();
    record.write(&mut encoded);
    assert_eq!(Record::read(&encoded).as_ref(), Ok(&record));
    let mut again = Vec::new();
    record.write(&mut again);
    assert_eq!(again, encoded);
    // The op in the header alone says what the txn is.
    assert_eq!(OpCode::from_i32(record.header.op).map(OpCode::as_i32), Some(record.header.op));
    let mut reader = Reader::new(data);
    assert_eq!(rookeeper_proto::txn::TxnHeader::read(&mut reader), Ok(record.header));
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    goldens::txns()
}
