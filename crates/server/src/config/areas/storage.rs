//! Directories, log, snapshots, purge.

use std::path::PathBuf;

use crate::config::error::ConfigError;
use crate::config::reader::Reader;

/// The codec of snapshots to be written; all are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SnapshotCompression {
    /// Plain.
    #[default]
    None,
    /// `gz`.
    Gzip,
    /// `snappy`.
    Snappy,
}

/// Everything about the disk.
#[derive(Clone, Debug, PartialEq)]
pub struct StorageConfig {
    /// Snapshots and myid.
    pub data_dir: PathBuf,
    /// Transaction logs; equal to `data_dir` when not given.
    pub data_log_dir: PathBuf,
    /// Create missing directories.
    pub data_dir_autocreate: bool,
    /// An empty directory may vote.
    pub db_autocreate: bool,
    /// Step by which the log file grows.
    pub pre_alloc_size_kb: i64,
    /// Transactions between snapshots, at least 2; randomised by the snapshotter.
    pub snap_count: i32,
    /// Logged volume between snapshots; `None` is off.
    pub snap_size_limit_kb: Option<i64>,
    /// Roll the log at this size; `None` is off.
    pub txn_log_size_limit_kb: Option<i64>,
    /// Force the log before acknowledging.
    pub force_sync: bool,
    /// Warn about a slower force.
    pub fsync_warning_threshold_ms: i64,
    /// Force snapshots.
    pub force_snapshot_sync: bool,
    /// The codec of snapshots.
    pub snapshot_compression: SnapshotCompression,
    /// Start with logs but no snapshot.
    pub trust_empty_snapshot: bool,
    /// The tree digest.
    pub digest_enabled: bool,
    /// A zxid record at the end of a snapshot.
    pub serialize_last_processed_zxid: bool,
    /// TTL znodes.
    pub extended_types_enabled: bool,
    /// Read the TTL encoding of 3.5.3.
    pub emulate_353_ttl_nodes: bool,
    /// closeSession txns list the ephemerals.
    pub close_session_txn_enabled: bool,
    /// Period of the container and TTL sweep.
    pub container_check_interval_ms: i64,
    /// Pace of its deletions.
    pub container_max_per_minute: i32,
    /// Remove containers that never had a child after this time; 0 is never.
    pub container_max_never_used_interval_ms: i64,
    /// Purging.
    pub autopurge: Autopurge,
}

/// Removal of old snapshots and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Autopurge {
    /// Snapshots kept, at least 3.
    pub snap_retain_count: i32,
    /// Hours between purges; 0 or less is never.
    pub purge_interval_hours: i32,
    /// Whether the user's configuration named the interval, be it 0.
    pub interval_is_explicit: bool,
}

const MIN_SNAP_RETAIN_COUNT: i32 = 3;

impl StorageConfig {
    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let (data_dir, data_log_dir) = directories(reader)?;
        let (extended_types_enabled, emulate_353_ttl_nodes) =
            (reader.bool("extendedTypesEnabled")?, reader.bool("emulate353TTLNodes")?);
        Ok(Self {
            data_dir,
            data_log_dir,
            data_dir_autocreate: reader.bool("datadir.autocreate")?,
            db_autocreate: reader.bool("db.autocreate")?,
            pre_alloc_size_kb: pre_alloc_size(reader)?,
            snap_count: snap_count(reader)?,
            snap_size_limit_kb: positive(reader.i64("snapSizeLimitInKb")?),
            txn_log_size_limit_kb: positive(reader.i64("txnLogSizeLimitInKb")?),
            force_sync: force_sync(reader),
            fsync_warning_threshold_ms: reader.i64("fsync.warningthresholdms")?,
            force_snapshot_sync: reader.bool("forceSnapshotSync")?,
            snapshot_compression: compression(reader),
            trust_empty_snapshot: reader.bool("snapshot.trust.empty")?,
            digest_enabled: reader.bool("digest.enabled")?,
            serialize_last_processed_zxid: reader.bool("serializeLastProcessedZxid.enabled")?,
            extended_types_enabled,
            emulate_353_ttl_nodes,
            close_session_txn_enabled: reader.bool("closeSessionTxn.enabled")?,
            container_check_interval_ms: reader.i64("znode.container.checkIntervalMs")?,
            container_max_per_minute: reader.i32("znode.container.maxPerMinute")?,
            container_max_never_used_interval_ms: reader
                .i64("znode.container.maxNeverUsedIntervalMs")?,
            autopurge: Autopurge::read(reader)?,
        })
    }
}

fn directories(reader: &mut Reader<'_>) -> Result<(PathBuf, PathBuf), ConfigError> {
    let data_dir = reader.optional_path("dataDir");
    let data_log_dir = reader.optional_path("dataLogDir");
    let data_dir = data_dir.ok_or_else(|| {
        ConfigError::config("dataDir is not set")
            .remedy("add dataDir=/path where snapshots, logs and the myid file shall live")
    })?;
    let data_log_dir = data_log_dir.unwrap_or_else(|| data_dir.clone());
    Ok((data_dir, data_log_dir))
}

fn positive(value: i64) -> Option<i64> {
    Some(value).filter(|&value| value > 0)
}

fn pre_alloc_size(reader: &mut Reader<'_>) -> Result<i64, ConfigError> {
    let size = reader.i64("preAllocSize")?;
    if size < 0 {
        reader.corrected("preAllocSize", "preAllocSize cannot be negative; growing as needed");
    }
    Ok(size.max(0))
}

fn snap_count(reader: &mut Reader<'_>) -> Result<i32, ConfigError> {
    let count = reader.i32("snapCount")?;
    if count < 2 {
        reader
            .corrected("snapCount", "SnapCount should be 2 or more. Now, snapCount is reset to 2");
    }
    Ok(count.max(2))
}

fn force_sync(reader: &mut Reader<'_>) -> bool {
    let force = reader.yes_no("forceSync");
    if !force {
        reader.corrected(
            "forceSync",
            "forceSync=no: writes are acknowledged before they are on disk and may be lost",
        );
    }
    force
}

fn compression(reader: &mut Reader<'_>) -> SnapshotCompression {
    match reader.text("snapshot.compression.method").as_str() {
        "" => SnapshotCompression::None,
        "gz" => SnapshotCompression::Gzip,
        "snappy" => SnapshotCompression::Snappy,
        other => {
            let text = format!(
                "snapshot.compression.method={other} is neither gz nor snappy; writing plain snapshots"
            );
            reader.corrected("snapshot.compression.method", text);
            SnapshotCompression::None
        }
    }
}

impl Autopurge {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let count = reader.i32("autopurge.snapRetainCount")?;
        if count < MIN_SNAP_RETAIN_COUNT {
            let text = format!("Invalid autopurge.snapRetainCount: {count}. Defaulting to 3");
            reader.corrected("autopurge.snapRetainCount", text);
        }
        Ok(Self {
            snap_retain_count: count.max(MIN_SNAP_RETAIN_COUNT),
            purge_interval_hours: reader.i32("autopurge.purgeInterval")?,
            interval_is_explicit: reader.setting("autopurge.purgeInterval").is_some(),
        })
    }
}
