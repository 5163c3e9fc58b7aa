//! Catches: a tree that differs from the naive model's at the same zxid in any node, list, session or
//! in the digest: after recovery, and at quiet moments. (The digest in every record is compared with
//! the model's when the txn is prepared, in `history`.)

use rookeeper_proto::Zxid;
use rookeeper_tree::DataTree;

use crate::model::Model;
use crate::violation::{Check, broken};

const NAME: &str = "digest";

/// Compares everything.
pub fn compare(tree: &DataTree, model: &Model, zxid: Zxid, when: &str) -> Check {
    if tree.last_zxid() != zxid {
        return broken(NAME, format!("{when}: the tree is at {}, not {zxid}", tree.last_zxid()));
    }
    let mut count = 0;
    for (path, node) in model.all_at(zxid) {
        count += 1;
        let Some(found) = tree.get(path) else {
            return broken(NAME, format!("{when}: {path} is missing at {zxid}"));
        };
        let mut names: Vec<&str> = found.children().collect();
        names.sort_unstable();
        // The members' list is told to each server's tree by its own configuration.
        let is_equal = path == "/zookeeper/config"
            || found.persisted() == node.stat
                && found.data() == node.data.as_deref()
                && *found.acl() == node.acl
                && names.iter().copied().eq(node.children.iter().map(String::as_str));
        if !is_equal {
            let what = format!(
                "{when}: {path} at {zxid} is {:?} {:?} {:?} {names:?}, expected {node:?}",
                found.persisted(),
                found.data(),
                found.acl()
            );
            return broken(NAME, what);
        }
    }
    if tree.node_count() != count {
        let what = format!("{when}: {} nodes at {zxid}, expected {count}", tree.node_count());
        return broken(NAME, what);
    }
    let expected: Vec<_> = model.live_sessions().collect();
    let found: Vec<_> = tree.sessions().iter().map(|(&id, &timeout_ms)| (id, timeout_ms)).collect();
    let is_newest = model.last() <= zxid;
    if is_newest && found != expected {
        return broken(NAME, format!("{when}: sessions {found:?}, expected {expected:?}"));
    }
    if is_newest && tree.digest() != model.digest() {
        let (found, expected) = (tree.digest(), model.digest());
        return broken(NAME, format!("{when}: digest {found:x} at {zxid}, expected {expected:x}"));
    }
    Ok(())
}
