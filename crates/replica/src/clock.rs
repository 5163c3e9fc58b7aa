//! Time as the core sees it: handed in once per turn, never read.

/// The present moment, read by the shell once per turn of its loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Microseconds of a clock that never goes back; the origin is arbitrary.
    pub mono_us: u64,
    /// Milliseconds since 1970. May jump: only stamps nodes, never measures.
    pub wall_ms: i64,
}

impl Now {
    /// Milliseconds of the clock that never goes back.
    pub fn mono_ms(self) -> u64 {
        self.mono_us / 1000
    }
}
