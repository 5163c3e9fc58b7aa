//! What a learner does to its disk when its leader says so: TRUNC, SNAP, and setting data aside.
//!
//! Guarantees, at every crash between: the directory recovers to a state it had or was given, or carries
//! the mark that it must rejoin as unknown (S36). When cutting, snapshots go before logs, later logs
//! before earlier ones, each removal forced before the next, so that no hole appears.
//!
//! The purge may run beside this: a file that is gone when its turn comes is no error. It takes only what is older
//! than a snapshot that stays.
//!
//! Sources: `storage-format.md` 1.7, S8 to S10; `quorum-protocol.md` L9 to L11.

use std::path::{Path, PathBuf};

use rookeeper_proto::Zxid;

use crate::disk::{Disk, remove_if_there};
use crate::error::{Error, Result};
use crate::marker::{
    clear_installing, clear_unknown, installing, is_created_by_us, mark_installing, mark_unknown,
};
use crate::names::{DataDirs, log_files, snapshot_files};
use crate::snapshot::{SnapshotMeta, SnapshotWriter, verify_snapshot};
use crate::txn_log::{LogReader, first_record_beyond};

/// Removes everything beyond `zxid`, which must be provable: there must be a whole snapshot at or
/// below it and a log without holes from there up to a record `zxid` (or the snapshot is `zxid`).
/// Otherwise nothing is changed and the caller must ask for a SNAP.
///
/// Call it with the log closed, then recover again and check that the last zxid is `zxid`.
pub fn truncate_to(
    disk: &dyn Disk,
    dirs: &DataDirs,
    zxid: Zxid,
    max_record_bytes: usize,
) -> Result<()> {
    let snapshots = snapshot_files(disk, &dirs.snap_dir)?;
    let mut below = snapshots.iter().rev().filter(|snapshot| snapshot.zxid <= zxid);
    let base = below.find(|snapshot| verify_snapshot(disk, &snapshot.path).is_ok());
    let Some(base) = base.map(|snapshot| snapshot.zxid) else {
        let why = format!("cannot truncate to {zxid}: there is no whole snapshot at or below it");
        return Err(Error::refused(&dirs.snap_dir, why));
    };
    if !is_reached(disk, &dirs.log_dir, base, zxid, max_record_bytes)? {
        let why = format!("cannot truncate to {zxid}: it is neither a record nor a snapshot");
        return Err(Error::refused(&dirs.log_dir, why));
    }
    drop_beyond(disk, dirs, zxid, max_record_bytes)
}

fn is_reached(disk: &dyn Disk, dir: &Path, base: Zxid, zxid: Zxid, max: usize) -> Result<bool> {
    if base == zxid {
        return Ok(true);
    }
    let mut reader = LogReader::open(disk, dir, base, max)?;
    while let Some(record) = reader.next_record()? {
        if zxid <= record.zxid {
            return Ok(record.zxid == zxid);
        }
    }
    Ok(false)
}

/// Removes all records and snapshots beyond `zxid`, durably.
pub fn drop_beyond(
    disk: &dyn Disk,
    dirs: &DataDirs,
    zxid: Zxid,
    max_record_bytes: usize,
) -> Result<()> {
    for snapshot in snapshot_files(disk, &dirs.snap_dir)?.iter().rev() {
        if zxid < snapshot.zxid {
            remove_now(disk, &dirs.snap_dir, &snapshot.path)?;
        }
    }
    for log in log_files(disk, &dirs.log_dir)?.iter().rev() {
        if zxid < log.zxid {
            remove_now(disk, &dirs.log_dir, &log.path)?;
            continue;
        }
        // A later copy may hold what an earlier file holds: every file is looked at.
        let beyond = match first_record_beyond(disk, &log.path, zxid, max_record_bytes) {
            Err(error) if error.is_gone() => None,
            found => found?,
        };
        if let Some(len) = beyond {
            let mut file = disk.open_rw(&log.path).map_err(Error::io("open", &log.path))?;
            file.truncate(len).map_err(Error::io("cut", &log.path))?;
            file.sync_data().map_err(Error::io("force", &log.path))?;
        }
    }
    Ok(())
}

