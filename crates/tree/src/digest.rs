//! Node digests (`storage-format.md` section 5, `client-protocol.md` 6.8).

use rookeeper_proto::StatPersisted;

/// The digest of one node: CRC-32 of path, data and stat; 0 below `/zookeeper/`. `path` of the root
/// is `/` or empty. The tree's digest is the wrapping sum over all nodes.
pub fn node_digest(path: &str, data: Option<&[u8]>, stat: &StatPersisted) -> i64 {
    let _ = (path, data, stat);
    unimplemented!()
}
