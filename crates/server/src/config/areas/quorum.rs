//! What matters only among several servers.

use std::path::PathBuf;

use crate::config::ensemble::{Role, parse_role};
use crate::config::error::ConfigError;
use crate::config::reader::Reader;

/// Settings of the ensemble, besides its members.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "the switches are independent")]
pub struct QuorumConfig {
    /// Ticks to connect and sync with the leader.
    pub init_limit_ticks: Option<i32>,
    /// Ticks a follower may lag.
    pub sync_limit_ticks: Option<i32>,
    /// Ticks for the TCP connect to the leader; 0 is `init_limit_ticks`.
    pub connect_to_learner_master_limit_ticks: i32,
    /// What this server says it is.
    pub peer_type: Role,
    /// false: quorum code even with one participant.
    pub standalone_enabled: bool,
    /// Allow reconfig.
    pub reconfig_enabled: bool,
    /// The membership file.
    pub dynamic_config_file: Option<PathBuf>,
    /// Bind the quorum and election ports on the wildcard.
    pub listen_on_all_ips: bool,
    /// An observer writes log and snapshots.
    pub observer_sync_enabled: bool,
    /// Port where followers accept observers; 0 is off.
    pub observer_master_port: u16,
    /// Pause of an observer before reconnecting.
    pub observer_reconnect_delay_ms: i64,
    /// Longest pause of an observer before it looks for a leader again; none if the key is not set, because
    /// here an observer's votes cost next to nothing.
    pub observer_election_delay_ms: i64,
    /// The leader takes clients.
    pub leader_serves: bool,
    /// Snapshots sent at a time.
    pub leader_max_concurrent_snap_syncs: i32,
    /// Diffs sent at a time.
    pub leader_max_concurrent_diff_syncs: i32,
    /// Time to wait for a quorum of epochs; -1 is `init_limit_ticks`.
    pub leader_max_time_to_wait_for_epoch_ms: i32,
    /// Pause between connects to the leader.
    pub leader_connect_delay_ms: i32,
    /// `TCP_NODELAY` at the leader.
    pub leader_nodelay: bool,
    /// `TCP_NODELAY` at a follower.
    pub follower_nodelay: bool,
    /// Time for an election connect.
    pub cnx_timeout_ms: i32,
    /// Time for an election socket's set-up; -1 is `sync_limit_ticks`.
    pub quorum_cnxn_timeout_ms: i32,
    /// `SO_KEEPALIVE` on election sockets.
    pub tcp_keep_alive: bool,
    /// Attempts to bind; 0 is forever.
    pub election_port_bind_retry: i32,
    /// Shortest time between notifications.
    pub min_notification_interval_ms: i32,
    /// Longest.
    pub max_notification_interval_ms: i32,
    /// Proposals kept in memory for DIFF, at least 500.
    pub commit_log_count: i32,
    /// Share of a snapshot up to which the log serves a DIFF; negative is off.
    pub snapshot_size_factor: f64,
    /// A partitioned server serves readers.
    pub read_only_mode_enabled: bool,
    /// Connections that wait for nothing outlive their leader.
    pub quiet_elections: bool,
    /// Several addresses per server line.
    pub multi_address_enabled: bool,
    /// Probe before choosing an address.
    pub reachability_check_enabled: bool,
    /// Budget of that probe.
    pub reachability_check_timeout_ms: i32,
    /// Two-server oracle quorum.
    pub oracle_path: Option<PathBuf>,
}

const MIN_COMMIT_LOG_COUNT: i32 = 500;
const DEFAULT_SNAPSHOT_SIZE_FACTOR: f64 = 0.33;

