//! The life of a session's connections: attempts, establishment, loss, the end.

use rookeeper_proto::client::request::Auth;
use rookeeper_proto::client::{ConnectResponse, Request, RequestHeader};
use rookeeper_proto::{OpCode, Xid, Zxid};

use crate::event::SessionState;
use crate::replies::ProtocolError;
use crate::servers::Search;
use crate::{
    Call, CallId, Credentials, Failure, InFlight, Millis, Output, Phase, Reply, Session,
    WatchChange, frame,
};

/// What a server takes at most by default, less a margin for the header.
const FRAME_BYTES_MAX: usize = i32::MAX as usize - 64;

impl Session {
    /// Whether a request cannot even wait.
    pub(super) fn refusal(&self, call: &Call) -> Option<Failure> {
        match self.phase {
            Phase::Over(state) => Some(Failure::Over(state)),
            _ if self.closing => Some(Failure::Over(SessionState::Closed)),
            _ if call.body.len() > FRAME_BYTES_MAX => Some(Failure::TooLarge),
            _ => None,
        }
    }

    /// The server accepted or refused the session.
    pub(super) fn on_connect_response(&mut self, response: &ConnectResponse, now: Millis) {
        let known = self.credentials.as_ref().filter(|_| self.seen_writable);
        let other = known.is_some_and(|known| known.session != response.session);
        let Ok(timeout_ms @ 1..) = u64::try_from(response.timeout_ms) else {
            return self.end(SessionState::Expired);
        };
        if other {
            // A server that forgot our session answers with zeros; another id is as final.
            return self.end(SessionState::Expired);
        }
        self.timeout_ms = timeout_ms;
        self.read_only_now = response.read_only == Some(true);
        self.search = Search::begin(now);
        // The id a read-only server makes up means nothing to the others.
        if !self.read_only_now || self.credentials.is_none() {
            let (session, password) = (response.session, response.password);
            self.credentials = Some(Credentials { session, password });
        }
        self.seen_writable |= !self.read_only_now;
        self.phase = Phase::Connected;
        self.last_alive = Some(now);
        self.servers.reached();
        let watchers = self.watches.lasting().into_iter().collect();
        self.outputs.push_back(Output::State { state: self.state(), watchers });
        for index in 0..self.auths.len() {
            if !planted!(CredentialsForgotten) {
                self.send_auth(index, now);
            }
        }
        let seen = if planted!(RearmedFromNow) { Zxid(i64::MAX) } else { self.last_zxid };
        for (set, all_kinds) in self.watches.rearm(seen) {
            let request =
                if all_kinds { Request::SetWatches2(set) } else { Request::SetWatches(set) };
            self.send(None, Call::new(&request), now);
        }
        self.send_waiting(now);
    }

    pub(super) fn send_auth(&mut self, index: usize, now: Millis) {
        let Some(known) = self.auths.get(index) else { return };
        let request = Request::Auth(Auth {
            kind: 0,
            scheme: Some(known.scheme.as_str().into()),
            auth: Some(&known.auth),
        });
        frame(&mut self.outgoing, |out| {
            RequestHeader { xid: Xid::AUTH, op: OpCode::Auth.as_i32() }.write(out);
            request.write(out);
        });
        self.auths_in_flight.push_back(index);
        self.last_sent = now;
    }

    /// Sends waiting requests as far as the window allows.
    pub(super) fn send_waiting(&mut self, now: Millis) {
        if !matches!(self.phase, Phase::Connected) {
            return;
        }
        while self.in_flight.len() < self.config.in_flight_max.max(1) {
            let Some((id, call)) = self.waiting.pop_front() else { return };
            self.send(id, call, now);
        }
    }

    fn send(&mut self, call: Option<CallId>, request: Call, now: Millis) {
        let xid = Xid(self.next_xid);
        self.next_xid = self.next_xid.checked_add(1).unwrap_or(1);
        frame(&mut self.outgoing, |out| {
            RequestHeader { xid, op: request.op.as_i32() }.write(out);
            out.extend_from_slice(&request.body);
        });
        self.in_flight.push_back(InFlight { xid, op: request.op, call, watch: request.watch });
        self.last_sent = now;
    }

    pub(super) fn done(&mut self, call: Option<CallId>, result: Result<Reply, Failure>) {
        if let Some(call) = call {
            self.outputs.push_back(Output::Done { call, result });
            self.plant_order();
        }
    }

