//! What a write request must come to, executed alone on the newest state (`client-protocol.md` 3.3 to
//! 3.8, 6.3, 6.6).

use std::collections::BTreeSet;
use std::rc::Rc;

use rookeeper_proto::acl::{ADMIN, CREATE, DELETE, Id, READ, WRITE};
use rookeeper_proto::client::request::{Create, MultiOp, PathVersion, SetAcl, SetData};
use rookeeper_proto::client::{MultiResult, Request, Response};
use rookeeper_proto::create_mode::{CONTAINER_OWNER, OwnerKind, TTL_MS_MAX, ttl_owner};
use rookeeper_proto::{CreateMode, OpCode, SessionId, Stat, StatPersisted, Zxid, path};

use super::access;
use super::tree::{Change, Kind, Life, Model, Node, TxnEntry, child_of, name_of, parent_of};

/// What a writer must be told: an error code, or the reply's body.
pub type Reply = Result<Response<'static>, i32>;

/// Who writes, and when.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    /// Session; 0 for the server.
    pub session: SessionId,
    /// The request's xid.
    pub cxid: i32,
    /// Identities when it was sent.
    pub ids: &'a [Id],
    /// The txn.
    pub zxid: Zxid,
    /// Its time.
    pub time_ms: i64,
}

const NO_NODE: i32 = -101;
const NO_AUTH: i32 = -102;
const BAD_VERSION: i32 = -103;
const NO_CHILDREN_FOR_EPHEMERALS: i32 = -108;
const NODE_EXISTS: i32 = -110;
const NOT_EMPTY: i32 = -111;
const BAD_ARGUMENTS: i32 = -8;
const UNIMPLEMENTED: i32 = -6;
const MARSHALLING: i32 = -5;
const RUNTIME_INCONSISTENCY: i32 = -2;

const SPECIAL: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];

impl Model {
    /// Executes a write as the next txn; what it comes to is in the entry.
    pub fn execute(&mut self, writer: Writer<'_>, request: &Request<'_>) -> &TxnEntry {
        let reply = self.dispatch(&writer, request);
        let Writer { zxid, session, cxid, .. } = writer;
        self.finish(Self::entry(zxid, session, cxid, request.op(), reply));
        self.txns_behind(Zxid(zxid.0 - 1)).last().expect("it was pushed just now")
    }

    fn dispatch(&mut self, w: &Writer<'_>, request: &Request<'_>) -> Reply {
        match request {
            Request::Create(c) => Ok(Response::Path(self.create(w, c, OpCode::Create)?.0)),
            Request::Create2(c) => self.create_stat(w, c, OpCode::Create2),
            Request::CreateContainer(c) => self.create_stat(w, c, OpCode::CreateContainer),
            Request::CreateTtl(c) => self.create_stat(w, c, OpCode::CreateTtl),
            Request::Delete(d) => self.delete(w, d).map(|()| Response::Empty),
            Request::DeleteContainer(p) => {
                let path = p.as_deref().ok_or(MARSHALLING)?;
                self.delete_container(w, path).map(|()| Response::Empty)
            }
            Request::SetData(s) => self.set_data(w, s).map(Response::Stat),
            Request::SetAcl(s) => self.set_acl(w, s).map(Response::Stat),
            Request::Multi(ops) => self.multi(w, ops),
            Request::CreateSession { timeout_ms } => {
                let life = Life { created: w.zxid, closed: None, timeout_ms: *timeout_ms };
                self.sessions.insert(w.session, life);
                Ok(Response::Empty)
            }
            Request::CloseSession => {
                self.close_session(w);
                Ok(Response::Empty)
            }
            // An ensemble's are judged by `History`.
            Request::Reconfig(_) => Err(-123),
            _ => Err(UNIMPLEMENTED),
        }
    }

