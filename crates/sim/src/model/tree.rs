//! The tree at every zxid: each path keeps all its states.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use rookeeper_proto::create_mode::OwnerKind;
use rookeeper_proto::{AclList, OpCode, SessionId, Stat, StatPersisted, Zxid, acl};

use super::write::Reply;

/// A node in one state.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Data; null is not empty.
    pub data: Option<Rc<[u8]>>,
    /// Figures as stored.
    pub stat: StatPersisted,
    /// Stored list.
    pub acl: AclList,
    /// Names of the children.
    pub children: BTreeSet<String>,
}

/// Since when a path has held what; `None`: nothing.
type State = (Zxid, Option<Rc<Node>>);

/// What happened to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It was created.
    Created,
    /// It was deleted.
    Deleted,
    /// Its data was set.
    DataChanged,
}

/// One change of a txn, for watches.
#[derive(Debug, Clone)]
pub struct Change {
    /// What happened.
    pub kind: Kind,
    /// The node.
    pub path: String,
    /// Its list; for a deletion the last one.
    pub acl: AclList,
    /// The parent and its list, if its children changed.
    pub parent: Option<(String, AclList)>,
}

/// One txn as the model sees it.
#[derive(Debug)]
pub struct TxnEntry {
    /// Its zxid.
    pub zxid: Zxid,
    /// The record as the server wrote it.
    pub record: Vec<u8>,
    /// Whose it is; 0 for the server itself.
    pub session: SessionId,
    /// The request's xid.
    pub cxid: i32,
    /// The kind of request.
    pub op: OpCode,
    /// What the writer must be told.
    pub reply: Reply,
    /// What it changed, in order.
    pub changes: Vec<Change>,
    /// The tree's digest after it.
    pub digest: i64,
    touched: Vec<String>,
}

/// A session's life in zxids.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    /// The txn that created it.
    pub created: Zxid,
    /// The txn that closed it.
    pub closed: Option<Zxid>,
    /// Time-out as created.
    pub timeout_ms: i32,
}

/// Settings that change what writes do.
#[derive(Debug, Clone, Copy)]
pub struct ModelOptions {
    /// TTL nodes exist.
    pub extended_types: bool,
    /// Digests are kept.
    pub digest: bool,
}

/// The naive server's state and its whole past.
#[derive(Debug)]
pub struct Model {
    pub(super) options: ModelOptions,
    versions: BTreeMap<String, Vec<State>>,
    pub(super) sessions: BTreeMap<SessionId, Life>,
    txns: Vec<TxnEntry>,
    digest: i64,
    /// Of the txn being executed.
    pub(super) touched: Vec<String>,
    pub(super) changes: Vec<Change>,
}

/// The parent of a path; `/` of a top-level node. `None` for what has no slash.
pub(super) fn parent_of(path: &str) -> Option<&str> {
    match path.rfind('/')? {
        0 => Some("/"),
        at => Some(&path[..at]),
    }
}

pub(super) fn name_of(path: &str) -> &str {
    path.rfind('/').map_or(path, |at| &path[at + 1..])
}

/// The path of a child.
pub(super) fn child_of(path: &str, name: &str) -> String {
    if path == "/" { format!("/{name}") } else { format!("{path}/{name}") }
}

fn node_digest(path: &str, node: &Node) -> i64 {
    if path.starts_with("/zookeeper/") {
        return 0;
    }
    let mut crc = crc32fast::Hasher::new();
    crc.update(if path == "/" { b"" } else { path.as_bytes() });
    if let Some(data) = &node.data {
        crc.update(data);
    }
    let stat = &node.stat;
    let longs = [stat.czxid.0, stat.mzxid.0, stat.pzxid.0, stat.ctime_ms, stat.mtime_ms];
    longs.iter().for_each(|n| crc.update(&n.to_be_bytes()));
    [stat.version, stat.cversion, stat.aversion].iter().for_each(|n| crc.update(&n.to_be_bytes()));
    crc.update(&stat.ephemeral_owner.to_be_bytes());
    i64::from(crc.finalize())
}

impl Model {
    /// A fresh tree.
    pub fn new(options: ModelOptions) -> Self {
        let mut model = Self {
            options,
            versions: BTreeMap::new(),
            sessions: BTreeMap::new(),
            txns: Vec::new(),
            digest: 0,
            touched: Vec::new(),
            changes: Vec::new(),
        };
        let node = |aversion, acl, children: &[&str]| Node {
            data: Some(Rc::from(&b""[..])),
            stat: StatPersisted { aversion, ..StatPersisted::default() },
            acl,
            children: children.iter().map(|&name| name.to_owned()).collect(),
        };
        let open = AclList::open;
        model.put("/", Zxid::ZERO, Some(node(0, open(), &["zookeeper"])));
        model.put("/zookeeper", Zxid::ZERO, Some(node(0, open(), &["config", "quota"])));
        model.put("/zookeeper/quota", Zxid::ZERO, Some(node(0, open(), &[])));
        model.put("/zookeeper/config", Zxid::ZERO, Some(node(-1, AclList::world(acl::READ), &[])));
        model.touched.clear();
        model
    }

    /// The newest txn.
    pub fn last(&self) -> Zxid {
        self.txns.last().map_or(Zxid::ZERO, |txn| txn.zxid)
    }

    /// The txn with this zxid.
    pub fn txn(&self, zxid: Zxid) -> Option<&TxnEntry> {
        let at = self.txns.binary_search_by_key(&zxid, |txn| txn.zxid).ok()?;
        self.txns.get(at)
    }

    /// The txns behind `after`, in order.
    pub fn txns_behind(&self, after: Zxid) -> &[TxnEntry] {
        let at = self.txns.partition_point(|txn| txn.zxid <= after);
        &self.txns[at..]
    }

