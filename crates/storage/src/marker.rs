//! Files of our own in a data directory. Java ignores their names, each carries a version, and each
//! may vanish: then we know less and are more careful.

use std::path::Path;

use rookeeper_proto::Zxid;

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
/// Says that the snapshot it names, once it is there, is all that counts here: a leader sent it, and
/// what the older files hold may be of another history.
const INSTALLING: &str = "rookeeper.installing";
const INSTALLING_TEXT: &str = "rookeeper installing 1 ";

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

/// Remembers that a leader's snapshot is about to be published.
pub(crate) fn mark_installing(disk: &dyn Disk, dirs: &DataDirs, zxid: Zxid) -> Result<()> {
    let text = format!("{INSTALLING_TEXT}{:x}\n", zxid.0);
    let temporary = "rookeeper.installing.tmp";
    replace(disk, &dirs.snap_dir, INSTALLING, temporary, text.as_bytes())
}

/// The snapshot that was about to be published.
pub(crate) fn installing(disk: &dyn Disk, dirs: &DataDirs) -> Result<Option<Zxid>> {
    let path = dirs.snap_dir.join(INSTALLING);
    let Some(text) = read_small(disk, &path, 256)? else { return Ok(None) };
    let zxid = std::str::from_utf8(&text)
        .ok()
        .and_then(|text| i64::from_str_radix(text.strip_prefix(INSTALLING_TEXT)?.trim(), 16).ok());
    match zxid {
        Some(zxid) => Ok(Some(Zxid(zxid))),
        None => Err(Error::refused(&path, "is not what Rookeeper writes there")),
    }
}

/// The installation is over, one way or the other.
pub(crate) fn clear_installing(disk: &dyn Disk, dirs: &DataDirs) -> Result<()> {
    let path = dirs.snap_dir.join(INSTALLING);
    disk.remove(&path).map_err(Error::io("remove", &path))?;
    disk.sync_dir(&dirs.snap_dir).map_err(Error::io("force", &dirs.snap_dir))
}
