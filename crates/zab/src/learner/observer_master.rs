//! A follower that serves observers (`observerMasterPort`; ZOOKEEPER-3140, `quorum-protocol.md` 3.12), so
//! that the leader need not.
//!
//! Towards its observers it speaks as a leader does, in the leader's epoch, but decides nothing: it
//! passes on what is committed, in order, and the leader's answers; what observers ask for goes to the
//! leader by the driver's hands ([`crate::Peer::relay_request`]), who knows whose the sessions are.
//!
//! Guarantees: an observer is never given anything that is not known here to be committed, and is never
//! asked to cut off what is committed elsewhere: if it is ahead, it has to come again. The leader's PINGs
//! are passed on instead of own ones being sent, so an observer hears of its leader or of nothing. All
//! observers are let go with the leader's connection.
//!
//! Deliberately not: a store of past commits of its own. Java keeps one (`observerMaster.sizeLimit`) and
//! turns away whom it does not reach; here observers are brought up to date like all learners, from the
//! log or by a snapshot.

use std::collections::VecDeque;

use rookeeper_proto::quorum::PacketType;
use rookeeper_proto::{Reader, SessionId, Sid, Zxid};

use crate::core::Core;
use crate::effects::{Conn, Effects};
use crate::leader::{
    Drop, Introduction, Learners, Packet, Stage, Terms, inform_and_activate, proposal,
};
use crate::record::TxnRecord;
use crate::time::Instant;

/// See the module.
#[derive(Debug)]
pub(super) struct ObserverMaster {
    epoch: u32,
    pub(super) observers: Learners,
    /// Whom the leader's answers to syncs are for, in order; `None` is this server.
    syncs: VecDeque<Option<Conn>>,
    /// The same of revalidations.
    revalidations: VecDeque<(SessionId, Option<Conn>)>,
}

impl ObserverMaster {
    /// From the moment at which the follower serves in `epoch`.
    pub(super) fn new(epoch: u32) -> Self {
        Self {
            epoch,
            observers: Learners::default(),
            syncs: VecDeque::new(),
            revalidations: VecDeque::new(),
        }
    }

    /// What observers are brought to. All of the epoch's initial history is committed where somebody
    /// serves, so while nothing behind it is, it ends with what is committed.
    pub(super) fn terms(&self, core: &Core) -> Terms {
        Terms { epoch: self.epoch, is_established: true, end: core.commit, initial: core.commit }
    }

    /// Bytes from an observer.
    pub(super) fn on_bytes(
        &mut self,
        now: Instant,
        core: &mut Core,
        conn: Conn,
        bytes: &[u8],
        fx: &mut Effects,
    ) {
        let (packets, garbage) = self.observers.cut(conn, bytes, core.settings.packet_data_bytes);
        for packet in packets {
            if let Err(reason) = self.on_packet(now, core, conn, packet, fx) {
                self.observers.drop_learner(conn, &reason, fx);
            }
        }
        if let Some(reason) = garbage {
            self.observers.drop_learner(conn, &reason, fx);
        }
    }

    fn on_packet(
        &mut self,
        now: Instant,
        core: &mut Core,
        conn: Conn,
        packet: Packet,
        fx: &mut Effects,
    ) -> Result<(), Drop> {
        let Some(observer) = self.observers.get_mut(&conn) else { return Ok(()) };
        observer.heard(now, &core.settings);
        match (observer.stage, packet.kind) {
            (Stage::AwaitInfo, _) => {
                let who = Introduction::read(core, &packet)?;
                if !who.is_observer {
                    return Err("only observers are served here".to_owned());
                }
                if who.accepted < 0 || i64::from(self.epoch) < who.accepted {
                    return Err(format!("its accepted epoch {} cannot be", who.accepted));
                }
                self.observers.introduce(conn, &who, fx);
                self.observers.send_leader_info(conn, self.epoch, fx);
                if let Some(observer) = self.observers.get_mut(&conn) {
                    observer.deadline = Some(now + core.settings.init_time());
                }
                Ok(())
            }
            (Stage::AwaitEpochAck, PacketType::AckEpoch) => {
                let (last, epoch) = (packet.zxid, i64::from(self.epoch));
                if last < Zxid::UNKNOWN
                    || epoch <= last.epoch() && core.commit < last && 0 < last.counter()
                {
                    return Err(format!("{last} is not known to be committed here"));
                }
                observer.last = last;
                let terms = self.terms(core);
                self.observers.synchronize(now, core, &terms, conn, fx);
                Ok(())
            }
            (Stage::AwaitLeaderAck, PacketType::Ack) => {
                if packet.zxid != Zxid::new(self.epoch, 0) {
                    return Err(format!(
                        "ACK {} for NEWLEADER of epoch {}",
                        packet.zxid, self.epoch
                    ));
                }
                observer.stage = Stage::AwaitStart;
                self.observers.start_ready(now, core, fx);
                Ok(())
            }
            // The one that follows UPTODATE.
            (Stage::Serving, PacketType::Ack) => Ok(()),
            (Stage::Serving, _) => self.observers.on_service_packet(conn, packet, fx),
            (stage, kind) => Err(format!("{kind:?} while {stage:?}")),
        }
    }

    /// The leader has committed the next txn.
    pub(super) fn inform(&mut self, record: &TxnRecord, fx: &mut Effects) {
        self.observers.send_forwarding(|| proposal(PacketType::Inform, record), fx);
    }

    /// The leader has committed a reconfig, and named who leads from now on.
    pub(super) fn inform_and_activate(
        &mut self,
        record: &TxnRecord,
        leader: Sid,
        fx: &mut Effects,
    ) {
        self.observers.send_forwarding(|| inform_and_activate(record, leader), fx);
    }

    /// A sync was sent to the leader, for an observer or (`None`) for this server.
    pub(super) fn await_sync(&mut self, for_whom: Option<Conn>) {
        self.syncs.push_back(for_whom);
    }

    /// The leader's answer to the oldest sync. True if it was an observer's.
    pub(super) fn on_sync(&mut self, fx: &mut Effects) -> bool {
        let Some(Some(conn)) = self.syncs.pop_front() else { return false };
        self.observers.send_sync(conn, fx);
        true
    }

    /// The same for a session that the leader was asked about.
    pub(super) fn await_revalidation(&mut self, session: SessionId, for_whom: Option<Conn>) {
        self.revalidations.push_back((session, for_whom));
    }

    /// The leader's answer about a session. True if an observer had asked.
    pub(super) fn on_revalidation(
        &mut self,
        session: SessionId,
        is_valid: bool,
        fx: &mut Effects,
    ) -> bool {
        let at = self.revalidations.iter().position(|(asked, _)| *asked == session);
        let Some((_, Some(conn))) = at.and_then(|at| self.revalidations.remove(at)) else {
            return false;
        };
        self.observers.answer_revalidate(conn, session, is_valid, fx);
        true
    }
}

/// The session and the answer in a leader's REVALIDATE.
pub(super) fn revalidation(data: Option<&[u8]>) -> Option<(SessionId, bool)> {
    let mut r = Reader::new(data.unwrap_or_default());
    Some((SessionId(r.i64().ok()?), r.bool().ok()?))
}
