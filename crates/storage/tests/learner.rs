//! Truncating, installing a leader's snapshot, setting data aside, purging.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::io;
use std::path::Path;
use std::sync::Arc;

use common::{
    Chance, append, dirs, found_zxids, log, open, open_with, snapshot_body, write_snapshot, zxids,
};
use rookeeper_proto::Zxid;
use rookeeper_proto::txn::TxnDigest;
use rookeeper_storage::{
    Compression, DirLock, Disk, DiskFile, FileInfo, MemDisk, Purger, RecoverOptions,
    SnapshotWriter, install_snapshot, is_created_by_us, is_unknown, plan_purge, purge, read_epoch,
    set_aside, truncate_to,
};

const SIZE: usize = 20;
const MAX: usize = 1 << 20;

/// log.1 with 1 to 6, snapshot.4, log.7 with 7 to 12, snapshot.a.
fn directory() -> MemDisk {
    let disk = MemDisk::new();
    open(&disk).unwrap();
    let mut log = log(&disk, Zxid::ZERO);
    append(&mut log, zxids(0, 1..=6), 2, SIZE);
    write_snapshot(&disk, Zxid(4), &zxids(0, 1..=4), SIZE, Compression::None).unwrap();
    log.roll().unwrap();
    append(&mut log, zxids(0, 7..=12), 3, SIZE);
    write_snapshot(&disk, Zxid(10), &zxids(0, 1..=10), SIZE, Compression::Gzip).unwrap();
    log.close().unwrap();
    disk
}

#[test]
fn truncating_to_each_zxid_leaves_exactly_what_is_up_to_it() {
    for zxid in (0..=12).map(Zxid) {
        let disk = directory();
        truncate_to(&disk, &dirs(), zxid, MAX).unwrap();
        disk.crash(&mut |_| 0);
        let (recovered, collected) = open(&disk).unwrap();
        assert_eq!(recovered.last_zxid, zxid);
        assert_eq!(found_zxids(&collected), (1..=zxid.0).collect::<Vec<_>>());
        let mut log = log(&disk, zxid);
        append(&mut log, [zxid.next()], 1, SIZE);
        drop(log);
        assert_eq!(open(&disk).unwrap().0.last_zxid, zxid.next());
    }
}

#[test]
fn truncating_to_what_is_not_there_changes_nothing() {
    for zxid in [Zxid(13), Zxid::new(1, 0), Zxid::new(2, 5)] {
        let disk = directory();
        let before = disk.files();
        truncate_to(&disk, &dirs(), zxid, MAX).unwrap_err();
        assert_eq!(disk.files(), before);
    }
}

#[test]
fn truncating_survives_power_loss_at_every_step() {
    let total = {
        let disk = directory();
        let before = disk.ops();
        truncate_to(&disk, &dirs(), Zxid(3), MAX).unwrap();
        disk.ops() - before
    };
    for stop in 1..=total {
        for seed in 0..8 {
            let disk = directory();
            disk.stop_at(disk.ops() + stop);
            truncate_to(&disk, &dirs(), Zxid(3), MAX).unwrap_err();
            let mut chance = Chance(seed * 100 + stop);
            disk.crash(&mut |n| chance.below(n));
            let (recovered, collected) = open(&disk).unwrap();
            let last = recovered.last_zxid;
            assert!(Zxid(3) <= last && last <= Zxid(12), "{last}");
            assert_eq!(found_zxids(&collected), (1..=last.0).collect::<Vec<_>>());
        }
    }
}

/// What a start reads and goes on from must be on the disk, also where what was being done before failed: the
/// machine believes the file to be cut, and would not cut it (simulator, 12248).
#[test]
fn what_a_failed_truncation_left_is_durable_once_it_was_recovered() {
    let total = {
        let disk = directory();
        let before = disk.ops();
        truncate_to(&disk, &dirs(), Zxid(3), MAX).unwrap();
        disk.ops() - before
    };
    for failing in 1..=total {
        let disk = directory();
        disk.fail_at(disk.ops() + failing, io::ErrorKind::Other);
        truncate_to(&disk, &dirs(), Zxid(3), MAX).unwrap_err();
        disk.restart();
        let last = open(&disk).unwrap().0.last_zxid;
        disk.crash(&mut |_| 0);
        let (recovered, collected) = open(&disk).unwrap();
        assert_eq!(recovered.last_zxid, last, "operation {failing} failed");
        assert_eq!(found_zxids(&collected), (1..=last.0).collect::<Vec<_>>());
    }
}

/// A disk from which the purge takes a log between the listing of the names and their turn.
#[derive(Debug)]
struct Purged(MemDisk);

