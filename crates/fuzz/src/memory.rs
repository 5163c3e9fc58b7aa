//! The bound on memory: what a run holds at its peak is measured and compared.
//!
//! The measure is the whole process, so runs that are measured may not overlap.

use peak_alloc::PeakAlloc;

use crate::Target;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Bytes that may be held per byte of input: a vector of the largest items (ACL entries with two strings,
/// members of an ensemble, one transaction each) of a few bytes on the wire.
const PER_INPUT_BYTE: usize = 256;

/// Runs a target on one input.
///
/// # Panics
/// If the target does, or if it held more memory than its input justifies.
pub fn check(target: &Target, data: &[u8]) {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    (target.run)(data);
    let held = ALLOCATOR.peak_usage().saturating_sub(before);
    let limit = target.base_bytes + PER_INPUT_BYTE * data.len();
    assert!(
        held <= limit,
        "{}: {held} bytes were held for an input of {}, more than {limit}",
        target.name,
        data.len()
    );
}
