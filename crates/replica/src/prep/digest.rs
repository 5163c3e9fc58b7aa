//! The tree's digest, kept up to date change by change (`storage-format.md` section 5).
//!
//! A node's digest is a CRC-32 over path, data and stat. CRC is linear: when only the stat changes,
//! the new value is the old one xor the CRC (without its initial and final inversion) of the xor of
//! both stats. So a parent's data is never hashed again because a child came or went.

use crc32fast::Hasher;
use rookeeper_proto::StatPersisted;
use rookeeper_tree::digest_image;

/// The digest of a node of a covered path whose data stayed and whose stat went from `before` to
/// `after`, when it was `digest`.
pub(super) fn with_stat_changed(digest: i64, before: &StatPersisted, after: &StatPersisted) -> i64 {
    let (before, mut difference) = (digest_image(before), digest_image(after));
    difference.iter_mut().zip(before).for_each(|(new, old)| *new ^= old);
    // Zeros in front do not matter to a CRC that starts at zero.
    let Some(first) = difference.iter().position(|&b| b != 0) else { return digest };
    let mut crc = Hasher::new_with_initial(u32::MAX);
    crc.update(&difference[first..]);
    digest ^ i64::from(!crc.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rookeeper_proto::Zxid;
    use rookeeper_tree::node_digest;

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
    }
}
