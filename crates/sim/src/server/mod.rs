//! One server as a process: the replica and the storage code that ship, with the shell around them
//! (core turn, log stage, snapshot stage, boot) driven by virtual time.
//!
//! The shell mirrors `server::{core_thread, log_thread, snapshot_thread, recovery}` step by step; what
//! differs is only who calls: the event heap instead of threads.

pub(crate) mod boot;
mod careless_disk;
pub(crate) mod conns;
pub(crate) mod log_stage;
pub(crate) mod member;
pub(crate) mod service;
pub(crate) mod snapshot_stage;
pub(crate) mod turn;

pub(crate) use turn::Process;
