//! Clients that misbehave, against the binary: whatever one of them does, the others are served, memory
//! stays bounded, and what was asked for properly still arrives.

use std::net::{SocketAddr, TcpStream};
use std::thread;

use rookeeper_interop::raw::codes::op;
use rookeeper_interop::raw::{Acl, Frame, RawConnection};
use rookeeper_interop::{Flavour, Server, ServerConfig, fourletter};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn server(config: ServerConfig) -> Server {
    Server::start(Flavour::Rookeeper, config).expect("a server")
}

fn session(addr: SocketAddr) -> RawConnection {
    RawConnection::connect(addr, 30_000).expect("a session").0
}

/// The error code of a reply.
fn code(reply: &[u8]) -> i32 {
    let code = reply.get(12..16).and_then(|code| code.try_into().ok()).expect("a reply's header");
    i32::from_be_bytes(code)
}

fn ok(session: &mut RawConnection, request: Frame) -> Vec<u8> {
    let reply = session.call(&request.done()).expect("a reply").expect("not the end");
    assert_eq!(code(&reply), 0);
    reply
}

/// Another client, from its handshake to its end.
fn others_are_served(addr: SocketAddr, path: &str) {
    let mut session = session(addr);
    ok(&mut session, Frame::request(1, op::CREATE).create(path, Some(b"x"), &Acl::open(), 0));
    let data = ok(&mut session, Frame::request(2, op::GET_DATA).str(path).bool(false));
    assert_eq!(data.get(16..21), Some(&b"\0\0\0\x01x"[..]));
    ok(&mut session, Frame::request(3, op::DELETE).str(path).int(-1));
    session.call(&Frame::close_session(4)).expect("an answer");
}

fn figure(addr: SocketAddr, name: &str) -> u64 {
    let figures = fourletter::ask(addr, "mntr").expect("an answer");
    let value = figures.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name}: {figures}"))
}

/// The most memory a process has held, in bytes.
fn peak_memory(server: &Server) -> u64 {
    let pid = server.pid().expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a figure");
    let kib: u64 = line.trim_end_matches("kB").trim().parse().expect("a number");
    kib << 10
}

/// Ten thousand, or what this machine's limit allows.
#[test]
fn connections_that_say_nothing() {
    let limit = getrlimit(Resource::Nofile);
    // The server raises its own.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let room = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let count = usize::try_from(room.saturating_sub(1000).min(10_000)).expect("a small number");
    assert!(0 < count, "no test with a limit of {room} open files");
    // Long enough that none of them is closed before the last is open.
    let config = ServerConfig::new().property("zookeeper.nio.sessionlessCnxnTimeout", 3_600_000);
    let server = server(config);
    let mut silent = Vec::with_capacity(count);
    for number in 0..count {
        silent.push(TcpStream::connect(server.addr()).expect("a connection"));
        // An answer says that those before were accepted. The kernel's queue of those that were not is
        // short on some machines, and a connection that finds no room in it waits for a second.
        if number % 100 == 99 {
            assert_eq!(fourletter::ask(server.addr(), "ruok").expect("an answer"), "imok");
        }
    }
    others_are_served(server.addr(), "/beside-silence");
    let alive = figure(server.addr(), "zk_num_alive_connections");
    assert!(count as u64 <= alive, "{alive} of {count} connections");
    let memory = peak_memory(&server);
    assert!(memory < (100 << 20) + count as u64 * 16_384, "{memory} bytes for {count} connections");
    drop(silent);
    others_are_served(server.addr(), "/behind-silence");
}

/// Those who say nothing are sent away in time.
#[test]
fn silence_has_an_end() {
    let config = ServerConfig::new().property("zookeeper.nio.sessionlessCnxnTimeout", 200);
    let server = server(config);
    // On a busy machine a few may be too late.
    let session = (0..100).find_map(|_| RawConnection::connect(server.addr(), 40_000).ok());
    let mut session = session.expect("who speaks in time has a session").0;
    let mut silent = RawConnection::open(server.addr()).expect("a connection");
    silent.expect_close().expect("closed");
    ok(&mut session, Frame::request(1, op::EXISTS).str("/").bool(false));
}

#[test]
fn a_connect_storm() {
    const THREADS: usize = 16;
    const EACH: usize = 40;
    let server = server(ServerConfig::new());
    let addr = server.addr();
    let storm: Vec<_> = (0..THREADS)
        .map(|number| {
            thread::spawn(move || {
                for round in 0..EACH {
                    let mut session = session(addr);
                    match (number + round) % 3 {
                        // Ends as it should, with a request on its way, or in the middle of a frame.
                        0 => drop(session.call(&Frame::close_session(1)).expect("an answer")),
                        1 => session.send(&Frame::ping()).expect("sent"),
                        _ => session.send_bytes(&[0, 0, 1]).expect("sent"),
                    }
                }
            })
        })
        .collect();
    storm.into_iter().for_each(|thread| thread.join().expect("every session was opened"));
    others_are_served(addr, "/behind-the-storm");
}

