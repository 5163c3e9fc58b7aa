//! Catches: whatever the client's core does to its user that it promises not to: a request that is answered
//! twice, never, with something else than the server said, or out of order; a request sent twice, unasked or
//! out of order; a write that may have happened and is called undone, or the other way round; an event
//! told to the wrong watchers, twice, not at all, or behind an answer that followed it; watches and
//! credentials that a new connection does not bring back before anything else; watches that are held
//! but not armed, or that slept through a change; a session resumed with the wrong id or zxid.
//!
//! It is a naive client: from what the wire shows ([`crate::client`] looks at every frame both ways) and what
//! the user asked for it knows what must be told next. That an unknown outcome may be either, and that what
//! was never sent never happens, `history` sees: it knows every frame sent and refuses a txn without one.

mod watches;

use std::collections::VecDeque;

use rookeeper_proto::client::request::{PathKind, SetWatches};
use rookeeper_proto::client::{ConnectRequest, Request};
use rookeeper_proto::{ErrorCode, OpCode, Reader, SessionId, Zxid};
use rookeeper_session::{
    Call, CallId, Credentials, EventKind, Failure, Output, Reply, SessionState, WatchChange,
    WatchId, WatchKind, WatcherType,
};

use crate::model::Model;
use crate::model::watches::ConnWatches;
use crate::violation::{Check, broken};
use watches::Held;

const NAME: &str = "promises";

/// A request of the user, or one the core makes for itself.
#[derive(Debug)]
struct Asked {
    call: Option<CallId>,
    op: OpCode,
    body: Vec<u8>,
    watch: WatchChange,
}

/// What one core owes its user.
#[derive(Debug)]
pub(crate) struct Promises {
    fails_fast: bool,
    state: SessionState,
    is_closing: bool,
    /// Who asked for the close besides the first.
    closers: Vec<CallId>,
    session: Option<Credentials>,
    /// The newest txn the user has been shown.
    newest: Zxid,
    /// Not sent yet.
    waiting: VecDeque<Asked>,
    /// Sent on this connection and not answered.
    sent: VecDeque<Asked>,
    credentials: Vec<Vec<u8>>,
    auth_calls: Vec<(CallId, Vec<u8>)>,
    /// Credentials this connection has not been shown yet, and those it has not answered.
    owed_auths: Vec<Vec<u8>>,
    auths_sent: VecDeque<Vec<u8>>,
    held: Held,
    /// Watches this connection does not have back yet.
    owed_watches: Vec<(WatchKind, String)>,
    /// What must be told next.
    due: VecDeque<Output>,
}

fn empty(zxid: Zxid) -> Result<Reply, Failure> {
    Ok(Reply { zxid, body: Vec::new() })
}

/// Of what no server said.
const UNKNOWN: Zxid = Zxid(-1);

impl Promises {
    pub(crate) fn new(
        fails_fast: bool,
        session: Option<Credentials>,
        credentials: Vec<Vec<u8>>,
    ) -> Self {
        Self {
            fails_fast,
            state: SessionState::Disconnected,
            is_closing: false,
            closers: Vec::new(),
            session,
            newest: Zxid::ZERO,
            waiting: VecDeque::new(),
            sent: VecDeque::new(),
            credentials,
            auth_calls: Vec::new(),
            owed_auths: Vec::new(),
            auths_sent: VecDeque::new(),
            held: Held::default(),
            owed_watches: Vec::new(),
            due: VecDeque::new(),
        }
    }

    fn owe(&mut self, call: Option<CallId>, result: Result<Reply, Failure>) {
        if let Some(call) = call {
            self.due.push_back(Output::Done { call, result });
        }
    }

    // ---- what the user does ---------------------------------------------------------------------

    /// The user asks for something.
    pub(crate) fn asked(&mut self, id: CallId, call: &Call) {
        if self.state.is_final() || self.is_closing {
            let state = if self.is_closing { SessionState::Closed } else { self.state };
            return self.owe(Some(id), Err(Failure::Over(state)));
        }
        if let WatchChange::Remove { path, which, locally } = &call.watch {
            if !self.held.holds(path, *which) {
                let code = ErrorCode::NoWatcher.as_i32();
                return self.owe(Some(id), Err(Failure::Code(code)));
            }
            if *locally && !self.state.is_connected() {
                self.due.extend(self.held.remove(path, *which));
                return self.owe(Some(id), empty(UNKNOWN));
            }
        }
        let Call { op, body, watch } = call.clone();
        self.waiting.push_back(Asked { call: Some(id), op, body, watch });
    }

