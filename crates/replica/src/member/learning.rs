//! What a learner does beyond a standalone server: it sends writes to the leader and tells it which
//! sessions it heard of.

use bytes::Bytes;
use rookeeper_proto::quorum::ForwardedBody;
use rookeeper_proto::{SessionId, Zxid};

use super::{Member, at};
use crate::clock::Now;
use crate::frontend::quiet::LostLeader;
use crate::outbox::Outbox;
use crate::replica::{Forward, Replica, Role};

/// How often the peer is given the sessions heard of. It passes them on with the next PING, which
/// comes every half tick, so this is well below what a session's time-out is counted in.
const TOUCH_INTERVAL_MS: u64 = 100;

impl Member {
    pub(super) fn forward_all(&mut self, now: Now) {
        for forward in std::mem::take(&mut self.replica.forwards) {
            let sent = match forward {
                Forward::Request { session, cxid, op, body, ids } => {
                    let op = op.as_i32();
                    let request = ForwardedBody { session, cxid, op, body: &body };
                    self.peer.forward_request(&request, ids.as_slice(), &mut self.fx)
                }
                Forward::Revalidate { session, timeout_ms } => {
                    self.peer.revalidate(session, timeout_ms, &mut self.fx)
                }
            };
            if sent.is_err() && self.peer.serving_under().is_some() {
                // The leader does not read. Whoever waits for this would wait for ever, and answers
                // to syncs would meet the wrong ones.
                self.peer.step_down(at(now), "the leader takes no more requests", &mut self.fx);
            }
        }
    }

    pub(super) fn tell_touches(&mut self, now: Now) {
        if !self.replica.role().is_learner() || now.mono_ms() < self.next_touches_ms {
            return;
        }
        self.next_touches_ms = now.mono_ms() + TOUCH_INTERVAL_MS;
        for (session, timeout_ms) in self.replica.sessions.take_touched() {
            self.peer.touch(session, timeout_ms);
        }
    }
}

impl Replica {
    /// A record for the log, and on a learner for later application.
    pub(crate) fn append(&mut self, zxid: Zxid, record: Bytes) {
        if self.role != Role::Leading && self.snapshotter.on_append(record.len()) {
            self.ordering.roll();
        }
        self.ordering.append(zxid, record);
    }

    /// Serves clients from now on. Those who were kept come back with [`Replica::serve_kept`].
    pub(crate) fn start_serving(&mut self, now: Now, role: Role, epoch: u32) {
        self.role = role;
        self.stats.proposal_sizes = Default::default();
        if role == Role::Leading {
            // The state that `srvr` and snapshots name; (epoch, 0) is never a txn.
            self.tree.set_last_zxid(Zxid::new(epoch, 0));
        }
        self.prep.restart(self.tree.last_zxid(), self.tree.digest());
        self.sessions.clear();
        let sessions: Vec<(SessionId, i32)> =
            self.tree.sessions().iter().map(|(&id, &timeout_ms)| (id, timeout_ms)).collect();
        let is_known = role != Role::Leading || !planted!(SessionsForgotten);
        for (id, timeout_ms) in sessions.into_iter().filter(|_| is_known) {
            self.sessions.track(now.mono_ms(), id, timeout_ms);
        }
        if role == Role::Leading {
            self.close_orphaned_sessions(now);
        }
    }

    /// Takes no more requests until there is a leader again. Clients are let go, as Apache does: they come
    /// back, here or elsewhere, with their sessions. After a leader that was `lost`, some may be kept.
    pub(crate) fn stop_serving(
        &mut self,
        now: Now,
        lost: Option<LostLeader>,
        outbox: &mut impl Outbox,
    ) {
        self.role = Role::Looking;
        self.ordering.forget_origins();
        self.forwards.clear();
        self.syncs.clear();
        self.paused.clear();
        self.keep_connections(now, lost, outbox);
    }

    /// Another state took the place of this one.
    pub(crate) fn replace_tree(&mut self, tree: rookeeper_tree::DataTree) {
        self.break_quiet();
        self.tree = tree;
    }

    /// The text of `/zookeeper/config`.
    pub(crate) fn set_config(&mut self, now: Now, text: &str, version: i64) {
        self.tree.set_config(text.as_bytes(), -1, Zxid(version), now.wall_ms);
    }
}
