//! Cuts the bytes of a connection into frames. Memory is bounded by the largest frame accepted and
//! grows only with bytes that really arrived.

/// A frame's length is negative or too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadLength;

#[derive(Debug)]
pub(super) struct Frames {
    buf: Vec<u8>,
    at: usize,
    bytes_max: usize,
}

impl Frames {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { buf: Vec::new(), at: 0, bytes_max }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    pub(super) fn clear(&mut self) {
        self.buf.clear();
        self.at = 0;
    }

    /// The payload of the next complete frame.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, BadLength> {
        let rest = &self.buf[self.at..];
        let Some((len, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let len = usize::try_from(i32::from_be_bytes(*len)).map_err(|_| BadLength)?;
        if len > self.bytes_max {
            return Err(BadLength);
        }
        match rest.get(..len) {
            Some(payload) => {
                self.at += 4 + len;
                Ok(Some(payload))
            }
            None => Ok(None),
        }
    }

    /// Gives back the space of frames already taken.
    pub(super) fn compact(&mut self) {
        if self.at == self.buf.len() {
            self.buf.clear();
            self.buf.shrink_to(64 * 1024);
        } else {
            self.buf.drain(..self.at);
        }
        self.at = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_by_byte_and_bad_lengths() {
        let mut frames = Frames::new(4);
        for byte in [0, 0, 0, 2, b'o'] {
            frames.push(&[byte]);
            assert_eq!(frames.next(), Ok(None));
        }
        frames.push(b"k\0\0\0\0\0\0\0\x05");
        assert_eq!(frames.next(), Ok(Some(&b"ok"[..])));
        assert_eq!(frames.next(), Ok(Some(&b""[..])));
        frames.compact();
        assert_eq!(frames.next(), Err(BadLength));
        frames.clear();
        frames.push(&[0xff; 4]);
        assert_eq!(frames.next(), Err(BadLength));
    }
}
