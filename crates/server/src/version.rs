//! What this server says it is.
//!
//! Clients and monitors parse these lines (`operations.md` 2.3, kazoo's `server_version`), so they
//! name the ZooKeeper version whose behaviour is reproduced, in ZooKeeper's form.

/// The release that is reproduced.
pub const ZOOKEEPER_VERSION: &str = "3.9.5";

/// As `srvr`, `stat`, `envi` and `mntr` print it: `x.y.z-<40 hex digits>, built on <date>`.
pub const VERSION_LINE: &str =
    "3.9.5-0000000000000000000000000000000000000000, built on 2026-01-01 00:00 UTC";
