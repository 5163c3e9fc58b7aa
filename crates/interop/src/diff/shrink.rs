//! Makes a differing script small: removes requests and steps as long as the servers still differ.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::script::Script;
use crate::Result;

/// Removes ever smaller runs of numbers from a script while `differs` says it still shows a difference.
///
/// `make` builds the whole script anew (under another root each time, since the servers keep what earlier
/// attempts left). Stops after `patience`.
pub fn shrink(
    mut make: impl FnMut() -> Script,
    mut differs: impl FnMut(&Script) -> Result<bool>,
    patience: Duration,
) -> Result<Script> {
    let deadline = Instant::now() + patience;
    let total = make().numbers;
    let mut removed = BTreeSet::new();
    let mut run = total.div_ceil(2).max(1);
    loop {
        let mut progressed = false;
        let left: Vec<usize> = (1..=total).filter(|number| !removed.contains(number)).collect();
        for chunk in left.chunks(run).rev() {
            if Instant::now() > deadline {
                return Ok(make().without(&removed));
            }
            let attempt: BTreeSet<usize> = removed.iter().chain(chunk).copied().collect();
            if differs(&make().without(&attempt))? {
                removed = attempt;
                progressed = true;
            }
        }
        if run == 1 && !progressed {
            return Ok(make().without(&removed));
        }
        run = (run / 2).max(1);
    }
}
