//! Service: what the replica asks of the protocol while this server leads or follows.

use rookeeper_proto::quorum::ForwardedBody;
use rookeeper_proto::{Id, SessionId, Zxid};

use super::{Peer, Role};
use crate::effects::{Conn, Effects};
use crate::ensemble::EnsembleConfig;
use crate::leader::ProposeError;
use crate::learner::NotServing;
use crate::leave::Leave;
use crate::record::TxnRecord;
use crate::time::Instant;

impl Peer {
    /// The zxid that the next proposal must have.
    ///
    /// # Errors
    /// When this server does not lead or a limit is reached.
    pub fn next_zxid(&self) -> Result<Zxid, ProposeError> {
        match &self.role {
            Role::Leading(leader) => leader.next_zxid(&self.core),
            _ => Err(ProposeError::NotLeading),
        }
    }

    /// Proposes a txn: it goes to the own log and to all followers, and is committed by a quorum.
    ///
    /// # Errors
    /// Those of [`Self::next_zxid`], and when the zxid is another one.
    pub fn propose(
        &mut self,
        now: Instant,
        record: TxnRecord,
        fx: &mut Effects,
    ) -> Result<(), ProposeError> {
        match &mut self.role {
            Role::Leading(leader) => leader.propose(now, &mut self.core, record, fx),
            _ => Err(ProposeError::NotLeading),
        }
    }

    /// Whether enough followers of `config` are in step for it to be proposed.
    pub fn has_synced_quorum(&self, config: &EnsembleConfig) -> bool {
        match &self.role {
            Role::Leading(leader) => leader.has_synced_quorum(&self.core, config),
            _ => false,
        }
    }

    /// Leader: a forwarded `sync` has come to its turn; the answer follows the commit of everything
    /// proposed before.
    pub fn sync_for(&mut self, conn: Conn, fx: &mut Effects) {
        if let Role::Leading(leader) = &mut self.role {
            leader.sync_for(conn, fx);
        }
    }

    /// Leader: answer to `RevalidateRequest`.
    pub fn answer_revalidate(
        &mut self,
        conn: Conn,
        session: SessionId,
        is_valid: bool,
        fx: &mut Effects,
    ) {
        if let Role::Leading(leader) = &mut self.role {
            let (learners, _) = leader.learners(&self.core);
            learners.answer_revalidate(conn, session, is_valid, fx);
        }
    }

    /// Closes a learner's connection, for a reason of the caller's.
    pub fn close_learner(&mut self, conn: Conn, fx: &mut Effects) {
        if let Some((learners, _)) = self.role.learners(&self.core) {
            learners.close(conn, fx);
        }
    }

    /// Learner: sends a client's write or sync to the leader. The body must be decodable: a Java
    /// leader does not survive others.
    ///
    /// # Errors
    /// When this server is not in step with a leader.
    pub fn forward_request(
        &mut self,
        request: &ForwardedBody<'_>,
        auth: &[Id],
        fx: &mut Effects,
    ) -> Result<(), NotServing> {
        match &mut self.role {
            Role::Learning(learner) => learner.forward(None, request, auth, fx),
            _ => Err(NotServing),
        }
    }

    /// Learner: asks the leader whether a session lives.
    ///
    /// # Errors
    /// When this server is not in step with a leader.
    pub fn revalidate(
        &mut self,
        session: SessionId,
        timeout_ms: i32,
        fx: &mut Effects,
    ) -> Result<(), NotServing> {
        match &mut self.role {
            Role::Learning(learner) => learner.revalidate(None, session, timeout_ms, fx),
            _ => Err(NotServing),
        }
    }

    /// Observer master: sends an observer's write or sync to the leader, as [`Self::forward_request`].
    ///
    /// # Errors
    /// When this server is not in step with a leader.
    pub fn relay_request(
        &mut self,
        observer: Conn,
        request: &ForwardedBody<'_>,
        auth: &[Id],
        fx: &mut Effects,
    ) -> Result<(), NotServing> {
        match &mut self.role {
            Role::Learning(learner) => learner.forward(Some(observer), request, auth, fx),
            _ => Err(NotServing),
        }
    }

    /// Observer master: asks the leader for an observer whether a session lives; the leader's answer is
    /// passed on to it.
    ///
    /// # Errors
    /// When this server is not in step with a leader.
    pub fn relay_revalidate(
        &mut self,
        observer: Conn,
        session: SessionId,
        timeout_ms: i32,
        fx: &mut Effects,
    ) -> Result<(), NotServing> {
        match &mut self.role {
            Role::Learning(learner) => learner.revalidate(Some(observer), session, timeout_ms, fx),
            _ => Err(NotServing),
        }
    }

    /// Learner: a session was heard of; the leader is told with the next PING.
    pub fn touch(&mut self, session: SessionId, timeout_ms: i32) {
        if let Role::Learning(learner) = &mut self.role {
            learner.touch(session, timeout_ms);
        }
    }

    /// Ends the present role and looks for a leader again.
    pub fn step_down(&mut self, now: Instant, reason: &str, fx: &mut Effects) {
        self.finish(now, Err(Leave::new(reason)), fx);
    }
}
