//! A reactor with a scripted handler, and blocking clients beside it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rookeeper_net::{
    CloseReason, ConnId, Handler, Io, Limits, ListenOptions, ListenerTag, Reactor, Waker,
};

pub(crate) const TAG: ListenerTag = ListenerTag(7);

/// No test waits longer for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

type OnBytes = Box<dyn FnMut(&mut Io, ConnId, &[u8]) -> usize>;

/// Records what it is told; `bytes` decides about input.
pub(crate) struct Script {
    pub(crate) bytes: OnBytes,
    pub(crate) keep: bool,
    pub(crate) accepted: Vec<(ConnId, ListenerTag, SocketAddr)>,
    pub(crate) connected: Vec<(ConnId, u32)>,
    pub(crate) failed: Vec<(ConnId, u32, io::Error)>,
    pub(crate) closed: Vec<(ConnId, CloseReason)>,
    pub(crate) wakes: usize,
    pub(crate) turns: usize,
    pub(crate) deadline: Option<Instant>,
    pub(crate) timers: Vec<Instant>,
}

impl Script {
    pub(crate) fn new(bytes: impl FnMut(&mut Io, ConnId, &[u8]) -> usize + 'static) -> Script {
        Script {
            bytes: Box::new(bytes),
            keep: true,
            accepted: Vec::new(),
            connected: Vec::new(),
            failed: Vec::new(),
            closed: Vec::new(),
            wakes: 0,
            turns: 0,
            deadline: None,
            timers: Vec::new(),
        }
    }

    pub(crate) fn why(&self, conn: ConnId) -> Option<&CloseReason> {
        let mut reasons = self.closed.iter().filter(|(closed, _)| *closed == conn);
        let why = reasons.next();
        assert!(reasons.next().is_none(), "on_closed was called twice for {conn}");
        why.map(|(_, why)| why)
    }
}

impl Handler for Script {
    fn on_accept(&mut self, _: &mut Io, conn: ConnId, tag: ListenerTag, peer: SocketAddr) -> bool {
        self.accepted.push((conn, tag, peer));
        self.keep
    }

    fn on_connected(&mut self, _: &mut Io, conn: ConnId, tag: u32) {
        self.connected.push((conn, tag));
    }

    fn on_connect_failed(&mut self, _: &mut Io, conn: ConnId, tag: u32, error: io::Error) {
        self.failed.push((conn, tag, error));
    }

    fn on_bytes(&mut self, io: &mut Io, conn: ConnId, bytes: &[u8]) -> usize {
        (self.bytes)(io, conn, bytes)
    }

    fn on_closed(&mut self, io: &mut Io, conn: ConnId, why: CloseReason) {
        assert!(io.out(conn).is_none(), "the id is stale by then");
        self.closed.push((conn, why));
    }

    fn on_wake(&mut self, _: &mut Io) {
        self.wakes += 1;
    }

    fn on_turn_end(&mut self, _: &mut Io) {
        self.turns += 1;
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn on_timer(&mut self, _: &mut Io, now: Instant) {
        self.timers.push(now);
        self.deadline = None;
    }
}

pub(crate) struct Rig {
    pub(crate) reactor: Reactor,
    pub(crate) script: Script,
    pub(crate) addr: SocketAddr,
}

impl Rig {
    pub(crate) fn new(script: Script) -> Rig {
        Rig::with(Limits::default(), ListenOptions::new(TAG), script)
    }

    pub(crate) fn with(limits: Limits, options: ListenOptions, script: Script) -> Rig {
        let mut reactor = Reactor::new(limits).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let addr = reactor.io().listen(any, options).unwrap();
        Rig { reactor, script, addr }
    }

    pub(crate) fn io(&mut self) -> &mut Io {
        self.reactor.io()
    }

    pub(crate) fn waker(&self) -> Waker {
        self.reactor.waker()
    }

    /// One turn that does not sleep.
    pub(crate) fn turn(&mut self) {
        self.reactor.turn(&mut self.script, Some(Duration::ZERO)).unwrap();
    }

