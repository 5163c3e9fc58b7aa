//! What a serving learner asks of its leader for its clients.

use std::fmt;

use rookeeper_proto::quorum::{ForwardedBody, PacketType, QuorumPacket};
use rookeeper_proto::{Id, JuteWrite, OpCode, SessionId, Zxid};

use super::{Learner, Phase};
use crate::effects::{Conn, Effects};
use crate::limits;

/// The server is not in step with a leader, or the leader does not take what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotServing;

impl fmt::Display for NotServing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not in step with a leader")
    }
}

impl std::error::Error for NotServing {}

impl Learner {
    fn check_serving(&self) -> Result<(), NotServing> {
        let is_serving = self.phase == Phase::Serving && self.unsent < limits::LEARNER_UNSENT_BYTES;
        is_serving.then_some(()).ok_or(NotServing)
    }

    /// Sends a client's request, of one of its observers or (`None`) of this server.
    pub(crate) fn forward(
        &mut self,
        for_whom: Option<Conn>,
        request: &ForwardedBody<'_>,
        auth: &[Id],
        fx: &mut Effects,
    ) -> Result<(), NotServing> {
        self.check_serving()?;
        if request.op == OpCode::Sync.as_i32()
            && let Some(hosting) = &mut self.hosting
        {
            hosting.await_sync(for_whom);
        }
        let data = request.to_bytes();
        let packet = QuorumPacket {
            kind: PacketType::Request as i32,
            zxid: Zxid::UNKNOWN,
            data: Some(&data),
            auth: Some(auth.to_vec()),
        };
        self.send(&packet, fx);
        Ok(())
    }

    /// Asks whether a session lives, for one of its observers or (`None`) for this server.
    pub(crate) fn revalidate(
        &mut self,
        for_whom: Option<Conn>,
        session: SessionId,
        timeout_ms: i32,
        fx: &mut Effects,
    ) -> Result<(), NotServing> {
        self.check_serving()?;
        if let Some(hosting) = &mut self.hosting {
            hosting.await_revalidation(session, for_whom);
        }
        let mut data = Vec::with_capacity(12);
        data.put_i64(session.0);
        data.put_i32(timeout_ms);
        self.send(&QuorumPacket::with_data(PacketType::Revalidate, Zxid::UNKNOWN, &data), fx);
        Ok(())
    }

    /// Kept until the next PING; the table is bounded by the sessions that are alive.
    pub(crate) fn touch(&mut self, session: SessionId, timeout_ms: i32) {
        self.touched.insert(session, timeout_ms);
    }
}
