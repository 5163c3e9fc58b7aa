//! Between corpora in the repository and the directories that libFuzzer works on:
//!
//! ```text
//! rookeeper-fuzz-corpus list                    the targets
//! rookeeper-fuzz-corpus unpack <target> <dir>   seeds and corpus, one file each
//! rookeeper-fuzz-corpus pack <target> <dir>     the files of a directory become the corpus
//! ```

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::Path;
use std::process::ExitCode;

use rookeeper_fuzz::{TARGETS, Target, corpus};

/// Larger inputs stay out of the repository.
const INPUT_BYTES_MAX: u64 = 8 << 10;
/// As do more than this, the largest first.
const INPUTS_MAX: usize = 400;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["list"] => {
            TARGETS.iter().for_each(|target| println!("{}", target.name));
            Ok(())
        }
        ["unpack", name, dir] => named(name).and_then(|target| unpack(target, Path::new(dir))),
        ["pack", name, dir] => named(name).and_then(|target| pack(target, Path::new(dir))),
        _ => Err(io::Error::other("usage: list | unpack <target> <dir> | pack <target> <dir>")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn named(name: &str) -> io::Result<&'static Target> {
    Target::named(name).ok_or_else(|| io::Error::other(format!("no target is called {name}")))
}

fn unpack(target: &Target, dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for input in corpus::read(target)?.into_iter().chain((target.seeds)()) {
        let mut hasher = DefaultHasher::new();
        input.hash(&mut hasher);
        fs::write(dir.join(format!("{:016x}", hasher.finish())), input)?;
    }
    Ok(())
}

fn pack(target: &Target, dir: &Path) -> io::Result<()> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.metadata()?.len() <= INPUT_BYTES_MAX {
            inputs.push(fs::read(entry.path())?);
        }
    }
    inputs.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    inputs.truncate(INPUTS_MAX);
    corpus::write(target, &inputs)
}
