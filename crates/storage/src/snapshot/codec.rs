//! The three containers of a snapshot: plain, gzip, and the xerial container of snappy blocks, which
//! is not the official snappy framing (`storage-format.md` 3.2, S15).
//!
//! ```text
//! xerial   82 "SNAPPY" 00 | i32 1 | i32 1 | { i32 compressed length | raw snappy block }*
//! ```

use std::io::{self, BufReader, Read, Write};

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use crate::disk::DiskFile;

/// `zookeeper.snapshot.compression.method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// As is.
    #[default]
    None,
    /// GZIP.
    Gzip,
    /// The xerial container of raw snappy blocks.
    Snappy,
}

impl Compression {
    /// The value of the key; anything unknown means none, as for Java.
    pub fn from_key(value: &str) -> Self {
        match value {
            "gz" => Self::Gzip,
            "snappy" => Self::Snappy,
            _ => Self::None,
        }
    }

    /// What the file's name ends with.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Snappy => ".snappy",
        }
    }

    /// What a file that begins with `head` is; nothing known is plain.
    pub(crate) fn of_head(head: &[u8]) -> Self {
        if head.starts_with(&GZIP_MAGIC) {
            Self::Gzip
        } else if head.starts_with(&XERIAL_MAGIC) {
            Self::Snappy
        } else {
            Self::None
        }
    }
}

pub(crate) const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
pub(crate) const XERIAL_MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
/// Input bytes of a block, as Java writes them.
const XERIAL_BLOCK_BYTES: usize = 32 << 10;
/// Longest block that is read, compressed or not.
const XERIAL_MAX_BYTES: usize = 32 << 20;
/// A snappy element of three bytes stands for at most 64. Who claims more would have us allocate for a lie.
const SNAPPY_EXPANSION_MAX: usize = 22;

/// Written to the disk at a time.
const OUT_BYTES: usize = 256 << 10;
/// Forced at a time: the log's forces wait for the disk to finish this much.
const FORCE_EVERY_BYTES: u64 = 1 << 20;

/// A file as a sequential, buffered output.
#[derive(Debug)]
pub(crate) struct FileOut {
    file: Box<dyn DiskFile>,
    buffer: Vec<u8>,
    at: u64,
    forced: u64,
}

impl FileOut {
    pub(crate) fn new(file: Box<dyn DiskFile>) -> Self {
        Self { file, buffer: Vec::with_capacity(OUT_BYTES), at: 0, forced: 0 }
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        self.file.write_all_at(self.at, &self.buffer)?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        if self.forced + FORCE_EVERY_BYTES <= self.at {
            self.file.sync_data()?;
            self.forced = self.at;
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.write_buffer()?;
        self.file.sync_data()
    }
}

impl Write for FileOut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if OUT_BYTES < self.buffer.len() + bytes.len() {
            self.write_buffer()?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A snapshot file being written in its container.
#[derive(Debug)]
pub(crate) enum Encoder {
    Plain(FileOut),
    Gzip(GzEncoder<FileOut>),
    Snappy(Box<XerialWriter<FileOut>>),
}

impl Encoder {
    pub(crate) fn new(file: Box<dyn DiskFile>, compression: Compression) -> io::Result<Self> {
        let out = FileOut::new(file);
        Ok(match compression {
            Compression::None => Self::Plain(out),
            Compression::Gzip => Self::Gzip(GzEncoder::new(out, flate2::Compression::default())),
            Compression::Snappy => Self::Snappy(Box::new(XerialWriter::new(out)?)),
        })
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.write_all(bytes),
            Self::Gzip(out) => out.write_all(bytes),
            Self::Snappy(out) => out.write_all(bytes),
        }
    }

    /// Writes what is left and forces the file.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.finish(),
            Self::Gzip(out) => out.finish()?.finish(),
            Self::Snappy(out) => out.finish()?.finish(),
        }
    }
}

/// Writes the xerial container.
#[derive(Debug)]
pub(crate) struct XerialWriter<W> {
    out: W,
    block: Vec<u8>,
    compressed: Vec<u8>,
    encoder: snap::raw::Encoder,
}

