//! A small client for tests of ensembles: typed requests over [`RawConnection`], sessions that move
//! between servers, events kept until asked for.
//!
//! It does nothing by itself: no pings, no reconnects. What a test does not ask for does not happen.
//! Source: the client protocol reference, sections 1 to 3.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::raw::codes::op;
use crate::raw::{Acl, Connected, Frame, RawConnection, Reader};
use crate::{HarnessError, Result};

/// How long a server that is electing or starting may refuse clients.
const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(20);
const HEADER: usize = 16;
const EVENT_XID: i32 = -1;

/// A reply to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The zxid of the header.
    pub zxid: i64,
    /// The error code, 0 for none.
    pub error: i32,
    /// What follows the header.
    pub body: Vec<u8>,
}

/// A watch event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its type: 1 created, 2 deleted, 3 changed, 4 children changed.
    pub kind: i32,
    /// The znode.
    pub path: String,
}

/// A session on one server.
#[derive(Debug)]
pub struct Client {
    connection: RawConnection,
    session: Connected,
    xid: i32,
    last_zxid: i64,
    events: Vec<Event>,
}

fn closed() -> HarnessError {
    HarnessError::Unexpected("the server closed the connection".to_owned())
}

fn undecodable(why: crate::raw::Malformed) -> HarnessError {
    HarnessError::Undecodable { what: "a reply".to_owned(), why: why.to_string() }
}

