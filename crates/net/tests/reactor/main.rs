//! The reactor over real loopback sockets.
//!
//! Most tests drive reactor and clients from one thread, turn by turn, so that what happens in
//! between is known and nothing waits for time to pass.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod accepting;
mod ends;
mod flow;
mod input;
mod layers;
mod outgoing;
mod rig;
mod timing;