    /// A node as of `zxid`. An empty path means the root, as on the wire.
    pub fn at(&self, path: &str, zxid: Zxid) -> Option<&Rc<Node>> {
        let path = if path.is_empty() { "/" } else { path };
        let states = self.versions.get(path)?;
        let behind = states.partition_point(|(at, _)| *at <= zxid);
        states.get(behind.checked_sub(1)?)?.1.as_ref()
    }

    /// All nodes as of `zxid`, by path.
    pub fn all_at(&self, zxid: Zxid) -> impl Iterator<Item = (&str, &Rc<Node>)> {
        self.versions.keys().filter_map(move |path| Some((path.as_str(), self.at(path, zxid)?)))
    }

    /// The digest after the newest txn.
    pub fn digest(&self) -> i64 {
        self.digest
    }

    /// A session's life.
    pub fn session(&self, id: SessionId) -> Option<Life> {
        self.sessions.get(&id).copied()
    }

    /// Sessions alive after the newest txn.
    pub fn live_sessions(&self) -> impl Iterator<Item = (SessionId, i32)> {
        let live = self.sessions.iter().filter(|(_, life)| life.closed.is_none());
        live.map(|(&id, life)| (id, life.timeout_ms))
    }

    /// What kind of owner a node has.
    pub fn owner(&self, node: &Node) -> OwnerKind {
        OwnerKind::of(node.stat.ephemeral_owner, self.options.extended_types, false)
    }

    /// A node's figures as clients see them.
    pub fn stat(&self, node: &Node) -> Stat {
        let stat = &node.stat;
        let count = node.children.len() as i32;
        let is_ephemeral = self.owner(node) == OwnerKind::Ephemeral;
        Stat {
            czxid: stat.czxid,
            mzxid: stat.mzxid,
            ctime_ms: stat.ctime_ms,
            mtime_ms: stat.mtime_ms,
            version: stat.version,
            cversion: stat.cversion.wrapping_mul(2).wrapping_sub(count),
            aversion: stat.aversion,
            ephemeral_owner: if is_ephemeral { stat.ephemeral_owner } else { 0 },
            data_length: node.data.as_ref().map_or(0, |data| data.len() as i32),
            num_children: count,
            pzxid: stat.pzxid,
        }
    }

    /// The newest state of a node.
    pub(super) fn now(&self, path: &str) -> Option<&Rc<Node>> {
        self.versions.get(path)?.last()?.1.as_ref()
    }

    /// Makes `node` the newest state.
    pub(super) fn put(&mut self, path: &str, zxid: Zxid, node: Option<Node>) {
        if self.options.digest {
            let old = self.now(path).map_or(0, |old| node_digest(path, old));
            let new = node.as_ref().map_or(0, |new| node_digest(path, new));
            self.digest = self.digest.wrapping_sub(old).wrapping_add(new);
        }
        let states = self.versions.entry(path.to_owned()).or_default();
        let node = node.map(Rc::new);
        states.push((zxid, node));
        self.touched.push(path.to_owned());
    }

    /// Takes back what the txn being executed has put, down to `mark` entries.
    pub(super) fn undo(&mut self, mark: usize, digest: i64) {
        for path in self.touched.split_off(mark) {
            self.pop(&path);
        }
        self.digest = digest;
        self.changes.clear();
    }

    fn pop(&mut self, path: &str) {
        if let Some(states) = self.versions.get_mut(path) {
            states.pop();
            if states.is_empty() {
                self.versions.remove(path);
            }
        }
    }

    /// Notes what was executed as one txn.
    pub(super) fn finish(&mut self, mut txn: TxnEntry) {
        txn.touched = std::mem::take(&mut self.touched);
        txn.changes = std::mem::take(&mut self.changes);
        txn.digest = self.digest;
        self.txns.push(txn);
    }

    /// An entry without what [`Model::finish`] fills in.
    pub(super) fn entry(
        zxid: Zxid,
        session: SessionId,
        cxid: i32,
        op: OpCode,
        reply: Reply,
    ) -> TxnEntry {
        TxnEntry {
            zxid,
            record: Vec::new(),
            session,
            cxid,
            op,
            reply,
            changes: Vec::new(),
            digest: 0,
            touched: Vec::new(),
        }
    }

    /// Notes a txn that changes nothing: its session had moved or ended.
    pub fn refuse(&mut self, zxid: Zxid, session: SessionId, cxid: i32, op: OpCode, reply: Reply) {
        self.finish(Self::entry(zxid, session, cxid, op, reply));
    }

    /// Keeps the bytes the server wrote for the newest txn.
    pub fn set_record(&mut self, record: &[u8]) {
        if let Some(txn) = self.txns.last_mut() {
            txn.record = record.to_vec();
        }
    }

    /// Forgets every txn beyond `zxid`; returns them.
    pub fn truncate(&mut self, zxid: Zxid) -> Vec<TxnEntry> {
        let keep = self.txns.partition_point(|txn| txn.zxid <= zxid);
        let dropped = self.txns.split_off(keep);
        for txn in dropped.iter().rev() {
            for path in txn.touched.iter().rev() {
                self.pop(path);
            }
        }
        self.sessions.retain(|_, life| life.created <= zxid);
        for life in self.sessions.values_mut() {
            life.closed = life.closed.filter(|closed| *closed <= zxid);
        }
        self.digest = self.txns.last().map_or_else(|| self.initial_digest(), |txn| txn.digest);
        dropped
    }

    fn initial_digest(&self) -> i64 {
        if !self.options.digest {
            return 0;
        }
        self.all_at(Zxid::ZERO).fold(0, |sum, (path, node)| sum + node_digest(path, node))
    }
}
