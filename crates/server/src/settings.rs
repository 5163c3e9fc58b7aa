//! From the checked configuration to what each part wants to know.

use rookeeper_replica::ReplicaConfig;
use rookeeper_replica::auth::AuthConfig;
use rookeeper_replica::prep::PrepConfig;
use rookeeper_storage::{Compression, TxnLogOptions};
use rookeeper_tree::TreeOptions;

use crate::config::Config;
use crate::config::areas::auth::DigestAlgorithm;
use crate::config::areas::storage::SnapshotCompression;

fn unsigned<T: TryInto<u64>>(value: T) -> u64 {
    value.try_into().unwrap_or(0)
}

/// The replica's settings.
pub(crate) fn replica(config: &Config) -> ReplicaConfig {
    let (sessions, limits, storage) = (&config.sessions, &config.limits, &config.storage);
    ReplicaConfig {
        server_id: 1,
        tick_time_ms: unsigned(sessions.tick_time_ms).max(1),
        min_session_timeout_ms: sessions.min_session_timeout_ms,
        max_session_timeout_ms: sessions.max_session_timeout_ms,
        max_client_cnxns: u32::try_from(limits.max_client_cnxns).unwrap_or(0),
        max_cnxns: u32::try_from(limits.max_cnxns).unwrap_or(0),
        global_outstanding_limit: usize::try_from(limits.global_outstanding_limit)
            .unwrap_or(1)
            .max(1),
        sessionless_timeout_ms: unsigned(config.client.sessionless_timeout_ms),
        snap_count: unsigned(storage.snap_count),
        snap_size_limit_bytes: storage.snap_size_limit_kb.map(|kb| unsigned(kb) * 1024),
        container_check_interval_ms: unsigned(storage.container_check_interval_ms).max(1),
        container_max_per_minute: unsigned(storage.container_max_per_minute),
        container_max_never_used_ms: storage.container_max_never_used_interval_ms,
        ..ReplicaConfig::default()
    }
}

/// The settings of preparation.
pub(crate) fn prep(config: &Config, hash_seed: u64) -> PrepConfig {
    let limits = &config.limits;
    let record = i64::from(limits.jute_max_buffer_bytes)
        .saturating_add(i64::from(limits.jute_max_buffer_extra_bytes));
    PrepConfig {
        enforce_quota: config.auth.enforce_quota,
        extended_types: config.storage.extended_types_enabled,
        emulate_353_ttl: config.storage.emulate_353_ttl_nodes,
        close_session_txn: config.storage.close_session_txn_enabled,
        digest: config.storage.digest_enabled,
        reconfig: config.quorum.reconfig_enabled,
        standalone: true,
        record_max_bytes: usize::try_from(record).unwrap_or(usize::MAX),
        hash_seed,
    }
}

/// The settings of authentication.
pub(crate) fn auth(config: &Config) -> AuthConfig {
    let auth = &config.auth;
    AuthConfig {
        skip_acl: auth.skip_acl,
        digest_enabled: auth.digest_enabled,
        digest_algorithm: jca_name(auth.digest_algorithm).to_owned(),
        super_digest: auth.super_digest.clone(),
        ensemble_auth_name: (!auth.ensemble_auth_names.is_empty())
            .then(|| auth.ensemble_auth_names.join(",")),
        providers: auth.providers.values().cloned().collect(),
        enforce_auth: auth.enforce_auth.then(|| auth.enforced_schemes.clone()),
        ..AuthConfig::default()
    }
}

/// Java's name of a hash.
fn jca_name(algorithm: DigestAlgorithm) -> &'static str {
    match algorithm {
        DigestAlgorithm::Sha1 => "SHA1",
        DigestAlgorithm::Sha224 => "SHA-224",
        DigestAlgorithm::Sha256 => "SHA-256",
        DigestAlgorithm::Sha384 => "SHA-384",
        DigestAlgorithm::Sha512 => "SHA-512",
        DigestAlgorithm::Sha512_224 => "SHA-512/224",
        DigestAlgorithm::Sha512_256 => "SHA-512/256",
        DigestAlgorithm::Sha3_224 => "SHA3-224",
        DigestAlgorithm::Sha3_256 => "SHA3-256",
        DigestAlgorithm::Sha3_384 => "SHA3-384",
        DigestAlgorithm::Sha3_512 => "SHA3-512",
    }
}

/// The tree's settings.
pub(crate) fn tree(config: &Config, hash_seed: u64) -> TreeOptions {
    TreeOptions {
        extended_types: config.storage.extended_types_enabled,
        emulate_353_ttl: config.storage.emulate_353_ttl_nodes,
        digest_enabled: config.storage.digest_enabled,
        hash_seed,
    }
}

/// The log's settings.
pub(crate) fn txn_log(config: &Config) -> TxnLogOptions {
    let storage = &config.storage;
    TxnLogOptions {
        pre_alloc_bytes: unsigned(storage.pre_alloc_size_kb) * 1024,
        force_sync: storage.force_sync,
        size_limit_bytes: storage.txn_log_size_limit_kb.map(|kb| unsigned(kb) * 1024),
        ..TxnLogOptions::default()
    }
}

/// The codec of snapshots.
pub(crate) fn compression(config: &Config) -> Compression {
    match config.storage.snapshot_compression {
        SnapshotCompression::None => Compression::None,
        SnapshotCompression::Gzip => Compression::Gzip,
        SnapshotCompression::Snappy => Compression::Snappy,
    }
}
