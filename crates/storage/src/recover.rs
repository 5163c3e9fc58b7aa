//! Opens a data directory: `storage-format.md` section 4, step by step.
//!
//! Guarantees: what comes back is a prefix without holes of what was written, and holds everything
//! that was acknowledged; whatever was dropped, skipped or doubted is in the report; anything that
//! a crash cannot explain is refused with file and offset. When it returns, everything it read is
//! durable and the log may be continued behind it, by us or by Java.
//!
//! Stricter than Java: a hole between snapshot and log, and falling back to an older snapshot whose
//! log does not reach the damaged one, are refused (Java accepts both silently, S7).

use std::path::Path;

use rookeeper_proto::Zxid;

use crate::disk::{Disk, remove_if_there};
use crate::epoch::{ACCEPTED_EPOCH, CURRENT_EPOCH, Epochs, recover_epochs};
use crate::error::{Error, Result};
use crate::marker::{is_unknown, mark_created};
use crate::names::{DataDirs, NamedFile, log_files, snapshot_files, zxid_in_name};
use crate::rewind::finish_installation;
use crate::snapshot::body::{SinkError, SnapshotSink};
use crate::snapshot::{
    MAX_ITEM_BYTES, SnapshotMeta, TEMPORARY_PREFIX, looks_complete, read_snapshot, write_fresh,
};
use crate::txn_log::{LogReader, LogSummary, SPARE_NAME, make_durable, repair};

/// What takes a data directory's contents.
pub trait RecoverySink: SnapshotSink {
    /// The snapshot is complete; records follow.
    fn snapshot_loaded(&mut self, meta: &SnapshotMeta) -> std::result::Result<(), SinkError>;
    /// The next record: header, txn, digest. An error refuses the start, naming file and offset.
    fn record(&mut self, zxid: Zxid, payload: &[u8]) -> std::result::Result<(), SinkError>;
}

/// Switches of recovery.
#[derive(Debug, Clone)]
pub struct RecoverOptions {
    /// `zookeeper.db.autocreate`.
    pub db_autocreate: bool,
    /// `zookeeper.snapshot.trust.empty`.
    pub trust_empty: bool,
    /// `zookeeper.datadir.autocreate`.
    pub datadir_autocreate: bool,
    /// Longest record, and longest path, datum or ACL of a snapshot, that is read.
    pub max_record_bytes: usize,
    /// Whether this server keeps epoch files (a member of an ensemble).
    pub epochs: bool,
    /// Whether to write at all; a tool that only looks says no.
    pub repair: bool,
}

impl Default for RecoverOptions {
    fn default() -> Self {
        Self {
            db_autocreate: true,
            trust_empty: false,
            datadir_autocreate: true,
            max_record_bytes: MAX_ITEM_BYTES,
            epochs: false,
            repair: true,
        }
    }
}

/// Everything an operator should know about a start, one sentence each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Ordinary facts.
    pub notes: Vec<String>,
    /// Things dropped, repaired or doubtful.
    pub warnings: Vec<String>,
}

/// What was found.
#[derive(Debug)]
pub struct Recovered {
    /// The last txn held; [`Zxid::UNKNOWN`] if the database is empty and must not vote
    /// (`db.autocreate=false` without an `initialize` file).
    pub last_zxid: Zxid,
    /// The snapshot it began from.
    pub snapshot: Option<SnapshotMeta>,
    /// Records replayed.
    pub records: u64,
    /// Whether the directory was empty and has been initialised now.
    pub is_new: bool,
    /// Whether acknowledged txns may have been dropped here: a member of an ensemble must not vote
    /// with `last_zxid` before it has taken a snapshot from the leader.
    pub is_unknown: bool,
    /// The epoch files, if asked for.
    pub epochs: Option<Epochs>,
    /// What to tell the operator.
    pub report: RecoveryReport,
}

/// Opens a data directory: loads the newest usable snapshot, replays the log, repairs a torn tail.
/// The caller holds the directories' locks.
pub fn recover(
    disk: &dyn Disk,
    dirs: &DataDirs,
    options: &RecoverOptions,
    sink: &mut dyn RecoverySink,
) -> Result<Recovered> {
    let mut recovery = Recovery { disk, dirs, options, report: RecoveryReport::default() };
    recovery.check_dirs()?;
    if options.repair {
        if finish_installation(disk, dirs)? {
            let note = "removed what a leader's snapshot had replaced".to_owned();
            recovery.report.notes.push(note);
        }
        recovery.remove_leftovers()?;
    }
    let (is_new, is_voting) = recovery.prepare_empty()?;
    let mut found = if is_voting {
        let snapshot = recovery.load_snapshot(sink)?;
        let summary = recovery.replay(&snapshot, sink)?;
        recovery.settle(&snapshot, summary)?
    } else {
        (Zxid::UNKNOWN, None, 0)
    };
    if is_unknown(disk, dirs)? {
        recovery.report.warnings.push(
            "this directory is marked as one that may have dropped acknowledged transactions: in an \
             ensemble it does not vote before it has synchronised"
                .to_owned(),
        );
    }
    let epochs = recovery.epochs(found.0)?;
    let is_unknown = is_unknown(disk, dirs)?;
    Ok(Recovered {
        last_zxid: found.0,
        snapshot: found.1.take(),
        records: found.2,
        is_new,
        is_unknown,
        epochs,
        report: recovery.report,
    })
}