    /// The user adds credentials.
    pub(crate) fn asked_auth(&mut self, id: CallId, secret: &[u8]) {
        if self.state.is_final() {
            return self.owe(Some(id), Err(Failure::Over(self.state)));
        }
        self.auth_calls.push((id, secret.to_vec()));
        if !self.credentials.iter().any(|known| known == secret) {
            self.credentials.push(secret.to_vec());
        }
        if self.state.is_connected() {
            self.owed_auths.push(secret.to_vec());
        }
    }

    /// The user closes the session.
    pub(crate) fn asked_close(&mut self, id: CallId) {
        if self.is_closing && !self.state.is_final() {
            return self.closers.push(id);
        }
        if self.state.is_connected() {
            self.is_closing = true;
            let (op, body, watch) = (OpCode::CloseSession, Vec::new(), WatchChange::None);
            self.waiting.push_back(Asked { call: Some(id), op, body, watch });
            return;
        }
        if !self.state.is_final() {
            self.owe_end(SessionState::Closed);
        }
        self.owe(Some(id), empty(UNKNOWN));
    }

    /// The user no longer waits for an answer.
    pub(crate) fn cancelled(&mut self, id: CallId) {
        self.waiting.retain(|asked| asked.call != Some(id));
        self.auth_calls.retain(|(call, _)| *call != id);
        for asked in self.sent.iter_mut().filter(|asked| asked.call == Some(id)) {
            asked.call = None;
        }
    }

    /// The user drops a watcher.
    pub(crate) fn forgot(&mut self, id: WatchId, kind: WatchKind, path: &str) {
        let is_last = match kind {
            WatchKind::Data | WatchKind::Exist => {
                self.held.forget(id, WatchKind::Data, path);
                self.held.forget(id, WatchKind::Exist, path);
                return;
            }
            _ => self.held.forget(id, kind, path),
        };
        if is_last {
            self.disarms(kind, path);
        }
    }

    /// A persistent watch that nobody holds and nobody is about to is taken from the server.
    fn disarms(&mut self, kind: WatchKind, path: &str) {
        let which = match kind {
            WatchKind::Persistent => WatcherType::Persistent,
            WatchKind::PersistentRecursive => WatcherType::PersistentRecursive,
            _ => return,
        };
        let is_wanted = self.held.holds(path, which)
            || {
                let mut asked = self.sent.iter().chain(&self.waiting);
                asked.any(|asked| {
                matches!(&asked.watch, WatchChange::Add(_, k, p) if (*k, p.as_str()) == (kind, path))
            })
            };
        if !is_wanted && self.state.is_connected() && !self.is_closing {
            let kind = which as i32;
            let request = Request::RemoveWatches(PathKind { path: Some(path.into()), kind });
            let Call { op, body, watch } = Call::new(&request);
            self.waiting.push_back(Asked { call: None, op, body, watch });
        }
    }

    /// A request that may be cancelled.
    pub(crate) fn one_pending(&self, at: usize) -> Option<CallId> {
        let asked = self.waiting.iter().chain(&self.sent);
        let asked = asked.filter(|asked| asked.op != OpCode::CloseSession);
        let calls = asked.filter_map(|asked| asked.call);
        let all: Vec<CallId> = calls.chain(self.auth_calls.iter().map(|(id, _)| *id)).collect();
        all.get(at.checked_rem(all.len())?).copied()
    }

    /// How many credentials a new connection is shown.
    pub(crate) fn credentials_known(&self) -> usize {
        self.credentials.len()
    }

    /// A watch that may be forgotten.
    pub(crate) fn one_watch(&self, at: usize) -> Option<(WatchId, WatchKind, String)> {
        self.held.one(at)
    }

    // ---- what the core sends --------------------------------------------------------------------

    /// The handshake.
    pub(crate) fn sent_connect(&mut self, request: &ConnectRequest<'_>) -> Check {
        let known = self.session.as_ref();
        let session = known.map_or(SessionId::NONE, |known| known.session);
        let password = known.map_or([0; 16], |known| known.password);
        let found = (request.session, request.password, request.last_zxid_seen);
        let expected = (session, Some(&password[..]), self.newest);
        if found != expected {
            return broken(NAME, format!("a handshake says {found:?}, expected {expected:?}"));
        }
        Ok(())
    }

    /// Credentials.
    pub(crate) fn sent_auth(&mut self, secret: &[u8]) -> Check {
        match self.owed_auths.iter().position(|owed| owed == secret) {
            Some(at) => drop(self.owed_auths.remove(at)),
            None => return broken(NAME, "credentials were sent twice, or nobody gave them"),
        }
        self.auths_sent.push_back(secret.to_vec());
        Ok(())
    }