    /// Notes a reconfig as the next txn; `outcome` is the new text.
    pub fn reconfigure(&mut self, w: Writer<'_>, outcome: Result<String, i32>) {
        let reply = outcome.and_then(|text| {
            let path = "/zookeeper/config";
            let mut node = Node::clone(self.now(path).ok_or(NO_NODE)?);
            if !access::may(&node.acl, WRITE, w.ids) {
                return Err(NO_AUTH);
            }
            node.data = Some(Rc::from(text.as_bytes()));
            node.stat.version = -1;
            node.stat.mzxid = w.zxid;
            node.stat.mtime_ms = w.time_ms;
            let (stat, acl) = (self.stat(&node), node.acl.clone());
            self.put(path, w.zxid, Some(node));
            let change =
                Change { kind: Kind::DataChanged, path: path.to_owned(), acl, parent: None };
            self.changes.push(change);
            Ok(Response::Stat(stat))
        });
        self.finish(Self::entry(w.zxid, w.session, w.cxid, OpCode::Reconfig, reply));
    }

    fn create_stat(&mut self, w: &Writer<'_>, create: &Create<'_>, op: OpCode) -> Reply {
        self.create(w, create, op).map(|(path, stat)| Response::PathStat(path, stat))
    }

    fn create(
        &mut self,
        w: &Writer<'_>,
        create: &Create<'_>,
        op: OpCode,
    ) -> Result<(String, Stat), i32> {
        let mode = CreateMode::from_flags(create.flags).ok_or(BAD_ARGUMENTS)?;
        if mode.is_ttl() && !self.options.extended_types {
            return Err(UNIMPLEMENTED);
        }
        let ttl_fits = if mode.is_ttl() {
            op == OpCode::CreateTtl && (1..=TTL_MS_MAX).contains(&create.ttl_ms)
        } else {
            op != OpCode::CreateTtl
        };
        if !ttl_fits {
            return Err(BAD_ARGUMENTS);
        }
        let prefix = create.path.as_deref().ok_or(MARSHALLING)?;
        let parent_path = parent_of(prefix).filter(|_| !prefix.contains('\0'));
        let parent_path = parent_path.ok_or(BAD_ARGUMENTS)?;
        let acl = access::stored(create.acls.as_ref(), w.ids)?;
        let mut parent = Node::clone(self.now(parent_path).ok_or(NO_NODE)?);
        if !access::may(&parent.acl, CREATE, w.ids) {
            return Err(NO_AUTH);
        }
        let mut path = prefix.to_owned();
        if mode.is_sequential() {
            path.push_str(&format!("{:010}", parent.stat.cversion));
        }
        if path::validate(&path).is_err() {
            return Err(BAD_ARGUMENTS);
        }
        if self.now(&path).is_some() {
            return Err(NODE_EXISTS);
        }
        if self.owner(&parent) == OwnerKind::Ephemeral {
            return Err(NO_CHILDREN_FOR_EPHEMERALS);
        }
        let owner = match op {
            OpCode::CreateContainer => CONTAINER_OWNER,
            OpCode::CreateTtl => ttl_owner(create.ttl_ms),
            _ if mode.is_ephemeral() => w.session.0,
            _ => 0,
        };
        parent.children.insert(name_of(&path).to_owned());
        parent.stat.cversion += 1;
        parent.stat.pzxid = w.zxid;
        let node = Node {
            data: create.data.map(Rc::from),
            stat: StatPersisted {
                czxid: w.zxid,
                mzxid: w.zxid,
                pzxid: w.zxid,
                ctime_ms: w.time_ms,
                mtime_ms: w.time_ms,
                ephemeral_owner: owner,
                ..StatPersisted::default()
            },
            acl: acl.clone(),
            children: BTreeSet::new(),
        };
        let stat = self.stat(&node);
        let parent_acl = parent.acl.clone();
        let parent_path = parent_path.to_owned();
        self.put(&parent_path, w.zxid, Some(parent));
        self.put(&path, w.zxid, Some(node));
        let parent = Some((parent_path, parent_acl));
        self.changes.push(Change { kind: Kind::Created, path: path.clone(), acl, parent });
        Ok((path, stat))
    }

    /// Path and parent's path of something that may be deleted.
    fn deletable(path: &str) -> Result<&str, i32> {
        let parent = parent_of(path).filter(|_| !path.contains('\0') && !SPECIAL.contains(&path));
        parent.ok_or(BAD_ARGUMENTS)
    }

