//! When old snapshots and logs are removed (Java: DatadirCleanupManager; `operations.md` 9.7).
//!
//! * `autopurge.purgeInterval` above 0: at the start and every so many hours, as in Java.
//! * `autopurge.purgeInterval=0` in the configuration: never.
//! * not configured: behind every snapshot, but only in a directory that Rookeeper made. Where Apache
//!   wrote first nothing is removed unasked; the log says once how much a purge would free.
//!
//! Runs on the snapshot thread, so that nothing is purged while a snapshot is written. What may go is
//! `storage`'s decision: nothing goes before the snapshots that stay were read completely.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rookeeper_storage::{DataDirs, Disk, PurgePlan, Purger, is_created_by_us, purge};

use crate::config::areas::storage::Autopurge;

/// What decides that it is time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Never,
    /// At the start, and then with this distance.
    Every(Duration),
    AfterSnapshots,
    /// Once, and only to say what it would remove.
    Announce,
}

/// Removes what is no longer needed.
#[derive(Debug)]
pub(crate) struct Retention {
    disk: Arc<dyn Disk>,
    dirs: DataDirs,
    purger: Purger,
    retain_count: usize,
    policy: Policy,
    /// When to act next, where time decides.
    due: Option<Instant>,
}

impl Retention {
    /// By configuration and by who made the directory.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dirs: DataDirs,
        autopurge: &Autopurge,
        now: Instant,
    ) -> Self {
        let hours = u64::try_from(autopurge.purge_interval_hours).unwrap_or(0);
        let policy = if hours != 0 {
            Policy::Every(Duration::from_secs(hours.saturating_mul(3600)))
        } else if autopurge.interval_is_explicit {
            Policy::Never
        } else if is_created_by_us(&*disk, &dirs).unwrap_or(false) {
            Policy::AfterSnapshots
        } else {
            Policy::Announce
        };
        let is_timed = matches!(policy, Policy::Every(_) | Policy::Announce);
        let retain_count = usize::try_from(autopurge.snap_retain_count).unwrap_or(0);
        Self {
            disk,
            dirs,
            purger: Purger::default(),
            retain_count,
            policy,
            due: is_timed.then_some(now),
        }
    }

    /// How long until [`Retention::on_time`] has something to do.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(now))
    }

    /// The time [`Retention::wait`] named may have come.
    pub(crate) fn on_time(&mut self, now: Instant) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.due = match self.policy {
            Policy::Every(interval) => now.checked_add(interval),
            _ => None,
        };
        self.act();
    }

    /// A snapshot was written.
    pub(crate) fn on_snapshot(&mut self) {
        if self.policy == Policy::AfterSnapshots {
            self.act();
        }
    }

    fn act(&mut self) {
        let plan = match self.purger.plan(&*self.disk, &self.dirs, self.retain_count) {
            Ok(plan) => plan,
            Err(error) => {
                return tracing::warn!("old snapshots and logs were not looked at: {error}");
            }
        };
        let PurgePlan { snapshots, logs, bytes } = &plan;
        if snapshots.is_empty() && logs.is_empty() {
            return;
        }
        let what = format!("{} snapshots and {} logs ({bytes} bytes)", snapshots.len(), logs.len());
        if self.policy == Policy::Announce {
            return tracing::info!(
                "{what} are older than the {} newest snapshots need; they stay, since this directory \
                 was not made by Rookeeper: autopurge.purgeInterval=1 removes them every hour",
                self.retain_count
            );
        }
        match purge(&*self.disk, &self.dirs, &plan) {
            Ok(()) => tracing::info!("purged {what}"),
            Err(error) => tracing::warn!("could not purge {what}: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use rookeeper_proto::Zxid;
    use rookeeper_proto::txn::{DIGEST_VERSION, TxnDigest};
    use rookeeper_storage::snapshot::body::{put_end, put_head};
    use rookeeper_storage::{
        Compression, MemDisk, RecoverOptions, RecoverySink, SinkError, SnapshotMeta, SnapshotSink,
        SnapshotWriter, recover,
    };

    use super::*;

    struct Ignore;
    impl SnapshotSink for Ignore {
        fn reset(&mut self) {}
        fn session(&mut self, _: rookeeper_proto::SessionId, _: i32) -> Result<(), SinkError> {
            Ok(())
        }
        fn acl(&mut self, _: i64, _: rookeeper_proto::AclList) -> Result<(), SinkError> {
            Ok(())
        }
        fn node(
            &mut self,
            _: &str,
            _: Option<&[u8]>,
            _: i64,
            _: &rookeeper_proto::StatPersisted,
        ) -> Result<(), SinkError> {
            Ok(())
        }
    }
    impl RecoverySink for Ignore {
        fn snapshot_loaded(&mut self, _: &SnapshotMeta) -> Result<(), SinkError> {
            Ok(())
        }
        fn record(&mut self, _: Zxid, _: &[u8]) -> Result<(), SinkError> {
            Ok(())
        }
    }

    /// A directory with snapshots of these zxids, made by us or not.
    fn directory(made_by_us: bool, zxids: &[i64]) -> (Arc<dyn Disk>, MemDisk, DataDirs) {
        let memory = MemDisk::new();
        let disk: Arc<dyn Disk> = Arc::new(memory.clone());
        let dirs = DataDirs::new(Path::new("/data"), None);
        if made_by_us {
            recover(&*disk, &dirs, &RecoverOptions::default(), &mut Ignore).expect("a directory");
        } else {
            disk.create_dir_all(&dirs.snap_dir).expect("a directory");
        }
        for &zxid in zxids {
            add_snapshot(&disk, &dirs, zxid);
        }
        (disk, memory, dirs)
    }

    fn add_snapshot(disk: &Arc<dyn Disk>, dirs: &DataDirs, zxid: i64) {
        let created =
            SnapshotWriter::create(Arc::clone(disk), &dirs.snap_dir, Zxid(zxid), Compression::None);
        let mut writer = created.expect("room").expect("there is none yet");
        let mut body = Vec::new();
        put_head(&mut body, &[], &[]);
        put_end(&mut body);
        writer.write(&body).expect("room");
        writer.finish(TxnDigest { version: DIGEST_VERSION, digest: 0 }).expect("a snapshot");
    }

    fn snapshots(memory: &MemDisk) -> Vec<String> {
        let name = |path: &PathBuf| path.file_name().map(|n| n.to_string_lossy().into_owned());
        let mut names: Vec<String> = memory.files().keys().filter_map(name).collect();
        names.retain(|name| name.starts_with("snapshot."));
        names
    }

    fn keys(hours: i32, explicit: bool) -> Autopurge {
        Autopurge {
            snap_retain_count: 3,
            purge_interval_hours: hours,
            interval_is_explicit: explicit,
        }
    }

    #[test]
    fn unasked_only_where_rookeeper_began() {
        let now = Instant::now();
        for (ours, keys, left) in [
            (true, keys(0, false), 3),
            (true, keys(0, true), 6),
            (false, keys(0, false), 5),
            (false, keys(0, true), 5),
        ] {
            let (disk, memory, dirs) = directory(ours, &[1, 2, 3, 4, 5]);
            let mut retention = Retention::new(disk, dirs, &keys, now);
            retention.on_time(now);
            retention.on_snapshot();
            // A directory of ours begins with snapshot.0.
            assert_eq!(snapshots(&memory).len(), left, "{ours} {keys:?}");
            assert_eq!(retention.wait(now), None, "nothing is timed");
        }
    }

    #[test]
    fn an_interval_purges_at_the_start_and_then_every_so_often() {
        let now = Instant::now();
        let (disk, memory, dirs) = directory(false, &[1, 2, 3, 4, 5]);
        let mut retention = Retention::new(Arc::clone(&disk), dirs.clone(), &keys(2, true), now);
        assert_eq!(retention.wait(now), Some(Duration::ZERO));
        retention.on_time(now);
        assert_eq!(snapshots(&memory), ["snapshot.3", "snapshot.4", "snapshot.5"]);
        add_snapshot(&disk, &dirs, 6);
        retention.on_snapshot();
        retention.on_time(now + Duration::from_secs(7199));
        assert_eq!(snapshots(&memory).len(), 4, "not yet");
        assert_eq!(retention.wait(now), Some(Duration::from_secs(7200)));
        retention.on_time(now + Duration::from_secs(7200));
        assert_eq!(snapshots(&memory), ["snapshot.4", "snapshot.5", "snapshot.6"]);
    }
}
