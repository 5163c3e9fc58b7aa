//! Outgoing connections: names are resolved anew each time, off the core thread, and the addresses are
//! tried one after the other.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use rookeeper_net::{ConnId, Io};
use rookeeper_proto::Sid;
use rookeeper_zab::Address;

/// What is dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Election(Sid),
    Leader,
}

/// One attempt.
#[derive(Debug)]
pub(super) struct Dial {
    tag: u32,
    pub(super) target: Target,
    /// Still to be tried, best last.
    addresses: Vec<SocketAddr>,
    conn: Option<ConnId>,
    deadline: Instant,
}

/// All attempts under way.
#[derive(Debug)]
pub(super) struct Dials {
    timeout: Duration,
    next_tag: u32,
    all: Vec<Dial>,
}

impl Dials {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, next_tag: 0, all: Vec::new() }
    }

    /// Begins to dial. Literal addresses are tried at once; names are resolved on a thread of their
    /// own, which calls `done`.
    pub(super) fn start(
        &mut self,
        target: Target,
        addresses: Vec<Address>,
        io: &mut Io,
        done: impl FnOnce(u32, Vec<SocketAddr>) + Send + 'static,
    ) {
        self.next_tag = self.next_tag.wrapping_add(1);
        let tag = self.next_tag;
        let deadline = io.now() + self.timeout;
        let mut dial = Dial { tag, target, addresses: Vec::new(), conn: None, deadline };
        if let Some(mut literal) = literals(&addresses) {
            literal.reverse();
            dial.addresses = literal;
            if !self.next_address(dial, io) {
                done(tag, Vec::new());
            }
            return;
        }
        self.all.push(dial);
        // Without a thread the dial ends at its deadline.
        let _ = std::thread::Builder::new()
            .name("rookeeper-resolve".to_owned())
            .spawn(move || done(tag, resolve(&addresses)));
    }

    /// Tries the next address of a dial. False when there is none.
    pub(super) fn next_address(&mut self, mut dial: Dial, io: &mut Io) -> bool {
        let Some(address) = dial.addresses.pop() else { return false };
        dial.conn = Some(io.connect(address, dial.tag));
        self.all.push(dial);
        true
    }

    /// A name was resolved. Returns the dial, taken out, to be tried or given up.
    pub(super) fn resolved(&mut self, tag: u32, mut addresses: Vec<SocketAddr>) -> Option<Dial> {
        let mut dial = self.take(tag)?;
        dial.deadline = Instant::now() + self.timeout;
        addresses.reverse();
        dial.addresses = addresses;
        Some(dial)
    }

    pub(super) fn take(&mut self, tag: u32) -> Option<Dial> {
        let position = self.all.iter().position(|dial| dial.tag == tag)?;
        Some(self.all.swap_remove(position))
    }

    pub(super) fn take_by_conn(&mut self, conn: ConnId) -> Option<Dial> {
        let position = self.all.iter().position(|dial| dial.conn == Some(conn))?;
        Some(self.all.swap_remove(position))
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.all.iter().map(|dial| dial.deadline).min()
    }

    /// Closes what takes too long; `on_closed` follows, and with it the next address or the end.
    /// Returns the dials whose names were not resolved in time: they have failed.
    pub(super) fn expire(&mut self, now: Instant, io: &mut Io) -> Vec<Dial> {
        for dial in &mut self.all {
            if dial.deadline <= now
                && let Some(conn) = dial.conn
            {
                dial.deadline = now + self.timeout;
                io.close_now(conn);
            }
        }
        self.all.extract_if(.., |dial| dial.deadline <= now && dial.conn.is_none()).collect()
    }
}

fn literals(addresses: &[Address]) -> Option<Vec<SocketAddr>> {
    addresses
        .iter()
        .map(|address| {
            let ip: IpAddr = address.host.parse().ok()?;
            Some(SocketAddr::new(ip, address.port))
        })
        .collect()
}

/// Every address of every name, in order; names that do not resolve (yet) are left out.
pub(super) fn resolve(addresses: &[Address]) -> Vec<SocketAddr> {
    addresses
        .iter()
        .filter_map(|address| (address.host.as_str(), address.port).to_socket_addrs().ok())
        .flatten()
        .collect()
}
