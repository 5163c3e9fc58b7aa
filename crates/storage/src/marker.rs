//! Files of our own in a data directory. Java ignores their names, each carries a version, and each
//! may vanish: then we know less and are more careful.

use std::path::Path;

use crate::atomic::{read_small, replace};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::names::DataDirs;

/// Says that Rookeeper made the directory, so that old files may be purged without being asked.
const CREATED: &str = "rookeeper.created";
const CREATED_TEXT: &[u8] = b"rookeeper created 1\n";
/// Says that acknowledged transactions may have been dropped: this member must not vote with what
/// it holds until it has taken a snapshot from the leader (S36).
const UNKNOWN: &str = "rookeeper.unknown";
const UNKNOWN_TEXT: &[u8] = b"rookeeper unknown 1\n";

fn is_there(disk: &dyn Disk, dir: &Path, name: &str, text: &[u8]) -> Result<bool> {
    let found = read_small(disk, &dir.join(name), 256);
    Ok(found.ok().flatten().is_some_and(|found| found == text))
}

/// Whether Rookeeper made this data directory. Without the file: no.
pub fn is_created_by_us(disk: &dyn Disk, dirs: &DataDirs) -> Result<bool> {
    is_there(disk, &dirs.snap_dir, CREATED, CREATED_TEXT)
}

pub(crate) fn mark_created(disk: &dyn Disk, dirs: &DataDirs) -> Result<()> {
    replace(disk, &dirs.snap_dir, CREATED, "rookeeper.created.tmp", CREATED_TEXT)
}

/// Whether acknowledged transactions may have been dropped here. An unreadable file says so, too.
pub fn is_unknown(disk: &dyn Disk, dirs: &DataDirs) -> Result<bool> {
    let path = dirs.snap_dir.join(UNKNOWN);
    disk.exists(&path).map_err(Error::io("look for", &path))
}

/// Remembers that acknowledged transactions may be dropped: before that happens.
pub fn mark_unknown(disk: &dyn Disk, dirs: &DataDirs) -> Result<()> {
    replace(disk, &dirs.snap_dir, UNKNOWN, "rookeeper.unknown.tmp", UNKNOWN_TEXT)
}

/// Everything is durable again.
pub fn clear_unknown(disk: &dyn Disk, dirs: &DataDirs) -> Result<()> {
    let path = dirs.snap_dir.join(UNKNOWN);
    if is_unknown(disk, dirs)? {
        disk.remove(&path).map_err(Error::io("remove", &path))?;
        disk.sync_dir(&dirs.snap_dir).map_err(Error::io("force", &dirs.snap_dir))?;
    }
    Ok(())
}