impl Client {
    /// A new session; tried again while the server refuses clients.
    pub fn connect(addr: SocketAddr, timeout_ms: i32) -> Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match RawConnection::connect(addr, timeout_ms) {
                Ok((connection, session)) if session.timeout_ms > 0 => {
                    return Ok(Self::over(connection, session));
                }
                Ok((_, session)) => {
                    return Err(HarnessError::Unexpected(format!("{addr}: {session:?}")));
                }
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(POLL),
            }
        }
    }

    /// Takes up a session on a server, once. `None` when it is refused as expired.
    pub fn resume(addr: SocketAddr, session: &Connected, last_zxid: i64) -> Result<Option<Self>> {
        let mut connection = RawConnection::open(addr)?;
        let password = Some(session.password.as_slice());
        let (timeout_ms, id) = (session.timeout_ms, session.session);
        let request = Frame::connect(last_zxid, timeout_ms, id, password, Some(false));
        let answer = connection.handshake(&request)?.ok_or_else(closed)?;
        if answer.timeout_ms <= 0 {
            return Ok(None);
        }
        let mut client = Self::over(connection, answer);
        client.last_zxid = last_zxid;
        Ok(Some(client))
    }

    /// Moves this session to another server, trying again while that one refuses clients. The old
    /// connection stays open in the returned client's place. `None` when the session has expired.
    pub fn move_to(&self, addr: SocketAddr) -> Result<Option<Self>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Self::resume(addr, &self.session, self.last_zxid) {
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(POLL),
                Ok(None) => return Ok(None),
                Ok(Some(mut client)) => {
                    // Apart from what is still sent on the old connection: servers tell the writes of
                    // one session apart by these.
                    client.xid = self.xid + 1000;
                    return Ok(Some(client));
                }
            }
        }
    }

    /// Speaks for a session over a connection that has shaken hands.
    pub fn over(connection: RawConnection, session: Connected) -> Self {
        Self { connection, session, xid: 0, last_zxid: 0, events: Vec::new() }
    }

    /// The session.
    pub fn session(&self) -> &Connected {
        &self.session
    }

    /// The newest zxid a reply named.
    pub fn last_zxid(&self) -> i64 {
        self.last_zxid
    }

    /// How long each wait for an answer may take.
    pub fn set_timeout(&mut self, timeout: Duration) -> Result<()> {
        self.connection.set_timeout(timeout)
    }

    /// Sends a request and does not wait.
    pub fn send(&mut self, code: i32, body: impl FnOnce(Frame) -> Frame) -> Result<i32> {
        self.xid += 1;
        self.connection.send(&body(Frame::request(self.xid, code)).done())?;
        Ok(self.xid)
    }

    /// The next reply; events before it are kept.
    pub fn receive(&mut self) -> Result<(i32, Reply)> {
        loop {
            let payload = self.connection.receive()?.ok_or_else(closed)?;
            let mut reader = Reader::new(&payload);
            let xid = reader.int().map_err(undecodable)?;
            let zxid = reader.long().map_err(undecodable)?;
            let error = reader.int().map_err(undecodable)?;
            if xid == EVENT_XID {
                let kind = reader.int().map_err(undecodable)?;
                let _state = reader.int().map_err(undecodable)?;
                let path = reader.str().map_err(undecodable)?.to_owned();
                self.events.push(Event { kind, path });
                continue;
            }
            self.last_zxid = self.last_zxid.max(zxid);
            let body = payload.get(HEADER..).unwrap_or_default().to_vec();
            return Ok((xid, Reply { zxid, error, body }));
        }
    }

    /// Sends a request and waits for its reply.
    pub fn call(&mut self, code: i32, body: impl FnOnce(Frame) -> Frame) -> Result<Reply> {
        let sent = self.send(code, body)?;
        loop {
            match self.receive()? {
                (xid, reply) if xid == sent => return Ok(reply),
                // The answer to a ping sent before.
                (-2, _) => {}
                (xid, reply) => {
                    let what = format!("{reply:?} with xid {xid} instead of {sent}");
                    return Err(HarnessError::Unexpected(what));
                }
            }
        }
    }

    /// Says that this client lives and waits for the answer.
    pub fn ping(&mut self) -> Result<()> {
        self.connection.send(&Frame::ping())?;
        match self.receive()? {
            (-2, _) => Ok(()),
            (xid, reply) => {
                Err(HarnessError::Unexpected(format!("{reply:?} with xid {xid} for a ping")))
            }
        }
    }

    /// create, with flags.
    pub fn create(&mut self, path: &str, data: &[u8], flags: i32) -> Result<Reply> {
        self.call(op::CREATE, |frame| frame.create(path, Some(data), &Acl::open(), flags))
    }

    /// setData.
    pub fn set(&mut self, path: &str, data: &[u8], version: i32) -> Result<Reply> {
        self.call(op::SET_DATA, |frame| frame.str(path).buffer(Some(data)).int(version))
    }

    /// delete.
    pub fn delete(&mut self, path: &str, version: i32) -> Result<Reply> {
        self.call(op::DELETE, |frame| frame.str(path).int(version))
    }

    /// exists.
    pub fn exists(&mut self, path: &str, watch: bool) -> Result<bool> {
        let reply = self.call(op::EXISTS, |frame| frame.str(path).bool(watch))?;
        match reply.error {
            0 => Ok(true),
            -101 => Ok(false),
            error => Err(HarnessError::Unexpected(format!("exists {path}: {error}"))),
        }
    }

    /// The data of a znode, `None` if there is none.
    pub fn get(&mut self, path: &str, watch: bool) -> Result<Option<Vec<u8>>> {
        let reply = self.call(op::GET_DATA, |frame| frame.str(path).bool(watch))?;
        match reply.error {
            0 => {
                let data = Reader::new(&reply.body).buffer().map_err(undecodable)?;
                Ok(Some(data.unwrap_or_default().to_vec()))
            }
            -101 => Ok(None),
            error => Err(HarnessError::Unexpected(format!("getData {path}: {error}"))),
        }
    }

    /// The children of a znode, sorted.
    pub fn children(&mut self, path: &str, watch: bool) -> Result<Vec<String>> {
        let reply = self.call(op::GET_CHILDREN, |frame| frame.str(path).bool(watch))?;
        if reply.error != 0 {
            return Err(HarnessError::Unexpected(format!("getChildren {path}: {}", reply.error)));
        }
        let mut reader = Reader::new(&reply.body);
        let count = reader.count().map_err(undecodable)?.unwrap_or(0);
        let names: std::result::Result<Vec<String>, _> =
            (0..count).map(|_| reader.str().map(str::to_owned)).collect();
        let mut names = names.map_err(undecodable)?;
        names.sort();
        Ok(names)
    }

    /// Waits until this server has caught up with the leader.
    pub fn sync(&mut self) -> Result<()> {
        match self.call(op::SYNC, |frame| frame.str("/"))?.error {
            0 => Ok(()),
            error => Err(HarnessError::Unexpected(format!("sync: {error}"))),
        }
    }

    /// Many writes in flight at once: `setData` of `path`, `count` times. The error codes.
    pub fn pipeline(&mut self, path: &str, count: usize) -> Result<Vec<i32>> {
        for number in 0..count {
            let data = format!("pipelined {number}");
            self.send(op::SET_DATA, |frame| frame.str(path).buffer(Some(data.as_bytes())).int(-1))?;
        }
        (0..count).map(|_| Ok(self.receive()?.1.error)).collect()
    }

    /// The events so far, waiting until there are `count`.
    pub fn events(&mut self, count: usize) -> Result<Vec<Event>> {
        let deadline = Instant::now() + PATIENCE;
        while self.events.len() < count {
            // The answer to a ping comes behind every event that was ahead of it.
            self.ping()?;
            if Instant::now() > deadline {
                break;
            }
        }
        Ok(std::mem::take(&mut self.events))
    }

    /// Closes the session.
    pub fn close(mut self) -> Result<()> {
        self.end()
    }

    /// Closes the session; this client is good for nothing afterwards.
    pub fn end(&mut self) -> Result<()> {
        self.call(op::CLOSE_SESSION, |frame| frame).map(drop)
    }
}
