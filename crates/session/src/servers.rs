//! Which server to try next, and how long to wait before.
//!
//! The list is shuffled once, so that the clients of an ensemble spread. A round tries each server
//! once without waiting; between rounds the wait doubles up to a limit and is jittered, so that
//! the clients of a server that died do not come back all at once.
//!
//! While a server that only reads serves, the others are asked one by one whether they take writes, at first
//! after 100 ms, then less and less often, up to once a minute, as Java's client asks (`ClientCnxn`).

use crate::random::Random;

const WAIT_FIRST_MS: u64 = 100;
const WAIT_MAX_MS: u64 = 2_000;

const ASK_FIRST_MS: u64 = 100;
const ASK_MAX_MS: u64 = 60_000;

/// The search for a server that takes writes.
#[derive(Debug, Default)]
pub(super) struct Search {
    due: u64,
    pause_ms: u64,
    /// Who is to be asked now.
    pub(super) whom: Option<usize>,
}

impl Search {
    pub(super) fn begin(now: u64) -> Self {
        Self { due: now + ASK_FIRST_MS, pause_ms: ASK_FIRST_MS, whom: None }
    }

    /// When somebody is to be asked next.
    pub(super) fn due(&self) -> u64 {
        self.due
    }

    pub(super) fn ask(&mut self, server: usize, now: u64) {
        self.whom = Some(server);
        self.pause_ms = (2 * self.pause_ms).min(ASK_MAX_MS);
        self.due = now + self.pause_ms;
    }
}

#[derive(Debug)]
pub(super) struct Servers {
    order: Vec<usize>,
    next: usize,
    /// Attempts since the last time a session was established.
    attempts: u64,
}

impl Servers {
    pub(super) fn new(count: usize, random: &mut Random) -> Self {
        let mut order: Vec<usize> = (0..count.max(1)).collect();
        random.shuffle(&mut order);
        Self { order, next: 0, attempts: 0 }
    }

    pub(super) fn len(&self) -> u64 {
        self.order.len() as u64
    }

    /// The server of the attempt that begins now.
    pub(super) fn take(&mut self) -> usize {
        self.attempts += 1;
        self.pass()
    }

    /// The next server in turn, without an attempt to connect.
    pub(super) fn pass(&mut self) -> usize {
        let server = self.order.get(self.next).copied().unwrap_or(0);
        self.next = (self.next + 1) % self.order.len();
        server
    }

    /// The next attempt begins with this one.
    pub(super) fn prefer(&mut self, server: usize) {
        if let Some(at) = self.order.iter().position(|known| *known == server) {
            self.next = at;
        }
    }

    /// A session was established: the next loss starts a new count.
    pub(super) fn reached(&mut self) {
        self.attempts = 0;
    }

    /// Whether the attempt that just failed was the last of a round.
    pub(super) fn round_is_over(&self) -> bool {
        self.attempts.is_multiple_of(self.len())
    }

    /// How long to wait before the next attempt.
    pub(super) fn wait_ms(&self, random: &mut Random) -> u64 {
        if self.attempts == 0 {
            // A connection was lost: everybody else lost it too.
            return random.below(WAIT_FIRST_MS);
        }
        if !self.round_is_over() {
            return 0;
        }
        let rounds = (self.attempts / self.len()).min(16);
        let wait = (WAIT_FIRST_MS << rounds).min(WAIT_MAX_MS);
        wait / 2 + random.below(wait / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_tries_every_server_then_waits_longer_each_time() {
        let mut random = Random::new(7);
        let mut servers = Servers::new(3, &mut random);
        let mut last = 0;
        for _ in 0..4 {
            let mut seen: Vec<usize> = Vec::new();
            for _ in 0..3 {
                seen.push(servers.take());
                let wait = servers.wait_ms(&mut random);
                assert_eq!(wait == 0, seen.len() < 3, "no wait within a round");
                if seen.len() == 3 {
                    assert!(wait >= last.min(WAIT_MAX_MS / 2) / 2, "{wait} after {last}");
                    last = wait;
                }
            }
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2]);
        }
        assert!((WAIT_MAX_MS / 4..=WAIT_MAX_MS).contains(&last));
    }

    #[test]
    fn seeds_spread_the_first_choice() {
        let first = |seed| Servers::new(3, &mut Random::new(seed)).take();
        let mut hits = [0; 3];
        (0..300).for_each(|seed| hits[first(seed)] += 1);
        assert!(hits.iter().all(|&n| n > 60), "{hits:?}");
    }
}
