//! Reads one log file record by record, with a bounded window over it.
//!
//! Guarantees: never reads a record that is not whole and right; stops at the first byte that is not
//! one and says why. What that means (end, torn tail, damage) is judged in `tail`.

use std::path::{Path, PathBuf};

use rookeeper_proto::Zxid;
use simd_adler32::adler32;

use super::format::{
    EOR, HEADER, HEADER_BYTES, MAGIC, MIN_PAYLOAD_BYTES, OVERHEAD_BYTES, PREFIX_BYTES, VERSION,
    payload_zxid,
};
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};

/// Read at a time.
const WINDOW_BYTES: usize = 256 << 10;
static ZEROS: [u8; 512] = [0; 512];

/// A log file and a place in it.
#[derive(Debug)]
pub(crate) struct LogFile {
    pub(crate) path: PathBuf,
    file: Box<dyn DiskFile>,
    pub(crate) len: u64,
    /// The next record's offset.
    pub(crate) at: u64,
    window: Vec<u8>,
    window_at: u64,
    max_record_bytes: usize,
}

/// How a file begins.
#[derive(Debug)]
pub(crate) enum Opened {
    /// With a header.
    Log(LogFile),
    /// Shorter than a header, or nothing but zeros where the header should be: a creation that a
    /// crash cut off.
    Unborn {
        /// The file's length.
        len: u64,
    },
}

/// What is at a place in the file.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// A whole record; the place has moved behind it.
    Record {
        /// Its zxid.
        zxid: Zxid,
        /// Where it begins.
        offset: u64,
        /// Header, txn, digest.
        payload: &'a [u8],
    },
    /// No record; the place is where one would begin.
    End(EndReason),
}

/// Why there is no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// The file ends here.
    EndOfFile,
    /// A length of zero: Java's mark for the end.
    ZeroLength,
    /// Something that is not a record.
    Broken {
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
}

impl EndReason {
    fn broken(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Broken { expected: expected.into(), found: found.into() }
    }
}

impl LogFile {
    /// Opens a file and checks its header.
    pub(crate) fn open(disk: &dyn Disk, path: &Path, max_record_bytes: usize) -> Result<Opened> {
        let file = disk.open(path).map_err(Error::io("open", path))?;
        let len = file.len().map_err(Error::io("measure", path))?;
        let mut log = Self {
            path: path.to_owned(),
            file,
            len,
            at: HEADER_BYTES,
            window: Vec::new(),
            window_at: 0,
            max_record_bytes,
        };
        if len < HEADER_BYTES {
            return Ok(Opened::Unborn { len });
        }
        let header = log.bytes(0, HEADER.len())?;
        if header[..4] == MAGIC {
            let version = i32::from_be_bytes([header[4], header[5], header[6], header[7]]);
            if version != VERSION {
                let why = format!(
                    "byte 4: transaction log format version {version} is not known to this server \
                     (it knows {VERSION}); it was written by a newer one, or is damaged"
                );
                return Err(Error::refused(path, why));
            }
            return Ok(Opened::Log(log));
        }
        let found = format!("{:02x?}", &header[..4]);
        if log.is_zero(0, len)? {
            return Ok(Opened::Unborn { len });
        }
        Err(Error::corrupt(path, 0, "the magic \"ZKLG\" of a transaction log", found))
    }

