//! The files that are meant: named, or all of a kind in a directory.

use std::path::{Path, PathBuf};

use rookeeper_storage::Disk;
use rookeeper_storage::names::NamedFile;

use crate::output::{Outcome, Stop};

/// Finds files of a kind in a directory, oldest first.
type Finder = fn(&dyn Disk, &Path) -> rookeeper_storage::Result<Vec<NamedFile>>;

/// The files meant: a directory, a `dataDir` or its `version-2`, stands for those in it.
pub(crate) fn files(
    disk: &dyn Disk,
    paths: &[PathBuf],
    what: &str,
    find: Finder,
) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let info = disk.metadata(path).ok().flatten();
        let Some(info) = info else {
            return Err(Stop::new(format!("{}: no such file or directory", path.display())));
        };
        if !info.is_dir {
            files.push(path.clone());
            continue;
        }
        let nested = path.join("version-2");
        let is_data_dir = disk.metadata(&nested).ok().flatten().is_some_and(|info| info.is_dir);
        let dir = if is_data_dir { &nested } else { path };
        let found = find(disk, dir)?;
        if found.is_empty() {
            return Err(Stop::new(format!("{}: no {what} are in it", dir.display())));
        }
        files.extend(found.into_iter().map(|file| file.path));
    }
    Ok(files)
}
