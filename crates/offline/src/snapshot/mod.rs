//! `rookeeper snapshot`: snapshots, Apache's and ours, in any container.

mod compare;
mod print;
pub(crate) mod reading;
mod repair;
pub(crate) mod sizes;
mod summary;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use rookeeper_storage::snapshot::recompress;
use rookeeper_storage::{Compression, Disk, names};

use crate::output::{Outcome, Output};
use crate::{FINE, input};

#[derive(Debug, Parser)]
#[command(name = "rookeeper snapshot", about = "Looks into snapshots, Apache's and ours")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the nodes
    Print {
        /// The snapshot
        file: PathBuf,
        /// Only this node and what is below it
        #[arg(long, default_value = "/")]
        path: String,
        /// Print JSON, one value per line
        #[arg(long)]
        json: bool,
    },
    /// Read everything and say what is damaged; exit code 1 if anything is
    Verify {
        /// Snapshots, or directories with snapshots (a dataDir or its version-2)
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Print JSON, one value per line
        #[arg(long)]
        json: bool,
    },
    /// Count nodes, bytes and sessions
    Summary {
        /// The snapshot
        file: PathBuf,
        /// How many levels of subtrees are told apart
        #[arg(long, default_value_t = 1)]
        depth: usize,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say which nodes differ; exit code 1 if any does
    Compare {
        /// A snapshot
        left: PathBuf,
        /// Another
        right: PathBuf,
        /// Print JSON, one value per line
        #[arg(long)]
        json: bool,
    },
    /// Write the same snapshot in another container, told by the new name: .gz, .snappy or neither
    Convert {
        /// The snapshot
        from: PathBuf,
        /// The new file; it must not exist
        to: PathBuf,
    },
    /// Write what can be read of a damaged snapshot into another directory and say what is missing
    Repair {
        /// The snapshot; it is not changed
        from: PathBuf,
        /// Where the new one goes; without it nothing is written
        to_dir: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(
    disk: &Arc<dyn Disk>,
    args: impl Iterator<Item = OsString>,
    out: &mut Output,
) -> Outcome {
    let args = crate::parse::<Args>("rookeeper snapshot", args)?;
    match args.command {
        Command::Print { file, path, json } => print::run(&**disk, &file, &path, json, out),
        Command::Verify { paths, json } => {
            let files = input::files(&**disk, &paths, "snapshots", names::snapshot_files)?;
            verify::run(&**disk, &files, json, out)
        }
        Command::Summary { file, depth, json } => summary::run(&**disk, &file, depth, json, out),
        Command::Compare { left, right, json } => compare::run(&**disk, &left, &right, json, out),
        Command::Convert { from, to } => {
            recompress(&**disk, &from, &to, compression_of(&to))?;
            out.line(&format!("{} is the same snapshot", to.display()))?;
            Ok(FINE)
        }
        Command::Repair { from, to_dir, json } => {
            repair::run(disk, &from, to_dir.as_deref(), json, out)
        }
    }
}

fn compression_of(path: &std::path::Path) -> Compression {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.map_or(Compression::None, Compression::from_key)
}
