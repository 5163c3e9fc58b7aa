//! Opening the data directory, with an ear on every replayed record.

use rookeeper_proto::Zxid;
use rookeeper_replica::durable::{Found, Recovered, Recovery};
use rookeeper_storage::{DataDirs, Disk};

/// Records replayed, with their bytes.
pub(crate) type Replayed = Vec<(Zxid, Vec<u8>)>;

/// Recovers.
pub(crate) fn boot(
    disk: &dyn Disk,
    dirs: &DataDirs,
    recovery: &Recovery,
) -> Result<(Recovered, Replayed), String> {
    let mut replayed = Vec::new();
    let recovered = recovery.recover(disk, dirs, &mut |found| match found {
        Found::Snapshot => replayed.clear(),
        Found::Record(zxid, bytes) => replayed.push((zxid, bytes.to_vec())),
    })?;
    Ok((recovered, replayed))
}
