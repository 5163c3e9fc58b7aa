//! Whom an observer learns from: the leader, or, with `observerMasterPort`, one of the followers
//! (ZOOKEEPER-3140).
//!
//! Each server has an order of its own, drawn from its seed; each try takes the next in it. The leader
//! does not serve on that port, so it is left out (Java tries it like the others). If nobody else votes, or
//! none of the others has served for `initLimit`, the leader is asked on its quorum port: it may need this very
//! observer, which a reconfig under way makes a voter, before it can let any follower serve.

use std::time::Duration;

use rookeeper_proto::Sid;

use crate::core::{Core, mix};
use crate::time::Instant;

/// What an observer has tried.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    /// Followers it has gone to.
    count: usize,
    /// The first and the last try since it last served.
    in_vain: Option<(Instant, Instant)>,
}

impl Tries {
    /// The observer serves.
    pub(super) fn on_success(&mut self) {
        self.in_vain = None;
    }

    /// Counts a try. Whether there have been some for so long, without a break of that length, that something
    /// else has to be tried.
    fn is_hopeless(&mut self, now: Instant, patience: Duration) -> bool {
        let before = self.in_vain.filter(|(_, last)| now < *last + patience);
        let first = before.map_or(now, |(first, _)| first);
        self.in_vain = Some((first, now));
        first + patience <= now
    }
}

/// The next one to learn from, and how long to wait before.
///
/// With `observer.reconnectDelayMs` observers do not all come at once: each waits for a random part of it
/// before it goes to the leader, or to the first of the followers again.
pub(super) fn next_master(now: Instant, core: &mut Core, leader: Sid) -> (Sid, Duration) {
    if !core.is_observer() {
        return (leader, Duration::ZERO);
    }
    let (master, is_delayed) = choose(now, core, leader).unwrap_or((leader, true));
    let delay = core.settings.observer_reconnect_delay;
    (master, if is_delayed { core.part_of(delay) } else { Duration::ZERO })
}

/// The next follower, and whether all have been tried before it.
fn choose(now: Instant, core: &mut Core, leader: Sid) -> Option<(Sid, bool)> {
    let patience = core.settings.init_time();
    if core.settings.observer_master_port == 0 || core.tries.is_hopeless(now, patience) {
        return None;
    }
    let mut masters: Vec<Sid> = core.committed.voters().filter(|sid| *sid != leader).collect();
    let seed = core.settings.seed;
    masters.sort_by_key(|sid| mix(seed ^ sid.0 as u64));
    let count = core.tries.count;
    let at = count.checked_rem(masters.len())?;
    core.tries.count = count.wrapping_add(1);
    Some((masters[at], at == 0 && 0 < count))
}