    fn delete(&mut self, w: &Writer<'_>, delete: &PathVersion<'_>) -> Result<(), i32> {
        let path = delete.path.as_deref().ok_or(MARSHALLING)?;
        let parent_path = Self::deletable(path)?;
        let parent = self.now(parent_path).ok_or(NO_NODE)?;
        if !access::may(&parent.acl, DELETE, w.ids) {
            return Err(NO_AUTH);
        }
        let node = self.now(path).ok_or(NO_NODE)?;
        if delete.version != -1 && delete.version != node.stat.version {
            return Err(BAD_VERSION);
        }
        if !node.children.is_empty() {
            return Err(NOT_EMPTY);
        }
        self.remove(w.zxid, path);
        Ok(())
    }

    fn delete_container(&mut self, w: &Writer<'_>, path: &str) -> Result<(), i32> {
        Self::deletable(path)?;
        let node = self.now(path).ok_or(NO_NODE)?;
        if !node.children.is_empty() {
            return Err(NOT_EMPTY);
        }
        if self.owner(node) == OwnerKind::Ephemeral {
            return Err(BAD_VERSION);
        }
        self.remove(w.zxid, path);
        Ok(())
    }

    fn remove(&mut self, zxid: Zxid, path: &str) {
        let Some(node) = self.now(path).cloned() else { return };
        let parent_path = parent_of(path).unwrap_or("/").to_owned();
        let Some(mut parent) = self.now(&parent_path).map(|parent| Node::clone(parent)) else {
            return;
        };
        parent.children.remove(name_of(path));
        parent.stat.pzxid = parent.stat.pzxid.max(zxid);
        let parent_acl = parent.acl.clone();
        self.put(&parent_path, zxid, Some(parent));
        self.put(path, zxid, None);
        self.changes.push(Change {
            kind: Kind::Deleted,
            path: path.to_owned(),
            acl: node.acl.clone(),
            parent: Some((parent_path, parent_acl)),
        });
    }

    fn set_data(&mut self, w: &Writer<'_>, set: &SetData<'_>) -> Result<Stat, i32> {
        let path = set.path.as_deref().filter(|path| path::validate(path).is_ok());
        let path = path.ok_or(BAD_ARGUMENTS)?;
        let mut node = Node::clone(self.now(path).ok_or(NO_NODE)?);
        if !access::may(&node.acl, WRITE, w.ids) {
            return Err(NO_AUTH);
        }
        if set.version != -1 && set.version != node.stat.version {
            return Err(BAD_VERSION);
        }
        node.data = set.data.map(Rc::from);
        node.stat.version = node.stat.version.wrapping_add(1);
        node.stat.mzxid = w.zxid;
        node.stat.mtime_ms = w.time_ms;
        let (stat, acl) = (self.stat(&node), node.acl.clone());
        self.put(path, w.zxid, Some(node));
        let path = path.to_owned();
        self.changes.push(Change { kind: Kind::DataChanged, path, acl, parent: None });
        Ok(stat)
    }

    fn set_acl(&mut self, w: &Writer<'_>, set: &SetAcl<'_>) -> Result<Stat, i32> {
        let path = set.path.as_deref().filter(|path| path::validate(path).is_ok());
        let path = path.ok_or(BAD_ARGUMENTS)?;
        let acl = access::stored(set.acls.as_ref(), w.ids)?;
        let mut node = Node::clone(self.now(path).ok_or(NO_NODE)?);
        if !access::may(&node.acl, ADMIN, w.ids) {
            return Err(NO_AUTH);
        }
        if set.version != -1 && set.version != node.stat.aversion {
            return Err(BAD_VERSION);
        }
        node.acl = acl;
        node.stat.aversion = node.stat.aversion.wrapping_add(1);
        let stat = self.stat(&node);
        self.put(path, w.zxid, Some(node));
        Ok(stat)
    }

    fn check(&self, w: &Writer<'_>, check: &PathVersion<'_>) -> Result<(), i32> {
        let path = check.path.as_deref().filter(|path| path::validate(path).is_ok());
        let node = self.now(path.ok_or(BAD_ARGUMENTS)?).ok_or(NO_NODE)?;
        if !access::may(&node.acl, READ, w.ids) {
            return Err(NO_AUTH);
        }
        if check.version != -1 && check.version != node.stat.version {
            return Err(BAD_VERSION);
        }
        Ok(())
    }

