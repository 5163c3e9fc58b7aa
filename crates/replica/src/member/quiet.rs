//! When connections are kept through an election, and what becomes of them (`quietElections`, see
//! [`crate::frontend`]'s module of this name).

use super::{IoEffect, Member};
use crate::clock::Now;
use crate::frontend::quiet::LostLeader;
use crate::outbox::Outbox;
use crate::replica::Role;

impl Member {
    /// Lets clients go, but those who may be kept. A leader that steps down keeps none: it does not know how
    /// long the others have been without it; nor does an observer that learns from followers: what it heard
    /// last says little of when a follower last heard of the leader, or told it of the sessions.
    pub(super) fn stop_serving(&mut self, now: Now, outbox: &mut impl Outbox) {
        let sync_time_us = self.peer.sync_time().as_micros();
        let lost = LostLeader {
            epoch: self.serving_epoch,
            heard_ms: self.leader_heard_ms,
            patience_ms: u64::try_from(sync_time_us / 1000).unwrap_or(u64::MAX),
        };
        let is_direct = self.replica.role() != Role::Observing || !self.peer.has_observer_masters();
        let lost = (self.replica.role().is_learner() && is_direct).then_some(lost);
        self.replica.stop_serving(now, lost, outbox);
        let kept = self.replica.kept_connections();
        self.replica.stats.quorum.connections_kept += kept as u64;
        self.note_count("are kept while there is no leader", kept);
    }

    /// Serves in this role, those who were kept first of all.
    pub(super) fn serve(
        &mut self,
        now: Now,
        role: Role,
        epoch: u32,
        is_state_replaced: bool,
        outbox: &mut impl Outbox,
    ) {
        self.serving_epoch = epoch;
        self.leader_heard_ms = now.mono_ms();
        let kept = self.replica.take_kept(epoch, is_state_replaced);
        self.replica.start_serving(now, role, epoch);
        // A reconfig may come within this turn.
        self.tell_membership();
        let served = self.replica.serve_kept(now, kept, outbox);
        self.replica.stats.quorum.connections_outlived += served as u64;
        self.note_count("have outlived the election", served);
        // What they held is on its way in this turn: nothing else may begin another.
        self.propose_all(now);
        self.forward_all(now);
    }

    fn note_count(&mut self, what: &str, count: usize) {
        if 0 < count {
            let text = format!("{count} client connections {what}");
            self.io.push(IoEffect::Note { is_warning: false, text });
        }
    }
}
