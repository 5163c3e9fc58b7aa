//! Applying transactions (`storage-format.md` 2.1), live and in replay.
//!
//! One code path for both: every rule is idempotent, so replaying what a snapshot already holds is
//! harmless, and what cannot be done is a result, never a failure. One deviation that only replay can
//! meet: deleting a node that still has children removes them too (Java leaves them unreachable until
//! they are created again, with the same final state).

use std::borrow::Cow;

use rookeeper_proto::create_mode::{CONTAINER_OWNER, ttl_owner};
use rookeeper_proto::txn::{CreateTxn, DIGEST_VERSION, Record, Txn, TxnDigest, TxnHeader};
use rookeeper_proto::{AclList, ErrorCode, OpCode, SessionId, Stat, StatPersisted, Zxid};

use crate::change::{Change, ChangeKind, ChangeSink};
use crate::tree::node::Node;
use crate::tree::slab::NONE;
use crate::tree::store::ROOT;
use crate::tree::{DataTree, ZnodeId};

/// Every such zxid leaves its digest in the history.
const HISTORY_INTERVAL: i64 = 128;
/// Digests kept.
const HISTORY_MAX: usize = 1024;

/// What one operation came to: all a reply needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpResult<'t> {
    /// The operation as the transaction says.
    pub op: OpCode,
    /// Error code on the wire, 0 for success. A number, because an error txn may carry any.
    pub err: i32,
    /// The node's path; empty for session, error and multi.
    pub path: &'t str,
    /// The node's stat right after this operation: creations, setData, setACL, reconfig.
    pub stat: Option<Stat>,
}

/// The outcome of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied<'t> {
    /// The operation; for a multi its first error (the reply's header says 0 all the same).
    pub result: OpResult<'t>,
    /// The parts of a multi, in order; empty otherwise.
    pub parts: Vec<OpResult<'t>>,
}

/// The tree differs from what the transaction's author had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigestMismatch {
    /// After which transaction.
    pub zxid: Zxid,
    /// The digest in the record.
    pub expected: i64,
    /// The digest here.
    pub actual: i64,
}

type Outcome<T> = Result<T, ErrorCode>;

/// A path split at its last slash. `None` for the root and for what is no path.
fn split(path: &str) -> Option<&str> {
    if path == "/" { None } else { rookeeper_proto::path::parent(path) }
}

