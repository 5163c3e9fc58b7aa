//! The tree and the watches as the reference describes them, without any cleverness.

use std::collections::{BTreeMap, BTreeSet};

use rookeeper_proto::create_mode::{CONTAINER_OWNER, ttl_owner};
use rookeeper_proto::txn::{CreateTxn, Txn, TxnHeader};
use rookeeper_proto::{AclList, Reader, SessionId, Stat, StatPersisted, Zxid};
use rookeeper_tree::{DataTree, EventType, node_digest};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) data: Option<Vec<u8>>,
    pub(crate) acl: AclList,
    pub(crate) stat: StatPersisted,
}

/// An event trigger: type, path, ACL to check, and whether it goes to the child registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trigger {
    pub(crate) event: EventType,
    pub(crate) path: String,
    pub(crate) acl: AclList,
    pub(crate) is_child: bool,
}

/// Keyed by path; the root is "".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) sessions: BTreeMap<SessionId, i32>,
    pub(crate) last_zxid: Zxid,
}

pub(crate) type Results = Vec<(i32, Option<Stat>)>;

fn key(path: &str) -> &str {
    if path == "/" { "" } else { path }
}

fn shown(path: &str) -> String {
    if path.is_empty() { "/".to_owned() } else { path.to_owned() }
}

fn parent(path: &str) -> &str {
    &path[..path.rfind('/').unwrap()]
}

impl Tree {
    pub(crate) fn fresh() -> Self {
        let node = |acl: AclList, aversion| Node {
            data: Some(vec![]),
            acl,
            stat: StatPersisted { aversion, ..StatPersisted::default() },
        };
        let nodes = BTreeMap::from([
            (String::new(), node(AclList::open(), 0)),
            ("/zookeeper".to_owned(), node(AclList::open(), 0)),
            ("/zookeeper/quota".to_owned(), node(AclList::open(), 0)),
            ("/zookeeper/config".to_owned(), node(AclList::world(1), -1)),
        ]);
        Self { nodes, sessions: BTreeMap::new(), last_zxid: Zxid(0) }
    }

    pub(crate) fn children(&self, path: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for other in self.nodes.keys().filter(|other| !other.is_empty()) {
            if parent(other) == key(path) {
                names.insert(other[other.rfind('/').unwrap() + 1..].to_owned());
            }
        }
        names
    }

    pub(crate) fn stat(&self, path: &str) -> Stat {
        let node = &self.nodes[key(path)];
        let (s, children) = (node.stat, self.children(path).len() as i32);
        let special =
            s.ephemeral_owner == CONTAINER_OWNER || (s.ephemeral_owner >> 40) == -0x1_0000;
        Stat {
            czxid: s.czxid,
            mzxid: s.mzxid,
            ctime_ms: s.ctime_ms,
            mtime_ms: s.mtime_ms,
            version: s.version,
            cversion: s.cversion.wrapping_mul(2).wrapping_sub(children),
            aversion: s.aversion,
            ephemeral_owner: if special { 0 } else { s.ephemeral_owner },
            data_length: node.data.as_ref().map_or(0, Vec::len) as i32,
            num_children: children,
            pzxid: s.pzxid,
        }
    }

    pub(crate) fn digest(&self) -> i64 {
        self.nodes
            .iter()
            .map(|(path, n)| node_digest(path, n.data.as_deref(), &n.stat))
            .fold(0, i64::wrapping_add)
    }

    pub(crate) fn ephemerals_of(&self, session: i64) -> Vec<String> {
        let owned = self.nodes.iter().filter(|(_, n)| n.stat.ephemeral_owner == session);
        owned.map(|(path, _)| path.clone()).collect()
    }