impl Disk for Purged {
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = self.0.list(dir)?;
        names.push("log.2".to_owned());
        names.sort();
        Ok(names)
    }
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.create_new(path)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.create(path)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.open(path)
    }
    fn open_rw(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.open_rw(path)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync_dir(dir)
    }
    fn metadata(&self, path: &Path) -> io::Result<Option<FileInfo>> {
        self.0.metadata(path)
    }
    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.0.free_bytes(dir)
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.0.create_dir_all(dir)
    }
    fn lock_dir(&self, dir: &Path) -> io::Result<Box<dyn DirLock>> {
        self.0.lock_dir(dir)
    }
}

/// The purge runs on another thread.
#[test]
fn what_a_purge_has_taken_meanwhile_is_no_error() {
    let disk = directory();
    truncate_to(&Purged(disk.clone()), &dirs(), Zxid(11), MAX).unwrap();
    assert_eq!(open(&disk).unwrap().0.last_zxid, Zxid(11));

    for is_ours in [true, false] {
        let disk = directory();
        if !is_ours {
            disk.remove(&dirs().snap_dir.join("rookeeper.created")).unwrap();
        }
        install_on(Arc::new(Purged(disk.clone())), Zxid(20)).unwrap();
        assert_eq!(open(&disk).unwrap().0.last_zxid, Zxid(20));
    }

    let undisturbed = set_aside(&directory(), &dirs()).unwrap();
    assert_eq!(set_aside(&Purged(directory()), &dirs()).unwrap(), undisturbed);
}

fn install(disk: &MemDisk, zxid: Zxid) -> rookeeper_storage::Result<()> {
    install_on(Arc::new(disk.clone()), zxid)
}

fn install_on(shared: Arc<dyn Disk>, zxid: Zxid) -> rookeeper_storage::Result<()> {
    let made =
        SnapshotWriter::create(Arc::clone(&shared), &dirs().snap_dir, zxid, Compression::None)?;
    let mut writer = made.expect("no such snapshot yet");
    writer.write(&snapshot_body(&zxids(0, 1..=2), SIZE))?;
    install_snapshot(&*shared, &dirs(), writer, TxnDigest { version: 2, digest: 0 })?;
    Ok(())
}

/// A server may have begun a snapshot of the zxid at which it is then given another state. The one that was given
/// up is still open until its thread begins the next.
#[test]
fn a_snapshot_that_was_given_up_writes_into_no_other() {
    let disk = directory();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let dir = dirs().snap_dir;
    let made = SnapshotWriter::create(shared, &dir, Zxid(20), Compression::None);
    let mut given_up = made.unwrap().unwrap();
    given_up.write(&[7; 100]).unwrap();
    install(&disk, Zxid(20)).unwrap();
    let installed = disk.files();
    given_up.write(&vec![7; 4 << 20]).unwrap();
    given_up.abort();
    assert!(disk.files() == installed);
}

#[test]
fn a_leaders_snapshot_is_all_that_is_left() {
    for zxid in [Zxid(2), Zxid(8), Zxid(20), Zxid::new(1, 0)] {
        let total = {
            let disk = directory();
            let before = disk.ops();
            install(&disk, zxid).unwrap();
            let (recovered, collected) = open(&disk).unwrap();
            assert_eq!(recovered.last_zxid, zxid);
            assert_eq!(found_zxids(&collected), [1, 2], "nothing of the old log is replayed");
            assert!(!recovered.is_unknown);
            let names: Vec<_> = disk.files().into_keys().collect();
            let is_history = |name: &str| name.starts_with("log.") || name.starts_with("snapshot.");
            let left = names.iter().filter_map(|path| path.file_name()?.to_str());
            assert_eq!(left.filter(|name| is_history(name)).count(), 1, "{names:?}");
            disk.ops() - before
        };
        for stop in 1..total {
            let disk = directory();
            disk.stop_at(disk.ops() + stop);
            if install(&disk, zxid).is_ok() {
                continue;
            }
            let mut chance = Chance(stop);
            disk.crash(&mut |n| chance.below(n));
            let (recovered, collected) = open(&disk).unwrap();
            let is_old = recovered.last_zxid == Zxid(12) && found_zxids(&collected).len() == 12;
            let is_new = recovered.last_zxid == zxid && found_zxids(&collected) == [1, 2];
            assert!(is_old || is_new, "{zxid}: {}", recovered.last_zxid);
            assert!(!recovered.is_unknown);
        }
    }
}

