//! Writes the log: batches of records, one write and one force each.
//!
//! Guarantees: when [`TxnLog::commit`] returned, every appended record is durable (unless
//! `forceSync=no`); a file is complete with its header before it has its name; records are only
//! written into space that was zero-filled and forced before, so a full disk is met before a record
//! is touched and leaves the log as it was; after a failed write or force of a record the file is
//! never touched again.
//!
//! Deliberately not done: reading, and appending to a file of an earlier process (trap S1).
//! Java: FileTxnLog, SyncRequestProcessor. Source: `storage-format.md` 1.3, 1.4; house.md 11.6.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rookeeper_proto::Zxid;

use super::format::{
    BATCH_MARK_BYTES, FILL_ALIGN, FILL_MARK, FILL_MARK_BYTES, HEADER, HEADER_BYTES, batch_mark,
    put_record,
};
use super::reader::has_records;
use crate::disk::{Disk, DiskFile, is_full};
use crate::error::Error;
use crate::names::log_name;

/// How the log is written.
#[derive(Debug, Clone)]
pub struct TxnLogOptions {
    /// `preAllocSize`: how far ahead space is zero-filled while idle. With 0 each batch allocates what it
    /// needs to the next 4 KiB: without forced zeros under a record, and the marks in them, a torn batch
    /// could not be told from damage.
    pub pre_alloc_bytes: u64,
    /// Zero-filled at a time while idle; four times as much when a batch has to wait for it.
    pub fill_chunk_bytes: u64,
    /// `forceSync`: whether a commit forces the disk.
    pub force_sync: bool,
    /// `txnLogSizeLimitInKb`: after a commit a file with more bytes of records is rolled.
    pub size_limit_bytes: Option<u64>,
}

impl Default for TxnLogOptions {
    fn default() -> Self {
        Self {
            pre_alloc_bytes: 64 << 20,
            fill_chunk_bytes: 1 << 20,
            force_sync: true,
            size_limit_bytes: None,
        }
    }
}

/// Why a batch did not become durable. The batch is dropped in each case.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// No room. The log is as it was before the batch; the same zxids may be tried again when there
    /// is room.
    #[error("no room for the transaction log in {}: {source}", dir.display())]
    Full {
        /// The log directory.
        dir: PathBuf,
        /// The disk's answer.
        source: io::Error,
    },
    /// A record could not be written or forced: nobody knows what is on disk. The server must stop.
    #[error("the transaction log {} failed and is not used any more: {why}", file.display())]
    Poisoned {
        /// The file or directory.
        file: PathBuf,
        /// The first failure.
        why: String,
    },
}

/// The log's writer, owned by the log thread.
#[derive(Debug)]
pub struct TxnLog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: TxnLogOptions,
    /// Encoded records that are not written yet; its space is reused.
    batch: Vec<u8>,
    batch_records: u64,
    batch_first: Zxid,
    appended: Zxid,
    durable: Zxid,
    current: Option<Current>,
    /// The file before, with zeros behind its last record: cut off step by step while idle. To cut off
    /// 64 MB at once takes tens of milliseconds.
    untrimmed: Option<Current>,
    /// A file with header and space under a temporary name, made while idle.
    spare: Option<Box<dyn DiskFile>>,
    spare_len: u64,
    poisoned: Option<(PathBuf, String)>,
    records_since_roll: u64,
    bytes_since_roll: u64,
}

#[derive(Debug)]
struct Current {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    /// Behind the last record.
    end: u64,
    /// Behind the zero-filled space.
    allocated: u64,
}

impl Current {
    fn is_empty(&self) -> bool {
        self.end == HEADER_BYTES
    }
}

/// The name of the next file until its first zxid is known. Java ignores it.
pub(crate) const SPARE_NAME: &str = "rookeeper-next-log.tmp";

/// Whether `next` may stand behind `last`. A standalone server counts on through the epoch's bits.
pub(crate) fn continues(next: Zxid, last: Zxid) -> bool {
    next.follows(last) || next == last.next()
}

impl TxnLog {
    /// A log that continues behind `last` (what recovery returned; [`Zxid::UNKNOWN`] accepts any
    /// first record). Touches no disk.
    pub fn new(disk: Arc<dyn Disk>, dir: PathBuf, options: TxnLogOptions, last: Zxid) -> Self {
        Self {
            disk,
            dir,
            options,
            batch: Vec::new(),
            batch_records: 0,
            batch_first: Zxid::UNKNOWN,
            appended: last,
            durable: last,
            current: None,
            untrimmed: None,
            spare: None,
            spare_len: 0,
            poisoned: None,
            records_since_roll: 0,
            bytes_since_roll: 0,
        }
    }