    pub(crate) fn apply(
        &mut self,
        h: &TxnHeader,
        txn: &Txn<'_>,
        out: &mut Vec<Trigger>,
    ) -> Results {
        let results = match txn {
            Txn::Multi(parts) if parts.iter().any(|p| matches!(p, Txn::Error(_))) => {
                let at = parts.iter().position(|p| matches!(p, Txn::Error(_))).unwrap();
                let codes = parts.iter().enumerate().map(|(i, p)| match p {
                    Txn::Error(code) => *code,
                    _ if i < at => 0,
                    _ => -2,
                });
                codes.map(|code| (code, None)).collect()
            }
            Txn::Multi(parts) => parts.iter().map(|p| self.one(h, p, out)).collect(),
            single => vec![self.one(h, single, out)],
        };
        self.last_zxid = self.last_zxid.max(h.zxid);
        results
    }

    fn one(&mut self, h: &TxnHeader, txn: &Txn<'_>, out: &mut Vec<Trigger>) -> (i32, Option<Stat>) {
        let result = match txn {
            Txn::Create { create, ephemeral, is_create2 } => {
                let owner = if *ephemeral { h.session.0 } else { 0 };
                self.create(h, create, owner, !is_create2, out).map(Some)
            }
            Txn::CreateContainer(c) => self.create(h, c, CONTAINER_OWNER, false, out).map(Some),
            Txn::CreateTtl { create, ttl_ms } => {
                self.create(h, create, ttl_owner(*ttl_ms), false, out).map(Some)
            }
            Txn::Delete { path, .. } => self.delete(h.zxid, path, out).map(|()| None),
            Txn::SetData { path, data, version, .. } => match self.nodes.get_mut(key(path)) {
                None => Err(-101),
                Some(node) => {
                    let old = node.data.as_ref().map_or(0, Vec::len) as i64;
                    node.data = data.map(<[u8]>::to_vec);
                    node.stat.version = *version;
                    node.stat.mtime_ms = h.time_ms;
                    node.stat.mzxid = h.zxid;
                    let acl = node.acl.clone();
                    let stat = self.stat(path);
                    self.book(path, 0, data.map_or(0, <[u8]>::len) as i64 - old);
                    let (event, path) = (EventType::NodeDataChanged, shown(key(path)));
                    out.push(Trigger { event, path, acl, is_child: false });
                    Ok(Some(stat))
                }
            },
            Txn::SetAcl { path, acl, version } => match self.nodes.get_mut(key(path)) {
                None => Err(-101),
                Some(node) => {
                    node.acl = acl.clone();
                    node.stat.aversion = *version;
                    Ok(Some(self.stat(path)))
                }
            },
            Txn::Check { .. } => Ok(None),
            Txn::CreateSession { timeout_ms } => {
                self.sessions.insert(h.session, *timeout_ms);
                Ok(None)
            }
            Txn::CloseSession(paths) => {
                self.sessions.remove(&h.session);
                for path in paths.iter().flatten() {
                    let _ = self.delete(h.zxid, path, out);
                }
                for path in self.ephemerals_of(h.session.0) {
                    let _ = self.delete(h.zxid, &path, out);
                }
                Ok(None)
            }
            Txn::Error(code) => Err(*code),
            Txn::Multi(_) => Err(-6),
        };
        result.map_or_else(|code| (code, None), |stat| (0, stat))
    }

