//! The files of a data directory and how they are named (`storage-format.md` section 0).
//!
//! Java reads every name whose first dot-separated part is `log` or `snapshot` and whose second is
//! a hexadecimal number, whatever follows. So nothing of ours begins with these words.

use std::path::{Path, PathBuf};

use rookeeper_proto::Zxid;

use crate::disk::Disk;
use crate::error::{Error, Result};

/// Where a server keeps its data: the two `version-2` directories, which may be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDirs {
    /// `<dataDir>/version-2`: snapshots and epoch files.
    pub snap_dir: PathBuf,
    /// `<dataLogDir>/version-2`: logs.
    pub log_dir: PathBuf,
}

impl DataDirs {
    /// The directories of `dataDir` and, if set, `dataLogDir`.
    pub fn new(data_dir: &Path, data_log_dir: Option<&Path>) -> Self {
        let log_dir = data_log_dir.unwrap_or(data_dir).join("version-2");
        Self { snap_dir: data_dir.join("version-2"), log_dir }
    }

    /// Whether logs and snapshots are kept apart.
    pub fn are_separate(&self) -> bool {
        self.snap_dir != self.log_dir
    }

    /// The marker that lets an empty server vote.
    pub fn initialize_marker(&self) -> PathBuf {
        self.log_dir.parent().unwrap_or(&self.log_dir).join("initialize")
    }
}

/// `log.<hex>`.
pub fn log_name(first: Zxid) -> String {
    format!("log.{:x}", first.0)
}

/// `snapshot.<hex><suffix>`; the suffix is empty, `.gz` or `.snappy`.
pub fn snapshot_name(zxid: Zxid, suffix: &str) -> String {
    format!("snapshot.{:x}{suffix}", zxid.0)
}

/// The zxid in a name as Java reads it: `prefix`, a hexadecimal number, anything behind more dots.
pub(crate) fn zxid_in_name(name: &str, prefix: &str) -> Option<Zxid> {
    let mut parts = name.split('.');
    if parts.next()? != prefix {
        return None;
    }
    let digits = parts.next()?;
    // Java parses signed 64-bit; a zxid of ours never is negative, so a sign is foreign.
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    i64::from_str_radix(digits, 16).ok().map(Zxid)
}

/// The zxid in a snapshot's name.
pub fn snapshot_zxid(name: &str) -> Option<Zxid> {
    zxid_in_name(name, "snapshot")
}

/// A file and the zxid its name carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// From its name.
    pub zxid: Zxid,
    /// Where it is.
    pub path: PathBuf,
}

/// The files of `dir` that Java would take for `prefix`, by zxid, oldest first.
pub(crate) fn named_files(disk: &dyn Disk, dir: &Path, prefix: &str) -> Result<Vec<NamedFile>> {
    let names = disk.list(dir).map_err(Error::io("list", dir))?;
    let mut files: Vec<NamedFile> = names
        .iter()
        .filter_map(|name| {
            Some(NamedFile { zxid: zxid_in_name(name, prefix)?, path: dir.join(name) })
        })
        .collect();
    files.sort_by(|a, b| (a.zxid, &a.path).cmp(&(b.zxid, &b.path)));
    Ok(files)
}

/// The log files of a directory, oldest first.
pub fn log_files(disk: &dyn Disk, dir: &Path) -> Result<Vec<NamedFile>> {
    named_files(disk, dir, "log")
}

/// The snapshots of a directory, oldest first, complete or not.
pub fn snapshot_files(disk: &dyn Disk, dir: &Path) -> Result<Vec<NamedFile>> {
    named_files(disk, dir, "snapshot")
}
