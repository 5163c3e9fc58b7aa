//! What the reactor costs: a length-prefixed echo server and a load generator, both on a reactor.
//!
//! `cargo run --release -p rookeeper-net --example echo [connections] [in flight] [seconds] [body]`
//! prints operations per second and the processor time of the server's thread per operation.

use std::env;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rookeeper_net::{
    CloseReason, ConnId, Handler, Io, Limits, ListenOptions, ListenerTag, Reactor,
};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Calls `each` with every complete frame (length included); says how many bytes they were.
fn frames(io: &mut Io, conn: ConnId, bytes: &[u8], mut each: impl FnMut(&mut Io, &[u8])) -> usize {
    let mut used = 0;
    while let Some((head, body)) = bytes.get(used..).and_then(|rest| rest.split_first_chunk::<4>())
    {
        let len = u32::from_be_bytes(*head) as usize;
        if body.len() < len {
            io.want(conn, 4 + len);
            break;
        }
        let end = used + 4 + len;
        each(io, bytes.get(used..end).unwrap_or_default());
        used = end;
    }
    used
}

#[derive(Default)]
struct Echo {
    ops: u64,
    turns: u64,
    stop: Arc<AtomicBool>,
}

impl Handler for Echo {
    fn on_accept(&mut self, _: &mut Io, _: ConnId, _: ListenerTag, _: SocketAddr) -> bool {
        true
    }

    fn on_bytes(&mut self, io: &mut Io, conn: ConnId, bytes: &[u8]) -> usize {
        frames(io, conn, bytes, |io, frame| {
            self.ops += 1;
            if let Some(out) = io.out(conn) {
                out.extend_from_slice(frame);
            }
        })
    }

    fn on_closed(&mut self, _: &mut Io, _: ConnId, _: CloseReason) {}

    fn on_turn_end(&mut self, _: &mut Io) {
        self.turns += 1;
    }

    fn on_wake(&mut self, io: &mut Io) {
        if self.stop.load(Ordering::Acquire) {
            io.stop();
        }
    }
}

struct Load {
    frame: Vec<u8>,
    in_flight: usize,
    until: Instant,
}

impl Handler for Load {
    fn on_accept(&mut self, _: &mut Io, _: ConnId, _: ListenerTag, _: SocketAddr) -> bool {
        false
    }

    fn on_connected(&mut self, io: &mut Io, conn: ConnId, _: u32) {
        if let Some(out) = io.out(conn) {
            out.extend_from_slice(&self.frame.repeat(self.in_flight));
        }
    }

    fn on_bytes(&mut self, io: &mut Io, conn: ConnId, bytes: &[u8]) -> usize {
        frames(io, conn, bytes, |io, _| {
            if let Some(out) = io.out(conn) {
                out.extend_from_slice(&self.frame);
            }
        })
    }

    fn on_closed(&mut self, _: &mut Io, _: ConnId, why: CloseReason) {
        if !matches!(why, CloseReason::Stopped) {
            eprintln!("connection lost: {why}");
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        Some(self.until)
    }

    fn on_timer(&mut self, io: &mut Io, _: Instant) {
        io.stop();
    }
}

fn thread_cpu() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(tv_sec as u64, tv_nsec as u32)
}

fn argument(index: usize, default: usize) -> usize {
    env::args().nth(index).and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() -> std::io::Result<()> {
    let (connections, in_flight) = (argument(1, 64), argument(2, 16));
    let (seconds, body) = (argument(3, 3), argument(4, 96));

    let mut reactor = Reactor::new(Limits::default())?;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let addr = reactor.io().listen(any, ListenOptions::new(ListenerTag(0)))?;
    let (stop, waker) = (Arc::new(AtomicBool::new(false)), reactor.waker());
    let mut echo = Echo { stop: stop.clone(), ..Echo::default() };
    let server = thread::spawn(move || {
        let before = thread_cpu();
        let result = reactor.run(&mut echo);
        (result, thread_cpu() - before, echo.ops, echo.turns)
    });

    let mut frame = (body as u32).to_be_bytes().to_vec();
    frame.resize(4 + body, b'x');
    let time = Duration::from_secs(seconds as u64);
    let mut load = Load { frame, in_flight, until: Instant::now() + time };
    let mut generator = Reactor::new(Limits::default())?;
    for _ in 0..connections {
        generator.io().connect(addr, 0);
    }
    let before = thread_cpu();
    generator.run(&mut load)?;
    let load_cpu = thread_cpu() - before;
    stop.store(true, Ordering::Release);
    waker.wake();

    let Ok((result, cpu, ops, turns)) = server.join() else {
        return Err(std::io::Error::other("the server's thread panicked"));
    };
    result?;
    let per_op = |cpu: Duration| cpu.as_secs_f64() * 1e6 / ops.max(1) as f64;
    println!(
        "{connections} x {in_flight}, {body}-byte bodies: {:.0} ops/s, {:.1} ops per turn, \
         server {:.3} us of processor per op, generator {:.3}",
        ops as f64 / time.as_secs_f64(),
        ops as f64 / turns.max(1) as f64,
        per_op(cpu),
        per_op(load_cpu),
    );
    Ok(())
}
