//! The shell around the replica: threads, ports, configuration, real disk, four-letter words, metrics.
//!
//! Everything that opens a file or a socket, reads a clock or starts a thread is here (or in `net`,
//! which knows no ZooKeeper). What happens to a request is in `replica`.

pub mod config;
mod core_thread;
mod descriptors;
mod ensemble;
mod fourletter;
pub mod fourletter_client;
mod log_thread;
mod lone_write;
mod mailbox;
mod metrics;
pub mod real_disk;
mod recovery;
mod retention;
mod service;
mod settings;
mod snapshot_thread;
mod start;
pub mod version;

pub use start::run;
