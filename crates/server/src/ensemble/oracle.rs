//! The oracle's file (`oraclePath`): something outside the ensemble writes `1` into it for the one of two
//! servers that may go on alone.
//!
//! It is read again every quarter of a second; Java reads it whenever it would ask. What it means is told
//! in `zab::quorum::oracle`.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rookeeper_zab::quorum::oracle::Oracle;

const INTERVAL: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Debug)]
pub(super) struct OracleFile {
    path: PathBuf,
    due: Instant,
}

impl OracleFile {
    pub(super) fn new(path: PathBuf, now: Instant) -> Self {
        Self { path, due: now }
    }

    /// When it is to be read again.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// What it says, if it is time to look.
    pub(super) fn look(&mut self, now: Instant) -> Option<Oracle> {
        if now < self.due {
            return None;
        }
        self.due = now + INTERVAL;
        let mut first = [0];
        let read = File::open(&self.path).and_then(|mut file| file.read_exact(&mut first));
        // A file that cannot be read grants nothing.
        Some(if read.is_ok() && first == *b"1" { Oracle::Grants } else { Oracle::Denies })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_that_begins_with_1_grants() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("oracle");
        let mut now = Instant::now();
        let mut file = OracleFile::new(path.clone(), now);
        assert_eq!(file.look(now), Some(Oracle::Denies));
        assert_eq!(file.look(now), None, "not again so soon");
        for (text, expected) in [
            ("1", Oracle::Grants),
            ("0", Oracle::Denies),
            ("", Oracle::Denies),
            ("10\n", Oracle::Grants),
            (" 1", Oracle::Denies),
        ] {
            std::fs::write(&path, text).unwrap();
            now = file.due();
            assert_eq!(file.look(now), Some(expected), "{text:?}");
        }
    }
}
