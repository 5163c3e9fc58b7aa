//! Preparation of writes: the one place of the leader (or of a standalone server) that decides what
//! a write becomes.
//!
//! [`Prep::prepare`] validates a decoded request against the committed tree plus the overlay of
//! changes prepared but not applied yet, gives it the next zxid and appends the finished record
//! (header, txn, digest of the tree after it) to the caller's buffer, once. The log, the followers
//! and the applier all use those bytes.
//!
//! Guarantees: pure and deterministic (the same calls give the same bytes); every call consumes
//! exactly one zxid, also for a write that is refused (it becomes an error txn); what is prepared
//! does not depend on how much of it has been applied meanwhile; a refused multi leaves no trace;
//! nothing is proposed that a Java peer could not decode or survive.
//!
//! It deliberately does not decode (an undecodable body is answered -5 by the caller and nothing is
//! proposed, `client-protocol.md` section 13), keep sessions, build replies or talk to peers.
//!
//! Where it is stricter than Java, which looks at some things as committed only: an ACL set by an
//! outstanding setACL counts, ephemerals of a closing session no longer count as children, and the
//! counter of sequential names stays at its maximum instead of turning negative while changes are
//! outstanding.
//!
//! Sources: `client-protocol.md` 3.2 to 3.8, 6.1 to 6.8; `quorum-protocol.md` 5 and 7.3.

mod change;
mod config;
mod create;
mod multi;
mod overlay;
mod poison;
mod quota;
mod refusal;
mod session;
#[cfg(test)]
mod tests;
mod view;
mod write;

pub(crate) use change::SPECIAL;
pub use config::PrepConfig;
pub(crate) use poison::is_fatal;
pub use view::{NodeView, QuotaView, TreeView};
pub use write::{Outcome, Prepared, SessionState, WriteRequest};

use rookeeper_proto::acl::RequestAcls;
use rookeeper_proto::client::request::Request;
use rookeeper_proto::jute::JuteWrite;
use rookeeper_proto::txn::{DIGEST_VERSION, TxnDigest, TxnHeader};
use rookeeper_proto::{AclList, ErrorCode, OpCode, Zxid};
use rookeeper_tree::{is_digested, node_digest, with_stat_changed};

use crate::auth::AuthRegistry;
use overlay::{Node, Overlay, Place};
use quota::QuotaDeltas;
use refusal::Refusal;

/// Prepares writes, in order.
#[derive(Debug)]
pub struct Prep {
    config: PrepConfig,
    last_zxid: Zxid,
    digest: i64,
    overlay: Overlay,
    quotas: QuotaDeltas,
    /// Buffer for sequential names.
    name: String,
}

/// One call of [`Prep::prepare`].
#[derive(Debug)]
struct Job<'j, 'r, 'b, T> {
    tree: &'j T,
    auth: &'j AuthRegistry,
    write: &'j WriteRequest<'r, 'b>,
    zxid: Zxid,
    /// Where its record begins in the output.
    start: usize,
}

/// Offset of the type in a record.
const OP_AT: usize = TxnHeader::ENCODED_BYTES - 4;

impl Prep {
    /// Starts behind `last_zxid`, when the tree's digest is `digest` and nothing is outstanding.
    pub fn new(config: PrepConfig, last_zxid: Zxid, digest: i64) -> Self {
        Self {
            overlay: Overlay::default(),
            quotas: QuotaDeltas::default(),
            name: String::new(),
            config,
            last_zxid,
            digest,
        }
    }

    /// Forgets everything outstanding and continues behind `last_zxid`: a new epoch, another role.
    pub fn restart(&mut self, last_zxid: Zxid, digest: i64) {
        self.overlay = Overlay::default();
        self.quotas = QuotaDeltas::default();
        (self.last_zxid, self.digest) = (last_zxid, digest);
    }

    /// The configuration.
    pub fn config(&self) -> &PrepConfig {
        &self.config
    }

    /// The zxid the next call of [`Self::prepare`] consumes. The caller starts a new epoch before
    /// the counter runs out (D22).
    pub fn next_zxid(&self) -> Zxid {
        self.last_zxid.next()
    }

