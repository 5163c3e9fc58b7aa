//! Reads the records behind a zxid, across files, in order and without holes.
//!
//! Guarantees: every record returned follows the one before it (or the zxid asked for); what is
//! skipped (duplicates that Java 3.9 writes, S39; torn tails) is reported; a hole or damage is an
//! error that names file and offset. Reading changes nothing: what should be repaired so that the
//! log can be continued, also by Java, is returned by [`LogReader::finish`].
//!
//! A torn tail in a file that is not the last one is a leftover of a crash of a Java server, which
//! never cuts: it is accepted only if the next file continues right behind the last whole record.
//! Source: `storage-format.md` 1.5, 1.6, S4, S5, S39.

use std::path::{Path, PathBuf};

use rookeeper_proto::Zxid;

use super::continues;
use super::file::{EndReason, LogFile, Opened, Step};
use super::format::HEADER_BYTES;
use super::tail::{Tail, judge};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::names::{NamedFile, log_files};

/// A record of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRecord<'a> {
    /// Its zxid.
    pub zxid: Zxid,
    /// Where in the file it begins.
    pub offset: u64,
    /// Header, txn, digest.
    pub payload: &'a [u8],
}

/// What must be done to a log before it is continued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// Cut a torn tail off.
    Cut {
        /// The file.
        path: PathBuf,
        /// Its new length.
        len: u64,
    },
    /// Remove a file without records.
    Remove {
        /// The file.
        path: PathBuf,
    },
}

/// What a complete reading found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogSummary {
    /// The last zxid seen, at least the one asked for.
    pub last: Zxid,
    /// Records returned.
    pub records: u64,
    /// What was dropped or skipped, one sentence each.
    pub warnings: Vec<String>,
    /// What to repair, in this order.
    pub repairs: Vec<Repair>,
    /// The files read; the last one may not be durable yet.
    pub files: Vec<PathBuf>,
    /// The last file's last batch: start and end.
    pub last_batch: Option<(u64, u64)>,
}

/// Reads the log.
#[derive(Debug)]
pub struct LogReader<'d> {
    disk: &'d dyn Disk,
    files: std::vec::IntoIter<NamedFile>,
    current: Option<LogFile>,
    max_record_bytes: usize,
    after: Zxid,
    /// The last zxid in the files, also of records not returned.
    last_seen: Zxid,
    /// What the first file's name says must be before it.
    base: Zxid,
    /// The zxid in the current file's name.
    named: Zxid,
    duplicates: u64,
    /// A torn tail or a file without records, to be explained by what follows.
    unexplained: Vec<Unexplained>,
    summary: LogSummary,
}

#[derive(Debug)]
struct Unexplained {
    path: PathBuf,
    at: u64,
    last: Zxid,
    what: String,
    is_torn: bool,
    repair: Repair,
}

impl<'d> LogReader<'d> {
    /// A reader of the records behind `after` in `dir`.
    pub fn open(
        disk: &'d dyn Disk,
        dir: &Path,
        after: Zxid,
        max_record_bytes: usize,
    ) -> Result<Self> {
        let mut files = log_files(disk, dir)?;
        // A file's name is its first record's zxid: the newest that may hold the next one is first.
        let first = files.iter().rposition(|file| file.zxid <= after.next()).unwrap_or(0);
        let zxid = files.get(first).map(|file| file.zxid);
        let first = files.iter().position(|file| Some(file.zxid) == zxid).unwrap_or(0);
        files.drain(..first);
        Ok(Self {
            disk,
            files: files.into_iter(),
            current: None,
            max_record_bytes,
            after,
            last_seen: Zxid::UNKNOWN,
            base: Zxid::UNKNOWN,
            named: Zxid::UNKNOWN,
            duplicates: 0,
            unexplained: Vec::new(),
            summary: LogSummary { last: after, ..LogSummary::default() },
        })
    }

    /// The file the last record was in.
    pub fn path(&self) -> Option<&Path> {
        self.current.as_ref().map(|file| file.path.as_path())
    }

