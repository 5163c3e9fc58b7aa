//! Reads snapshots: Java's of every age, in any container, and ours.
//!
//! Guarantees: bounded memory; everything is handed to the sink before it is known to be right, so
//! the sink's contents count only when reading succeeded. Trailers are told by the remaining length
//! (0, 21, 33 or 54 bytes behind the first seal), because servers write them or not (S13).
//! Source: `storage-format.md` 3.1, 3.3, 3.4.

use std::io::{self, Read};
use std::path::Path;

use rookeeper_proto::txn::TxnDigest;
use rookeeper_proto::{Reader, Zxid};

use super::SnapshotMeta;
use super::body::{BodyParser, NullSink, SnapshotSink};
use super::codec::{Compression, Encoder, GZIP_MAGIC, XERIAL_MAGIC, decoder};
use super::writer::TEMPORARY_PREFIX;
use crate::checksum::Checksum;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::names::zxid_in_name;

/// Read from the container at a time.
const CHUNK_BYTES: usize = 256 << 10;
/// More cannot be behind the body: three seals, a digest (an old one as text), a zxid.
const MAX_TRAILER_BYTES: usize = 4096;
const HEADER_BYTES: usize = 16;
const VERSION: i32 = 2;
/// Longest path, datum or ACL where the caller has no opinion.
pub(crate) const MAX_ITEM_BYTES: usize = 64 << 20;

/// Whether a file looks like a complete snapshot without reading it (`storage-format.md` 3.3).
pub fn looks_complete(disk: &dyn Disk, path: &Path) -> Result<bool> {
    let file = disk.open(path).map_err(Error::io("open", path))?;
    let len = file.len().map_err(Error::io("measure", path))?;
    let mut head = [0; 8];
    let got = file.read_full_at(0, &mut head).map_err(Error::io("read", path))?;
    if head[..got].starts_with(&GZIP_MAGIC) || head == XERIAL_MAGIC {
        return Ok(true);
    }
    let mut tail = [0; 5];
    if len < 10 {
        return Ok(false);
    }
    file.read_full_at(len - 5, &mut tail).map_err(Error::io("read", path))?;
    Ok(tail == *b"\0\0\0\x01/")
}

/// Reads all of a snapshot without keeping it.
pub fn verify_snapshot(disk: &dyn Disk, path: &Path) -> Result<SnapshotMeta> {
    read_snapshot(disk, path, MAX_ITEM_BYTES, &mut NullSink)
}

/// Reads a snapshot into a sink. On an error the sink holds a part of it.
pub fn read_snapshot(
    disk: &dyn Disk,
    path: &Path,
    max_item_bytes: usize,
    sink: &mut dyn SnapshotSink,
) -> Result<SnapshotMeta> {
    let Some(zxid) = zxid_of(path) else {
        return Err(Error::refused(path, "is not named as a snapshot is"));
    };
    let mut stream = Stream::open(disk, path)?;
    let (digest, last_zxid) = stream.read(max_item_bytes, sink)?;
    Ok(SnapshotMeta { path: path.to_owned(), zxid, digest, last_zxid })
}

/// Reads a snapshot whatever its file is called, as tools are given copies of any name; without a
/// zxid in the name, that of the last trailer counts, else [`Zxid::UNKNOWN`].
pub fn inspect_snapshot(
    disk: &dyn Disk,
    path: &Path,
    sink: &mut dyn SnapshotSink,
) -> Result<SnapshotMeta> {
    let mut stream = Stream::open(disk, path)?;
    let (digest, last_zxid) = stream.read(MAX_ITEM_BYTES, sink)?;
    let zxid = zxid_of(path).or(last_zxid).unwrap_or(Zxid::UNKNOWN);
    Ok(SnapshotMeta { path: path.to_owned(), zxid, digest, last_zxid })
}