struct Recovery<'a> {
    disk: &'a dyn Disk,
    dirs: &'a DataDirs,
    options: &'a RecoverOptions,
    report: RecoveryReport,
}

impl Recovery<'_> {
    fn warn(&mut self, sentence: String) {
        self.report.warnings.push(sentence);
    }

    fn check_dirs(&mut self) -> Result<()> {
        for dir in [&self.dirs.snap_dir, &self.dirs.log_dir] {
            if self.disk.exists(dir).map_err(Error::io("look for", dir))? {
                continue;
            }
            if !self.options.datadir_autocreate || !self.options.repair {
                let why = "does not exist, and zookeeper.datadir.autocreate is off: create it";
                return Err(Error::refused(dir, why));
            }
            self.disk.create_dir_all(dir).map_err(Error::io("create", dir))?;
        }
        if !self.dirs.are_separate() {
            return Ok(());
        }
        let logs = log_files(self.disk, &self.dirs.snap_dir)?;
        let snapshots = snapshot_files(self.disk, &self.dirs.log_dir)?;
        let what = "dataLogDir is set, but this file is in the other directory: move it";
        match logs.first().or(snapshots.first()) {
            Some(misplaced) => Err(Error::refused(&misplaced.path, what)),
            None => Ok(()),
        }
    }

    /// Removes what a crash of a writer left under temporary names (S12). `currentEpoch.tmp` stays:
    /// it is read later.
    fn remove_leftovers(&mut self) -> Result<()> {
        let mut dirs = vec![&self.dirs.snap_dir];
        if self.dirs.are_separate() {
            dirs.push(&self.dirs.log_dir);
        }
        for dir in dirs {
            for name in self.disk.list(dir).map_err(Error::io("list", dir))? {
                let is_snapshot = zxid_in_name(&name, "snapshot").is_some();
                let is_ours = name.starts_with(TEMPORARY_PREFIX) || name.starts_with("rookeeper.");
                let is_leftover = name.ends_with(".tmp") && (is_snapshot || is_ours);
                if is_leftover || name == SPARE_NAME {
                    let path = dir.join(&name);
                    remove_if_there(self.disk, &path).map_err(Error::io("remove", &path))?;
                    self.report.notes.push(format!("removed the unfinished {name}"));
                }
            }
        }
        Ok(())
    }

    /// Deals with a directory without snapshots: whether it is new, and whether it may vote.
    fn prepare_empty(&mut self) -> Result<(bool, bool)> {
        let snapshots = snapshot_files(self.disk, &self.dirs.snap_dir)?;
        let may_create = self.take_initialize()? || self.options.db_autocreate;
        if snapshots.iter().any(|found| Zxid::ZERO < found.zxid) {
            return Ok((false, true));
        }
        for found in &snapshots {
            if self.is_complete(&found.path)? {
                return Ok((false, true));
            }
        }
        let logs = log_files(self.disk, &self.dirs.log_dir)?;
        if !logs.is_empty() && !self.options.trust_empty {
            let why = "No snapshot found, but there are log entries. Something is broken: a \
                       snapshot was deleted or is in another directory (an ensemble upgraded from \
                       3.4 without snapshots sets zookeeper.snapshot.trust.empty=true once)";
            return Err(Error::refused(&self.dirs.snap_dir, why));
        }
        if !logs.is_empty() {
            self.warn("no snapshot, but zookeeper.snapshot.trust.empty: replaying all logs".into());
        } else if !may_create {
            return Ok((true, false));
        }
        if !self.options.repair {
            return Err(Error::refused(&self.dirs.snap_dir, "holds no snapshot"));
        }
        if logs.is_empty() && snapshots.is_empty() && !self.has_epoch_files()? {
            mark_created(self.disk, self.dirs)?;
        }
        write_fresh(self.disk, &self.dirs.snap_dir)?;
        Ok((logs.is_empty(), true))
    }

    fn has_epoch_files(&self) -> Result<bool> {
        for name in [CURRENT_EPOCH, ACCEPTED_EPOCH] {
            let path = self.dirs.snap_dir.join(name);
            if self.disk.exists(&path).map_err(Error::io("look for", &path))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The marker an operator (or `zkServer-initialize.sh`) puts there: an empty server may vote.
    fn take_initialize(&mut self) -> Result<bool> {
        let path = self.dirs.initialize_marker();
        let exists = self.disk.exists(&path).map_err(Error::io("look for", &path))?;
        if exists && self.options.repair {
            self.disk.remove(&path).map_err(Error::io("remove", &path))?;
        }
        Ok(exists)
    }

    fn is_complete(&self, path: &Path) -> Result<bool> {
        match looks_complete(self.disk, path) {
            Ok(is_complete) => Ok(is_complete),
            // An unreadable file is one that cannot be used.
            Err(Error::Io { .. }) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Loads the newest snapshot that can be used safely.
    fn load_snapshot(&mut self, sink: &mut dyn RecoverySink) -> Result<SnapshotMeta> {
        let mut snapshots = snapshot_files(self.disk, &self.dirs.snap_dir)?;
        snapshots.reverse();
        let mut why = Vec::new();
        // The newest txn that a snapshot we cannot use would have held.
        let mut must_reach = Zxid::UNKNOWN;
        let mut candidates = 0;
        for found in &snapshots {
            if !self.is_complete(&found.path)? {
                let path = found.path.display();
                why.push(format!("{path} is incomplete (a crash while it was written)"));
                must_reach = must_reach.max(found.zxid);
                continue;
            }
            candidates += 1;
            if MAX_CANDIDATES < candidates {
                break;
            }
            if let Err(e) = self.check_fallback(found, must_reach) {
                why.push(format!("{} is whole but too old: {e}", found.path.display()));
                continue;
            }
            match self.load_one(found, sink) {
                Ok(meta) => {
                    for sentence in why {
                        let used = meta.path.display();
                        self.warn(format!("{sentence}; {used} and the log behind it are used"));
                    }
                    return Ok(meta);
                }
                Err(e) => {
                    why.push(e.to_string());
                    must_reach = must_reach.max(found.zxid);
                }
            }
        }
        Err(Error::NoValidSnapshot { dir: self.dirs.snap_dir.clone(), why: why.join("; ") })
    }

    fn load_one(&self, found: &NamedFile, sink: &mut dyn RecoverySink) -> Result<SnapshotMeta> {
        sink.reset();
        let max = self.options.max_record_bytes;
        let meta = read_snapshot(self.disk, &found.path, max, sink)?;
        let loaded = sink.snapshot_loaded(&meta);
        loaded.map_err(|e| Error::corrupt(&found.path, 0, "a usable tree", e))?;
        Ok(meta)
    }

    /// An older snapshot does only if the log leads from it to where the newer one was.
    fn check_fallback(&self, found: &NamedFile, must_reach: Zxid) -> Result<()> {
        if must_reach <= found.zxid {
            return Ok(());
        }
        let summary = self.read_log(found.zxid)?.finish()?;
        if summary.last < must_reach {
            let why = format!(
                "the log behind it ends at {}, but a newer snapshot held everything up to {must_reach}",
                summary.last
            );
            return Err(Error::refused(&self.dirs.log_dir, why));
        }
        Ok(())
    }

    fn read_log(&self, after: Zxid) -> Result<LogReader<'_>> {
        LogReader::open(self.disk, &self.dirs.log_dir, after, self.options.max_record_bytes)
    }

    fn replay(&self, from: &SnapshotMeta, sink: &mut dyn RecoverySink) -> Result<LogSummary> {
        let mut reader = self.read_log(from.zxid)?;
        while let Some(record) = reader.next_record()? {
            let offset = record.offset;
            if let Err(e) = sink.record(record.zxid, record.payload) {
                let path = reader.path().unwrap_or(&self.dirs.log_dir);
                return Err(Error::corrupt(path, offset, "a transaction", e));
            }
        }
        reader.finish()
    }

    /// Repairs the log, makes everything durable, and says what was found.
    fn settle(
        &mut self,
        from: &SnapshotMeta,
        summary: LogSummary,
    ) -> Result<(Zxid, Option<SnapshotMeta>, u64)> {
        if self.options.repair {
            repair(self.disk, &self.dirs.log_dir, &summary.repairs)?;
            make_durable(self.disk, &self.dirs.log_dir, &summary)?;
            let snap_dir = &self.dirs.snap_dir;
            self.disk.sync_dir(snap_dir).map_err(Error::io("force", snap_dir))?;
        }
        if let Some((ahead, _)) = from.digest.filter(|(zxid, _)| summary.last < *zxid) {
            self.warn(format!(
                "{} was taken while transactions up to {ahead} were applied, but the log ends at {}: \
                 it may hold traces of transactions that were never acknowledged",
                from.path.display(),
                summary.last
            ));
        }
        let (snapshot, last, records) = (from.path.display(), summary.last, summary.records);
        self.report.notes.push(format!("{snapshot} and {records} transactions, up to {last}"));
        self.report.warnings.extend(summary.warnings);
        Ok((last, Some(from.clone()), records))
    }

    fn epochs(&mut self, last: Zxid) -> Result<Option<Epochs>> {
        if !self.options.epochs {
            return Ok(None);
        }
        let (dir, is_repairing) = (&self.dirs.snap_dir, self.options.repair);
        let warnings = &mut self.report.warnings;
        let epochs = recover_epochs(self.disk, dir, last, is_repairing, warnings)?;
        for name in [CURRENT_EPOCH, ACCEPTED_EPOCH] {
            let path = dir.join(format!("{name}.tmp"));
            if is_repairing && self.disk.exists(&path).map_err(Error::io("look for", &path))? {
                self.disk.remove(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(Some(epochs))
    }
}

/// How many snapshots are tried (`storage-format.md` 3.3).
const MAX_CANDIDATES: usize = 100;
