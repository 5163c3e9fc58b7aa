//! A follower or observer under one leader, from the dial to the end of the connection.
//!
//! ```text
//! Connecting -> AwaitLeaderInfo -> AcceptingEpoch -> AwaitSync -> Truncating | ReceivingSnapshot
//!     -> Synchronizing -> AcceptingLeader -> AwaitUpToDate -> Serving
//! ```
//!
//! Guarantees: nothing is acknowledged before it is durable; a record enters the log only behind the
//! one it follows; nothing known to be committed is ever cut; any doubt ends the connection with a
//! reason (`Leave`), after which the server looks for a leader again.
//!
//! Bytes are parsed only in phases that expect packets; in the others they wait, bounded. Unknown
//! packets are skipped, as Java does; known ones out of place end the connection.
//!
//! An observer may learn from a follower instead of the leader ([`masters`]); a follower that serves may
//! have observers of its own ([`observer_master`]).

mod broadcast;
mod discovery;
mod masters;
mod observer_master;
mod requests;
mod synchronization;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use rookeeper_proto::quorum::{PacketType, QuorumPacket, TryRead};
use rookeeper_proto::{SessionId, Sid, Zxid};

use crate::core::Core;
use crate::effects::{Conn, Effect, Effects};
use crate::election::Vote;
use crate::leader::{Learners, Terms};
use crate::leave::{Leave, Step};
use crate::limits;
use crate::peer::ZabPhase;
use crate::record::TxnRecord;
use crate::time::Instant;

pub(crate) use masters::Tries;
use observer_master::ObserverMaster;
pub use requests::NotServing;
pub(crate) use synchronization::SNAPSHOT_SIGNATURE;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    AwaitLeaderInfo,
    /// `acceptedEpoch` is being written.
    AcceptingEpoch,
    AwaitSync,
    Truncating(Zxid),
    /// The snapshot's body is passed on.
    ReceivingSnapshot(Zxid),
    /// The body is complete; its signature follows.
    AwaitSignature(Zxid),
    Synchronizing,
    /// NEWLEADER was received; what it covers is being made durable.
    AcceptingLeader,
    AwaitUpToDate,
    Serving,
}

/// How this learner is brought up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Its log goes on (DIFF, or TRUNC once cut).
    Log,
    /// A snapshot, named by its zxid, replaces everything.
    Snapshot(Zxid),
}

/// A data packet's content, owned.
#[derive(Debug)]
struct Packet {
    kind: PacketType,
    zxid: Zxid,
    data: Option<Bytes>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Learner {
    leader: Sid,
    /// The epoch that the votes for it told.
    elected_epoch: i64,
    /// Who serves it: the leader, or a follower that serves observers.
    master: Sid,
    is_observer: bool,
    conn: Option<Conn>,
    tries: u32,
    /// When it was elected.
    since: Instant,
    retry_at: Option<Instant>,
    /// Between two tries.
    pause: Duration,
    /// When the present phase has lasted too long without a word from the leader.
    deadline: Instant,
    buffer: Vec<u8>,
    /// When the packet that is not complete yet began.
    packet_since: Instant,
    unsent: usize,
    phase: Phase,
    epoch: u32,
    mode: Mode,
    /// Proposed, not yet handed to the log.
    queue: VecDeque<TxnRecord>,
    queue_bytes: usize,
    last_queued: Zxid,
    /// The last COMMIT (or the point at which synchronisation started).
    committed: Zxid,
    /// Text of the configuration in NEWLEADER.
    new_config: Option<String>,
    /// Appended proposals that are still to be acknowledged.
    to_ack: VecDeque<Zxid>,
    touched: BTreeMap<SessionId, i32>,
    /// While it serves: its own observers, if it may have any.
    hosting: Option<Box<ObserverMaster>>,
}

impl Learner {
    /// Starts to look for the one who was elected, at its quorum port, or for a follower of it.
    pub(crate) fn start(now: Instant, core: &mut Core, elected: &Vote, fx: &mut Effects) -> Self {
        let leader = elected.leader;
        let (master, delay) = masters::next_master(now, core, leader);
        let mut learner = Self {
            leader,
            elected_epoch: elected.epoch,
            master,
            is_observer: core.is_observer(),
            conn: None,
            tries: 0,
            since: now,
            retry_at: (!delay.is_zero()).then_some(now + delay),
            deadline: now + delay + core.settings.connect_time(),
            pause: core.settings.connect_pause,
            buffer: Vec::new(),
            packet_since: now,
            unsent: 0,
            phase: Phase::Connecting,
            epoch: 0,
            mode: Mode::Log,
            queue: VecDeque::new(),
            queue_bytes: 0,
            last_queued: Zxid::ZERO,
            committed: Zxid::ZERO,
            new_config: None,
            to_ack: VecDeque::new(),
            touched: BTreeMap::new(),
            hosting: None,
        };
        if delay.is_zero() {
            learner.connect(core, fx);
        }
        learner
    }