/// Writes the same snapshot into another container: `to`, which must not exist, holds the same
/// bytes under another compression. Nothing is left behind when `from` is not whole.
pub fn recompress(disk: &dyn Disk, from: &Path, to: &Path, into: Compression) -> Result<()> {
    inspect_snapshot(disk, from, &mut NullSink)?;
    let mut input = Stream::open(disk, from)?;
    let temporary = to.with_file_name(format!("{TEMPORARY_PREFIX}converted.tmp"));
    if disk.exists(to).map_err(Error::io("look for", to))? {
        return Err(Error::refused(to, "is there already"));
    }
    let file = disk.create(&temporary).map_err(Error::io("create", &temporary))?;
    let mut out = Encoder::new(file, into).map_err(Error::io("write", &temporary))?;
    loop {
        input.fill(CHUNK_BYTES)?;
        if input.buffer.is_empty() {
            break;
        }
        out.write_all(&input.buffer).map_err(Error::io("write", &temporary))?;
        input.buffer.clear();
    }
    out.finish().map_err(Error::io("force", &temporary))?;
    disk.rename(&temporary, to).map_err(Error::io("rename", &temporary))?;
    let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    disk.sync_dir(dir).map_err(Error::io("force", dir))
}

fn zxid_of(path: &Path) -> Option<Zxid> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    zxid_in_name(name, "snapshot")
}

struct Stream<'p> {
    path: &'p Path,
    input: Box<dyn Read>,
    /// Read but not consumed.
    buffer: Vec<u8>,
    /// Uncompressed offset of the buffer's start.
    at: u64,
    is_end: bool,
    checksum: Checksum,
}

impl<'p> Stream<'p> {
    fn open(disk: &dyn Disk, path: &'p Path) -> Result<Self> {
        let file = disk.open(path).map_err(Error::io("open", path))?;
        let mut head = [0; 8];
        let got = file.read_full_at(0, &mut head).map_err(Error::io("read", path))?;
        let input = decoder(file, Compression::of_head(&head[..got]));
        let input = input.map_err(Error::io("measure", path))?;
        let (buffer, checksum) = (Vec::new(), Checksum::default());
        Ok(Self { path, input, buffer, at: 0, is_end: false, checksum })
    }
}

