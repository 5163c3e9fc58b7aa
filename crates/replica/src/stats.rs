//! What the server counts: the figures behind `srvr`, `stat` and `mntr`.
//!
//! Plain counters owned by the core thread; reading them costs nothing. Names follow ZooKeeper's
//! metrics (`operations.md` section 4).

use rookeeper_proto::OpCode;

use crate::member::{ProposalSizes, QuorumStats};
use crate::namespaces::Namespaces;

/// Count, sum, minimum and maximum of something: ZooKeeper's basic summary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Number of values.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    /// The smallest, 0 before the first.
    pub min: u64,
    /// The largest.
    pub max: u64,
}

impl Summary {
    /// Adds a value.
    pub fn add(&mut self, value: u64) {
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.count += 1;
        self.sum += value;
    }

    /// Adds a value `n` times.
    pub fn add_many(&mut self, value: u64, n: u64) {
        if n != 0 {
            self.add(value);
            self.count += n - 1;
            self.sum += value * (n - 1);
        }
    }

    /// The mean, 0 before the first value.
    pub fn average(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }
}

/// A summary with quantiles, from powers of two with eight steps each: within 12 percent.
#[derive(Debug, Clone)]
pub struct Quantiles {
    /// The basic figures.
    pub summary: Summary,
    steps: Box<[u64; QUANTILE_STEPS]>,
}

const STEPS_PER_OCTAVE: u64 = 8;
const QUANTILE_STEPS: usize = 8 * 40;

impl Default for Quantiles {
    fn default() -> Self {
        Self { summary: Summary::default(), steps: Box::new([0; QUANTILE_STEPS]) }
    }
}

impl Quantiles {
    /// Adds a value.
    pub fn add(&mut self, value: u64) {
        self.summary.add(value);
        self.steps[Self::step(value)] += 1;
    }

    /// Adds a value `n` times.
    pub fn add_many(&mut self, value: u64, n: u64) {
        self.summary.add_many(value, n);
        self.steps[Self::step(value)] += n;
    }

    fn step(value: u64) -> usize {
        if value < STEPS_PER_OCTAVE {
            return value as usize;
        }
        let octave = u64::from(63 - value.leading_zeros()) - 3;
        let within = (value >> octave) - STEPS_PER_OCTAVE;
        (((octave + 1) * STEPS_PER_OCTAVE + within) as usize).min(QUANTILE_STEPS - 1)
    }

    /// Smallest value of a step.
    fn value(step: usize) -> u64 {
        let step = step as u64;
        if step < STEPS_PER_OCTAVE {
            return step;
        }
        let octave = step / STEPS_PER_OCTAVE - 1;
        (STEPS_PER_OCTAVE + step % STEPS_PER_OCTAVE) << octave
    }

    /// The value below which the share `q` of all values lies; 0 before the first value.
    pub fn quantile(&self, q: f64) -> u64 {
        let rank = (self.summary.count as f64 * q).ceil() as u64;
        let mut seen = 0;
        for (step, &n) in self.steps.iter().enumerate() {
            seen += n;
            if 0 < n && rank <= seen {
                return Self::value(step).clamp(self.summary.min, self.summary.max);
            }
        }
        self.summary.max
    }
}

/// The server's figures.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// `packets_received`.
    pub packets_received: u64,
    /// `packets_sent`.
    pub packets_sent: u64,
    /// `bytes_received_count`.
    pub bytes_received: u64,
    /// `response_bytes`.
    pub response_bytes: u64,
    /// `watch_bytes`.
    pub watch_bytes: u64,
    /// Latency of every reply, in milliseconds.
    pub latency_ms: Summary,
    /// `readlatency`.
    pub read_latency_ms: Quantiles,
    /// `updatelatency`.
    pub update_latency_ms: Quantiles,
    /// `last_client_response_size`, -1 before the first.
    pub last_response_bytes: i64,
    /// `min_client_response_size`, -1 before the first.
    pub min_response_bytes: i64,
    /// `max_client_response_size`, -1 before the first.
    pub max_response_bytes: i64,
    /// `connection_request_count`.
    pub connection_requests: u64,
    /// `connection_rejected`.
    pub connections_rejected: u64,
    /// `connection_revalidate_count`.
    pub connections_revalidated: u64,
    /// `stale_sessions_expired`.
    pub sessions_expired: u64,
    /// `sessionless_connections_expired`.
    pub sessionless_expired: u64,
    /// `auth_failed_count`.
    pub auth_failed: u64,
    /// `node_created_watch_count`: watchers fired per event.
    pub watchers_created: Summary,
    /// `node_deleted_watch_count`.
    pub watchers_deleted: Summary,
    /// `node_changed_watch_count`.
    pub watchers_changed: Summary,
    /// `node_children_watch_count`.
    pub watchers_children: Summary,
    /// `digest_mismatches_count`.
    pub digest_mismatches: u64,
    /// `snapshottime`.
    pub snapshot_ms: Summary,
    /// `prep_process_time`.
    pub prep_ms: Summary,
    /// `propagation_latency`: from a txn's time to its application.
    pub propagation_ms: Quantiles,
    /// `connection_token_deficit`.
    pub token_deficit: Summary,
    /// `connection_drop_count`: connections that their clients closed.
    pub closed_by_peer: u64,
    /// `large_requests_rejected`.
    pub large_requests_rejected: u64,
    /// `read_per_namespace`, `write_per_namespace`.
    pub namespaces: Namespaces,
    /// `commit_count`.
    pub commits: u64,
    /// `proposal_count`: writes prepared here.
    pub proposals: u64,
    /// `last_proposal_size`, `min_proposal_size`, `max_proposal_size`.
    pub proposal_sizes: ProposalSizes,
    /// What only a member of an ensemble counts.
    pub quorum: QuorumStats,
}

