//! Read-only mode (`client-protocol.md` 2.9): a member that has had no leader for a while serves what it
//! has to clients that said they would take it. Sessions are local, or borrowed: nothing here is a txn.
//!
//! When it begins and ends is decided in [`crate::member`].
//!
//! Java: ReadOnlyZooKeeperServer, ReadOnlyRequestProcessor.

use rookeeper_proto::{ErrorCode, OpCode, SessionId, Xid};

use crate::clock::Now;
use crate::frontend::Flow;
use crate::outbox::{ConnId, Outbox};
use crate::replica::{Replica, Role};

impl Replica {
    /// Serves readers from now on, until [`Replica::stop_serving`].
    pub(crate) fn start_read_only(&mut self) {
        self.role = Role::ReadOnly;
        self.sessions.clear();
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.role == Role::ReadOnly
    }

    /// A session that would have to be replicated cannot be made. Java says so with the header of a
    /// reply in the place of a ConnectResponse, and lets the connection time out.
    pub(super) fn refuse_global_session(&mut self, id: ConnId, outbox: &mut impl Outbox) -> Flow {
        outbox.pause(id);
        self.answer_not_read_only(id, Xid(0), outbox);
        Flow::Stop
    }

    /// Takes up a session unless it is a global one, which only a server with a leader can vouch for.
    /// Without local sessions Java believes every other one, if the password is right.
    pub(super) fn reopen_in_read_only(
        &mut self,
        now: Now,
        id: ConnId,
        session: SessionId,
        timeout_ms: i32,
        outbox: &mut impl Outbox,
    ) -> Flow {
        let slot = match self.sessions.find(session) {
            None if !self.has_local_sessions() => {
                Some(self.sessions.track(now.mono_ms(), session, timeout_ms))
            }
            known => {
                known.filter(|&slot| self.sessions.touch_with(now.mono_ms(), slot, timeout_ms))
            }
        };
        let Some(slot) = slot else { return self.answer_invalid_session(id, outbox) };
        self.bind(id, session, slot);
        self.establish(id, outbox);
        Flow::Continue
    }

    /// Whether the request is none for a read-only server; local sessions may be closed.
    pub(super) fn is_refused_in_read_only(&self, op: OpCode, session: SessionId) -> bool {
        match op {
            OpCode::CloseSession => !self.sessions.is_local(session),
            op => op.is_write() || op == OpCode::Sync,
        }
    }

    pub(super) fn answer_not_read_only(&mut self, id: ConnId, xid: Xid, outbox: &mut impl Outbox) {
        self.answer_unheard(id, xid, self.tree.last_zxid(), ErrorCode::NotReadOnly, outbox);
    }
}
