//! The quorum port: hands what happens on a connection to the role that owns it.

use rookeeper_proto::Zxid;

use super::{Peer, Role};
use crate::effects::{Conn, Effect, Effects};
use crate::leave::Leave;
use crate::time::Instant;

impl Peer {
    /// The dial asked for by `ConnectLeader` succeeded.
    pub fn on_leader_connected(&mut self, now: Instant, conn: Conn, fx: &mut Effects) {
        let outcome = match &mut self.role {
            Role::Learning(learner) => learner.on_connected(now, &self.core, conn, fx),
            _ => {
                fx.push(Effect::CloseQuorum { conn });
                Ok(())
            }
        };
        self.finish(now, outcome, fx);
    }

    /// The dial asked for by `ConnectLeader` failed.
    pub fn on_leader_connect_failed(&mut self, now: Instant, fx: &mut Effects) {
        let outcome = match &mut self.role {
            Role::Learning(learner) => {
                let is_alive = self.messenger.is_reachable(learner.leader());
                learner.on_connect_failed(now, is_alive)
            }
            _ => Ok(()),
        };
        self.finish(now, outcome, fx);
    }

    /// Somebody connected to the quorum port of a leader, or to the port on which a follower serves
    /// observers.
    pub fn on_learner_accepted(&mut self, now: Instant, conn: Conn, fx: &mut Effects) {
        match self.role.learners(&self.core) {
            Some((learners, _)) => learners.accept(now, &self.core, conn, fx),
            None => fx.push(Effect::CloseQuorum { conn }),
        }
    }

    /// Bytes arrived on a quorum connection, from the leader or from a learner.
    pub fn on_quorum_bytes(&mut self, now: Instant, conn: Conn, bytes: &[u8], fx: &mut Effects) {
        let outcome = match &mut self.role {
            Role::Learning(learner) if learner.owns(conn) => {
                learner.on_bytes(now, &mut self.core, bytes, fx)
            }
            Role::Learning(learner) => {
                learner.on_observer_bytes(now, &mut self.core, conn, bytes, fx);
                Ok(())
            }
            Role::Leading(leader) => leader.on_bytes(now, &mut self.core, conn, bytes, fx),
            _ => Ok(()),
        };
        self.finish(now, outcome, fx);
    }

    /// Everything handed out for a quorum connection has left.
    pub fn on_quorum_drained(&mut self, now: Instant, conn: Conn, fx: &mut Effects) {
        match &mut self.role {
            Role::Learning(learner) if learner.owns(conn) => learner.on_drained(),
            role => {
                if let Some((learners, terms)) = role.learners(&self.core) {
                    learners.on_drained(now, &mut self.core, &terms, conn, fx);
                }
            }
        }
    }

    /// A quorum connection is gone.
    pub fn on_quorum_closed(&mut self, now: Instant, conn: Conn, fx: &mut Effects) {
        let outcome = match &mut self.role {
            Role::Learning(learner) if learner.owns(conn) => {
                learner.on_closed(now, self.messenger.is_reachable(learner.leader()))
            }
            role => {
                if let Some((learners, _)) = role.learners(&self.core) {
                    learners.on_closed(conn, fx);
                }
                Ok(())
            }
        };
        self.finish(now, outcome, fx);
    }

    /// The body announced by `ReceiveSnapshot` is complete; `rest` was handed in behind it.
    pub fn on_snapshot_received(&mut self, now: Instant, rest: &[u8], fx: &mut Effects) {
        let outcome = match &mut self.role {
            Role::Learning(learner) => learner.on_snapshot_received(now, &mut self.core, rest, fx),
            _ => Ok(()),
        };
        self.finish(now, outcome, fx);
    }

    /// The body announced by `ReceiveSnapshot` cannot be decoded.
    pub fn on_snapshot_refused(&mut self, now: Instant, reason: &str, fx: &mut Effects) {
        let outcome = match &self.role {
            Role::Learning(_) => Err(Leave::new(format!("the leader's snapshot: {reason}"))),
            _ => Ok(()),
        };
        self.finish(now, outcome, fx);
    }

    /// `TakeSnapshot` is done: the captured state is exactly that of `zxid`.
    pub fn on_snapshot_taken(&mut self, now: Instant, conn: Conn, zxid: Zxid, fx: &mut Effects) {
        if let Some((learners, terms)) = self.role.learners(&self.core) {
            learners.on_snapshot_taken(now, &self.core, &terms, conn, zxid, fx);
        }
    }

    /// `StreamSnapshot` is done: the whole body has been handed to the connection.
    pub fn on_snapshot_sent(&mut self, now: Instant, conn: Conn, fx: &mut Effects) {
        if let Some((learners, terms)) = self.role.learners(&self.core) {
            learners.on_snapshot_sent(now, &mut self.core, &terms, conn, fx);
        }
    }
}
