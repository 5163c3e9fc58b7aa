//! Catches: an acknowledged write, or a state somebody has seen, that did not survive a crash; a
//! record that was changed on its way through the disk; a txn that appears though nobody prepared it.

use rookeeper_proto::Zxid;

use crate::history::History;
use crate::violation::{Check, broken};

const NAME: &str = "durability";

/// Checks what a recovery found: everything up to `last`, of which `replayed` came from the log.
pub fn on_recovery(history: &History, last: Zxid, replayed: &[(Zxid, Vec<u8>)]) -> Check {
    if last < history.revealed {
        let revealed = history.revealed;
        return broken(NAME, format!("recovered up to {last}, but {revealed} had been shown"));
    }
    if history.model.last() < last {
        let newest = history.model.last();
        return broken(NAME, format!("recovered up to {last}, but only {newest} was prepared"));
    }
    for (zxid, bytes) in replayed {
        if history.model.txn(*zxid).is_none_or(|txn| txn.record != *bytes) {
            return broken(NAME, format!("the replayed record of {zxid} is not the one written"));
        }
    }
    Ok(())
}
