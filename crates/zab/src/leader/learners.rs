//! The learners of one server, be it a leader or an observer master: their connections, what arrives on
//! them and what is sent to them.
//!
//! Guarantees: per learner, one ordered stream of packets; one connection per server; a learner that does
//! not read, or not speak in time, is closed. What a packet means is decided by the owner.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;
use rookeeper_proto::Zxid;
use rookeeper_proto::quorum::{LearnerInfo, PacketType, QuorumPacket, TryRead, learner_info};

use super::handle::{LearnerHandle, Stage, SyncKind};
use super::{Drop, Packet};
use crate::core::Core;
use crate::effects::{Conn, Effect, Effects};
use crate::limits;
use crate::time::Instant;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Learners(BTreeMap<Conn, LearnerHandle>);

impl Deref for Learners {
    type Target = BTreeMap<Conn, LearnerHandle>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Learners {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// What a learner says of itself first.
pub(crate) struct Introduction {
    pub(crate) info: LearnerInfo,
    pub(crate) is_observer: bool,
    /// The epoch it has accepted.
    pub(crate) accepted: i64,
}

impl Introduction {
    /// Reads FOLLOWERINFO or OBSERVERINFO; refuses whom no server may take.
    pub(crate) fn read(core: &Core, packet: &Packet) -> Result<Self, Drop> {
        let is_observer = match packet.kind {
            PacketType::FollowerInfo => false,
            PacketType::ObserverInfo => true,
            kind => return Err(format!("{kind:?} instead of FOLLOWERINFO or OBSERVERINFO")),
        };
        let data = packet.data.as_deref().unwrap_or_default();
        let info = LearnerInfo::read(data).map_err(|error| error.to_string())?;
        if info.protocol_version < learner_info::PROTOCOL_VERSION {
            return Err(format!("protocol version {:#x} is too old", info.protocol_version));
        }
        if info.sid == core.sid() {
            return Err(format!("it has this server's own id, {}", info.sid));
        }
        if core.committed.version < info.config_version {
            return Err(format!(
                "its configuration {:x} is newer than ours, {:x}",
                info.config_version, core.committed.version
            ));
        }
        Ok(Self { info, is_observer, accepted: packet.zxid.epoch() })
    }
}

impl Learners {
    /// Somebody connected.
    pub(crate) fn accept(&mut self, now: Instant, core: &Core, conn: Conn, fx: &mut Effects) {
        if self.len() >= limits::LEARNER_CONNECTIONS {
            // Strangers that say nothing must not keep learners out.
            let strangers = self.values().filter(|l| l.stage == Stage::AwaitInfo);
            let Some(oldest) = strangers.min_by_key(|l| (l.deadline, l.conn)).map(|l| l.conn)
            else {
                fx.warn("too many learner connections");
                fx.push(Effect::CloseQuorum { conn });
                return;
            };
            self.drop_learner(oldest, "too many connections, and it has not said who it is", fx);
        }
        self.insert(conn, LearnerHandle::new(conn, now + core.settings.init_time()));
    }

    /// Cuts what has arrived into packets, and says what is wrong behind them.
    pub(crate) fn cut(
        &mut self,
        conn: Conn,
        bytes: &[u8],
        limit: usize,
    ) -> (Vec<Packet>, Option<Drop>) {
        let mut packets = Vec::new();
        let Some(learner) = self.get_mut(&conn) else { return (packets, None) };
        learner.buffer.extend_from_slice(bytes);
        let mut at = 0;
        let garbage = loop {
            match QuorumPacket::try_read(&learner.buffer[at..], limit) {
                Ok(TryRead::Incomplete) => break None,
                Ok(TryRead::Done(packet, used)) => {
                    at += used;
                    let Some(kind) = packet.packet_type() else { continue };
                    let data = packet.data.map(Bytes::copy_from_slice);
                    let auth = packet.auth.unwrap_or_default();
                    packets.push(Packet { kind, zxid: packet.zxid, data, auth });
                }
                Err(error) => break Some(format!("garbage: {error}")),
            }
        };
        learner.buffer.drain(..at);
        (packets, garbage)
    }

    /// It has said who it is.
    pub(crate) fn introduce(&mut self, conn: Conn, who: &Introduction, fx: &mut Effects) {
        // One connection per server: an older one of the same server is dead, or a second server has
        // its id; either way only one may count.
        let twin = |l: &&LearnerHandle| l.sid == who.info.sid && l.conn != conn;
        if let Some(old) = self.values().find(twin).map(|l| l.conn) {
            self.drop_learner(old, "the same server connected again", fx);
        }
        let Some(learner) = self.get_mut(&conn) else { return };
        learner.sid = who.info.sid;
        learner.is_observer = who.is_observer;
        learner.stage = Stage::AwaitEpoch;
        learner.deadline = None;
    }

    /// Counts one more synchronisation of this kind. Of observers only so many are brought up to date at a
    /// time: one beyond it is closed, and comes again (Java: LearnerSyncThrottler). What voters need is counted
    /// and never refused.
    pub(super) fn admit(
        &mut self,
        core: &Core,
        conn: Conn,
        kind: SyncKind,
        fx: &mut Effects,
    ) -> bool {
        let max = match kind {
            SyncKind::Log => core.settings.diff_syncs_max,
            SyncKind::Snapshot => core.settings.snap_syncs_max,
        };
        let others = self.values().filter(|l| l.conn != conn && l.is_synchronized_by(kind));
        let is_full = max <= others.count();
        let Some(learner) = self.get_mut(&conn) else { return false };
        learner.sync_kind = Some(kind);
        if is_full && learner.is_observer {
            self.drop_learner(conn, "too many are being brought up to date", fx);
            return false;
        }
        true
    }

    pub(crate) fn send_leader_info(&mut self, conn: Conn, epoch: u32, fx: &mut Effects) {
        if let Some(learner) = self.get_mut(&conn) {
            learner.stage = Stage::AwaitEpochAck;
        }
        let data = learner_info::PROTOCOL_VERSION.to_be_bytes();
        let packet = QuorumPacket::with_data(PacketType::LeaderInfo, Zxid::new(epoch, 0), &data);
        self.send_packet(conn, &packet, fx);
    }

    /// Lets those serve who wait for nothing else.
    pub(crate) fn start_ready(&mut self, now: Instant, core: &Core, fx: &mut Effects) {
        let ready = self.values_mut().filter(|l| l.stage == Stage::AwaitStart);
        let started: Vec<(Conn, Bytes)> = ready
            .map(|learner| {
                learner.stage = Stage::Serving;
                learner.deadline = Some(now + core.settings.sync_time());
                (learner.conn, learner.release())
            })
            .collect();
        for (conn, held) in started {
            let up_to_date = QuorumPacket::bare(PacketType::UpToDate, Zxid::UNKNOWN);
            self.send_packet(conn, &up_to_date, fx);
            if !held.is_empty() {
                self.send(conn, held, fx);
            }
        }
    }

    /// The connections of those that are such, in order.
    pub(super) fn those(&self, are_such: impl Fn(&LearnerHandle) -> bool) -> Vec<Conn> {
        self.values().filter(|l| are_such(l)).map(|l| l.conn).collect()
    }

    /// Sends one packet to all that are sent what is new.
    pub(crate) fn send_forwarding(&mut self, bytes: impl FnOnce() -> Bytes, fx: &mut Effects) {
        let conns = self.those(LearnerHandle::is_forwarding);
        if conns.is_empty() {
            return;
        }
        let bytes = bytes();
        for conn in conns {
            self.send(conn, bytes.clone(), fx);
        }
    }

    pub(crate) fn ping(&mut self, zxid: Zxid, fx: &mut Effects) {
        self.send_forwarding(|| QuorumPacket::bare(PacketType::Ping, zxid).to_bytes().into(), fx);
    }

    pub(crate) fn send_sync(&mut self, conn: Conn, fx: &mut Effects) {
        if self.get(&conn).is_some_and(|l| l.stage == Stage::Serving) {
            self.send_packet(conn, &QuorumPacket::bare(PacketType::Sync, Zxid::ZERO), fx);
        }
    }

    /// When the next of them has been silent for too long.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.values().filter_map(|l| l.deadline).min()
    }

    /// Whether somebody is being brought up to date.
    pub(crate) fn is_anyone_behind(&self) -> bool {
        self.values().any(|l| matches!(l.stage, Stage::Synchronizing(_)))
    }

    pub(crate) fn drop_silent(&mut self, now: Instant, fx: &mut Effects) {
        let is_late = |l: &LearnerHandle| l.deadline.is_some_and(|at| at <= now);
        self.drop_those(is_late, "it has been silent for too long", fx);
    }

    /// Sends to one; closes it if it takes nothing.
    pub(crate) fn send(&mut self, conn: Conn, bytes: Bytes, fx: &mut Effects) {
        let Some(learner) = self.get_mut(&conn) else { return };
        learner.unsent += bytes.len();
        if learner.waiting() > limits::LEARNER_UNSENT_BYTES {
            self.drop_learner(conn, "it does not read what it is sent", fx);
            return;
        }
        fx.push(Effect::SendQuorum { conn, bytes });
    }

    pub(crate) fn send_packet(&mut self, conn: Conn, packet: &QuorumPacket<'_>, fx: &mut Effects) {
        self.send(conn, packet.to_bytes().into(), fx);
    }

    /// Closes one that did something wrong.
    pub(crate) fn drop_learner(&mut self, conn: Conn, reason: &str, fx: &mut Effects) {
        if let Some(learner) = self.remove(&conn) {
            fx.warn(format!("closing the connection of learner {}: {reason}", learner.sid));
            learner.on_gone(fx);
            fx.push(Effect::CloseQuorum { conn });
        }
    }

    /// Closes those that are such.
    pub(super) fn drop_those(
        &mut self,
        are_such: impl Fn(&LearnerHandle) -> bool,
        reason: &str,
        fx: &mut Effects,
    ) {
        for conn in self.those(are_such) {
            self.drop_learner(conn, reason, fx);
        }
    }

    /// Closes one for a reason of the caller's.
    pub(crate) fn close(&mut self, conn: Conn, fx: &mut Effects) {
        if self.remove(&conn).is_some() {
            fx.push(Effect::CloseQuorum { conn });
        }
    }

    /// One has closed its connection.
    pub(crate) fn on_closed(&mut self, conn: Conn, fx: &mut Effects) {
        if let Some(learner) = self.remove(&conn) {
            learner.on_gone(fx);
        }
    }

    /// Closes all.
    pub(crate) fn stop(self, fx: &mut Effects) {
        for (conn, learner) in self.0 {
            learner.on_gone(fx);
            fx.push(Effect::CloseQuorum { conn });
        }
    }
}
