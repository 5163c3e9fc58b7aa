//! The znode tree: apply, read, watches, quotas, digest, exact snapshots; knows no disk and no network.
