//! Fuzz targets: one file under `targets/` per decoder, and three that feed sequences to the real cores
//! without I/O (a replica, a member of an ensemble, a client's session).
//!
//! Each target must hold for *every* input: no panic, no hang, memory bounded by the input and a named
//! base (lying lengths), and what the file says beside that, usually that what was decoded is encoded
//! and decoded again to the same value and that bytes behind a record do not change it.
//!
//! `cargo test` replays `corpus/<target>.txt` and the seeds; `scripts/fuzz` searches for more with
//! libFuzzer's coverage guidance. See docs/fuzzing.md.

pub mod corpus;
mod input;
mod memory;
mod targets;

pub use memory::check;
pub use targets::TARGETS;

/// One thing to fuzz.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, that of its file and of its corpus.
    pub name: &'static str,
    /// Panics if something does not hold for this input.
    pub run: fn(&[u8]),
    /// Inputs from which the search begins.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Bytes that a run may hold at once beside a multiple of its input.
    pub base_bytes: usize,
}

impl Target {
    /// The target of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }
}