    /// Whom it follows.
    pub(crate) fn leader(&self) -> Sid {
        self.leader
    }

    /// Who serves it.
    pub(crate) fn master(&self) -> Sid {
        self.master
    }

    /// Whether it serves observers now.
    pub(crate) fn is_hosting(&self) -> bool {
        self.hosting.is_some()
    }

    /// Its observers, and what they are brought to.
    pub(crate) fn observers(&mut self, core: &Core) -> Option<(&mut Learners, Terms)> {
        let hosting = self.hosting.as_mut()?;
        let terms = hosting.terms(core);
        Some((&mut hosting.observers, terms))
    }

    /// How many observers it keeps up to date, if it may have any.
    pub(crate) fn synced_observers(&self) -> Option<usize> {
        let hosting = self.hosting.as_ref()?;
        Some(hosting.observers.values().filter(|observer| observer.is_forwarding()).count())
    }

    /// How far it is, as `mntr` tells it.
    pub(crate) fn zab_phase(&self) -> ZabPhase {
        match self.phase {
            Phase::Connecting | Phase::AwaitLeaderInfo | Phase::AcceptingEpoch => {
                ZabPhase::Discovery
            }
            Phase::Serving => ZabPhase::Broadcast,
            _ => ZabPhase::Synchronization,
        }
    }

    /// The leader's epoch, once it serves.
    pub(crate) fn serving_epoch(&self) -> Option<u32> {
        (self.phase == Phase::Serving).then_some(self.epoch)
    }

    pub(crate) fn owns(&self, conn: Conn) -> bool {
        self.conn == Some(conn)
    }

    /// When [`Self::on_time`] is wanted.
    pub(crate) fn next_deadline(&self) -> Instant {
        let observers = self.hosting.as_ref().and_then(|hosting| hosting.observers.next_deadline());
        observers.into_iter().chain(self.retry_at).fold(self.deadline, Instant::min)
    }

    pub(crate) fn on_time(&mut self, now: Instant, core: &Core, fx: &mut Effects) -> Step {
        if self.deadline <= now {
            return Err(Leave::new(format!(
                "no word from leader {} while {:?}",
                self.leader, self.phase
            )));
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.connect(core, fx);
        }
        if let Some(hosting) = &mut self.hosting {
            hosting.observers.drop_silent(now, fx);
        }
        Ok(())
    }

    /// Bytes from one of its observers.
    pub(crate) fn on_observer_bytes(
        &mut self,
        now: Instant,
        core: &mut Core,
        conn: Conn,
        bytes: &[u8],
        fx: &mut Effects,
    ) {
        if let Some(hosting) = &mut self.hosting {
            hosting.on_bytes(now, core, conn, bytes, fx);
        }
    }

    /// Bytes from the leader.
    pub(crate) fn on_bytes(
        &mut self,
        now: Instant,
        core: &mut Core,
        bytes: &[u8],
        fx: &mut Effects,
    ) -> Step {
        let patience = match self.phase {
            Phase::Serving => core.settings.sync_time(),
            _ => core.settings.init_time().max(core.settings.sync_time()),
        };
        // Bytes that never make a packet are no sign of life.
        let is_packet_begun = !self.buffer.is_empty() && self.expects_packets();
        if !is_packet_begun {
            self.packet_since = now;
        }
        self.deadline = (now + patience).min(self.packet_since + core.settings.init_time() * 2);
        if matches!(self.phase, Phase::ReceivingSnapshot(_)) {
            fx.push(Effect::SnapshotBytes { bytes: Bytes::copy_from_slice(bytes) });
            return Ok(());
        }
        if self.buffer.len() + bytes.len() > limits::SYNC_QUEUE_BYTES {
            return Err(Leave::new("the leader sends more than can wait here"));
        }
        self.buffer.extend_from_slice(bytes);
        self.parse(now, core, fx)
    }

