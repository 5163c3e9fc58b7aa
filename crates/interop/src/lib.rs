//! Starts the real components that prove Rookeeper right, and talks to them byte by byte.
//!
//! The oracles are Apache ZooKeeper 3.9.5 and 3.8.0, kazoo and the C client, fetched by
//! `scripts/fetch-oracles`. [`Server`] and [`Ensemble`] start any [`Flavour`] of server with the same
//! configuration on free loopback ports and end it by process id. [`raw`] encodes requests and decodes
//! replies on its own: an oracle that shared the project's encoder would share its mistakes, so nothing
//! here depends on another crate of the workspace.
//!
//! Tests that need a fetched component are behind the feature `interop`; with it on, a missing
//! component is a failure that names the command to fetch it, never a silent skip.

pub mod apache;
pub mod client;
pub mod crash_load;
pub mod crash_server;
pub mod describe;
pub mod diff;
pub mod disk;
pub mod dump;
pub mod ensemble;
pub mod error;
pub mod forgetful_disk;
pub mod fourletter;
pub mod golden;
pub mod normalise;
pub mod offline_tools;
pub mod oracle;
pub mod ports;
pub mod process;
pub mod raw;
pub mod rookeeper;
pub mod scenarios;
pub mod server;
pub mod strace;
pub mod strace_check;
pub mod words;

pub use ensemble::{Ensemble, Member};
pub use error::HarnessError;
pub use server::{Flavour, Server, ServerConfig};

/// What every fallible function of the harness returns.
pub type Result<T> = std::result::Result<T, HarnessError>;
