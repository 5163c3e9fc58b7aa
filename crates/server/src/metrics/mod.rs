//! The metrics behind `mntr`: every name of a standalone Apache server, in one table.
//!
//! Figures that belong to stages this server does not have (Java's commit processor, its watch
//! cleaner, ...) are exported as zeros, so that dashboards keep their panels; COMPAT.md lists them.
//! Source: `operations.md` 2.3 and section 4.

mod names;
mod process;
mod quorum;

use std::fmt;
use std::time::Duration;

use rookeeper_replica::member::MemberFigures;
use rookeeper_replica::stats::{Quantiles, Summary};
use rookeeper_replica::{Now, Replica, Role};

/// The shell's figures.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerMetrics {
    /// `fsynctime`, in milliseconds.
    pub(crate) force_ms: Summary,
    /// `sync_processor_batch_size`.
    pub(crate) batch_records: Summary,
    /// `sync_processor_queue_flush_time_ms`: write and force of a batch, counted for each record.
    pub(crate) flush_ms: Quantiles,
    /// `sync_processor_queue_time_ms`: from handing over to the begin of the batch.
    pub(crate) queue_ms: Quantiles,
    /// `sync_processor_queue_and_flush_time_ms`: both together.
    pub(crate) queue_and_flush_ms: Quantiles,
    /// `sync_process_time`: the same as the flush, once for each batch.
    pub(crate) process_ms: Summary,
    /// Forces slower than `fsync.warningthresholdms`.
    pub(crate) slow_forces: u64,
    /// `startup_txns_loaded`, `startup_snap_load_time`, `dbinittime`.
    pub(crate) startup: Option<Startup>,
}

/// What the start took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Startup {
    /// Records replayed.
    pub(crate) records: u64,
    /// From the first byte of the snapshot to its last.
    pub(crate) snapshot_took: Duration,
    /// Replaying the log.
    pub(crate) records_took: Duration,
}

impl ServerMetrics {
    /// A batch was forced, whose first record had waited for `queued`.
    pub(crate) fn on_force(&mut self, queued: Duration, took: Duration, records: usize) {
        let records = records as u64;
        self.force_ms.add(millis(took));
        self.process_ms.add(millis(took));
        self.batch_records.add(records);
        self.flush_ms.add_many(millis(took), records);
        self.queue_ms.add_many(millis(queued), records);
        self.queue_and_flush_ms.add_many(millis(queued + took), records);
    }

    /// What `srst` resets: everything, as in Java the figures of the start as well.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
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

/// The size of paths and data as Java counts: one byte for the root's second name.
fn java_data_size(replica: &Replica) -> i64 {
    replica.tree().approximate_data_size() + 1
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

/// Every metric, in a stable order; those of an ensemble when there is a `member`.
pub(crate) fn all(
    replica: &Replica,
    shell: &ServerMetrics,
    member: Option<&MemberFigures>,
    now: Now,
) -> Vec<(String, Value)> {
    let mut list = List::default();
    gauges(&mut list, replica, now);
    // Java's read-only server is no member in its own eyes.
    if let Some(member) = member.filter(|_| replica.role() != Role::ReadOnly) {
        quorum::gauges(&mut list, replica, member);
    }
    quorum::counters(&mut list, replica, member);
    counters(&mut list, replica);
    summaries(&mut list, replica, shell);
    namespaces(&mut list, replica);
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
    list.whole("approximate_data_size", java_data_size(replica));
    list.whole("global_sessions", replica.tree().sessions().len());
    list.whole("local_sessions", replica.sessions().local_len());
    list.whole("last_client_response_size", stats.last_response_bytes);
    list.whole("min_client_response_size", stats.min_response_bytes);
    list.whole("max_client_response_size", stats.max_response_bytes);
    list.whole("auth_failed_count", stats.auth_failed);
    list.whole("open_file_descriptor_count", process::open_descriptors());
    list.whole("max_file_descriptor_count", process::max_descriptors());
    let drop_probability = Value::Decimal(replica.connection_tokens().drop_probability());
    list.0.push(("connection_drop_probability".to_owned(), drop_probability));
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
    list.whole("connection_drop_count", stats.closed_by_peer);
    list.whole("large_requests_rejected", stats.large_requests_rejected);
    // Every request passes preparation and the log's stage in Java; here those that wait included.
    let requests = stats.latency_ms.count + replica.outstanding() as u64;
    list.whole("prep_processor_request_queued", requests);
    list.whole("sync_processor_request_queued", requests);
    list.whole("connection_revalidate_count", stats.connections_revalidated);
    list.whole("bytes_received_count", stats.bytes_received);
    list.whole("response_bytes", stats.response_bytes);
    list.whole("watch_bytes", stats.watch_bytes);
    list.whole("stale_sessions_expired", stats.sessions_expired);
    list.whole("sessionless_connections_expired", stats.sessionless_expired);
    list.whole("digest_mismatches_count", stats.digest_mismatches);
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
    list.basic("sync_process_time", shell.process_ms);
    list.basic("connection_token_deficit", stats.token_deficit);
    list.advanced("sync_processor_queue_flush_time_ms", &shell.flush_ms);
    list.advanced("sync_processor_queue_time_ms", &shell.queue_ms);
    list.advanced("sync_processor_queue_and_flush_time_ms", &shell.queue_and_flush_ms);
    list.advanced("propagation_latency", &stats.propagation_ms);
    let once = |value: Option<u64>| {
        let mut summary = Summary::default();
        value.into_iter().for_each(|value| summary.add(value));
        summary
    };
    // Java has no figures of the records when there were none.
    let startup = shell.startup;
    let replayed = startup.filter(|startup| 0 < startup.records);
    list.basic("startup_txns_loaded", once(replayed.map(|s| s.records)));
    list.basic("startup_txns_load_time", once(replayed.map(|s| millis(s.records_took))));
    list.basic("startup_snap_load_time", once(startup.map(|s| millis(s.snapshot_took))));
    list.basic("dbinittime", once(startup.map(|s| millis(s.snapshot_took + s.records_took))));
}

/// The sets keyed by the first component of paths. Quotas are shown, as in Java, where one is set on
/// that component itself.
fn namespaces(list: &mut List, replica: &Replica) {
    for namespace in replica.stats().namespaces.iter() {
        for (name, summary) in
            [("read_per_namespace", namespace.reads), ("write_per_namespace", namespace.writes)]
        {
            if let Some(summary) = summary {
                list.basic(&format!("{}_{name}", namespace.name), summary);
            }
        }
    }
    let Some(quotas) = replica.tree().get("/zookeeper/quota") else { return };
    for node in quotas.child_nodes() {
        let name = node.name();
        let Some(quota) = replica.tree().quota_of(&format!("/{name}")) else { continue };
        let mut gauge = |kind: &str, value: i64| {
            if value != -1 {
                list.whole(&format!("{name}_quota_{kind}_per_namespace"), value);
            }
        };
        if let Ok(limits) = quota.limits {
            let effective = |hard: i64, soft: i64| if -1 < hard { hard } else { soft };
            gauge("count_limit", effective(limits.count_hard, limits.count));
            gauge("bytes_limit", effective(limits.bytes_hard, limits.bytes));
        }
        if let Ok(usage) = quota.usage {
            gauge("count_usage", usage.count);
            gauge("bytes_usage", usage.bytes);
        }
    }
}
