//! I5 Agreement: of any two deliveries at two servers, one server has both. With one order for all it
//! means: the shorter list of two is the beginning of the longer one.

use super::Verdict;
use crate::support::disk::Entry;

pub fn between(a: &[Entry], b: &[Entry]) -> Verdict {
    let n = a.len().min(b.len());
    if a[..n] == b[..n] { Ok(()) } else { Err("I5: two servers delivered different txns".into()) }
}