impl QuorumConfig {
    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        check_election_algorithm(reader)?;
        let sync_enabled = reader.bool("syncEnabled")?;
        let observer_override = reader.setting("observer.syncEnabled").is_some();
        Ok(Self {
            init_limit_ticks: reader.optional_i32("initLimit")?,
            sync_limit_ticks: reader.optional_i32("syncLimit")?,
            connect_to_learner_master_limit_ticks: reader.i32("connectToLearnerMasterLimit")?,
            peer_type: peer_type(reader)?,
            standalone_enabled: reader.bool("standaloneEnabled")?,
            reconfig_enabled: reader.bool("reconfigEnabled")?,
            dynamic_config_file: reader.optional_text("dynamicConfigFile").map(PathBuf::from),
            listen_on_all_ips: reader.bool("quorumListenOnAllIPs")?,
            observer_sync_enabled: match observer_override {
                true => reader.bool("observer.syncEnabled")?,
                false => sync_enabled,
            },
            observer_master_port: observer_master_port(reader)?,
            observer_reconnect_delay_ms: reader.i64("observer.reconnectDelayMs")?,
            observer_election_delay_ms: match reader.setting("observer.election.DelayMs") {
                Some(_) => reader.i64("observer.election.DelayMs")?,
                None => 0,
            },
            leader_serves: reader.yes_no("leaderServes"),
            leader_max_concurrent_snap_syncs: at_least_one(
                reader,
                "leader.maxConcurrentSnapSyncs",
            )?,
            leader_max_concurrent_diff_syncs: at_least_one(
                reader,
                "leader.maxConcurrentDiffSyncs",
            )?,
            leader_max_time_to_wait_for_epoch_ms: reader.i32("leader.maxTimeToWaitForEpoch")?,
            leader_connect_delay_ms: reader.i32("leaderConnectDelayDuringRetryMs")?,
            leader_nodelay: reader.bool("leader.nodelay")?,
            follower_nodelay: reader.bool("follower.nodelay")?,
            cnx_timeout_ms: reader.i32("cnxTimeout")?,
            quorum_cnxn_timeout_ms: reader.i32("quorumCnxnTimeoutMs")?,
            tcp_keep_alive: reader.bool("tcpKeepAlive")?,
            election_port_bind_retry: reader.i32("electionPortBindRetry")?,
            min_notification_interval_ms: reader.i32("fastleader.minNotificationInterval")?,
            max_notification_interval_ms: reader.i32("fastleader.maxNotificationInterval")?,
            commit_log_count: commit_log_count(reader)?,
            snapshot_size_factor: snapshot_size_factor(reader)?,
            read_only_mode_enabled: reader.bool("readonlymode.enabled")?,
            quiet_elections: reader.bool("quietElections")?,
            multi_address_enabled: reader.bool("multiAddress.enabled")?,
            reachability_check_enabled: reader.bool("multiAddress.reachabilityCheckEnabled")?,
            reachability_check_timeout_ms: reader.i32("multiAddress.reachabilityCheckTimeoutMs")?,
            oracle_path: reader.optional_text("oraclePath").map(PathBuf::from),
        })
    }
}

fn check_election_algorithm(reader: &mut Reader<'_>) -> Result<(), ConfigError> {
    if reader.i32("electionAlg")? == 3 {
        return Ok(());
    }
    let error = ConfigError::config("Invalid electionAlg value. Only 3 is supported.")
        .remedy("remove the line");
    Err(reader.refuse("electionAlg", error))
}

fn peer_type(reader: &Reader<'_>) -> Result<Role, ConfigError> {
    parse_role(&reader.text("peerType")).map_err(|error| reader.refuse("peerType", error))
}

fn observer_master_port(reader: &mut Reader<'_>) -> Result<u16, ConfigError> {
    let port = reader.i32("observerMasterPort")?;
    u16::try_from(port.max(0)).map_err(|_| {
        let error = ConfigError::config(format!("port out of range:{port}"))
            .remedy("a port is a number from 0 to 65535");
        reader.refuse("observerMasterPort", error)
    })
}

/// Java's server never leads with less.
fn at_least_one(reader: &mut Reader<'_>, name: &str) -> Result<i32, ConfigError> {
    let count = reader.i32(name)?;
    if count < 1 {
        reader.corrected(name, format!("{name} {count} is less than 1, using that"));
    }
    Ok(count.max(1))
}

fn commit_log_count(reader: &mut Reader<'_>) -> Result<i32, ConfigError> {
    let count = reader.i32("commitLogCount")?;
    if count < MIN_COMMIT_LOG_COUNT {
        let text =
            format!("commitLogCount {count} is less than {MIN_COMMIT_LOG_COUNT}, using that");
        reader.corrected("commitLogCount", text);
    }
    Ok(count.max(MIN_COMMIT_LOG_COUNT))
}

fn snapshot_size_factor(reader: &mut Reader<'_>) -> Result<f64, ConfigError> {
    let factor = reader.f64("snapshotSizeFactor")?;
    if factor > 1.0 {
        reader.corrected("snapshotSizeFactor", "snapshotSizeFactor is above 1, using 0.33");
        return Ok(DEFAULT_SNAPSHOT_SIZE_FACTOR);
    }
    Ok(factor)
}
