//! Tools over the files of a stopped server: transaction logs and snapshots, Apache's and ours.
//!
//! `rookeeper log` and `rookeeper snapshot` print, verify, compare, sum up, convert and repair;
//! `rookeeper tool <class>` is the tool of that name in Apache's distribution, with its arguments,
//! lines and exit codes (`operations.md` 5.2), for the scripts in `bin/`.
//!
//! Guarantees: input is never changed, a repair writes a new file; whatever the bytes are, nothing
//! panics, and damage is told with file and offset; results go to standard output, everything else to
//! standard error. Files are read as streams: memory does not grow with their size, but for what a
//! module says of itself. The disk is handed in, as to `storage`.
//!
//! It deliberately asks no server and takes no lock: a log that is being written ends where it ended
//! when it was read.

mod apache;
mod damage;
mod input;
mod java;
mod log;
mod output;
mod snapshot;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::sync::Arc;

use rookeeper_storage::Disk;

use clap::Parser;
use output::{Output, Stop};

/// Exit code when everything is well.
const FINE: i32 = 0;
/// Exit code when something is damaged, different or failed.
const FAILED: i32 = 1;
/// Exit code after Ctrl-C.
const INTERRUPTED: i32 = 130;

/// Runs `rookeeper log` with the words behind it; answers the exit code.
pub fn log(disk: impl Disk, args: impl Iterator<Item = OsString>) -> i32 {
    finish(&mut Output::standard(), |out| log::run(&disk, args, out))
}

/// Runs `rookeeper snapshot` with the words behind it; answers the exit code.
pub fn snapshot(disk: impl Disk + 'static, args: impl Iterator<Item = OsString>) -> i32 {
    let disk: Arc<dyn Disk> = Arc::new(disk);
    finish(&mut Output::standard(), |out| snapshot::run(&disk, args, out))
}

/// Runs `rookeeper tool` with the words behind it: one of Apache's tools by the name of its class.
pub fn tool(disk: impl Disk, args: impl Iterator<Item = OsString>) -> i32 {
    finish(&mut Output::standard(), |out| apache::run(&disk, args, out))
}

/// The same for whoever wants the exit code alone: results and complaints go nowhere.
pub mod unseen {
    use super::{
        Arc, Disk, OsString, Output, apache, finish, log as log_tool, snapshot as snapshot_tool,
    };

    /// See [`log`](super::log).
    pub fn log(disk: &impl Disk, args: impl Iterator<Item = OsString>) -> i32 {
        finish(&mut Output::unseen(), |out| log_tool::run(disk, args, out))
    }

    /// See [`snapshot`](super::snapshot).
    pub fn snapshot(disk: impl Disk + 'static, args: impl Iterator<Item = OsString>) -> i32 {
        let disk: Arc<dyn Disk> = Arc::new(disk);
        finish(&mut Output::unseen(), |out| snapshot_tool::run(&disk, args, out))
    }

    /// See [`tool`](super::tool).
    pub fn tool(disk: &impl Disk, args: impl Iterator<Item = OsString>) -> i32 {
        finish(&mut Output::unseen(), |out| apache::run(disk, args, out))
    }
}

fn finish(out: &mut Output, work: impl FnOnce(&mut Output) -> output::Outcome) -> i32 {
    let code = work(out).and_then(|code| out.flush().map(|()| code));
    match code {
        Ok(code) => code,
        // Whoever reads has seen enough.
        Err(Stop::Closed) => FINE,
        Err(Stop::Printed(code)) => code,
        Err(Stop::Interrupted) => {
            // What was found so far is worth having.
            let _ = out.flush();
            out.err("Interrupted");
            INTERRUPTED
        }
        Err(Stop::Said { text, code }) => {
            let flushed = out.flush();
            out.err(&text);
            if flushed.is_err() { FAILED } else { code }
        }
    }
}

/// The arguments behind a subcommand. Help goes to standard output, mistakes to standard error.
fn parse<A: Parser>(name: &str, args: impl Iterator<Item = OsString>) -> output::Outcome<A> {
    let args = std::iter::once(OsString::from(name)).chain(args);
    A::try_parse_from(args).map_err(|error| {
        // Clap knows where each belongs.
        let _ = error.print();
        Stop::Printed(error.exit_code())
    })
}
