//! Node digests (`storage-format.md` section 5, `client-protocol.md` 6.8).

use crc32fast::Hasher;
use rookeeper_proto::StatPersisted;

/// Nodes below this are not covered: each server may differ there.
const EXCLUDED: &[u8] = b"/zookeeper/";

/// Whether the digest covers nodes of this path.
pub fn is_digested(path: &str) -> bool {
    is_covered(path.as_bytes())
}

pub(crate) fn is_covered(path: &[u8]) -> bool {
    !path.starts_with(EXCLUDED)
}

/// A stat as digests cover it. The field order is not that of snapshots: pzxid comes third.
fn digest_image(stat: &StatPersisted) -> [u8; StatPersisted::ENCODED_BYTES] {
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
    if is_digested(path) {
        digest_of(&[path.as_bytes(), data.unwrap_or_default()], stat)
    } else {
        0
    }
}

/// What is shorter is hashed in one piece: each further piece costs as much as 64 bytes do.
const ONE_PIECE_BYTES: usize = 256;

/// The digest of a covered node: `parts` are its path and its data.
pub(crate) fn digest_of(parts: &[&[u8]], stat: &StatPersisted) -> i64 {
    let mut hasher = Hasher::new();
    let image = digest_image(stat);
    let before: usize = parts.iter().map(|part| part.len()).sum();
    let mut piece = [0; ONE_PIECE_BYTES];
    if let Some(piece) = piece.get_mut(..before + image.len()) {
        let mut at = 0;
        for part in parts.iter().copied().chain([&image[..]]) {
            piece[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        hasher.update(piece);
    } else {
        parts.iter().for_each(|part| hasher.update(part));
        hasher.update(&image);
    }
    i64::from(hasher.finalize())
}

/// The digest of a covered node whose path and data stayed and whose stat went from `before` to
/// `after`, when it was `digest`.
///
/// CRC is linear: the new value is the old one xor the CRC (without its initial and final inversion) of
/// the xor of both stats. So a parent's data is never hashed again because a child came or went.
pub fn with_stat_changed(digest: i64, before: &StatPersisted, after: &StatPersisted) -> i64 {
    let (before, mut difference) = (digest_image(before), digest_image(after));
    difference.iter_mut().zip(before).for_each(|(new, old)| *new ^= old);
    let mut crc = Hasher::new_with_initial(u32::MAX);
    crc.update(&difference);
    digest ^ i64::from(!crc.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rookeeper_proto::Zxid;

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

    fn stat() -> impl Strategy<Value = StatPersisted> {
        let longs = prop::array::uniform6(any::<i64>());
        (longs, prop::array::uniform3(any::<i32>())).prop_map(|(l, i)| StatPersisted {
            czxid: Zxid(l[0]),
            mzxid: Zxid(l[1]),
            ctime_ms: l[2],
            mtime_ms: l[3],
            version: i[0],
            cversion: i[1],
            aversion: i[2],
            ephemeral_owner: l[4],
            pzxid: Zxid(l[5]),
        })
    }

    proptest! {
        #[test]
        fn equals_hashing_everything_again(
            before in stat(),
            after in stat(),
            keep in any::<bool>(),
            data in prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
        ) {
            let after = if keep { StatPersisted { pzxid: after.pzxid, ..before } } else { after };
            let data = data.as_deref();
            let patched = with_stat_changed(node_digest("/a", data, &before), &before, &after);
            prop_assert_eq!(patched, node_digest("/a", data, &after));
        }

        /// In one piece or in several, around the length where that changes.
        #[test]
        fn pieces_do_not_matter(
            stat in stat(),
            data in prop::collection::vec(any::<u8>(), 0..2 * ONE_PIECE_BYTES),
        ) {
            let mut whole = Hasher::new();
            whole.update(b"/a");
            whole.update(&data);
            whole.update(&digest_image(&stat));
            let expected = i64::from(whole.finalize());
            prop_assert_eq!(node_digest("/a", Some(&data), &stat), expected);
            let blob = [b"/a", data.as_slice()].concat();
            prop_assert_eq!(digest_of(&[&blob], &stat), expected);
        }
    }
}
