//! Deterministic simulation: virtual clock, faulty disk, network, checkers.
