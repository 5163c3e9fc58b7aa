//! The metrics behind `mntr`: every name of a standalone Apache server, in one table.
//!
//! Figures that belong to stages this server does not have (Java's commit processor, its watch
//! cleaner, ...) are exported as zeros, so that dashboards keep their panels; COMPAT.md lists them.
//! Source: `operations.md` 2.3 and section 4.

mod names;
mod process;

use std::fmt;
use std::time::Duration;

use rookeeper_replica::stats::{Quantiles, Summary};
use rookeeper_replica::{Now, Replica};

/// The shell's figures.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerMetrics {
    /// `fsynctime`, in milliseconds.
    pub(crate) force_ms: Summary,
    /// `sync_processor_batch_size`.
    pub(crate) batch_records: Summary,
    /// `fsync_threshold_exceed_count`.
    pub(crate) slow_forces: u64,
    /// `startup_txns_loaded`, `startup_snap_load_time`, `dbinittime`.
    pub(crate) startup: Startup,
}

/// What the start took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Startup {
    /// Records replayed.
    pub(crate) records: u64,
    /// From the first byte read to a usable tree.
    pub(crate) load_ms: u64,
}

impl ServerMetrics {
    /// A batch was forced.
    pub(crate) fn on_force(&mut self, took: Duration, records: usize) {
        self.force_ms.add(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        self.batch_records.add(records as u64);
    }
}

/// A value as Java prints it: whole numbers bare, means with a decimal point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    Whole(i64),
    Decimal(f64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(n) => write!(f, "{n}"),
            Self::Decimal(x) => f.write_str(&java_decimal(*x)),
        }
    }
}

/// A decimal as Java prints a double rounded to four digits: `0.0`, `2.75`.
pub(crate) fn java_decimal(value: f64) -> String {
    let rounded = (value * 10_000.0).round() / 10_000.0;
    if rounded.fract() == 0.0 { format!("{rounded:.1}") } else { format!("{rounded}") }
}

/// The node count as Java counts: the root stands under two names.
pub(crate) fn java_node_count(replica: &Replica) -> usize {
    replica.tree().node_count() + 1
}

/// Collects names and values, without the `zk_` prefix.
#[derive(Debug, Default)]
struct List(Vec<(String, Value)>);

impl List {
    fn whole(&mut self, name: &str, value: impl TryInto<i64>) {
        self.0.push((name.to_owned(), Value::Whole(value.try_into().unwrap_or(i64::MAX))));
    }

    fn basic(&mut self, name: &str, summary: Summary) {
        self.0.push((format!("avg_{name}"), Value::Decimal(summary.average())));
        for (prefix, value) in [
            ("min", summary.min),
            ("max", summary.max),
            ("cnt", summary.count),
            ("sum", summary.sum),
        ] {
            self.whole(&format!("{prefix}_{name}"), value);
        }
    }

    fn advanced(&mut self, name: &str, quantiles: &Quantiles) {
        self.basic(name, quantiles.summary);
        for (prefix, share) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)] {
            self.whole(&format!("{prefix}_{name}"), quantiles.quantile(share));
        }
    }

    fn advanced_zero(&mut self, name: &str) {
        self.basic(name, Summary::default());
        for prefix in ["p50", "p95", "p99", "p999"] {
            self.whole(&format!("{prefix}_{name}"), 0);
        }
    }
}

/// Every metric of a standalone server, in a stable order.
pub(crate) fn all(replica: &Replica, shell: &ServerMetrics, now: Now) -> Vec<(String, Value)> {
    let mut list = List::default();
    gauges(&mut list, replica, now);
    counters(&mut list, replica);
    summaries(&mut list, replica, shell);
    names::COUNTERS_ELSEWHERE.iter().for_each(|name| list.whole(name, 0));
    names::BASIC_ELSEWHERE.iter().for_each(|name| list.basic(name, Summary::default()));
    names::ADVANCED_ELSEWHERE.iter().for_each(|name| list.advanced_zero(name));
    list.0
}

fn gauges(list: &mut List, replica: &Replica, now: Now) {
    let (stats, tree) = (replica.stats(), replica.tree());
    list.0.push(("avg_latency".to_owned(), Value::Decimal(stats.latency_ms.average())));
    list.whole("min_latency", stats.latency_ms.min);
    list.whole("max_latency", stats.latency_ms.max);
    list.whole("packets_received", stats.packets_received);
    list.whole("packets_sent", stats.packets_sent);
    list.whole("num_alive_connections", replica.conns().len());
    list.whole("outstanding_requests", replica.outstanding());
    list.whole("uptime", replica.uptime_ms(now));
    list.whole("znode_count", java_node_count(replica));
    list.whole("ephemerals_count", tree.ephemerals_count());
    list.whole("watch_count", replica.watches().watch_count());
    list.whole("approximate_data_size", tree.approximate_data_size());
    list.whole("global_sessions", replica.sessions().len());
    list.whole("local_sessions", 0);
    list.whole("last_client_response_size", stats.last_response_bytes);
    list.whole("min_client_response_size", stats.min_response_bytes);
    list.whole("max_client_response_size", stats.max_response_bytes);
    list.whole("auth_failed_count", stats.auth_failed);
    list.whole("open_file_descriptor_count", process::open_descriptors());
    list.whole("max_file_descriptor_count", process::max_descriptors());
    list.0.push(("connection_drop_probability".to_owned(), Value::Decimal(0.0)));
    for name in
        ["outstanding_tls_handshake", "non_mtls_remote_conn_count", "non_mtls_local_conn_count"]
    {
        list.whole(name, 0);
    }
}

fn counters(list: &mut List, replica: &Replica) {
    let stats = replica.stats();
    list.whole("connection_request_count", stats.connection_requests);
    list.whole("connection_rejected", stats.connections_rejected);
    list.whole("connection_revalidate_count", stats.connections_revalidated);
    list.whole("bytes_received_count", stats.bytes_received);
    list.whole("response_bytes", stats.response_bytes);
    list.whole("watch_bytes", stats.watch_bytes);
    list.whole("stale_sessions_expired", stats.sessions_expired);
    list.whole("sessionless_connections_expired", stats.sessionless_expired);
    list.whole("digest_mismatches_count", stats.digest_mismatches);
    list.whole("commit_count", 0);
    list.whole("proposal_count", 0);
}

fn summaries(list: &mut List, replica: &Replica, shell: &ServerMetrics) {
    let stats = replica.stats();
    list.advanced("readlatency", &stats.read_latency_ms);
    list.advanced("updatelatency", &stats.update_latency_ms);
    list.basic("fsynctime", shell.force_ms);
    list.basic("sync_processor_batch_size", shell.batch_records);
    list.basic("snapshottime", stats.snapshot_ms);
    list.basic("node_created_watch_count", stats.watchers_created);
    list.basic("node_deleted_watch_count", stats.watchers_deleted);
    list.basic("node_changed_watch_count", stats.watchers_changed);
    list.basic("node_children_watch_count", stats.watchers_children);
    list.basic("prep_process_time", stats.prep_ms);
    let once = |value| {
        let mut summary = Summary::default();
        summary.add(value);
        summary
    };
    list.basic("startup_txns_loaded", once(shell.startup.records));
    list.basic("startup_txns_load_time", once(shell.startup.load_ms));
    list.basic("startup_snap_load_time", once(shell.startup.load_ms));
    list.basic("dbinittime", once(shell.startup.load_ms));
}
