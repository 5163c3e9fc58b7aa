//! Walks through a snapshot item by item, stopping when the reader of the results has seen enough.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use rookeeper_proto::{AclList, SessionId, StatPersisted};
use rookeeper_storage::snapshot::inspect_snapshot;
use rookeeper_storage::{Disk, SinkError, SnapshotMeta, SnapshotSink};

use crate::output::{Outcome, Output, Stop};

/// What a snapshot consists of, in the order of the file.
#[derive(Debug)]
pub(crate) enum Item<'a> {
    Session(SessionId, i32),
    Acl(i64, AclList),
    /// The root's path is empty.
    Node {
        path: &'a str,
        data: Option<&'a [u8]>,
        acl_id: i64,
        stat: &'a StatPersisted,
    },
}

/// Hands every item on; answers what the snapshot says of itself, once all of it was right.
pub(crate) fn read(
    disk: &dyn Disk,
    path: &Path,
    out: &mut Output,
    work: &mut dyn FnMut(Item<'_>, &mut Output) -> Outcome<()>,
) -> Outcome<SnapshotMeta> {
    let mut walk = Walk { out, work, stop: None, nodes: 0 };
    let result = inspect_snapshot(disk, path, &mut walk);
    match walk.stop.take() {
        Some(stop) => Err(stop),
        None => Ok(result?),
    }
}

struct Walk<'w> {
    out: &'w mut Output,
    work: &'w mut dyn FnMut(Item<'_>, &mut Output) -> Outcome<()>,
    stop: Option<Stop>,
    nodes: u64,
}

impl Walk<'_> {
    fn hand_on(&mut self, item: Item<'_>) -> Result<(), SinkError> {
        let done = self.out.go_on().and_then(|()| (self.work)(item, self.out));
        self.or_stop(done)
    }

    fn or_stop(&mut self, done: Outcome<()>) -> Result<(), SinkError> {
        done.map_err(|stop| {
            self.stop = Some(stop);
            SinkError("stopped".to_owned())
        })
    }
}

impl SnapshotSink for Walk<'_> {
    fn reset(&mut self) {}

    fn session(&mut self, id: SessionId, timeout_ms: i32) -> Result<(), SinkError> {
        self.hand_on(Item::Session(id, timeout_ms))
    }

    fn acl(&mut self, id: i64, acl: AclList) -> Result<(), SinkError> {
        self.hand_on(Item::Acl(id, acl))
    }

    fn node(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl_id: i64,
        stat: &StatPersisted,
    ) -> Result<(), SinkError> {
        self.nodes += 1;
        if self.nodes.is_multiple_of(1024) {
            let nodes = self.nodes;
            let shown = self.out.progress(|| format!("{nodes} nodes"));
            self.or_stop(shown)?;
        }
        self.hand_on(Item::Node { path, data, acl_id, stat })
    }
}

/// Stands for `world:anyone` with all permissions, which is not in a snapshot's map.
pub(crate) const OPEN_ACL: i64 = -1;

/// What stands for a path or a value where memory is scarce. Equal values have equal hashes; the reverse
/// is only almost certain.
pub(crate) fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
