//! `rookeeper log`: transaction logs, file by file or all of a data directory.

mod compare;
mod print;
mod repair;
mod summary;
mod verify;
pub(crate) mod writing;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use rookeeper_proto::Zxid;
use rookeeper_storage::txn_log::inspect::LogInspector;
use rookeeper_storage::{Disk, names};

pub(crate) use print::{data_value, escaped, shown};

use crate::input;
use crate::output::{Outcome, Output};

#[derive(Debug, Parser)]
#[command(name = "rookeeper log", about = "Looks into transaction logs, Apache's and ours")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the records
    Print {
        #[command(flatten)]
        input: Input,
        /// Print only records from this zxid on (0x... or decimal)
        #[arg(long, value_parser = zxid, value_name = "ZXID")]
        from: Option<Zxid>,
        /// Print only records up to this zxid
        #[arg(long, value_parser = zxid, value_name = "ZXID")]
        to: Option<Zxid>,
    },
    /// Read everything and say what is damaged; exit code 1 if anything is
    Verify {
        #[command(flatten)]
        input: Input,
    },
    /// Count records, sessions and bytes
    Summary {
        #[command(flatten)]
        input: Input,
    },
    /// Say where two logs differ; exit code 1 if they do
    Compare {
        /// A file, or a directory with log files
        left: PathBuf,
        /// Another
        right: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Copy a whole log without the space ahead of its end
    Convert {
        /// The log file
        from: PathBuf,
        /// The new file; it must not exist
        to: PathBuf,
    },
    /// Copy the whole records of a damaged log and say what is dropped
    Repair {
        /// The log file; it is not changed
        from: PathBuf,
        /// The new file; without it nothing is written and it is only said what would be dropped
        to: Option<PathBuf>,
        /// Also keep whole records behind the damage: what is between them is lost
        #[arg(long)]
        skip_damage: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Input {
    /// Log files, or directories with log files (a dataDir or its version-2)
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Print JSON, one value per line
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(
    disk: &dyn Disk,
    args: impl Iterator<Item = OsString>,
    out: &mut Output,
) -> Outcome {
    let args = crate::parse::<Args>("rookeeper log", args)?;
    match args.command {
        Command::Print { input, from, to } => {
            let range = from.unwrap_or(Zxid(i64::MIN))..=to.unwrap_or(Zxid(i64::MAX));
            print::run(disk, &files(disk, &input.paths)?, &range, input.json, out)
        }
        Command::Verify { input } => {
            verify::run(disk, &files(disk, &input.paths)?, input.json, out)
        }
        Command::Summary { input } => {
            summary::run(disk, &files(disk, &input.paths)?, input.json, out)
        }
        Command::Compare { left, right, json } => {
            compare::run(disk, files(disk, &[left])?, files(disk, &[right])?, json, out)
        }
        Command::Convert { from, to } => repair::convert(disk, &from, &to, out),
        Command::Repair { from, to, skip_damage, json } => {
            repair::run(disk, &from, to.as_deref(), skip_damage, json, out)
        }
    }
}

/// A zxid as people write it.
fn zxid(text: &str) -> Result<Zxid, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map(Zxid).map_err(|_| format!("{text} is no zxid: 0x100000001 and 4294967297 are"))
}

fn files(disk: &dyn Disk, paths: &[PathBuf]) -> Outcome<Vec<PathBuf>> {
    input::files(disk, paths, "transaction logs", names::log_files)
}

/// Opens a log; a file whose creation was cut off has no records.
fn open(disk: &dyn Disk, path: &Path) -> Outcome<Option<LogInspector>> {
    Ok(LogInspector::open(disk, path)?)
}