    /// Buffers one record: header, txn, digest.
    ///
    /// # Panics
    /// If `zxid` does not follow the last one: a hole in the log would be ours, and no server could
    /// start from it any more (trap S6).
    pub fn append(&mut self, zxid: Zxid, payload: &[u8]) {
        assert!(
            self.appended == Zxid::UNKNOWN || continues(zxid, self.appended),
            "zxid {zxid} appended behind {}",
            self.appended
        );
        if self.batch_records == 0 {
            self.batch_first = zxid;
        }
        put_record(&mut self.batch, payload);
        self.batch_records += 1;
        self.appended = zxid;
    }

    /// Writes what was appended and forces it; returns the last durable zxid.
    pub fn commit(&mut self) -> Result<Zxid, CommitError> {
        self.check()?;
        if self.batch_records == 0 {
            return Ok(self.durable);
        }
        let written = self.write_batch();
        if written.is_err() {
            self.discard();
            written?;
        }
        let limit = self.options.size_limit_bytes.unwrap_or(u64::MAX);
        if self.current.as_ref().is_some_and(|current| limit < current.end) {
            self.end_file()?;
        }
        Ok(self.durable)
    }

    /// Drops what was appended since the last commit; its zxids may be appended again.
    pub fn discard(&mut self) {
        self.batch.clear();
        self.batch_records = 0;
        self.appended = self.durable;
    }

    /// Whether less space lies ahead than there should, or more behind the file before.
    pub fn wants_space(&self) -> bool {
        let is_short = match &self.current {
            None => self.spare.is_none(),
            Some(current) => current.allocated < current.end + self.options.pre_alloc_bytes,
        };
        self.untrimmed.is_some() || 0 < self.options.pre_alloc_bytes && is_short
    }

    /// Does one bounded step of allocation ahead, or of trimming; returns whether there is more to do. A
    /// full disk is reported, but nothing is lost by it.
    pub fn prepare_ahead(&mut self) -> Result<bool, CommitError> {
        self.check()?;
        Ok(self.fill_ahead()? || self.trim_step())
    }

    fn fill_ahead(&mut self) -> Result<bool, CommitError> {
        if self.options.pre_alloc_bytes == 0 {
            return Ok(false);
        }
        let chunk = self.options.fill_chunk_bytes;
        let Some(current) = &self.current else {
            if self.spare.is_none() {
                self.make_spare(HEADER_BYTES + chunk)?;
            }
            return Ok(false);
        };
        let wanted = current.end + self.options.pre_alloc_bytes;
        if wanted <= current.allocated {
            return Ok(false);
        }
        let target = current.allocated + chunk;
        self.allocate(align(target))?;
        Ok(target < wanted)
    }

    /// Ends the current file: the next commit starts a new one. Commits what is pending first.
    pub fn roll(&mut self) -> Result<(), CommitError> {
        self.commit()?;
        self.end_file()
    }

    /// The last zxid that is durable.
    pub fn durable(&self) -> Zxid {
        self.durable
    }

    /// The last zxid appended.
    pub fn appended(&self) -> Zxid {
        self.appended
    }

    /// Bytes buffered.
    pub fn pending_bytes(&self) -> usize {
        self.batch.len()
    }

    /// Records and their bytes since the last roll, for the snapshot trigger.
    pub fn since_roll(&self) -> (u64, u64) {
        (self.records_since_roll, self.bytes_since_roll)
    }

    /// The file being written.
    pub fn current_file(&self) -> Option<&Path> {
        self.current.as_ref().map(|current| current.path.as_path())
    }

    /// Commits, ends the current file and gives up the writer.
    pub fn close(mut self) -> Result<(), CommitError> {
        self.roll()?;
        self.trim();
        if self.spare.take().is_some() {
            // A leftover is removed by the next start.
            let _ = self.disk.remove(&self.dir.join(SPARE_NAME));
        }
        Ok(())
    }

    fn check(&self) -> Result<(), CommitError> {
        match &self.poisoned {
            Some((file, why)) => {
                Err(CommitError::Poisoned { file: file.clone(), why: why.clone() })
            }
            None => Ok(()),
        }
    }