    /// The next record; `None` at the end of the log.
    pub fn next_record(&mut self) -> Result<Option<LogRecord<'_>>> {
        loop {
            let Some(file) = &mut self.current else {
                if self.next_file()? {
                    continue;
                }
                return Ok(None);
            };
            let found = match file.step()? {
                Step::Record { zxid, offset, payload } => Ok((zxid, offset, payload.len())),
                Step::End(reason) => Err(reason),
            };
            match found {
                Ok((zxid, offset, len)) => {
                    if self.accept(zxid, offset)? {
                        let Some(file) = &mut self.current else { return Ok(None) };
                        let at = offset + super::format::PREFIX_BYTES as u64;
                        let payload = file.bytes(at, len)?;
                        return Ok(Some(LogRecord { zxid, offset, payload }));
                    }
                }
                Err(reason) => self.end_file(&reason)?,
            }
        }
    }

    /// Reads to the end and returns what was found.
    pub fn finish(mut self) -> Result<LogSummary> {
        while self.next_record()?.is_some() {}
        for found in std::mem::take(&mut self.unexplained) {
            self.summary.warnings.push(found.what);
            self.summary.repairs.push(found.repair);
        }
        Ok(self.summary)
    }

    /// Whether the record is to be returned: it is new and continues the log.
    fn accept(&mut self, zxid: Zxid, offset: u64) -> Result<bool> {
        let path = |reader: &Self| reader.path().unwrap_or(Path::new("")).to_owned();
        if zxid < Zxid::ZERO {
            return Err(Error::corrupt(&path(self), offset, "a positive zxid", zxid));
        }
        self.explain(zxid)?;
        if zxid <= self.last_seen {
            self.duplicates += 1;
            // One line each would be unbounded.
            if self.duplicates <= MAX_DUPLICATE_LINES {
                self.summary.warnings.push(format!(
                    "{}: record {zxid} at byte {offset} is there twice; the first was kept",
                    path(self).display()
                ));
            }
            return Ok(false);
        }
        self.last_seen = zxid;
        if zxid <= self.after {
            return Ok(false);
        }
        if !continues(zxid, self.summary.last) {
            let (after, file) = (self.summary.last, path(self));
            return Err(Error::Gap { after, found: zxid, file, offset });
        }
        self.summary.last = zxid;
        self.summary.records += 1;
        Ok(true)
    }

    /// A record follows what could not be read: fine only if nothing can be missing between.
    fn explain(&mut self, zxid: Zxid) -> Result<()> {
        for found in std::mem::take(&mut self.unexplained) {
            // What a snapshot holds is not missing.
            let is_whole =
                zxid == found.last.max(self.after).next() || zxid <= found.last.max(self.after);
            if found.is_torn && !is_whole {
                let expected = format!("the records between {} and {zxid}", found.last);
                return Err(Error::corrupt(&found.path, found.at, expected, found.what));
            }
            if found.is_torn {
                self.summary.warnings.push(format!(
                    "{}; {zxid} in the next file continues right behind it, so nothing is missing",
                    found.what
                ));
            } else {
                // Java would not start with a file shorter than a header in the middle.
                self.summary.repairs.push(found.repair);
            }
        }
        Ok(())
    }

    fn next_file(&mut self) -> Result<bool> {
        let Some(named) = self.files.next() else { return Ok(false) };
        if self.last_seen == Zxid::UNKNOWN {
            self.base = Zxid(named.zxid.0.saturating_sub(1));
        }
        self.named = named.zxid;
        match LogFile::open(self.disk, &named.path, self.max_record_bytes)? {
            Opened::Log(file) => self.current = Some(file),
            Opened::Unborn { len } => self.unexplained.push(Unexplained {
                at: len,
                last: self.last_seen.max(self.base),
                what: empty_sentence(&named.path, named.zxid, "has no header and no records"),
                is_torn: false,
                repair: Repair::Remove { path: named.path.clone() },
                path: named.path,
            }),
        }
        Ok(true)
    }

    fn end_file(&mut self, reason: &EndReason) -> Result<()> {
        let Some(mut file) = self.current.take() else { return Ok(()) };
        let end = file.at;
        let is_empty = end == HEADER_BYTES;
        let repair = if is_empty {
            Repair::Remove { path: file.path.clone() }
        } else {
            Repair::Cut { path: file.path.clone(), len: end }
        };
        let last = self.last_seen.max(self.base);
        let tail = judge(&mut file, last, reason)?;
        if !is_empty {
            self.summary.files.push(file.path.clone());
            self.summary.last_batch = None;
        }
        let (at, what, is_torn) = match tail {
            Tail::Clean { batch_start } => {
                if !is_empty {
                    // Without marks (Java's file, or ours once it is ended) any record may be of it.
                    self.summary.last_batch = Some((batch_start.unwrap_or(HEADER_BYTES), end));
                    return Ok(());
                }
                let first = self.named;
                (end, empty_sentence(&file.path, first, "has no records"), false)
            }
            Tail::Torn { at, bytes, zxids, what } => {
                (at, torn_sentence(&file.path, at, bytes, &zxids, &what), true)
            }
        };
        let path = file.path;
        self.unexplained.push(Unexplained { path, at, last, what, is_torn, repair });
        Ok(())
    }
}

/// Further duplicates are not listed.
const MAX_DUPLICATE_LINES: u64 = 20;

fn empty_sentence(path: &Path, first: Zxid, what: &str) -> String {
    format!(
        "{} {what}: a crash cut off its creation, before transaction {first} was written; removed",
        path.display()
    )
}

fn torn_sentence(path: &Path, at: u64, bytes: u64, zxids: &[Zxid], what: &str) -> String {
    let named = match zxids {
        [] => "no zxid can be read in them".to_owned(),
        [only] => format!("they were to become transaction {only}"),
        [first, .., last] => format!("they hold remains of transactions {first} to {last}"),
    };
    format!(
        "{}: the last {bytes} bytes from byte {at} on are a write that a crash cut off ({what}); \
         {named}; dropped",
        path.display()
    )
}

/// Whether a file holds any whole record.
pub(crate) fn has_records(disk: &dyn Disk, path: &Path) -> Result<bool> {
    match LogFile::open(disk, path, usize::MAX >> 1)? {
        Opened::Unborn { .. } => Ok(false),
        Opened::Log(mut file) => Ok(file.find_record(HEADER_BYTES, Zxid::UNKNOWN)?.is_some()),
    }
}
