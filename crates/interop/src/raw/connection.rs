//! A client connection for tests: frames out, frames in, each wait with a deadline.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::frame::{Frame, framed};
use super::reader::Reader;
use crate::{HarnessError, Result};

/// How long to wait for a server that should answer.
pub const PATIENCE: Duration = Duration::from_secs(60);

const READ_CHUNK: usize = 64 * 1024;

/// What a ConnectResponse says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// The negotiated timeout; 0 when the session was refused.
    pub timeout_ms: i32,
    /// The session id.
    pub session: i64,
    /// The password to resume it with.
    pub password: Vec<u8>,
    /// The whole payload.
    pub payload: Vec<u8>,
}

/// A TCP connection that sends and receives frames.
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
    input: Vec<u8>,
    consumed: usize,
    timeout: Duration,
}

impl RawConnection {
    /// Connects without saying anything yet.
    pub fn open(addr: SocketAddr) -> Result<Self> {
        let io = || HarnessError::io(format!("connecting to {addr}"));
        let stream = TcpStream::connect_timeout(&addr, PATIENCE).map_err(io())?;
        stream.set_nodelay(true).map_err(io())?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(io())?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(io())?;
        Ok(Self { stream, input: Vec::new(), consumed: 0, timeout: PATIENCE })
    }

    /// Connects and opens a new session.
    pub fn connect(addr: SocketAddr, timeout_ms: i32) -> Result<(Self, Connected)> {
        let mut connection = Self::open(addr)?;
        let request = Frame::connect(0, timeout_ms, 0, Some(&[0; 16]), Some(false));
        let connected = connection.handshake(&request)?.ok_or_else(|| {
            HarnessError::Unexpected(format!("{addr} closed instead of opening a session"))
        })?;
        Ok((connection, connected))
    }

    /// Sends a ConnectRequest; `None` when the server closes instead of answering.
    pub fn handshake(&mut self, request: &[u8]) -> Result<Option<Connected>> {
        self.send(request)?;
        let Some(payload) = self.receive()? else { return Ok(None) };
        let undecodable = |why: super::Malformed| HarnessError::Undecodable {
            what: "a ConnectResponse".to_owned(),
            why: why.to_string(),
        };
        let mut reader = Reader::new(&payload);
        let mut fields = || {
            let _version = reader.int()?;
            let timeout_ms = reader.int()?;
            let session = reader.long()?;
            let password = reader.buffer()?.unwrap_or_default().to_vec();
            Ok((timeout_ms, session, password))
        };
        let (timeout_ms, session, password) = fields().map_err(undecodable)?;
        Ok(Some(Connected { timeout_ms, session, password, payload }))
    }

    /// How long each wait may take from now on.
    pub fn set_timeout(&mut self, timeout: Duration) -> Result<()> {
        self.timeout = timeout;
        self.stream
            .set_read_timeout(Some(timeout))
            .map_err(HarnessError::io("setting a read timeout"))
    }

    /// Sends one payload as a frame.
    pub fn send(&mut self, payload: &[u8]) -> Result<()> {
        self.send_bytes(&framed(payload))
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        match self.stream.write_all(bytes) {
            // The server may close while it is being written to; what it said before still counts.
            Err(error) if is_closed(error.kind()) => Ok(()),
            result => result.map_err(HarnessError::io("sending")),
        }
    }

    /// The next frame's payload, or `None` when the server has closed.
    pub fn receive(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(header) = self.fill(4)? else { return self.closed_at_a_boundary() };
        let length = i32::from_be_bytes(header.try_into().expect("four bytes were asked for"));
        let length = usize::try_from(length).map_err(|_| HarnessError::Undecodable {
            what: "a frame".to_owned(),
            why: format!("its length is {length}"),
        })?;
        let Some(frame) = self.fill(4 + length)? else { return self.closed_at_a_boundary() };
        let payload = frame[4..].to_vec();
        self.consumed += 4 + length;
        Ok(Some(payload))
    }

    /// Waits for the server to close; anything it says instead is an error.
    pub fn expect_close(&mut self) -> Result<()> {
        match self.receive()? {
            None => Ok(()),
            Some(payload) => Err(HarnessError::Unexpected(format!(
                "a frame of {} bytes came instead of the end of the connection",
                payload.len()
            ))),
        }
    }

    /// Closes this side, reads what still comes and waits for the server to close.
    pub fn finish(&mut self) -> Result<()> {
        // An error means the server has closed already.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        while self.receive()?.is_some() {}
        Ok(())
    }

    /// Sends a payload and returns the next frame, whatever it is.
    pub fn call(&mut self, payload: &[u8]) -> Result<Option<Vec<u8>>> {
        self.send(payload)?;
        self.receive()
    }

    /// The first `count` unconsumed bytes, reading as needed; `None` at the end of the stream.
    fn fill(&mut self, count: usize) -> Result<Option<&[u8]>> {
        if self.consumed > 0 && self.consumed == self.input.len() {
            self.input.clear();
            self.consumed = 0;
        }
        while self.input.len() - self.consumed < count {
            let before = self.input.len();
            self.input.resize(before + READ_CHUNK, 0);
            let read = self.stream.read(&mut self.input[before..]);
            self.input.truncate(before + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if is_closed(error.kind()) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let what = format!("waiting {:?} for a frame", self.timeout);
                    return Err(HarnessError::io(what)(error));
                }
            }
        }
        Ok(self.input.get(self.consumed..self.consumed + count))
    }

    fn closed_at_a_boundary(&self) -> Result<Option<Vec<u8>>> {
        match self.input.len() - self.consumed {
            0 => Ok(None),
            left => Err(HarnessError::Undecodable {
                what: "a frame".to_owned(),
                why: format!("the server closed after {left} bytes of it"),
            }),
        }
    }
}

fn is_closed(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe
    )
}