/// A path as events name it: the root is `/`.
fn event_path(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

fn code_of<T>(outcome: &Outcome<T>) -> i32 {
    outcome.as_ref().err().map_or(0, |code| code.as_i32())
}

impl DataTree {
    /// Applies a committed transaction. Never fails and never panics: what cannot be done (as in
    /// replay) is a result.
    pub fn apply<'t>(
        &mut self,
        header: &TxnHeader,
        txn: &'t Txn<'_>,
        sink: &mut impl ChangeSink,
    ) -> Applied<'t> {
        let applied = match txn {
            Txn::Multi(parts) => self.apply_multi(header, parts, sink),
            single => Applied { result: self.apply_one(header, single, sink), parts: Vec::new() },
        };
        self.last_zxid = self.last_zxid.max(header.zxid);
        if self.options().digest_enabled && header.zxid.0 % HISTORY_INTERVAL == 0 {
            if self.digest_history.len() == HISTORY_MAX {
                self.digest_history.pop_front();
            }
            self.digest_history.push_back((header.zxid, self.digest));
        }
        applied
    }

    /// [`Self::apply`], then [`Self::check_digest`].
    pub fn apply_record<'t>(
        &mut self,
        record: &'t Record<'_>,
        sink: &mut impl ChangeSink,
    ) -> (Applied<'t>, Option<DigestMismatch>) {
        let applied = self.apply(&record.header, &record.txn, sink);
        let mismatch = record.digest.and_then(|d| self.check_digest(record.header.zxid, d));
        (applied, mismatch)
    }

    /// Compares the digest recorded with the transaction just applied; a mismatch is counted. Other
    /// versions of the digest, and digests switched off, compare as equal.
    pub fn check_digest(&mut self, zxid: Zxid, recorded: TxnDigest) -> Option<DigestMismatch> {
        let comparable = self.options().digest_enabled && recorded.version == DIGEST_VERSION;
        if !comparable || recorded.digest == self.digest {
            return None;
        }
        self.digest_mismatches += 1;
        Some(DigestMismatch { zxid, expected: recorded.digest, actual: self.digest })
    }

    /// Mismatches found since the tree was built.
    pub fn digest_mismatches(&self) -> u64 {
        self.digest_mismatches
    }

    /// All parts, or none if any is recorded as failed.
    fn apply_multi<'t>(
        &mut self,
        header: &TxnHeader,
        parts: &'t [Txn<'_>],
        sink: &mut impl ChangeSink,
    ) -> Applied<'t> {
        let is_failed = parts.iter().any(|part| matches!(part, Txn::Error(_)));
        let results: Vec<_> = if is_failed {
            failed_parts(parts)
        } else {
            parts.iter().map(|part| self.apply_one(header, part, sink)).collect()
        };
        let err = results.iter().map(|part| part.err).find(|&err| err != 0).unwrap_or(0);
        Applied {
            result: OpResult { op: OpCode::Multi, err, path: "", stat: None },
            parts: results,
        }
    }

    fn apply_one<'t>(
        &mut self,
        header: &TxnHeader,
        txn: &'t Txn<'_>,
        sink: &mut impl ChangeSink,
    ) -> OpResult<'t> {
        let mut path = "";
        let outcome = match txn {
            Txn::Create { create, ephemeral, is_create2 } => {
                path = &create.path;
                let owner = if *ephemeral { header.session.0 } else { 0 };
                let outcome = self.create(header, create, owner, sink);
                if outcome == Err(ErrorCode::NodeExists) && !is_create2 {
                    self.fix_up_parent(header.zxid, create);
                }
                outcome.map(Some)
            }
            Txn::CreateContainer(create) => {
                path = &create.path;
                self.create(header, create, CONTAINER_OWNER, sink).map(Some)
            }
            Txn::CreateTtl { create, ttl_ms } => {
                path = &create.path;
                self.create(header, create, ttl_owner(*ttl_ms), sink).map(Some)
            }
            Txn::Delete { path: p, .. } => {
                path = p;
                self.delete(header.zxid, p, sink).map(|()| None)
            }
            Txn::SetData { path: p, data, version, .. } => {
                path = p;
                self.set_data(header, p, *data, *version, sink).map(Some)
            }
            Txn::SetAcl { path: p, acl, version } => {
                path = p;
                self.set_acl(p, acl, *version).map(Some)
            }
            Txn::Check { path: p, .. } => {
                path = p;
                Ok(None)
            }
            Txn::CreateSession { timeout_ms } => {
                self.sessions.insert(header.session, *timeout_ms);
                Ok(None)
            }
            Txn::CloseSession(paths) => {
                self.close_session(header, paths.as_deref().unwrap_or_default(), sink);
                Ok(None)
            }
            Txn::Error(code) => {
                return OpResult { op: OpCode::Error, err: *code, path, stat: None };
            }
            // The decoder refuses it; Java has no meaning for it.
            Txn::Multi(_) => Err(ErrorCode::Unimplemented),
        };
        OpResult { op: txn.op(), err: code_of(&outcome), path, stat: outcome.ok().flatten() }
    }

    fn create(
        &mut self,
        header: &TxnHeader,
        create: &CreateTxn<'_>,
        owner: i64,
        sink: &mut impl ChangeSink,
    ) -> Outcome<Stat> {
        let path = &*create.path;
        let Some(parent_path) = split(path) else {
            return Err(if path == "/" { ErrorCode::NodeExists } else { ErrorCode::NoNode });
        };
        let parent = self.store.find(parent_path).ok_or(ErrorCode::NoNode)?;
        let key = self.store.hashed(path);
        if let Some(id) = self.store.find_hashed(key) {
            // A snapshot of Java's may hold the node without the ACL (ZOOKEEPER-4846).
            self.change_acl(id, &create.acl);
            return Err(ErrorCode::NodeExists);
        }
        self.raise_cversion(parent, create.parent_cversion, header.zxid);
        let stat = StatPersisted {
            czxid: header.zxid,
            mzxid: header.zxid,
            ctime_ms: header.time_ms,
            mtime_ms: header.time_ms,
            ephemeral_owner: owner,
            pzxid: header.zxid,
            ..StatPersisted::default()
        };
        let acl = self.acls.intern(&create.acl);
        let id = self.insert_node(key, Node::new(path, create.data, acl, &stat), parent);
        let stat = self.znode(ZnodeId(id)).stat();
        self.quota_created(path, create.data.map_or(0, <[u8]>::len) as i64);
        sink.change(Change {
            kind: ChangeKind::Created,
            zxid: header.zxid,
            id: ZnodeId(id),
            path,
            acl: self.acls.list(acl),
            parent: Some(self.parent_of_change(parent, parent_path)),
        });
        Ok(stat)
    }

    /// The node `id` at `path`, as a change names it.
    fn parent_of_change<'p>(&'p self, id: u32, path: &'p str) -> (ZnodeId, &'p str, &'p AclList) {
        (ZnodeId(id), event_path(path), self.acls.list(self.store.node(id).acl))
    }

    /// cversion and pzxid of a parent only grow: a snapshot may hold later ones.
    fn raise_cversion(&mut self, parent: u32, recorded: i32, zxid: Zxid) {
        self.change_stat(parent, |node| {
            let new = if recorded == -1 { node.cversion.wrapping_add(1) } else { recorded };
            if new > node.cversion {
                node.cversion = new;
                node.pzxid = zxid;
            }
        });
    }

    /// Type 1 only (ZOOKEEPER-1046, 1573; trap S27): the node was re-created by another session
    /// between the parent's and its own visit of a fuzzy snapshot.
    fn fix_up_parent(&mut self, zxid: Zxid, create: &CreateTxn<'_>) {
        if let Some(parent) = split(&create.path).and_then(|path| self.store.find(path)) {
            self.raise_cversion(parent, create.parent_cversion, zxid);
        }
    }

    fn delete(&mut self, zxid: Zxid, path: &str, sink: &mut impl ChangeSink) -> Outcome<()> {
        let parent_path = split(path).ok_or(ErrorCode::NoNode)?;
        let parent = self.store.find(parent_path).ok_or(ErrorCode::NoNode)?;
        // Also if the node is gone: the snapshot may lack the deletion only in the parent's stat.
        self.change_stat(parent, |node| node.pzxid = node.pzxid.max(zxid));
        let id = self.store.find(path).filter(|&id| id != ROOT).ok_or(ErrorCode::NoNode)?;
        self.delete_descendants(zxid, id, sink);
        self.delete_leaf(zxid, id, sink);
        Ok(())
    }

    /// Deletes the children of a node, deepest first. Only replay can meet any.
    fn delete_descendants(&mut self, zxid: Zxid, top: u32, sink: &mut impl ChangeSink) {
        let mut at = top;
        loop {
            let node = self.store.node(at);
            let (child, parent) = (node.first_child, node.parent);
            if child != NONE {
                at = child;
            } else if at == top {
                return;
            } else {
                self.delete_leaf(zxid, at, sink);
                at = parent;
            }
        }
    }

    fn delete_leaf(&mut self, zxid: Zxid, id: u32, sink: &mut impl ChangeSink) {
        let parent = self.store.node(id).parent;
        let (node, acl) = self.remove_leaf(id);
        let path = node.path();
        self.quota_deleted(path, node.data_len() as i64);
        sink.change(Change {
            kind: ChangeKind::Deleted,
            zxid,
            id: ZnodeId(id),
            path,
            acl: &acl,
            parent: Some(self.parent_of_change(parent, split(path).unwrap_or_default())),
        });
    }

    fn set_data(
        &mut self,
        header: &TxnHeader,
        path: &str,
        data: Option<&[u8]>,
        version: i32,
        sink: &mut impl ChangeSink,
    ) -> Outcome<Stat> {
        let id = self.store.find(path).ok_or(ErrorCode::NoNode)?;
        let old_len = self.store.node(id).data_len() as i64;
        self.change_data(id, data, |node| {
            node.version = version;
            node.mtime_ms = header.time_ms;
            node.mzxid = header.zxid;
        });
        let stat = self.znode(ZnodeId(id)).stat();
        self.quota_changed(path, 0, data.map_or(0, <[u8]>::len) as i64 - old_len);
        sink.change(Change {
            kind: ChangeKind::DataChanged,
            zxid: header.zxid,
            id: ZnodeId(id),
            path: event_path(path),
            acl: self.acls.list(self.store.node(id).acl),
            parent: None,
        });
        Ok(stat)
    }

    fn set_acl(&mut self, path: &str, acl: &AclList, version: i32) -> Outcome<Stat> {
        let id = self.store.find(path).ok_or(ErrorCode::NoNode)?;
        self.change_acl(id, acl);
        self.change_stat(id, |node| node.aversion = version);
        Ok(self.znode(ZnodeId(id)).stat())
    }

    /// The recorded paths first, in their order; then what else the session owns here.
    fn close_session(
        &mut self,
        header: &TxnHeader,
        paths: &[Cow<'_, str>],
        sink: &mut impl ChangeSink,
    ) {
        let session: SessionId = header.session;
        self.sessions.remove(&session);
        for path in paths {
            // Gone already in replay.
            let _ = self.delete(header.zxid, path, sink);
        }
        let left: Vec<String> =
            self.ephemerals_of(session).into_iter().map(str::to_owned).collect();
        for path in left {
            let _ = self.delete(header.zxid, &path, sink);
        }
    }
}

/// The results of a multi recorded as failed: nothing of it was done.
fn failed_parts<'t>(parts: &'t [Txn<'_>]) -> Vec<OpResult<'t>> {
    let mut is_behind = false;
    let result = |part: &Txn<'_>| {
        let err = match part {
            Txn::Error(code) => {
                is_behind = true;
                *code
            }
            _ if is_behind => ErrorCode::RuntimeInconsistency.as_i32(),
            _ => 0,
        };
        OpResult { op: OpCode::Error, err, path: "", stat: None }
    };
    parts.iter().map(result).collect()
}
