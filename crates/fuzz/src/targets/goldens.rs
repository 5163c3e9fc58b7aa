//! Seeds from what was captured of Apache's server: `crates/interop/goldens`.

use std::collections::{BTreeMap, BTreeSet};

use rookeeper_proto::OpCode;
use rookeeper_proto::client::reply::ReplyHeader;
use rookeeper_proto::client::request::RequestHeader;
use rookeeper_proto::{Reader, Zxid};
use rookeeper_storage::{DataDirs, LogReader, MemDisk};

const EXCHANGES: [&str; 2] = [
    include_str!("../../../interop/goldens/default.txt"),
    include_str!("../../../interop/goldens/extended.txt"),
];

/// A transaction log and snapshots of each kind, as Apache wrote them.
pub(super) const LOG: &[u8] =
    include_bytes!("../../../interop/goldens/disk/plain-types/version-2/log.1");
pub(super) const SNAPSHOTS: [(&str, &[u8]); 4] = [
    ("snapshot.0", include_bytes!("../../../interop/goldens/disk/plain/version-2/snapshot.0")),
    ("snapshot.27", include_bytes!("../../../interop/goldens/disk/plain/version-2/snapshot.27")),
    ("snapshot.27.gz", include_bytes!("../../../interop/goldens/disk/gz/version-2/snapshot.27.gz")),
    (
        "snapshot.27.snappy",
        include_bytes!("../../../interop/goldens/disk/snappy/version-2/snapshot.27.snappy"),
    ),
];

/// Payloads sent and received on each line, without those of connections that begin.
fn exchanges() -> impl Iterator<Item = (Vec<Vec<u8>>, Vec<Vec<u8>>)> {
    EXCHANGES.iter().flat_map(|text| text.lines()).filter_map(|line| {
        let (_, payloads) = line.split_once(" < ")?;
        let (sent, received) = payloads.split_once('>').unwrap_or((payloads, ""));
        let list = |text: &str| text.split_whitespace().filter_map(unhex).collect();
        Some((list(sent), list(received)))
    })
}

/// `None` for a word that is not a payload. Placeholders stand for eight bytes.
fn unhex(word: &str) -> Option<Vec<u8>> {
    let mut digits = String::new();
    let mut rest = word;
    while let Some((before, behind)) = rest.split_once('{') {
        digits.push_str(before);
        digits.push_str("0000000000000001");
        rest = behind.split_once('}')?.1;
    }
    digits.push_str(rest);
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn is_handshake(payload: &[u8]) -> bool {
    // Protocol version and last zxid seen are zero, a request never has op 0 there and more behind it.
    payload.len() > 28 && payload[..4] == [0; 4]
}

/// First frames of clients and the answers.
pub(super) fn handshakes() -> Vec<Vec<u8>> {
    let all = exchanges().flat_map(|(sent, received)| sent.into_iter().chain(received));
    let found: BTreeSet<Vec<u8>> = all.filter(|payload| is_handshake(payload)).collect();
    found.into_iter().collect()
}

/// Different bodies of requests, with the operation.
pub(super) fn requests() -> Vec<(OpCode, Vec<u8>)> {
    let mut found = BTreeSet::new();
    for (sent, _) in exchanges() {
        for payload in sent.iter().filter(|payload| !is_handshake(payload)) {
            let mut reader = Reader::new(payload);
            let Ok(header) = RequestHeader::read(&mut reader) else { continue };
            if let Some(op) = OpCode::from_i32(header.op) {
                found.insert((op.as_i32(), reader.rest().to_vec()));
            }
        }
    }
    of_ops(found)
}

/// Different bodies of replies, with the operation answered.
pub(super) fn replies() -> Vec<(OpCode, Vec<u8>)> {
    let mut found = BTreeSet::new();
    for (sent, received) in exchanges() {
        let headers =
            sent.iter().filter_map(|payload| RequestHeader::read(&mut Reader::new(payload)).ok());
        let ops: BTreeMap<i32, i32> = headers.map(|header| (header.xid.0, header.op)).collect();
        for payload in &received {
            let mut reader = Reader::new(payload);
            let Ok(header) = ReplyHeader::read(&mut reader) else { continue };
            if let Some(op) = ops.get(&header.xid.0) {
                found.insert((*op, reader.rest().to_vec()));
            }
        }
    }
    of_ops(found)
}

/// At most some of each operation.
fn of_ops(found: BTreeSet<(i32, Vec<u8>)>) -> Vec<(OpCode, Vec<u8>)> {
    let mut counts: BTreeMap<i32, usize> = BTreeMap::new();
    let mut few = Vec::new();
    for (op, body) in found {
        let count = counts.entry(op).or_default();
        *count += 1;
        if let Some(op) = OpCode::from_i32(op).filter(|_| *count <= 8) {
            few.push((op, body));
        }
    }
    few
}

/// Records of every type.
pub(super) fn txns() -> Vec<Vec<u8>> {
    let disk = MemDisk::new();
    let dirs = DataDirs::new(std::path::Path::new("/data"), None);
    disk.put(&dirs.log_dir.join("log.1"), LOG);
    let mut found = Vec::new();
    if let Ok(mut reader) = LogReader::open(&disk, &dirs.log_dir, Zxid::ZERO, 1 << 20) {
        while let Ok(Some(record)) = reader.next_record() {
            found.push(record.payload.to_vec());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_something_of_everything() {
        let ops = |list: Vec<(OpCode, Vec<u8>)>| {
            list.into_iter().map(|(op, _)| op.as_i32()).collect::<BTreeSet<_>>().len()
        };
        assert!(10 <= handshakes().len());
        assert!(25 <= ops(requests()), "operations of requests");
        assert!(15 <= ops(replies()), "operations of replies");
        assert!(20 <= txns().len());
    }
}
