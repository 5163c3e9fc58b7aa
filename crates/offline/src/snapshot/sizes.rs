//! The shape of a snapshot's tree: names and sizes of all nodes, without data.

use std::collections::HashMap;
use std::path::Path;

use rookeeper_storage::Disk;

use super::reading::{Item, read};
use crate::output::{Outcome, Output, Stop};

/// A node within a [`Tree`].
pub(crate) type NodeIndex = u32;

/// The nodes in the order of the file: each behind its parent; the root is first.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<Shape>,
    by_path: HashMap<Box<str>, NodeIndex>,
}

#[derive(Debug)]
struct Shape {
    parent: NodeIndex,
    name: Box<str>,
    size: u64,
    children: Vec<NodeIndex>,
}

/// Nodes and bytes of a subtree, its root included.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) nodes: i64,
    pub(crate) bytes: i64,
}

/// The sums of all nodes of a tree.
#[derive(Debug)]
pub(crate) struct Sums(Vec<Sum>);

impl Sums {
    pub(crate) fn of(&self, node: NodeIndex) -> Sum {
        self.0.get(node as usize).copied().unwrap_or_default()
    }
}

/// Whether a path is below another; paths as shown, the root is `/`.
pub(crate) fn below(path: &str, ancestor: &str) -> bool {
    match ancestor {
        "/" => path != "/",
        _ => path.strip_prefix(ancestor).is_some_and(|rest| rest.starts_with('/')),
    }
}

impl Tree {
    pub(crate) fn read(disk: &dyn Disk, path: &Path, out: &mut Output) -> Outcome<Self> {
        let mut tree = Self::default();
        read(disk, path, out, &mut |item, _| match item {
            Item::Node { path, data, .. } => tree.add(path, data.map_or(0, <[u8]>::len) as u64),
            Item::Session(..) | Item::Acl(..) => Ok(()),
        })?;
        if tree.nodes.is_empty() {
            return Err(Stop::new(format!("{} has no root node", path.display())));
        }
        Ok(tree)
    }

    fn add(&mut self, path: &str, size: u64) -> Outcome<()> {
        let full = || Stop::new("more nodes than can be counted");
        let index = NodeIndex::try_from(self.nodes.len()).map_err(|_| full())?;
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", ""));
        let parent = match (path, self.by_path.get(parent)) {
            ("", None) if self.nodes.is_empty() => 0,
            (_, Some(parent)) if !path.is_empty() => *parent,
            _ => {
                let path = if path.is_empty() { "/" } else { path };
                return Err(Stop::new(format!("the node {path} has no parent before it")));
            }
        };
        if self.by_path.insert(path.into(), index).is_some() {
            return Err(Stop::new(format!("the node {path} is there twice")));
        }
        self.nodes.push(Shape { parent, name: name.into(), size, children: Vec::new() });
        if 0 < index {
            self.nodes[parent as usize].children.push(index);
        }
        Ok(())
    }

    pub(crate) fn root(&self) -> NodeIndex {
        0
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The last part of a path; of the root, nothing.
    pub(crate) fn name(&self, node: NodeIndex) -> &str {
        &self.nodes[node as usize].name
    }

    pub(crate) fn size(&self, node: NodeIndex) -> u64 {
        self.nodes[node as usize].size
    }

    pub(crate) fn children(&self, node: NodeIndex) -> Vec<NodeIndex> {
        self.nodes[node as usize].children.clone()
    }

    /// The node of a path; the root's is empty.
    pub(crate) fn find(&self, path: &str) -> Option<NodeIndex> {
        self.by_path.get(path).copied()
    }

    /// The root's is empty.
    pub(crate) fn path(&self, node: NodeIndex) -> String {
        let mut names = Vec::new();
        let mut at = node;
        while at != self.root() {
            names.push(self.name(at));
            at = self.nodes[at as usize].parent;
        }
        names.iter().rev().flat_map(|name| ["/", name]).collect()
    }

    /// Sums from the leaves up: children stand behind their parents.
    pub(crate) fn sums(&self) -> Sums {
        let mut sums = vec![Sum::default(); self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate().rev() {
            sums[index].nodes += 1;
            sums[index].bytes += i64::try_from(node.size).unwrap_or(i64::MAX);
            if 0 < index {
                let own = sums[index];
                let parent = &mut sums[node.parent as usize];
                parent.nodes += own.nodes;
                parent.bytes += own.bytes;
            }
        }
        Sums(sums)
    }

    /// The nodes of each depth.
    pub(crate) fn levels(&self) -> Vec<Vec<NodeIndex>> {
        let mut levels = Vec::new();
        let mut level = vec![self.root()];
        while !level.is_empty() {
            let next = level.iter().flat_map(|node| self.children(*node)).collect();
            levels.push(std::mem::replace(&mut level, next));
        }
        levels
    }
}
