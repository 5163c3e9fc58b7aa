//! The watches a client holds, by kind and path, as ZooKeeper's own client keeps them
//! (`client-protocol.md` 5.1, 5.2, 12.1): servers forget them with the connection, so this
//! registry is what re-arms them, and it decides who is told about an event.
//!
//! Everything is ordered, so that a simulation repeats exactly.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use rookeeper_proto::Zxid;
use rookeeper_proto::client::request::SetWatches;

use crate::event::EventKind;

/// Names one watcher of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub u64);

impl WatchId {
    /// The watcher that stands for the whole session, as Java's default watcher.
    pub const SESSION: Self = Self(0);
}

/// What a watch waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WatchKind {
    /// Once: data changed or node deleted; left by a successful exists or getData.
    Data,
    /// Once: node created; left by an exists that found nothing.
    Exist,
    /// Once: children changed or node deleted; left by getChildren.
    Child,
    /// Every change of the node and its list of children.
    Persistent,
    /// Every change of the node and of all below it.
    PersistentRecursive,
}

impl WatchKind {
    const ALL: [Self; 5] =
        [Self::Data, Self::Exist, Self::Child, Self::Persistent, Self::PersistentRecursive];

    /// The event that tells a watcher that its watch was removed.
    fn removed_event(self) -> EventKind {
        match self {
            Self::Data | Self::Exist => EventKind::DataWatchRemoved,
            Self::Child => EventKind::ChildWatchRemoved,
            Self::Persistent | Self::PersistentRecursive => EventKind::PersistentWatchRemoved,
        }
    }
}

/// Which watches of a path to remove; the numbers are the wire's (`client-protocol.md` 5.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum WatcherType {
    /// Child watches.
    Children = 1,
    /// Data and exists watches.
    Data = 2,
    /// All.
    Any = 3,
    /// Persistent ones.
    Persistent = 4,
    /// Persistent recursive ones.
    PersistentRecursive = 5,
}

impl WatcherType {
    fn covers(self, kind: WatchKind) -> bool {
        match self {
            Self::Children => kind == WatchKind::Child,
            Self::Data => matches!(kind, WatchKind::Data | WatchKind::Exist),
            Self::Any => true,
            Self::Persistent => kind == WatchKind::Persistent,
            Self::PersistentRecursive => kind == WatchKind::PersistentRecursive,
        }
    }
}

type ByPath = BTreeMap<String, BTreeSet<WatchId>>;

/// Bytes of paths in one setWatches, as Java's client cuts them.
const CHUNK_BYTES: usize = 128 * 1024;

#[derive(Debug, Default)]
pub(super) struct Watches {
    kinds: [ByPath; 5],
}

impl Watches {
    fn of(&mut self, kind: WatchKind) -> &mut ByPath {
        &mut self.kinds[kind as usize]
    }

    pub(super) fn add(&mut self, kind: WatchKind, path: &str, id: WatchId) {
        if let Some(ids) = self.of(kind).get_mut(path) {
            ids.insert(id);
        } else {
            self.of(kind).insert(path.to_owned(), BTreeSet::from([id]));
        }
    }

    /// Who is told about an event; once-only watches are used up by it. Nobody twice.
    pub(super) fn fire(&mut self, event: EventKind, path: &str) -> BTreeSet<WatchId> {
        let mut told = BTreeSet::new();
        let once: &[WatchKind] = match event {
            EventKind::NodeCreated | EventKind::NodeDataChanged => {
                &[WatchKind::Data, WatchKind::Exist]
            }
            EventKind::NodeChildrenChanged => &[WatchKind::Child],
            EventKind::NodeDeleted => &[WatchKind::Data, WatchKind::Exist, WatchKind::Child],
            _ => return told,
        };
        for &kind in once {
            told.extend(self.of(kind).get(path).into_iter().flatten());
            if !planted!(WatchKept) {
                self.of(kind).remove(path);
            }
        }
        told.extend(self.of(WatchKind::Persistent).get(path).into_iter().flatten());
        let recursive = &self.kinds[WatchKind::PersistentRecursive as usize];
        if event != EventKind::NodeChildrenChanged && !recursive.is_empty() {
            for ancestor in ancestors(path) {
                told.extend(recursive.get(ancestor).into_iter().flatten());
            }
        }
        told
    }

    /// Whether any watch of this type is held on a path.
    pub(super) fn holds(&self, path: &str, which: WatcherType) -> bool {
        WatchKind::ALL
            .iter()
            .any(|&kind| which.covers(kind) && self.kinds[kind as usize].contains_key(path))
    }

    /// Removes watches of a path; answers who is told what.
    pub(super) fn remove(
        &mut self,
        path: &str,
        which: WatcherType,
    ) -> BTreeMap<EventKind, BTreeSet<WatchId>> {
        let mut told: BTreeMap<EventKind, BTreeSet<WatchId>> = BTreeMap::new();
        for kind in WatchKind::ALL.into_iter().filter(|&kind| which.covers(kind)) {
            if let Some(ids) = self.of(kind).remove(path) {
                told.entry(kind.removed_event()).or_default().extend(ids);
            }
        }
        told
    }