    /// A request other than a ping. Says whose it is.
    pub(crate) fn sent(&mut self, op: OpCode, body: &[u8]) -> Check<Option<CallId>> {
        if !self.owed_auths.is_empty() {
            return broken(NAME, format!("{op:?} was sent before the credentials"));
        }
        if matches!(op, OpCode::SetWatches | OpCode::SetWatches2) {
            return self.sent_set_watches(op, body);
        }
        if let Some((kind, path)) = self.owed_watches.first() {
            let what = format!("{op:?} was sent before the {kind:?} watch of {path} was re-armed");
            return broken("client_watches", what);
        }
        let first = self.waiting.pop_front();
        match first {
            Some(asked) if asked.op == op && asked.body == body => {
                let call = asked.call;
                self.sent.push_back(asked);
                Ok(call)
            }
            first => broken(NAME, format!("{op:?} was sent, but first comes {first:?}")),
        }
    }

    fn sent_set_watches(&mut self, op: OpCode, body: &[u8]) -> Check<Option<CallId>> {
        let Ok(Request::SetWatches(set) | Request::SetWatches2(set)) =
            Request::read(op, &mut Reader::new(body))
        else {
            return broken(NAME, format!("{op:?} cannot be decoded"));
        };
        if set.relative_zxid != self.newest {
            let what = format!("re-armed from {}, seen: {}", set.relative_zxid, self.newest);
            return broken("client_watches", what);
        }
        for one in lists(&set) {
            match self.owed_watches.iter().position(|owed| *owed == one) {
                Some(at) => drop(self.owed_watches.remove(at)),
                None => {
                    let what = format!("re-armed twice, or held by nobody: {one:?}");
                    return broken("client_watches", what);
                }
            }
        }
        let (body, watch) = (Vec::new(), WatchChange::None);
        self.sent.push_back(Asked { call: None, op, body, watch });
        Ok(None)
    }

    // ---- what the server says -------------------------------------------------------------------

    /// The session is open.
    pub(crate) fn accepted(&mut self, session: SessionId, password: [u8; 16], is_read_only: bool) {
        // What a server without a leader makes up means nothing to the others.
        if !is_read_only {
            self.session = Some(Credentials { session, password });
        }
        self.state = match is_read_only {
            true => SessionState::ConnectedReadOnly,
            false => SessionState::Connected,
        };
        let watchers = self.held.lasting();
        self.due.push_back(Output::State { state: self.state, watchers });
        self.owed_auths = self.credentials.clone();
        self.auths_sent.clear();
        self.owed_watches = self.held.kinds_and_paths();
    }

    /// There is no such session.
    pub(crate) fn refused(&mut self) {
        self.owe_end(SessionState::Expired);
    }

    /// A watch fired.
    pub(crate) fn happened(&mut self, kind: EventKind, path: &str, zxid: Zxid) {
        self.newest = self.newest.max(zxid);
        let watchers = self.held.fire(kind, path);
        if !watchers.is_empty() {
            let path = path.to_owned();
            self.due.push_back(Output::Event { kind, path, zxid, watchers });
        }
    }

    /// Credentials were answered: all who gave them hear of it. Refused ones end the session.
    pub(crate) fn answered_auth(&mut self, err: i32) {
        let Some(secret) = self.auths_sent.pop_front() else { return };
        let calls = self.take_auth_calls(&secret);
        let result = match err {
            0 => empty(Zxid::ZERO),
            code => {
                self.owe_end(SessionState::AuthFailed);
                Err(Failure::Code(code))
            }
        };
        for call in calls {
            self.owe(Some(call), result.clone());
        }
    }

    fn take_auth_calls(&mut self, secret: &[u8]) -> Vec<CallId> {
        let (taken, left) = std::mem::take(&mut self.auth_calls)
            .into_iter()
            .partition::<Vec<_>, _>(|(_, waiting)| waiting == secret);
        self.auth_calls = left;
        taken.into_iter().map(|(call, _)| call).collect()
    }

    /// The oldest unanswered request was answered.
    pub(crate) fn answered(&mut self, zxid: Zxid, err: i32, body: &[u8]) {
        self.newest = self.newest.max(zxid);
        let Some(asked) = self.sent.pop_front() else { return };
        match asked.watch {
            WatchChange::Add(_, kind, path) if asked.call.is_none() => self.disarms(kind, &path),
            WatchChange::Add(id, _, path) if asked.op == OpCode::Exists && err == 0 => {
                self.held.add(id, WatchKind::Data, &path, zxid);
            }
            WatchChange::Add(id, _, path)
                if asked.op == OpCode::Exists && err == ErrorCode::NoNode.as_i32() =>
            {
                self.held.add(id, WatchKind::Exist, &path, zxid);
            }
            WatchChange::Add(id, kind, path) if err == 0 => self.held.add(id, kind, &path, zxid),
            WatchChange::Remove { path, which, locally } if err == 0 || locally => {
                self.due.extend(self.held.remove(&path, which));
            }
            _ => {}
        }
        if asked.op == OpCode::CloseSession {
            self.owe_end(SessionState::Closed);
        }
        let result = match err {
            0 => Ok(Reply { zxid, body: body.to_vec() }),
            code => Err(Failure::Code(code)),
        };
        self.owe(asked.call, result);
    }