#[test]
fn data_set_aside_is_neither_read_nor_deleted() {
    let disk = directory();
    let moved = set_aside(&disk, &dirs()).unwrap();
    assert_eq!(moved.len(), 5);
    assert!(moved.iter().all(|path| disk.contents(path).is_some()));
    let (recovered, collected) = open(&disk).unwrap();
    assert_eq!(found_zxids(&collected), [0i64; 0]);
    assert!(recovered.is_unknown && is_unknown(&disk, &dirs()).unwrap());
    install(&disk, Zxid(30)).unwrap();
    let (recovered, _) = open(&disk).unwrap();
    assert_eq!((recovered.last_zxid, recovered.is_unknown), (Zxid(30), false));
}

#[test]
fn epochs_are_made_and_checked_at_recovery() {
    let disk = directory();
    let member = RecoverOptions { epochs: true, ..RecoverOptions::default() };
    let epochs = open_with(&disk, &member).unwrap().0.epochs.unwrap();
    assert_eq!((epochs.current, epochs.accepted), (0, 0));
    let read = |name| read_epoch(&disk, &dirs().snap_dir, name).unwrap();
    assert_eq!((read("currentEpoch"), read("acceptedEpoch")), (Some(0), Some(0)));
    disk.put(&dirs().snap_dir.join("currentEpoch"), b"2");
    let refused = open_with(&disk, &member).unwrap_err().to_string();
    assert!(refused.contains("acceptedEpoch"), "{refused}");
}

/// Ten snapshots with a log each.
fn long_directory() -> MemDisk {
    let disk = MemDisk::new();
    open(&disk).unwrap();
    let mut log = log(&disk, Zxid::ZERO);
    for last in 1..=10u32 {
        append(&mut log, zxids(0, last * 5 - 4..=last * 5), 5, SIZE);
        log.roll().unwrap();
        // Taken a little later than the roll, as it is: the log before it holds what follows it.
        let at = last * 5 - 1;
        write_snapshot(&disk, Zxid(at.into()), &zxids(0, 1..=at), SIZE, Compression::None).unwrap();
    }
    disk
}

#[test]
fn purging_keeps_three_snapshots_and_the_logs_they_need() {
    let disk = long_directory();
    assert!(is_created_by_us(&disk, &dirs()).unwrap());
    let plan = plan_purge(&disk, &dirs(), 0).unwrap();
    assert_eq!((plan.snapshots.len(), plan.logs.len()), (8, 7));
    assert!(0 < plan.bytes);
    purge(&disk, &dirs(), &plan).unwrap();
    let names: Vec<String> = disk
        .files()
        .keys()
        .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(
        names,
        [
            "log.24",
            "log.29",
            "log.2e",
            "rookeeper.created",
            "snapshot.27",
            "snapshot.2c",
            "snapshot.31"
        ]
    );
    // Each of the three can be the one that is left.
    for broken in ["snapshot.31", "snapshot.2c"] {
        disk.put(&dirs().snap_dir.join(broken), b"");
        let (recovered, collected) = open(&disk).unwrap();
        assert_eq!(recovered.last_zxid, Zxid(50));
        assert_eq!(found_zxids(&collected), (1..=50).collect::<Vec<_>>());
    }
}

#[test]
fn damaged_snapshots_do_not_count_when_purging() {
    let disk = long_directory();
    let path = dirs().snap_dir.join("snapshot.31");
    let mut bytes = disk.contents(&path).unwrap();
    bytes[40] ^= 1;
    disk.put(&path, &bytes);
    let plan = plan_purge(&disk, &dirs(), 3).unwrap();
    assert_eq!((plan.snapshots.len(), plan.logs.len()), (7, 6));
    // Without a whole one nothing goes.
    for file in disk.files().keys().filter(|p| p.to_string_lossy().contains("snapshot")) {
        disk.put(file, b"ZKSN");
    }
    assert_eq!(plan_purge(&disk, &dirs(), 3).unwrap().snapshots.len(), 0);
}

#[test]
fn a_purger_reads_each_snapshot_once() {
    let disk = long_directory();
    let mut purger = Purger::default();
    let before = purger.plan(&disk, &dirs(), 3).unwrap();
    let path = dirs().snap_dir.join("snapshot.31");
    let mut bytes = disk.contents(&path).unwrap();
    bytes[40] ^= 1;
    disk.put(&path, &bytes);
    assert_eq!(purger.plan(&disk, &dirs(), 3).unwrap(), before, "read before");
    assert_eq!(plan_purge(&disk, &dirs(), 3).unwrap().snapshots.len(), 7, "another reads it again");
    bytes.pop();
    disk.put(&path, &bytes);
    assert_eq!(purger.plan(&disk, &dirs(), 3).unwrap().snapshots.len(), 7, "another file by now");
}
