//! Who is still there (`quorum-protocol.md` 3.9).
//!
//! Every half tick each synchronised learner is pinged; every tick the learners heard of within
//! `syncLimit` must still be a quorum. A learner that leaves a proposal unacknowledged for `syncLimit`
//! is closed. A leader whose own disk falls too far behind steps down.

use std::collections::BTreeSet;

use rookeeper_proto::Sid;

use super::handle::LearnerHandle;
use super::{Leader, Phase, Stage};
use crate::core::Core;
use crate::effects::Effects;
use crate::ensemble::EnsembleConfig;
use crate::leave::{Leave, Step};
use crate::limits;
use crate::quorum::oracle::{self, Oracle};
use crate::time::Instant;

impl Leader {
    /// When [`Self::on_time`] is wanted.
    pub(crate) fn next_deadline(&self) -> Instant {
        let deadlines = self.learners.next_deadline().into_iter();
        deadlines.chain(self.deadline).fold(self.next_ping, Instant::min)
    }

    pub(crate) fn on_time(&mut self, now: Instant, core: &mut Core, fx: &mut Effects) -> Step {
        if self.deadline.is_some_and(|at| at <= now) {
            return Err(Leave::new(format!(
                "no quorum of followers within initLimit ({:?})",
                self.phase
            )));
        }
        self.learners.drop_silent(now, fx);
        core.history.set_awaited(self.learners.is_anyone_behind());
        if self.next_ping <= now {
            // After a standstill (SIGSTOP) nobody may have waited: that is looked at before anything else.
            let was_away = self.next_ping + core.settings.tick <= now;
            self.next_ping = now + core.settings.tick / 2;
            self.is_full_tick = !self.is_full_tick;
            self.drop_unacknowledging(now, core, fx);
            self.learners.ping(self.proposed, fx);
            if self.is_full_tick || was_away {
                self.check_quorum(core)?;
            }
            self.check_own_disk(now, core)?;
        }
        Ok(())
    }

    /// A voter looks for a leader in a later round than the one that elected this server. Before the
    /// epoch is accepted it will not come back by itself; without a possible quorum, waiting for
    /// `initLimit` helps nobody. (Java has this as an option, off by default: "disloyal voters".)
    pub(crate) fn on_deserted(&mut self, by: Sid) -> Step {
        if Phase::WritingEpoch <= self.phase {
            return Ok(());
        }
        self.deserters.insert(by);
        let mut left = self.joint.voters();
        left.retain(|sid| !self.deserters.contains(sid));
        if self.joint.is_quorum(&left) {
            return Ok(());
        }
        Err(Leave::new("too many voters look for another leader"))
    }

    fn drop_unacknowledging(&mut self, now: Instant, core: &Core, fx: &mut Effects) {
        let limit = core.settings.sync_time();
        let is_late = |l: &LearnerHandle| l.awaited.is_some_and(|(_, since)| since + limit <= now);
        self.learners.drop_those(is_late, "it does not acknowledge a proposal", fx);
    }

    /// Followers in step, with this server.
    pub(crate) fn synced(&self, me: Sid) -> BTreeSet<Sid> {
        let serving =
            self.learners.values().filter(|l| l.stage == Stage::Serving && !l.is_observer);
        serving.map(|l| l.sid).chain([me]).collect()
    }

    /// The oracle is only asked while nobody follows: as long as somebody does, both must have what is
    /// committed, or what only this server had would be lost when the oracle favours the other.
    pub(super) fn oracle(&self, core: &Core) -> Oracle {
        let is_followed = self.learners.values().any(|l| l.is_forwarding() && !l.is_observer);
        if is_followed { Oracle::Absent } else { core.oracle }
    }

    fn check_quorum(&self, core: &Core) -> Step {
        let is_lost = self.phase == Phase::Broadcasting
            && !oracle::is_quorum(&self.joint, &self.synced(core.sid()), self.oracle(core));
        if is_lost { Err(Leave::new("not enough followers are in step")) } else { Ok(()) }
    }

    fn check_own_disk(&self, now: Instant, core: &Core) -> Step {
        let limit = limits::RUN_AHEAD.max(core.settings.sync_time());
        match core.store.unsynced_since() {
            Some(since) if since + limit <= now => {
                Err(Leave::new("the own log is too far behind the ensemble"))
            }
            _ => Ok(()),
        }
    }

    /// Whether the followers in step are a quorum of `config`: what a reconfig must ask first.
    pub(crate) fn has_synced_quorum(&self, core: &Core, config: &EnsembleConfig) -> bool {
        let mut set = self.synced(core.sid());
        set.retain(|sid| config.is_voter(*sid));
        config.verifier().is_quorum(&set)
    }
}
