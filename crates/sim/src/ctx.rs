//! What every part of the world may reach while something happens.

use std::fmt;

use rookeeper_zab::Conn;

use crate::agenda::{Agenda, Event};
use crate::checkers::expiry::Expiry;
use crate::checkers::sequential::Sequential;
use crate::checkers::zab::Facts;
use crate::counts::Counts;
use crate::history::History;
use crate::net::{Links, Segment};
use crate::peers::PeerNet;
use crate::plan::Plan;
use crate::rng::Rng;
use crate::trace::Trace;

/// The world but for the servers and the clients themselves.
#[derive(Debug)]
pub(crate) struct Ctx {
    pub(crate) plan: Plan,
    pub(crate) now_us: u64,
    /// The machines' clocks and disks, by server.
    pub(crate) machines: Vec<Conditions>,
    pub(crate) rng: Rng,
    pub(crate) agenda: Agenda,
    pub(crate) links: Links,
    pub(crate) next_link: u64,
    pub(crate) history: History,
    pub(crate) expiry: Expiry,
    pub(crate) sequential: Sequential,
    pub(crate) counts: Counts,
    pub(crate) trace: Trace,
    /// Faults have ended.
    pub(crate) is_healing: bool,
    /// Since when.
    pub(crate) healing_since_us: u64,
    /// The network among the servers.
    pub(crate) peers: PeerNet,
    /// What an ensemble's invariants need to know of all servers together.
    pub(crate) facts: Facts,
}

/// What differs from machine to machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    /// Wall clock minus virtual time, in milliseconds; jumps.
    pub(crate) wall_offset_ms: i64,
    /// Forces are slow until then.
    pub(crate) slow_until_us: u64,
}

/// No force takes longer.
const SLOWEST_FORCE_US: u64 = 6_000_000;

impl Ctx {
    /// The wall clock of a server.
    pub(crate) fn wall_ms(&self, server: usize) -> i64 {
        (self.now_us / 1000) as i64 + self.machines[server].wall_offset_ms
    }

    /// Whether the run is of an ensemble.
    pub(crate) fn is_ensemble(&self) -> bool {
        self.plan.ensemble.is_some()
    }

    /// Any server. Draws nothing where there is only one.
    pub(crate) fn a_server(&mut self) -> usize {
        match self.machines.len() {
            1 => 0,
            n => self.rng.index(n),
        }
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

    /// A message's delay among servers.
    pub(crate) fn peer_latency_us(&mut self) -> u64 {
        let mean = self.plan.ensemble.as_ref().map_or(0, |plan| plan.latency_us);
        self.rng.spread(mean)
    }

    /// Does something to the servers' network and plans what arrives because of it.
    pub(crate) fn push_peer(&mut self, act: impl FnOnce(&mut Self) -> Option<(u64, u64)>) {
        if let Some((conn, at_us)) = act(self) {
            self.agenda.push(at_us, Event::Peer { conn });
        }
    }

    /// Cuts a stream among servers; now and then only one end hears of it.
    pub(crate) fn cut_peer(&mut self, conn: Conn) {
        let us = self.peer_latency_us();
        let other = Conn(conn.0 ^ 1);
        self.push_peer(|ctx| ctx.peers.send(ctx.now_us, us, other, Segment::Closed));
        if !self.rng.chance(300) {
            self.push_peer(|ctx| ctx.peers.send(ctx.now_us, us, conn, Segment::Closed));
        }
    }

    /// For how long nothing has failed.
    pub(crate) fn quiet_us(&self) -> u64 {
        if self.is_healing { self.now_us - self.healing_since_us } else { 0 }
    }

    /// A fault of a disk shows only now.
    pub(crate) fn note_late_fault(&mut self) {
        self.healing_since_us = self.now_us;
    }

    /// How long the next batch of a server's log takes.
    pub(crate) fn force_us(&mut self, server: usize) -> u64 {
        let us = self.rng.spread(self.plan.force_us);
        if self.now_us < self.machines[server].slow_until_us {
            self.counts.slow_forces += 1;
            (us * self.rng.between(10, 200)).min(SLOWEST_FORCE_US)
        } else {
            us
        }
    }
}