    /// Forgets one watcher's watch on a path; true when nobody holds that kind there any more.
    pub(super) fn forget(&mut self, kind: WatchKind, path: &str, id: WatchId) -> bool {
        let Some(ids) = self.of(kind).get_mut(path) else { return false };
        let removed = ids.remove(&id);
        if removed && ids.is_empty() {
            self.of(kind).remove(path);
            return true;
        }
        false
    }

    /// The watchers that may have missed events while there was no connection.
    pub(super) fn lasting(&self) -> BTreeSet<WatchId> {
        [WatchKind::Persistent, WatchKind::PersistentRecursive]
            .into_iter()
            .flat_map(|kind| self.kinds[kind as usize].values().flatten().copied())
            .collect()
    }

    /// What re-arms every watch on a new connection, in frames a server will take; the flag says
    /// whether all five kinds are needed.
    pub(super) fn rearm(&self, seen: Zxid) -> Vec<(SetWatches<'static>, bool)> {
        let lasting = [WatchKind::Persistent, WatchKind::PersistentRecursive];
        let all_kinds = lasting.iter().any(|&kind| !self.kinds[kind as usize].is_empty());
        let mut out = Vec::new();
        let mut lists = Lists::default();
        let mut bytes = 0;
        for (kind, paths) in self.kinds.iter().enumerate() {
            if kind == WatchKind::Child as usize && planted!(ChildWatchesLost) {
                continue;
            }
            for path in paths.keys() {
                if bytes > 0 && bytes + path.len() > CHUNK_BYTES {
                    out.push((set_watches(seen, std::mem::take(&mut lists)), all_kinds));
                    bytes = 0;
                }
                bytes += path.len();
                lists[kind].push(Some(Cow::Owned(path.clone())));
            }
        }
        if bytes > 0 {
            out.push((set_watches(seen, lists), all_kinds));
        }
        out
    }
}

type Lists = [Vec<Option<Cow<'static, str>>>; 5];

fn set_watches(seen: Zxid, lists: Lists) -> SetWatches<'static> {
    let [data, exist, child, persistent, persistent_recursive] = lists.map(Some);
    SetWatches { relative_zxid: seen, data, exist, child, persistent, persistent_recursive }
}

/// The path itself, then each node above it up to the root.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let above = path.char_indices().rev().filter(|&(at, c)| c == '/' && at > 0);
    let above = above.map(|(at, _)| &path[..at]);
    std::iter::once(path).chain(above).chain((path != "/").then_some("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(list: &[u64]) -> BTreeSet<WatchId> {
        list.iter().map(|&n| WatchId(n)).collect()
    }

    #[test]
    fn ancestors_end_at_the_root() {
        assert_eq!(ancestors("/a/b").collect::<Vec<_>>(), ["/a/b", "/a", "/"]);
        assert_eq!(ancestors("/").collect::<Vec<_>>(), ["/"]);
        assert_eq!(ancestors("/动/b").collect::<Vec<_>>(), ["/动/b", "/动", "/"]);
    }

    #[test]
    fn who_is_told() {
        let mut watches = Watches::default();
        watches.add(WatchKind::Data, "/a", WatchId(1));
        watches.add(WatchKind::Child, "/a", WatchId(2));
        watches.add(WatchKind::Child, "/a", WatchId(1));
        watches.add(WatchKind::Persistent, "/a", WatchId(3));
        watches.add(WatchKind::PersistentRecursive, "/", WatchId(4));
        assert_eq!(watches.fire(EventKind::NodeChildrenChanged, "/a"), ids(&[1, 2, 3]));
        assert_eq!(watches.fire(EventKind::NodeDeleted, "/a"), ids(&[1, 3, 4]));
        assert_eq!(watches.fire(EventKind::NodeCreated, "/a"), ids(&[3, 4]));
        assert_eq!(watches.fire(EventKind::NodeDataChanged, "/a/b/c"), ids(&[4]));
        assert_eq!(watches.fire(EventKind::NodeChildrenChanged, "/a/b"), ids(&[]));
    }

    #[test]
    fn removing_tells_by_kind() {
        let mut watches = Watches::default();
        for kind in WatchKind::ALL {
            watches.add(kind, "/a", WatchId::SESSION);
        }
        assert!(watches.holds("/a", WatcherType::Children));
        let told = watches.remove("/a", WatcherType::Any);
        assert_eq!(told.len(), 3);
        assert!(!watches.holds("/a", WatcherType::Any));
    }

    #[test]
    fn rearming_is_cut_into_frames_and_loses_nothing() {
        let mut watches = Watches::default();
        for n in 0..3000 {
            let kind = WatchKind::ALL[n % 3];
            watches.add(kind, &format!("/{n:0150}"), WatchId(n as u64));
        }
        let chunks = watches.rearm(Zxid(9));
        assert_eq!(chunks.len(), 4);
        let mut total = 0;
        for (chunk, all_kinds) in &chunks {
            assert!(!all_kinds);
            let lists = [&chunk.data, &chunk.exist, &chunk.child];
            let paths = lists.into_iter().flatten().flatten().flatten();
            let bytes: usize = paths.clone().map(|p| p.len()).sum();
            assert!(bytes <= CHUNK_BYTES);
            total += paths.count();
        }
        assert_eq!(total, 3000);
        assert!(Watches::default().rearm(Zxid(0)).is_empty());
    }
}
