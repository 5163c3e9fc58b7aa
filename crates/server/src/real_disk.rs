//! The storage seam on a real file system.
//!
//! Guarantees: `sync_data` is `fdatasync`; directories are forced with `fsync` on the directory;
//! space ahead is real zeros, never `fallocate` (converting unwritten extents is a metadata change
//! in every later `fdatasync`: 0.14 to 1.3 ms instead of 0.14, house.md 11.6).
//!
//! The lock that keeps a second server out is an advisory `flock` on a file of our own. Java ignores
//! its name; it may be deleted at any time without harm, also while it is held: whoever takes the
//! lock checks that the file it locked still is the one with that name.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rookeeper_storage::{DirLock, Disk, DiskFile, FileInfo};

/// The lock file in a data directory. Its first line carries a version, its second the process.
pub const LOCK_FILE: &str = "rookeeper.lock";

/// The machine's file systems.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        opened(OpenOptions::new().read(true).write(true).create_new(true), path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        opened(OpenOptions::new().read(true).write(true).create(true).truncate(true), path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        opened(OpenOptions::new().read(true), path)
    }

    fn open_rw(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        opened(OpenOptions::new().read(true).write(true), path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            // Through symbolic links, as Java's File.listFiles and later opens see it.
            let is_file = fs::metadata(entry.path()).is_ok_and(|found| found.is_file());
            if let Ok(name) = entry.file_name().into_string()
                && is_file
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn metadata(&self, path: &Path) -> io::Result<Option<FileInfo>> {
        match fs::metadata(path) {
            Ok(found) => Ok(Some(FileInfo { len: found.len(), is_dir: found.is_dir() })),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(dir)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut created = Vec::new();
        let mut missing = dir;
        while fs::metadata(missing).is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
            created.push(missing);
            match missing.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => missing = parent,
                _ => break,
            }
        }
        fs::create_dir_all(dir)?;
        for name in created {
            let parent = name.parent().filter(|parent| !parent.as_os_str().is_empty());
            self.sync_dir(parent.unwrap_or(Path::new(".")))?;
        }
        Ok(())
    }

    fn lock_dir(&self, dir: &Path) -> io::Result<Box<dyn DirLock>> {
        let path = dir.join(LOCK_FILE);
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(TryLockError::Error(e)) => return Err(e),
            }
            // Someone may have deleted or replaced the file between opening and locking.
            if !is_same_file(&file, &path)? {
                continue;
            }
            let text = format!("rookeeper lock 1\n{}\n", std::process::id());
            // Only for people who look; the lock is the kernel's. A full disk must not matter.
            let _ = file.set_len(0).and_then(|()| file.write_all(text.as_bytes()));
            return Ok(Box::new(RealLock { path, file }));
        }
    }
}

