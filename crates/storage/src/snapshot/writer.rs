//! skeleton
use crate::disk::Disk;
use crate::error::Result;
use rookeeper_proto::Zxid;
use rookeeper_proto::txn::TxnDigest;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

/// Writes one snapshot under a temporary name and renames it when it is durable.
#[derive(Debug)]
pub struct SnapshotWriter {
    path: PathBuf,
}

impl SnapshotWriter {
    /// Begins the snapshot of `zxid`; `None` if a verified one exists already.
    pub fn create(
        disk: Arc<dyn Disk>,
        dir: &Path,
        zxid: Zxid,
        compression: Compression,
    ) -> Result<Option<Self>> {
        let _ = (disk, dir, zxid, compression);
        unimplemented!()
    }
    /// Takes bytes of the body (see `body::put_*`), terminator included at the end.
    pub fn write(&mut self, chunk: &[u8]) -> Result<()> {
        let _ = chunk;
        unimplemented!()
    }
    /// Writes seals, digest and lastZxid, forces and renames. Returns the file's path.
    pub fn finish(self, digest: TxnDigest) -> Result<PathBuf> {
        let _ = digest;
        let _ = self.path;
        unimplemented!()
    }
    /// Gives up and removes the temporary file.
    pub fn abort(self) {
        unimplemented!()
    }
}
