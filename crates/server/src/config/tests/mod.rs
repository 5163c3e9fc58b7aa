//! The configuration as a whole: files as people write them, every mistake in turn, the table against
//! COMPAT.md.

mod compat;
mod mistakes;
mod real_files;
mod table;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::load::{Files, load};
use super::{Config, ConfigError, Invocation};

/// Files in memory.
#[derive(Default)]
struct MemoryFiles(BTreeMap<PathBuf, Vec<u8>>);

impl Files for MemoryFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Loads with a command line and some files.
fn run(line: &str, files: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let invocation = Invocation::parse(line.split_whitespace().map(OsString::from))?;
    let files =
        files.iter().map(|&(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect();
    load(&invocation, &MemoryFiles(files))
}

/// Loads one zoo.cfg that must be good.
fn good(text: &str) -> Config {
    run("zoo.cfg", &[("zoo.cfg", text)]).expect("a good configuration")
}

/// What a configuration says, one text per notice.
fn said(config: &Config) -> Vec<&str> {
    config.notices.iter().map(|notice| notice.text.as_str()).collect()
}
