//! The shipped binary under strace: no reply leaves before the fdatasync that covers it returned, and
//! every name is forced before anything relies on it. `rookeeper_interop::strace_check` has the rules.
//!
//! The same run with forceSync=no, and the good trace without its forces, must be objected to: a check
//! that accepts everything would prove nothing.
#![cfg(feature = "interop")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use rookeeper_interop::crash_server::{CrashServer, Start};
use rookeeper_interop::raw::codes::op;
use rookeeper_interop::raw::{Acl, Frame, Malformed, RawConnection, Reader};
use rookeeper_interop::strace::traced;
use rookeeper_interop::strace_check::{Verdict, judge};

const CLIENTS: i32 = 4;
const ROUNDS: i32 = 20;
const WINDOW: i32 = 8;
const SESSION_TIMEOUT_MS: i32 = 40_000;

/// One client: each round one write alone, then a window of them. How many replies it got.
fn drive(addr: SocketAddr, number: i32) -> usize {
    let (mut connection, _) = RawConnection::connect(addr, SESSION_TIMEOUT_MS).expect("a session");
    let path = format!("/traced{number}");
    let (mut xid, mut replies) = (0, 0);
    let mut send = |connection: &mut RawConnection, frames: Vec<(i32, Frame)>| {
        for (code, body) in &frames {
            xid += 1;
            let frame = Frame::request(xid, *code).raw(&body.clone().done());
            connection.send(&frame.done()).expect("sending");
        }
        for _ in &frames {
            let payload = connection.receive().expect("a reply").expect("no end");
            let mut reader = Reader::new(&payload);
            let mut header = || Ok((reader.int()?, reader.long()?, reader.int()?));
            let header: Result<_, Malformed> = header();
            let (xid, _zxid, error) = header.expect("a reply header");
            assert_eq!(error, 0, "the reply to {xid}");
            replies += 1;
        }
    };
    let create = Frame::new().create(&path, Some(b"0"), &Acl::open(), 0);
    send(&mut connection, vec![(op::CREATE, create)]);
    let set = |data: i32| {
        let data = format!("{number} {data}").into_bytes();
        (op::SET_DATA, Frame::new().str(&path).buffer(Some(&data)).int(-1))
    };
    for round in 0..ROUNDS {
        send(&mut connection, vec![set(round)]);
        send(&mut connection, (0..WINDOW).map(set).collect());
        let (first, second) = (format!("{path}/a{round}"), format!("{path}/b{round}"));
        let multi = [first, second].iter().fold(Frame::new(), |frame, path| {
            frame.multi_op(op::CREATE).create(path, Some(b"m"), &Acl::open(), 0)
        });
        send(&mut connection, vec![(op::MULTI, multi.multi_end())]);
    }
    send(&mut connection, vec![(op::CLOSE_SESSION, Frame::new())]);
    replies
}

/// strace ends behind the server and writes until then.
fn whole_trace(path: &Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(180);
    loop {
        let bytes = std::fs::read(path).expect("the trace");
        let text = String::from_utf8(bytes).expect("strace writes ASCII");
        let server = text.split(' ').next().unwrap_or_default();
        let last = text.lines().last().unwrap_or_default();
        if last.starts_with(&format!("{server} ")) && last.contains(" +++ ") {
            return text;
        }
        assert!(Instant::now() < deadline, "the trace does not end with the server: {last}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A run under load: its trace, where its data was, and how many replies the clients got.
fn run(lines: &[(&str, &str)]) -> (String, String, usize) {
    // Small enough for several rolls, snapshots and purges.
    let base = [("snapCount", "60"), ("preAllocSize", "64")];
    let mut server = CrashServer::prepare(&[&base, lines].concat()).expect("a folder");
    let trace = server.home().join("trace");
    let wrap = |command| traced(&command, &trace).expect("strace");
    assert_eq!(server.start(wrap).expect("a start"), Start::Serving);
    let addr = server.addr();
    let replies = std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|number| scope.spawn(move || drive(addr, number))).collect();
        clients.into_iter().map(|client| client.join().expect("a client")).sum()
    });
    let status = server.stop().expect("it stops when asked");
    assert!(status.success(), "{status}");
    (whole_trace(&trace), server.data_dir().display().to_string(), replies)
}

fn judged(trace: &str, data: &str) -> Verdict {
    judge(trace, data).expect("a trace that can be read")
}

#[test]
fn no_reply_leaves_before_its_force_and_every_name_is_forced() {
    let (trace, data, replies) = run(&[]);
    let verdict = judged(&trace, &data);
    println!("{replies} replies; {:?}", verdict.seen);
    assert!(verdict.objections.is_empty(), "{}", verdict.objections.join("\n"));
    let seen = &verdict.seen;
    assert_eq!((seen.replies, seen.sessions), (replies, CLIENTS as usize));
    assert!(seen.records >= replies + seen.sessions, "{seen:?}");
    assert!(seen.largest_group > 1 && seen.logs > 3, "{seen:?}");
    assert!(seen.snapshots > 3 && seen.removed > 0, "{seen:?}");

    // The same without the forces of files, and without those of directories: strings are in
    // hexadecimal, so that nothing else can look like a call.
    for call in [" fdatasync(", " fsync("] {
        assert!(trace.contains(call), "no{call} in the trace");
        let verdict = judged(&trace.replace(call, " ftruncate("), &data);
        assert!(verdict.objections.len() > 10, "without{call}: {:?}", verdict.objections);
    }
}

#[test]
fn a_server_that_does_not_force_is_found_out() {
    let (trace, data, replies) = run(&[("forceSync", "no")]);
    let verdict = judged(&trace, &data);
    println!("{replies} replies, {} objections", verdict.objections.len());
    let early = verdict.objections.iter().filter(|what| what.contains("is not forced")).count();
    assert!(early > replies / 2, "{early} of {replies}: {:?}", verdict.objections.first());
}
