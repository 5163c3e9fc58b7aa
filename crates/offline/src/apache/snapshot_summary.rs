//! `SnapshotRecursiveSummary`: nodes and bytes below each node down to a depth. Memory for the nodes
//! that are shown, not for those below them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;

use rookeeper_storage::Disk;

use super::INVALID_INVOCATION;
use crate::FINE;
use crate::output::{Outcome, Output, Stop};
use crate::snapshot::reading::{Item, read};
use crate::snapshot::sizes::below;

const USAGE: &str = "USAGE:\n\n\nSnapshotRecursiveSummary  <snapshot_file>  <starting_node>  <max_depth>\n\n\n\
    snapshot_file:    path to the zookeeper snapshot\n\
    starting_node:    the path in the zookeeper tree where the traversal should begin\n\
    max_depth:        defines the depth where the tool still writes to the output. 0 means there is no \
    depth limit, every non-leaf node's stats will be displayed, 1 means it will only contain the \
    starting node's and it's children's stats, 2 ads another level and so on. This ONLY affects the \
    level of details displayed, NOT the calculation.";

pub(super) fn run(disk: &dyn Disk, args: &[OsString], out: &mut Output) -> Outcome {
    let invalid = || Stop::with_code(USAGE, INVALID_INVOCATION);
    let [file, start, depth] = args else { return Err(invalid()) };
    let depth: i32 = depth.to_string_lossy().parse().map_err(|_| invalid())?;
    let start = start.to_string_lossy();
    let mut sums: Vec<_> = sums(disk, Path::new(file), &start, depth, out)?.into_iter().collect();
    // Each is followed by what is below it.
    sums.sort_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
    for (path, sum) in &sums {
        // A leaf is not shown, not even the one started at.
        if sum.nodes <= 1 {
            continue;
        }
        let path = if path.is_empty() { "/" } else { path };
        let tab = "--".repeat(level_of(path) - level_of(&start));
        out.line(&format!("{tab} {path}"))?;
        out.line(&format!("{tab}   children: {}", sum.nodes - 1))?;
        out.line(&format!("{tab}   data: {}", sum.bytes))?;
    }
    out.line("")?;
    Ok(FINE)
}

#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    nodes: u64,
    bytes: u64,
}

fn level_of(path: &str) -> usize {
    if path == "/" { 0 } else { path.matches('/').count() }
}

/// The sums of the nodes down to `depth` below `start`, by path; the root's is empty.
fn sums(
    disk: &dyn Disk,
    file: &Path,
    start: &str,
    depth: i32,
    out: &mut Output,
) -> Outcome<HashMap<String, Sum>> {
    let base = level_of(start);
    let levels = match usize::try_from(depth) {
        Ok(0) => usize::MAX,
        Ok(depth) => depth.saturating_add(1),
        // As the original, which shows nothing then.
        Err(_) => 0,
    };
    let mut sums: HashMap<String, Sum> = HashMap::new();
    let mut is_found = false;
    read(disk, file, out, &mut |item, _| {
        let Item::Node { path, data, .. } = item else { return Ok(()) };
        let shown = if path.is_empty() { "/" } else { path };
        is_found |= shown == start;
        if shown != start && !below(shown, start) {
            return Ok(());
        }
        let bytes = data.map_or(0, <[u8]>::len) as u64;
        // The node itself and its ancestors up to the start: all beginnings of its path.
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for end in ends.skip(base).take(levels) {
            let ancestor = &path[..end];
            let sum = match sums.get_mut(ancestor) {
                Some(sum) => sum,
                None => sums.entry(ancestor.to_owned()).or_default(),
            };
            sum.nodes += 1;
            sum.bytes += bytes;
        }
        Ok(())
    })?;
    if !is_found {
        return Err(Stop::new(format!("there is no node {start} in {}", file.display())));
    }
    Ok(sums)
}
