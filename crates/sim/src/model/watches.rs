//! The watches of one connection and the events they must bring (`client-protocol.md` 5).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rookeeper_proto::acl::{AclList, Id, READ};
use rookeeper_proto::client::reply::EventType;
use rookeeper_proto::client::request::SetWatches;
use rookeeper_proto::{Xid, Zxid};

use super::access;
use super::tree::{Change, Kind, Model};

/// Bits of what is set at a path, by registry: data and child.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Set {
    data: bool,
    child: bool,
    persistent: bool,
    recursive: bool,
}

/// An event that must come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The txn.
    pub zxid: Zxid,
    /// What happened.
    pub event: EventType,
    /// Where.
    pub path: String,
    /// It may be missing: the connection's identities changed meanwhile.
    pub is_optional: bool,
}

/// A connection's watches, as of the newest zxid its client has been shown.
#[derive(Debug, Clone, Default)]
pub struct ConnWatches {
    at: BTreeMap<String, Set>,
    /// What the client has been shown.
    pub seen: Zxid,
    /// Events that must come before anything newer.
    pub due: VecDeque<Due>,
    /// Events withheld.
    pub filtered: u64,
    /// Where an event was or may have been withheld.
    pub withheld: BTreeSet<String>,
}

impl ConnWatches {
    /// Executes the txns up to `zxid`: what they trigger becomes due. `ids` are the connection's now,
    /// `ids_before` those it had when it was last shown anything.
    pub fn advance(&mut self, model: &Model, zxid: Zxid, ids_before: &[Id], ids: &[Id]) {
        if zxid <= self.seen {
            return;
        }
        if self.at.is_empty() {
            self.seen = zxid;
            return;
        }
        for txn in model.txns_behind(self.seen).iter().take_while(|txn| txn.zxid <= zxid) {
            for change in &txn.changes {
                self.trigger(txn.zxid, change, ids_before, ids);
            }
        }
        self.seen = zxid;
    }

    fn trigger(&mut self, zxid: Zxid, change: &Change, ids_before: &[Id], ids: &[Id]) {
        let event = match change.kind {
            Kind::Created => EventType::NodeCreated,
            Kind::Deleted => EventType::NodeDeleted,
            Kind::DataChanged => EventType::NodeDataChanged,
        };
        let here = self.at.get(&change.path).copied().unwrap_or_default();
        let is_matched = here.data || here.persistent || self.has_recursive(&change.path);
        self.change(&change.path, |set| set.data = false);
        if is_matched {
            self.push(zxid, event, &change.path, &change.acl, ids_before, ids);
        }
        if change.kind == Kind::Deleted {
            self.change(&change.path, |set| set.child = false);
            if !is_matched && here.child {
                self.push(zxid, event, &change.path, &change.acl, ids_before, ids);
            }
        }
        if let Some((parent, acl)) = &change.parent {
            let there = self.at.get(parent).copied().unwrap_or_default();
            self.change(parent, |set| set.child = false);
            if there.child || there.persistent {
                let event = EventType::NodeChildrenChanged;
                self.push(zxid, event, parent, acl, ids_before, ids);
            }
        }
    }

    fn push(
        &mut self,
        zxid: Zxid,
        event: EventType,
        path: &str,
        acl: &AclList,
        before: &[Id],
        ids: &[Id],
    ) {
        let (could, can) = (access::may(acl, READ, before), access::may(acl, READ, ids));
        if !could || !can {
            self.withheld.insert(path.to_owned());
        }
        if !could && !can {
            self.filtered += 1;
            return;
        }
        let is_optional = could != can;
        self.due.push_back(Due { zxid, event, path: path.to_owned(), is_optional });
    }

    fn has_recursive(&self, path: &str) -> bool {
        let mut at = path;
        loop {
            if self.at.get(at).is_some_and(|set| set.recursive) {
                return true;
            }
            match at.rfind('/') {
                _ if at == "/" => return false,
                Some(0) => at = "/",
                Some(slash) => at = &at[..slash],
                None => return false,
            }
        }
    }

    fn change(&mut self, path: &str, change: impl FnOnce(&mut Set)) {
        if let Some(set) = self.at.get_mut(path) {
            change(set);
            if *set == Set::default() {
                self.at.remove(path);
            }
        }
    }

    fn set(&mut self, path: &str, change: impl FnOnce(&mut Set)) {
        change(self.at.entry(path.to_owned()).or_default());
    }

    /// exists or getData left a watch.
    pub fn watch_data(&mut self, path: &str) {
        self.set(path, |set| set.data = true);
    }

    /// getChildren left a watch.
    pub fn watch_children(&mut self, path: &str) {
        self.set(path, |set| set.child = true);
    }

    /// addWatch.
    pub fn watch_always(&mut self, path: &str, is_recursive: bool) {
        self.set(
            path,
            |set| if is_recursive { set.recursive = true } else { set.persistent = true },
        );
    }

    /// checkWatches and removeWatches: whether there is something of this type.
    pub fn holds(&self, path: &str, kind: i32) -> bool {
        let set = self.at.get(path).copied().unwrap_or_default();
        match kind {
            1 => set.child,
            2 => set.data,
            3 => set != Set::default(),
            4 => set.persistent,
            _ => set.recursive,
        }
    }

    /// removeWatches.
    pub fn remove(&mut self, path: &str, kind: i32) {
        self.change(path, |set| match kind {
            1 => set.child = false,
            2 => set.data = false,
            3 => *set = Set::default(),
            4 => set.persistent = false,
            _ => set.recursive = false,
        });
    }

    /// setWatches at `zxid`: arms, and returns the events that must precede its reply.
    pub fn rearm(
        &mut self,
        model: &Model,
        zxid: Zxid,
        request: &SetWatches<'_>,
    ) -> Vec<(EventType, String)> {
        let since = request.relative_zxid;
        let mut events = Vec::new();
        let node = |path: &str| model.at(path, zxid).map(|node| node.stat);
        for path in request.data.iter().flatten().flatten() {
            match node(path) {
                None => events.push((EventType::NodeDeleted, path.to_string())),
                Some(stat) if since < stat.mzxid => {
                    events.push((EventType::NodeDataChanged, path.to_string()));
                }
                Some(_) => self.watch_data(path),
            }
        }
        for path in request.exist.iter().flatten().flatten() {
            match node(path) {
                Some(_) => events.push((EventType::NodeCreated, path.to_string())),
                None => self.watch_data(path),
            }
        }
        for path in request.child.iter().flatten().flatten() {
            match node(path) {
                None => events.push((EventType::NodeDeleted, path.to_string())),
                Some(stat) if since < stat.pzxid => {
                    events.push((EventType::NodeChildrenChanged, path.to_string()));
                }
                Some(_) => self.watch_children(path),
            }
        }
        for path in request.persistent.iter().flatten().flatten() {
            self.watch_always(path, false);
        }
        for path in request.persistent_recursive.iter().flatten().flatten() {
            self.watch_always(path, true);
        }
        events
    }
}

/// The xid of a notification, for readers of frames.
pub const NOTIFICATION: Xid = Xid::NOTIFICATION;
