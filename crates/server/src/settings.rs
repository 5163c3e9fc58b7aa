//! From the checked configuration to what each part wants to know.

use rookeeper_replica::auth::AuthConfig;
use rookeeper_replica::prep::PrepConfig;
use rookeeper_replica::throttle::{ConnectionTokensConfig, LargeRequestsConfig};
use rookeeper_replica::{LocalSessions, ReplicaConfig};
use rookeeper_storage::{Compression, TxnLogOptions};
use rookeeper_tree::TreeOptions;

use crate::config::Config;
use crate::config::areas::auth::DigestAlgorithm;
use crate::config::areas::limits::{ConnectionThrottle, LimitsConfig};
use crate::config::areas::storage::SnapshotCompression;
use crate::config::shape::Mode;

fn unsigned<T: TryInto<u64>>(value: T) -> u64 {
    value.try_into().unwrap_or(0)
}

/// The replica's settings.
pub(crate) fn replica(config: &Config) -> ReplicaConfig {
    let (sessions, limits, storage) = (&config.sessions, &config.limits, &config.storage);
    ReplicaConfig {
        // A standalone server's sessions are numbered as server 1's, also with a myid.
        server_id: match config.mode {
            Mode::Standalone => 1,
            Mode::Quorum { my_id, .. } => (my_id & 0xff) as u8,
        },
        tick_time_ms: unsigned(sessions.tick_time_ms).max(1),
        leader_serves: config.quorum.leader_serves,
        local_sessions: local_sessions(config),
        eager_acl_check: config.auth.eager_acl_check,
        read_only_after_ms: config
            .quorum
            .read_only_mode_enabled
            .then(|| unsigned(sessions.tick_time_ms).max(READ_ONLY_AFTER_MS_MIN)),
        quiet_elections: config.quorum.quiet_elections,
        voters_min: if config.quorum.standalone_enabled { 2 } else { 1 },
        min_session_timeout_ms: sessions.min_session_timeout_ms,
        max_session_timeout_ms: sessions.max_session_timeout_ms,
        max_client_cnxns: u32::try_from(limits.max_client_cnxns).unwrap_or(0),
        max_cnxns: u32::try_from(limits.max_cnxns).unwrap_or(0),
        global_outstanding_limit: outstanding_limit(limits),
        sessionless_timeout_ms: unsigned(config.client.sessionless_timeout_ms),
        snap_count: unsigned(storage.snap_count),
        snap_size_limit_bytes: storage.snap_size_limit_kb.map(|kb| unsigned(kb) * 1024),
        container_check_interval_ms: unsigned(storage.container_check_interval_ms).max(1),
        container_max_per_minute: unsigned(storage.container_max_per_minute),
        container_max_never_used_ms: storage.container_max_never_used_interval_ms,
        connection_tokens: connection_tokens(&limits.connections, local_sessions(config)),
        large_requests: LargeRequestsConfig {
            threshold_bytes: limits
                .large_requests
                .threshold_bytes
                .and_then(|bytes| usize::try_from(bytes).ok()),
            max_bytes: usize::try_from(limits.large_requests.max_bytes).unwrap_or(0),
        },
        ..ReplicaConfig::default()
    }
}

/// A member waits at least this long for a leader before it serves readers without one.
const READ_ONLY_AFTER_MS_MIN: u64 = 2000;

/// A standalone server has none: nobody else would have to be told of its sessions.
fn local_sessions(config: &Config) -> LocalSessions {
    let sessions = &config.sessions;
    if config.mode == Mode::Standalone || !sessions.local_sessions_enabled {
        LocalSessions::Off
    } else if sessions.local_sessions_upgrading_enabled {
        LocalSessions::Upgradable
    } else {
        LocalSessions::Lasting
    }
}

/// Requests in flight before sockets are no longer read. Java's request throttler has its own, lower
/// limit and a queue before it; here both are the same back-pressure.
fn outstanding_limit(limits: &LimitsConfig) -> usize {
    let limit = usize::try_from(limits.global_outstanding_limit).unwrap_or(1).max(1);
    match usize::try_from(limits.requests.max_requests) {
        Ok(0) | Err(_) => limit,
        Ok(throttle) => limit.min(throttle),
    }
}

