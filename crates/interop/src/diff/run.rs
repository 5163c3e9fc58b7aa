//! Plays a script against one server and notes what every connection received.

use std::net::SocketAddr;
use std::time::Duration;

use super::script::{Action, Op, Script, Step};
use crate::normalise::{Kind, Normaliser};
use crate::raw::codes::op;
use crate::raw::frame::framed;
use crate::raw::{Connected, Frame, RawConnection, Reader};
use crate::{Result, golden};

const PATIENCE: Duration = Duration::from_secs(15);

/// What one connection received because of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The step's index.
    pub step: usize,
    /// The session that received it.
    pub session: usize,
    /// What it received, normalised.
    pub messages: Vec<Message>,
}

/// Something that happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A ConnectResponse.
    Connected(Vec<u8>),
    /// A reply; the number is the request's place in its batch.
    Reply(usize, i32, Vec<u8>),
    /// A watch event.
    Event(Vec<u8>),
    /// The answer to a ping that asks for missed events.
    Barrier(Vec<u8>),
    /// The server closed the connection.
    Eof,
    /// Something went wrong: no answer in time, or one that does not decode.
    Trouble(String),
}

/// Everything that happened in a script.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Transcript {
    /// In order.
    pub entries: Vec<Entry>,
}

#[derive(Debug, Default)]
struct Client {
    connection: Option<RawConnection>,
    session: Option<Connected>,
    xid: i32,
    may_watch: bool,
    last_zxid: i64,
}

struct Runner {
    addr: SocketAddr,
    names: Normaliser,
    clients: Vec<Client>,
    entries: Vec<Entry>,
}

/// Plays `script` against the server at `addr`, whose first zxid was `first_zxid`.
pub fn play(addr: SocketAddr, first_zxid: i64, script: &Script) -> Result<Transcript> {
    let names = Normaliser::new(first_zxid, golden::last_zxid(addr)?);
    let clients = (0..script.sessions).map(|_| Client::default()).collect();
    let mut runner = Runner { addr, names, clients, entries: Vec::new() };
    for (index, step) in script.steps.iter().enumerate() {
        runner.step(index, step)?;
    }
    runner.clean_up()?;
    Ok(Transcript { entries: runner.entries })
}