impl Stats {
    /// Figures of a server that has just started.
    pub fn new() -> Self {
        Self {
            last_response_bytes: -1,
            min_response_bytes: -1,
            max_response_bytes: -1,
            ..Self::default()
        }
    }

    /// Notes a reply, a frame of `frame_bytes`, to a request that took `latency_ms`.
    pub fn on_reply(&mut self, op: OpCode, latency_ms: u64, frame_bytes: usize) {
        self.packets_sent += 1;
        self.latency_ms.add(latency_ms);
        if op.is_write() {
            self.update_latency_ms.add(latency_ms);
        } else {
            self.read_latency_ms.add(latency_ms);
        }
        self.on_response(frame_bytes);
        if op != OpCode::Ping {
            self.response_bytes += payload_bytes(frame_bytes);
        }
    }

    /// Notes a write that was prepared here.
    pub fn on_proposal(&mut self, bytes: usize) {
        self.proposals += 1;
        self.proposal_sizes.add(bytes);
    }

    /// Notes that a session was opened: the ConnectResponse is no response in Java's figures.
    pub fn on_session_opened(&mut self, latency_ms: u64) {
        self.latency_ms.add(latency_ms);
        self.update_latency_ms.add(latency_ms);
    }

    /// Notes an event sent to a watcher.
    pub fn on_event(&mut self, frame_bytes: usize) {
        self.packets_sent += 1;
        self.watch_bytes += payload_bytes(frame_bytes);
        self.on_response(frame_bytes);
    }

    fn on_response(&mut self, frame_bytes: usize) {
        let bytes = payload_bytes(frame_bytes) as i64;
        self.last_response_bytes = bytes;
        self.max_response_bytes = self.max_response_bytes.max(bytes);
        if self.min_response_bytes < 0 || bytes < self.min_response_bytes {
            self.min_response_bytes = bytes;
        }
    }

    /// What `srst` resets. Namespaces stay known.
    pub fn reset(&mut self) {
        let mut namespaces = std::mem::take(&mut self.namespaces);
        namespaces.reset();
        *self = Self { namespaces, ..Self::new() };
    }
}

/// What Java's figures count of a frame: not the length in front.
fn payload_bytes(frame_bytes: usize) -> u64 {
    frame_bytes.saturating_sub(4) as u64
}

/// The short name of an operation in `cons` (`operations.md` 2.2).
pub fn short_name(op: OpCode) -> &'static str {
    match op {
        OpCode::Notification | OpCode::Auth | OpCode::Sasl | OpCode::Error => "NA",
        OpCode::Ping => "PING",
        OpCode::CreateSession => "SESS",
        OpCode::Multi => "MULT",
        OpCode::MultiRead => "MLTR",
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => "CREA",
        OpCode::Delete | OpCode::DeleteContainer => "DELE",
        OpCode::SetData => "SETD",
        OpCode::Reconfig => "RECO",
        OpCode::SetAcl => "SETA",
        OpCode::CloseSession => "CLOS",
        OpCode::Sync => "SYNC",
        OpCode::Check => "CHEC",
        OpCode::Exists => "EXIS",
        OpCode::GetData => "GETD",
        OpCode::SetWatches => "SETW",
        OpCode::SetWatches2 => "STW2",
        OpCode::AddWatch => "ADDW",
        OpCode::GetAcl => "GETA",
        OpCode::GetChildren | OpCode::GetChildren2 => "GETC",
        OpCode::GetAllChildrenNumber => "GETACN",
        OpCode::CheckWatches => "CHKW",
        OpCode::RemoveWatches => "REMW",
        OpCode::WhoAmI => "HOMI",
        OpCode::GetEphemerals => "GETE",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_step() {
        let mut q = Quantiles::default();
        for n in 0..10_000 {
            q.add(n);
        }
        for (share, exact) in [(0.5, 5000.0), (0.95, 9500.0), (0.99, 9900.0)] {
            let got = q.quantile(share) as f64;
            assert!((got - exact).abs() < exact * 0.13, "{share}: {got}");
        }
        assert_eq!(Quantiles::default().quantile(0.99), 0);
    }

    #[test]
    fn steps_and_values_agree() {
        for value in [0, 1, 7, 8, 9, 15, 16, 1000, 1 << 30] {
            let low = Quantiles::value(Quantiles::step(value));
            assert!(low <= value && value - low <= value / 8, "{value} {low}");
        }
    }
}