impl Stream<'_> {
    #[allow(clippy::type_complexity, reason = "the two trailers, each of which may be missing")]
    fn read(
        &mut self,
        max_item_bytes: usize,
        sink: &mut dyn SnapshotSink,
    ) -> Result<(Option<(Zxid, TxnDigest)>, Option<Zxid>)> {
        self.header()?;
        self.body(max_item_bytes, sink)?;
        self.trailers()
    }

    fn corrupt(&self, within: u64, expected: impl ToString, found: impl ToString) -> Error {
        Error::corrupt(self.path, self.at + within, expected.to_string(), found.to_string())
    }

    /// Reads more behind what is buffered, up to `n` bytes in all.
    fn fill(&mut self, n: usize) -> Result<()> {
        let len = self.buffer.len();
        if n <= len || self.is_end {
            return Ok(());
        }
        // Grows with what is there: a small snapshot costs little.
        let wanted = (n - len) as u64;
        match (&mut self.input).take(wanted).read_to_end(&mut self.buffer) {
            Ok(got) => {
                self.is_end = (got as u64) < wanted;
                Ok(())
            }
            Err(e) => Err(self.input_error(self.buffer.len() as u64, e)),
        }
    }

    /// A container's complaint about its bytes is damage; anything else is the disk's.
    fn input_error(&self, within: u64, error: io::Error) -> Error {
        use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
        match error.kind() {
            InvalidData | InvalidInput | Other | UnexpectedEof => {
                self.corrupt(within, "compressed data", error)
            }
            _ => Error::Io { what: "read", file: self.path.to_owned(), source: error },
        }
    }

    fn consume(&mut self, n: usize) {
        self.checksum.write(&self.buffer[..n]);
        self.buffer.drain(..n);
        self.at += n as u64;
    }

    fn header(&mut self) -> Result<()> {
        self.fill(CHUNK_BYTES)?;
        let Some(header) = self.buffer.first_chunk::<HEADER_BYTES>() else {
            let found = format!("{} bytes", self.buffer.len());
            return Err(self.corrupt(0, "a snapshot's header", found));
        };
        if !header.starts_with(b"ZKSN") {
            let found = format!("{:02x?}", &header[..4]);
            return Err(self.corrupt(0, "the magic \"ZKSN\" of a snapshot", found));
        }
        let version = i32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        if version != VERSION {
            let expected = format!("snapshot format version {VERSION}");
            return Err(self.corrupt(4, expected, format!("version {version}, unknown here")));
        }
        self.consume(HEADER_BYTES);
        Ok(())
    }

    fn body(&mut self, max_item_bytes: usize, sink: &mut dyn SnapshotSink) -> Result<()> {
        let mut parser = BodyParser::new(max_item_bytes);
        let start = self.at;
        let mut wanted = CHUNK_BYTES;
        loop {
            self.fill(wanted)?;
            let fed = parser.feed(&self.buffer, sink);
            let fed =
                fed.map_err(|e| Error::corrupt(self.path, start + e.at, e.expected, e.found))?;
            let before = self.buffer.len();
            self.consume(fed);
            if parser.is_done() {
                return Ok(());
            }
            if self.is_end && before < wanted {
                let rest = self.buffer.len() as u64;
                return Err(self.corrupt(rest, "more of the snapshot", "the end of the file"));
            }
            // An item longer than the window: twice as much, up to what the parser refuses.
            wanted = if fed == 0 { wanted.saturating_mul(2) } else { CHUNK_BYTES };
        }
    }

    fn seal(&mut self, which: &str) -> Result<()> {
        let computed = self.checksum.value();
        let mut r = Reader::new(&self.buffer);
        let (Ok(stored), Ok(slash)) = (r.i64(), r.string()) else {
            let found = format!("{} bytes", self.buffer.len());
            return Err(self.corrupt(0, format!("the seal of the {which}"), found));
        };
        if stored != computed {
            let expected = format!("checksum {stored:x} of the {which}");
            return Err(self.corrupt(0, expected, format!("{computed:x}")));
        }
        if slash.as_deref() != Some("/") {
            return Err(self.corrupt(8, format!("\"/\" behind the {which}"), "other bytes"));
        }
        self.consume(SEAL_BYTES);
        Ok(())
    }

    #[allow(clippy::type_complexity, reason = "the two trailers, each of which may be missing")]
    fn trailers(&mut self) -> Result<(Option<(Zxid, TxnDigest)>, Option<Zxid>)> {
        self.fill(MAX_TRAILER_BYTES)?;
        if MAX_TRAILER_BYTES <= self.buffer.len() {
            return Err(self.corrupt(0, "the snapshot's trailers", "much more"));
        }
        self.seal("body")?;
        let mut digest = None;
        if !matches!(self.buffer.len(), 0 | 21) {
            digest = Some(self.digest()?);
            self.seal("digest")?;
        }
        let mut last_zxid = None;
        if self.buffer.len() == 21 {
            let zxid = Reader::new(&self.buffer).i64();
            last_zxid = zxid.ok().map(Zxid);
            self.consume(8);
            self.seal("last zxid")?;
        }
        if !self.buffer.is_empty() {
            let found = format!("{} more bytes", self.buffer.len());
            return Err(self.corrupt(0, "the end of the snapshot", found));
        }
        Ok((digest, last_zxid))
    }

    fn digest(&mut self) -> Result<(Zxid, TxnDigest)> {
        let mut r = Reader::new(&self.buffer);
        let read = (|| {
            let (zxid, version) = (Zxid(r.i64()?), r.i32()?);
            // Before version 2 it was a hexadecimal text.
            let digest = if version < 2 {
                let text = r.string()?.unwrap_or_default();
                i64::from_str_radix(&text, 16)
                    .or_else(|_| u64::from_str_radix(&text, 16).map(|digest| digest as i64))
                    .unwrap_or(0)
            } else {
                r.i64()?
            };
            Ok((zxid, TxnDigest { version, digest }))
        })();
        let n = r.at();
        match read {
            Ok(digest) => {
                self.consume(n);
                Ok(digest)
            }
            Err(rookeeper_proto::DecodeError { what, .. }) => {
                Err(self.corrupt(n as u64, format!("{what} of the digest"), "other bytes"))
            }
        }
    }
}

const SEAL_BYTES: usize = 13;
