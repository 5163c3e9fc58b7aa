//! Builds the tree from what storage hands on, as the server does at its start.

use rookeeper_proto::txn::Record;
use rookeeper_proto::{AclList, SessionId, StatPersisted, Zxid};
use rookeeper_storage::{RecoverySink, SinkError, SnapshotMeta, SnapshotSink};
use rookeeper_tree::{AclId, DataTree, TreeLoader, TreeOptions};

pub(super) const OPTIONS: TreeOptions = TreeOptions {
    extended_types: true,
    emulate_353_ttl: false,
    digest_enabled: true,
    hash_seed: 7,
};

/// The loader, and the tree once it is complete.
#[derive(Debug)]
pub(super) struct TreeSink {
    loader: Option<TreeLoader>,
    pub(super) tree: DataTree,
    /// The records replayed.
    pub(super) replayed: Vec<Zxid>,
}

impl TreeSink {
    pub(super) fn new() -> Self {
        Self { loader: None, tree: DataTree::new(OPTIONS), replayed: Vec::new() }
    }

    fn loader(&mut self) -> &mut TreeLoader {
        self.loader.get_or_insert_with(|| TreeLoader::new(OPTIONS))
    }

    /// The tree of a body that is complete.
    pub(super) fn finish(&mut self, zxid: Zxid) -> Result<(), SinkError> {
        let loader = self.loader.take().unwrap_or_else(|| TreeLoader::new(OPTIONS));
        self.tree = loader.finish(zxid).map_err(|error| SinkError(error.to_string()))?;
        Ok(())
    }
}

impl SnapshotSink for TreeSink {
    fn reset(&mut self) {
        self.loader = None;
    }

    fn session(&mut self, id: SessionId, timeout_ms: i32) -> Result<(), SinkError> {
        self.loader().on_session(id, timeout_ms);
        Ok(())
    }

    fn acl(&mut self, id: i64, acl: AclList) -> Result<(), SinkError> {
        self.loader().on_acl(AclId(id), acl);
        Ok(())
    }

    fn node(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl_id: i64,
        stat: &StatPersisted,
    ) -> Result<(), SinkError> {
        let node = self.loader().on_node(path, data, AclId(acl_id), *stat);
        node.map_err(|error| SinkError(error.to_string()))
    }
}

impl RecoverySink for TreeSink {
    fn snapshot_loaded(&mut self, meta: &SnapshotMeta) -> Result<(), SinkError> {
        self.finish(meta.zxid)
    }

    fn record(&mut self, zxid: Zxid, payload: &[u8]) -> Result<(), SinkError> {
        let record = Record::read(payload).map_err(|error| SinkError(error.to_string()))?;
        self.tree.apply_record(&record, &mut ());
        self.replayed.push(zxid);
        Ok(())
    }
}
