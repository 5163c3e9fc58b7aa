//! A transaction log: the file as it is, or (by the first byte) records of any content with right
//! checksums, which reach the decoder of txns and the tree.

use std::path::Path;

use rookeeper_proto::Zxid;
use rookeeper_storage::{DataDirs, MemDisk, RecoverOptions, recover};
use simd_adler32::adler32;

use super::goldens;
use super::tree_sink::TreeSink;
use crate::input::{Input, put_piece};

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (how, with_snapshot) = (input.byte(), input.byte());
    let file = match how % 2 {
        0 => input.rest().to_vec(),
        _ => sealed(input),
    };
    let disk = MemDisk::new();
    let dirs = DataDirs::new(Path::new("/data"), None);
    disk.put(&dirs.log_dir.join("log.1"), &file);
    if with_snapshot.is_multiple_of(2) {
        disk.put(&dirs.snap_dir.join("snapshot.0"), goldens::SNAPSHOTS[0].1);
    }
    let options = RecoverOptions { trust_empty: true, ..RecoverOptions::default() };
    let mut first = TreeSink::new();
    match recover(&disk, &dirs, &options, &mut first) {
        Ok(recovered) => {
            assert!(first.replayed.is_sorted(), "records out of order: {:?}", first.replayed);
            assert!(first.replayed.last().is_none_or(|last| *last == recovered.last_zxid));
            // What was repaired needs no repair any more, and holds the same.
            let before = disk.files();
            let mut second = TreeSink::new();
            let again = recover(&disk, &dirs, &options, &mut second)
                .unwrap_or_else(|error| panic!("repaired, then refused: {error}"));
            assert_eq!(again.last_zxid, recovered.last_zxid);
            assert_eq!(second.tree.digest(), first.tree.digest());
            assert_eq!(second.tree.node_count(), first.tree.node_count());
            assert!(again.report.warnings.is_empty() || before == disk.files(), "repaired twice");
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("log.1") || text.contains("log"), "no file is named: {text}");
        }
    }
}

/// A file of records whose prefixes and ends are right. Zxids count from 1 unless the input says so.
pub(super) fn sealed(mut input: Input<'_>) -> Vec<u8> {
    let mut file = b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0".to_vec();
    let mut zxid = Zxid(0);
    while !input.is_empty() {
        let keeps_zxid = input.byte() % 8 == 7;
        let mut payload = input.piece().to_vec();
        zxid = zxid.next();
        if !keeps_zxid && let Some(field) = payload.get_mut(12..20) {
            field.copy_from_slice(&zxid.0.to_be_bytes());
        }
        file.extend_from_slice(&i64::from(adler32(&payload.as_slice())).to_be_bytes());
        file.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        file.extend_from_slice(&payload);
        file.push(b'B');
    }
    file
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let used = goldens::LOG.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    let mut seeds = vec![[&[0, 0], &goldens::LOG[..used]].concat()];
    for len in [16, 100, 600, used - 1] {
        seeds.push([&[0, 0], &goldens::LOG[..len.min(used)], &[0; 40]].concat());
    }
    let mut all = vec![1, 0];
    for txn in goldens::txns() {
        let mut one = vec![1, 0, 0];
        put_piece(&mut one, &txn);
        all.extend_from_slice(&one[2..]);
        seeds.push(one);
    }
    seeds.push(all);
    seeds
}
