//! Whom an observer learns from: the leader, or, with `observerMasterPort`, one of the followers
//! (ZOOKEEPER-3140).
//!
//! Each server has an order of its own, drawn from its seed; each try takes the next in it. The leader
//! itself does not serve on that port, so it is left out (Java tries it like the others); only if nobody
//! else votes is it asked, on its quorum port.

use rookeeper_proto::Sid;

use crate::core::Core;

/// The next one to learn from.
pub(super) fn next_master(core: &mut Core, leader: Sid) -> Sid {
    if core.settings.observer_master_port == 0 || !core.is_observer() {
        return leader;
    }
    let mut masters: Vec<Sid> = core.committed.voters().filter(|sid| *sid != leader).collect();
    let seed = core.settings.seed;
    masters.sort_by_key(|sid| mix(seed ^ sid.0 as u64));
    let at = core.masters_tried;
    core.masters_tried = at.wrapping_add(1);
    at.checked_rem(masters.len()).map_or(leader, |at| masters[at])
}

/// Spreads neighbouring numbers (the finaliser of splitmix64).
fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}
