//! Everything that is answered from the tree without becoming a txn (`client-protocol.md` 3.7, 3.9,
//! 5.4, 5.5): evaluated at one moment, between two txns, watch registration included.
//!
//! Paths are not validated here: a path that cannot exist is simply not found. Null paths are a
//! marshalling error but for addWatch and where watches are looked up, as in Java.

use std::borrow::Cow;

use rookeeper_proto::client::request::{PathKind, PathWatch, SetWatches, Text};
use rookeeper_proto::client::{MultiOp, Request, WatchedEvent};
use rookeeper_proto::{ErrorCode, JuteWrite, SessionId, Zxid, acl};
use rookeeper_tree::{DataTree, WatchMode, WatchTable, WatcherType, ZnodeRef};

use crate::auth::{AuthRegistry, Identities};
use crate::namespaces::Namespaces;
use crate::outbox::ConnId;
use crate::prep::is_fatal;
use crate::replies;

/// What a read may look at.
pub(crate) struct ReadContext<'a> {
    pub(crate) tree: &'a DataTree,
    pub(crate) watches: &'a mut WatchTable<ConnId>,
    pub(crate) auth: &'a AuthRegistry,
    pub(crate) namespaces: &'a mut Namespaces,
    pub(crate) ids: &'a Identities,
    pub(crate) conn: ConnId,
    pub(crate) session: SessionId,
}

type Outcome = Result<(), ErrorCode>;

fn required<'a>(path: &'a Text<'_>) -> Result<&'a str, ErrorCode> {
    path.as_deref().ok_or(ErrorCode::MarshallingError)
}

