//! A data directory with one file cut at any byte, or one bit flipped: never a panic, never silently
//! a wrong tree. Either it is refused with file and offset, or the contents are right, or what is
//! missing is the end of the log and it is named.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::path::{Path, PathBuf};

use common::{
    append, check_contents, dirs, found_zxids, log, open, open_with, write_snapshot, zxids,
};
use rookeeper_proto::Zxid;
use rookeeper_storage::{Compression, Error, MemDisk, RecoverOptions};

const SIZE: usize = 20;

/// snapshot.0, log.1 with 1 to 6, snapshot.4, log.7 with 7 to 12 in batches of three (still open).
fn directory(compression: Compression) -> MemDisk {
    let disk = MemDisk::new();
    open(&disk).unwrap();
    let mut log = log(&disk, Zxid::ZERO);
    append(&mut log, zxids(0, 1..=6), 2, SIZE);
    write_snapshot(&disk, Zxid(4), &zxids(0, 1..=4), SIZE, compression).unwrap();
    log.roll().unwrap();
    append(&mut log, zxids(0, 7..=12), 3, SIZE);
    disk
}

fn is_cut_between_records(disk: &MemDisk, path: &Path) -> bool {
    let Some(bytes) = disk.contents(path) else { return false };
    let mut at = 16;
    while at + 12 <= bytes.len() {
        let len =
            u32::from_be_bytes([bytes[at + 8], bytes[at + 9], bytes[at + 10], bytes[at + 11]]);
        at += len as usize + 13;
    }
    bytes.len() == at && 16 < at
}

/// What may come of a damaged directory. Returns the last zxid, if it was not refused.
fn judge(disk: &MemDisk, damaged: &Path, what: &str) -> Option<Zxid> {
    let is_clean_cut = is_cut_between_records(disk, damaged);
    match open(disk) {
        Err(e) => {
            let named = damaged.file_name().unwrap().to_string_lossy().into_owned();
            let text = e.to_string();
            let is_told = match &e {
                Error::Corrupt { file, .. } => file == damaged,
                // A cut file is noticed where the next one begins.
                Error::Gap { .. } => true,
                _ => text.contains(&named) || text.contains("format version"),
            };
            assert!(is_told, "{what}: {text}");
            None
        }
        Ok((recovered, collected)) => {
            let last = recovered.last_zxid;
            assert_eq!(found_zxids(&collected), (1..=last.0).collect::<Vec<_>>(), "{what}");
            check_contents(&collected, SIZE);
            // A log that ends with a whole record looks like one that was closed there.
            if last < Zxid(12) && !is_clean_cut {
                let warnings = recovered.report.warnings.join("\n");
                let is_named = warnings.contains(&format!("transaction {}", last.next()))
                    || warnings.contains(&format!("transactions {}", last.next()))
                    || warnings.contains("a crash cut off");
                assert!(is_named, "{what}: {last} without a word: {warnings:?}");
            }
            // And it stays: what was dropped does not come back, what is there is sound.
            let again = open(disk).unwrap_or_else(|e| panic!("{what}: then {e}"));
            assert_eq!(again.0.last_zxid, last, "{what}");
            Some(last)
        }
    }
}

fn files(disk: &MemDisk) -> Vec<(PathBuf, Vec<u8>)> {
    disk.files().into_iter().collect()
}

/// The bytes that mean something: padding behind the end is sampled.
fn places(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    let used = bytes[..end.saturating_sub(16)].iter().rposition(|byte| *byte != 0).unwrap_or(end);
    let len = bytes.len();
    (0..len).filter(move |at| *at <= used + 40 || at % 97 == 0 || len - 20 <= *at)
}

#[test]
fn the_directory_itself_is_sound() {
    let disk = directory(Compression::None);
    assert_eq!(judge(&disk, Path::new("x"), "sound"), Some(Zxid(12)));
}

#[test]
fn every_bit_of_every_file() {
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy] {
        let sound = directory(compression);
        for (path, bytes) in files(&sound) {
            if compression != Compression::None && !path.to_string_lossy().contains("snapshot.4") {
                continue;
            }
            for at in places(&bytes) {
                for bit in 0..8 {
                    let mut damaged = bytes.clone();
                    damaged[at] ^= 1 << bit;
                    let disk = sound.copy();
                    disk.put(&path, &damaged);
                    let what = format!("{} byte {at} bit {bit}", path.display());
                    let last = judge(&disk, &path, &what);
                    // A bit never costs more than the last batch, and if so, by name.
                    assert!(last.is_none_or(|last| Zxid(9) <= last), "{what}: {last:?}");
                }
            }
        }
    }
}