    fn create(
        &mut self,
        h: &TxnHeader,
        c: &CreateTxn<'_>,
        owner: i64,
        fixes_parent: bool,
        out: &mut Vec<Trigger>,
    ) -> Result<Stat, i32> {
        let path: &str = &c.path;
        let raise = |stat: &mut StatPersisted| {
            let new = if c.parent_cversion == -1 {
                stat.cversion.wrapping_add(1)
            } else {
                c.parent_cversion
            };
            if new > stat.cversion {
                stat.cversion = new;
                stat.pzxid = h.zxid;
            }
        };
        if !self.nodes.contains_key(parent(path)) {
            return Err(-101);
        }
        if let Some(node) = self.nodes.get_mut(path) {
            node.acl = c.acl.clone();
            if fixes_parent {
                raise(&mut self.nodes.get_mut(parent(path)).unwrap().stat);
            }
            return Err(-110);
        }
        raise(&mut self.nodes.get_mut(parent(path)).unwrap().stat);
        let stat = StatPersisted {
            czxid: h.zxid,
            mzxid: h.zxid,
            pzxid: h.zxid,
            ctime_ms: h.time_ms,
            mtime_ms: h.time_ms,
            ephemeral_owner: owner,
            ..StatPersisted::default()
        };
        let node = Node { data: c.data.map(<[u8]>::to_vec), acl: c.acl.clone(), stat };
        self.nodes.insert(path.to_owned(), node);
        let stat = self.stat(path);
        if let Some(root) = path.strip_suffix("/zookeeper_stats")
            && let Some(root) = root.strip_prefix("/zookeeper/quota")
            && root.len() > 1
        {
            self.recompute(root);
        }
        self.book(path, 1, c.data.map_or(0, <[u8]>::len) as i64);
        out.push(Trigger {
            event: EventType::NodeCreated,
            path: path.to_owned(),
            acl: c.acl.clone(),
            is_child: false,
        });
        self.children_changed(path, out);
        Ok(stat)
    }

    fn children_changed(&self, path: &str, out: &mut Vec<Trigger>) {
        out.push(Trigger {
            event: EventType::NodeChildrenChanged,
            path: shown(parent(path)),
            acl: self.nodes[parent(path)].acl.clone(),
            is_child: true,
        });
    }

    fn delete(&mut self, zxid: Zxid, path: &str, out: &mut Vec<Trigger>) -> Result<(), i32> {
        let above = self.nodes.get_mut(parent(path)).ok_or(-101)?;
        above.stat.pzxid = above.stat.pzxid.max(zxid);
        let node = self.nodes.remove(path).ok_or(-101)?;
        assert!(self.children(path).is_empty(), "the tests delete leaves only: {path}");
        self.book(path, -1, -(node.data.as_ref().map_or(0, Vec::len) as i64));
        for is_child in [false, true] {
            let (event, acl) = (EventType::NodeDeleted, node.acl.clone());
            out.push(Trigger { event, path: path.to_owned(), acl, is_child });
        }
        self.children_changed(path, out);
        Ok(())
    }

    /// Roots of all quotas: a limits node strictly below /zookeeper/quota.
    fn quota_roots(&self) -> Vec<String> {
        let limits = self.nodes.keys().filter_map(|p| p.strip_suffix("/zookeeper_limits"));
        let roots = limits.filter_map(|p| p.strip_prefix("/zookeeper/quota"));
        roots.filter(|root| root.len() > 1).map(str::to_owned).collect()
    }

    fn book(&mut self, path: &str, count: i64, bytes: i64) {
        let roots = self.quota_roots().into_iter();
        let covers = |root: &String| path == root || path.starts_with(&format!("{root}/"));
        let Some(root) = roots.filter(covers).max_by_key(String::len) else { return };
        let Some(stats) = self.nodes.get_mut(&format!("/zookeeper/quota{root}/zookeeper_stats"))
        else {
            return;
        };
        let text = String::from_utf8(stats.data.clone().unwrap_or_default()).unwrap_or_default();
        let (old_count, old_bytes) = parse(&text).unwrap_or((-1, -1));
        let text = format!("count={},bytes={}", old_count + count, old_bytes + bytes);
        stats.data = Some(text.into_bytes());
    }

    pub(crate) fn recompute(&mut self, root: &str) {
        let inside = |path: &str| path == root || path.starts_with(&format!("{root}/"));
        let nodes = self.nodes.iter().filter(|(path, _)| inside(path));
        let sizes: Vec<_> = nodes.map(|(_, n)| n.data.as_ref().map_or(0, Vec::len)).collect();
        let text = format!("count={},bytes={}", sizes.len(), sizes.iter().sum::<usize>());
        if let Some(n) = self.nodes.get_mut(&format!("/zookeeper/quota{root}/zookeeper_stats")) {
            n.data = Some(text.into_bytes());
        }
    }

    /// What loading does to the quotas.
    pub(crate) fn recompute_all(&mut self) {
        for root in self.quota_roots() {
            self.recompute(&root);
        }
    }

