//! How long it takes until a server, or the first of several, answers; and whether one let go of a client.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rookeeper_interop::client::Client;
use rookeeper_interop::raw::codes::op;
use rookeeper_interop::raw::{Frame, RawConnection};

/// A Java server that is starting leaves early connections hanging; the next attempt must not wait for it.
const ATTEMPT: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(120);
/// Longer than any election here takes: nobody is let go for silence.
const IDLE_TIMEOUT_MS: i32 = 30_000;
const SESSION_TIMEOUT_MS: i32 = 10_000;
/// Of a reply: xid, zxid, error.
const ERROR_AT: usize = 12;

/// What counts as an answer.
#[derive(Clone, Copy)]
pub(crate) enum Probe {
    /// The data of the root.
    Read,
    /// A setData of the root.
    Write,
}

impl Probe {
    fn frame(self) -> Vec<u8> {
        match self {
            Self::Read => Frame::request(1, op::GET_DATA).str("/").bool(false).done(),
            Self::Write => {
                Frame::request(1, op::SET_DATA).str("/").buffer(Some(b"")).int(-1).done()
            }
        }
    }
}

fn attempt(addr: SocketAddr, probe: Probe) -> rookeeper_interop::Result<bool> {
    let mut connection = RawConnection::open(addr)?;
    connection.set_timeout(ATTEMPT)?;
    let request = Frame::connect(0, SESSION_TIMEOUT_MS, 0, Some(&[0; 16]), Some(false));
    if connection.handshake(&request)?.is_none_or(|session| session.timeout_ms <= 0) {
        return Ok(false);
    }
    let reply = connection.call(&probe.frame())?;
    Ok(reply.is_some_and(|reply| reply.get(ERROR_AT..ERROR_AT + 4) == Some(&[0; 4])))
}

/// Milliseconds since `began` when the first of the servers answered.
pub(crate) fn first_answer(
    servers: &[SocketAddr],
    probe: Probe,
    began: Instant,
) -> Result<f64, String> {
    let is_over = AtomicBool::new(false);
    let ask = |addr: SocketAddr| {
        while !is_over.load(Ordering::Relaxed) && began.elapsed() < PATIENCE {
            if matches!(attempt(addr, probe), Ok(true)) {
                is_over.store(true, Ordering::Relaxed);
                return Some(began.elapsed().as_secs_f64() * 1000.0);
            }
            std::thread::sleep(PAUSE);
        }
        None
    };
    let times: Vec<f64> = std::thread::scope(|scope| {
        let threads: Vec<_> = servers.iter().map(|&addr| scope.spawn(move || ask(addr))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok().flatten()).collect()
    });
    let first = times.into_iter().min_by(f64::total_cmp);
    first.ok_or_else(|| format!("no server answered within {} s", PATIENCE.as_secs()))
}

/// A client that does nothing.
pub(crate) struct IdleConnection(Client);

impl IdleConnection {
    /// One with a session of its own.
    pub(crate) fn open(addr: SocketAddr) -> Result<Self, String> {
        let client = Client::connect(addr, IDLE_TIMEOUT_MS);
        client.map(Self).map_err(|error| format!("cannot connect to {addr}: {error}"))
    }

    /// True if it is answered no more.
    pub(crate) fn is_dropped(&mut self) -> bool {
        self.0.ping().is_err()
    }
}
