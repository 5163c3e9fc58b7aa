//! `currentEpoch` and `acceptedEpoch` (`storage-format.md` 3.8 and section 4 step 7).
//!
//! Decimal ASCII, replaced atomically, in the snapshot directory. Where Java refuses because of a
//! crash between its own two writes, we raise `currentEpoch` when that is proven to be safe
//! (`quorum-protocol.md` 3.4).

use std::path::Path;

use rookeeper_proto::Zxid;

use crate::atomic::{read_small, replace};
use crate::disk::Disk;
use crate::error::{Error, Result};

/// `currentEpoch` and `acceptedEpoch`; accepted is never the smaller one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epochs {
    /// The epoch of the leader followed last.
    pub current: i64,
    /// The newest epoch promised.
    pub accepted: i64,
}

/// File of the epoch of the leader followed last.
pub const CURRENT_EPOCH: &str = "currentEpoch";
/// File of the newest epoch promised.
pub const ACCEPTED_EPOCH: &str = "acceptedEpoch";

/// Reads an epoch file; `None` if there is none.
pub fn read_epoch(disk: &dyn Disk, dir: &Path, name: &str) -> Result<Option<i64>> {
    let path = dir.join(name);
    let Some(bytes) = read_small(disk, &path, MAX_BYTES)? else { return Ok(None) };
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let is_number = !line.is_empty() && line.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(line).ok().filter(|_| is_number).and_then(|l| l.parse().ok());
    match number {
        Some(epoch) => Ok(Some(epoch)),
        None => {
            let found = String::from_utf8_lossy(line).into_owned();
            Err(Error::corrupt(&path, 0, "an epoch as a decimal number", format!("{found:?}")))
        }
    }
}

/// Writes an epoch file, durably.
pub fn write_epoch(disk: &dyn Disk, dir: &Path, name: &str, epoch: i64) -> Result<()> {
    assert!(0 <= epoch, "a negative epoch cannot be read back");
    replace(disk, dir, name, &format!("{name}.tmp"), epoch.to_string().as_bytes())
}

/// Reads both files and mends what a crash explains; `last` is the last zxid held.
pub(crate) fn recover_epochs(
    disk: &dyn Disk,
    dir: &Path,
    last: Zxid,
    repair: bool,
    warnings: &mut Vec<String>,
) -> Result<Epochs> {
    let of_last = last.epoch().max(0);
    let current = read_epoch(disk, dir, CURRENT_EPOCH)?;
    let accepted = read_epoch(disk, dir, ACCEPTED_EPOCH)?;
    let mut epochs = Epochs { current: current.unwrap_or(of_last), accepted: 0 };
    if epochs.current < of_last {
        let pending = read_epoch(disk, dir, "currentEpoch.tmp").ok().flatten();
        let pending = pending.filter(|epoch| of_last <= *epoch);
        let proven = accepted.filter(|accepted| of_last <= *accepted).map(|_| of_last);
        let Some(raised) = pending.or(proven) else {
            let why = format!(
                "the current epoch, {:x}, is older than the last zxid, {last}: this directory was \
                 put together from several, or {CURRENT_EPOCH} was restored from an old copy",
                epochs.current
            );
            return Err(Error::refused(&dir.join(CURRENT_EPOCH), why));
        };
        warnings.push(format!(
            "{CURRENT_EPOCH} was {} and the last zxid is {last}: raised to {raised} (a crash between \
             two writes)",
            epochs.current
        ));
        epochs.current = raised;
    }
    epochs.accepted = accepted.unwrap_or(epochs.current.max(of_last));
    if epochs.accepted < epochs.current {
        let why = format!(
            "the accepted epoch, {:x} is less than the current epoch, {:x}: one of the two files was \
             restored from an old copy",
            epochs.accepted, epochs.current
        );
        return Err(Error::refused(&dir.join(ACCEPTED_EPOCH), why));
    }
    if repair {
        // A file may have got its name before a force of the directory failed. Nobody may be told an epoch
        // that the next loss of power takes back.
        disk.sync_dir(dir).map_err(Error::io("force", dir))?;
        // Accepted first: at no time may it be the smaller one (S21).
        if accepted != Some(epochs.accepted) {
            write_epoch(disk, dir, ACCEPTED_EPOCH, epochs.accepted)?;
        }
        if current != Some(epochs.current) {
            write_epoch(disk, dir, CURRENT_EPOCH, epochs.current)?;
        }
    }
    Ok(epochs)
}

