//! A disk in memory that forgets at a crash what was not forced, for tests and the simulator.
//!
//! It keeps the durable image beside what programs see. [`MemDisk::crash`] builds a new durable
//! image: of every sector, any number of the unforced writes to it (in their order) survives,
//! independent of other sectors, so writes are lost, torn and reordered; of a file's changes of
//! length, any prefix; of a directory's unforced creations, renames and removals, any subset.
//!
//! Faults: an error at the n-th operation, a stop at the n-th operation (everything after it fails,
//! then comes the crash), failing forces (whose writes then never become durable, as on Linux),
//! a limit of space, slow forces. Operations that change something are counted from 1.
//! Deterministic: the only chance is what the caller of `crash` hands in.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::disk::{DirLock, Disk, DiskFile, FileInfo, SECTOR_BYTES};

/// The disk; clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    dirs: BTreeMap<PathBuf, Dir>,
    locks: BTreeMap<PathBuf, u64>,
    next_id: u64,
    /// Handles of an older boot are dead.
    boot: u64,
    ops: u64,
    stop_at: Option<u64>,
    stopped: bool,
    fail_at: BTreeMap<u64, io::ErrorKind>,
    is_failing_sync: bool,
    space_bytes: Option<u64>,
    slow_sync_us: Vec<u64>,
    delay_us: u64,
    trace: Option<Vec<String>>,
}

#[derive(Debug, Default)]
struct Inode {
    durable: Vec<u8>,
    seen: Vec<u8>,
    unforced: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Len(u64),
}

#[derive(Debug, Default)]
struct Dir {
    durable: BTreeMap<String, u64>,
    seen: BTreeMap<String, u64>,
    unforced: Vec<Entry>,
}

#[derive(Debug)]
enum Entry {
    Put { name: String, inode: u64 },
    Remove { name: String },
    Rename { from: String, to: String, inode: u64 },
}

impl Dir {
    fn apply(names: &mut BTreeMap<String, u64>, entry: &Entry) {
        match entry {
            Entry::Put { name, inode } => {
                names.insert(name.clone(), *inode);
            }
            Entry::Remove { name } => {
                names.remove(name);
            }
            Entry::Rename { from, to, inode } => {
                if names.get(from) == Some(inode) {
                    names.remove(from);
                }
                names.insert(to.clone(), *inode);
            }
        }
    }

    fn change(&mut self, entry: Entry) {
        Self::apply(&mut self.seen, &entry);
        self.unforced.push(entry);
    }
}

impl Inode {
    fn apply(image: &mut Vec<u8>, change: &Change) {
        match change {
            Change::Write { at, bytes } => {
                let (at, end) = (*at as usize, *at as usize + bytes.len());
                if image.len() < end {
                    image.resize(end, 0);
                }
                image[at..end].copy_from_slice(bytes);
            }
            Change::Len(len) => image.resize(*len as usize, 0),
        }
    }

    fn change(&mut self, change: Change) {
        Self::apply(&mut self.seen, &change);
        self.unforced.push(change);
    }

    fn force(&mut self) {
        for change in self.unforced.drain(..) {
            Self::apply(&mut self.durable, &change);
        }
    }

    /// What a crash leaves: a prefix of the changes of length, and of each sector's writes.
    fn crash(&mut self, choose: &mut dyn FnMut(u64) -> u64) {
        let changes = std::mem::take(&mut self.unforced);
        let mut len = self.durable.len() as u64;
        let mut lens = vec![len];
        let mut touched: BTreeMap<u64, u64> = BTreeMap::new();
        for change in &changes {
            match change {
                Change::Write { at, bytes } => {
                    let end = at + bytes.len() as u64;
                    for sector in sectors(*at, end) {
                        *touched.entry(sector).or_default() += 1;
                    }
                    len = len.max(end);
                }
                Change::Len(new) => len = *new,
            }
            if lens.last() != Some(&len) {
                lens.push(len);
            }
        }
        let len = lens[choose(lens.len() as u64) as usize];
        let mut keep: BTreeMap<u64, u64> = BTreeMap::new();
        for (sector, writes) in touched {
            keep.insert(sector, choose(writes + 1));
        }
        let mut image = std::mem::take(&mut self.durable);
        for change in &changes {
            let Change::Write { at, bytes } = change else { continue };
            let end = at + bytes.len() as u64;
            for sector in sectors(*at, end) {
                let left = keep.entry(sector).or_default();
                if *left == 0 {
                    continue;
                }
                *left -= 1;
                let from = (sector * SECTOR_BYTES).max(*at);
                let to = ((sector + 1) * SECTOR_BYTES).min(end);
                let part = bytes[(from - at) as usize..(to - at) as usize].to_vec();
                Self::apply(&mut image, &Change::Write { at: from, bytes: part });
            }
        }
        image.resize(len as usize, 0);
        self.durable = image;
        self.seen = self.durable.clone();
    }
}

