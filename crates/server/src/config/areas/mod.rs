//! The typed configuration, one file per area: the structures and how each is read.

pub mod admin;
pub mod auth;
pub mod client;
pub mod limits;
pub mod quorum;
pub mod storage;