impl ReadContext<'_> {
    /// Evaluates a read and appends its body to `out`. Events that must precede the reply
    /// (setWatches) go to `events` as whole frames.
    pub(crate) fn evaluate(
        &mut self,
        request: &Request<'_>,
        events: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Outcome {
        match request {
            Request::Exists(r) => self.exists(r, out),
            Request::GetData(r) => self.get_data(r, out),
            Request::GetAcl(path) => self.get_acl(path, out),
            Request::GetChildren(r) => self.get_children(r, false, out),
            Request::GetChildren2(r) => self.get_children(r, true, out),
            Request::GetAllChildrenNumber(path) => {
                let path = required(path)?;
                let node = self.readable(path)?;
                // Java counts the paths below "", the root's other name, and finds "/" among them.
                let itself = usize::from(path.is_empty());
                let count = self.tree.descendant_count(node.id()) + itself;
                out.put_len(count);
                Ok(())
            }
            Request::GetEphemerals(prefix) => self.get_ephemerals(prefix, out),
            Request::Sync(path) => {
                out.put_string(path.as_deref());
                Ok(())
            }
            Request::WhoAmI => {
                let entries = self.auth.who_am_i(self.ids);
                out.put_len(entries.len());
                for (scheme, user) in entries {
                    out.put_str(scheme);
                    out.put_str(user);
                }
                Ok(())
            }
            Request::Ping => Ok(()),
            Request::MultiRead(ops) => self.multi_read(ops, out),
            Request::AddWatch(r) => self.add_watch(r, out),
            Request::CheckWatches(r) => self.check_watches(r),
            Request::RemoveWatches(r) => self.remove_watches(r),
            Request::SetWatches(r) | Request::SetWatches2(r) => self.set_watches(r, events),
            // A write that Java fails on before it has a zxid (see `Replica::submit_write`).
            // A write of a learner's client that is not forwarded.
            write if is_fatal(write) => Err(ErrorCode::BadArguments),
            _ => Err(ErrorCode::MarshallingError),
        }
    }

    fn may(&self, node: &ZnodeRef<'_>, perm: i32) -> Outcome {
        if self.auth.check(Some(node.acl()), perm, self.ids) {
            Ok(())
        } else {
            Err(ErrorCode::NoAuth)
        }
    }

    /// The node at `path`, if it is there and READ is granted.
    fn readable(&self, path: &str) -> Result<ZnodeRef<'_>, ErrorCode> {
        let node = self.tree.znode(self.tree.find(path).ok_or(ErrorCode::NoNode)?);
        self.may(&node, acl::READ)?;
        Ok(node)
    }

    fn exists(&mut self, r: &PathWatch<'_>, out: &mut Vec<u8>) -> Outcome {
        let path = required(&r.path)?;
        if path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let found = self.readable(path).map(|node| node.stat());
        // The watch is left also where nothing is yet, but not where reading is forbidden.
        if r.watch && !matches!(found, Err(ErrorCode::NoAuth)) {
            self.watches.add(self.tree, self.conn, path, WatchMode::Data);
        }
        found?.write(out);
        self.namespaces.read(path, 0);
        Ok(())
    }

    fn get_data(&mut self, r: &PathWatch<'_>, out: &mut Vec<u8>) -> Outcome {
        let path = required(&r.path)?;
        let node = self.readable(path)?;
        out.put_buffer(node.data());
        node.stat().write(out);
        let bytes = node.data().map_or(0, <[u8]>::len);
        if r.watch {
            self.watches.add(self.tree, self.conn, path, WatchMode::Data);
        }
        self.namespaces.read(path, bytes);
        Ok(())
    }

    fn get_acl(&self, path: &Text<'_>, out: &mut Vec<u8>) -> Outcome {
        let path = required(path)?;
        let node = self.tree.znode(self.tree.find(path).ok_or(ErrorCode::NoNode)?);
        self.may(&node, acl::READ | acl::ADMIN)?;
        if self.may(&node, acl::ADMIN).is_ok() {
            node.acl().write(out);
        } else {
            self.auth.mask_for_get_acl(node.acl(), self.ids).write(out);
        }
        node.stat().write(out);
        Ok(())
    }

    fn get_children(&mut self, r: &PathWatch<'_>, with_stat: bool, out: &mut Vec<u8>) -> Outcome {
        let path = required(&r.path)?;
        let node = self.readable(path)?;
        let bytes = write_children(&node, out);
        if with_stat {
            node.stat().write(out);
        }
        if r.watch {
            self.watches.add(self.tree, self.conn, path, WatchMode::Child);
        }
        self.namespaces.read(path, bytes);
        Ok(())
    }

    fn get_ephemerals(&self, prefix: &Text<'_>, out: &mut Vec<u8>) -> Outcome {
        let prefix = prefix.as_deref().unwrap_or("");
        // A blank prefix and "/" mean all; otherwise it is a plain prefix of the string.
        let all = prefix.trim().is_empty() || prefix == "/";
        let paths: Vec<&str> = self
            .tree
            .ephemerals_of(self.session)
            .into_iter()
            .filter(|path| all || path.starts_with(prefix))
            .collect();
        out.put_len(paths.len());
        paths.into_iter().for_each(|path| out.put_str(path));
        Ok(())
    }

    /// Each operation for itself; a write among them spoils the whole (3.9).
    fn multi_read(&mut self, ops: &[MultiOp<'_>], out: &mut Vec<u8>) -> Outcome {
        if !ops.iter().all(MultiOp::is_read) {
            return Err(ErrorCode::MarshallingError);
        }
        for op in ops {
            let start = out.len();
            out.put_i32(op.op().as_i32());
            out.put_bool(false);
            out.put_i32(0);
            let result = match op {
                MultiOp::GetData(r) => {
                    self.get_data(&PathWatch { path: r.path.clone(), watch: false }, out)
                }
                MultiOp::GetChildren(r) => {
                    self.get_children(&PathWatch { path: r.path.clone(), watch: false }, false, out)
                }
                _ => Err(ErrorCode::MarshallingError),
            };
            match result {
                Ok(()) => {}
                Err(ErrorCode::MarshallingError) => return Err(ErrorCode::MarshallingError),
                Err(code) => {
                    out.truncate(start);
                    write_error_result(code, out);
                }
            }
        }
        out.put(&rookeeper_proto::client::request::MULTI_END);
        Ok(())
    }

    fn add_watch(&mut self, r: &PathKind<'_>, out: &mut Vec<u8>) -> Outcome {
        let mode = match r.kind {
            0 => WatchMode::Persistent,
            1 => WatchMode::PersistentRecursive,
            _ => return Err(ErrorCode::MarshallingError),
        };
        // A null path is accepted; Java keeps a watch for it, which nothing can ever fire.
        if let Some(path) = &r.path {
            self.watches.add(self.tree, self.conn, path, mode);
        }
        out.put_i32(0);
        Ok(())
    }

    fn check_watches(&self, r: &PathKind<'_>) -> Outcome {
        let kind = WatcherType::from_i32(r.kind).ok_or(ErrorCode::MarshallingError)?;
        // A null path is looked up like any other and has no watch.
        let path = r.path.as_deref();
        if path.is_some_and(|path| self.watches.check(self.tree, self.conn, path, kind)) {
            Ok(())
        } else {
            Err(ErrorCode::NoWatcher)
        }
    }

    fn remove_watches(&mut self, r: &PathKind<'_>) -> Outcome {
        let kind = WatcherType::from_i32(r.kind).ok_or(ErrorCode::MarshallingError)?;
        let path = r.path.as_deref();
        if path.is_some_and(|path| self.watches.remove(self.tree, self.conn, path, kind)) {
            Ok(())
        } else {
            Err(ErrorCode::NoWatcher)
        }
    }

    /// Catch-up events carry zxid -1 and are not filtered by ACL (5.4).
    fn set_watches(&mut self, r: &SetWatches<'_>, events: &mut Vec<u8>) -> Outcome {
        let lists = [&r.data, &r.exist, &r.child, &r.persistent, &r.persistent_recursive];
        for list in lists {
            let list = list.as_ref().ok_or(ErrorCode::MarshallingError)?;
            if list.iter().any(Option::is_none) {
                return Err(ErrorCode::MarshallingError);
            }
        }
        self.watches.set_watches(self.tree, self.conn, r, |event, path| {
            write_event(events, event, path, Zxid::UNKNOWN);
        });
        Ok(())
    }
}

/// Appends a notification frame.
pub(crate) fn write_event(
    out: &mut Vec<u8>,
    event: rookeeper_proto::client::reply::EventType,
    path: &str,
    zxid: Zxid,
) -> usize {
    replies::frame(out, |out| {
        rookeeper_proto::client::ReplyHeader {
            xid: rookeeper_proto::Xid::NOTIFICATION,
            zxid,
            err: 0,
        }
        .write(out);
        WatchedEvent { event, path: Cow::Borrowed(path) }.write(out);
    })
}

/// Appends the result of a failed operation in a multi or multiRead.
pub(crate) fn write_error_result(code: ErrorCode, out: &mut Vec<u8>) {
    out.put_i32(-1);
    out.put_bool(false);
    out.put_i32(code.as_i32());
    out.put_i32(code.as_i32());
}

/// Returns the bytes of all names.
fn write_children(node: &ZnodeRef<'_>, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    let count = node.child_count();
    out.put_len(count);
    for name in node.children() {
        out.put_str(name);
    }
    // A length of four bytes stands before the list and before each name.
    out.len() - start - 4 * (count + 1)
}