    /// Makes the mistakes in the order of what is told.
    fn plant_order(&mut self) {
        let last = self.outputs.len().saturating_sub(1);
        let is_early = match last.checked_sub(1).and_then(|before| self.outputs.get(before)) {
            Some(Output::Done { .. }) => planted!(AnswersSwapped),
            Some(Output::Event { .. }) => planted!(EventLate),
            _ => false,
        };
        if is_early {
            self.outputs.swap(last - 1, last);
        }
    }

    /// An attempt to get a connection came to nothing.
    pub(super) fn attempt_failed(&mut self, now: Millis) {
        self.outputs.push_back(Output::Disconnect);
        self.drop_transport();
        if self.config.fail_fast && self.servers.round_is_over() {
            for (call, _) in std::mem::take(&mut self.waiting) {
                self.done(call, Err(Failure::ConnectionLoss { sent: false }));
            }
        }
        self.wait(now);
    }

    /// The present connection is of no more use.
    pub(super) fn lose(&mut self, now: Millis) {
        if !matches!(self.phase, Phase::Connected) {
            return self.attempt_failed(now);
        }
        self.outputs.push_back(Output::Disconnect);
        self.drop_transport();
        if self.closing {
            // The close was on its way; if it did not arrive, the session expires by itself.
            return self.end(SessionState::Closed);
        }
        self.last_alive = Some(self.last_heard);
        // Ours are about watches that went with the connection.
        self.waiting.retain(|(call, _)| call.is_some());
        let state = SessionState::Disconnected;
        self.outputs.push_back(Output::State { state, watchers: Vec::new() });
        for lost in std::mem::take(&mut self.in_flight) {
            let sent = !planted!(LossDenied);
            if planted!(AnsweredTwice) {
                self.done(lost.call, Err(Failure::ConnectionLoss { sent }));
            }
            match lost.watch {
                WatchChange::Remove { path, which, locally: true } if lost.call.is_some() => {
                    self.drop_watches(&path, which);
                    self.done(lost.call, Ok(Reply { zxid: Zxid(-1), body: Vec::new() }));
                }
                _ => self.done(lost.call, Err(Failure::ConnectionLoss { sent })),
            }
        }
        self.wait(now);
    }

    fn wait(&mut self, now: Millis) {
        let wait_ms = self.servers.wait_ms(&mut self.random);
        self.phase = Phase::Waiting { until: now + wait_ms };
        if wait_ms == 0 {
            self.tick(now);
        }
    }

    fn drop_transport(&mut self) {
        self.input.clear();
        self.outgoing.clear();
        self.auths_in_flight.clear();
        self.read_only_now = false;
    }

    /// The session is over: everything pending fails, behind the news of it.
    pub(super) fn end(&mut self, state: SessionState) {
        if matches!(self.phase, Phase::Over(_)) {
            return;
        }
        if !matches!(self.phase, Phase::Waiting { .. }) {
            self.outputs.push_back(Output::Disconnect);
        }
        self.drop_transport();
        self.phase = Phase::Over(state);
        self.outputs.push_back(Output::State { state, watchers: Vec::new() });
        for sent in std::mem::take(&mut self.in_flight) {
            let result = match sent.op {
                OpCode::CloseSession => Ok(Reply { zxid: Zxid(-1), body: Vec::new() }),
                op if op.is_write() => Err(Failure::ConnectionLoss { sent: true }),
                _ => Err(Failure::Over(state)),
            };
            self.done(sent.call, result);
        }
        for (call, _) in std::mem::take(&mut self.waiting) {
            if !planted!(WaitingForgotten) {
                self.done(call, Err(Failure::Over(state)));
            }
        }
        for call in std::mem::take(&mut self.auths).into_iter().flat_map(|auth| auth.calls) {
            self.done(Some(call), Err(Failure::Over(state)));
        }
        for call in std::mem::take(&mut self.closers) {
            self.done(Some(call), Ok(Reply { zxid: Zxid(-1), body: Vec::new() }));
        }
    }

    /// Reads the answer to the handshake.
    pub(super) fn on_handshake(
        &mut self,
        payload: &[u8],
        now: Millis,
    ) -> Result<(), ProtocolError> {
        let response = ConnectResponse::read(&mut rookeeper_proto::Reader::new(payload))
            .map_err(|_| ProtocolError)?;
        self.on_connect_response(&response, now);
        Ok(())
    }
}
