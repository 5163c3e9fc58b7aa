//! Rookeeper and Apache servers in one ensemble: every role by each side, every way of synchronisation
//! in both directions, a live migration under load, and leaders killed under load.
//!
//! Roles are pinned: of servers with equal logs the one with the highest id leads, and one with a longer
//! log leads whatever its id. Apache's own digest check must stay silent, and so must ours.
//!
//! `ROOKEEPER_BIN` names the binary under test, `ROOKEEPER_KILLS` the number of killed leaders;
//! with `ROOKEEPER_KEEP` set, the servers' folders stay behind.
//! Source: the quorum protocol reference, sections 3, 5 and 7.

mod battery;
mod cluster;
mod kills;
mod load;
mod migration;
mod observer_masters;
mod poison;
mod replaced_disks;
mod roles;
mod synchronisation;
