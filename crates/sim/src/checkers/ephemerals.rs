//! Catches: an ephemeral whose session is gone, at recovery and at the end. (That a closing session
//! takes its ephemerals with it, and nothing else does, is compared txn by txn with the model; that
//! sessions end neither early nor late is `expiry`'s.)

use rookeeper_tree::DataTree;

use crate::model::Model;
use crate::violation::{Check, broken};

const NAME: &str = "ephemerals";

/// Every owner of an ephemeral is a live session, in the tree and in the model.
pub fn check(tree: &DataTree, model: &Model) -> Check {
    for owner in tree.ephemeral_owners() {
        let paths = tree.ephemerals_of(owner);
        if !tree.sessions().contains_key(&owner) {
            return broken(NAME, format!("{paths:?} belong to session {owner}, which is gone"));
        }
        if model.last() == tree.last_zxid() && !model.live_sessions().any(|(id, _)| id == owner) {
            return broken(NAME, format!("{paths:?} belong to session {owner}, never opened"));
        }
    }
    Ok(())
}

/// Nothing ephemeral is left.
pub fn check_none(tree: &DataTree) -> Check {
    match tree.ephemeral_owners().next() {
        None => Ok(()),
        Some(owner) => {
            let paths = tree.ephemerals_of(owner);
            broken(NAME, format!("{paths:?} outlived session {owner}"))
        }
    }
}
