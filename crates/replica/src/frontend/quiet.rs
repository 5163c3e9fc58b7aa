//! Quiet elections (`quietElections`): when a learner loses its leader, the connections of its clients that
//! wait for nothing stay, so that an election goes by without anybody noticing but those who write.
//!
//! Without a leader such a connection is answered pings, and reads of the state that was committed here. A
//! write or a sync waits, and behind it everything of its session but pings; none of it has been sent to a
//! leader, so it may be sent to the next one. What was on its way to the old leader is undecided: those
//! connections are closed, as Apache closes all.
//!
//! **Guarantees.** No client is answered for longer than Apache's server may go on after its leader's last word
//! (`syncLimit` ticks), nor beyond the moment at which a leader may have expired its session. Nothing that is
//! answered was not committed, and no event is lost: whoever's state is cut back or replaced by a snapshot lets
//! its clients go. A session that is not in the table of the state it serves next is let go as well.
//!
//! Kept sessions are deliberately not revalidated with the new leader. That would make this server speak for
//! them again, also for one whose client has moved on meanwhile, and what had waited here could be executed
//! behind what it sent there. A new leader knows of nobody who speaks for a session, so writes from here are
//! taken unless somebody else was asked for first, and refused as moved otherwise. Under the *same* leader
//! (only the link broke) nobody is kept: it would take every write for one of a session that moved. Nor is one
//! kept whose session wrote something in the old epoch that did not come by way of this connection: its client
//! had moved on before the leader was lost.
//!
//! When it begins and ends is told in [`crate::member`].

use rookeeper_proto::{OpCode, SessionId};

use crate::clock::Now;
use crate::conns::{Conn, Pending, Stage};
use crate::frontend::Flow;
use crate::outbox::{ConnId, Outbox};
use crate::replica::{Replica, Role};
use crate::sessions::Owner;

/// What a learner knows of the leader it has just lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LostLeader {
    /// In whose epoch it served.
    pub(crate) epoch: u32,
    /// When its last packet arrived, monotonic.
    pub(crate) heard_ms: u64,
    /// `syncLimit` ticks.
    pub(crate) patience_ms: u64,
}

/// Connections that were kept.
#[derive(Debug)]
pub(crate) struct Quiet {
    epoch: u32,
    /// The state was cut back or replaced.
    is_broken: bool,
    /// Who is kept until when, the latest first.
    until: Vec<(u64, ConnId)>,
}

impl Replica {
    /// Keeps the connections that wait for nothing, and closes the others; all of them without `lost`.
    pub(crate) fn keep_connections(
        &mut self,
        now: Now,
        lost: Option<LostLeader>,
        outbox: &mut impl Outbox,
    ) {
        let mut quiet = lost
            .filter(|_| self.config.quiet_elections)
            .map(|lost| (lost, Quiet { epoch: lost.epoch, is_broken: false, until: Vec::new() }));
        let all: Vec<ConnId> = self.conns.iter().map(|conn| conn.id).collect();
        for id in all {
            let until_ms = quiet.as_ref().and_then(|(lost, _)| self.kept_until_ms(id, lost));
            match (&mut quiet, until_ms.filter(|&until_ms| now.mono_ms() < until_ms)) {
                (Some((_, quiet)), Some(until_ms)) => quiet.until.push((until_ms, id)),
                _ => self.close_conn(id, outbox),
            }
        }
        self.quiet = quiet.map(|(_, quiet)| quiet).filter(|quiet| !quiet.until.is_empty());
        if let Some(quiet) = &mut self.quiet {
            quiet.until.sort_unstable_by(|a, b| b.cmp(a));
            for conn in self.conns.iter_mut().filter(|conn| conn.is_paused) {
                // It ran ahead of writes of others.
                conn.is_paused = false;
                outbox.resume(conn.id);
            }
        }
    }

    /// Until when the client may be answered without a leader, if at all.
    fn kept_until_ms(&self, id: ConnId, lost: &LostLeader) -> Option<u64> {
        let is_idle = |conn: &&Conn| conn.stage == Stage::Established && conn.pending.is_empty();
        let conn = self.conns.at(id).filter(is_idle).filter(|conn| !conn.is_overtaken)?;
        let session = self.sessions.at(conn.slot?)?;
        if session.is_local || session.is_closing {
            return None;
        }
        let tick_ms = self.config.tick_time_ms;
        let timeout_ms = u64::try_from(session.timeout_ms).ok()?;
        // Its bucket ends within a tick of its last touch and the time-out. What was heard of it within the
        // last half tick may not have been passed on, which happens with the answers to the leader's pings.
        let touched_ms = session.expire_at_ms.saturating_sub(timeout_ms + tick_ms);
        let told_ms = touched_ms.min(lost.heard_ms.saturating_sub(tick_ms / 2));
        let alive_until_ms = (told_ms + timeout_ms).saturating_sub(tick_ms);
        Some(alive_until_ms.min(lost.heard_ms + lost.patience_ms))
    }

    /// How many connections are kept.
    pub(crate) fn kept_connections(&self) -> usize {
        self.quiet.as_ref().map_or(0, |quiet| quiet.until.len())
    }

    /// What those who are kept have seen is no longer the past of what they would see.
    pub(crate) fn break_quiet(&mut self) {
        if let Some(quiet) = &mut self.quiet {
            quiet.is_broken = true;
        }
    }

