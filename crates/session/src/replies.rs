//! Frames from the server: completions, events, pings.

use rookeeper_proto::client::{ReplyHeader, WatchedEvent};
use rookeeper_proto::{ErrorCode, OpCode, Reader, Xid, Zxid};

use crate::event::{EventKind, SessionState};
use crate::{Failure, InFlight, Millis, Output, Phase, Reply, Session, WatchChange, WatchKind};
use crate::{WatchId, WatcherType};

/// The server does not keep to the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProtocolError;

impl Session {
    /// Takes one frame.
    pub(super) fn on_frame(&mut self, payload: &[u8], now: Millis) -> Result<(), ProtocolError> {
        if matches!(self.phase, Phase::Handshaking { .. }) {
            return self.on_handshake(payload, now);
        }
        let mut r = Reader::new(payload);
        let header = ReplyHeader::read(&mut r).map_err(|_| ProtocolError)?;
        match header.xid {
            Xid::NOTIFICATION => self.on_event(header.zxid, &mut r),
            Xid::PING => Ok(()),
            Xid::AUTH => self.on_auth_reply(header),
            _ => self.on_reply(header, r.rest()),
        }
    }

    fn on_event(&mut self, zxid: Zxid, r: &mut Reader<'_>) -> Result<(), ProtocolError> {
        let event = WatchedEvent::read(r).map_err(|_| ProtocolError)?;
        // What the user was told of must not be undone by a server that is behind it.
        self.last_zxid = self.last_zxid.max(zxid);
        let (kind, path) = (EventKind::from(event.event), event.path.into_owned());
        let watchers: Vec<WatchId> = self.watches.fire(kind, &path).into_iter().collect();
        if !watchers.is_empty() {
            self.outputs.push_back(Output::Event { kind, path, zxid, watchers });
        }
        Ok(())
    }

    fn on_auth_reply(&mut self, header: ReplyHeader) -> Result<(), ProtocolError> {
        let index = self.auths_in_flight.pop_front().ok_or(ProtocolError)?;
        let auth = self.auths.get_mut(index);
        let calls = auth.map(|auth| std::mem::take(&mut auth.calls)).unwrap_or_default();
        let result = match header.err {
            0 => Ok(Reply { zxid: header.zxid, body: Vec::new() }),
            code => Err(Failure::Code(code)),
        };
        if result.is_err() {
            self.end(SessionState::AuthFailed);
        }
        for call in calls {
            self.done(Some(call), result.clone());
        }
        Ok(())
    }

    fn on_reply(&mut self, header: ReplyHeader, body: &[u8]) -> Result<(), ProtocolError> {
        if self.in_flight.front().is_none_or(|first| first.xid != header.xid) {
            return Err(ProtocolError);
        }
        let Some(InFlight { op, call, watch, .. }) = self.in_flight.pop_front() else {
            return Err(ProtocolError);
        };
        if header.zxid > Zxid::ZERO {
            self.last_zxid = self.last_zxid.max(header.zxid);
        }
        let code = ErrorCode::from_i32(header.err);
        if code == Some(ErrorCode::SessionClosedRequireSaslAuth) {
            self.end(SessionState::AuthFailed);
            self.done(call, Err(Failure::Code(header.err)));
            return Ok(());
        }
        match watch {
            WatchChange::Add(_, kind, path) if call.is_none() => {
                // Nobody waits for it any more, but the server has it.
                self.disarm(kind, &path);
            }
            watch => self.settle_watch(op, code, watch),
        }
        if op == OpCode::CloseSession {
            self.end(SessionState::Closed);
        }
        if header.err != 0 {
            self.done(call, Err(Failure::Code(header.err)));
        } else {
            self.done(call, Ok(Reply { zxid: header.zxid, body: body.to_vec() }));
        }
        Ok(())
    }

    fn settle_watch(&mut self, op: OpCode, code: Option<ErrorCode>, change: WatchChange) {
        match (change, code) {
            (WatchChange::Add(id, kind, path), Some(ErrorCode::Ok)) => {
                // An exists that finds the node leaves what a getData leaves.
                let found = op == OpCode::Exists;
                let kind = if found { WatchKind::Data } else { kind };
                self.watches.add(kind, &path, id);
            }
            (WatchChange::Add(id, _, path), Some(ErrorCode::NoNode)) if op == OpCode::Exists => {
                self.watches.add(WatchKind::Exist, &path, id);
            }
            (WatchChange::Remove { path, which, .. }, Some(ErrorCode::Ok)) => {
                self.drop_watches(&path, which);
            }
            // The server has none: then ours are of no use either.
            (WatchChange::Remove { path, which, locally: true }, _) => {
                self.drop_watches(&path, which);
            }
            _ => {}
        }
    }

    /// Removes watches and tells their holders.
    pub(super) fn drop_watches(&mut self, path: &str, which: WatcherType) {
        for (kind, watchers) in self.watches.remove(path, which) {
            self.outputs.push_back(Output::Event {
                kind,
                path: path.to_owned(),
                zxid: Zxid(-1),
                watchers: watchers.into_iter().collect(),
            });
        }
    }
}
