//! One server without I/O: frontend, prep, ordering, applier, sessions, snapshotter.

pub mod auth;
pub mod prep;