    /// Panics unless `tree` holds the same.
    pub(crate) fn assert_equals(&self, tree: &DataTree) {
        for (path, node) in &self.nodes {
            let real = tree.get(path).unwrap_or_else(|| panic!("{path:?} is missing"));
            assert_eq!(real.path(), shown(path));
            assert_eq!(real.data(), node.data.as_deref(), "{path}");
            assert_eq!(real.acl(), &node.acl, "{path}");
            assert_eq!(tree.acls().get(real.acl_id()), Some(&node.acl), "{path}");
            assert_eq!(real.persisted(), node.stat, "{path}");
            assert_eq!(real.stat(), self.stat(path), "{path}");
            let names: BTreeSet<String> = real.children().map(str::to_owned).collect();
            assert_eq!(names, self.children(path), "{path}");
            assert_eq!(real.child_count(), names.len());
            let below = self.nodes.keys().filter(|p| p.starts_with(&format!("{path}/"))).count();
            assert_eq!(tree.descendant_count(real.id()), below, "{path}");
        }
        assert_eq!(tree.node_count(), self.nodes.len());
        assert_eq!(tree.sessions(), &self.sessions);
        assert_eq!(tree.last_zxid(), self.last_zxid);
        assert_eq!(tree.digest(), self.digest());
        let size = |(path, n): (&String, &Node)| path.len() + n.data.as_ref().map_or(0, Vec::len);
        assert_eq!(tree.approximate_data_size(), self.nodes.iter().map(size).sum::<usize>() as i64);
        let mut lists: Vec<&AclList> =
            self.nodes.values().map(|n| &n.acl).filter(|acl| !acl.is_open()).collect();
        lists.sort();
        lists.dedup();
        let mut interned: Vec<&AclList> = tree.acls().iter().map(|(_, list)| list).collect();
        interned.sort();
        assert_eq!(interned, lists);
        for session in 1..4 {
            assert_eq!(tree.ephemerals_of(SessionId(session)), self.ephemerals_of(session));
        }
        let roots = self.quota_roots();
        for path in self.nodes.keys() {
            let covers = |root: &&String| path == *root || path.starts_with(&format!("{root}/"));
            let deepest = roots.iter().filter(covers).max_by_key(|root| root.len());
            assert_eq!(tree.quota_root(path), deepest.map(String::as_str), "{path}");
        }
    }
}

fn parse(text: &str) -> Option<(i64, i64)> {
    let (count, bytes) = text.strip_prefix("count=")?.split_once(",bytes=")?;
    Some((count.parse().ok()?, bytes.parse().ok()?))
}

/// The body of a snapshot, taken apart.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) sessions: Vec<(SessionId, i32)>,
    pub(crate) acls: Vec<(i64, AclList)>,
    pub(crate) nodes: Vec<(String, Option<Vec<u8>>, i64, StatPersisted)>,
}

impl Body {
    pub(crate) fn parse(body: &[u8]) -> Self {
        let mut r = Reader::new(body);
        let sessions = r.vector(|r| Ok((SessionId(r.i64()?), r.i32()?))).unwrap().unwrap();
        let acls = r.vector(|r| Ok((r.i64()?, AclList::read(r)?))).unwrap().unwrap();
        let mut nodes = Vec::new();
        loop {
            let path = r.string().unwrap().unwrap().into_owned();
            if path == "/" {
                break;
            }
            let data = r.buffer().unwrap().map(<[u8]>::to_vec);
            nodes.push((path, data, r.i64().unwrap(), StatPersisted::read(&mut r).unwrap()));
        }
        assert_eq!(r.remaining(), 0, "nothing follows the terminator");
        Self { sessions, acls, nodes }
    }

