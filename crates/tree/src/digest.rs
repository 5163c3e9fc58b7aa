//! Node digests (`storage-format.md` section 5, `client-protocol.md` 6.8).

use crc32fast::Hasher;
use rookeeper_proto::StatPersisted;

/// Nodes below this are not covered: each server may differ there.
const EXCLUDED: &[u8] = b"/zookeeper/";

/// Whether the digest covers nodes of this path.
pub fn is_digested(path: &str) -> bool {
    !path.as_bytes().starts_with(EXCLUDED)
}

/// A stat as digests cover it. The field order is not that of snapshots: pzxid comes third.
pub fn digest_image(stat: &StatPersisted) -> [u8; StatPersisted::ENCODED_BYTES] {
    let mut b = [0u8; StatPersisted::ENCODED_BYTES];
    b[0..8].copy_from_slice(&stat.czxid.0.to_be_bytes());
    b[8..16].copy_from_slice(&stat.mzxid.0.to_be_bytes());
    b[16..24].copy_from_slice(&stat.pzxid.0.to_be_bytes());
    b[24..32].copy_from_slice(&stat.ctime_ms.to_be_bytes());
    b[32..40].copy_from_slice(&stat.mtime_ms.to_be_bytes());
    b[40..44].copy_from_slice(&stat.version.to_be_bytes());
    b[44..48].copy_from_slice(&stat.cversion.to_be_bytes());
    b[48..52].copy_from_slice(&stat.aversion.to_be_bytes());
    b[52..60].copy_from_slice(&stat.ephemeral_owner.to_be_bytes());
    b
}

/// The digest of one node: CRC-32 of path, data and stat; 0 below `/zookeeper/`. `path` of the root
/// is `/` or empty. The tree's digest is the wrapping sum over all nodes.
pub fn node_digest(path: &str, data: Option<&[u8]>, stat: &StatPersisted) -> i64 {
    let path = if path == "/" { "" } else { path };
    match DigestBase::of(path.as_bytes(), data) {
        Some(base) => base.with(stat),
        None => 0,
    }
}

/// The digest of what precedes the stat: several stats of one node share it.
#[derive(Debug, Clone)]
pub(crate) struct DigestBase(Hasher);

impl DigestBase {
    /// `None` if the path is not covered. The root's path is empty.
    pub(crate) fn of(path: &[u8], data: Option<&[u8]>) -> Option<Self> {
        Some(Self::of_path(path)?.and_data(data))
    }

    /// The path alone.
    pub(crate) fn of_path(path: &[u8]) -> Option<Self> {
        if path.starts_with(EXCLUDED) {
            return None;
        }
        let mut hasher = Hasher::new();
        hasher.update(path);
        Some(Self(hasher))
    }

    /// Behind the path.
    pub(crate) fn and_data(&self, data: Option<&[u8]>) -> Self {
        let mut hasher = self.0.clone();
        hasher.update(data.unwrap_or_default());
        Self(hasher)
    }

    /// The whole.
    pub(crate) fn with(&self, stat: &StatPersisted) -> i64 {
        let mut hasher = self.0.clone();
        hasher.update(&digest_image(stat));
        i64::from(hasher.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of `storage-format.md` section 5, taken from a running server. The order of the
    /// fields is shown by `tests/apache_log.rs`.
    #[test]
    fn golden() {
        let zero = StatPersisted::default();
        assert_eq!(node_digest("", Some(b""), &zero), 0x0412_8908);
        assert_eq!(node_digest("/", None, &zero), 0x0412_8908);
        assert_eq!(node_digest("/zookeeper", Some(b""), &zero), 0x4DB4_4D58);
        assert_eq!(node_digest("/zookeeper/quota", Some(b"x"), &zero), 0);
    }
}
