//! I1 Leadership1, I2 Leadership2: at most one server synchronises or broadcasts with an epoch at a
//! time, and at most one is ever established in it. Catches: split brain.

use super::{Facts, Verdict};

pub fn on_established(facts: &mut Facts, node: usize, epoch: u32) -> Verdict {
    match facts.established.insert(epoch, node) {
        Some(other) => Err(format!("I2: epoch {epoch} established by {other} and by {node}")),
        None => Ok(()),
    }
}

/// `leading`: servers past discovery, with their epochs.
pub fn at_any_time(leading: &[(usize, u32)]) -> Verdict {
    for (i, (a, epoch)) in leading.iter().enumerate() {
        if let Some((b, _)) = leading[i + 1..].iter().find(|(_, other)| other == epoch) {
            return Err(format!("I1: {a} and {b} both lead epoch {epoch}"));
        }
    }
    Ok(())
}
