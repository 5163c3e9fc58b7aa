//! Data directories that Apache's servers wrote (`crates/interop/goldens/disk`): each is opened,
//! from its newest snapshot and from each older one, without a warning, to the same last zxid; and
//! what was read encodes to the same bytes.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Collected, dirs, open_with};
use rookeeper_proto::{AclList, SessionId, StatPersisted, Zxid};
use rookeeper_storage::names::snapshot_files;
use rookeeper_storage::snapshot::{body, read_snapshot};
use rookeeper_storage::{Disk, LogReader, MemDisk, RecoverOptions, SinkError, SnapshotSink};

fn directories() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop/goldens/disk");
    let entries = fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.join("version-2").is_dir()).collect();
    found.sort();
    assert!(5 <= found.len(), "where are they? {found:?}");
    found
}

fn load(directory: &Path) -> MemDisk {
    let disk = MemDisk::new();
    for entry in fs::read_dir(directory.join("version-2")).unwrap() {
        let path = entry.unwrap().path();
        disk.put(&dirs().snap_dir.join(path.file_name().unwrap()), &fs::read(&path).unwrap());
    }
    disk
}

/// The zxid the capture noted beside the directory, if it could.
fn noted_zxid(directory: &Path) -> Option<Zxid> {
    let text = fs::read_to_string(directory.join("stored.txt")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("# last zxid=0x"))?;
    Some(Zxid(i64::from_str_radix(line.trim(), 16).unwrap()))
}

/// Keeps the body as it would be written.
#[derive(Default)]
struct Encoding {
    sessions: Vec<(SessionId, i32)>,
    acls: Vec<(i64, AclList)>,
    nodes: Vec<u8>,
}

impl SnapshotSink for Encoding {
    fn reset(&mut self) {}
    fn session(&mut self, id: SessionId, timeout_ms: i32) -> Result<(), SinkError> {
        self.sessions.push((id, timeout_ms));
        Ok(())
    }
    fn acl(&mut self, id: i64, acl: AclList) -> Result<(), SinkError> {
        self.acls.push((id, acl));
        Ok(())
    }
    fn node(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl_id: i64,
        stat: &StatPersisted,
    ) -> Result<(), SinkError> {
        body::put_node(&mut self.nodes, path, data, acl_id, stat);
        Ok(())
    }
}

#[test]
fn each_opens_from_each_of_its_snapshots_without_a_warning() {
    for directory in directories() {
        let disk = load(&directory);
        let has_epochs = disk.exists(&dirs().snap_dir.join("currentEpoch")).unwrap();
        let options = RecoverOptions { epochs: has_epochs, ..RecoverOptions::default() };
        let mut last = noted_zxid(&directory);
        let mut snapshots = snapshot_files(&disk, &dirs().snap_dir).unwrap();
        while let Some(newest) = snapshots.pop() {
            let what = format!("{} from {}", directory.display(), newest.zxid);
            let (recovered, _) =
                open_with(&disk, &options).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(recovered.snapshot.unwrap().zxid, newest.zxid, "{what}");
            assert_eq!(recovered.report.warnings, Vec::<String>::new(), "{what}");
            assert_eq!(*last.get_or_insert(recovered.last_zxid), recovered.last_zxid, "{what}");
            assert!(!recovered.is_new && !recovered.is_unknown, "{what}");
            disk.remove(&newest.path).unwrap();
        }
    }
}

#[test]
fn what_was_read_encodes_to_the_same_bytes() {
    for directory in directories() {
        let disk = load(&directory);
        for snapshot in snapshot_files(&disk, &dirs().snap_dir).unwrap() {
            let mut encoding = Encoding::default();
            read_snapshot(&disk, &snapshot.path, 1 << 20, &mut encoding).unwrap();
            if snapshot.path.extension().is_some_and(|e| e == "gz" || e == "snappy") {
                continue;
            }
            let mut bytes = Vec::new();
            body::put_head(&mut bytes, &encoding.sessions, &encoding.acls);
            bytes.extend_from_slice(&encoding.nodes);
            body::put_end(&mut bytes);
            let file = disk.contents(&snapshot.path).unwrap();
            assert_eq!(file[16..16 + bytes.len()], bytes, "{}", snapshot.path.display());
        }
        // The log: the same records, framed by us, are the same bytes.
        let mut reader = LogReader::open(&disk, &dirs().log_dir, Zxid::ZERO, 1 << 20).unwrap();
        while let Some(record) = reader.next_record().unwrap() {
            let (offset, payload) = (record.offset as usize, record.payload.to_vec());
            let file = disk.contents(reader.path().unwrap()).unwrap();
            let sum = simd_adler32::adler32(&&payload[..]);
            assert_eq!(file[offset..offset + 8], u64::from(sum).to_be_bytes());
            assert_eq!(file[offset + 12 + payload.len()], b'B');
        }
    }
}

fn kept(records: &[(i64, Vec<u8>)], last: Zxid) -> &[(i64, Vec<u8>)] {
    let end = records.iter().rposition(|(zxid, _)| *zxid <= last.0).map_or(0, |at| at + 1);
    &records[..end]
}

/// One byte of each file is damaged in turn: never silently another tree.
#[test]
fn damage_anywhere_is_noticed() {
    for directory in directories() {
        let sound = load(&directory);
        let read = |disk: &MemDisk| {
            let opened = open_with(disk, &RecoverOptions::default());
            opened.map(|(found, tree)| (found.last_zxid, found.snapshot.unwrap().zxid, tree))
        };
        let (last, base, tree): (Zxid, Zxid, Collected) = read(&sound.copy()).unwrap();
        for (path, bytes) in sound.files() {
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
            for at in (0..end).step_by(11) {
                let mut damaged = bytes.clone();
                damaged[at] ^= 0x10;
                let disk = sound.copy();
                disk.put(&path, &damaged);
                let Ok((found, from, collected)) = read(&disk) else { continue };
                let what = format!("{} byte {at}", path.display());
                assert!(found.0 + 1 >= last.0, "{what}: only the last record may go: {found}");
                // From an older snapshot more is replayed, but it ends the same.
                let skipped = collected.records.len() - kept(&tree.records, found).len();
                assert!(collected.records[skipped..] == *kept(&tree.records, found), "{what}");
                assert!(from <= base, "{what}");
                if from == base && found == last {
                    assert!(collected == tree, "{what}");
                }
            }
        }
    }
}
