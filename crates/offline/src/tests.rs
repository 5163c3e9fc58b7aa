//! Damaged input: every tool over files cut and with bits flipped everywhere. Nothing panics,
//! nothing of the input changes, and what a repair wrote is right.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rookeeper_storage::{Disk, MemDisk};

use crate::output::{Output, Stop};
use crate::{FAILED, FINE, log, snapshot, unseen};

const LOG: &str = "/d/log.28";
/// Prime, so that every part of a record is met.
const LOG_STEP: usize = 7;
const SNAPSHOT: &str = "/d/snapshot.27";

fn captured(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop/goldens/disk");
    std::fs::read(folder.join(name)).expect("a capture")
}

/// The captured log, without most of the zeros behind its end.
fn a_log() -> Vec<u8> {
    let mut bytes = captured("plain/version-2/log.28");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("records");
    bytes.truncate(end + 40);
    bytes
}

/// A fresh snapshot of Apache's: all parts of the format in few bytes.
fn a_snapshot() -> Vec<u8> {
    captured("plain/version-2/snapshot.0")
}

fn words(line: &str) -> impl Iterator<Item = OsString> {
    line.split(' ').map(OsString::from).collect::<Vec<_>>().into_iter()
}

fn run_log(disk: &MemDisk, line: &str) -> i32 {
    unseen::log(disk, words(line))
}

fn run_snapshot(disk: &MemDisk, line: &str) -> i32 {
    unseen::snapshot(disk.clone(), words(line))
}

fn run_tool(disk: &MemDisk, line: &str) -> i32 {
    unseen::tool(disk, words(line))
}

/// Damaged forms of some bytes: cut at every `step`th byte, and one bit of every `step`th flipped.
fn damaged(bytes: &[u8], step: usize) -> impl Iterator<Item = Vec<u8>> + '_ {
    let cuts = (0..bytes.len()).step_by(step).map(|len| bytes[..len].to_vec());
    let flips = (0..bytes.len()).step_by(step).map(|at| {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1 << (at % 8);
        flipped
    });
    cuts.chain(flips)
}

fn disk_with(path: &str, bytes: &[u8]) -> MemDisk {
    let disk = MemDisk::new();
    for dir in ["/d", "/new"] {
        disk.create_dir_all(Path::new(dir)).expect("made");
    }
    disk.put(Path::new(path), bytes);
    disk
}

fn names(disk: &MemDisk) -> Vec<PathBuf> {
    disk.files().into_keys().collect()
}

