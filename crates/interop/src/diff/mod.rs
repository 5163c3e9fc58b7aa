//! The same generated script against two servers, every answer compared.
//!
//! [`generate`] makes a script of several sessions from a seed; [`run`] plays it over raw sockets and
//! hands back what each connection received, made comparable by [`crate::normalise`]; [`compare`] finds the
//! first difference; [`shrink`] makes a differing script small; [`coverage`] counts which operation met
//! which error code.
//!
//! Determinism rests on three rules of the runner: one session speaks at a time, in batches that it waits
//! for; after a batch that may have changed something, every other session that may watch is pinged, so
//! that its events are attributed to that batch; and a connection is given up only after the server has
//! closed its side. Scripts run one after the other, each under a root znode of its own, so that zxids
//! can be compared as offsets.

pub mod compare;
pub mod coverage;
pub mod generate;
pub mod profile;
pub mod rng;
pub mod run;
pub mod script;
pub mod shrink;
