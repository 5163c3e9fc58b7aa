//! What happens next: events by virtual time, ties broken by the seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use crate::net::LinkId;
use crate::rng::Rng;

/// Something that happens at a moment. Events of a process carry its boot: those of a dead one do
/// nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// The core thread's loop turns.
    Turn { server: usize, boot: u64 },
    /// The log stage ends a step.
    Log { server: usize, boot: u64 },
    /// The snapshot stage ends a piece.
    Snapshot { server: usize, boot: u64 },
    /// Something arrives at a server from a client.
    Up { link: LinkId },
    /// Something arrives at a client.
    Down { link: LinkId },
    /// A client does something.
    Client { client: usize, turn: u64 },
    /// A fault strikes.
    Fault,
    /// The operator does something.
    Operate,
    /// A server is started.
    Boot { server: usize },
    /// A disk has room again.
    Room { server: usize },
    /// Something arrives at a server from another one.
    Peer { conn: u64 },
    /// A dial among servers has its outcome.
    Dial { dial: u64 },
    /// The log was read for a learner.
    Read { server: usize, boot: u64 },
    /// The phase is looked at.
    Phase,
}

impl Event {
    /// The machines, of `all` there are, whose disks it may touch.
    pub(crate) fn disks(self, all: usize) -> Range<usize> {
        match self {
            Self::Turn { server, .. }
            | Self::Log { server, .. }
            | Self::Snapshot { server, .. }
            | Self::Read { server, .. }
            | Self::Boot { server }
            | Self::Room { server } => server..server + 1,
            Self::Fault | Self::Operate | Self::Phase => 0..all,
            Self::Up { .. }
            | Self::Down { .. }
            | Self::Client { .. }
            | Self::Peer { .. }
            | Self::Dial { .. } => 0..0,
        }
    }
}

/// The event heap.
#[derive(Debug)]
pub(crate) struct Agenda {
    heap: BinaryHeap<Reverse<(u64, u64, u64, Event)>>,
    rng: Rng,
    count: u64,
}

impl Agenda {
    pub(crate) fn new(rng: Rng) -> Self {
        Self { heap: BinaryHeap::new(), rng, count: 0 }
    }

    pub(crate) fn push(&mut self, at_us: u64, event: Event) {
        self.count += 1;
        self.heap.push(Reverse((at_us, self.rng.u64(), self.count, event)));
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|Reverse((at_us, _, _, event))| (at_us, event))
    }
}
