//! A tree from a data directory, or from a snapshot that a leader sends.

use std::collections::VecDeque;

use bytes::Bytes;
use rookeeper_proto::txn::Record;
use rookeeper_proto::{AclList, SessionId, StatPersisted, Zxid};
use rookeeper_storage::{
    DataDirs, Disk, Epochs, RecoverOptions, RecoveryReport, RecoverySink, SinkError, SnapshotMeta,
    SnapshotSink,
};
use rookeeper_tree::{AclId, DataTree, TreeLoader, TreeOptions};
use rookeeper_zab::TxnRecord;

/// What opening a directory takes: the same at the start and after a truncation.
#[derive(Debug, Clone)]
pub struct Recovery {
    /// Settings of the tree.
    pub tree: TreeOptions,
    /// Settings of the storage.
    pub storage: RecoverOptions,
    /// Newest records that a member of an ensemble keeps in memory; nobody else keeps any.
    pub tail_records: usize,
}

/// A recovered server.
#[derive(Debug)]
pub struct Recovered {
    /// Its tree.
    pub tree: DataTree,
    /// The last txn held.
    pub last: Zxid,
    /// Records replayed on top of the snapshot.
    pub records: u64,
    /// After how many of them the tree's digest was not the recorded one, and the first of those.
    pub mismatches: (u64, Option<Zxid>),
    /// The epoch files of a member of an ensemble.
    pub epochs: Option<Epochs>,
    /// Whether something acknowledged may have been dropped here.
    pub is_unknown: bool,
    /// The end of the log.
    pub tail: Tail,
    /// For the operator.
    pub report: RecoveryReport,
}

/// The newest records of the log, and the point before them.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    /// A record, or the snapshot's zxid.
    pub base: Zxid,
    /// In order.
    pub recent: Vec<TxnRecord>,
}

/// What a recovery comes across.
#[derive(Debug)]
pub enum Found<'a> {
    /// The snapshot is loaded.
    Snapshot,
    /// A record is replayed.
    Record(Zxid, &'a [u8]),
}

impl Recovery {
    /// Opens the directory and builds the tree; `on_found` is told on the way. The caller holds the
    /// directory's lock.
    ///
    /// # Errors
    /// When the directory must not be used; in words for the operator.
    pub fn recover(
        &self,
        disk: &dyn Disk,
        dirs: &DataDirs,
        on_found: &mut dyn FnMut(Found<'_>),
    ) -> Result<Recovered, String> {
        let mut replay = Replay {
            loading: Loading::new(self.tree),
            mismatches: (0, None),
            tail_records: if self.storage.epochs { self.tail_records } else { 0 },
            tail: VecDeque::new(),
            base: Zxid::ZERO,
            on_found,
        };
        let found = rookeeper_storage::recover(disk, dirs, &self.storage, &mut replay)
            .map_err(|error| error.to_string())?;
        Ok(Recovered {
            last: found.last_zxid,
            records: found.records,
            mismatches: replay.mismatches,
            epochs: found.epochs,
            // An empty directory that may not vote (`db.autocreate=false`) knows as little.
            is_unknown: found.is_unknown || found.last_zxid == Zxid::UNKNOWN,
            tail: Tail { base: replay.base, recent: replay.tail.into() },
            report: found.report,
            tree: replay.loading.into_tree(),
        })
    }
}

/// A tree on its way in.
#[derive(Debug)]
pub(crate) struct Loading {
    options: TreeOptions,
    state: State,
}

#[derive(Debug)]
enum State {
    Loading(Box<TreeLoader>),
    Loaded(Box<DataTree>),
}

impl Loading {
    pub(crate) fn new(options: TreeOptions) -> Self {
        Self { options, state: State::Loading(Box::new(TreeLoader::new(options))) }
    }

    /// The snapshot is whole; it is the state as of `zxid`.
    pub(crate) fn finish(&mut self, zxid: Zxid) -> Result<(), SinkError> {
        let fresh = State::Loading(Box::new(TreeLoader::new(self.options)));
        let State::Loading(loader) = std::mem::replace(&mut self.state, fresh) else {
            return Err(SinkError("a snapshot ends twice".to_owned()));
        };
        let tree = loader.finish(zxid).map_err(|error| SinkError(error.to_string()))?;
        self.state = State::Loaded(Box::new(tree));
        Ok(())
    }