fn sectors(from: u64, to: u64) -> std::ops::Range<u64> {
    from / SECTOR_BYTES..to.div_ceil(SECTOR_BYTES)
}

impl MemDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Loses power: `choose(n)` picks from `0..n`. Open files and locks are gone, faults cleared.
    pub fn crash(&self, choose: &mut dyn FnMut(u64) -> u64) {
        let mut state = self.state();
        for inode in state.inodes.values_mut() {
            inode.crash(choose);
        }
        for dir in state.dirs.values_mut() {
            for entry in std::mem::take(&mut dir.unforced) {
                if choose(2) == 1 {
                    Dir::apply(&mut dir.durable, &entry);
                }
            }
            dir.seen = dir.durable.clone();
        }
        state.reboot();
    }

    /// The process ends, the machine does not: everything written stays, forced or not.
    pub fn restart(&self) {
        self.state().reboot();
    }

    /// Operations so far.
    pub fn ops(&self) -> u64 {
        self.state().ops
    }

    /// From operation `n` on everything fails; `n` itself may still reach the disk at the crash.
    pub fn stop_at(&self, n: u64) {
        self.state().stop_at = Some(n);
    }

    /// Whether the stop was reached.
    pub fn is_stopped(&self) -> bool {
        self.state().stopped
    }

    /// Operation `n` fails once and does nothing (a failing force loses what it should force).
    pub fn fail_at(&self, n: u64, kind: io::ErrorKind) {
        self.state().fail_at.insert(n, kind);
    }

    /// Whether every `sync_data` fails.
    pub fn fail_syncs(&self, failing: bool) {
        self.state().is_failing_sync = failing;
    }

    /// Limits what all files together may hold; `None` is unlimited.
    pub fn set_space(&self, bytes: Option<u64>) {
        self.state().space_bytes = bytes;
    }

    /// Bytes in all files.
    pub fn used_bytes(&self) -> u64 {
        self.state().used_bytes()
    }

    /// The next force is slow: adds to what [`MemDisk::take_delay_us`] returns after it.
    pub fn slow_next_sync(&self, us: u64) {
        self.state().slow_sync_us.push(us);
    }

    /// The time slow forces took since last asked.
    pub fn take_delay_us(&self) -> u64 {
        std::mem::take(&mut self.state().delay_us)
    }

    /// Begins (anew) to record operations.
    pub fn start_trace(&self) {
        self.state().trace = Some(Vec::new());
    }

    /// What was recorded.
    pub fn take_trace(&self) -> Vec<String> {
        self.state().trace.take().unwrap_or_default()
    }

    /// A file's bytes as programs see them.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let inode = state.lookup(path)?;
        state.inodes.get(&inode).map(|inode| inode.seen.clone())
    }

    /// Puts a durable file there, and its directory: for tests that prepare or damage data.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state();
        let (dir, name) = (parent(path), file_name(path));
        let id = state.next_id;
        state.next_id += 1;
        let inode = Inode { durable: bytes.to_vec(), seen: bytes.to_vec(), unforced: Vec::new() };
        state.inodes.insert(id, inode);
        let dir = state.dirs.entry(dir).or_default();
        dir.durable.insert(name.clone(), id);
        dir.seen.insert(name, id);
    }

    /// Everything there is, by path.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.state();
        let mut files = BTreeMap::new();
        for (path, dir) in &state.dirs {
            for (name, inode) in &dir.seen {
                let bytes = state.inodes.get(inode).map(|inode| inode.seen.clone());
                files.insert(path.join(name), bytes.unwrap_or_default());
            }
        }
        files
    }

    /// An independent disk with the same contents, all durable.
    pub fn copy(&self) -> Self {
        let copy = Self::new();
        for (path, bytes) in self.files() {
            copy.put(&path, &bytes);
        }
        for dir in self.state().dirs.keys() {
            copy.state().dirs.entry(dir.clone()).or_default();
        }
        copy
    }

    fn handle(&self, state: &State, inode: u64, path: &Path, is_writable: bool) -> Box<MemFile> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        Box::new(MemFile { disk: self.clone(), boot: state.boot, inode, name, is_writable })
    }

    fn make(&self, path: &Path, is_new: bool) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        if is_new && state.lookup(path).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !state.dirs.contains_key(&parent(path)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let fate = state.begin(|| format!("create {}", file_name(path)))?;
        let inode = match state.lookup(path) {
            Some(inode) => {
                state.inode(inode)?.change(Change::Len(0));
                inode
            }
            None => {
                let inode = state.next_id;
                state.next_id += 1;
                state.inodes.insert(inode, Inode::default());
                state.dir(path)?.change(Entry::Put { name: file_name(path), inode });
                inode
            }
        };
        fate.end()?;
        Ok(self.handle(&state, inode, path, true))
    }
}

