//! Which watches a change triggers (`client-protocol.md` 5.2).

use std::hash::Hash;

use rookeeper_proto::client::reply::EventType;
use rookeeper_proto::{AclList, path};

use super::paths::Flags;
use super::{Registry, WatchTable};
use crate::change::{Change, ChangeKind};

/// The proper ancestors of a path, nearest first, `/` last.
fn ancestors(of: &str) -> impl Iterator<Item = &str> {
    let parent = |path: &str| if path == "/" { None } else { path::parent(path).map(str::len) };
    std::iter::successors(Some(of), move |&at| {
        // The root's path is the one that keeps its slash.
        parent(at).map(|len| if len == 0 { &of[..1] } else { &of[..len] })
    })
    .skip(1)
}

/// Where an event happens.
#[derive(Clone, Copy)]
struct Place<'a> {
    registry: Registry,
    node: u32,
    path: &'a str,
}

impl<C: Copy + Eq + Ord + Hash> WatchTable<C> {
    /// Fires for a change told by [`crate::DataTree::apply`]; call it for every change, in order.
    ///
    /// `may_read` filters by the connection's present identities; whoever it refuses hears nothing,
    /// and a standard watch is used up all the same (CVE-2024-23944). `emit` gets the events.
    pub fn fire(
        &mut self,
        change: &Change<'_>,
        mut may_read: impl FnMut(C, &AclList) -> bool,
        mut emit: impl FnMut(C, EventType, &str),
    ) {
        let event = match change.kind {
            ChangeKind::Created => EventType::NodeCreated,
            ChangeKind::Deleted => EventType::NodeDeleted,
            ChangeKind::DataChanged => EventType::NodeDataChanged,
        };
        let mut tell = |table: &Self, place: Place<'_>, event, acl: &AclList| {
            for &slot in &table.matched {
                let conn = table.slots.conn(slot);
                if may_read(conn, acl) {
                    emit(conn, event, place.path);
                }
            }
        };
        let place = Place { registry: Registry::Data, node: change.id.0, path: change.path };
        self.collect(place);
        tell(self, place, event, change.acl);
        if change.kind == ChangeKind::Deleted {
            // Whoever matched above hears of the deletion once, even if that once was filtered.
            std::mem::swap(&mut self.matched, &mut self.notified);
            self.notified.sort_unstable();
            let place = Place { registry: Registry::Child, ..place };
            self.collect(place);
            let notified = &self.notified;
            self.matched.retain(|slot| notified.binary_search(slot).is_err());
            tell(self, place, event, change.acl);
        }
        if let Some((id, path, acl)) = change.parent {
            let place = Place { registry: Registry::Child, node: id.0, path };
            self.collect(place);
            tell(self, place, EventType::NodeChildrenChanged, acl);
        }
    }

    /// Fills `matched` with the connections an event reaches, each once, and uses up what is standard.
    fn collect(&mut self, place: Place<'_>) {
        self.matched.clear();
        self.edges.take(&mut self.slots, place.node, place.registry, &mut self.matched);
        let (wanted, once) = match place.registry {
            Registry::Data => (Flags::IN_DATA, Flags::DATA),
            Registry::Child => (Flags::IN_CHILD, Flags::CHILD),
        };
        if self.paths.is_empty() {
            for &slot in &self.matched {
                self.slots.recount(slot, once, Flags::NONE);
            }
            return;
        }
        let from_edges = self.matched.len();
        let mut at_path = Vec::new();
        self.paths.take(&mut self.slots, place.path, wanted, once, &mut at_path);
        for &slot in &self.matched {
            // A persistent watch at the same path keeps the pair.
            let rest = at_path.binary_search_by_key(&slot, |w| w.0);
            let rest = rest.map_or(Flags::NONE, |at| at_path[at].1.without(once));
            self.slots.recount(slot, rest | once, rest);
        }
        for &(slot, flags) in &at_path {
            if flags.has_any(once) {
                self.slots.recount(slot, flags, flags.without(once));
            }
            self.matched.push(slot);
        }
        if place.registry == Registry::Data && self.paths.has_recursive() {
            for ancestor in ancestors(place.path) {
                self.paths.recursive_at(ancestor, &mut self.matched);
            }
        }
        if self.matched.len() > from_edges {
            self.matched.sort_unstable();
            self.matched.dedup();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ancestors;

    #[test]
    fn ancestors_end_at_the_root() {
        assert_eq!(ancestors("/a/b/c").collect::<Vec<_>>(), ["/a/b", "/a", "/"]);
        assert_eq!(ancestors("/a").collect::<Vec<_>>(), ["/"]);
        assert_eq!(ancestors("/").count(), 0);
    }
}
