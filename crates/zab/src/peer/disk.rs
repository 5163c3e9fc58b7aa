//! The disk: reports that an effect on it is done, each answered by the role that waits for it.

use rookeeper_proto::Zxid;

use super::{Peer, Role};
use crate::effects::{Conn, Effect, Effects};
use crate::history::History;
use crate::leader::HistoryAnswer;
use crate::time::Instant;

impl Peer {
    /// `WriteAcceptedEpoch` is done.
    pub fn on_accepted_epoch_written(&mut self, now: Instant, epoch: u32, fx: &mut Effects) {
        self.core.store.on_accepted_written(epoch);
        self.on_store(now, fx);
    }

    /// `WriteCurrentEpoch` is done.
    pub fn on_current_epoch_written(&mut self, now: Instant, epoch: u32, fx: &mut Effects) {
        self.core.store.on_current_written(epoch);
        self.on_store(now, fx);
    }

    /// Everything appended through `zxid` is durable.
    pub fn on_durable(&mut self, now: Instant, zxid: Zxid, fx: &mut Effects) {
        self.core.store.on_durable(zxid);
        self.on_store(now, fx);
    }

    fn on_store(&mut self, now: Instant, fx: &mut Effects) {
        let outcome = match &mut self.role {
            Role::Learning(learner) => learner.on_store(now, &mut self.core, fx),
            Role::Leading(leader) => leader.on_store(now, &mut self.core, fx),
            _ => Ok(()),
        };
        self.finish(now, outcome, fx);
    }

    /// `TruncateLog` is done, or (`false`) its target does not exist and nothing was changed.
    pub fn on_truncated(&mut self, now: Instant, is_done: bool, fx: &mut Effects) {
        self.core.store.on_replaced(is_done);
        if is_done {
            self.core.history.truncate(self.core.store.durable());
            self.core.is_state_replaced = true;
            // The driver has reloaded its tree and must hear again what is known to be committed.
            if Zxid::ZERO < self.core.commit {
                fx.push(Effect::CommitUpTo { zxid: self.core.commit });
            }
        }
        let outcome = match &mut self.role {
            Role::Learning(learner) => learner.on_truncated(now, &mut self.core, is_done, fx),
            _ => Ok(()),
        };
        self.finish(now, outcome, fx);
    }

    /// `InstallSnapshot` is done.
    pub fn on_snapshot_installed(&mut self, now: Instant, fx: &mut Effects) {
        self.core.store.on_replaced(true);
        self.core.history = History::new(self.core.store.durable(), Vec::new());
        self.core.is_state_replaced = true;
        let outcome = match &mut self.role {
            Role::Learning(learner) => learner.on_installed(now, &mut self.core, fx),
            _ => Ok(()),
        };
        self.finish(now, outcome, fx);
    }

    /// `InstallSnapshot` cannot be done, and nothing was changed.
    pub fn on_snapshot_not_installed(&mut self, now: Instant, reason: &str, fx: &mut Effects) {
        self.core.store.on_replaced(false);
        self.on_snapshot_refused(now, reason, fx);
    }

    /// `Quarantine` is done.
    pub fn on_quarantined(&mut self, now: Instant, fx: &mut Effects) {
        self.core.store.on_replaced(true);
        self.core.history = History::new(Zxid::ZERO, Vec::new());
        self.core.commit = Zxid::ZERO;
        self.core.is_state_replaced = true;
        self.after(now, fx);
    }

    /// Answer to `ReadHistory`.
    pub fn on_history(
        &mut self,
        now: Instant,
        conn: Conn,
        answer: HistoryAnswer,
        fx: &mut Effects,
    ) {
        if let Some((learners, terms)) = self.role.learners(&self.core) {
            learners.on_history(now, &mut self.core, &terms, conn, answer, fx);
        }
    }
}