fn is_same_file(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

fn opened(options: &OpenOptions, path: &Path) -> io::Result<Box<dyn DiskFile>> {
    Ok(Box::new(RealFile(options.open(path)?)))
}

/// Held until dropped; the kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
struct RealLock {
    path: PathBuf,
    file: File,
}

impl DirLock for RealLock {}

impl Drop for RealLock {
    fn drop(&mut self) {
        // Removed while still locked, so that nobody else's file is removed.
        if is_same_file(&self.file, &self.path).unwrap_or(false) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[derive(Debug)]
struct RealFile(File);

/// Zeros are written in pieces of this size.
const ZEROS_BYTES: usize = 256 << 10;
static ZEROS: [u8; ZEROS_BYTES] = [0; ZEROS_BYTES];

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn zero_fill(&mut self, offset: u64, len: u64) -> io::Result<()> {
        let mut at = offset;
        let end = offset.saturating_add(len);
        while at < end {
            let piece = usize::try_from(end - at).unwrap_or(ZEROS_BYTES).min(ZEROS_BYTES);
            self.0.write_all_at(&ZEROS[..piece], at)?;
            at += piece as u64;
        }
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_until_the_first_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let first = RealDisk.lock_dir(dir.path()).unwrap();
        let refused = RealDisk.lock_dir(dir.path()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        drop(first);
        drop(RealDisk.lock_dir(dir.path()).unwrap());
        assert_eq!(RealDisk.list(dir.path()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_deleted_lock_file_does_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(LOCK_FILE), "stale").unwrap();
        let lock = RealDisk.lock_dir(dir.path()).unwrap();
        fs::remove_file(dir.path().join(LOCK_FILE)).unwrap();
        // A new file of that name is not ours to remove.
        let second = RealDisk.lock_dir(dir.path()).unwrap();
        drop(lock);
        assert_eq!(RealDisk.list(dir.path()).unwrap(), [LOCK_FILE]);
        drop(second);
    }

    #[test]
    fn files_read_back_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/file");
        RealDisk.create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = RealDisk.create_new(&path).unwrap();
        file.zero_fill(0, ZEROS_BYTES as u64 + 7).unwrap();
        file.write_all_at(3, b"abc").unwrap();
        file.sync_data().unwrap();
        RealDisk.sync_dir(path.parent().unwrap()).unwrap();
        let mut buf = [9; 8];
        assert_eq!(file.read_full_at(0, &mut buf).unwrap(), 8);
        assert_eq!(&buf, b"\0\0\0abc\0\0");
        assert_eq!(file.len().unwrap(), ZEROS_BYTES as u64 + 7);
        file.truncate(5).unwrap();
        assert_eq!(file.read_full_at(0, &mut buf).unwrap(), 5);
        let exists = RealDisk.create_new(&path).unwrap_err();
        assert_eq!(exists.kind(), io::ErrorKind::AlreadyExists);
        assert!(RealDisk.free_bytes(dir.path()).unwrap() > 0);
        assert_eq!(RealDisk.metadata(&dir.path().join("none")).unwrap(), None);
    }

    /// Takes nothing but counts: what the files hold is the storage crate's to prove.
    #[derive(Default)]
    struct Counting {
        nodes: usize,
        records: usize,
    }

    impl rookeeper_storage::SnapshotSink for Counting {
        fn reset(&mut self) {
            *self = Self::default();
        }
        fn session(&mut self, _: rookeeper_proto::SessionId, _: i32) -> Taken {
            Ok(())
        }
        fn acl(&mut self, _: i64, _: rookeeper_proto::AclList) -> Taken {
            Ok(())
        }
        fn node(
            &mut self,
            _: &str,
            _: Option<&[u8]>,
            _: i64,
            _: &rookeeper_proto::StatPersisted,
        ) -> Taken {
            self.nodes += 1;
            Ok(())
        }
    }

    type Taken = Result<(), rookeeper_storage::SinkError>;

    impl rookeeper_storage::RecoverySink for Counting {
        fn snapshot_loaded(&mut self, _: &rookeeper_storage::SnapshotMeta) -> Taken {
            Ok(())
        }
        fn record(&mut self, _: rookeeper_proto::Zxid, _: &[u8]) -> Taken {
            self.records += 1;
            Ok(())
        }
    }

    /// The log on this machine's file system: written, cut in the middle of a record, continued.
    #[test]
    fn a_log_survives_its_tail_being_torn() {
        use rookeeper_proto::Zxid;
        use rookeeper_storage::{DataDirs, RecoverOptions, TxnLog, TxnLogOptions, recover};
        let dir = tempfile::tempdir().unwrap();
        let (data, logs) = (dir.path().join("data"), dir.path().join("logs"));
        let dirs = DataDirs::new(&data, Some(&logs));
        let payload = |zxid: i64| {
            let mut bytes = vec![0; 12];
            bytes.extend_from_slice(&zxid.to_be_bytes());
            bytes.resize(500, 1);
            bytes
        };
        let open = || {
            let mut sink = Counting::default();
            let options = RecoverOptions::default();
            let found = recover(&RealDisk, &dirs, &options, &mut sink).unwrap();
            (found, sink)
        };
        assert!(open().0.is_new);
        let disk: std::sync::Arc<dyn Disk> = std::sync::Arc::new(RealDisk);
        let log =
            |last| TxnLog::new(disk.clone(), dirs.log_dir.clone(), TxnLogOptions::default(), last);
        let mut first = log(Zxid::ZERO);
        for zxid in 1..=100 {
            first.append(Zxid(zxid), &payload(zxid));
            assert_eq!(first.commit().unwrap(), Zxid(zxid));
            first.prepare_ahead().unwrap();
        }
        drop(first);
        let path = dirs.log_dir.join("log.1");
        File::options().write(true).open(&path).unwrap().set_len(16 + 99 * 513 + 300).unwrap();
        let (found, sink) = open();
        assert_eq!((found.last_zxid, sink.records, sink.nodes), (Zxid(99), 99, 4));
        assert!(found.report.warnings[0].contains("0x64"), "{:?}", found.report);
        let mut second = log(found.last_zxid);
        second.append(Zxid(100), &payload(100));
        second.close().unwrap();
        let (found, _) = open();
        assert_eq!((found.last_zxid, found.report.warnings.len()), (Zxid(100), 0));
        assert_eq!(RealDisk.list(&dirs.log_dir).unwrap(), ["log.1", "log.64"]);
    }
}
