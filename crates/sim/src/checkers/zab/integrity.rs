//! I4 Integrity: whatever enters a log anywhere was proposed by the leader of its epoch, with the same
//! bytes; a leader proposes a zxid once.

use bytes::Bytes;
use rookeeper_proto::Zxid;

use super::Facts;
use crate::violation::{Check, broken};

const NAME: &str = "Integrity";

/// A leader has handed a txn of its own to its log, behind `before`.
pub fn on_proposed(facts: &mut Facts, zxid: Zxid, record: &Bytes, before: Zxid) -> Check {
    match facts.proposed.insert(zxid, (record.clone(), before)) {
        Some((other, _)) if other != *record => {
            broken(NAME, format!("{zxid} was proposed with two contents"))
        }
        _ => Ok(()),
    }
}

/// A record entered a log, or was found in one.
pub fn on_logged(facts: &Facts, server: usize, zxid: Zxid, record: &[u8]) -> Check {
    if facts.proposed.get(&zxid).is_some_and(|(proposed, _)| proposed == record) {
        return Ok(());
    }
    broken(NAME, format!("server{} logs {zxid}, never proposed like that", server + 1))
}
