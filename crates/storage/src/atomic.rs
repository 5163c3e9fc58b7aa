//! Replacing a small file: temporary name, force, rename, force the directory.

use std::path::Path;

use crate::disk::Disk;
use crate::error::{Error, Result};

/// Replaces `dir/name` with `bytes`: after a crash it is the old or the new one, never a part.
pub(crate) fn replace(
    disk: &dyn Disk,
    dir: &Path,
    name: &str,
    temporary: &str,
    bytes: &[u8],
) -> Result<()> {
    let (path, temporary) = (dir.join(name), dir.join(temporary));
    let written = (|| {
        let mut file = disk.create(&temporary)?;
        file.write_all_at(0, bytes)?;
        file.sync_data()?;
        disk.rename(&temporary, &path)
    })();
    if let Err(source) = written {
        // Nobody reads it, and the next start removes it.
        let _ = disk.remove(&temporary);
        return Err(Error::Io { what: "replace", file: path, source });
    }
    disk.sync_dir(dir).map_err(Error::io("force", dir))
}

/// The contents of a small file; `None` if there is none.
pub(crate) fn read_small(disk: &dyn Disk, path: &Path, max: usize) -> Result<Option<Vec<u8>>> {
    if !disk.exists(path).map_err(Error::io("look for", path))? {
        return Ok(None);
    }
    let file = disk.open(path).map_err(Error::io("open", path))?;
    let mut bytes = vec![0; max + 1];
    let n = file.read_full_at(0, &mut bytes).map_err(Error::io("read", path))?;
    if max < n {
        return Err(Error::refused(path, format!("is longer than {max} bytes")));
    }
    bytes.truncate(n);
    Ok(Some(bytes))
}