    fn poison(&mut self, file: &Path, what: &str, error: &dyn std::fmt::Display) -> CommitError {
        let why = format!("cannot {what}: {error}");
        self.poisoned = Some((file.to_owned(), why.clone()));
        CommitError::Poisoned { file: file.to_owned(), why }
    }

    /// What the file before has too much is room as well.
    fn full(&mut self, source: io::Error) -> CommitError {
        self.trim();
        CommitError::Full { dir: self.dir.clone(), source }
    }

    fn write_batch(&mut self) -> Result<(), CommitError> {
        let bytes = self.batch.len() as u64;
        let name = self.dir.join(log_name(self.batch_first));
        if self.current.as_ref().is_some_and(|current| current.is_empty() && current.path != name) {
            self.end_file()?;
        }
        if self.current.is_none() {
            self.start_file(bytes)?;
        }
        let Some(current) = &self.current else { return Ok(()) };
        let (start, path) = (current.end, current.path.clone());
        let needed = start + bytes + BATCH_MARK_BYTES as u64 + FILL_MARK_BYTES;
        if current.allocated < needed {
            self.allocate_inline(needed)?;
        }
        self.batch.extend_from_slice(&batch_mark(start));
        let Some(current) = &mut self.current else { return Ok(()) };
        if let Err(e) = current.file.write_all_at(start, &self.batch) {
            return Err(self.undo_write(e));
        }
        if self.options.force_sync
            && let Err(e) = current.file.sync_data()
        {
            return Err(self.poison(&path, "force the log", &e));
        }
        current.end = start + bytes;
        current.allocated = current.allocated.max(current.end);
        self.durable = self.appended;
        self.records_since_roll += self.batch_records;
        self.bytes_since_roll += bytes;
        self.batch.clear();
        self.batch_records = 0;
        Ok(())
    }

    /// A record could not be written. Only a full disk may be undone: on a file system that writes
    /// elsewhere it can still strike here. The file is cut and forced.
    fn undo_write(&mut self, error: io::Error) -> CommitError {
        let Some(current) = &mut self.current else { return self.full(error) };
        let path = current.path.clone();
        if is_full(&error) {
            let undone = current.file.truncate(current.end).and_then(|()| current.file.sync_data());
            current.allocated = current.end;
            match undone {
                Ok(()) => return self.full(error),
                Err(e) => return self.poison(&path, "cut the log on a full disk", &e),
            }
        }
        self.poison(&path, "write to the log", &error)
    }

    /// Space for a batch that waits for it: much if there is, just enough if not.
    fn allocate_inline(&mut self, needed: u64) -> Result<(), CommitError> {
        let ahead =
            if self.options.pre_alloc_bytes == 0 { 0 } else { 4 * self.options.fill_chunk_bytes };
        match self.allocate(align(needed + ahead)) {
            Err(CommitError::Full { .. }) if self.current.is_some() => self.allocate(align(needed)),
            done => done,
        }
    }

