//! Logs written by Apache ZooKeeper 3.9.5 replay to the very digests it recorded.

#![allow(clippy::unwrap_used, reason = "helpers of tests, though not tests themselves")]

mod common;

use common::{digest_from_scratch, fresh};
use rookeeper_proto::txn::Record;
use rookeeper_proto::{Reader, Zxid};

/// The payloads of a log file's records.
fn payloads(log: &[u8]) -> Vec<&[u8]> {
    let mut r = Reader::new(&log[16..]);
    let mut payloads = Vec::new();
    while r.remaining() > 12 {
        r.i64().unwrap();
        let Some(payload) = r.buffer().unwrap().filter(|payload| !payload.is_empty()) else {
            break;
        };
        payloads.push(payload);
        assert_eq!(r.byte().unwrap(), b'B');
    }
    payloads
}

/// Creates of all kinds, setData, setACL, deletes, quotas, multis, sessions with ephemerals: written
/// by a shell session against a standalone server.
#[test]
fn every_digest_agrees() {
    let mut tree = fresh();
    let mut compared = 0;
    for payload in payloads(include_bytes!("data/apache-3.9.5.log")) {
        let record = Record::read(payload).unwrap();
        let (_, mismatch) = tree.apply_record(&record, &mut ());
        assert_eq!(mismatch, None, "after {record:?}");
        compared += usize::from(record.digest.is_some());
    }
    assert_eq!((compared, tree.last_zxid()), (141, Zxid(174)));
    assert_eq!(tree.digest(), digest_from_scratch(&tree));
}