    /// Lets go whom time or a broken state says so.
    pub(crate) fn let_go_overdue(&mut self, now: Now, outbox: &mut impl Outbox) {
        while let Some(quiet) = &mut self.quiet {
            let is_due = |&mut (until_ms, _): &mut (u64, ConnId)| {
                quiet.is_broken || until_ms <= now.mono_ms()
            };
            match quiet.until.pop_if(is_due) {
                Some((_, id)) => self.let_go(id, outbox),
                None if quiet.until.is_empty() => self.quiet = None,
                None => return,
            }
        }
    }

    /// A txn of this session was committed, for which `waiting` has waited here. Nothing that a kept connection
    /// sent was undecided when the leader was lost: if there is one, it was written elsewhere. Later on that is
    /// only noted: it may also have been sent by an older connection to this very server.
    pub(crate) fn let_go_moved(
        &mut self,
        session: SessionId,
        waiting: Option<ConnId>,
        outbox: &mut impl Outbox,
    ) {
        let Some(id) = self.sessions.session(session).and_then(|session| session.conn) else {
            return;
        };
        if self.quiet.is_some() {
            self.let_go(id, outbox);
        } else if let Some(conn) = self.conns.at_mut(id) {
            conn.is_overtaken = waiting != Some(id);
        }
    }

    /// Lets everybody go.
    pub(crate) fn end_quiet(&mut self, now: Now, outbox: &mut impl Outbox) {
        self.break_quiet();
        self.let_go_overdue(now, outbox);
    }

    fn let_go(&mut self, id: ConnId, outbox: &mut impl Outbox) {
        if self.conns.at(id).is_some() {
            self.drop_conn(id, "this server has no leader now", outbox);
        }
    }

    /// When the next one is to be let go.
    pub(crate) fn quiet_deadline_ms(&self) -> Option<u64> {
        let quiet = self.quiet.as_ref()?;
        quiet.until.last().map(|&(until_ms, _)| if quiet.is_broken { 0 } else { until_ms })
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.role == Role::Looking
    }

    /// A request of a connection that is kept.
    pub(super) fn on_quiet_request(
        &mut self,
        now: Now,
        id: ConnId,
        op: OpCode,
        frame: &[u8],
        outbox: &mut impl Outbox,
    ) -> Flow {
        // Time is told between turns; a frame of this one may be too late all the same.
        self.let_go_overdue(now, outbox);
        let Some(conn) = self.conns.at_mut(id) else { return Flow::Stop };
        let ids = conn.ids.clone();
        let waits = !conn.pending.is_empty() || op.is_write() || op == OpCode::Sync;
        if op == OpCode::Ping || !waits {
            self.answer(now, id, frame, &ids, now.mono_us, outbox);
            return Flow::Continue;
        }
        conn.pending.push_back(Pending::Held {
            frame: frame.into(),
            ids,
            received_us: now.mono_us,
        });
        self.flow(id, outbox)
    }

    /// Takes leave of the old sessions; to be called before they are tracked anew.
    pub(crate) fn take_kept(&mut self, epoch: u32, is_state_replaced: bool) -> Vec<Kept> {
        let Some(quiet) = self.quiet.take() else { return Vec::new() };
        let may_stay = !quiet.is_broken && !is_state_replaced && quiet.epoch != epoch;
        let kept = quiet.until.into_iter().filter_map(|(_, id)| self.conns.at(id));
        kept.map(|conn| Kept {
            conn: conn.id,
            session: conn.session,
            timeout_ms: conn.timeout_ms,
            may_stay,
        })
        .collect()
    }

    /// There is a leader: kept connections speak for their sessions again, and what they held is served.
    /// Returns how many went on.
    pub(crate) fn serve_kept(
        &mut self,
        now: Now,
        all: Vec<Kept>,
        outbox: &mut impl Outbox,
    ) -> usize {
        let mut served = 0;
        for kept in all {
            let may_stay = kept.may_stay && self.serves_clients();
            let slot = self.sessions.find(kept.session).filter(|_| may_stay);
            let Some(slot) = slot else {
                self.let_go(kept.conn, outbox);
                continue;
            };
            self.bind(kept.conn, kept.session, slot);
            if let Some(session) = self.sessions.at_mut(slot) {
                // It was not asked for: whoever sends something first is believed ([`Replica::claim`]).
                session.owner = Owner::Nobody;
            }
            // The next leader knows the time-out of the session's creation; the client may have come back with
            // another since, as which it is alive still.
            self.sessions.touch_with(now.mono_ms(), slot, kept.timeout_ms);
            self.serve_held(now, kept.conn, outbox);
            served += 1;
        }
        served
    }

    /// Everything again that a connection held, in order and with the identities of its time.
    fn serve_held(&mut self, now: Now, id: ConnId, outbox: &mut impl Outbox) {
        let Some(conn) = self.conns.at_mut(id) else { return };
        let latest = conn.ids.clone();
        for held in std::mem::take(&mut conn.pending) {
            let Pending::Held { frame, ids, .. } = held else {
                unreachable!("nothing was sent to a leader")
            };
            let is_open = |conn: &&mut Conn| conn.stage == Stage::Established;
            let Some(conn) = self.conns.at_mut(id).filter(is_open) else { return };
            conn.ids = ids;
            self.on_request(now, id, &frame, outbox);
        }
        if let Some(conn) = self.conns.at_mut(id) {
            conn.ids = latest;
            if conn.is_paused {
                self.resume_paused(outbox);
            }
        }
    }
}

/// A connection that was kept, when there is a leader again.
#[derive(Debug)]
pub(crate) struct Kept {
    conn: ConnId,
    session: SessionId,
    timeout_ms: i32,
    may_stay: bool,
}
