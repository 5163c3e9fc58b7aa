//! A rough model of the script's tree: good enough to guess what exists, wrong about ACLs.
//!
//! Nothing is compared with it; it only keeps the generated requests from failing all the time.

use std::collections::BTreeMap;

use crate::diff::script::Op;
use crate::raw::Acl;
use crate::raw::codes::op;

/// What is known of a node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Node {
    /// How many creates it has seen, which is what sequential names count.
    creates: i32,
    version: i32,
    /// The session it belongs to.
    owner: Option<usize>,
    /// Whether its ACL may refuse something.
    guarded: bool,
}

/// The nodes that probably exist.
#[derive(Clone, Debug)]
pub(super) struct Model {
    nodes: BTreeMap<String, Node>,
    extended_types: bool,
}

impl Model {
    pub(super) fn new(root: &str, extended_types: bool) -> Self {
        Self { nodes: BTreeMap::from([(root.to_owned(), Node::default())]), extended_types }
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.nodes.contains_key(path)
    }

    pub(super) fn version(&self, path: &str) -> Option<i32> {
        self.nodes.get(path).map(|node| node.version)
    }

    /// All paths, in order.
    pub(super) fn paths(&self) -> impl Iterator<Item = &String> {
        self.nodes.keys()
    }

    /// Nodes that can probably have children.
    pub(super) fn parents(&self) -> impl Iterator<Item = &String> {
        let able = |node: &Node| node.owner.is_none() && !node.guarded;
        self.nodes.iter().filter(move |(_, node)| able(node)).map(|(path, _)| path)
    }

    /// Nodes that have no children and can probably be deleted.
    pub(super) fn leaves(&self) -> impl Iterator<Item = &String> {
        self.nodes.keys().filter(|path| !self.has_children(path))
    }

    fn has_children(&self, path: &str) -> bool {
        let below = format!("{path}/");
        self.nodes.range(below.clone()..).next().is_some_and(|(next, _)| next.starts_with(&below))
    }

    /// A session was closed; its ephemerals are gone.
    pub(super) fn closed(&mut self, session: usize) {
        self.nodes.retain(|_, node| node.owner != Some(session));
    }

    /// Applies a request; whether it probably succeeds.
    pub(super) fn apply(&mut self, op: &Op, session: usize) -> bool {
        match op {
            Op::Create { code, path, acl, flags, ttl, .. } => {
                self.create(*code, path, acl.as_deref(), *flags, *ttl, session)
            }
            Op::Delete { path, version } => {
                let parent_lets = parent_of(path)
                    .and_then(|parent| self.nodes.get(parent))
                    .is_some_and(|parent| !parent.guarded);
                let fits = self.nodes.get(path).is_some_and(|node| matches(*version, node.version));
                parent_lets && fits && !self.has_children(path) && self.nodes.remove(path).is_some()
            }
            Op::SetData { path, version, .. } => match self.nodes.get_mut(path) {
                Some(node) if matches(*version, node.version) && !node.guarded => {
                    node.version += 1;
                    true
                }
                _ => false,
            },
            Op::SetAcl { path, acl, .. } => {
                let good = good_acl(acl.as_deref());
                match self.nodes.get_mut(path) {
                    Some(node) if good => {
                        node.guarded |= acl.as_deref() != Some(&Acl::open());
                        true
                    }
                    _ => false,
                }
            }
            Op::PathInt { code: op::CHECK, path, number } => {
                self.nodes.get(path).is_some_and(|node| matches(*number, node.version))
            }
            Op::Multi { code: op::MULTI, ops } => {
                let before = self.nodes.clone();
                let all = ops.iter().all(|op| self.apply(op, session));
                if !all {
                    self.nodes = before;
                }
                all
            }
            _ => true,
        }
    }

    fn create(
        &mut self,
        code: i32,
        path: &str,
        acl: Option<&[Acl]>,
        flags: i32,
        ttl: Option<i64>,
        session: usize,
    ) -> bool {
        let ttl_mode = matches!(flags, 5 | 6);
        let supported = match code {
            op::CREATE_TTL => {
                ttl_mode
                    && self.extended_types
                    && ttl.is_some_and(|ttl| (1..=1_099_511_627_775).contains(&ttl))
            }
            _ => (0..=4).contains(&flags),
        };
        let Some(parent) = parent_of(path) else { return false };
        let Some(above) = self.nodes.get_mut(parent) else { return false };
        if !supported || !good_acl(acl) || above.owner.is_some() || above.guarded {
            return false;
        }
        let path = match flags {
            2 | 3 | 6 => format!("{path}{:010}", above.creates),
            _ => path.to_owned(),
        };
        if !good_path(&path) || self.nodes.contains_key(&path) {
            return false;
        }
        if let Some(above) = self.nodes.get_mut(parent) {
            above.creates += 1;
        }
        let owner = (matches!(flags, 1 | 3) && code != op::CREATE_CONTAINER).then_some(session);
        let guarded = acl != Some(&Acl::open());
        self.nodes.insert(path, Node { creates: 0, version: 0, owner, guarded });
        true
    }
}

fn matches(wanted: i32, version: i32) -> bool {
    wanted == -1 || wanted == version
}

fn parent_of(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent)
}

fn good_path(path: &str) -> bool {
    let odd = |c: char| c.is_control() || ('\u{e000}'..='\u{f8ff}').contains(&c) || c >= '\u{fff0}';
    path.split('/').skip(1).all(|part| !matches!(part, "" | "." | "..")) && !path.chars().any(odd)
}

fn good_acl(acl: Option<&[Acl]>) -> bool {
    let good = |entry: &Acl| match (entry.scheme.as_deref(), entry.id.as_deref()) {
        (Some("world"), Some(id)) => id == "anyone",
        (Some("digest"), Some(id)) => id.contains(':'),
        (Some("ip"), Some(id)) => !id.ends_with("/33"),
        (Some("auth"), _) => true,
        _ => false,
    };
    acl.is_some_and(|acl| !acl.is_empty() && acl.iter().all(good))
}
