//! A new file that appears only when it is whole and durable.

use std::path::{Path, PathBuf};

use rookeeper_storage::{Disk, DiskFile};

use crate::output::{Outcome, Stop};

/// Written at a time.
const BUFFER_BYTES: usize = 256 << 10;

/// A file being written beside the place where it will stand. Dropped unfinished, it goes.
pub(crate) struct NewFile<'d> {
    disk: &'d dyn Disk,
    path: PathBuf,
    temporary: PathBuf,
    file: Option<Box<dyn DiskFile>>,
    buffer: Vec<u8>,
    at: u64,
}

impl<'d> NewFile<'d> {
    /// Begins a file; nothing of that name may exist yet.
    pub(crate) fn create(disk: &'d dyn Disk, path: &Path) -> Outcome<Self> {
        if disk.exists(path).map_err(|error| failed("look for", path, &error))? {
            return Err(Stop::new(format!("{} is there already", path.display())));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Not a name that a server would read as a log or a snapshot.
        let temporary = path.with_file_name(format!("rookeeper-{name}.tmp"));
        let file = disk.create(&temporary).map_err(|error| failed("create", &temporary, &error))?;
        let path = path.to_owned();
        Ok(Self { disk, path, temporary, file: Some(file), buffer: Vec::new(), at: 0 })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.buffer.extend_from_slice(bytes);
        if BUFFER_BYTES <= self.buffer.len() { self.write_buffer() } else { Ok(()) }
    }

    fn write_buffer(&mut self) -> Outcome<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all_at(self.at, &self.buffer)
            .map_err(|error| failed("write", &self.temporary, &error))?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Bytes written so far.
    pub(crate) fn len(&self) -> u64 {
        self.at + self.buffer.len() as u64
    }

    /// Makes it durable and gives it its name.
    pub(crate) fn publish(mut self) -> Outcome<()> {
        self.write_buffer()?;
        if let Some(mut file) = self.file.take() {
            file.sync_data().map_err(|error| failed("force", &self.temporary, &error))?;
        }
        let renamed = self.disk.rename(&self.temporary, &self.path);
        renamed.map_err(|error| failed("rename", &self.temporary, &error))?;
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or(Path::new("."));
        self.disk.sync_dir(dir).map_err(|error| failed("force", dir, &error))
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Left behind, it would only be in the way of the next one of that name.
            let _ = self.disk.remove(&self.temporary);
        }
    }
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> Stop {
    Stop::new(format!("cannot {what} {}: {error}", path.display()))
}
