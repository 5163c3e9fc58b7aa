//! Damage in words and in JSON, the same everywhere.

use std::path::Path;

use rookeeper_proto::Zxid;
use rookeeper_storage::txn_log::inspect::Ending;
use serde_json::{Value, json};

/// What is behind the last sound record of a log, as one sentence; `None` if there is nothing.
pub(crate) fn sentence(path: &Path, ending: &Ending) -> Option<String> {
    let path = path.display();
    match ending {
        Ending::Clean => None,
        Ending::Torn { at, bytes, zxids, what } => Some(format!(
            "{path}: torn at byte {at}: the last {bytes} bytes are a write that a crash cut off \
             ({what}){}",
            named(zxids)
        )),
        Ending::Damaged { at, expected, found, next } => Some(format!(
            "{path}: damaged at byte {at}: expected {expected}, found {found}{}",
            match next {
                Some((offset, zxid)) =>
                    format!("; the next whole record is {zxid} at byte {offset}"),
                None => "; there is no whole record behind it".to_owned(),
            }
        )),
    }
}

fn named(zxids: &[Zxid]) -> String {
    match zxids {
        [] => String::new(),
        [only] => format!("; it was to become {only}"),
        [first, .., last] => format!("; it holds remains of {first} to {last}"),
    }
}

/// The same as a value.
pub(crate) fn value(ending: &Ending) -> Value {
    match ending {
        Ending::Clean => json!({"state": "clean"}),
        Ending::Torn { at, bytes, zxids, what } => json!({
            "state": "torn", "at": at, "bytes": bytes, "what": what,
            "zxids": zxids.iter().map(|zxid| zxid.to_string()).collect::<Vec<_>>(),
        }),
        Ending::Damaged { at, expected, found, next } => json!({
            "state": "damaged", "at": at, "expected": expected, "found": found,
            "next": next.map(|(offset, zxid)| json!({"at": offset, "zxid": zxid.to_string()})),
        }),
    }
}
