//! A snapshot handed to every offline tool, plain, gzip or snappy. The input stays as it is, damage is never
//! handed on, and what a repair wrote is whole.

use std::path::Path;

use rookeeper_offline::unseen;
use rookeeper_storage::MemDisk;

use super::offline_log::{disk_with, words};
use super::snapshot_file;
use crate::input::Input;

const FINE: i32 = 0;
const CODECS: [&str; 3] = ["", ".gz", ".snappy"];

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let file = format!("/d/snapshot.27{}", CODECS[usize::from(input.byte() % 3)]);
    let bytes = input.rest().to_vec();
    let disk = disk_with(&file, &bytes);
    for line in ["print", "print --json", "summary", "summary --json --depth 3"] {
        snapshot(&disk, &format!("{line} {file}"));
    }
    for line in ["SnapshotFormatter", "SnapshotFormatter -d", "SnapshotFormatter -json"] {
        unseen::tool(&disk, words(&format!("{line} {file}")));
    }
    unseen::tool(&disk, words(&format!("SnapshotRecursiveSummary {file} / 0")));
    unseen::tool(&disk, words(&format!("SnapshotComparer -l {file} -r {file} -b 0 -n 0 -d")));
    let is_sound = snapshot(&disk, &format!("verify {file}")) == FINE;
    assert!(!is_sound || snapshot(&disk, &format!("compare {file} {file}")) == FINE);
    let is_converted = snapshot(&disk, &format!("convert {file} /new/converted")) == FINE;
    assert!(is_sound || !is_converted, "damage was handed on");
    if !is_sound && snapshot(&disk, &format!("repair {file} /new")) == FINE {
        assert_eq!(snapshot(&disk, "verify /new"), FINE, "repaired, and still damaged");
    }
    assert_eq!(disk.contents(Path::new(&file)), Some(bytes), "the input was changed");
}

fn snapshot(disk: &MemDisk, line: &str) -> i32 {
    unseen::snapshot(disk.clone(), words(line))
}

/// Those of the recovery's target that are files.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    snapshot_file::seeds().into_iter().filter(|seed| usize::from(seed[0]) < CODECS.len()).collect()
}