#[test]
fn byte_by_byte() {
    let server = server(ServerConfig::new());
    let mut client = RawConnection::open(server.addr()).expect("a connection");
    let hello = Frame::connect(0, 10_000, 0, Some(&[0; 16]), Some(false));
    let create = Frame::request(1, op::CREATE).create("/slowly", Some(b"x"), &Acl::open(), 0);
    for payload in [hello, create.done()] {
        let frame = [&(payload.len() as u32).to_be_bytes()[..], &payload].concat();
        for byte in frame {
            client.send_bytes(&[byte]).expect("sent");
        }
        client.receive().expect("a reply").expect("not the end");
    }
    let data = ok(&mut client, Frame::request(2, op::GET_DATA).str("/slowly").bool(false));
    assert_eq!(data.get(16..21), Some(&b"\0\0\0\x01x"[..]));
}

/// Before the handshake and behind it.
#[test]
fn lengths_that_lie() {
    let server = server(ServerConfig::new());
    let limit = 0xf_ffff_u32;
    for length in [u32::MAX, 1 << 31, limit + 1, i32::MAX as u32] {
        let mut stranger = RawConnection::open(server.addr()).expect("a connection");
        stranger.send_bytes(&length.to_be_bytes()).expect("sent");
        stranger.expect_close().unwrap_or_else(|error| panic!("{length:#x}: {error}"));
        let mut client = session(server.addr());
        client.send_bytes(&length.to_be_bytes()).expect("sent");
        client.expect_close().unwrap_or_else(|error| panic!("{length:#x} in a session: {error}"));
    }
    // A frame without a header is no request.
    for payload in [&b""[..], b"\0\0\0", b"\0\0\0\x01\0\0\0"] {
        let mut stranger = RawConnection::open(server.addr()).expect("a connection");
        stranger.send(payload).expect("sent");
        stranger.expect_close().unwrap_or_else(|error| panic!("{payload:?}: {error}"));
        let mut client = session(server.addr());
        client.send(payload).expect("sent");
        client.expect_close().unwrap_or_else(|error| panic!("{payload:?} in a session: {error}"));
    }
    // The largest there may be announces itself, and nothing is kept for what does not come.
    let announcing: Vec<RawConnection> = (0..200)
        .map(|_| {
            let mut client = session(server.addr());
            client.send_bytes(&limit.to_be_bytes()).expect("sent");
            client
        })
        .collect();
    others_are_served(server.addr(), "/beside-lies");
    let memory = peak_memory(&server);
    assert!(memory < 150 << 20, "{memory} bytes for 200 announced frames of a megabyte");
    drop(announcing);
}

/// The listing is far larger than what the kernel takes for a client that does not read.
#[test]
fn a_client_that_never_reads() {
    const BATCHES: usize = 24;
    const PER_BATCH: usize = 1000;
    let server = server(ServerConfig::new());
    let mut writer = session(server.addr());
    let tail = "n".repeat(500);
    for batch in 0..BATCHES {
        let mut multi = Frame::request(1, op::MULTI);
        for number in 0..PER_BATCH {
            let path = format!("/{batch:03}-{number:04}-{tail}");
            multi = multi.multi_op(op::CREATE).create(&path, None, &Acl::open(), 0);
        }
        ok(&mut writer, multi.multi_end());
    }
    let listing = || Frame::request(7, op::GET_CHILDREN).str("/").bool(false);
    let bytes = (BATCHES * PER_BATCH * (tail.len() + 13)) as u64;
    let before = peak_memory(&server);
    let mut lazy = session(server.addr());
    for _ in 0..50 {
        lazy.send(&listing().done()).expect("sent");
    }
    others_are_served(server.addr(), "/beside-the-lazy");
    others_are_served(server.addr(), "/beside-the-lazy");
    let grown = peak_memory(&server) - before;
    assert!(grown < 6 * bytes, "{grown} bytes more for replies of {bytes} that nobody reads");
    // The whole of the first listing arrives, and the next one behind it.
    for _ in 0..2 {
        let reply = lazy.receive().expect("a reply").expect("not the end");
        assert_eq!(code(&reply), 0);
        assert!(bytes <= reply.len() as u64, "{} of {bytes} bytes", reply.len());
    }
    drop(lazy);
    others_are_served(server.addr(), "/behind-the-lazy");
}