    fn multi(&mut self, w: &Writer<'_>, ops: &[MultiOp<'_>]) -> Reply {
        if ops.iter().any(|op| is_malformed(op)) {
            return Err(MARSHALLING);
        }
        let (mark, digest) = (self.touched.len(), self.digest());
        let mut results = Vec::new();
        for (at, op) in ops.iter().enumerate() {
            match self.part(w, op) {
                Ok(result) => results.push(result),
                Err(code) => {
                    self.undo(mark, digest);
                    let behind = ops.len() - at - 1;
                    let codes = std::iter::repeat_n(0, at)
                        .chain([code])
                        .chain(std::iter::repeat_n(RUNTIME_INCONSISTENCY, behind));
                    return Ok(Response::Multi(codes.map(MultiResult::Error).collect()));
                }
            }
        }
        Ok(Response::Multi(results))
    }

    fn part(&mut self, w: &Writer<'_>, op: &MultiOp<'_>) -> Result<MultiResult<'static>, i32> {
        Ok(match op {
            MultiOp::Create(c) if c.flags == CreateMode::Container.flags() => {
                path_stat(self.create(w, c, OpCode::CreateContainer)?)
            }
            MultiOp::Create(c) => MultiResult::Path(self.create(w, c, OpCode::Create)?.0),
            MultiOp::Create2(c) => path_stat(self.create(w, c, OpCode::Create2)?),
            MultiOp::CreateContainer(c) => path_stat(self.create(w, c, OpCode::CreateContainer)?),
            MultiOp::CreateTtl(c) => path_stat(self.create(w, c, OpCode::CreateTtl)?),
            MultiOp::Delete(d) => {
                self.delete(w, d)?;
                MultiResult::Deleted
            }
            MultiOp::SetData(s) => MultiResult::Stat(self.set_data(w, s)?),
            MultiOp::Check(c) => {
                self.check(w, c)?;
                MultiResult::Checked
            }
            MultiOp::GetData(_) | MultiOp::GetChildren(_) => return Err(MARSHALLING),
        })
    }

    /// Deletes every ephemeral of the session, by path.
    fn close_session(&mut self, w: &Writer<'_>) {
        if let Some(life) = self.sessions.get_mut(&w.session) {
            life.closed = Some(w.zxid);
        }
        let newest = Zxid(i64::MAX);
        let owned = self.all_at(newest).filter(|(_, node)| {
            self.owner(node) == OwnerKind::Ephemeral && node.stat.ephemeral_owner == w.session.0
        });
        let paths: Vec<String> = owned.map(|(path, _)| path.to_owned()).collect();
        paths.iter().for_each(|path| self.remove(w.zxid, path));
    }

    /// Paths of everything below `path` as of `zxid`.
    pub fn descendants(&self, path: &str, zxid: Zxid) -> usize {
        let Some(node) = self.at(path, zxid) else { return 0 };
        let path = if path.is_empty() { "/" } else { path };
        node.children.iter().map(|name| 1 + self.descendants(&child_of(path, name), zxid)).sum()
    }
}

fn path_stat((path, stat): (String, Stat)) -> MultiResult<'static> {
    MultiResult::PathStat(path, stat)
}

/// What costs a whole multi -5.
fn is_malformed(op: &MultiOp<'_>) -> bool {
    match op {
        MultiOp::Create(c) | MultiOp::Create2(c) | MultiOp::CreateContainer(c) => {
            let mode = CreateMode::from_flags(c.flags);
            c.path.is_none() || c.acls.is_none() || mode.is_none_or(|mode| mode.is_ttl())
        }
        MultiOp::CreateTtl(c) => c.path.is_none(),
        MultiOp::Delete(d) | MultiOp::Check(d) => d.path.is_none(),
        MultiOp::SetData(s) => s.path.is_none(),
        MultiOp::GetData(_) | MultiOp::GetChildren(_) => true,
    }
}
