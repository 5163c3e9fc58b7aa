//! What is printed.

use std::fmt::Write as _;

use serde::Serialize;

use crate::args::Args;
use crate::driver::Outcome;
use crate::process::Sample;

/// One run's figures.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    op: &'static str,
    connections: usize,
    window: usize,
    value_bytes: usize,
    rate: u64,
    seconds: f64,
    operations: u64,
    errors: u64,
    lost_connections: u64,
    ops_per_second: f64,
    latency_us: Latency,
    longest_gap_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Server>,
}

#[derive(Debug, Serialize)]
struct Latency {
    mean: f64,
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

#[derive(Debug, Serialize)]
struct Server {
    cpu_us_per_op: f64,
    cpu_cores: f64,
    resident_bytes_before: u64,
    resident_bytes_after: u64,
    growth_bytes_per_op: f64,
}

impl Report {
    pub(crate) fn new(args: &Args, outcome: Outcome, before: &Sample, after: &Sample) -> Self {
        let operations = outcome.operations.max(1) as f64;
        let seconds = outcome.seconds.max(1e-9);
        let cpu_us = after.cpu_us.saturating_sub(before.cpu_us) as f64;
        let growth = after.resident_bytes as f64 - before.resident_bytes as f64;
        let server = (!args.pids.is_empty()).then(|| Server {
            cpu_us_per_op: cpu_us / operations,
            cpu_cores: cpu_us / 1e6 / seconds,
            resident_bytes_before: before.resident_bytes,
            resident_bytes_after: after.resident_bytes,
            growth_bytes_per_op: growth / operations,
        });
        let h = &outcome.latency_us;
        Self {
            op: args.op.name(),
            connections: args.connections,
            window: args.window,
            value_bytes: args.size,
            rate: args.rate,
            seconds,
            operations: outcome.operations,
            errors: outcome.errors,
            lost_connections: outcome.lost,
            ops_per_second: outcome.operations as f64 / seconds,
            latency_us: Latency {
                mean: h.mean(),
                p50: h.value_at_quantile(0.5),
                p90: h.value_at_quantile(0.9),
                p99: h.value_at_quantile(0.99),
                p999: h.value_at_quantile(0.999),
                max: h.max(),
            },
            longest_gap_us: outcome.longest_gap_us,
            server,
        }
    }

    /// One line of JSON.
    pub(crate) fn json(&self) -> String {
        // Numbers and text only: cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        let l = &self.latency_us;
        let _ = writeln!(
            out,
            "{}: {} connections x {} in flight, {} byte values, {:.1} s",
            self.op, self.connections, self.window, self.value_bytes, self.seconds
        );
        let _ = writeln!(
            out,
            "  {} operations, {:.0} per second, {} errors, {} connections lost",
            self.operations, self.ops_per_second, self.errors, self.lost_connections
        );
        let _ = writeln!(
            out,
            "  latency us: mean {:.0}, p50 {}, p90 {}, p99 {}, p99.9 {}, max {}; longest gap {}",
            l.mean, l.p50, l.p90, l.p99, l.p999, l.max, self.longest_gap_us
        );
        if let Some(s) = &self.server {
            let _ = writeln!(
                out,
                "  server: {:.2} us CPU per operation ({:.2} cores), resident {:.1} -> {:.1} MB",
                s.cpu_us_per_op,
                s.cpu_cores,
                s.resident_bytes_before as f64 / 1e6,
                s.resident_bytes_after as f64 / 1e6
            );
        }
        out
    }
}
