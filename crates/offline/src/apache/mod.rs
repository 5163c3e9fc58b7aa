//! The tools of Apache's distribution by the names of their classes: same arguments, lines, exit
//! codes (`operations.md` 5.2, observed on 3.9.5). Where the original dies with a stack trace, these
//! print one line and return the same code. Children come in the order of the file or by name, where
//! the original has the order of a hash.

mod options;
mod purge;
mod snapshot_comparer;
mod snapshot_formatter;
mod snapshot_summary;
mod txn_log_toolkit;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rookeeper_storage::Disk;

use crate::output::{Outcome, Output, Stop};

/// Exit code of wrong arguments.
const INVALID_INVOCATION: i32 = 2;

const TOOLS: &str = "TxnLogToolkit, SnapshotFormatter, SnapshotComparer, SnapshotRecursiveSummary, \
                     PurgeTxnLog";

pub(crate) fn run(
    disk: &dyn Disk,
    mut args: impl Iterator<Item = OsString>,
    out: &mut Output,
) -> Outcome {
    let class = args.next().unwrap_or_default();
    let class = class.to_string_lossy();
    let args: Vec<OsString> = args.collect();
    // With its package or without.
    match class.rsplit('.').next().unwrap_or_default() {
        "TxnLogToolkit" => txn_log_toolkit::run(disk, &args, out),
        "SnapshotFormatter" => snapshot_formatter::run(disk, &args, out),
        "SnapshotComparer" => snapshot_comparer::run(disk, &args, out),
        "SnapshotRecursiveSummary" => snapshot_summary::run(disk, &args, out),
        "PurgeTxnLog" => purge::run(disk, &args, out),
        "" => Err(Stop::with_code(
            format!("Usage: rookeeper tool <class> [arguments]; the classes are {TOOLS}"),
            INVALID_INVOCATION,
        )),
        other => Err(Stop::with_code(
            format!("there is no tool {other}; there are {TOOLS}"),
            INVALID_INVOCATION,
        )),
    }
}

/// A path as Java's `getAbsolutePath` has it.
fn absolute(path: &Path) -> PathBuf {
    match std::env::current_dir() {
        Ok(dir) => dir.join(path),
        Err(_) => path.to_owned(),
    }
}

/// The name of a file without its directory.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
