//! What happens when the process runs out of descriptors. Alone in its binary, because the limit
//! it lowers is the whole process's.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rookeeper_net::{
    CloseReason, ConnId, Handler, Io, Limits, ListenOptions, ListenerTag, Reactor,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[derive(Default)]
struct Count {
    accepted: usize,
    turns: usize,
}

impl Handler for Count {
    fn on_accept(&mut self, _: &mut Io, _: ConnId, _: ListenerTag, _: SocketAddr) -> bool {
        self.accepted += 1;
        true
    }

    fn on_bytes(&mut self, _: &mut Io, _: ConnId, bytes: &[u8]) -> usize {
        bytes.len()
    }

    fn on_closed(&mut self, _: &mut Io, _: ConnId, _: CloseReason) {}

    fn on_turn_end(&mut self, _: &mut Io) {
        self.turns += 1;
    }
}

#[test]
fn accepting_rests_without_spinning_and_goes_on_when_it_can() {
    let patience = Duration::from_secs(120);
    let backoff = Duration::from_millis(100);
    let limits = Limits { accept_backoff: backoff, ..Limits::default() };
    let (mut reactor, mut count) = (Reactor::new(limits).unwrap(), Count::default());
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let addr = reactor.io().listen(any, ListenOptions::new(ListenerTag(1))).unwrap();
    let _clients = [TcpStream::connect(addr).unwrap(), TcpStream::connect(addr).unwrap()];

    // Nothing at or above the lowest free descriptor may be opened.
    let before = getrlimit(Resource::Nofile);
    let free = std::fs::File::open("/dev/null").map(|f| std::os::fd::AsRawFd::as_raw_fd(&f));
    let none_left = Rlimit { current: Some(free.unwrap() as u64), maximum: before.maximum };
    setrlimit(Resource::Nofile, none_left).unwrap();
    let start = Instant::now();
    while start.elapsed() < 3 * backoff {
        reactor.turn(&mut count, Some(backoff)).unwrap();
    }
    setrlimit(Resource::Nofile, before).unwrap();
    assert_eq!(count.accepted, 0);
    assert!(count.turns <= 10, "{} turns: it spins", count.turns);

    // The event for these connections is long gone; the end of the rest must do.
    let start = Instant::now();
    while count.accepted < 2 {
        assert!(start.elapsed() < patience, "never accepted again");
        reactor.turn(&mut count, Some(patience)).unwrap();
    }
}
