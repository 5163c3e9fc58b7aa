//! What serving learners send for their clients: requests, touches, revalidations. All of it belongs
//! to the caller; this only unpacks and packs.

use rookeeper_proto::quorum::{ForwardedBody, PacketType, QuorumPacket, Touches};
use rookeeper_proto::{JuteWrite, Reader, SessionId, Zxid};

use super::{Drop, Learners, Packet};
use crate::effects::{Conn, Effect, Effects, Forwarded};

impl Learners {
    pub(crate) fn on_service_packet(
        &mut self,
        conn: Conn,
        packet: Packet,
        fx: &mut Effects,
    ) -> Result<(), Drop> {
        let Some(sid) = self.get(&conn).map(|l| l.sid) else { return Ok(()) };
        let data = packet.data.unwrap_or_default();
        match packet.kind {
            PacketType::Ping => {
                let sessions = Touches::read(&data);
                if !sessions.is_empty() {
                    fx.push(Effect::SessionsTouched { sessions });
                }
            }
            PacketType::Revalidate => {
                let mut r = Reader::new(&data);
                let (session, timeout_ms) = match (r.i64(), r.i32()) {
                    (Ok(session), Ok(timeout_ms)) => (SessionId(session), timeout_ms),
                    _ => return Err("a REVALIDATE that cannot be decoded".to_owned()),
                };
                fx.push(Effect::RevalidateRequest { conn, session, timeout_ms });
            }
            PacketType::Request => {
                let head = ForwardedBody::read(&data).map_err(|error| error.to_string())?;
                let body = data.slice_ref(head.body);
                let (session, cxid, op) = (head.session, head.cxid, head.op);
                let auth = packet.auth;
                let forwarded = Forwarded { conn, sid, session, cxid, op, body, auth };
                fx.push(Effect::ForwardedRequest(forwarded));
            }
            // Skipped as Java does.
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn answer_revalidate(
        &mut self,
        conn: Conn,
        session: SessionId,
        is_valid: bool,
        fx: &mut Effects,
    ) {
        let mut data = Vec::with_capacity(9);
        data.put_i64(session.0);
        data.put_bool(is_valid);
        let packet = QuorumPacket::with_data(PacketType::Revalidate, Zxid::UNKNOWN, &data);
        self.send_packet(conn, &packet, fx);
    }
}