    /// The tree: empty if nothing was loaded.
    pub(crate) fn into_tree(self) -> DataTree {
        match self.state {
            State::Loaded(tree) => *tree,
            State::Loading(_) => DataTree::new(self.options),
        }
    }

    /// The tree, for records behind the snapshot. Without a snapshot (`snapshot.trust.empty`) the log
    /// begins from nothing.
    fn tree(&mut self) -> &mut DataTree {
        if matches!(self.state, State::Loading(_)) {
            self.state = State::Loaded(Box::new(DataTree::new(self.options)));
        }
        match &mut self.state {
            State::Loaded(tree) => tree,
            State::Loading(_) => unreachable!("it was made one just now"),
        }
    }

    fn loader(&mut self) -> Result<&mut TreeLoader, SinkError> {
        match &mut self.state {
            State::Loading(loader) => Ok(loader),
            State::Loaded(_) => Err(SinkError("a snapshot begins behind its own end".to_owned())),
        }
    }
}

impl SnapshotSink for Loading {
    fn reset(&mut self) {
        *self = Self::new(self.options);
    }

    fn session(&mut self, id: SessionId, timeout_ms: i32) -> Result<(), SinkError> {
        self.loader()?.on_session(id, timeout_ms);
        Ok(())
    }

    fn acl(&mut self, id: i64, acl: AclList) -> Result<(), SinkError> {
        self.loader()?.on_acl(AclId(id), acl);
        Ok(())
    }

    fn node(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl_id: i64,
        stat: &StatPersisted,
    ) -> Result<(), SinkError> {
        self.loader()?
            .on_node(path, data, AclId(acl_id), *stat)
            .map_err(|error| SinkError(error.to_string()))
    }
}

/// A directory on its way in.
struct Replay<'a> {
    loading: Loading,
    mismatches: (u64, Option<Zxid>),
    tail_records: usize,
    tail: VecDeque<TxnRecord>,
    base: Zxid,
    on_found: &'a mut dyn FnMut(Found<'_>),
}

impl SnapshotSink for Replay<'_> {
    fn reset(&mut self) {
        self.loading.reset();
    }

    fn session(&mut self, id: SessionId, timeout_ms: i32) -> Result<(), SinkError> {
        self.loading.session(id, timeout_ms)
    }

    fn acl(&mut self, id: i64, acl: AclList) -> Result<(), SinkError> {
        self.loading.acl(id, acl)
    }

    fn node(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl_id: i64,
        stat: &StatPersisted,
    ) -> Result<(), SinkError> {
        self.loading.node(path, data, acl_id, stat)
    }
}

impl RecoverySink for Replay<'_> {
    fn snapshot_loaded(&mut self, meta: &SnapshotMeta) -> Result<(), SinkError> {
        self.loading.finish(meta.zxid)?;
        self.base = meta.zxid;
        self.tail.clear();
        (self.on_found)(Found::Snapshot);
        Ok(())
    }

    fn record(&mut self, zxid: Zxid, payload: &[u8]) -> Result<(), SinkError> {
        let record = Record::read(payload).map_err(|error| SinkError(error.to_string()))?;
        if self.loading.tree().apply_record(&record, &mut ()).1.is_some() {
            self.mismatches.0 += 1;
            self.mismatches.1 = self.mismatches.1.or(Some(zxid));
        }
        (self.on_found)(Found::Record(zxid, payload));
        if 0 < self.tail_records {
            self.tail.push_back(TxnRecord { zxid, bytes: Bytes::copy_from_slice(payload) });
            if self.tail_records < self.tail.len()
                && let Some(dropped) = self.tail.pop_front()
            {
                self.base = dropped.zxid;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rookeeper_storage::MemDisk;

    use super::*;

    fn recover(db_autocreate: bool) -> Recovered {
        let storage = RecoverOptions { db_autocreate, epochs: true, ..RecoverOptions::default() };
        let tree = TreeOptions {
            extended_types: false,
            emulate_353_ttl: false,
            digest_enabled: false,
            hash_seed: 1,
        };
        let dirs = DataDirs::new(Path::new("/data"), None);
        let recovery = Recovery { tree, storage, tail_records: 10 };
        recovery.recover(&MemDisk::new(), &dirs, &mut |_| {}).expect("an empty directory")
    }

    /// `db.autocreate=false`: an empty server does not vote before it has taken a leader's state.
    #[test]
    fn an_empty_directory_that_may_not_vote_is_unknown() {
        assert!(recover(false).is_unknown);
        assert!(!recover(true).is_unknown);
    }
}
