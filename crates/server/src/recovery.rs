//! Opens the data directory of a server that starts, and says what was found.

use std::time::Instant;

use rookeeper_replica::durable::{Found, Recovered, Recovery};
use rookeeper_storage::{DataDirs, Disk, RecoverOptions};

use crate::config::Config;
use crate::ensemble::start::history_records;
use crate::metrics::Startup;
use crate::settings;

/// What opening a directory takes, by configuration; `is_member` asks for the epoch files.
pub(crate) fn plan(config: &Config, is_member: bool) -> Result<Recovery, String> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| format!("no randomness to be had: {error}"))?;
    let storage = RecoverOptions {
        db_autocreate: config.storage.db_autocreate,
        trust_empty: config.storage.trust_empty_snapshot,
        datadir_autocreate: config.storage.data_dir_autocreate,
        epochs: is_member,
        ..RecoverOptions::default()
    };
    let tree = settings::tree(config, u64::from_ne_bytes(seed));
    Ok(Recovery { tree, storage, tail_records: history_records(config) })
}

/// Opens the data directory, logs what was found, and builds the tree.
pub(crate) fn recover(
    disk: &dyn Disk,
    dirs: &DataDirs,
    recovery: &Recovery,
) -> Result<(Recovered, Startup), String> {
    let started = Instant::now();
    let mut loaded_at = started;
    let recovered = recovery.recover(disk, dirs, &mut |found| {
        if let Found::Snapshot = found {
            loaded_at = Instant::now();
        }
    })?;
    recovered.report.notes.iter().for_each(|note| tracing::info!("{note}"));
    recovered.report.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    if 0 < recovered.mismatches.0 {
        tracing::error!(
            "the tree's digest differs from the recorded one after {} of the replayed txns",
            recovered.mismatches.0
        );
    }
    let startup = Startup {
        records: recovered.records,
        snapshot_took: loaded_at.saturating_duration_since(started),
        records_took: loaded_at.elapsed(),
    };
    Ok((recovered, startup))
}
