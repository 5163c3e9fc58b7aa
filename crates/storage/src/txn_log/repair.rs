//! Makes a log fit to be continued: by us, and by a Java server that comes after us (S4, S5).

use std::path::Path;

use super::format::BATCH_MARK_BYTES;
use super::reader::{LogSummary, Repair};
use crate::disk::Disk;
use crate::error::{Error, Result};

/// Cuts torn tails and removes files without records, durably.
pub(crate) fn repair(disk: &dyn Disk, dir: &Path, repairs: &[Repair]) -> Result<()> {
    for repair in repairs {
        match repair {
            Repair::Cut { path, len } => {
                let mut file = disk.open_rw(path).map_err(Error::io("open", path))?;
                file.truncate(*len).map_err(Error::io("cut", path))?;
                file.sync_data().map_err(Error::io("force", path))?;
            }
            Repair::Remove { path } => disk.remove(path).map_err(Error::io("remove", path))?,
        }
    }
    if !repairs.is_empty() {
        disk.sync_dir(dir).map_err(Error::io("force", dir))?;
    }
    Ok(())
}

/// Forces what was read but may only be in the machine's memory: the process before us may have
/// been killed between writing and forcing. After a *failed* force the machine believes everything to be on
/// disk and would not write it, so two things are done again first: its last batch is written, and each
/// file is cut where it ends (a TRUNC or a repair may have failed, and what it took away would come back
/// when the machine stops; simulator, 12248).
pub(crate) fn make_durable(disk: &dyn Disk, dir: &Path, summary: &LogSummary) -> Result<()> {
    for path in &summary.files {
        let mut file = disk.open_rw(path).map_err(Error::io("open", path))?;
        let is_last = Some(path) == summary.files.last();
        if let Some((start, end)) = summary.last_batch.filter(|_| is_last) {
            let end = end + BATCH_MARK_BYTES as u64;
            let mut bytes = vec![0; REWRITE_BYTES.min((end - start) as usize)];
            let mut at = start;
            while at < end {
                let n = bytes.len().min((end - at) as usize);
                let got =
                    file.read_full_at(at, &mut bytes[..n]).map_err(Error::io("read", path))?;
                if got == 0 {
                    break;
                }
                file.write_all_at(at, &bytes[..got]).map_err(Error::io("write", path))?;
                at += got as u64;
            }
        }
        let len = file.len().map_err(Error::io("look at", path))?;
        file.truncate(len).map_err(Error::io("cut", path))?;
        file.sync_data().map_err(Error::io("force", path))?;
    }
    disk.sync_dir(dir).map_err(Error::io("force", dir))
}

const REWRITE_BYTES: usize = 1 << 20;
