//! `PurgeTxnLog`: removes old snapshots and logs. The plan is `storage`'s: a snapshot counts as kept only
//! if all of it was read and is right, where the original looks at its last five bytes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rookeeper_storage::{DataDirs, Disk, MIN_RETAIN_COUNT, plan_purge, purge};

use super::absolute;
use crate::output::{Outcome, Output};
use crate::{FAILED, FINE, java};

const USAGE: &str = "Usage:\n\
    PurgeTxnLog dataLogDir [snapDir] -n count\n\
    \tdataLogDir -- path to the txn log directory\n\
    \tsnapDir -- path to the snapshot directory\n\
    \tcount -- the number of old snaps/logs you want to keep, value should be greater than or equal \
    to 3";

pub(super) fn run(disk: &dyn Disk, args: &[OsString], out: &mut Output) -> Outcome {
    let (log_dir, snap_dir, option, count) = match args {
        [dir, option, count] => (dir, dir, option, count),
        [log_dir, snap_dir, option, count] => (log_dir, snap_dir, option, count),
        _ => return usage(out, None),
    };
    for dir in [log_dir, snap_dir] {
        let path = Path::new(dir);
        // Java takes an empty path for the present directory, but never finds it.
        if dir.is_empty() || !disk.exists(path).unwrap_or(false) {
            let text = format!("Path '{}' does not exist. ", absolute(path).display());
            return usage(out, Some(&text));
        }
    }
    let count = match count.to_string_lossy().parse::<usize>() {
        Ok(count) if MIN_RETAIN_COUNT <= count => count,
        Ok(_) => return usage(out, Some("count should be greater than or equal to 3")),
        Err(_) if count.to_string_lossy().parse::<i32>().is_ok() => {
            return usage(out, Some("count should be greater than or equal to 3"));
        }
        Err(_) => {
            let text = format!("'{}' can not be parsed to integer.", count.to_string_lossy());
            return usage(out, Some(&text));
        }
    };
    if option != "-n" {
        return usage(out, None);
    }
    let dirs = DataDirs::new(Path::new(snap_dir), Some(Path::new(log_dir)));
    let plan = plan_purge(disk, &dirs, count)?;
    for path in plan.logs.iter().chain(&plan.snapshots) {
        out.line(&format!("Removing file: {}\t{}", modified(path), path.display()))?;
    }
    // Said before it is done, and done only if it could be said.
    out.flush()?;
    purge(disk, &dirs, &plan)?;
    Ok(FINE)
}

/// When a file was written, in the words of the original.
fn modified(path: &PathBuf) -> String {
    let modified = std::fs::metadata(path).and_then(|found| found.modified()).ok();
    let since = modified.and_then(|moment| moment.duration_since(UNIX_EPOCH).ok());
    java::medium_date(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0)))
}

fn usage(out: &mut Output, why: Option<&str>) -> Outcome {
    if let Some(why) = why {
        out.err(why);
    }
    out.line(USAGE)?;
    Ok(FAILED)
}
