//! `SnapshotComparer`: where two snapshots differ in size, level by level. It needs the names of all
//! nodes of both, not their data.

use std::cmp::Ordering;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rookeeper_storage::Disk;

use super::options::{flag, parse, value};
use super::{INVALID_INVOCATION, file_name};
use crate::FINE;
use crate::output::{Outcome, Output, Stop};
use crate::snapshot::sizes::{NodeIndex, Sums, Tree};

const HELP: &str = "\
usage: java -cp <classPath> org.apache.zookeeper.server.SnapshotComparer
 -b,--bytes <BYTETHRESHOLD>   (Required) The node data delta size threshold, in bytes, for printing the node.
 -d,--debug                   Use debug output.
 -i,--interactive             Enter interactive mode.
 -l,--left <LEFT>             (Required) The left snapshot file.
 -n,--nodes <NODETHRESHOLD>   (Required) The descendant node delta size threshold, in nodes, for printing the node.
 -r,--right <RIGHT>           (Required) The right snapshot file.";

const MENU: &str = "- Press enter to move to print current depth layer;\n\
    - Type a number to jump to and print all nodes at a given depth;\n\
    - Enter an ABSOLUTE path to print the immediate subtree of a node. Path must start with '/'.";

struct How {
    bytes: i64,
    nodes: i64,
    debug: bool,
    interactive: bool,
}

pub(super) fn run(disk: &dyn Disk, args: &[OsString], out: &mut Output) -> Outcome {
    let specs = [
        value('l', "left"),
        value('r', "right"),
        value('b', "bytes"),
        value('n', "nodes"),
        flag('d', "debug"),
        flag('i', "interactive"),
    ];
    let parsed = parse(args, &specs).and_then(|given| {
        let is_missing = |short: &char| !given.has(*short);
        let missing: Vec<String> =
            ['l', 'r', 'b', 'n'].iter().filter(|s| is_missing(s)).map(char::to_string).collect();
        match missing.as_slice() {
            [] => Ok(given),
            [one] => Err(format!("Missing required option: {one}")),
            more => Err(format!("Missing required options: {}", more.join(", "))),
        }
    });
    let given = match parsed {
        Ok(given) => given,
        Err(why) => {
            out.err(&why);
            out.line(HELP)?;
            return Ok(INVALID_INVOCATION);
        }
    };
    let number = |short| {
        let text = given.value(short).unwrap_or_default().to_string_lossy();
        let number = text.parse::<i32>().map(i64::from);
        number.map_err(|_| Stop::new(format!("For input string: \"{text}\"")))
    };
    let how = How {
        bytes: number('b')?,
        nodes: number('n')?,
        debug: given.has('d'),
        interactive: given.has('i'),
    };
    out.line("Successfully parsed options!")?;
    let mut side = |short| {
        let path = PathBuf::from(given.value(short).unwrap_or_default());
        Side::read(disk, &path, out)
    };
    let (left, right) = (side('l')?, side('r')?);
    left.print(out)?;
    right.print(out)?;
    let comparer = Comparer { left, right, how };
    if comparer.how.interactive {
        comparer.ask(out)?
    } else {
        comparer.all(out)?
    }
    out.line("All layers compared.")?;
    Ok(FINE)
}

struct Side {
    tree: Tree,
    sums: Sums,
    levels: Vec<Vec<NodeIndex>>,
}

impl Side {
    fn read(disk: &dyn Disk, path: &Path, out: &mut Output) -> Outcome<Self> {
        let start = Instant::now();
        let tree = Tree::read(disk, path, out)?;
        let (name, seconds) = (file_name(path), start.elapsed().as_secs_f64());
        out.line(&format!("Deserialized snapshot in {name} in {seconds:.6} seconds"))?;
        let start = Instant::now();
        let side = Self { sums: tree.sums(), levels: tree.levels(), tree };
        let seconds = start.elapsed().as_secs_f64();
        out.line(&format!("Processed data tree in {seconds:.6} seconds"))?;
        Ok(side)
    }

    fn print(&self, out: &mut Output) -> Outcome<()> {
        out.line(&format!("Node count: {}", self.tree.len()))?;
        out.line(&format!("Total size: {}", self.sums.of(self.tree.root()).bytes))?;
        out.line(&format!("Max depth: {}", self.levels.len()))?;
        for (depth, nodes) in self.levels.iter().enumerate() {
            out.line(&format!("Count of nodes at depth {depth}: {}", nodes.len()))?;
        }
        out.line("")
    }

    /// Bytes and descendants of a node.
    fn sizes(&self, node: NodeIndex) -> (i64, i64) {
        let sum = self.sums.of(node);
        (sum.bytes, sum.nodes - 1)
    }

    fn level(&self, depth: usize) -> Vec<(String, NodeIndex)> {
        self.named(self.levels.get(depth).map_or(&[], Vec::as_slice))
    }

    fn named(&self, nodes: &[NodeIndex]) -> Vec<(String, NodeIndex)> {
        let mut named: Vec<_> = nodes.iter().map(|node| (self.tree.path(*node), *node)).collect();
        named.sort_by(|a, b| java_order(&a.0, &b.0));
        named
    }
}

