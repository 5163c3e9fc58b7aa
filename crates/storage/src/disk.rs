//! The seam between storage and the machine: a disk is a set of directories with files in them.
//!
//! Guarantees asked of an implementation: what [`DiskFile::sync_data`] returned for is durable with
//! the file's length; a created, renamed or removed name is durable once [`Disk::sync_dir`] of its
//! directory returned; a rename is atomic. Nothing else is assumed: writes that were not forced may
//! be lost, torn at 512-byte sectors or reordered at a crash.
//!
//! Errors keep their `io::ErrorKind`, so that a full disk (`StorageFull`) is told from a broken one.
//! Deliberately absent: appending, seeking, links, permissions. Shape: house.md section 8.

use std::fmt;
use std::io;
use std::path::Path;

/// A disk's smallest unit of atomic writing; tears happen at its multiples.
pub const SECTOR_BYTES: u64 = 512;

/// What is known of a name in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileInfo {
    /// Bytes; 0 for a directory.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// Directories and the names in them.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Creates a file that must not exist yet and opens it for reading and writing.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Creates a file or empties the existing one.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens an existing file for reading.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens an existing file for reading and writing.
    fn open_rw(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// The names of the plain files in a directory, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Renames a file over whatever has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// What a name stands for; `None` if there is nothing.
    fn metadata(&self, path: &Path) -> io::Result<Option<FileInfo>>;
    /// Bytes that may still be written below `dir`.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
    /// Creates a directory and what is missing above it, durably.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Takes the directory for this process until the guard is dropped; `WouldBlock` if another has
    /// it.
    fn lock_dir(&self, dir: &Path) -> io::Result<Box<dyn DirLock>>;

    /// Whether a name exists.
    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.metadata(path)?.is_some())
    }
}

/// Keeps a directory taken while it lives.
pub trait DirLock: Send + fmt::Debug {}

/// An open file.
pub trait DiskFile: Send + fmt::Debug {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Reads up to `buf.len()` bytes; 0 only at the end.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;
    /// Writes all bytes, making the file longer if they reach beyond its end.
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes contents and length durable (`fdatasync`).
    fn sync_data(&mut self) -> io::Result<()>;
    /// Writes real zeros: later writes there change no metadata and cannot meet a full disk.
    fn zero_fill(&mut self, offset: u64, len: u64) -> io::Result<()>;
    /// Cuts or extends the file.
    fn truncate(&mut self, len: u64) -> io::Result<()>;

    /// Whether it has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads until `buf` is full or the file ends; returns the bytes read.
    fn read_full_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.read_at(offset + done as u64, &mut buf[done..]) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }
}

/// Whether an error says that there is no room left (also by quota), which may pass.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Removes a file, unless another thread (the purge, a snapshot that gets its name) was quicker.
pub(crate) fn remove_if_there(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
