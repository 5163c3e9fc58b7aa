//! Deterministic simulation of the very code that ships: one thread, virtual time, everything drawn
//! from a seed.
//!
//! A run ([`world`]) puts one server, or an ensemble of them (replica, zab, storage and the shell's logic,
//! [`server`]), on disks that forget and fail, joins them by a network that delays and cuts ([`peers`]),
//! adds clients on the core of `rookeeper-client` ([`client`]) that pipeline, watch, vanish and come back
//! elsewhere, and lets faults strike. A naive model ([`model`]) executes the same requests in zxid order; the
//! [`checkers`] compare every reply, event, record and recovery with it. The same seed gives the same run,
//! byte for byte; a violation prints the command that repeats it.
//!
//! What it deliberately leaves out: real sockets, threads and files (`server` and its tests), quotas,
//! SASL and TLS.
//!
//! `docs/simulator.md` tells the rest. Source: house.md section 12.

mod agenda;
pub mod checkers;
mod client;
pub mod counts;
mod ctx;
pub mod history;
pub mod model;
pub mod net;
mod peers;
pub mod plan;
pub mod rng;
mod run;
mod server;
mod storm;
pub mod trace;
pub mod violation;
pub mod world;

pub use counts::Counts;
pub use plan::{Plan, PlantedBug};
pub use run::run;
pub use violation::Violation;
pub use world::Outcome;
