//! I8 GlobalPrimaryOrder: txns of an earlier epoch come before those of a later one.

use super::Verdict;
use crate::support::disk::Entry;

pub fn on_delivered(node: usize, delivered: &[Entry]) -> Verdict {
    match delivered.windows(2).find(|pair| pair[1].0.epoch() < pair[0].0.epoch()) {
        Some(pair) => Err(format!("I8: server {node}: {} after {}", pair[1].0, pair[0].0)),
        None => Ok(()),
    }
}