    /// Zero-fills the current file up to `target` and forces that.
    fn allocate(&mut self, target: u64) -> Result<(), CommitError> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let is_marked = current.end < current.allocated;
        let from = if is_marked { current.allocated } else { current.end };
        let mut filled = fill(&mut *current.file, from, target);
        if is_marked && filled.is_ok() {
            // The old fill mark is erased: a lost sector must read as zeros. Not before there is a
            // new one: on a full disk the file would be left without.
            let old_mark = current.allocated - FILL_MARK_BYTES;
            filled = current.file.zero_fill(old_mark, FILL_MARK_BYTES);
        }
        let path = current.path.clone();
        match filled {
            Ok(()) => {}
            Err(e) if is_full(&e) => {
                // Gives the room back; if even that fails, longer zeros do no harm.
                let _ = current.file.truncate(current.allocated);
                return Err(self.full(e));
            }
            Err(e) => return Err(self.poison(&path, "allocate log space", &e)),
        }
        match current.file.sync_data() {
            Ok(()) => current.allocated = target,
            // What was written was only zeros, all records are durable. But this file must not be
            // forced again, so it ends here.
            Err(e) if is_full(&e) => {
                self.current = None;
                return Err(self.full(e));
            }
            Err(e) => return Err(self.poison(&path, "force log space", &e)),
        }
        Ok(())
    }

    /// Makes a complete file under the temporary name.
    fn make_spare(&mut self, target: u64) -> Result<(), CommitError> {
        let path = self.dir.join(SPARE_NAME);
        let len = align(target);
        let made = (|| {
            let mut file = self.disk.create(&path)?;
            file.write_all_at(0, &HEADER)?;
            fill(&mut *file, HEADER_BYTES, len)?;
            file.sync_data()?;
            Ok(file)
        })();
        match made {
            Ok(file) => {
                self.spare = Some(file);
                self.spare_len = len;
                Ok(())
            }
            Err(e) => {
                let _ = self.disk.remove(&path);
                Err(if is_full(&e) { self.full(e) } else { self.poison(&path, "create", &e) })
            }
        }
    }

    /// Gives the spare file the name of the batch's first zxid.
    fn start_file(&mut self, batch_bytes: u64) -> Result<(), CommitError> {
        let path = self.dir.join(log_name(self.batch_first));
        if self.spare.is_none() {
            let needed = HEADER_BYTES + batch_bytes + BATCH_MARK_BYTES as u64 + FILL_MARK_BYTES;
            let ahead =
                if self.options.pre_alloc_bytes == 0 { 0 } else { self.options.fill_chunk_bytes };
            match self.make_spare(needed + ahead) {
                Err(CommitError::Full { .. }) => self.make_spare(needed)?,
                made => made?,
            }
        }
        if let Err(e) = self.replace_nothing(&path) {
            return Err(self.poison(&path, "replace it", &e));
        }
        if let Err(e) = self.disk.rename(&self.dir.join(SPARE_NAME), &path) {
            return Err(if is_full(&e) { self.full(e) } else { self.poison(&path, "rename", &e) });
        }
        if let Err(e) = self.disk.sync_dir(&self.dir) {
            let dir = self.dir.clone();
            return Err(self.poison(&dir, "force the directory", &e));
        }
        let Some(file) = self.spare.take() else { return Ok(()) };
        self.current = Some(Current { file, path, end: HEADER_BYTES, allocated: self.spare_len });
        Ok(())
    }

    /// A file of the new name may only exist if it holds nothing (trap S1).
    fn replace_nothing(&self, path: &Path) -> Result<(), Error> {
        if self.disk.exists(path).map_err(Error::io("look for", path))?
            && has_records(&*self.disk, path)?
        {
            return Err(Error::refused(path, "holds transactions that would be overwritten"));
        }
        Ok(())
    }

    fn end_file(&mut self) -> Result<(), CommitError> {
        self.records_since_roll = 0;
        self.bytes_since_roll = 0;
        let Some(mut current) = self.current.take() else { return Ok(()) };
        if current.is_empty() {
            // Its name may not be the next record's. Recovery removes it, too.
            let _ = self.disk.remove(&current.path);
            return Ok(());
        }
        if !self.options.force_sync
            && let Err(e) = current.file.sync_data()
        {
            return Err(self.poison(&current.path, "force the log", &e));
        }
        self.trim();
        self.untrimmed = Some(current);
        Ok(())
    }

    /// Cuts off the zeros of the file before. That is a courtesy to Java's leader (trap S33); they do no
    /// harm.
    fn trim(&mut self) {
        if let Some(mut file) = self.untrimmed.take() {
            let _ = file.file.truncate(file.end);
        }
    }

    /// Cuts off some of them; returns whether there are more. No mark is cut in two.
    fn trim_step(&mut self) -> bool {
        let Some(file) = &mut self.untrimmed else { return false };
        let step = self.options.fill_chunk_bytes.max(FILL_ALIGN);
        let next = file.allocated.saturating_sub(step);
        file.allocated = if next < file.end + FILL_ALIGN { file.end } else { next };
        let is_cut = file.file.truncate(file.allocated).is_ok();
        let has_more = is_cut && file.end < file.allocated;
        if !has_more {
            self.untrimmed = None;
        }
        has_more
    }
}

fn align(target: u64) -> u64 {
    target.next_multiple_of(FILL_ALIGN)
}

fn fill(file: &mut dyn DiskFile, from: u64, target: u64) -> io::Result<()> {
    let mark_at = target - FILL_MARK_BYTES;
    file.zero_fill(from, mark_at - from)?;
    file.write_all_at(mark_at, &FILL_MARK)
}
