//! When a member serves readers without a leader (`readonlymode.enabled`, `client-protocol.md` 2.9): from
//! a while after it began to look for one until it has found one; each further election begins anew.
//!
//! Java: QuorumPeer.run, where a thread of its own waits.

use rookeeper_proto::quorum::ServerState;

use super::{IoEffect, Member};
use crate::clock::Now;
use crate::outbox::Outbox;
use crate::replica::Role;

impl Member {
    /// Begins to serve readers if it is time.
    pub(super) fn try_read_only(&mut self, now: Now, outbox: &mut impl Outbox) {
        if self.peer.state() != ServerState::Looking {
            self.looking_since_ms = None;
            return;
        }
        self.looking_since_ms.get_or_insert(now.mono_ms());
        if self.read_only_due_ms().is_some_and(|due_ms| due_ms <= now.mono_ms()) {
            self.replica.end_quiet(now, outbox);
            self.replica.start_read_only();
            self.note(
                "no leader for a while: serving clients that only read (readonlymode.enabled)",
            );
        }
    }

    /// Lets the readers go if there is a leader, before anything of the leader's is applied.
    pub(super) fn leave_read_only(&mut self, now: Now, outbox: &mut impl Outbox) {
        if self.replica.role() == Role::ReadOnly && self.peer.state() != ServerState::Looking {
            self.replica.stop_serving(now, None, outbox);
            self.note("a leader is found: no longer serving clients that only read");
        }
    }

    fn note(&mut self, text: &str) {
        self.io.push(IoEffect::Note { is_warning: true, text: text.to_owned() });
    }

    /// When it begins, unless a leader is found before.
    pub(super) fn read_only_due_ms(&self) -> Option<u64> {
        let after_ms = self.replica.config().read_only_after_ms?;
        let since_ms = self.looking_since_ms.filter(|_| self.replica.role() == Role::Looking)?;
        Some(since_ms + after_ms)
    }
}
