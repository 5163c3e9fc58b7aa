//! Listening and accepting.
//!
//! Accepting is bounded per turn. When the process is out of descriptors or memory the listener
//! rests for a while and says so once; connections meanwhile wait in the kernel's backlog. Options
//! of accepted sockets (TCP_NODELAY, keepalive) are set on the listening socket, from which Linux
//! copies them, so that accepting costs no calls for them.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::{Chooser, ListenerTag};

/// How to listen.
#[derive(Clone)]
pub struct ListenOptions {
    /// Handed back with every connection.
    pub tag: ListenerTag,
    /// Length of the kernel's queue of connections not accepted yet.
    pub backlog: i32,
    /// For IPv6 addresses: true refuses IPv4, false makes `[::]` serve both families.
    pub v6_only: bool,
    /// Sets SO_KEEPALIVE on accepted connections.
    pub keepalive: bool,
    /// Decides about a layer between socket and connection; without it all is plain.
    pub chooser: Option<Arc<dyn Chooser>>,
}

impl ListenOptions {
    /// Dual stack, plain, no keepalive, a backlog of 1024.
    pub fn new(tag: ListenerTag) -> ListenOptions {
        ListenOptions { tag, backlog: 1024, v6_only: false, keepalive: false, chooser: None }
    }
}

impl fmt::Debug for ListenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenOptions")
            .field("tag", &self.tag)
            .field("backlog", &self.backlog)
            .field("v6_only", &self.v6_only)
            .field("keepalive", &self.keepalive)
            .field("chooser", &self.chooser.is_some())
            .finish()
    }
}

/// What one try to accept brought.
#[derive(Debug)]
pub(crate) enum Accepted {
    Conn(TcpStream, SocketAddr),
    /// That one was not to be had (its peer is gone, say); there may be others.
    Lost,
    /// None is waiting.
    Drained,
    /// Out of descriptors or memory.
    Exhausted(io::Error),
}

#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    pub(crate) tag: ListenerTag,
    pub(crate) chooser: Option<Arc<dyn Chooser>>,
    /// Connections may be waiting.
    pub(crate) ready: bool,
    /// Rests until then.
    pub(crate) rests_until: Option<Instant>,
    /// The trouble was logged and has not ended since.
    pub(crate) in_trouble: bool,
}

impl fmt::Debug for dyn Chooser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chooser")
    }
}

impl Listener {
    pub(crate) fn open(
        addr: SocketAddr,
        options: ListenOptions,
        registry: &Registry,
        token: Token,
    ) -> io::Result<(Listener, SocketAddr)> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        // A restarted server must get its port although old connections are in TIME_WAIT.
        socket.set_reuse_address(true)?;
        if addr.is_ipv6() {
            socket.set_only_v6(options.v6_only)?;
        }
        socket.set_tcp_nodelay(true)?;
        socket.set_keepalive(options.keepalive)?;
        socket.bind(&SockAddr::from(addr))?;
        socket.listen(options.backlog)?;
        let mut socket = TcpListener::from_std(socket.into());
        registry.register(&mut socket, token, Interest::READABLE)?;
        let bound = socket.local_addr()?;
        let listener = Listener {
            socket,
            tag: options.tag,
            chooser: options.chooser,
            ready: false,
            rests_until: None,
            in_trouble: false,
        };
        Ok((listener, bound))
    }

    pub(crate) fn accept(&mut self) -> Accepted {
        match self.socket.accept() {
            Ok((stream, peer)) => Accepted::Conn(stream, peer),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Accepted::Drained,
            Err(error) if out_of_resources(&error) => Accepted::Exhausted(error),
            // accept(2): errors of the new connection are reported here; go on with the next.
            Err(error) => {
                tracing::debug!(%error, "a connection was lost while being accepted");
                Accepted::Lost
            }
        }
    }
}

fn out_of_resources(error: &io::Error) -> bool {
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    exhausted.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use mio::Poll;
    use socket2::SockRef;

    use super::*;

    #[test]
    fn accepted_sockets_inherit_their_options() {
        let poll = Poll::new().unwrap();
        let options = ListenOptions { keepalive: true, ..ListenOptions::new(ListenerTag(1)) };
        let any = "127.0.0.1:0".parse().unwrap();
        let (mut listener, addr) = Listener::open(any, options, poll.registry(), Token(1)).unwrap();
        let _client = std::net::TcpStream::connect(addr).unwrap();
        let Accepted::Conn(stream, _) = listener.accept() else { panic!("none is waiting") };
        assert!(stream.nodelay().unwrap());
        assert!(SockRef::from(&stream).keepalive().unwrap());
    }
}