    /// Handles whole packets as long as the phase expects any.
    fn parse(&mut self, now: Instant, core: &mut Core, fx: &mut Effects) -> Step {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut at = 0;
        let outcome = loop {
            if let Phase::AwaitSignature(_) = self.phase {
                match self.check_signature(&buffer[at..]) {
                    Ok(0) => break Ok(()),
                    Ok(used) => at += used,
                    Err(leave) => break Err(leave),
                }
                continue;
            }
            if !self.expects_packets() {
                break Ok(());
            }
            let limit = core.settings.packet_data_bytes;
            let (packet, used) = match QuorumPacket::try_read(&buffer[at..], limit) {
                Ok(TryRead::Done(packet, used)) => (packet, used),
                Ok(TryRead::Incomplete) => break Ok(()),
                Err(error) => break Err(Leave::new(format!("the leader sent garbage: {error}"))),
            };
            at += used;
            self.packet_since = now;
            let Some(kind) = packet.packet_type() else { continue };
            let data = packet.data.map(Bytes::copy_from_slice);
            let packet = Packet { kind, zxid: packet.zxid, data };
            if let Err(leave) = self.on_packet(now, core, packet, fx) {
                break Err(leave);
            }
        };
        buffer.drain(..at);
        if !matches!(self.phase, Phase::ReceivingSnapshot(_)) {
            self.buffer = buffer;
        } else if !buffer.is_empty() {
            fx.push(Effect::SnapshotBytes { bytes: buffer.into() });
        }
        outcome
    }

    fn expects_packets(&self) -> bool {
        !matches!(
            self.phase,
            Phase::Connecting
                | Phase::AcceptingEpoch
                | Phase::Truncating(_)
                | Phase::ReceivingSnapshot(_)
                | Phase::AwaitSignature(_)
        )
    }

    fn on_packet(
        &mut self,
        now: Instant,
        core: &mut Core,
        packet: Packet,
        fx: &mut Effects,
    ) -> Step {
        match self.phase {
            Phase::AwaitLeaderInfo => self.on_leader_info(core, &packet, fx),
            Phase::AwaitSync => self.on_sync_start(now, core, &packet, fx),
            Phase::Serving => self.on_broadcast(now, core, packet, fx),
            _ => self.on_sync_packet(now, core, packet, fx),
        }
    }

    /// The disk reported something.
    pub(crate) fn on_store(&mut self, now: Instant, core: &mut Core, fx: &mut Effects) -> Step {
        match self.phase {
            Phase::AcceptingEpoch if core.store.accepted_epoch() == self.epoch => {
                let epoch = core.store.current_epoch() as i32;
                self.ack_epoch(core, epoch, fx);
                self.parse(now, core, fx)
            }
            Phase::Synchronizing | Phase::AcceptingLeader => self.persist(now, core, fx),
            Phase::Serving => {
                self.send_acks(core, fx);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The role ends; the connection is closed by whoever ends it.
    pub(crate) fn stop(self, fx: &mut Effects) {
        // Once the installation has been asked for, it is carried out.
        let is_receiving = match self.phase {
            Phase::ReceivingSnapshot(_) | Phase::AwaitSignature(_) => true,
            Phase::Synchronizing => matches!(self.mode, Mode::Snapshot(_)),
            _ => false,
        };
        if is_receiving {
            fx.push(Effect::AbandonSnapshot);
        }
        if let Some(hosting) = self.hosting {
            hosting.observers.stop(fx);
        }
        if let Some(conn) = self.conn {
            fx.push(Effect::CloseQuorum { conn });
        }
    }

    fn send(&mut self, packet: &QuorumPacket<'_>, fx: &mut Effects) {
        self.send_bytes(packet.to_bytes(), fx);
    }

    fn send_bytes(&mut self, bytes: Vec<u8>, fx: &mut Effects) {
        if let Some(conn) = self.conn {
            self.unsent += bytes.len();
            fx.push(Effect::SendQuorum { conn, bytes: bytes.into() });
        }
    }

    /// Everything handed out has left.
    pub(crate) fn on_drained(&mut self) {
        self.unsent = 0;
    }
}