#[test]
fn every_cut_of_every_file() {
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy] {
        let sound = directory(compression);
        for (path, bytes) in files(&sound) {
            for len in places(&bytes) {
                let disk = sound.copy();
                disk.put(&path, &bytes[..len]);
                judge(&disk, &path, &format!("{} cut to {len}", path.display()));
            }
        }
    }
}

/// The same with files as Java leaves them: no marks, sparse zeros behind the end.
#[test]
fn every_bit_and_cut_of_a_log_without_marks() {
    let sound = directory(Compression::None);
    let path = dirs().log_dir.join("log.7");
    let mut bytes = sound.contents(&path).unwrap();
    let end = bytes.windows(4).position(|four| four == b"RKB1").unwrap();
    bytes[end..].fill(0);
    bytes.truncate(end + 200);
    for at in 0..bytes.len() {
        let disk = sound.copy();
        disk.put(&path, &bytes[..at]);
        let last = judge(&disk, &path, &format!("cut to {at}"));
        assert!(last.is_some(), "a cut of the newest log is a torn tail, at {at}");
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let disk = sound.copy();
            disk.put(&path, &damaged);
            let last = judge(&disk, &path, &format!("byte {at} bit {bit}"));
            assert!(last.is_none_or(|last| Zxid(11) <= last), "byte {at} bit {bit}: {last:?}");
        }
    }
}

#[test]
fn a_missing_log_is_a_gap_with_its_file() {
    let disk = directory(Compression::None);
    std_remove(&disk, "log.1");
    let Err(Error::Gap { after, found, file, offset }) = open(&disk) else { panic!() };
    assert_eq!((after, found, offset), (Zxid(4), Zxid(7), 16));
    assert_eq!(file, dirs().log_dir.join("log.7"));
}

fn std_remove(disk: &MemDisk, name: &str) {
    use rookeeper_storage::Disk;
    disk.remove(&dirs().snap_dir.join(name)).unwrap();
}

#[test]
fn falling_back_to_an_older_snapshot_needs_the_log_between() {
    // The log reaches back to snapshot.0: fine, and said.
    let disk = directory(Compression::None);
    disk.put(&dirs().snap_dir.join("snapshot.4"), b"ZKSN and nothing");
    let (recovered, _) = open(&disk).unwrap();
    assert_eq!(recovered.last_zxid, Zxid(12));
    assert!(recovered.report.warnings[0].contains("snapshot.4"));
    // It does not: refused, though both files left are sound.
    std_remove(&disk, "log.1");
    let Err(Error::NoValidSnapshot { why, .. }) = open(&disk) else { panic!() };
    assert!(why.contains("snapshot.4") && why.contains("snapshot.0"), "{why}");
    // A snapshot that held more than the log has: refused.
    let disk = directory(Compression::None);
    disk.put(&dirs().snap_dir.join("snapshot.20"), b"");
    let Err(Error::NoValidSnapshot { why, .. }) = open(&disk) else { panic!() };
    assert!(why.contains("ends at 0xc"), "{why}");
}

#[test]
fn no_snapshot_but_logs_is_refused_unless_trusted() {
    let disk = directory(Compression::None);
    std_remove(&disk, "snapshot.0");
    std_remove(&disk, "snapshot.4");
    let refused = open(&disk).unwrap_err().to_string();
    assert!(refused.contains("No snapshot found, but there are log entries"), "{refused}");
    let trusting = RecoverOptions { trust_empty: true, ..RecoverOptions::default() };
    let (recovered, collected) = open_with(&disk, &trusting).unwrap();
    assert_eq!((recovered.last_zxid, recovered.is_new), (Zxid(12), false));
    assert_eq!(found_zxids(&collected), (1..=12).collect::<Vec<_>>());
    // From now on there is one.
    assert_eq!(open(&disk).unwrap().0.last_zxid, Zxid(12));
}

#[test]
fn an_empty_directory_that_may_not_vote() {
    let disk = MemDisk::new();
    let careful = RecoverOptions { db_autocreate: false, ..RecoverOptions::default() };
    let (recovered, _) = open_with(&disk, &careful).unwrap();
    assert_eq!(recovered.last_zxid, Zxid::UNKNOWN);
    disk.put(Path::new("/data/initialize"), b"");
    let (recovered, _) = open_with(&disk, &careful).unwrap();
    assert_eq!(recovered.last_zxid, Zxid::ZERO);
    assert_eq!(disk.contents(Path::new("/data/initialize")), None);
}

#[test]
fn newer_formats_are_refused_by_name() {
    let sound = directory(Compression::None);
    let path = dirs().log_dir.join("log.7");
    let mut bytes = sound.contents(&path).unwrap();
    bytes[7] = 3;
    sound.put(&path, &bytes);
    let refused = open(&sound).unwrap_err().to_string();
    assert!(refused.contains("log.7") && refused.contains("version 3"), "{refused}");
}

