//! Looks into one log file as it is, for tools that print, judge and copy what a server refuses.
//!
//! Guarantees: changes nothing; memory for one record, never more than the file has bytes; whatever
//! the bytes are, the place only moves forward. Unlike [`LogReader`](super::LogReader) it goes on
//! behind a wrong checksum and does not know the neighbouring files.

use std::path::Path;

use rookeeper_proto::Zxid;
use simd_adler32::adler32;

use super::file::{LogFile, Opened};
use super::format::{EOR, HEADER_BYTES, MIN_PAYLOAD_BYTES, OVERHEAD_BYTES, PREFIX_BYTES};
use super::tail::{Tail, judge};
use super::{continues, format};
use crate::disk::Disk;
use crate::error::{Error, Result};

/// A log file being looked into.
#[derive(Debug)]
pub struct LogInspector {
    file: LogFile,
    last: Zxid,
    dbid: i64,
}

/// What is at a place in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Bytes framed as a record.
    Record(RawRecord<'a>),
    /// What Java takes for the end: the file ends, also within a record, or a length of zero.
    End,
    /// A length that no record has.
    BadLength(i32),
}

/// A record that need not be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawRecord<'a> {
    /// Where it begins.
    pub offset: u64,
    /// The checksum in the file.
    pub stored: i64,
    /// The checksum of the payload.
    pub computed: i64,
    /// Header, txn, digest.
    pub payload: &'a [u8],
    /// Whether the end mark is there.
    pub is_ended: bool,
}

impl RawRecord<'_> {
    /// The zxid in its header, if it is long enough to have one.
    pub fn zxid(&self) -> Option<Zxid> {
        format::payload_zxid(self.payload).map(Zxid)
    }

    /// Whether checksum, end mark and size are right.
    pub fn is_sound(&self) -> bool {
        self.stored == self.computed && self.is_ended && MIN_PAYLOAD_BYTES <= self.payload.len()
    }
}

/// How a file ends behind its last sound record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// With nothing but zeros and marks of ours.
    Clean,
    /// With the remains of a write that a crash cut off: nothing that was acknowledged.
    Torn {
        /// Where they begin.
        at: u64,
        /// How far they reach.
        bytes: u64,
        /// Zxids that could be read in them.
        zxids: Vec<Zxid>,
        /// What they were taken for.
        what: String,
    },
    /// With bytes that no crash explains.
    Damaged {
        /// Where.
        at: u64,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
        /// The next sound record behind it.
        next: Option<(u64, Zxid)>,
    },
}

impl LogInspector {
    /// Opens a file; `None` if it is shorter than a header or all zeros: its creation was cut off.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Option<Self>> {
        // The file's size limits what is read, not a server's opinion of a record's.
        let opened = LogFile::open(disk, path, i32::MAX as usize)?;
        let Opened::Log(mut file) = opened else { return Ok(None) };
        let dbid = file.bytes(8, 8)?.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
        Ok(Some(Self { file, last: Zxid::UNKNOWN, dbid }))
    }

    /// The database id in the header.
    pub fn dbid(&self) -> i64 {
        self.dbid
    }

    /// The file's length in bytes.
    pub fn len(&self) -> u64 {
        self.file.len
    }

    /// Whether there is no record at all.
    pub fn is_empty(&self) -> bool {
        self.file.len <= HEADER_BYTES
    }

    /// Where the next record would begin.
    pub fn at(&self) -> u64 {
        self.file.at
    }

    /// Takes what is at the present place; moves behind a record.
    pub fn next_frame(&mut self) -> Result<Frame<'_>> {
        let offset = self.file.at;
        let left = self.file.len.saturating_sub(offset);
        if left < PREFIX_BYTES as u64 {
            return Ok(Frame::End);
        }
        let prefix = self.file.bytes(offset, PREFIX_BYTES)?;
        let stored = prefix.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
        let len = i32::from_be_bytes([prefix[8], prefix[9], prefix[10], prefix[11]]);
        let size = match usize::try_from(len) {
            Ok(0) => return Ok(Frame::End),
            Ok(len) if left < (PREFIX_BYTES + len) as u64 => return Ok(Frame::End),
            Ok(len) => len,
            Err(_) => return Ok(Frame::BadLength(len)),
        };
        let n = (size + OVERHEAD_BYTES).min(usize::try_from(left).unwrap_or(usize::MAX));
        let record = self.file.bytes(offset, n)?;
        let payload = &record[PREFIX_BYTES..PREFIX_BYTES + size];
        let is_ended = record.get(PREFIX_BYTES + size) == Some(&EOR);
        let computed = i64::from(adler32(&payload));
        let is_sound = stored == computed && is_ended && MIN_PAYLOAD_BYTES <= size;
        if is_sound {
            self.last = self.last.max(Zxid(format::payload_zxid(payload).unwrap_or(-1)));
        }
        self.file.at = offset + n as u64;
        // Borrowed again: the place had to be moved in between.
        let record = self.file.bytes(offset, n)?;
        let payload = &record[PREFIX_BYTES..PREFIX_BYTES + size];
        Ok(Frame::Record(RawRecord { offset, stored, computed, payload, is_ended }))
    }

    /// Takes the sound record at the present place; stays there if there is none.
    pub fn next_sound(&mut self) -> Result<Option<RawRecord<'_>>> {
        let offset = self.file.at;
        if self.file.check(offset)?.is_err() {
            return Ok(None);
        }
        match self.next_frame()? {
            Frame::Record(record) => Ok(Some(record)),
            Frame::End | Frame::BadLength(_) => Ok(None),
        }
    }

    /// Judges what is at the present place, where no sound record is.
    pub fn ending(&mut self) -> Result<Ending> {
        let at = self.file.at;
        let Err(reason) = self.file.check(at)? else {
            let (expected, found) = ("the end".to_owned(), "a record".to_owned());
            return Ok(Ending::Damaged { at, expected, found, next: Some((at, self.last)) });
        };
        let judged = judge(&mut self.file, self.last, &reason);
        self.file.at = at;
        match judged {
            Ok(Tail::Clean { .. }) => Ok(Ending::Clean),
            Ok(Tail::Torn { at, bytes, zxids, what }) => {
                Ok(Ending::Torn { at, bytes, zxids, what })
            }
            Err(Error::Corrupt { offset, expected, found, .. }) => {
                let next = self.file.find_record(at + 1, self.last)?;
                Ok(Ending::Damaged { at: offset, expected, found, next })
            }
            Err(error) => Err(error),
        }
    }

    /// Goes on at a place that [`Self::ending`] named.
    pub fn go_on_at(&mut self, offset: u64) {
        self.file.at = self.file.at.max(offset);
    }
}

/// The bytes of a log file's header.
pub fn file_header() -> [u8; 16] {
    format::HEADER
}

/// Appends a record as the log has it, with its right checksum.
pub fn put_record(out: &mut Vec<u8>, payload: &[u8]) {
    format::put_record(out, payload);
}

/// Whether `zxid` may be the record behind `before`: the next one, or the first of a later epoch.
pub fn follows(zxid: Zxid, before: Zxid) -> bool {
    continues(zxid, before)
}