    // ---- what the core tells --------------------------------------------------------------------

    /// The next output of the core.
    pub(crate) fn told(&mut self, output: &Output) -> Check {
        if self.due.front() == Some(output) {
            self.due.pop_front();
            return Ok(());
        }
        match output {
            Output::Disconnect => return Ok(()),
            Output::Connect { .. } if !self.state.is_connected() && self.due.is_empty() => {
                return Ok(());
            }
            // What ends a connection, or a session for want of one, is the core's to say.
            Output::State { state, watchers } if self.due.is_empty() && watchers.is_empty() => {
                let is_connected = self.state.is_connected();
                match state {
                    SessionState::Disconnected if is_connected && !self.is_closing => {
                        self.owe_loss();
                        return Ok(());
                    }
                    SessionState::Closed if is_connected && self.is_closing => {
                        self.owe_failures(*state);
                        return Ok(());
                    }
                    SessionState::Expired if self.state == SessionState::Disconnected => {
                        self.owe_failures(*state);
                        return Ok(());
                    }
                    _ => {}
                }
            }
            Output::Done { call, result: Err(Failure::ConnectionLoss { sent: false }) }
                if self.fails_fast && !self.state.is_connected() =>
            {
                let first = self.waiting.pop_front();
                if first.is_some_and(|asked| asked.call == Some(*call)) {
                    return Ok(());
                }
            }
            _ => {}
        }
        broken(NAME, format!("{output:?} was told, due was {:?}", self.due.front()))
    }

    /// The core has nothing more to tell for now.
    pub(crate) fn settled(&self) -> Check {
        match self.due.front() {
            None => Ok(()),
            Some(due) => broken(NAME, format!("{due:?} was not told")),
        }
    }

    /// Compares the watches held with those of the connection; meaningless while it does not have all
    /// back, and when the session is over.
    pub(crate) fn check_watches(&mut self, at: &ConnWatches, model: &Model) -> Check {
        let is_setting =
            |asked: &Asked| matches!(asked.op, OpCode::SetWatches | OpCode::SetWatches2);
        let is_over = self.state.is_final();
        if is_over || !self.owed_watches.is_empty() || self.sent.iter().any(is_setting) {
            return Ok(());
        }
        self.held.check(at, model)
    }

    /// The connection is lost; the session may live.
    fn owe_loss(&mut self) {
        self.state = SessionState::Disconnected;
        self.waiting.retain(|asked| asked.call.is_some());
        for asked in std::mem::take(&mut self.sent) {
            match asked.watch {
                WatchChange::Remove { path, which, locally: true } if asked.call.is_some() => {
                    self.due.extend(self.held.remove(&path, which));
                    self.owe(asked.call, empty(UNKNOWN));
                }
                _ => self.owe(asked.call, Err(Failure::ConnectionLoss { sent: true })),
            }
        }
    }

    fn owe_end(&mut self, state: SessionState) {
        self.due.push_back(Output::State { state, watchers: Vec::new() });
        self.owe_failures(state);
    }

    /// The session is over. A write without an answer may have happened; everything else has not.
    fn owe_failures(&mut self, state: SessionState) {
        self.state = state;
        for asked in std::mem::take(&mut self.sent) {
            let result = match asked.op {
                OpCode::CloseSession => empty(UNKNOWN),
                op if op.is_write() => Err(Failure::ConnectionLoss { sent: true }),
                _ => Err(Failure::Over(state)),
            };
            self.owe(asked.call, result);
        }
        for asked in std::mem::take(&mut self.waiting) {
            self.owe(asked.call, Err(Failure::Over(state)));
        }
        for secret in self.credentials.clone() {
            for call in self.take_auth_calls(&secret) {
                self.owe(Some(call), Err(Failure::Over(state)));
            }
        }
        for call in std::mem::take(&mut self.closers) {
            self.owe(Some(call), empty(UNKNOWN));
        }
    }
}

fn lists<'a>(set: &'a SetWatches<'_>) -> impl Iterator<Item = (WatchKind, String)> + 'a {
    let all = [
        (WatchKind::Data, &set.data),
        (WatchKind::Exist, &set.exist),
        (WatchKind::Child, &set.child),
        (WatchKind::Persistent, &set.persistent),
        (WatchKind::PersistentRecursive, &set.persistent_recursive),
    ];
    all.into_iter().flat_map(|(kind, paths)| {
        paths.iter().flatten().flatten().map(move |path| (kind, path.to_string()))
    })
}
