//! A transaction log handed to every offline tool: the file as it is, or records of any content under right
//! checksums. The input stays as it is, and what a repair wrote needs no repair.

use std::path::Path;

use rookeeper_offline::unseen;
use rookeeper_storage::{Disk, MemDisk};

use super::log_file;
use crate::input::Input;

const FILE: &str = "/d/log.1";
const NEW: &str = "/new/log.1";
const FINE: i32 = 0;

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let bytes = match input.byte() % 2 {
        0 => input.rest().to_vec(),
        _ => log_file::sealed(input),
    };
    let disk = disk_with(FILE, &bytes);
    for line in ["print", "print --json", "summary", "summary --json"] {
        log(&disk, &format!("{line} {FILE}"));
    }
    let is_sound = log(&disk, &format!("verify {FILE}")) == FINE;
    assert_eq!(is_sound, log(&disk, &format!("verify --json {FILE}")) == FINE);
    assert!(!is_sound || log(&disk, &format!("compare {FILE} {FILE}")) == FINE);
    for line in ["TxnLogToolkit", "TxnLogToolkit -d", "TxnLogToolkit -c -z 0x1"] {
        unseen::tool(&disk, words(&format!("{line} {FILE}")));
    }
    if log(&disk, &format!("repair --skip-damage {FILE} {NEW}")) == FINE {
        let repaired = disk.contents(Path::new(NEW)).expect("it was written");
        let again = disk_with(FILE, &repaired);
        assert_eq!(log(&again, &format!("repair {FILE}")), FINE, "repaired, and still damaged");
    }
    assert_eq!(disk.contents(Path::new(FILE)), Some(bytes), "the input was changed");
}

fn log(disk: &MemDisk, line: &str) -> i32 {
    unseen::log(disk, words(line))
}

/// A disk with a folder for the input, one for what is written, and one file.
pub(super) fn disk_with(path: &str, bytes: &[u8]) -> MemDisk {
    let disk = MemDisk::new();
    for dir in ["/d", "/new"] {
        disk.create_dir_all(Path::new(dir)).expect("memory holds it");
    }
    disk.put(Path::new(path), bytes);
    disk
}

/// The words of a command line without quotes.
pub(super) fn words(line: &str) -> impl Iterator<Item = std::ffi::OsString> {
    line.split(' ').map(Into::into).collect::<Vec<_>>().into_iter()
}

/// Those of the recovery's target, without the byte that gives it a snapshot.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    log_file::seeds().iter().map(|seed| [&seed[..1], &seed[2..]].concat()).collect()
}
