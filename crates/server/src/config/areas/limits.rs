//! Sizes, connections, requests in flight, throttles.

use crate::config::error::ConfigError;
use crate::config::reader::Reader;

/// Limits.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitsConfig {
    /// Connections per client address; 0 is unlimited.
    pub max_client_cnxns: i32,
    /// Connections in total; 0 is unlimited.
    pub max_cnxns: i32,
    /// The largest packet accepted.
    pub jute_max_buffer_bytes: i32,
    /// Room beyond it for records of logs, snapshots and the quorum wire.
    pub jute_max_buffer_extra_bytes: i32,
    /// Requests in flight before the server stops reading.
    pub global_outstanding_limit: i32,
    /// Refuse requests that waited longer; 0 is off.
    pub throttled_op_wait_time_ms: i32,
    /// Large requests.
    pub large_requests: LargeRequests,
    /// The request throttler.
    pub requests: RequestThrottle,
    /// The token bucket for new sessions.
    pub connections: ConnectionThrottle,
}

/// The budget for large requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LargeRequests {
    /// Requests from this size on count; `None` is off.
    pub threshold_bytes: Option<i32>,
    /// The budget.
    pub max_bytes: i32,
}

/// The request throttler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestThrottle {
    /// Requests in the pipeline before it stalls; 0 is off.
    pub max_requests: i32,
    /// Time between its looks.
    pub stall_time_ms: i32,
    /// Drop stale requests.
    pub drop_stale: bool,
    /// Older than the session time-out is stale.
    pub stale_latency_check: bool,
    /// A gone connection makes stale.
    pub stale_connection_check: bool,
    /// Time to drain at shutdown.
    pub shutdown_timeout_ms: i32,
}

/// The token bucket for new sessions.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionThrottle {
    /// Size of the bucket; 0 is off.
    pub tokens: i32,
    /// Time between refills.
    pub fill_time_ms: i32,
    /// Tokens per refill.
    pub fill_count: i32,
    /// Time between changes of the drop probability; -1 is off.
    pub freeze_time_ms: i32,
    /// Step up of the drop probability.
    pub drop_increase: f64,
    /// Step down.
    pub drop_decrease: f64,
    /// Share of free tokens from which it steps down.
    pub decrease_ratio: f64,
    /// Sessions cost different tokens.
    pub weight_enabled: bool,
    /// Tokens of a new global session.
    pub global_session_weight: i32,
    /// Tokens of a new local session.
    pub local_session_weight: i32,
    /// Tokens of a resumed session.
    pub renew_session_weight: i32,
}

const MIN_EXTRA_BYTES: i32 = 1024;
const DEFAULT_LARGE_REQUEST_MAX_BYTES: i32 = 104_857_600;

impl LimitsConfig {
    pub(in crate::config) fn read(
        reader: &mut Reader<'_>,
        unlimited_per_address: bool,
    ) -> Result<Self, ConfigError> {
        let jute_max_buffer_bytes = reader.i32("jute.maxbuffer")?;
        let extra = reader.optional_i32("jute.maxbuffer.extrasize")?;
        let per_address = reader.i32("maxClientCnxns")?;
        let by_default = unlimited_per_address && reader.setting("maxClientCnxns").is_none();
        Ok(Self {
            max_client_cnxns: if by_default { 0 } else { per_address },
            max_cnxns: reader.i32("maxCnxns")?,
            jute_max_buffer_bytes,
            jute_max_buffer_extra_bytes: extra
                .unwrap_or(jute_max_buffer_bytes)
                .max(MIN_EXTRA_BYTES),
            global_outstanding_limit: reader.i32("globalOutstandingLimit")?,
            throttled_op_wait_time_ms: reader.i32("throttled_op_wait_time")?,
            large_requests: LargeRequests::read(reader)?,
            requests: RequestThrottle::read(reader)?,
            connections: ConnectionThrottle::read(reader)?,
        })
    }
}

impl LargeRequests {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let threshold = reader.i32("largeRequestThreshold")?;
        let mut max_bytes = reader.i32("largeRequestMaxBytes")?;
        if max_bytes <= 0 {
            reader.corrected(
                "largeRequestMaxBytes",
                "largeRequestMaxBytes must be positive; using the default",
            );
            max_bytes = DEFAULT_LARGE_REQUEST_MAX_BYTES;
        }
        if threshold == 0 || threshold < -1 {
            reader.corrected(
                "largeRequestThreshold",
                "largeRequestThreshold must be positive or -1; it stays off",
            );
        }
        Ok(Self { threshold_bytes: Some(threshold).filter(|&bytes| bytes > 0), max_bytes })
    }
}

impl RequestThrottle {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            max_requests: reader.i32("request_throttle_max_requests")?,
            stall_time_ms: reader.i32("request_throttle_stall_time")?,
            drop_stale: reader.bool("request_throttle_drop_stale")?,
            stale_latency_check: reader.bool("request_stale_latency_check")?,
            stale_connection_check: reader.bool("request_stale_connection_check")?,
            shutdown_timeout_ms: reader.i32("request_throttler.shutdownTimeout")?,
        })
    }
}

impl ConnectionThrottle {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let weight = |reader: &mut Reader<'_>, kind: &str, default: i32| {
            let weight = reader.i32(&format!("connection_throttle_{kind}_session_weight"))?;
            Ok::<i32, ConfigError>(if weight <= 0 { default } else { weight })
        };
        // A global or renewed session never costs less than a local one.
        let local = weight(reader, "local", 1)?;
        Ok(Self {
            tokens: reader.i32("connection_throttle_tokens")?,
            fill_time_ms: reader.i32("connection_throttle_fill_time")?,
            fill_count: reader.i32("connection_throttle_fill_count")?,
            freeze_time_ms: reader.i32("connection_throttle_freeze_time")?,
            drop_increase: reader.f64("connection_throttle_drop_increase")?,
            drop_decrease: reader.f64("connection_throttle_drop_decrease")?,
            decrease_ratio: reader.f64("connection_throttle_decrease_ratio")?,
            weight_enabled: reader.bool("connection_throttle_weight_enabled")?,
            global_session_weight: weight(reader, "global", 3)?.max(local),
            local_session_weight: local,
            renew_session_weight: weight(reader, "renew", 2)?.max(local),
        })
    }
}
