//! The storage work of one server over the `Disk` seam: what the log thread and the snapshot thread of
//! the server do, and the same stages of the simulator.
//!
//! [`loading`] builds a tree from a directory or from a leader's bytes, [`log_stage`] carries out the
//! replica's [`crate::LogCommand`]s, [`snapshot_file`] writes what the [`crate::snapshotter`] hands out,
//! [`snapshot_gate`] decides when a snapshot may get its name, [`history`] reads the log for a learner.
//!
//! Deliberately not here: when a step runs and how long it takes. That is the caller's: threads and
//! clocks in the server, the event heap in the simulator.

pub mod history;
pub mod loading;
pub mod log_stage;
pub mod snapshot_file;
pub mod snapshot_gate;

pub use loading::{Found, Recovered, Recovery, Tail};
pub use log_stage::{Idle, LogEvent, LogPlan, LogStage};
pub use snapshot_file::SnapshotFile;
pub use snapshot_gate::SnapshotGate;
