//! A blocking session on one socket, for the preparation before the load.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rookeeper_proto::client::{ConnectRequest, ConnectResponse, ReplyHeader, Request};
use rookeeper_proto::{Reader, SessionId, Xid, Zxid};

use crate::workload::frame;

/// How long a server may take to answer while preparing.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Requests in flight while preparing.
const WINDOW: usize = 256;

/// An open session.
#[derive(Debug)]
pub(crate) struct Session {
    stream: TcpStream,
    xid: i32,
}

/// Appends the ConnectRequest of a new session.
pub(crate) fn connect_frame(timeout_ms: i32, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms,
        session: SessionId::NONE,
        password: Some(&[0; 16]),
        read_only: Some(false),
    }
    .write(out);
    let len = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

impl Session {
    /// Connects and opens a session.
    pub(crate) fn open(address: SocketAddr, timeout_ms: i32) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("cannot connect to {address}: {error}");
        let stream = TcpStream::connect_timeout(&address, TIMEOUT).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_read_timeout(Some(TIMEOUT)).map_err(failed)?;
        let mut this = Self { stream, xid: 0 };
        let mut out = Vec::new();
        connect_frame(timeout_ms, &mut out);
        this.stream.write_all(&out).map_err(failed)?;
        let answer = this.read_frame()?;
        let response = ConnectResponse::read(&mut Reader::new(&answer))
            .map_err(|error| format!("{address} answers strangely: {error}"))?;
        if response.session == SessionId::NONE {
            return Err(format!("{address} gives no session"));
        }
        Ok(this)
    }

    fn read_frame(&mut self) -> Result<Vec<u8>, String> {
        let failed = |error: std::io::Error| format!("the server does not answer: {error}");
        let mut len = [0; 4];
        self.stream.read_exact(&mut len).map_err(failed)?;
        let mut frame = vec![0; u32::from_be_bytes(len) as usize];
        self.stream.read_exact(&mut frame).map_err(failed)?;
        Ok(frame)
    }

    /// Sends all requests, many in flight, and accepts the errors that `is_fine` accepts.
    pub(crate) fn run<'a>(
        &mut self,
        requests: impl Iterator<Item = Request<'a>>,
        is_fine: impl Fn(i32) -> bool,
    ) -> Result<(), String> {
        let mut out = Vec::new();
        let mut in_flight = 0;
        let mut requests = requests.peekable();
        while requests.peek().is_some() || 0 < in_flight {
            while in_flight < WINDOW
                && let Some(request) = requests.next()
            {
                self.xid += 1;
                frame(Xid(self.xid), &request, &mut out);
                in_flight += 1;
            }
            self.stream.write_all(&out).map_err(|error| format!("cannot send: {error}"))?;
            out.clear();
            let batch = in_flight.div_ceil(2);
            for _ in 0..batch {
                let frame = self.read_frame()?;
                let header = ReplyHeader::read(&mut Reader::new(&frame))
                    .map_err(|error| format!("a reply cannot be decoded: {error}"))?;
                if header.err != 0 && !is_fine(header.err) {
                    return Err(format!("preparing the load failed with error {}", header.err));
                }
                in_flight -= 1;
            }
        }
        Ok(())
    }
}
