//! I6 TotalOrder: whoever delivers b after a elsewhere has delivered a first. Deliveries only grow.

use super::Verdict;
use crate::support::disk::Entry;

pub fn on_delivered(node: usize, delivered: &[Entry]) -> Verdict {
    match delivered.windows(2).find(|pair| pair[1].0 <= pair[0].0) {
        Some(pair) => Err(format!("I6: server {node} delivered {} after {}", pair[1].0, pair[0].0)),
        None => Ok(()),
    }
}