fn remove_now(disk: &dyn Disk, dir: &Path, path: &Path) -> Result<()> {
    disk.remove(path).map_err(Error::io("remove", path))?;
    disk.sync_dir(dir).map_err(Error::io("force", dir))
}

/// Makes a snapshot received from the leader the only state on this disk (L10). Durable when it
/// returns; at a crash before that the directory holds the old state or the new one.
///
/// Older files go as well: the log may end in txns that were never committed, and where the snapshot
/// is of a later epoch nothing in the files would show that. Whoever read the log from before the
/// snapshot to behind it (a learner's history, a fall-back to an older snapshot) would bring them back.
pub fn install_snapshot(
    disk: &dyn Disk,
    dirs: &DataDirs,
    writer: SnapshotWriter,
    digest: rookeeper_proto::txn::TxnDigest,
) -> Result<SnapshotMeta> {
    let zxid = writer.zxid();
    let ready = writer.complete(digest)?;
    mark_installing(disk, dirs, zxid)?;
    let meta = ready.publish()?;
    finish_installation(disk, dirs)?;
    Ok(meta)
}

/// Takes away what an installed snapshot has replaced; also at the start after a crash. Whether it did.
pub(crate) fn finish_installation(disk: &dyn Disk, dirs: &DataDirs) -> Result<bool> {
    let Some(zxid) = installing(disk, dirs)? else { return Ok(false) };
    let snapshots = snapshot_files(disk, &dirs.snap_dir)?;
    let is_new = |snapshot: &&crate::names::NamedFile| snapshot.zxid == zxid;
    let published = snapshots.iter().find(is_new);
    let is_published =
        published.is_some_and(|snapshot| verify_snapshot(disk, &snapshot.path).is_ok());
    if is_published {
        // What somebody else began is not ours to delete.
        let is_ours = is_created_by_us(disk, dirs)?;
        let replaced = snapshots.into_iter().filter(|snapshot| !is_new(&snapshot));
        for file in log_files(disk, &dirs.log_dir)?.into_iter().chain(replaced) {
            if is_ours {
                remove_if_there(disk, &file.path).map_err(Error::io("remove", &file.path))?;
            } else {
                put_aside(disk, &file.path)?;
            }
        }
        sync_dirs(disk, dirs)?;
        clear_unknown(disk, dirs)?;
    }
    clear_installing(disk, dirs)?;
    Ok(is_published)
}

/// Takes all logs and snapshots out of sight without deleting them: they get names Java and we do
/// not read. Marks the directory as unknown first. Returns the new names.
pub fn set_aside(disk: &dyn Disk, dirs: &DataDirs) -> Result<Vec<PathBuf>> {
    mark_unknown(disk, dirs)?;
    let mut moved = Vec::new();
    let snapshots = snapshot_files(disk, &dirs.snap_dir)?;
    let logs = log_files(disk, &dirs.log_dir)?;
    for file in snapshots.iter().chain(&logs) {
        moved.extend(put_aside(disk, &file.path)?);
    }
    sync_dirs(disk, dirs)?;
    Ok(moved)
}

/// Gives a file a name that nobody reads; returns it, if the file is still there.
fn put_aside(disk: &dyn Disk, path: &Path) -> Result<Option<PathBuf>> {
    let (dir, name) = (path.parent().unwrap_or(Path::new("")), path.file_name());
    let name = name.unwrap_or_default().to_string_lossy();
    let mut to = dir.join(format!("rookeeper-aside.{name}"));
    let mut n = 1;
    while disk.exists(&to).map_err(Error::io("look for", &to))? {
        to = dir.join(format!("rookeeper-aside-{n}.{name}"));
        n += 1;
    }
    match disk.rename(path, &to).map_err(Error::io("rename", path)) {
        Err(error) if error.is_gone() => Ok(None),
        renamed => renamed.map(|()| Some(to)),
    }
}

fn sync_dirs(disk: &dyn Disk, dirs: &DataDirs) -> Result<()> {
    disk.sync_dir(&dirs.snap_dir).map_err(Error::io("force", &dirs.snap_dir))?;
    disk.sync_dir(&dirs.log_dir).map_err(Error::io("force", &dirs.log_dir))
}
