//! The running Adler-32 of a snapshot.

use std::fmt;

use simd_adler32::Adler32;

/// Adler-32 over everything written so far; never reset (S14).
#[derive(Clone, Default)]
pub(crate) struct Checksum(Adler32);

impl Checksum {
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// As the formats store it: in 64 bits.
    pub(crate) fn value(&self) -> i64 {
        i64::from(self.0.finish())
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.value())
    }
}