    /// As a tree; panics on a node before its parent, a node twice, an unknown ACL.
    pub(crate) fn into_tree(self, zxid: Zxid) -> Tree {
        let acls: BTreeMap<i64, AclList> = self.acls.into_iter().collect();
        let mut nodes = BTreeMap::new();
        for (path, data, acl, stat) in self.nodes {
            assert!(path.is_empty() || nodes.contains_key(parent(&path)), "{path} is an orphan");
            let acl = if acl == -1 { AclList::open() } else { acls[&acl].clone() };
            let old = nodes.insert(path.clone(), Node { data, acl, stat });
            assert_eq!(old, None, "{path} comes twice");
        }
        Tree { nodes, sessions: self.sessions.into_iter().collect(), last_zxid: zxid }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    Standard,
    Persistent,
    Recursive,
}

/// One registry: modes by path and connection.
type Registry = BTreeMap<String, BTreeMap<u64, BTreeSet<Mode>>>;

/// Watches as section 5 of the reference has them.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    pub(crate) data: Registry,
    pub(crate) child: Registry,
}

fn tidy(registry: &mut Registry) {
    for conns in registry.values_mut() {
        conns.retain(|_, modes| !modes.is_empty());
    }
    registry.retain(|_, conns| !conns.is_empty());
}

impl Watches {
    pub(crate) fn add(&mut self, conn: u64, path: &str, is_child: bool, mode: Mode) {
        let registry = if is_child { &mut self.child } else { &mut self.data };
        registry.entry(path.to_owned()).or_default().entry(conn).or_default().insert(mode);
    }

    /// Types 1 to 5; with `remove` it also removes.
    pub(crate) fn check(&mut self, conn: u64, path: &str, kind: i32, remove: bool) -> bool {
        use Mode::{Persistent, Recursive, Standard};
        let all = [Standard, Persistent, Recursive];
        let (data, child): (&[Mode], &[Mode]) = match kind {
            1 => (&[], &[Standard]),
            2 => (&[Standard], &[]),
            3 => (&all, &all),
            4 => (&[Persistent], &[Persistent]),
            _ => (&[Recursive], &[]),
        };
        let mut found = false;
        for (registry, modes) in [(&mut self.data, data), (&mut self.child, child)] {
            let Some(held) = registry.get_mut(path).and_then(|conns| conns.get_mut(&conn)) else {
                continue;
            };
            for mode in modes {
                found |= if remove { held.remove(mode) } else { held.contains(mode) };
            }
            tidy(registry);
        }
        found
    }

    pub(crate) fn remove_connection(&mut self, conn: u64) {
        for registry in [&mut self.data, &mut self.child] {
            for conns in registry.values_mut() {
                conns.remove(&conn);
            }
            tidy(registry);
        }
    }

    /// Events in order; connections of one trigger ascending.
    pub(crate) fn fire(&mut self, triggers: &[Trigger]) -> Vec<(u64, EventType, String)> {
        let mut events = Vec::new();
        let mut deleted = BTreeSet::new();
        for t in triggers {
            let registry = if t.is_child { &mut self.child } else { &mut self.data };
            let mut matched = BTreeSet::new();
            for (conn, modes) in registry.get_mut(&t.path).into_iter().flatten() {
                matched.insert(*conn);
                modes.remove(&Mode::Standard);
            }
            for (path, conns) in registry.iter() {
                let is_above = path == "/" || t.path.starts_with(&format!("{path}/"));
                if is_above && *path != t.path && !path.is_empty() {
                    let recursive = conns.iter().filter(|(_, m)| m.contains(&Mode::Recursive));
                    matched.extend(recursive.map(|(conn, _)| *conn));
                }
            }
            tidy(registry);
            let is_deletion = t.event == EventType::NodeDeleted;
            if is_deletion && !t.is_child {
                deleted = matched.clone();
            }
            for conn in matched {
                let is_suppressed = is_deletion && t.is_child && deleted.contains(&conn);
                if !is_suppressed && super::may_read(conn, &t.acl) {
                    events.push((conn, t.event, t.path.clone()));
                }
            }
        }
        events
    }

    pub(crate) fn count(&self) -> usize {
        self.data.values().chain(self.child.values()).map(BTreeMap::len).sum()
    }
}
