//! Writes a snapshot: under a temporary name, forced, renamed, directory forced (S11).
//!
//! Guarantees: a snapshot's name is only ever seen with its whole contents; an existing good one is
//! never touched. Both trailers are always written (S13). The checksum runs over all uncompressed
//! bytes and is never reset (S14). Source: `storage-format.md` 3.1, 3.2, 3.6.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rookeeper_proto::txn::{DIGEST_VERSION, TxnDigest};
use rookeeper_proto::{JuteWrite, Zxid};

use super::codec::{Compression, Encoder};
use super::{SnapshotMeta, body, verify_snapshot};
use crate::atomic;
use crate::checksum::Checksum;
use crate::disk::{Disk, remove_if_there};
use crate::error::{Error, Result};
use crate::names::{snapshot_files, snapshot_name};

/// magic, version 2, dbid -1.
pub(crate) const HEADER: [u8; 16] = *b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff";

/// What an unfinished snapshot's name begins with: not `snapshot`, so that Java does not read it.
pub(crate) const TEMPORARY_PREFIX: &str = "rookeeper-snapshot.";

/// Writes one snapshot under a temporary name and renames it when it is durable.
#[derive(Debug)]
pub struct SnapshotWriter {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    path: PathBuf,
    temporary: PathBuf,
    zxid: Zxid,
    out: Encoder,
    checksum: Checksum,
}

impl SnapshotWriter {
    /// Begins the snapshot of `zxid`: every txn up to it will be contained and none beyond. `None`
    /// if there is one already (which is verified by reading all of it).
    pub fn create(
        disk: Arc<dyn Disk>,
        dir: &Path,
        zxid: Zxid,
        compression: Compression,
    ) -> Result<Option<Self>> {
        let existing = snapshot_files(&*disk, dir)?;
        for found in existing.iter().filter(|found| found.zxid == zxid) {
            if verify_snapshot(&*disk, &found.path).is_ok() {
                return Ok(None);
            }
        }
        let temporary = dir.join(format!("{TEMPORARY_PREFIX}{:x}.tmp", zxid.0));
        // A file of its own: one that was given up may still be open, and its encoder has more to write.
        remove_if_there(&*disk, &temporary).map_err(Error::io("remove", &temporary))?;
        let file = disk.create(&temporary).map_err(Error::io("create", &temporary))?;
        let out = Encoder::new(file, compression).map_err(Error::io("write", &temporary))?;
        let path = dir.join(snapshot_name(zxid, compression.suffix()));
        let checksum = Checksum::default();
        let dir = dir.to_owned();
        let mut writer = Self { disk, dir, path, temporary, zxid, out, checksum };
        writer.write(&HEADER)?;
        Ok(Some(writer))
    }

    /// The txn it is of.
    pub fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// Takes bytes of the body (see [`body`]), at the end its terminator.
    pub fn write(&mut self, chunk: &[u8]) -> Result<()> {
        self.checksum.write(chunk);
        self.out.write_all(chunk).map_err(Error::io("write", &self.temporary))
    }

    /// Writes the trailers, forces, renames. `digest` is the tree's after the snapshot's zxid.
    pub fn finish(self, digest: TxnDigest) -> Result<SnapshotMeta> {
        self.complete(digest)?.publish()
    }

    /// Writes the trailers and forces; the snapshot has not its name yet.
    pub fn complete(mut self, digest: TxnDigest) -> Result<CompleteSnapshot> {
        let trailers = trailers(&mut self.checksum, self.zxid, digest);
        self.out.write_all(&trailers).map_err(Error::io("write", &self.temporary))?;
        self.out.finish().map_err(Error::io("force", &self.temporary))?;
        let meta = SnapshotMeta {
            path: self.path,
            zxid: self.zxid,
            digest: Some((self.zxid, digest)),
            last_zxid: Some(self.zxid),
        };
        Ok(CompleteSnapshot { disk: self.disk, dir: self.dir, temporary: self.temporary, meta })
    }

    /// Gives up and removes the temporary file; if even that fails, the next start does it.
    pub fn abort(self) {
        drop(self.out);
        let _ = self.disk.remove(&self.temporary);
    }
}

/// A snapshot that is durable under its temporary name.
#[derive(Debug)]
pub struct CompleteSnapshot {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    temporary: PathBuf,
    meta: SnapshotMeta,
}

impl CompleteSnapshot {
    /// Gives it its name, durably.
    pub fn publish(self) -> Result<SnapshotMeta> {
        let renamed = self.disk.rename(&self.temporary, &self.meta.path);
        renamed.map_err(Error::io("rename", &self.temporary))?;
        self.disk.sync_dir(&self.dir).map_err(Error::io("force", &self.dir))?;
        Ok(self.meta)
    }
}

/// What follows the body: seal, digest, seal, zxid, seal.
fn trailers(checksum: &mut Checksum, zxid: Zxid, digest: TxnDigest) -> Vec<u8> {
    let mut out = Vec::new();
    let mut seal = |out: &mut Vec<u8>, covered: usize| {
        checksum.write(&out[covered..]);
        let sealed = out.len();
        out.put_i64(checksum.value());
        out.put_str("/");
        sealed
    };
    let sealed = seal(&mut out, 0);
    out.put_i64(zxid.0);
    digest.write(&mut out);
    let sealed = seal(&mut out, sealed);
    out.put_i64(zxid.0);
    seal(&mut out, sealed);
    out
}

/// A whole plain snapshot in memory.
pub(crate) fn encode(zxid: Zxid, body: &[u8], digest: TxnDigest) -> Vec<u8> {
    let mut out = HEADER.to_vec();
    out.extend_from_slice(body);
    let mut checksum = Checksum::default();
    checksum.write(&out);
    let trailers = trailers(&mut checksum, zxid, digest);
    out.extend_from_slice(&trailers);
    out
}

/// The snapshot every data directory begins with (S29). As in Java's, the digest is 0.
pub(crate) fn fresh() -> Vec<u8> {
    let digest = TxnDigest { version: DIGEST_VERSION, digest: 0 };
    encode(Zxid::ZERO, &body::fresh_body(), digest)
}

/// Writes it.
pub(crate) fn write_fresh(disk: &dyn Disk, dir: &Path) -> Result<()> {
    let temporary = format!("{TEMPORARY_PREFIX}0.tmp");
    atomic::replace(disk, dir, &snapshot_name(Zxid::ZERO, ""), &temporary, &fresh())
}
