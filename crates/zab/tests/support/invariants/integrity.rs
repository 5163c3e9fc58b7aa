//! I4 Integrity: what is delivered was proposed by a leader of its epoch, with the same bytes.

use super::{Facts, Verdict};
use crate::support::disk::Entry;

pub fn on_proposed(facts: &mut Facts, entry: Entry) -> Verdict {
    match facts.proposed.insert(entry.0, entry.1) {
        Some(other) if other != entry.1 => Err(format!("I4: {} proposed twice", entry.0)),
        _ => Ok(()),
    }
}

pub fn on_delivered(facts: &Facts, delivered: &[Entry]) -> Verdict {
    match delivered.iter().find(|(zxid, hash)| facts.proposed.get(zxid) != Some(hash)) {
        Some((zxid, _)) => Err(format!("I4: {zxid} delivered but never proposed like that")),
        None => Ok(()),
    }
}