#[test]
fn leftovers_are_removed_and_empty_logs_too() {
    let disk = directory(Compression::None);
    for name in ["snapshot.9.tmp", "rookeeper-snapshot.9.tmp", "rookeeper-next-log.tmp"] {
        disk.put(&dirs().snap_dir.join(name), b"ZKSN");
    }
    disk.put(&dirs().snap_dir.join("log.d"), b"");
    disk.put(&dirs().snap_dir.join("log.e"), b"ZKLG\0\0\0");
    disk.put(&dirs().snap_dir.join("log.f"), &[0; 100]);
    assert_eq!(open(&disk).unwrap().0.last_zxid, Zxid(12));
    let names: Vec<String> = disk.files().keys().map(|p| common_name(p)).collect();
    assert_eq!(names, ["log.1", "log.7", "rookeeper.created", "snapshot.0", "snapshot.4"]);
}

fn common_name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Java never cuts a torn tail: it starts the next file behind the last whole record (S4).
#[test]
fn a_torn_tail_that_java_left_behind_is_harmless_if_the_next_file_continues() {
    let disk = directory(Compression::None);
    let path = dirs().log_dir.join("log.1");
    let mut bytes = disk.contents(&path).unwrap();
    let end = bytes.len();
    bytes.extend_from_slice(&[0, 0, 0, 0, 9, 9, 9, 9, 0, 0, 0, 50, 1, 2, 3]);
    bytes.resize(end + 500, 0);
    disk.put(&path, &bytes);
    let (recovered, _) = open(&disk).unwrap();
    assert_eq!(recovered.last_zxid, Zxid(12));
    let warnings = recovered.report.warnings.join("");
    assert!(warnings.contains("nothing is missing"), "{warnings}");
}

#[test]
fn records_that_are_there_twice_are_kept_once() {
    let disk = directory(Compression::None);
    let bytes = disk.contents(&dirs().log_dir.join("log.1")).unwrap();
    disk.put(&dirs().log_dir.join("log.1.bak"), &bytes);
    let (recovered, collected) = open(&disk).unwrap();
    assert_eq!(recovered.last_zxid, Zxid(12));
    assert_eq!(collected.records.len(), 8);
    assert!(recovered.report.warnings.iter().any(|w| w.contains("is there twice")));
}

#[test]
fn misplaced_files_are_refused() {
    use rookeeper_storage::{DataDirs, recover};
    let apart = DataDirs::new(Path::new("/snap"), Some(Path::new("/log")));
    for (dir, name) in [(&apart.snap_dir, "log.1"), (&apart.log_dir, "snapshot.0")] {
        let disk = MemDisk::new();
        let mut sink = common::Collected::default();
        recover(&disk, &apart, &RecoverOptions::default(), &mut sink).unwrap();
        disk.put(&dir.join(name), b"");
        let refused = recover(&disk, &apart, &RecoverOptions::default(), &mut sink).unwrap_err();
        assert!(refused.to_string().contains(name), "{refused}");
    }
}

#[test]
fn looking_without_repairing_changes_nothing() {
    let disk = directory(Compression::None);
    let path = dirs().log_dir.join("log.7");
    let bytes = disk.contents(&path).unwrap();
    disk.put(&path, &bytes[..600]);
    let before = disk.files();
    let looking = RecoverOptions { repair: false, ..RecoverOptions::default() };
    assert!(open_with(&disk, &looking).unwrap().0.last_zxid < Zxid(12));
    assert_eq!(disk.files(), before);
}

#[test]
fn a_hole_between_two_records_is_refused_also_across_epochs() {
    for (name, first) in [("log.8", Zxid(8)), ("log.200000002", Zxid::new(2, 2))] {
        let disk = directory(Compression::None);
        std_remove(&disk, "log.7");
        let mut other = log(&disk, first);
        append(&mut other, [first.next()], 1, SIZE);
        other.close().unwrap();
        let written = dirs().log_dir.join(format!("log.{:x}", first.next().0));
        let Err(Error::Gap { after, found, file, .. }) = open(&disk) else { panic!("{name}") };
        assert_eq!((after, found, file), (Zxid(6), first.next(), written));
    }
}

#[test]
fn an_incomplete_snapshot_without_a_log_is_not_an_empty_directory() {
    let disk = MemDisk::new();
    disk.put(&dirs().snap_dir.join("snapshot.9"), b"ZKSN");
    let Err(Error::NoValidSnapshot { why, .. }) = open(&disk) else { panic!() };
    assert!(why.contains("snapshot.9"), "{why}");
    // Of snapshot.0, cut off at the very first start, nothing can be missing.
    let disk = MemDisk::new();
    disk.put(&dirs().snap_dir.join("snapshot.0"), b"");
    assert_eq!(open(&disk).unwrap().0.last_zxid, Zxid::ZERO);
}