/// With weights on, the bucket and its refill are counted in new global sessions.
fn connection_tokens(
    throttle: &ConnectionThrottle,
    local: LocalSessions,
) -> ConnectionTokensConfig {
    let count = |n: i32| u32::try_from(n).unwrap_or(0);
    let weights = throttle.weight_enabled;
    let (global, renew) =
        (count(throttle.global_session_weight), count(throttle.renew_session_weight));
    let unit = if weights { global } else { 1 };
    let new_weight = match local {
        LocalSessions::Lasting | LocalSessions::Upgradable if weights => {
            count(throttle.local_session_weight)
        }
        _ => unit,
    };
    ConnectionTokensConfig {
        tokens: count(throttle.tokens).saturating_mul(unit),
        fill_time_ms: unsigned(throttle.fill_time_ms).max(1),
        fill_count: count(throttle.fill_count).saturating_mul(unit),
        freeze_time_ms: u64::try_from(throttle.freeze_time_ms).ok(),
        drop_increase: throttle.drop_increase,
        drop_decrease: throttle.drop_decrease,
        decrease_ratio: throttle.decrease_ratio,
        new_weight,
        renew_weight: if weights { renew } else { 1 },
    }
}

/// The settings of preparation.
pub(crate) fn prep(config: &Config) -> PrepConfig {
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
        standalone: config.mode == Mode::Standalone,
        record_max_bytes: usize::try_from(record).unwrap_or(usize::MAX),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ensemble::Role;
    use crate::config::{self, Invocation};

    fn of(flags: &[&str]) -> ReplicaConfig {
        let args = flags.iter().copied().chain(["2181", "/nowhere"]).map(Into::into);
        let invocation = Invocation::parse(args).expect("arguments");
        replica(&config::load(&invocation, &config::RealFiles).expect("a configuration"))
    }

    #[test]
    fn throttles_are_off_by_default() {
        let defaults = ReplicaConfig::default();
        let ours = of(&[]);
        assert_eq!(ours.connection_tokens, defaults.connection_tokens);
        assert_eq!(ours.large_requests.threshold_bytes, None);
        assert_eq!(ours.global_outstanding_limit, 1000);
    }

    #[test]
    fn throttles_take_their_keys() {
        let ours = of(&[
            "-Dzookeeper.request_throttle_max_requests=7",
            "-Dzookeeper.largeRequestThreshold=100",
            "-Dzookeeper.largeRequestMaxBytes=5000",
            "-Dzookeeper.connection_throttle_tokens=10",
            "-Dzookeeper.connection_throttle_fill_time=50",
            "-Dzookeeper.connection_throttle_fill_count=2",
            "-Dzookeeper.connection_throttle_freeze_time=200",
            "-Dzookeeper.connection_throttle_weight_enabled=true",
        ]);
        assert_eq!(ours.global_outstanding_limit, 7);
        let large = LargeRequestsConfig { threshold_bytes: Some(100), max_bytes: 5000 };
        assert_eq!(ours.large_requests, large);
        let tokens = ours.connection_tokens;
        assert_eq!((tokens.tokens, tokens.fill_count, tokens.fill_time_ms), (30, 6, 50));
        assert_eq!((tokens.new_weight, tokens.renew_weight), (3, 2));
        assert_eq!(tokens.freeze_time_ms, Some(200));
    }

    #[test]
    fn only_members_of_an_ensemble_have_local_sessions() {
        let flags = ["-Dreadonlymode.enabled=true", "2181", "/nowhere"].map(Into::into);
        let invocation = Invocation::parse(flags).expect("arguments");
        let mut config = config::load(&invocation, &config::RealFiles).expect("a configuration");
        assert_eq!(replica(&config).read_only_after_ms, Some(3000));
        config.sessions.tick_time_ms = 1000;
        assert_eq!(replica(&config).read_only_after_ms, Some(READ_ONLY_AFTER_MS_MIN));
        config.sessions.local_sessions_enabled = true;
        config.limits.connections.weight_enabled = true;
        let alone = replica(&config);
        assert_eq!(alone.local_sessions, LocalSessions::Off);
        assert_eq!(alone.connection_tokens.new_weight, 3);
        config.mode = Mode::Quorum { my_id: 2, role: Role::Participant };
        assert_eq!(replica(&config).local_sessions, LocalSessions::Lasting);
        config.sessions.local_sessions_upgrading_enabled = true;
        let member = replica(&config);
        assert_eq!(member.local_sessions, LocalSessions::Upgradable);
        assert_eq!(member.connection_tokens.new_weight, 1);
    }
}
