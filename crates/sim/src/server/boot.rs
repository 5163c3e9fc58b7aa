//! Opening the data directory, as `server::recovery`, with an ear on every replayed record.

use rookeeper_proto::txn::Record;
use rookeeper_proto::{AclList, SessionId, StatPersisted, Zxid};
use rookeeper_storage::{
    DataDirs, Disk, RecoverOptions, RecoverySink, SinkError, SnapshotMeta, SnapshotSink, recover,
};
use rookeeper_tree::{AclId, DataTree, TreeLoader, TreeOptions};

/// A recovered server.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) tree: DataTree,
    pub(crate) last: Zxid,
    /// Records replayed on top of the snapshot, with their bytes.
    pub(crate) replayed: Vec<(Zxid, Vec<u8>)>,
    /// Replayed txns after which the digest was not the recorded one.
    pub(crate) mismatches: Vec<Zxid>,
    pub(crate) notes: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// Recovers.
pub(crate) fn boot(
    disk: &dyn Disk,
    dirs: &DataDirs,
    options: TreeOptions,
) -> Result<Recovered, String> {
    let state = State::Loading(Box::new(TreeLoader::new(options)));
    let mut sink = Sink { options, state, replayed: Vec::new(), mismatches: Vec::new() };
    let recover_options = RecoverOptions::default();
    let recovered =
        recover(disk, dirs, &recover_options, &mut sink).map_err(|error| error.to_string())?;
    let tree = match sink.state {
        State::Loaded(tree) => *tree,
        State::Loading(_) => DataTree::new(options),
    };
    Ok(Recovered {
        tree,
        last: recovered.last_zxid,
        replayed: sink.replayed,
        mismatches: sink.mismatches,
        notes: recovered.report.notes,
        warnings: recovered.report.warnings,
    })
}

enum State {
    Loading(Box<TreeLoader>),
    Loaded(Box<DataTree>),
}

struct Sink {
    options: TreeOptions,
    state: State,
    replayed: Vec<(Zxid, Vec<u8>)>,
    mismatches: Vec<Zxid>,
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
        self.state = State::Loaded(Box::new(tree));
        Ok(())
    }

    fn record(&mut self, zxid: Zxid, payload: &[u8]) -> Result<(), SinkError> {
        if matches!(self.state, State::Loading(_)) {
            self.state = State::Loaded(Box::new(DataTree::new(self.options)));
        }
        let State::Loaded(tree) = &mut self.state else {
            return Err(SinkError("a record without a tree".to_owned()));
        };
        let record = Record::read(payload).map_err(|error| SinkError(error.to_string()))?;
        if tree.apply_record(&record, &mut ()).1.is_some() {
            self.mismatches.push(zxid);
        }
        self.replayed.push((zxid, payload.to_vec()));
        Ok(())
    }
}
