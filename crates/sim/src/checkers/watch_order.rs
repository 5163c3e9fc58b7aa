//! Catches: an event that was lost, came twice, came without a watch, named the wrong node or txn, or
//! came behind a reply that already showed the change; catch-up events of setWatches that are wrong,
//! missing or late.
//!
//! Events due are computed by the model from the txns; a reply at zxid Z is only accepted when every
//! event of txns up to Z has arrived.

use rookeeper_proto::Zxid;
use rookeeper_proto::client::reply::EventType;

use crate::model::watches::ConnWatches;
use crate::violation::{Check, broken};

const NAME: &str = "watch_order";

/// An event of a txn arrived; the connection's watches have been advanced to it.
pub fn on_event(watches: &mut ConnWatches, zxid: Zxid, event: EventType, path: &str) -> Check {
    loop {
        let Some(due) = watches.due.pop_front() else {
            return broken(NAME, format!("{event:?} of {path} at {zxid}, but none is due"));
        };
        if (due.zxid, due.event, due.path.as_str()) == (zxid, event, path) {
            return Ok(());
        }
        if !due.is_optional {
            return broken(NAME, format!("{event:?} of {path} at {zxid} came, due was {due:?}"));
        }
    }
}

/// A reply shows the state of `zxid`; the connection's watches have been advanced to it.
pub fn on_reply(watches: &mut ConnWatches, zxid: Zxid) -> Check {
    watches.due.retain(|due| !due.is_optional);
    match watches.due.front() {
        None => Ok(()),
        Some(due) => broken(NAME, format!("a reply shows {zxid}, but {due:?} has not come")),
    }
}

/// setWatches was answered; `came` are the catch-up events before it.
pub fn on_rearmed(expected: &[(EventType, String)], came: &[(EventType, String)]) -> Check {
    if expected == came {
        return Ok(());
    }
    broken(NAME, format!("setWatches brought {came:?}, expected {expected:?}"))
}
