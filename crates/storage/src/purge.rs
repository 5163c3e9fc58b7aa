//! Removes snapshots and logs that are no longer needed (`storage-format.md` 3.7).
//!
//! Guarantees: the newest snapshots are read completely before anything older is removed, each once
//! by one [`Purger`]; the log that may hold the record behind the oldest kept snapshot stays (S35);
//! without a whole snapshot nothing is removed. Oldest files go first, so that a crash leaves no hole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rookeeper_proto::Zxid;

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::names::{DataDirs, NamedFile, log_files, snapshot_files};
use crate::snapshot::{looks_complete, verify_snapshot};

/// The least `autopurge.snapRetainCount`.
pub const MIN_RETAIN_COUNT: usize = 3;

/// What may go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PurgePlan {
    /// Snapshots, oldest first.
    pub snapshots: Vec<PathBuf>,
    /// Logs, oldest first.
    pub logs: Vec<PathBuf>,
    /// Their size together.
    pub bytes: u64,
}

/// Finds what a purge that keeps `retain_count` snapshots would remove.
pub fn plan_purge(disk: &dyn Disk, dirs: &DataDirs, retain_count: usize) -> Result<PurgePlan> {
    Purger::default().plan(disk, dirs, retain_count)
}

/// Plans one purge after the other, and remembers which snapshots it has read: reading a large one
/// costs as much as writing it.
#[derive(Debug, Default)]
pub struct Purger {
    /// Snapshots found whole, with their length then.
    whole: BTreeMap<PathBuf, u64>,
}

impl Purger {
    /// See [`plan_purge`].
    pub fn plan(
        &mut self,
        disk: &dyn Disk,
        dirs: &DataDirs,
        retain_count: usize,
    ) -> Result<PurgePlan> {
        let retain_count = retain_count.max(MIN_RETAIN_COUNT);
        let snapshots = snapshot_files(disk, &dirs.snap_dir)?;
        self.whole.retain(|path, _| snapshots.iter().any(|found| found.path == *path));
        let mut oldest_kept = None;
        let mut kept = 0;
        for snapshot in snapshots.iter().rev() {
            if kept == retain_count {
                break;
            }
            if self.is_whole(disk, &snapshot.path)? {
                // Two containers of one zxid count once.
                if oldest_kept != Some(snapshot.zxid) {
                    kept += 1;
                }
                oldest_kept = Some(snapshot.zxid);
            }
        }
        plan_before(disk, dirs, &snapshots, oldest_kept)
    }

    fn is_whole(&mut self, disk: &dyn Disk, path: &Path) -> Result<bool> {
        let len = length(disk, path)?;
        if self.whole.get(path) == Some(&len) {
            return Ok(true);
        }
        let is_whole = looks_complete(disk, path)? && verify_snapshot(disk, path).is_ok();
        if is_whole {
            self.whole.insert(path.to_owned(), len);
        }
        Ok(is_whole)
    }
}

fn length(disk: &dyn Disk, path: &Path) -> Result<u64> {
    let info = disk.metadata(path).map_err(Error::io("measure", path))?;
    Ok(info.map_or(0, |info| info.len))
}

/// What is not needed by a start from the snapshot of `oldest_kept`.
fn plan_before(
    disk: &dyn Disk,
    dirs: &DataDirs,
    snapshots: &[NamedFile],
    oldest_kept: Option<Zxid>,
) -> Result<PurgePlan> {
    let mut plan = PurgePlan::default();
    let Some(oldest) = oldest_kept else { return Ok(plan) };
    let is_old = |file: &&NamedFile| file.zxid < oldest;
    let logs = log_files(disk, &dirs.log_dir)?;
    let newest_needed = logs.iter().rev().map(|log| log.zxid).find(|zxid| *zxid <= oldest);
    let paths = |file: &NamedFile| file.path.clone();
    plan.snapshots = snapshots.iter().filter(is_old).map(paths).collect();
    let is_unneeded = |log: &&NamedFile| Some(log.zxid) != newest_needed;
    plan.logs = logs.iter().filter(is_old).filter(is_unneeded).map(paths).collect();
    for path in plan.snapshots.iter().chain(&plan.logs) {
        plan.bytes += length(disk, path)?;
    }
    Ok(plan)
}

/// Removes what was planned, durably.
pub fn purge(disk: &dyn Disk, dirs: &DataDirs, plan: &PurgePlan) -> Result<()> {
    for path in plan.snapshots.iter().chain(&plan.logs) {
        disk.remove(path).map_err(Error::io("remove", path))?;
    }
    disk.sync_dir(&dirs.snap_dir).map_err(Error::io("force", &dirs.snap_dir))?;
    if dirs.are_separate() {
        disk.sync_dir(&dirs.log_dir).map_err(Error::io("force", &dirs.log_dir))?;
    }
    Ok(())
}
