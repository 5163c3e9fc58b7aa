//! Loads a data directory into a tree.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use rookeeper_proto::txn::Record;
use rookeeper_proto::{AclList, SessionId, StatPersisted, Zxid};
use rookeeper_storage::{
    DataDirs, Disk, Epochs, RecoverOptions, RecoverySink, SinkError, SnapshotMeta, SnapshotSink,
};
use rookeeper_tree::{AclId, DataTree, TreeLoader, TreeOptions};
use rookeeper_zab::TxnRecord;

use crate::config::Config;
use crate::ensemble::start::{Tail, history_records};
use crate::metrics::Startup;
use crate::settings;

/// A recovered server.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) tree: DataTree,
    /// Records replayed on top of the snapshot.
    pub(crate) records: u64,
    /// The epoch files of a member of an ensemble.
    pub(crate) epochs: Option<Epochs>,
    /// Whether something acknowledged may have been dropped here.
    pub(crate) is_unknown: bool,
    /// The end of the log.
    pub(crate) tail: Tail,
    /// How long the snapshot and the log took to read.
    pub(crate) startup: Startup,
}

/// What opening a directory takes: the same at the start and after a truncation.
#[derive(Debug, Clone)]
pub(crate) struct Recovery {
    pub(crate) tree: TreeOptions,
    pub(crate) storage: RecoverOptions,
    /// Newest records that a member keeps in memory.
    pub(crate) tail_records: usize,
}

impl Recovery {
    /// By configuration; `is_member` asks for the epoch files.
    pub(crate) fn new(config: &Config, is_member: bool) -> Result<Self, String> {
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
        Ok(Self { tree, storage, tail_records: history_records(config) })
    }
}

/// Opens the data directory, logs what was found, and builds the tree.
pub(crate) fn recover(
    disk: &dyn Disk,
    dirs: &DataDirs,
    recovery: &Recovery,
) -> Result<Recovered, String> {
    let started = Instant::now();
    let options = recovery.tree;
    let mut sink = Sink {
        options,
        state: State::Loading(Box::new(TreeLoader::new(options))),
        mismatches: 0,
        keeps_tail: recovery.storage.epochs,
        tail_records: recovery.tail_records,
        tail: VecDeque::new(),
        base: Zxid::ZERO,
        snapshot_loaded_at: None,
    };
    let recovered = rookeeper_storage::recover(disk, dirs, &recovery.storage, &mut sink)
        .map_err(|error| error.to_string())?;
    recovered.report.notes.iter().for_each(|note| tracing::info!("{note}"));
    recovered.report.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    if 0 < sink.mismatches {
        tracing::error!(
            "the tree's digest differs from the recorded one after {} of the replayed txns",
            sink.mismatches
        );
    }
    let tree = match sink.state {
        State::Loaded(tree) => *tree,
        State::Loading(_) => DataTree::new(options),
    };
    let tail = Tail { base: sink.base, recent: sink.tail.into() };
    let (epochs, is_unknown) = (recovered.epochs, recovered.is_unknown);
    let loaded_at = sink.snapshot_loaded_at.unwrap_or(started);
    let startup = Startup {
        records: recovered.records,
        snapshot_took: loaded_at.saturating_duration_since(started),
        records_took: loaded_at.elapsed(),
    };
    Ok(Recovered { tree, records: recovered.records, epochs, is_unknown, tail, startup })
}

enum State {
    Loading(Box<TreeLoader>),
    Loaded(Box<DataTree>),
}

struct Sink {
    options: TreeOptions,
    state: State,
    mismatches: u64,
    /// Whether the newest records are kept, for learners that are a little behind.
    keeps_tail: bool,
    tail_records: usize,
    tail: VecDeque<TxnRecord>,
    base: Zxid,
    snapshot_loaded_at: Option<Instant>,
}

impl Sink {
    fn loader(&mut self) -> Result<&mut TreeLoader, SinkError> {
        match &mut self.state {
            State::Loading(loader) => Ok(loader),
            State::Loaded(_) => Err(SinkError("a snapshot begins behind its own end".to_owned())),
        }
    }
}

impl SnapshotSink for Sink {
    fn reset(&mut self) {
        self.state = State::Loading(Box::new(TreeLoader::new(self.options)));
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

impl RecoverySink for Sink {
    fn snapshot_loaded(&mut self, meta: &SnapshotMeta) -> Result<(), SinkError> {
        let fresh = State::Loading(Box::new(TreeLoader::new(self.options)));
        let State::Loading(loader) = std::mem::replace(&mut self.state, fresh) else {
            return Err(SinkError("a snapshot ends twice".to_owned()));
        };
        let tree = loader.finish(meta.zxid).map_err(|error| SinkError(error.to_string()))?;
        self.base = meta.zxid;
        self.snapshot_loaded_at = Some(Instant::now());
        self.tail.clear();
        self.state = State::Loaded(Box::new(tree));
        Ok(())
    }

    fn record(&mut self, _zxid: Zxid, payload: &[u8]) -> Result<(), SinkError> {
        if matches!(self.state, State::Loading(_)) {
            // No snapshot (snapshot.trust.empty): the log begins from nothing.
            self.state = State::Loaded(Box::new(DataTree::new(self.options)));
        }
        let State::Loaded(tree) = &mut self.state else {
            return Err(SinkError("a record without a tree".to_owned()));
        };
        let record = Record::read(payload).map_err(|error| SinkError(error.to_string()))?;
        if tree.apply_record(&record, &mut ()).1.is_some() {
            self.mismatches += 1;
        }
        if self.keeps_tail {
            let zxid = record.header.zxid;
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
