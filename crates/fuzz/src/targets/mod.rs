//! The targets.

mod auth;
mod client_session;
mod connect;
mod connect_string;
mod dynamic_config;
mod election_message;
mod epoch_file;
mod goldens;
mod log_file;
mod member;
mod multi;
mod offline_log;
mod offline_snapshot;
mod outbox;
mod quorum_packet;
mod replica;
mod request;
mod response;
mod round_trip;
mod shell_line;
mod snapshot_file;
mod story;
mod tree_sink;
mod txn;
mod zoo_cfg;

use crate::Target;

/// Beside a multiple of the input: nothing to speak of.
const SMALL: usize = 256 << 10;
/// Files are read in windows of 256 KiB, through codecs with buffers of their own.
const FILES: usize = 8 << 20;
/// A replica with its tables, and all that the script makes it keep.
const CORE: usize = 32 << 20;

macro_rules! targets {
    ($($name:ident: $base:expr),* $(,)?) => {
        /// All of them.
        pub const TARGETS: &[Target] = &[$(Target {
            name: stringify!($name),
            run: $name::run,
            seeds: $name::seeds,
            base_bytes: $base,
        }),*];
    };
}

targets! {
    connect: SMALL,
    request: SMALL,
    response: SMALL,
    multi: SMALL,
    txn: SMALL,
    quorum_packet: SMALL,
    election_message: SMALL,
    dynamic_config: SMALL,
    zoo_cfg: FILES,
    log_file: FILES,
    snapshot_file: FILES,
    offline_log: FILES,
    offline_snapshot: FILES,
    epoch_file: SMALL,
    auth: FILES,
    connect_string: SMALL,
    shell_line: SMALL,
    client_session: FILES,
    replica: CORE,
    member: CORE,
}