/// Whether an operation that took effect is reported as done, or the machine stopped within it.
#[derive(Debug, PartialEq)]
enum Fate {
    Done,
    Stopped,
}

impl Fate {
    fn end(self) -> io::Result<()> {
        match self {
            Self::Done => Ok(()),
            Self::Stopped => Err(stopped()),
        }
    }
}

fn stopped() -> io::Error {
    io::Error::other("the machine stopped")
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_owned()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl State {
    fn reboot(&mut self) {
        self.boot += 1;
        self.locks.clear();
        self.stop_at = None;
        self.stopped = false;
        self.fail_at.clear();
        self.is_failing_sync = false;
        // A name that was given and taken back without a force may still come up after a crash.
        let pending = |entry: &Entry| match entry {
            Entry::Put { inode, .. } | Entry::Rename { inode, .. } => Some(*inode),
            Entry::Remove { .. } => None,
        };
        let named: BTreeSet<u64> = self
            .dirs
            .values()
            .flat_map(|dir| {
                let known = dir.seen.values().chain(dir.durable.values()).copied();
                known.chain(dir.unforced.iter().filter_map(pending))
            })
            .collect();
        self.inodes.retain(|id, _| named.contains(id));
    }

    /// Counts an operation and decides its fate.
    fn begin(&mut self, what: impl FnOnce() -> String) -> io::Result<Fate> {
        if self.stopped {
            return Err(stopped());
        }
        self.ops += 1;
        if let Some(trace) = &mut self.trace {
            trace.push(what());
        }
        if self.stop_at.is_some_and(|at| at <= self.ops) {
            self.stopped = true;
            return Ok(Fate::Stopped);
        }
        match self.fail_at.remove(&self.ops) {
            Some(kind) => Err(kind.into()),
            None => Ok(Fate::Done),
        }
    }

    fn lookup(&self, path: &Path) -> Option<u64> {
        self.dirs.get(&parent(path))?.seen.get(&file_name(path)).copied()
    }

    fn dir(&mut self, path: &Path) -> io::Result<&mut Dir> {
        self.dirs.get_mut(&parent(path)).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn inode(&mut self, id: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&mut self, from: &Path, to: &Path, inode: u64) -> io::Result<()> {
        let (old, new) = (file_name(from), file_name(to));
        if parent(from) == parent(to) {
            self.dir(from)?.change(Entry::Rename { from: old, to: new, inode });
        } else {
            self.dir(to)?.change(Entry::Put { name: new, inode });
            self.dir(from)?.change(Entry::Remove { name: old });
        }
        Ok(())
    }

    fn used_bytes(&self) -> u64 {
        let ids = self.dirs.values().flat_map(|dir| dir.seen.values());
        ids.filter_map(|id| self.inodes.get(id)).map(|inode| inode.seen.len() as u64).sum()
    }

    /// How many bytes the inode may grow by.
    fn room(&self) -> u64 {
        self.space_bytes.map_or(u64::MAX, |space| space.saturating_sub(self.used_bytes()))
    }

    fn write(&mut self, id: u64, at: u64, bytes: &[u8]) -> io::Result<()> {
        let room = self.room();
        let inode = self.inode(id)?;
        let (len, end) = (inode.seen.len() as u64, at + bytes.len() as u64);
        let fits = len.saturating_add(room);
        if end <= fits {
            inode.change(Change::Write { at, bytes: bytes.to_vec() });
            return Ok(());
        }
        if at < fits {
            let part = bytes[..(fits - at) as usize].to_vec();
            inode.change(Change::Write { at, bytes: part });
        }
        Err(io::ErrorKind::StorageFull.into())
    }
}

impl Disk for MemDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.make(path, true)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.make(path, false)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let state = self.state();
        let inode = state.lookup(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.handle(&state, inode, path, false))
    }

    fn open_rw(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let state = self.state();
        let inode = state.lookup(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.handle(&state, inode, path, true))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        let dir = state.dirs.get(dir).ok_or(io::ErrorKind::NotFound)?;
        Ok(dir.seen.keys().cloned().collect())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.lookup(path).ok_or(io::ErrorKind::NotFound)?;
        let fate = state.begin(|| format!("remove {}", file_name(path)))?;
        state.dir(path)?.change(Entry::Remove { name: file_name(path) });
        fate.end()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let inode = state.lookup(from).ok_or(io::ErrorKind::NotFound)?;
        let fate = state.begin(|| format!("rename {} {}", file_name(from), file_name(to)))?;
        state.rename(from, to, inode)?;
        fate.end()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        if !state.dirs.contains_key(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.begin(|| format!("sync_dir {}", dir.display()))?.end()?;
        let Some(dir) = state.dirs.get_mut(dir) else { return Ok(()) };
        for entry in std::mem::take(&mut dir.unforced) {
            Dir::apply(&mut dir.durable, &entry);
        }
        Ok(())
    }

    fn metadata(&self, path: &Path) -> io::Result<Option<FileInfo>> {
        let mut state = self.state();
        if state.dirs.contains_key(path) {
            return Ok(Some(FileInfo { len: 0, is_dir: true }));
        }
        let Some(inode) = state.lookup(path) else { return Ok(None) };
        let len = state.inode(inode)?.seen.len() as u64;
        Ok(Some(FileInfo { len, is_dir: false }))
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.state().room())
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        for dir in dir.ancestors() {
            state.dirs.entry(dir.to_owned()).or_default();
        }
        Ok(())
    }

    fn lock_dir(&self, dir: &Path) -> io::Result<Box<dyn DirLock>> {
        let mut state = self.state();
        let boot = state.boot;
        if state.locks.get(dir) == Some(&boot) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.locks.insert(dir.to_owned(), boot);
        Ok(Box::new(MemLock { disk: self.clone(), dir: dir.to_owned(), boot }))
    }
}

