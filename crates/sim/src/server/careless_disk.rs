//! A disk that forgets to force names: for a planted mistake only.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rookeeper_storage::{DirLock, Disk, DiskFile, FileInfo, MemDisk};

/// [`MemDisk`], but `sync_dir` does nothing.
#[derive(Debug)]
pub(crate) struct CarelessDisk(pub(crate) Arc<MemDisk>);

impl Disk for CarelessDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.create_new(path)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.create(path)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.open(path)
    }
    fn open_rw(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.0.open_rw(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.0.list(dir)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }
    fn metadata(&self, path: &Path) -> io::Result<Option<FileInfo>> {
        self.0.metadata(path)
    }
    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.0.free_bytes(dir)
    }
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.0.create_dir_all(dir)
    }
    fn lock_dir(&self, dir: &Path) -> io::Result<Box<dyn DirLock>> {
        self.0.lock_dir(dir)
    }
}