impl Runner {
    fn step(&mut self, index: usize, step: &Step) -> Result<()> {
        let session = step.session;
        match &step.action {
            Action::Open { timeout_ms, read_only } => {
                if self.clients[session].session.is_none() {
                    let request = Frame::connect(0, *timeout_ms, 0, Some(&[0; 16]), *read_only);
                    self.connect(index, session, &request)?;
                }
            }
            Action::Drop => self.drop_connection(session)?,
            Action::Resume { steal, wrong_password, ahead } => {
                self.resume(index, session, *steal, *wrong_password, *ahead)?;
            }
            Action::Batch(ops) => {
                if self.clients[session].connection.is_some() {
                    self.batch(index, session, ops.iter().map(|numbered| &numbered.op))?;
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, step: usize, session: usize, messages: Vec<Message>) {
        self.entries.push(Entry { step, session, messages });
    }

    fn connect(&mut self, step: usize, session: usize, request: &[u8]) -> Result<()> {
        let mut connection = RawConnection::open(self.addr)?;
        connection.set_timeout(PATIENCE)?;
        let message = match connection.handshake(request) {
            Ok(Some(connected)) => {
                let mut payload = connected.payload.clone();
                self.names.add_session(connected.session);
                let normalised = self.names.connected(&mut payload);
                let client = &mut self.clients[session];
                if connected.session == 0 {
                    // Refused: the session may live on under its own password.
                    client.connection = None;
                } else {
                    client.connection = Some(connection);
                    client.session = Some(connected);
                }
                client.may_watch = false;
                match normalised {
                    Ok(()) => Message::Connected(payload),
                    Err(why) => Message::Trouble(why.to_string()),
                }
            }
            Ok(None) => Message::Eof,
            Err(error) => Message::Trouble(error.to_string()),
        };
        self.note(step, session, vec![message]);
        Ok(())
    }

    /// Closes this side and waits for the server to close its own.
    fn drop_connection(&mut self, session: usize) -> Result<()> {
        if let Some(mut connection) = self.clients[session].connection.take() {
            connection.finish()?;
        }
        self.clients[session].may_watch = false;
        Ok(())
    }

    fn resume(
        &mut self,
        step: usize,
        session: usize,
        steal: bool,
        wrong_password: bool,
        ahead: bool,
    ) -> Result<()> {
        let Some(known) = self.clients[session].session.clone() else { return Ok(()) };
        let old = if steal {
            self.clients[session].connection.take()
        } else {
            self.drop_connection(session)?;
            None
        };
        let mut password = known.password.clone();
        if let (true, Some(first)) = (wrong_password, password.first_mut()) {
            *first ^= 1;
        }
        let zxid = if ahead { i64::MAX } else { self.clients[session].last_zxid };
        let request =
            Frame::connect(zxid, known.timeout_ms, known.session, Some(&password), Some(false));
        self.connect(step, session, &request)?;
        if let Some(mut old) = old {
            if ahead {
                // The server has not looked at the session, so the old connection stands.
                self.clients[session].connection = Some(old);
                self.clients[session].may_watch = true;
            } else {
                let messages = self.rest(&mut old);
                self.note(step, session, messages);
            }
        }
        Ok(())
    }

    /// What still comes on a connection the server is closing.
    fn rest(&self, connection: &mut RawConnection) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            match connection.receive() {
                Ok(Some(payload)) => messages.push(self.message(0, op::PING, payload)),
                Ok(None) => {
                    messages.push(Message::Eof);
                    return messages;
                }
                Err(error) => {
                    messages.push(Message::Trouble(error.to_string()));
                    return messages;
                }
            }
        }
    }

    fn batch<'o>(
        &mut self,
        step: usize,
        session: usize,
        ops: impl Iterator<Item = &'o Op>,
    ) -> Result<()> {
        let ops: Vec<&Op> = ops.collect();
        let base_zxid = self.names.base_zxid();
        let client = &mut self.clients[session];
        let Some(mut connection) = client.connection.take() else { return Ok(()) };
        let mut bytes = Vec::new();
        for op in &ops {
            client.xid += 1;
            bytes.extend_from_slice(&framed(&op.payload(client.xid, base_zxid)));
            client.may_watch |= op.may_watch();
        }
        connection.send_bytes(&bytes)?;
        let closing = ops.iter().any(|op| matches!(op, Op::CloseSession));
        let (mut messages, open) = self.replies(session, &mut connection, &ops);
        if closing {
            sort_simultaneous(&mut messages);
        }
        let closed = messages.iter().any(|message| {
            matches!(message, Message::Reply(_, op::CLOSE_SESSION, payload) if error_of(payload) == 0)
        });
        self.note(step, session, messages);
        let client = &mut self.clients[session];
        if closed {
            client.session = None;
        }
        if open {
            client.connection = Some(connection);
        }
        if ops.iter().any(|op| op.may_write()) {
            self.barriers(step, session, closing)?;
        }
        Ok(())
    }

    /// The replies to a batch with the events between them; whether the connection still stands.
    fn replies(
        &mut self,
        session: usize,
        connection: &mut RawConnection,
        ops: &[&Op],
    ) -> (Vec<Message>, bool) {
        let mut messages = Vec::with_capacity(ops.len());
        let mut answered = 0;
        while answered < ops.len() {
            let code = ops.get(answered).map_or(0, |op| op.code());
            match connection.receive() {
                Ok(Some(payload)) => {
                    let message = self.message(answered, code, payload);
                    if let Message::Reply(_, _, payload) = &message {
                        answered += 1;
                        let zxid = zxid_of(payload);
                        let client = &mut self.clients[session];
                        if zxid > 0 {
                            client.last_zxid = client.last_zxid.max(self.names.base_zxid() + zxid);
                        }
                        if closes(code, payload) {
                            messages.push(message);
                            messages.extend(self.rest(connection));
                            return (messages, false);
                        }
                    }
                    messages.push(message);
                }
                Ok(None) => {
                    messages.push(Message::Eof);
                    return (messages, false);
                }
                Err(error) => {
                    messages.push(Message::Trouble(error.to_string()));
                    return (messages, false);
                }
            }
        }
        (messages, true)
    }

