//! The recipes against three real servers in trouble, and beside other clients.
//!
//! `ROOKEEPER_FLAVOUR` names the servers (rookeeper, apache395, apache380; the first if not set),
//! `ROOKEEPER_RECIPES_ROUNDS` how often leaders are killed, links cut and clients paused (1).

#![allow(unreachable_pub, missing_debug_implementations, reason = "modules of a test binary")]

#[path = "../support/mod.rs"]
mod support;

mod checks;
mod cluster;
mod kazoo;
mod paused;
mod trouble;
mod work;
