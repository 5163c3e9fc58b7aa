//! The watches a user holds, as a plain list: who must be told of an event, and what a new connection
//! must bring back.

use rookeeper_proto::Zxid;
use rookeeper_session::{EventKind, Output, WatchId, WatchKind, WatcherType};

use crate::model::Model;
use crate::model::watches::ConnWatches;
use crate::violation::{Check, broken};

const NAME: &str = "client_watches";

#[derive(Debug, Clone)]
struct Watch {
    id: WatchId,
    kind: WatchKind,
    path: String,
    /// The state its holder knows.
    since: Zxid,
    /// A server may have used it up without a word, for want of a permission to read.
    is_withheld: bool,
}

impl Watch {
    fn is_once(&self) -> bool {
        !matches!(self.kind, WatchKind::Persistent | WatchKind::PersistentRecursive)
    }

    fn hears(&self, event: EventKind, path: &str) -> bool {
        use EventKind as E;
        use WatchKind as K;
        let is_here = self.path == path;
        match (self.kind, event) {
            (K::Data | K::Exist, E::NodeCreated | E::NodeDataChanged | E::NodeDeleted) => is_here,
            (K::Child, E::NodeChildrenChanged | E::NodeDeleted) => is_here,
            (K::Persistent, _) => is_here,
            (K::PersistentRecursive, E::NodeChildrenChanged) => false,
            (K::PersistentRecursive, _) => {
                let below = path.strip_prefix(self.path.trim_end_matches('/'));
                below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            _ => false,
        }
    }

    /// Whether the holder should have been told of a change up to `zxid`.
    fn has_missed(&self, model: &Model, zxid: Zxid) -> bool {
        let node = model.at(&self.path, zxid);
        match self.kind {
            WatchKind::Data => node.is_none_or(|node| self.since < node.stat.mzxid),
            WatchKind::Child => node.is_none_or(|node| self.since < node.stat.pzxid),
            WatchKind::Exist => node.is_some(),
            _ => false,
        }
    }
}

/// The number of the registry a kind is in, as checkWatches names it.
fn registry(kind: WatchKind) -> i32 {
    match kind {
        WatchKind::Child => WatcherType::Children as i32,
        WatchKind::Data | WatchKind::Exist => WatcherType::Data as i32,
        WatchKind::Persistent => WatcherType::Persistent as i32,
        WatchKind::PersistentRecursive => WatcherType::PersistentRecursive as i32,
    }
}

fn is_of(kind: WatchKind, which: WatcherType) -> bool {
    which == WatcherType::Any || registry(kind) == which as i32
}

/// What is held.
#[derive(Debug, Default)]
pub(super) struct Held {
    list: Vec<Watch>,
}

impl Held {
    pub(super) fn add(&mut self, id: WatchId, kind: WatchKind, path: &str, since: Zxid) {
        let known = |watch: &Watch| (watch.id, watch.kind) == (id, kind) && watch.path == path;
        if !self.list.iter().any(known) {
            self.list.push(Watch { id, kind, path: path.to_owned(), since, is_withheld: false });
        }
    }

    pub(super) fn holds(&self, path: &str, which: WatcherType) -> bool {
        self.list.iter().any(|watch| watch.path == path && is_of(watch.kind, which))
    }

    /// Takes one away; true when nobody has this kind there any more.
    pub(super) fn forget(&mut self, id: WatchId, kind: WatchKind, path: &str) -> bool {
        let before = self.list.len();
        self.list.retain(|watch| watch.path != path || (watch.id, watch.kind) != (id, kind));
        let is_left = self.list.iter().any(|watch| watch.path == path && watch.kind == kind);
        self.list.len() < before && !is_left
    }

    /// Who must be told of an event, nobody twice; what waits only once is used up.
    pub(super) fn fire(&mut self, event: EventKind, path: &str) -> Vec<WatchId> {
        let hearing = self.list.iter().filter(|watch| watch.hears(event, path));
        let mut told: Vec<WatchId> = hearing.map(|watch| watch.id).collect();
        told.sort();
        told.dedup();
        self.list.retain(|watch| !watch.is_once() || !watch.hears(event, path));
        told
    }

    /// Takes away all of a type; what their holders must be told.
    pub(super) fn remove(&mut self, path: &str, which: WatcherType) -> Vec<Output> {
        let mut told = Vec::new();
        for (kind, kinds) in [
            (EventKind::DataWatchRemoved, &[WatchKind::Data, WatchKind::Exist][..]),
            (EventKind::ChildWatchRemoved, &[WatchKind::Child]),
            (
                EventKind::PersistentWatchRemoved,
                &[WatchKind::Persistent, WatchKind::PersistentRecursive],
            ),
        ] {
            let is_meant = |watch: &Watch| {
                watch.path == path && kinds.contains(&watch.kind) && is_of(watch.kind, which)
            };
            let meant = self.list.iter().filter(|watch| is_meant(watch));
            let mut watchers: Vec<WatchId> = meant.map(|watch| watch.id).collect();
            watchers.sort();
            watchers.dedup();
            self.list.retain(|watch| !is_meant(watch));
            if !watchers.is_empty() {
                let (path, zxid) = (path.to_owned(), Zxid(-1));
                told.push(Output::Event { kind, path, zxid, watchers });
            }
        }
        told
    }

    /// Holders of persistent watches: they may have missed something while there was no connection.
    pub(super) fn lasting(&self) -> Vec<WatchId> {
        let lasting = self.list.iter().filter(|watch| !watch.is_once());
        let mut ids: Vec<WatchId> = lasting.map(|watch| watch.id).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// What a new connection must bring back.
    pub(super) fn kinds_and_paths(&self) -> Vec<(WatchKind, String)> {
        let mut all: Vec<(WatchKind, String)> = Vec::new();
        for watch in &self.list {
            let one = (watch.kind, watch.path.clone());
            if !all.contains(&one) {
                all.push(one);
            }
        }
        all
    }

    /// One of them that has a holder of its own.
    pub(super) fn one(&self, at: usize) -> Option<(WatchId, WatchKind, String)> {
        let own: Vec<&Watch> =
            self.list.iter().filter(|watch| watch.id != WatchId::SESSION).collect();
        let watch = own.get(at.checked_rem(own.len())?)?;
        Some((watch.id, watch.kind, watch.path.clone()))
    }

    /// Everything held is armed at the server, and nothing it waits for has happened; `at` is what the
    /// server has, as of what its client has been shown.
    pub(super) fn check(&mut self, at: &ConnWatches, model: &Model) -> Check {
        for watch in &mut self.list {
            if at.withheld.contains(&watch.path) {
                watch.is_withheld = true;
                continue;
            }
            if !at.holds(&watch.path, registry(watch.kind)) {
                return broken(NAME, format!("{watch:?} is held, but not armed: {at:?}"));
            }
            if !watch.is_withheld && watch.has_missed(model, at.seen) {
                let node = model.at(&watch.path, at.seen).map(|node| node.stat);
                let what = format!("{watch:?} was not told of a change; at {}: {node:?}", at.seen);
                return broken(NAME, what);
            }
        }
        Ok(())
    }
}