#[test]
fn damaged_logs() {
    let whole = a_log();
    assert_eq!(run_log(&disk_with(LOG, &whole), &format!("verify {LOG}")), FINE);
    let mut repaired = 0;
    for bytes in damaged(&whole, LOG_STEP) {
        let disk = disk_with(LOG, &bytes);
        for line in
            ["print", "print --json", "verify", "verify --json", "summary", "summary --json"]
        {
            run_log(&disk, &format!("{line} {LOG}"));
        }
        run_log(&disk, &format!("compare {LOG} {LOG}"));
        run_tool(&disk, &format!("TxnLogToolkit {LOG}"));
        run_tool(&disk, &format!("TxnLogToolkit -c -z 0x2a {LOG}"));
        assert_eq!(disk.contents(Path::new(LOG)), Some(bytes), "the input");
        // What a repair wrote is framed right, whatever it left out.
        if run_log(&disk, &format!("repair --skip-damage {LOG} /new/log.28")) == FINE {
            repaired += 1;
            let new = disk.contents(Path::new("/new/log.28")).expect("written");
            let again = disk_with(LOG, &new);
            assert_eq!(run_log(&again, &format!("repair {LOG}")), FINE);
        }
        run_tool(&disk, &format!("TxnLogToolkit -r -y {LOG}"));
        let left: Vec<_> = names(&disk)
            .into_iter()
            .filter(|path| path.to_string_lossy().ends_with(".tmp"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
    assert!(whole.len() / LOG_STEP < repaired, "{repaired} repairs");
}

#[test]
fn damaged_snapshots() {
    let whole = a_snapshot();
    assert_eq!(run_snapshot(&disk_with(SNAPSHOT, &whole), &format!("verify {SNAPSHOT}")), FINE);
    let (mut found, mut repaired) = (0, 0);
    for bytes in damaged(&whole, 1) {
        let disk = disk_with(SNAPSHOT, &bytes);
        for line in ["print", "print --json", "summary", "summary --json --depth 3"] {
            run_snapshot(&disk, &format!("{line} {SNAPSHOT}"));
        }
        run_snapshot(&disk, &format!("compare {SNAPSHOT} {SNAPSHOT}"));
        for line in ["SnapshotFormatter", "SnapshotFormatter -d", "SnapshotFormatter -json"] {
            run_tool(&disk, &format!("{line} {SNAPSHOT}"));
        }
        run_tool(&disk, &format!("SnapshotRecursiveSummary {SNAPSHOT} / 0"));
        run_tool(&disk, &format!("SnapshotComparer -l {SNAPSHOT} -r {SNAPSHOT} -b 0 -n 0 -d"));
        let is_damaged = run_snapshot(&disk, &format!("verify {SNAPSHOT}")) == FAILED;
        let converted = run_snapshot(&disk, &format!("convert {SNAPSHOT} /new/snapshot.27.gz"));
        assert!(!is_damaged || converted == FAILED, "damage is not handed on");
        found += u32::from(is_damaged);
        if is_damaged && run_snapshot(&disk, &format!("repair {SNAPSHOT} /new")) == FINE {
            repaired += 1;
            assert_eq!(run_snapshot(&disk, "verify /new/snapshot.27"), FINE);
        }
        assert_eq!(disk.contents(Path::new(SNAPSHOT)), Some(bytes), "the input");
    }
    // Every cut and every flipped bit, but for those in the header's database id, is seen.
    assert!(2 * whole.len() - 16 <= found as usize, "{found} of {}", 2 * whole.len());
    assert!(0 < repaired, "some can be repaired");
}

#[test]
fn a_directory_stands_for_its_files() {
    let disk = MemDisk::new();
    let dir = Path::new("/data/version-2");
    disk.create_dir_all(dir).expect("made");
    for name in ["log.1", "log.28", "snapshot.0", "snapshot.27"] {
        disk.put(&dir.join(name), &captured(&format!("plain/version-2/{name}")));
    }
    for place in ["/data", "/data/version-2"] {
        assert_eq!(run_log(&disk, &format!("verify {place}")), FINE);
        assert_eq!(run_snapshot(&disk, &format!("verify {place}")), FINE);
    }
    // With a file in the middle missing, transactions are missing, too.
    disk.put(&dir.join("log.40"), &captured("quorum/version-2/log.100000001"));
    assert_eq!(
        run_log(&disk, "verify /data/version-2/log.1 /data/version-2/log.40"),
        FINE,
        "an epoch"
    );
    let damaged = captured("plain/version-2/log.28")[..1000].to_vec();
    disk.put(&dir.join("log.28"), &[&damaged[..16], &damaged[77..]].concat());
    assert_eq!(run_log(&disk, "verify /data/version-2/log.1 /data/version-2/log.28"), FAILED);
    assert_eq!(run_log(&disk, "verify /nowhere"), FAILED);
    disk.create_dir_all(Path::new("/empty")).expect("made");
    assert_eq!(run_snapshot(&disk, "verify /empty"), FAILED);
}

#[test]
fn containers_hold_the_same() {
    let bytes = captured("plain/version-2/snapshot.27");
    let disk = disk_with(SNAPSHOT, &bytes);
    for name in ["/new/snapshot.27.gz", "/new/snapshot.27.snappy"] {
        assert_eq!(run_snapshot(&disk, &format!("convert {SNAPSHOT} {name}")), FINE);
        assert_eq!(run_snapshot(&disk, &format!("compare {SNAPSHOT} {name}")), FINE);
        assert_eq!(run_snapshot(&disk, &format!("convert {SNAPSHOT} {name}")), FAILED, "it exists");
    }
    assert_eq!(run_snapshot(&disk, "convert /new/snapshot.27.snappy /new/snapshot.27"), FINE);
    assert_eq!(disk.contents(Path::new("/new/snapshot.27")), Some(bytes));
}

#[test]
fn a_repair_keeps_what_is_right_and_only_that() {
    let whole = a_log();
    let mut bytes = whole.clone();
    bytes[250] ^= 1;
    let disk = disk_with(LOG, &bytes);
    disk.put(Path::new("/d/whole"), &whole);
    assert_eq!(run_log(&disk, &format!("verify {LOG}")), FAILED);
    assert_eq!(run_log(&disk, &format!("repair {LOG}")), FAILED, "there is something to repair");
    assert_eq!(run_log(&disk, &format!("convert {LOG} /new/converted")), FAILED);
    assert_eq!(names(&disk).len(), 2, "nothing was written");
    assert_eq!(run_log(&disk, &format!("repair {LOG} /new/front")), FINE);
    assert_eq!(run_log(&disk, &format!("repair --skip-damage {LOG} /new/all")), FINE);
    // Records 0x28 and 0x29 are in front of the damage, ten of eleven are right.
    let front = disk.contents(Path::new("/new/front")).expect("written");
    assert_eq!(front, whole[..192]);
    let all = disk.contents(Path::new("/new/all")).expect("written");
    assert_eq!(all[..192], whole[..192]);
    assert!(whole.windows(all.len() - 192).any(|window| *window == all[192..]));
    assert_eq!(run_log(&disk, "verify /new/front"), FINE);
    assert_eq!(run_log(&disk, "verify /new/all"), FAILED, "a record is missing");
    assert_eq!(run_log(&disk, "compare /d/whole /new/all"), FAILED);
    assert_eq!(run_log(&disk, "compare /new/all /new/all"), FINE);
    // Without the space ahead of its end, a whole log is the same log.
    assert_eq!(run_log(&disk, "convert /d/whole /new/converted"), FINE);
    assert_eq!(run_log(&disk, "compare /d/whole /new/converted"), FINE);
    assert_eq!(run_log(&disk, "verify /d/whole /new/converted"), FINE);
}

#[test]
fn ctrl_c_leaves_nothing_half_done() {
    let damaged = |mut bytes: Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    let disk = disk_with(LOG, &a_log());
    for line in
        ["print LOG", "verify LOG", "summary LOG", "compare LOG LOG", "convert LOG /new/log.28"]
    {
        let line = line.replace("LOG", LOG);
        let outcome = log::run(&disk, words(&line), &mut Output::interrupted());
        assert!(matches!(outcome, Err(Stop::Interrupted)), "{line}: {outcome:?}");
    }
    let disk = disk_with(LOG, &damaged(a_log()));
    let line = format!("repair --skip-damage {LOG} /new/log.28");
    let outcome = log::run(&disk, words(&line), &mut Output::interrupted());
    assert!(matches!(outcome, Err(Stop::Interrupted)), "{outcome:?}");
    assert_eq!(names(&disk), [Path::new(LOG)]);
    let disk = disk_with(SNAPSHOT, &damaged(a_snapshot()));
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    for line in ["print SNAP", "verify SNAP", "summary SNAP", "repair SNAP /new"] {
        let line = line.replace("SNAP", SNAPSHOT);
        let outcome = snapshot::run(&shared, words(&line), &mut Output::interrupted());
        assert!(matches!(outcome, Err(Stop::Interrupted)), "{line}: {outcome:?}");
    }
    assert_eq!(names(&disk), [Path::new(SNAPSHOT)]);
}