    /// Turns until the condition holds.
    pub(crate) fn until(
        &mut self,
        what: &str,
        mut holds: impl FnMut(&mut Script, &mut Io) -> bool,
    ) {
        let start = Instant::now();
        while !holds(&mut self.script, self.reactor.io()) {
            assert!(start.elapsed() < PATIENCE, "never happened: {what}");
            let nap = Some(Duration::from_millis(20));
            self.reactor.turn(&mut self.script, nap).unwrap();
        }
    }

    /// A client, and the id the reactor knows it by.
    pub(crate) fn client(&mut self) -> (TcpStream, ConnId) {
        let client = TcpStream::connect(self.addr).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.set_nodelay(true).unwrap();
        let local = client.local_addr().unwrap();
        let known = |script: &Script| {
            let found = script.accepted.iter().find(|(_, _, peer)| *peer == local);
            found.map(|(conn, _, _)| *conn)
        };
        self.until("the client is accepted", |script, _| known(script).is_some());
        (client, known(&self.script).unwrap())
    }

    pub(crate) fn until_closed(&mut self, conn: ConnId) -> &CloseReason {
        self.until("the connection is closed", |script, _| script.why(conn).is_some());
        self.script.why(conn).unwrap()
    }

    /// Turns until the client has received `count` bytes; false in the end if it closed before.
    pub(crate) fn receive(&mut self, client: &mut TcpStream, count: usize) -> Vec<u8> {
        client.set_nonblocking(true).unwrap();
        let mut received = vec![0; count];
        let mut have = 0;
        self.until("the client receives enough", |_, _| {
            while have < count {
                match client.read(&mut received[have..]) {
                    Ok(0) => panic!("closed after {have} of {count} bytes"),
                    Ok(n) => have += n,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                    Err(error) => panic!("{error} after {have} of {count} bytes"),
                }
            }
            true
        });
        client.set_nonblocking(false).unwrap();
        received
    }

    /// Turns until the client sees the end; returns what came before.
    pub(crate) fn receive_to_end(&mut self, client: &mut TcpStream) -> io::Result<Vec<u8>> {
        client.set_nonblocking(true).unwrap();
        let (mut received, mut room) = (Vec::new(), vec![0; 1 << 16]);
        let mut end = None;
        self.until("the client sees the end", |_, _| {
            loop {
                match client.read(&mut room) {
                    Ok(0) => end = Some(Ok(())),
                    Ok(n) => {
                        received.extend_from_slice(&room[..n]);
                        continue;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                    Err(error) => end = Some(Err(error)),
                }
                return true;
            }
        });
        end.unwrap().map(|()| received)
    }

    /// Sends as much as the kernel takes.
    pub(crate) fn flood(client: &mut TcpStream, chunk: &[u8]) -> usize {
        client.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while let Ok(count) = client.write(chunk) {
            sent += count;
        }
        client.set_nonblocking(false).unwrap();
        sent
    }
}

/// Length-prefixed frames: calls `each` with every complete body.
pub(crate) fn frames(
    io: &mut Io,
    conn: ConnId,
    bytes: &[u8],
    mut each: impl FnMut(&mut Io, &[u8]),
) -> usize {
    let mut used = 0;
    loop {
        let rest = &bytes[used..];
        let Some((head, body)) = rest.split_first_chunk::<4>() else {
            io.want(conn, 4);
            return used;
        };
        let len = u32::from_be_bytes(*head) as usize;
        if body.len() < len {
            io.want(conn, 4 + len);
            return used;
        }
        each(io, &body[..len]);
        used += 4 + len;
    }
}

pub(crate) fn frame(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_be_bytes(), body].concat()
}

/// Answers every frame with itself.
pub(crate) fn echo() -> Script {
    Script::new(|io, conn, bytes| {
        frames(io, conn, bytes, |io, body| {
            if let Some(out) = io.out(conn) {
                out.extend_from_slice(&frame(body));
            }
        })
    })
}
