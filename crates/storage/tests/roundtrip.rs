//! Whatever is written reads back, and arbitrary bytes never do harm.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::io::Read;

use common::{Collected, dirs, found_zxids, open};
use proptest::prelude::*;
use rookeeper_proto::Zxid;
use rookeeper_storage::snapshot::{body, read_snapshot};
use rookeeper_storage::{BodyParser, Compression, LogReader, MemDisk, TxnLog, TxnLogOptions};

fn any_options() -> impl Strategy<Value = TxnLogOptions> {
    let limits = prop_oneof![Just(None), (1u64..9000).prop_map(Some)];
    (prop_oneof![Just(0u64), 1u64..40_000], 1u64..20_000, any::<bool>(), limits).prop_map(
        |(pre_alloc_bytes, fill_chunk_bytes, force_sync, size_limit_bytes)| TxnLogOptions {
            pre_alloc_bytes,
            fill_chunk_bytes,
            force_sync,
            size_limit_bytes,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Random sizes, batches, rolls, idle moments and options, over two epochs.
    #[test]
    fn records_read_back_in_order(
        options in any_options(),
        steps in prop::collection::vec((0usize..3000, 0u8..8), 1..80),
        new_epoch_at in 0usize..80,
        close: bool,
    ) {
        let disk = MemDisk::new();
        open(&disk).unwrap();
        let shared = std::sync::Arc::new(disk.clone());
        let mut log = TxnLog::new(shared, dirs().log_dir, options, Zxid::ZERO);
        let mut written = Vec::new();
        let mut zxid = Zxid::ZERO;
        for (i, (size, action)) in steps.into_iter().enumerate() {
            zxid = if i == new_epoch_at { Zxid::new(3, 1) } else { zxid.next() };
            let payload = common::payload(zxid, size);
            log.append(zxid, &payload);
            written.push((zxid, payload));
            match action {
                0 => log.roll().unwrap(),
                1 => { log.commit().unwrap(); log.prepare_ahead().unwrap(); }
                2..=4 => { log.commit().unwrap(); }
                _ => {}
            }
        }
        prop_assert_eq!(log.commit().unwrap(), zxid);
        if close {
            log.close().unwrap();
        }
        let from = written.len() / 3;
        let after = written[from].0;
        for after in [Zxid::ZERO, after] {
            let mut reader = LogReader::open(&disk, &dirs().log_dir, after, 1 << 20).unwrap();
            for (zxid, payload) in written.iter().filter(|(zxid, _)| after < *zxid) {
                let record = reader.next_record().unwrap().unwrap();
                prop_assert_eq!((record.zxid, record.payload), (*zxid, &payload[..]));
            }
            prop_assert!(reader.next_record().unwrap().is_none());
        }
        let (recovered, collected) = open(&disk).unwrap();
        prop_assert_eq!(recovered.last_zxid, zxid);
        prop_assert_eq!(recovered.report.warnings, Vec::<String>::new());
        prop_assert_eq!(collected.records.len(), written.len());
    }

    /// A body cut into pieces anywhere gives the same, and nothing behind it is swallowed.
    #[test]
    fn a_body_parses_in_any_pieces(
        count in 0u32..40,
        size in 0usize..600,
        pieces in prop::collection::vec(1usize..900, 1..60),
    ) {
        let held = common::zxids(0, 1..=count);
        let mut bytes = common::snapshot_body(&held, size);
        let end = bytes.len();
        bytes.extend_from_slice(b"\0\0\0\x0aBenWasHere");
        let mut parser = BodyParser::new(1 << 20);
        let mut collected = Collected::default();
        let (mut source, mut pending, mut pieces) = (&bytes[..], Vec::new(), pieces.iter().cycle());
        while !parser.is_done() {
            let piece = *pieces.next().unwrap();
            let got = (&mut source).take(piece as u64).read_to_end(&mut pending).unwrap();
            prop_assert!(got > 0, "the body ends before its source");
            let consumed = parser.feed(&pending, &mut collected).unwrap();
            pending.drain(..consumed);
        }
        prop_assert_eq!(parser.at(), end as u64);
        prop_assert_eq!(parser.nodes(), u64::from(count) + 1);
        prop_assert_eq!(found_zxids(&collected).len(), count as usize);
        pending.extend_from_slice(source);
        prop_assert_eq!(&pending[..], b"\0\0\0\x0aBenWasHere");
    }

    #[test]
    fn arbitrary_bodies_do_no_harm(bytes: Vec<u8>) {
        let _ = BodyParser::new(1 << 10).feed(&bytes, &mut Collected::default());
    }

    #[test]
    fn arbitrary_files_do_no_harm(
        head in prop::sample::select(vec![
            &b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff"[..],
            b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01",
            b"\x1f\x8b\x08\0\0\0\0\0\0\xff",
            b"",
        ]),
        bytes: Vec<u8>,
    ) {
        let disk = MemDisk::new();
        open(&disk).unwrap();
        let path = dirs().snap_dir.join("snapshot.5");
        disk.put(&path, &[head, &bytes[..]].concat());
        prop_assert!(read_snapshot(&disk, &path, 1 << 20, &mut Collected::default()).is_err());
        disk.put(&dirs().log_dir.join("log.1"), &[&b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0"[..], &bytes].concat());
        let _ = open(&disk);
    }
}

/// A length that lies must not make us ask for that much memory.
#[test]
fn lying_lengths_are_refused() {
    let disk = MemDisk::new();
    open(&disk).unwrap();
    let path = dirs().snap_dir.join("snapshot.5");
    for lie in [i32::MAX, i32::MIN, -2, 1 << 30] {
        let mut bytes = b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff".to_vec();
        body::put_head(&mut bytes, &[], &[]);
        bytes.extend_from_slice(&lie.to_be_bytes());
        bytes.extend_from_slice(&[7; 100]);
        disk.put(&path, &bytes);
        let refused = read_snapshot(&disk, &path, 1 << 20, &mut Collected::default()).unwrap_err();
        assert!(refused.to_string().contains("byte 24"), "{refused}");
    }
}

/// An item larger than what is read at a time.
#[test]
fn a_large_node_reads_back_in_every_container() {
    let held = [Zxid(1)];
    for kind in [Compression::None, Compression::Gzip, Compression::Snappy] {
        let disk = MemDisk::new();
        open(&disk).unwrap();
        let path = common::write_snapshot(&disk, Zxid(1), &held, 1_500_000, kind).unwrap().unwrap();
        let mut collected = Collected::default();
        read_snapshot(&disk, &path, 2 << 20, &mut collected).unwrap();
        common::check_contents(&collected, 1_500_000);
        // And beyond the limit it is refused, not read.
        read_snapshot(&disk, &path, 1 << 20, &mut collected).unwrap_err();
    }
}