    /// Reads what is at the present place.
    pub(crate) fn step(&mut self) -> Result<Step<'_>> {
        let offset = self.at;
        match self.check(offset)? {
            Ok(len) => {
                self.at = offset + (len + OVERHEAD_BYTES) as u64;
                let payload = &self.bytes(offset, PREFIX_BYTES + len)?[PREFIX_BYTES..];
                let zxid = Zxid(payload_zxid(payload).unwrap_or(-1));
                Ok(Step::Record { zxid, offset, payload })
            }
            Err(reason) => Ok(Step::End(reason)),
        }
    }

    /// The length of the payload of the record at `offset`, if there is a whole one. In Java's
    /// order: length, payload, end mark, checksum (`storage-format.md` 1.5).
    pub(crate) fn check(&mut self, offset: u64) -> Result<std::result::Result<usize, EndReason>> {
        let left = self.len.saturating_sub(offset);
        if left == 0 {
            return Ok(Err(EndReason::EndOfFile));
        }
        if left < PREFIX_BYTES as u64 {
            let found = format!("{left} bytes before the end of the file");
            let expected = "the checksum and length of a record";
            return Ok(Err(EndReason::broken(expected, found)));
        }
        let prefix = self.bytes(offset, PREFIX_BYTES)?;
        let sum = u64::from_be_bytes(*prefix.first_chunk().unwrap_or(&[0; 8]));
        let len = i32::from_be_bytes([prefix[8], prefix[9], prefix[10], prefix[11]]);
        if len == 0 {
            return Ok(Err(EndReason::ZeroLength));
        }
        let max = self.max_record_bytes;
        let Some(len) = usize::try_from(len).ok().filter(|len| *len <= max) else {
            let expected = format!("a record's length up to {max}");
            return Ok(Err(EndReason::broken(expected, len.to_string())));
        };
        if left < (len + OVERHEAD_BYTES) as u64 {
            let found = format!("{left} bytes before the end of the file");
            let expected = format!("a record of {} bytes", len + OVERHEAD_BYTES);
            return Ok(Err(EndReason::broken(expected, found)));
        }
        let record = self.bytes(offset, len + OVERHEAD_BYTES)?;
        let (payload, end) =
            (&record[PREFIX_BYTES..PREFIX_BYTES + len], record[PREFIX_BYTES + len]);
        if end != EOR {
            return Ok(Err(EndReason::broken("the record's end mark 42", format!("{end:02x}"))));
        }
        let computed = u64::from(adler32(&payload));
        if computed != sum {
            let expected = format!("a record with checksum {sum:x}");
            return Ok(Err(EndReason::broken(expected, format!("checksum {computed:x}"))));
        }
        if len < MIN_PAYLOAD_BYTES {
            return Ok(Err(EndReason::broken("a txn header", format!("a record of {len} bytes"))));
        }
        Ok(Ok(len))
    }

    /// Bytes of the file, which must be there.
    pub(crate) fn bytes(&mut self, at: u64, n: usize) -> Result<&[u8]> {
        let end = self.window_at + self.window.len() as u64;
        if at < self.window_at || end < at + n as u64 {
            let left = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
            self.window.resize(n.max(WINDOW_BYTES.min(left)), 0);
            self.window_at = at;
            let got = self.file.read_full_at(at, &mut self.window);
            let got = got.map_err(Error::io("read", &self.path))?;
            self.window.truncate(got);
            if got < n {
                let source = std::io::ErrorKind::UnexpectedEof.into();
                return Err(Error::Io { what: "read", file: self.path.clone(), source });
            }
        }
        let from = (at - self.window_at) as usize;
        Ok(&self.window[from..from + n])
    }

    /// Up to `n` bytes: fewer only at the end of the file.
    pub(crate) fn bytes_up_to(&mut self, at: u64, n: usize) -> Result<&[u8]> {
        let left = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
        self.bytes(at, n.min(left))
    }

    /// The first byte in `from..to` that is not zero.
    pub(crate) fn first_nonzero(&mut self, from: u64, to: u64) -> Result<Option<u64>> {
        let mut at = from;
        while at < to {
            let n = usize::try_from(to - at).unwrap_or(WINDOW_BYTES).min(WINDOW_BYTES);
            let bytes = self.bytes(at, n)?;
            // Compared block by block: most of what is looked at is padding.
            let mut blocks = bytes.chunks(ZEROS.len()).enumerate();
            if let Some((i, block)) = blocks.find(|(_, block)| **block != ZEROS[..block.len()]) {
                let within = block.iter().position(|byte| *byte != 0).unwrap_or(0);
                return Ok(Some(at + (i * ZEROS.len() + within) as u64));
            }
            at += n as u64;
        }
        Ok(None)
    }

    /// Whether `from..to` is all zeros.
    pub(crate) fn is_zero(&mut self, from: u64, to: u64) -> Result<bool> {
        Ok(self.first_nonzero(from, to)?.is_none())
    }

    /// Whether a payload could be behind this prefix: what makes looking closer worth it.
    fn is_candidate(&mut self, at: u64) -> Result<bool> {
        let prefix = self.bytes(at, PREFIX_BYTES)?;
        let len = i32::from_be_bytes([prefix[8], prefix[9], prefix[10], prefix[11]]);
        let is_sum = prefix[..4] == [0; 4] && prefix[4..8] != [0; 4];
        Ok(is_sum && MIN_PAYLOAD_BYTES as i32 <= len)
    }

    /// The next whole record at or behind `from` with a zxid above `above`, at any offset.
    pub(crate) fn find_record(&mut self, from: u64, above: Zxid) -> Result<Option<(u64, Zxid)>> {
        let smallest = (MIN_PAYLOAD_BYTES + OVERHEAD_BYTES) as u64;
        let mut at = from;
        while at + smallest <= self.len {
            // The checksum of a record is never zero: skip to just before the next other byte.
            let Some(next) = self.first_nonzero(at, self.len)? else { return Ok(None) };
            at = at.max(next.saturating_sub(7));
            if self.len < at + smallest {
                return Ok(None);
            }
            if self.is_candidate(at)?
                && let Ok(len) = self.check(at)?
            {
                let payload = &self.bytes(at, PREFIX_BYTES + len)?[PREFIX_BYTES..];
                let zxid = Zxid(payload_zxid(payload).unwrap_or(-1));
                if above < zxid {
                    return Ok(Some((at, zxid)));
                }
            }
            at += 1;
        }
        Ok(None)
    }
}

/// Where the first record beyond `zxid` is in a file; `None` if there is none.
pub(crate) fn first_record_beyond(
    disk: &dyn Disk,
    path: &Path,
    zxid: Zxid,
    max_record_bytes: usize,
) -> Result<Option<u64>> {
    let Opened::Log(mut file) = LogFile::open(disk, path, max_record_bytes)? else {
        return Ok(None);
    };
    loop {
        match file.step()? {
            Step::Record { zxid: found, offset, .. } if zxid < found => return Ok(Some(offset)),
            Step::Record { .. } => {}
            Step::End(_) => return Ok(None),
        }
    }
}
