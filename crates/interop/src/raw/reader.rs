//! Reading a reply field by field, with each field's place, so that it can be overwritten.

/// Bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// A cursor over one payload.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The offset of the next byte.
    pub fn at(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Takes `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..count));
        let taken = taken.ok_or_else(|| {
            Malformed(format!("{count} bytes wanted at offset {}, {} left", self.at, self.left()))
        })?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        Ok(self.take(N)?.try_into().expect("exactly N bytes were taken"))
    }

    /// An int.
    pub fn int(&mut self) -> Result<i32, Malformed> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// A long.
    pub fn long(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// A boolean.
    pub fn bool(&mut self) -> Result<bool, Malformed> {
        match self.take(1)? {
            [0] => Ok(false),
            [1] => Ok(true),
            other => Err(Malformed(format!("a boolean of {other:02x?} at {}", self.at - 1))),
        }
    }

    /// A buffer, `None` when null.
    pub fn buffer(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match self.int()? {
            -1 => Ok(None),
            length => match usize::try_from(length) {
                Ok(length) => self.take(length).map(Some),
                Err(_) => Err(Malformed(format!("a length of {length} at {}", self.at - 4))),
            },
        }
    }

    /// A string that is not null.
    pub fn str(&mut self) -> Result<&'a str, Malformed> {
        let bytes = self.buffer()?.ok_or_else(|| Malformed("a null string".to_owned()))?;
        std::str::from_utf8(bytes).map_err(|error| Malformed(error.to_string()))
    }

    /// The count of a vector, `None` when null.
    pub fn count(&mut self) -> Result<Option<usize>, Malformed> {
        match self.int()? {
            -1 => Ok(None),
            count => usize::try_from(count)
                .map(Some)
                .map_err(|_| Malformed(format!("a count of {count} at {}", self.at - 4))),
        }
    }

    /// Fails unless everything has been read.
    pub fn end(&self) -> Result<(), Malformed> {
        match self.left() {
            0 => Ok(()),
            left => Err(Malformed(format!("{left} bytes too many after offset {}", self.at))),
        }
    }
}
