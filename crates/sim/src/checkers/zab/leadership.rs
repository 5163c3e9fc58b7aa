//! I1 Leadership1, I2 Leadership2: at most one server synchronises or broadcasts with an epoch at a
//! time, and at most one is ever established in it. Catches: split brain.

use super::Facts;
use crate::violation::{Check, broken};

/// A server was established as leader.
pub fn on_established(facts: &mut Facts, server: usize, epoch: u32) -> Check {
    match facts.established.insert(epoch, server) {
        Some(other) if other != server => {
            let (a, b) = (other + 1, server + 1);
            broken("Leadership2", format!("epoch {epoch} established by server{a} and server{b}"))
        }
        _ => Ok(()),
    }
}

/// `leading`: servers past discovery, with their epochs.
pub fn at_any_time(leading: &[(usize, u32)]) -> Check {
    for (i, (a, epoch)) in leading.iter().enumerate() {
        if let Some((b, _)) = leading[i + 1..].iter().find(|(_, other)| other == epoch) {
            let (a, b) = (a + 1, b + 1);
            return broken("Leadership1", format!("server{a} and server{b} both lead {epoch}"));
        }
    }
    Ok(())
}