const MAX_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::MemDisk;

    fn disk(files: &[(&str, &str)]) -> (MemDisk, PathBuf) {
        let (disk, dir) = (MemDisk::new(), PathBuf::from("/d/version-2"));
        disk.create_dir_all(&dir).unwrap();
        for (name, text) in files {
            disk.put(&dir.join(name), text.as_bytes());
        }
        (disk, dir)
    }

    fn recovered(files: &[(&str, &str)], last: Zxid) -> Result<(i64, i64)> {
        let (disk, dir) = disk(files);
        let epochs = recover_epochs(&disk, &dir, last, true, &mut Vec::new())?;
        let read = |name| read_epoch(&disk, &dir, name).unwrap();
        assert_eq!(read(CURRENT_EPOCH), Some(epochs.current));
        assert_eq!(read(ACCEPTED_EPOCH), Some(epochs.accepted));
        Ok((epochs.current, epochs.accepted))
    }

    #[test]
    fn missing_files_are_made_from_the_last_zxid() {
        assert_eq!(recovered(&[], Zxid::new(3, 9)).unwrap(), (3, 3));
        assert_eq!(recovered(&[], Zxid::UNKNOWN).unwrap(), (0, 0));
        assert_eq!(recovered(&[("currentEpoch", "5")], Zxid::new(3, 9)).unwrap(), (5, 5));
    }

    #[test]
    fn a_current_epoch_left_behind_is_raised_only_if_that_is_proven() {
        let (current, accepted) = (("currentEpoch", "2"), ("acceptedEpoch", "3"));
        assert_eq!(recovered(&[current, accepted], Zxid::new(3, 1)).unwrap(), (3, 3));
        let pending = ("currentEpoch.tmp", "3");
        assert_eq!(recovered(&[current, accepted, pending], Zxid::new(3, 1)).unwrap(), (3, 3));
        let low = ("acceptedEpoch", "2");
        assert!(recovered(&[current, low], Zxid::new(3, 1)).is_err());
        assert!(recovered(&[current, low, pending], Zxid::new(3, 1)).is_err());
        assert!(recovered(&[current], Zxid::new(3, 1)).is_err());
    }

    /// A write of the accepted epoch fails at any of its operations, the server starts again and tells what it
    /// finds, and then the power fails. (Found by the simulator, ensemble seed 18885.)
    #[test]
    fn what_was_told_at_a_start_outlives_the_power() {
        let mut was_told = Vec::new();
        for operation in 1.. {
            let (disk, dir) = disk(&[(CURRENT_EPOCH, "2"), (ACCEPTED_EPOCH, "2")]);
            disk.fail_at(disk.ops() + operation, std::io::ErrorKind::Other);
            let is_written = write_epoch(&disk, &dir, ACCEPTED_EPOCH, 3).is_ok();
            disk.restart();
            let start = || {
                let last = Zxid::UNKNOWN;
                recover_epochs(&disk, &dir, last, true, &mut Vec::new()).expect("sound files")
            };
            let told = start();
            disk.crash(&mut |_| 0);
            disk.restart();
            assert_eq!(start(), told, "operation {operation}");
            was_told.push(told.accepted);
            if is_written {
                break;
            }
        }
        assert_eq!((was_told.first(), was_told.last()), (Some(&2), Some(&3)));
    }

    #[test]
    fn nonsense_is_refused_with_its_file() {
        for text in ["", "x", "-1", " 1", "1 ", "99999999999999999999"] {
            let refused = recovered(&[("currentEpoch", text)], Zxid::ZERO).unwrap_err();
            assert!(refused.to_string().contains("currentEpoch"), "{refused}");
        }
        assert!(recovered(&[("currentEpoch", "4"), ("acceptedEpoch", "3")], Zxid::ZERO).is_err());
        assert_eq!(recovered(&[("currentEpoch", "4\n")], Zxid::ZERO).unwrap(), (4, 4));
    }
}
