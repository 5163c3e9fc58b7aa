//! ZooKeeper's records: jute, ids, paths, ACLs, requests, replies, txns, quorum packets.
