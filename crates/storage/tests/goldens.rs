//! Bytes that Apache's server wrote, and ours beside them (`storage-format.md` 1.2, 3.1).

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use common::{append, dirs, log, open, path_of, write_snapshot, zxids};
use rookeeper_proto::Zxid;
use rookeeper_storage::snapshot::{read_snapshot, verify_snapshot};
use rookeeper_storage::{Compression, Disk, MemDisk};
use sha2::{Digest, Sha256};

#[test]
fn the_fresh_snapshot_is_apaches_to_the_byte() {
    let disk = MemDisk::new();
    let (recovered, collected) = open(&disk).unwrap();
    assert!(recovered.is_new);
    assert_eq!(recovered.last_zxid, Zxid::ZERO);
    let nodes: Vec<&str> = collected.nodes.keys().map(String::as_str).collect();
    assert_eq!(nodes, ["", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"]);
    let bytes = disk.contents(&dirs().snap_dir.join("snapshot.0")).unwrap();
    assert_eq!(bytes.len(), 478);
    let sum: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(sum, "c0f4342285019269eaee90013541ba1fa0c020ef81d1267058bab709c7e7ab11");
    assert!(!open(&disk).unwrap().0.is_new);
}

#[test]
fn a_closed_log_is_header_and_records_and_nothing_else() {
    let disk = MemDisk::new();
    open(&disk).unwrap();
    let mut log = log(&disk, Zxid::ZERO);
    append(&mut log, zxids(0, 1..=3), 2, 5);
    let padded = disk.contents(&dirs().log_dir.join("log.1")).unwrap();
    log.close().unwrap();
    let bytes = disk.contents(&dirs().log_dir.join("log.1")).unwrap();
    let mut expected = b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0".to_vec();
    for zxid in zxids(0, 1..=3) {
        let payload = common::payload(zxid, 5);
        expected.extend_from_slice(&[0; 4]);
        expected.extend_from_slice(&simd_adler32::adler32(&&payload[..]).to_be_bytes());
        expected.extend_from_slice(&(payload.len() as i32).to_be_bytes());
        expected.extend_from_slice(&payload);
        expected.push(b'B');
    }
    assert_eq!(bytes, expected);
    // While it is open, what is behind reads as a record of length 0: Java's end of file.
    assert_eq!(padded[..expected.len()], expected);
    assert_eq!(padded[expected.len() + 8..expected.len() + 12], [0; 4]);
    assert_eq!(padded.len() % 4096, 0);
    assert_eq!(disk.list(&dirs().log_dir).unwrap(), ["log.1", "rookeeper.created", "snapshot.0"]);
}

#[test]
fn all_three_containers_read_back() {
    let kinds =
        [(Compression::None, ""), (Compression::Gzip, ".gz"), (Compression::Snappy, ".snappy")];
    for (compression, suffix) in kinds {
        let disk = MemDisk::new();
        open(&disk).unwrap();
        let held = zxids(1, 1..=300);
        let path = write_snapshot(&disk, held[299], &held, 400, compression).unwrap().unwrap();
        assert!(path.to_string_lossy().ends_with(&format!("snapshot.10000012c{suffix}")));
        let mut collected = common::Collected::default();
        let meta = read_snapshot(&disk, &path, 1 << 20, &mut collected).unwrap();
        assert_eq!((meta.zxid, meta.last_zxid), (held[299], Some(held[299])));
        assert_eq!(meta.digest.unwrap().0, held[299]);
        common::check_contents(&collected, 400);
        assert_eq!(common::found_zxids(&collected).len(), 300);
        assert_eq!(collected.sessions, [(7, 4000)]);
        // A second one of the same zxid is not written.
        assert_eq!(write_snapshot(&disk, held[299], &held, 400, compression).unwrap(), None);
        assert_eq!(open(&disk).unwrap().0.last_zxid, held[299]);
    }
}

/// Trailers come and go with Java's switches (`storage-format.md` 3.4).
#[test]
fn trailers_are_told_by_length() {
    let disk = MemDisk::new();
    open(&disk).unwrap();
    let whole = disk.contents(&dirs().snap_dir.join("snapshot.0")).unwrap();
    let body_end = 478 - 13 - 33 - 21;
    let seal = |bytes: &mut Vec<u8>| {
        let sum = simd_adler32::adler32(&&bytes[..]);
        bytes.extend_from_slice(&u64::from(sum).to_be_bytes());
        bytes.extend_from_slice(b"\0\0\0\x01/");
    };
    let path = dirs().snap_dir.join("snapshot.5");
    for (has_digest, has_zxid, is_old) in [
        (false, false, false),
        (true, false, false),
        (false, true, false),
        (true, true, false),
        (true, false, true),
        (true, true, true),
    ] {
        let mut bytes = whole[..body_end].to_vec();
        seal(&mut bytes);
        if has_digest {
            bytes.extend_from_slice(&9i64.to_be_bytes());
            if is_old {
                bytes.extend_from_slice(&1i32.to_be_bytes());
                bytes.extend_from_slice(b"\0\0\0\x03abc");
            } else {
                bytes.extend_from_slice(&2i32.to_be_bytes());
                bytes.extend_from_slice(&0xabci64.to_be_bytes());
            }
            seal(&mut bytes);
        }
        if has_zxid {
            bytes.extend_from_slice(&8i64.to_be_bytes());
            seal(&mut bytes);
        }
        disk.put(&path, &bytes);
        let meta = verify_snapshot(&disk, &path).unwrap();
        assert_eq!(meta.zxid, Zxid(5), "the name counts");
        assert_eq!(meta.last_zxid, has_zxid.then_some(Zxid(8)));
        assert_eq!(
            meta.digest.map(|(zxid, digest)| (zxid, digest.digest)),
            has_digest.then_some((Zxid(9), 0xabc))
        );
    }
}

#[test]
fn names_are_read_as_java_reads_them() {
    use rookeeper_storage::names::{log_files, snapshot_files};
    let disk = MemDisk::new();
    for name in [
        "log.5.bak",
        "log.1f",
        "log.",
        "log",
        "log.x",
        "xlog.1",
        "log.-1",
        "log.100000001",
        "snapshot.5.tmp",
        "snapshot.a.gz",
        "rookeeper-aside.log.7",
    ] {
        disk.put(&dirs().snap_dir.join(name), b"");
    }
    let logs = log_files(&disk, &dirs().log_dir).unwrap();
    let logs: Vec<i64> = logs.iter().map(|log| log.zxid.0).collect();
    assert_eq!(logs, [5, 0x1f, 0x1_0000_0001]);
    let snapshots = snapshot_files(&disk, &dirs().snap_dir).unwrap();
    assert_eq!(snapshots.iter().map(|s| s.zxid.0).collect::<Vec<_>>(), [5, 10]);
    assert_eq!(path_of(Zxid(255)), "/nff");
}