    /// The newest zxid given out.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// The digest of the tree once everything prepared is applied.
    pub fn digest(&self) -> i64 {
        self.digest
    }

    /// How many nodes have changes that are prepared but not applied.
    pub fn outstanding_nodes(&self) -> usize {
        self.overlay.len()
    }

    /// Everything up to `zxid` is in the tree now: drops what was kept for it. To be called before
    /// the next write is prepared.
    pub fn applied(&mut self, zxid: Zxid) {
        self.overlay.applied(zxid);
        self.quotas.applied(zxid);
    }

    /// Prepares one write: appends its record to `out` and says what became of it. A request that
    /// is no write is refused with [`ErrorCode::Unimplemented`].
    pub fn prepare<T: TreeView>(
        &mut self,
        tree: &T,
        auth: &AuthRegistry,
        write: &WriteRequest<'_, '_>,
        out: &mut Vec<u8>,
    ) -> Prepared {
        let zxid = self.next_zxid();
        self.last_zxid = zxid;
        let job = Job { tree, auth, write, zxid, start: out.len() };
        let header = TxnHeader {
            session: write.session,
            cxid: write.cxid,
            zxid,
            time_ms: write.time_ms,
            op: 0,
        };
        header.write(out);
        let outcome = match self.dispatch(&job, out) {
            Ok((op, outcome)) => {
                self.quotas.keep_staged(zxid);
                set_i32(out, job.start + OP_AT, op.as_i32());
                if self.config.digest {
                    TxnDigest { version: DIGEST_VERSION, digest: self.digest }.write(out);
                }
                outcome
            }
            Err(refusal) => {
                let code = refusal.code();
                out.truncate(job.start + TxnHeader::ENCODED_BYTES);
                set_i32(out, job.start + OP_AT, OpCode::Error.as_i32());
                out.put_i32(code.as_i32());
                Outcome::Error(code)
            }
        };
        Prepared { zxid, outcome }
    }

    fn dispatch<T: TreeView>(
        &mut self,
        job: &Job<'_, '_, '_, T>,
        out: &mut Vec<u8>,
    ) -> Result<(OpCode, Outcome), Refusal> {
        let op = match job.write.request {
            Request::Multi(ops) => return self.multi(job, ops, out),
            Request::Create(create) => self.create(job, create, OpCode::Create, out)?,
            Request::Create2(create) => self.create(job, create, OpCode::Create2, out)?,
            Request::CreateContainer(c) => self.create(job, c, OpCode::CreateContainer, out)?,
            Request::CreateTtl(create) => self.create(job, create, OpCode::CreateTtl, out)?,
            Request::Delete(delete) => self.delete(job, delete, out)?,
            Request::DeleteContainer(path) => self.delete_container(job, path, out)?,
            Request::SetData(set) => self.set_data(job, set, out)?,
            Request::SetAcl(set) => self.set_acl(job, set, out)?,
            Request::Reconfig(_) => self.reconfig(job, out)?,
            Request::CreateSession { timeout_ms } => {
                out.put_i32(*timeout_ms);
                OpCode::CreateSession
            }
            Request::CloseSession => self.close_session(job, out),
            _ => return Err(ErrorCode::Unimplemented.into()),
        };
        Ok((op, Outcome::Txn))
    }

    /// Refuses what no peer could read back (S31). Asked after encoding, before any change.
    fn check_size<T>(&self, job: &Job<'_, '_, '_, T>, out: &[u8]) -> Result<(), Refusal> {
        if out.len() - job.start + TxnDigest::ENCODED_BYTES > self.config.record_max_bytes {
            return Err(Refusal::Undecodable);
        }
        Ok(())
    }

    /// The latest prepared state of a node.
    fn node<T: TreeView>(&self, tree: &T, path: &str) -> Result<Found<T::Id>, ErrorCode> {
        let (place, node) = self.overlay.find(tree, path);
        Ok(Found { place, node: node.ok_or(ErrorCode::NoNode)? })
    }

    /// A node's share of the digest.
    fn digest_of<T: TreeView>(&self, tree: &T, path: &str, found: &Found<T::Id>) -> i64 {
        match (found.node.digest, found.place.committed) {
            _ if !self.config.digest || !is_digested(path) => 0,
            (Some(digest), _) => digest,
            (None, Some(id)) => tree.digest_of(id),
            (None, None) => 0,
        }
    }