/// Java compares strings by UTF-16 units.
fn java_order(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

struct Comparer {
    left: Side,
    right: Side,
    how: How,
}

impl Comparer {
    fn depth(&self) -> usize {
        self.left.levels.len().max(self.right.levels.len())
    }

    fn print_thresholds(&self, out: &mut Output) -> Outcome<()> {
        out.line(&format!(
            "Printing analysis for nodes difference larger than {} bytes or node count difference \
             larger than {}.",
            self.how.bytes, self.how.nodes
        ))
    }

    fn all(&self, out: &mut Output) -> Outcome<()> {
        self.print_thresholds(out)?;
        for depth in 0..self.depth() {
            self.line(depth, out)?;
        }
        Ok(())
    }

    fn line(&self, depth: usize, out: &mut Output) -> Outcome<()> {
        out.line(&format!("Analysis for depth {depth}"))?;
        self.nodes(&self.left.level(depth), &self.right.level(depth), out)
    }

    fn ask(&self, out: &mut Output) -> Outcome<()> {
        let mut depth = 0;
        while depth < self.depth() {
            out.line(&format!("Current depth is {depth}"))?;
            out.line(MENU)?;
            let Some(typed) = out.typed()? else { return Err(Stop::new("No line found")) };
            let typed = typed.trim_end_matches(['\n', '\r']);
            self.print_thresholds(out)?;
            let last = self.depth() - 1;
            if typed.is_empty() {
                self.line(depth, out)?;
                depth += 1;
            } else if typed.starts_with('/') {
                out.line(&format!("Analysis for node {typed}"))?;
                self.subtree(typed, out)?;
            } else if let Ok(number) = typed.parse::<i32>() {
                match usize::try_from(number).ok().filter(|number| *number <= last) {
                    Some(number) => {
                        depth = number;
                        self.line(depth, out)?;
                    }
                    None => {
                        out.line(&format!("Depth must be in range [0, {last}]"))?;
                        continue;
                    }
                }
            } else {
                out.line(&format!(
                    "Input {typed} is not valid. Depth must be in range [0, {last}]. Path must be an \
                     absolute path which starts with '/'."
                ))?;
            }
            out.line("")?;
        }
        Ok(())
    }

    fn subtree(&self, path: &str, out: &mut Output) -> Outcome<()> {
        let found = (self.left.tree.find(path), self.right.tree.find(path));
        if found == (None, None) {
            let text = format!("Path {path} is neither found in left tree nor right tree.");
            return out.line(&text);
        }
        let children = |side: &Side, node: Option<NodeIndex>| {
            side.named(&node.map(|node| side.tree.children(node)).unwrap_or_default())
        };
        self.nodes(&children(&self.left, found.0), &children(&self.right, found.1), out)
    }

    /// Walks two sorted lists side by side.
    fn nodes(
        &self,
        left: &[(String, NodeIndex)],
        right: &[(String, NodeIndex)],
        out: &mut Output,
    ) -> Outcome<()> {
        let (mut i, mut j) = (0, 0);
        loop {
            let order = match (left.get(i), right.get(j)) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((l, _)), Some((r, _))) => {
                    let order = java_order(l, r);
                    if self.how.debug {
                        out.line(&format!("Comparing {l} to {r}"))?;
                        out.line(match order {
                            Ordering::Less => "left is less",
                            Ordering::Greater => "right is less",
                            Ordering::Equal => "same",
                        })?;
                    }
                    order
                }
            };
            match order {
                Ordering::Less => self.only("left", &left[i].0, self.left.sizes(left[i].1), out)?,
                Ordering::Greater => {
                    self.only("right", &right[j].0, self.right.sizes(right[j].1), out)?;
                }
                Ordering::Equal => self.both(&left[i].0, left[i].1, right[j].1, out)?,
            }
            i += usize::from(order != Ordering::Greater);
            j += usize::from(order != Ordering::Less);
        }
    }

    fn shows_filtered(&self) -> bool {
        self.how.debug || self.how.interactive
    }

    fn only(
        &self,
        side: &str,
        path: &str,
        (bytes, nodes): (i64, i64),
        out: &mut Output,
    ) -> Outcome<()> {
        if self.how.bytes < bytes || self.how.nodes < nodes {
            return out.line(&format!(
                "Node {path} found only in {side} tree. Descendant size: {bytes}. Descendant count: \
                 {nodes}"
            ));
        }
        if self.shows_filtered() {
            return out.line(&format!("Filtered {side} node {path} of size {bytes}"));
        }
        Ok(())
    }

    fn both(&self, path: &str, left: NodeIndex, right: NodeIndex, out: &mut Output) -> Outcome<()> {
        let (left, right) = (self.left.sizes(left), self.right.sizes(right));
        let (bytes, nodes) = (right.0 - left.0, right.1 - left.1);
        if self.how.bytes < bytes.abs() || self.how.nodes < nodes.abs() {
            return out.line(&format!(
                "Node {path} found in both trees. Delta: {bytes} bytes, {nodes} descendants"
            ));
        }
        if self.shows_filtered() {
            return out.line(&format!(
                "Filtered node {path} of left size {}, right size {}",
                left.0, right.0
            ));
        }
        Ok(())
    }
}
