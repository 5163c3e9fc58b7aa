//! What a replica needs to know of the configuration: plain values, no files, no defaults hidden
//! elsewhere. The names of ZooKeeper's keys are in the field docs.

use crate::limits;
use crate::throttle::{ConnectionTokensConfig, LargeRequestsConfig};

/// Settings of one replica.
#[derive(Debug, Clone)]
pub struct ReplicaConfig {
    /// `myid`; 1 for a standalone server's session ids, as Apache's.
    pub server_id: u8,
    /// `tickTime`.
    pub tick_time_ms: u64,
    /// `leaderServes`: false = a leader takes no clients.
    pub leader_serves: bool,
    /// `localSessionsEnabled` and `localSessionsUpgradingEnabled`, of a member of an ensemble.
    pub local_sessions: LocalSessions,
    /// `readonlymode.enabled`: how long a member without a leader waits before it serves readers;
    /// `None` = it serves nobody.
    pub read_only_after_ms: Option<u64>,
    /// `quietElections`: a learner that loses its leader keeps the connections that wait for nothing.
    pub quiet_elections: bool,
    /// Voters a reconfig must leave: 2, or 1 with `standaloneEnabled=false`.
    pub voters_min: usize,
    /// `minSessionTimeout`, resolved.
    pub min_session_timeout_ms: i32,
    /// `maxSessionTimeout`, resolved.
    pub max_session_timeout_ms: i32,
    /// `maxClientCnxns`: connections per source address, 0 = no limit.
    pub max_client_cnxns: u32,
    /// `maxCnxns`: connections in all, 0 = no limit.
    pub max_cnxns: u32,
    /// `globalOutstandingLimit`: in-flight requests above which sockets are no longer read.
    pub global_outstanding_limit: usize,
    /// `nio.sessionlessCnxnTimeout`: a connection that has no session is closed after this.
    pub sessionless_timeout_ms: u64,
    /// `snapCount`.
    pub snap_count: u64,
    /// `snapSizeLimitInKb` in bytes; `None` = off.
    pub snap_size_limit_bytes: Option<u64>,
    /// `znode.container.checkIntervalMs`.
    pub container_check_interval_ms: u64,
    /// `znode.container.maxPerMinute`.
    pub container_max_per_minute: u64,
    /// `znode.container.maxNeverUsedIntervalMs`; 0 = never.
    pub container_max_never_used_ms: i64,
    /// `skipACL`.
    pub skip_acl: bool,
    /// `digest.enabled`.
    pub digest_enabled: bool,
    /// `enableEagerACLCheck`.
    pub eager_acl_check: bool,
    /// `enforceQuota`.
    pub enforce_quota: bool,
    /// `extendedTypesEnabled`.
    pub extended_types: bool,
    /// `closeSessionTxn.enabled`.
    pub close_session_txn: bool,
    /// `connection_throttle_*`: tokens for connects.
    pub connection_tokens: ConnectionTokensConfig,
    /// `largeRequestThreshold` and `largeRequestMaxBytes`.
    pub large_requests: LargeRequestsConfig,
    /// Pending reads of one session that wait behind its writes.
    pub pending_per_conn_max: usize,
}

/// Whether new sessions are known to this server alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalSessions {
    /// All sessions are replicated.
    Off,
    /// New sessions are local and stay so: they create no ephemerals.
    Lasting,
    /// New sessions are local until they create an ephemeral.
    Upgradable,
}

impl Default for ReplicaConfig {
    fn default() -> Self {
        Self {
            server_id: 1,
            tick_time_ms: 3000,
            leader_serves: true,
            local_sessions: LocalSessions::Off,
            read_only_after_ms: None,
            quiet_elections: true,
            voters_min: 2,
            min_session_timeout_ms: 6000,
            max_session_timeout_ms: 60_000,
            max_client_cnxns: 60,
            max_cnxns: 0,
            global_outstanding_limit: 1000,
            sessionless_timeout_ms: 10_000,
            snap_count: 100_000,
            snap_size_limit_bytes: Some(4_194_304 * 1024),
            container_check_interval_ms: 60_000,
            container_max_per_minute: 10_000,
            container_max_never_used_ms: 0,
            skip_acl: false,
            digest_enabled: true,
            eager_acl_check: false,
            enforce_quota: false,
            extended_types: false,
            close_session_txn: true,
            connection_tokens: ConnectionTokensConfig::default(),
            large_requests: LargeRequestsConfig::default(),
            pending_per_conn_max: limits::PENDING_PER_CONN_MAX,
        }
    }
}

impl ReplicaConfig {
    /// When a connection is closed that speaks for no session and was accepted at `accepted_ms`: at
    /// the end of its bucket, as Java's expiry queue of connections rounds up to the next whole
    /// multiple of the time-out.
    pub fn sessionless_deadline_ms(&self, accepted_ms: u64) -> u64 {
        let bucket_ms = self.sessionless_timeout_ms.max(1);
        ((accepted_ms + self.sessionless_timeout_ms) / bucket_ms + 1) * bucket_ms
    }
}
