//! What every part of the world may reach while something happens.

use std::collections::BTreeMap;
use std::fmt;

use crate::agenda::Agenda;
use crate::checkers::expiry::Expiry;
use crate::checkers::sequential::Sequential;
use crate::counts::Counts;
use crate::history::History;
use crate::net::{Link, LinkId};
use crate::plan::Plan;
use crate::rng::Rng;
use crate::trace::Trace;

/// The world but for the server and the clients themselves.
#[derive(Debug)]
pub(crate) struct Ctx {
    pub(crate) plan: Plan,
    pub(crate) now_us: u64,
    /// Wall clock minus virtual time, in milliseconds; jumps.
    pub(crate) wall_offset_ms: i64,
    pub(crate) rng: Rng,
    pub(crate) agenda: Agenda,
    pub(crate) links: BTreeMap<LinkId, Link>,
    pub(crate) next_link: u64,
    pub(crate) history: History,
    pub(crate) expiry: Expiry,
    pub(crate) sequential: Sequential,
    pub(crate) counts: Counts,
    pub(crate) trace: Trace,
    /// Faults have ended.
    pub(crate) is_healing: bool,
    /// Forces are slow until then.
    pub(crate) slow_until_us: u64,
}

/// No force takes longer.
const SLOWEST_FORCE_US: u64 = 6_000_000;

impl Ctx {
    /// The wall clock.
    pub(crate) fn wall_ms(&self) -> i64 {
        (self.now_us / 1000) as i64 + self.wall_offset_ms
    }

    /// A line of the trace.
    pub(crate) fn note(&mut self, who: &str, what: fmt::Arguments<'_>) {
        self.trace.line(self.now_us, who, what);
    }

    /// A message's delay.
    pub(crate) fn latency_us(&mut self) -> u64 {
        let mean = self.plan.habits.latency_us;
        self.rng.spread(mean)
    }

    /// How long the next batch of the log takes.
    pub(crate) fn force_us(&mut self) -> u64 {
        let us = self.rng.spread(self.plan.force_us);
        if self.now_us < self.slow_until_us {
            self.counts.slow_forces += 1;
            (us * self.rng.between(10, 200)).min(SLOWEST_FORCE_US)
        } else {
            us
        }
    }
}
