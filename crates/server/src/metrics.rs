//! Figures of the shell that the replica does not know: the log's forces, the process.

use std::time::Duration;

use rookeeper_replica::stats::Summary;

/// The shell's figures.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerMetrics {
    /// `fsynctime`, in milliseconds.
    pub(crate) force_ms: Summary,
    /// `sync_processor_batch_size`.
    pub(crate) batch_records: Summary,
    /// `fsync_threshold_exceed_count`.
    pub(crate) slow_forces: u64,
}

impl ServerMetrics {
    /// A batch was forced.
    pub(crate) fn on_force(&mut self, took: Duration, records: usize) {
        self.force_ms.add(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        self.batch_records.add(records as u64);
    }
}
