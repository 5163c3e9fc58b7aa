//! Says which nodes of two snapshots differ: which are in one only, and what differs in the others.
//! Memory: two hashes for each node of the left.

use std::collections::HashMap;
use std::path::Path;

use rookeeper_proto::StatPersisted;
use rookeeper_storage::Disk;
use serde_json::json;

use super::reading::{Item, hash, read};
use crate::log::escaped;
use crate::output::{Outcome, Output};
use crate::{FAILED, FINE};

/// What is remembered of a node.
struct Mark {
    data: u64,
    stat: u64,
    is_in_both: bool,
}

pub(super) fn run(
    disk: &dyn Disk,
    left: &Path,
    right: &Path,
    as_json: bool,
    out: &mut Output,
) -> Outcome {
    let mut marks: HashMap<u64, Mark> = HashMap::new();
    nodes(disk, left, out, &mut |path, data, stat, _| {
        let mark = Mark { data: hash(&data), stat: stat_hash(stat), is_in_both: false };
        marks.insert(hash(&path), mark);
        Ok(())
    })?;
    let (mut same, mut different, mut only_left, mut only_right) = (0u64, 0u64, 0u64, 0u64);
    nodes(disk, right, out, &mut |path, data, stat, out| {
        let Some(mark) = marks.get_mut(&hash(&path)) else {
            only_right += 1;
            return tell(path, "is only in the right", as_json, out);
        };
        mark.is_in_both = true;
        let what = match (mark.data == hash(&data), mark.stat == stat_hash(stat)) {
            (true, true) => {
                same += 1;
                return Ok(());
            }
            (false, _) => "has other data",
            (true, false) => "has the same data, another stat",
        };
        different += 1;
        tell(path, what, as_json, out)
    })?;
    nodes(disk, left, out, &mut |path, _, _, out| {
        if marks.get(&hash(&path)).is_some_and(|mark| mark.is_in_both) {
            return Ok(());
        }
        only_left += 1;
        tell(path, "is only in the left", as_json, out)
    })?;
    if as_json {
        out.json(&json!({
            "same": same, "different": different, "only_left": only_left, "only_right": only_right,
        }))?;
    } else {
        out.line(&format!(
            "{same} the same, {different} different, {only_left} only in the left, {only_right} only in \
             the right"
        ))?;
    }
    Ok(if different + only_left + only_right == 0 { FINE } else { FAILED })
}

type Work<'w> = dyn FnMut(&str, Option<&[u8]>, &StatPersisted, &mut Output) -> Outcome<()> + 'w;

fn nodes(disk: &dyn Disk, file: &Path, out: &mut Output, work: &mut Work<'_>) -> Outcome<()> {
    let walked = read(disk, file, out, &mut |item, out| match item {
        Item::Node { path, data, stat, .. } => work(path, data, stat, out),
        Item::Session(..) | Item::Acl(..) => Ok(()),
    });
    walked.map(drop)
}

fn tell(path: &str, what: &str, as_json: bool, out: &mut Output) -> Outcome<()> {
    let path = if path.is_empty() { "/" } else { path };
    if as_json {
        return out.json(&json!({"path": path, "what": what}));
    }
    out.line(&format!("{} {what}", escaped(path)))
}

fn stat_hash(stat: &StatPersisted) -> u64 {
    let mut bytes = Vec::with_capacity(StatPersisted::ENCODED_BYTES);
    stat.write(&mut bytes);
    hash(&bytes)
}