    /// A node's share of the digest when data changed or it is new.
    fn fresh_digest(
        &self,
        path: &str,
        data: Option<&[u8]>,
        stat: &rookeeper_proto::StatPersisted,
    ) -> i64 {
        if self.config.digest { node_digest(path, data, stat) } else { 0 }
    }

    /// Changes a node but for its data.
    fn change<T: TreeView>(
        &mut self,
        job: &Job<'_, '_, '_, T>,
        path: &str,
        mut found: Found<T::Id>,
        change: impl FnOnce(&mut Node),
    ) {
        let before = found.node.stat;
        let old = self.digest_of(job.tree, path, &found);
        change(&mut found.node);
        let new = if self.config.digest && is_digested(path) {
            with_stat_changed(old, &before, &found.node.stat)
        } else {
            0
        };
        self.digest = self.digest.wrapping_add(new).wrapping_sub(old);
        found.node.digest = Some(new);
        self.overlay.put(path, found.place, job.zxid, Some(found.node));
    }

    /// Takes a node away and tells its parent.
    fn remove<T: TreeView>(
        &mut self,
        job: &Job<'_, '_, '_, T>,
        path: &str,
        found: Found<T::Id>,
        parent_path: &str,
        parent: Found<T::Id>,
    ) {
        self.change(job, parent_path, parent, |parent| {
            parent.child_count = parent.child_count.saturating_sub(1);
            parent.stat.pzxid = parent.stat.pzxid.max(job.zxid);
        });
        self.digest = self.digest.wrapping_sub(self.digest_of(job.tree, path, &found));
        if self.config.enforce_quota {
            let bytes = -(found.node.data_bytes as i64);
            self.quotas.stage(job.tree, path, quota::Delta { count: -1, bytes });
        }
        self.overlay.put(path, found.place, job.zxid, None);
    }
}

/// A node and where it was found.
#[derive(Debug)]
struct Found<I> {
    place: Place<I>,
    node: Node,
}

impl<T> Job<'_, '_, '_, T> {
    /// Whether the requester has `perm` on a node.
    fn check_acl(&self, node: &Node, perm: i32) -> Result<(), ErrorCode> {
        if self.auth.check(Some(&node.acl), perm, self.write.ids) {
            Ok(())
        } else {
            Err(ErrorCode::NoAuth)
        }
    }

    /// The ACL to store. A null id fails the write as a whole, as Java's unexpected failures do.
    fn fix_up(&self, acls: Option<&RequestAcls<'_>>) -> Result<AclList, Refusal> {
        self.auth.fix_up(acls, self.write.ids).map_err(|code| match code {
            ErrorCode::MarshallingError => Refusal::Undecodable,
            code => code.into(),
        })
    }

    /// What every write but an ephemeral create asks of its session.
    fn check_session(&self) -> Result<(), ErrorCode> {
        match self.write.session_state {
            SessionState::Live | SessionState::Local | SessionState::Foreign => Ok(()),
            SessionState::Expired => Err(ErrorCode::SessionExpired),
            SessionState::Moved => Err(ErrorCode::SessionMoved),
        }
    }

    /// What an ephemeral asks of its session: every server must know it.
    fn check_global_session(&self) -> Result<(), ErrorCode> {
        match self.write.session_state {
            SessionState::Live => Ok(()),
            SessionState::Local => Err(ErrorCode::EphemeralOnLocalSession),
            SessionState::Foreign | SessionState::Expired => Err(ErrorCode::SessionExpired),
            SessionState::Moved => Err(ErrorCode::SessionMoved),
        }
    }
}

/// The parent of a path, the root by its proper name.
fn parent_of(path: &str) -> Result<&str, ErrorCode> {
    match rookeeper_proto::path::parent(path) {
        Some("") => Ok("/"),
        Some(parent) => Ok(parent),
        None => Err(ErrorCode::BadArguments),
    }
}

/// Overwrites an integer written before.
fn set_i32(out: &mut [u8], at: usize, value: i32) {
    out[at..at + 4].copy_from_slice(&value.to_be_bytes());
}