    fn message(&self, place: usize, code: i32, mut payload: Vec<u8>) -> Message {
        let kind = Kind::of(&payload, code);
        match (self.names.message(kind, &mut payload), kind) {
            (Ok(()), Kind::Event) => Message::Event(payload),
            (Ok(()), Kind::Reply(code)) => Message::Reply(place, code, payload),
            (Err(why), _) => {
                Message::Trouble(format!("{why} in {}", crate::describe::hex(&payload)))
            }
        }
    }

    /// Pings every other session that may watch, to collect its events.
    fn barriers(&mut self, step: usize, speaker: usize, unordered: bool) -> Result<()> {
        for session in 0..self.clients.len() {
            let client = &mut self.clients[session];
            if session == speaker || !client.may_watch {
                continue;
            }
            let Some(mut connection) = client.connection.take() else { continue };
            connection.send(&Frame::ping())?;
            let mut messages = Vec::new();
            let open = loop {
                match connection.receive() {
                    Ok(Some(payload)) => match self.message(0, op::PING, payload) {
                        Message::Reply(_, _, payload) => {
                            messages.push(Message::Barrier(payload));
                            break true;
                        }
                        message => messages.push(message),
                    },
                    Ok(None) => {
                        messages.push(Message::Eof);
                        break false;
                    }
                    Err(error) => {
                        messages.push(Message::Trouble(error.to_string()));
                        break false;
                    }
                }
            };
            if unordered {
                sort_simultaneous(&mut messages);
            }
            if open {
                self.clients[session].connection = Some(connection);
            }
            self.note(step, session, messages);
        }
        Ok(())
    }

    /// Closes every session that is still open, so that none expires into a later script.
    fn clean_up(&mut self) -> Result<()> {
        for client in &mut self.clients {
            client.connection = None;
            let Some(session) = client.session.take() else { continue };
            close(self.addr, &session)?;
        }
        Ok(())
    }
}

/// Sorts events of one zxid that follow each other: a closing session's ephemerals go in any order.
fn sort_simultaneous(messages: &mut [Message]) {
    let zxid = |message: &Message| match message {
        Message::Event(payload) => Some(zxid_of(payload)),
        _ => None,
    };
    for run in messages.chunk_by_mut(|a, b| zxid(a).is_some() && zxid(a) == zxid(b)) {
        run.sort_by(|a, b| match (a, b) {
            (Message::Event(a), Message::Event(b)) => a.cmp(b),
            _ => std::cmp::Ordering::Equal,
        });
    }
}

/// Resumes a session, gives a credential in case the server enforces one, and closes it.
fn close(addr: SocketAddr, session: &Connected) -> Result<()> {
    let mut connection = RawConnection::open(addr)?;
    let (timeout_ms, id, password) = (session.timeout_ms, session.session, &session.password);
    let request = Frame::connect(0, timeout_ms, id, Some(password), Some(false));
    if connection.handshake(&request)?.is_some_and(|resumed| resumed.session == id) {
        connection.send(&Frame::auth("digest", b"closer:closer"))?;
        connection.send(&Frame::close_session(1))?;
        while connection.receive()?.is_some() {}
    }
    Ok(())
}

fn zxid_of(payload: &[u8]) -> i64 {
    let mut reader = Reader::new(payload);
    reader.int().and_then(|_xid| reader.long()).unwrap_or(0)
}

/// The error code in a reply.
pub fn error_of(payload: &[u8]) -> i32 {
    let mut reader = Reader::new(payload);
    reader.int().and_then(|_| reader.long()).and_then(|_| reader.int()).unwrap_or(0)
}

/// Whether the server closes the connection after this reply.
fn closes(code: i32, payload: &[u8]) -> bool {
    let error = error_of(payload);
    match code {
        op::CLOSE_SESSION => error == 0 || error == -124,
        op::AUTH | op::SASL => error != 0,
        // An operation code nobody knows; TTL and reconfig give the same error and go on.
        _ => error == -124 || (error == -6 && zxid_of(payload) == -1),
    }
}