impl<W: Write> XerialWriter<W> {
    fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&XERIAL_MAGIC)?;
        out.write_all(&[0, 0, 0, 1, 0, 0, 0, 1])?;
        let encoder = snap::raw::Encoder::new();
        Ok(Self { out, block: Vec::new(), compressed: Vec::new(), encoder })
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let n = bytes.len().min(XERIAL_BLOCK_BYTES - self.block.len());
            let (head, rest) = bytes.split_at(n);
            self.block.extend_from_slice(head);
            bytes = rest;
            if self.block.len() == XERIAL_BLOCK_BYTES {
                self.write_block()?;
            }
        }
        Ok(())
    }

    fn write_block(&mut self) -> io::Result<()> {
        self.compressed.resize(snap::raw::max_compress_len(self.block.len()), 0);
        let n =
            self.encoder.compress(&self.block, &mut self.compressed).map_err(io::Error::other)?;
        self.out.write_all(&(n as u32).to_be_bytes())?;
        self.out.write_all(&self.compressed[..n])?;
        self.block.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<W> {
        if !self.block.is_empty() {
            self.write_block()?;
        }
        Ok(self.out)
    }
}

/// A file as a sequential input.
#[derive(Debug)]
pub(crate) struct FileIn {
    file: Box<dyn DiskFile>,
    at: u64,
}

impl Read for FileIn {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(self.at, buf)?;
        self.at += n as u64;
        Ok(n)
    }
}

/// The uncompressed bytes of a snapshot file.
pub(crate) fn decoder(
    file: Box<dyn DiskFile>,
    compression: Compression,
) -> io::Result<Box<dyn Read>> {
    let capacity = usize::try_from(file.len()?).unwrap_or(OUT_BYTES).clamp(64, OUT_BYTES);
    let input = BufReader::with_capacity(capacity, FileIn { file, at: 0 });
    Ok(match compression {
        Compression::None => Box::new(input),
        Compression::Gzip => Box::new(MultiGzDecoder::new(input)),
        Compression::Snappy => Box::new(XerialReader::new(input)),
    })
}

/// Reads the xerial container.
#[derive(Debug)]
struct XerialReader<R> {
    input: R,
    has_header: bool,
    compressed: Vec<u8>,
    block: Vec<u8>,
    at: usize,
}

impl<R: Read> XerialReader<R> {
    fn new(input: R) -> Self {
        Self { input, has_header: false, compressed: Vec::new(), block: Vec::new(), at: 0 }
    }

    /// Reads the next block; `false` at the end.
    fn next_block(&mut self) -> io::Result<bool> {
        if !self.has_header {
            let mut header = [0; 16];
            self.input.read_exact(&mut header)?;
            if header[..8] != XERIAL_MAGIC || header[8..12] != [0, 0, 0, 1] {
                return Err(damaged("header of the snappy container"));
            }
            self.has_header = true;
        }
        let mut prefix = [0; 4];
        let got = self.input.read(&mut prefix)?;
        if got == 0 {
            return Ok(false);
        }
        self.input.read_exact(&mut prefix[got..])?;
        let len = u32::from_be_bytes(prefix) as usize;
        if len == 0 || XERIAL_MAX_BYTES < len {
            return Err(damaged("length of a snappy block"));
        }
        self.compressed.clear();
        // Grows with what is there, not with what the length claims.
        let got = (&mut self.input).take(len as u64).read_to_end(&mut self.compressed)?;
        if got < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let plain = snap::raw::decompress_len(&self.compressed).map_err(io::Error::other)?;
        if XERIAL_MAX_BYTES < plain || len.saturating_mul(SNAPPY_EXPANSION_MAX) < plain {
            return Err(damaged("size of a snappy block"));
        }
        self.block.resize(plain, 0);
        let mut decoder = snap::raw::Decoder::new();
        decoder.decompress(&self.compressed, &mut self.block).map_err(io::Error::other)?;
        self.at = 0;
        Ok(true)
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("damaged {what}"))
}

impl<R: Read> Read for XerialReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let n = buf.len().min(self.block.len() - self.at);
        buf[..n].copy_from_slice(&self.block[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_block(block: &[u8]) -> io::Result<Vec<u8>> {
        let mut file = XERIAL_MAGIC.to_vec();
        file.extend([0, 0, 0, 1, 0, 0, 0, 1]);
        file.extend((block.len() as u32).to_be_bytes());
        file.extend(block);
        let mut out = Vec::new();
        XerialReader::new(&file[..]).read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn a_block_that_claims_more_than_it_can_hold_is_refused_before_memory_is_taken() {
        // Varint of 25 million, as the fuzzer found it, then what could be 50 bytes.
        let mut block = vec![0xc3, 0xff, 0x8c, 0x0c];
        block.resize(54, 0);
        let error = read_block(&block).expect_err("a lie");
        assert_eq!(error.to_string(), "damaged size of a snappy block");
    }

    #[test]
    fn what_compresses_best_is_read() {
        let plain = vec![b'x'; 4 << 20];
        let block = snap::raw::Encoder::new().compress_vec(&plain).expect("fits");
        assert!(read_block(&block).expect("sound") == plain);
    }
}
