//! Threads, ports, configuration, real disk, four-letter words, metrics.

pub mod config;
pub mod fourletter_client;
