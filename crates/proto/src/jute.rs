//! Jute, ZooKeeper's record encoding: big-endian integers, length-prefixed strings and buffers with
//! length -1 for null, count-prefixed vectors, records as their fields back to back.
//!
//! Decoding is exactly as lenient as Java's (`client-protocol.md` 1.2): malformed UTF-8 becomes
//! U+FFFD, any non-zero boolean is true, a negative count other than -1 is an empty vector. Encoding
//! writes standard UTF-8 (Java writes CESU-8 for supplementary characters; paths cannot hold them).

use std::borrow::Cow;
use std::fmt;

/// Bytes that are not the record they should be. Never a panic, never a huge allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError {
    /// Offset in the input where decoding stopped.
    pub at: usize,
    /// What was expected there.
    pub what: &'static str,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot decode {} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for DecodeError {}

/// Shorthand for decoding results.
pub type Result<T> = std::result::Result<T, DecodeError>;

/// Reads jute primitives from a slice, borrowing where it can.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    buf: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `buf`.
    pub fn new(buf: &'a [u8]) -> Self {
        Self { buf, at: 0 }
    }

    /// Offset of the next byte.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Number of bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.buf.len() - self.at
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        &self.buf[self.at..]
    }

    /// An error at the present position.
    pub fn error(&self, what: &'static str) -> DecodeError {
        DecodeError { at: self.at, what }
    }

    /// Takes `n` raw bytes.
    pub fn bytes(&mut self, n: usize, what: &'static str) -> Result<&'a [u8]> {
        let rest = &self.buf[self.at..];
        if n > rest.len() {
            return Err(self.error(what));
        }
        self.at += n;
        Ok(&rest[..n])
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N]> {
        match self.buf[self.at..].first_chunk::<N>() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(self.error(what)),
        }
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>("byte")?[0])
    }

    /// A boolean: any non-zero byte is true, as Java reads it.
    pub fn bool(&mut self) -> Result<bool> {
        Ok(self.array::<1>("bool")?[0] != 0)
    }

    /// A 32-bit integer.
    pub fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.array("int")?))
    }

    /// A 64-bit integer.
    pub fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.array("long")?))
    }

    /// A buffer; `None` is null (length -1), which is distinct from empty.
    pub fn buffer(&mut self) -> Result<Option<&'a [u8]>> {
        let start = self.clone();
        let len = self.i32()?;
        if len == -1 {
            return Ok(None);
        }
        let Ok(len) = usize::try_from(len) else {
            return Err(start.error("buffer length"));
        };
        self.bytes(len, "buffer").map(Some)
    }

    /// A string; `None` is null. Malformed UTF-8 is replaced, as Java does.
    pub fn string(&mut self) -> Result<Option<Cow<'a, str>>> {
        Ok(self.buffer()?.map(|bytes| match std::str::from_utf8(bytes) {
            // Nearly always, and found out at a fraction of the cost.
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(bytes),
        }))
    }

    /// The element count of a vector; `None` is null. A count below -1 is an empty vector.
    ///
    /// The count is *not* trustworthy: callers push elements as they decode them and never reserve
    /// more than [`Reader::remaining`] justifies.
    pub fn count(&mut self) -> Result<Option<usize>> {
        let n = self.i32()?;
        Ok(if n == -1 { None } else { Some(usize::try_from(n).unwrap_or(0)) })
    }

    /// A vector of `T`; `None` is null.
    pub fn vector<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Option<Vec<T>>> {
        let Some(n) = self.count()? else { return Ok(None) };
        // No element is shorter than one byte.
        let mut out = Vec::with_capacity(n.min(self.remaining()).min(1024));
        for _ in 0..n {
            out.push(element(self)?);
        }
        Ok(Some(out))
    }

    /// A vector of strings; `None` is null.
    pub fn strings(&mut self) -> Result<Option<Vec<Option<Cow<'a, str>>>>> {
        self.vector(Self::string)
    }
}

/// Appends jute primitives to a byte vector.
pub trait JuteWrite {
    /// Raw bytes.
    fn put(&mut self, bytes: &[u8]);

    /// One byte.
    fn put_byte(&mut self, v: u8) {
        self.put(&[v]);
    }
    /// A boolean.
    fn put_bool(&mut self, v: bool) {
        self.put(&[u8::from(v)]);
    }
    /// A 32-bit integer.
    fn put_i32(&mut self, v: i32) {
        self.put(&v.to_be_bytes());
    }
    /// A 64-bit integer.
    fn put_i64(&mut self, v: i64) {
        self.put(&v.to_be_bytes());
    }
    /// A length or count. Lengths beyond `i32::MAX` cannot occur: frames are far smaller.
    fn put_len(&mut self, n: usize) {
        self.put_i32(i32::try_from(n).unwrap_or(i32::MAX));
    }
    /// A buffer; `None` is null.
    fn put_buffer(&mut self, v: Option<&[u8]>) {
        match v {
            Some(v) => {
                self.put_len(v.len());
                self.put(v);
            }
            None => self.put_i32(-1),
        }
    }
    /// A string; `None` is null.
    fn put_string(&mut self, v: Option<&str>) {
        self.put_buffer(v.map(str::as_bytes));
    }
    /// A string that is not null.
    fn put_str(&mut self, v: &str) {
        self.put_buffer(Some(v.as_bytes()));
    }
}

impl JuteWrite for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_are_distinct() {
        let mut out = Vec::new();
        out.put_buffer(None);
        out.put_buffer(Some(b""));
        let mut r = Reader::new(&out);
        assert_eq!(r.buffer(), Ok(None));
        assert_eq!(r.buffer(), Ok(Some(&b""[..])));
        assert_eq!(r.remaining(), 0);
    }

    #[test]
    fn lying_lengths_are_errors() {
        for len in [-2i32, 5, i32::MAX, i32::MIN] {
            let mut out = Vec::new();
            out.put_i32(len);
            out.put(b"abcd");
            assert!(Reader::new(&out).buffer().is_err(), "length {len}");
        }
    }

    #[test]
    fn lying_counts_do_not_allocate() {
        let mut out = Vec::new();
        out.put_i32(i32::MAX);
        assert!(Reader::new(&out).vector(Reader::i64).is_err());
        out.clear();
        out.put_i32(-7);
        assert_eq!(Reader::new(&out).vector(Reader::i64), Ok(Some(vec![])));
    }

    #[test]
    fn malformed_utf8_is_replaced() {
        let mut out = Vec::new();
        out.put_buffer(Some(&[b'/', 0xff]));
        assert_eq!(Reader::new(&out).string().unwrap().unwrap(), "/\u{fffd}");
    }
}