#[derive(Debug)]
struct MemLock {
    disk: MemDisk,
    dir: PathBuf,
    boot: u64,
}

impl DirLock for MemLock {}

impl Drop for MemLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.boot == self.boot {
            state.locks.remove(&self.dir);
        }
    }
}

#[derive(Debug)]
struct MemFile {
    disk: MemDisk,
    boot: u64,
    inode: u64,
    name: String,
    is_writable: bool,
}

impl MemFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.boot == self.boot { Ok(state) } else { Err(stopped()) }
    }

    fn writable(&self) -> io::Result<MutexGuard<'_, State>> {
        if self.is_writable { self.state() } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

impl DiskFile for MemFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state()?.inode(self.inode)?.seen.len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state()?;
        let seen = &state.inode(self.inode)?.seen;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(seen.len());
        let n = buf.len().min(seen.len() - from);
        buf[..n].copy_from_slice(&seen[from..from + n]);
        Ok(n)
    }

    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.writable()?;
        let fate = state.begin(|| format!("write {} {offset}+{}", self.name, bytes.len()))?;
        state.write(self.inode, offset, bytes)?;
        fate.end()
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut state = self.writable()?;
        let fate = state.begin(|| format!("sync {}", self.name));
        if fate.is_err() && !state.stopped || state.is_failing_sync {
            // The kernel reports the error once, marks the pages clean and forgets them.
            state.inode(self.inode)?.unforced.clear();
            return Err(fate.err().unwrap_or_else(|| io::Error::other("injected")));
        }
        fate?.end()?;
        if !state.slow_sync_us.is_empty() {
            let us = state.slow_sync_us.remove(0);
            state.delay_us += us;
        }
        state.inode(self.inode)?.force();
        Ok(())
    }

    fn zero_fill(&mut self, offset: u64, len: u64) -> io::Result<()> {
        let mut state = self.writable()?;
        let fate = state.begin(|| format!("zero {} {offset}+{len}", self.name))?;
        state.write(self.inode, offset, &vec![0; len as usize])?;
        fate.end()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.writable()?;
        let fate = state.begin(|| format!("truncate {} {len}", self.name))?;
        let room = state.room();
        let inode = state.inode(self.inode)?;
        if len.saturating_sub(inode.seen.len() as u64) > room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        inode.change(Change::Len(len));
        fate.end()
    }
}
