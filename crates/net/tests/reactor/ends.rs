//! The ways a connection ends, and what its id is worth afterwards.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use rookeeper_net::{CloseReason, ConnId, Limits, ListenOptions};
use socket2::SockRef;

use crate::rig::{PATIENCE, Rig, Script, TAG, echo, frame};

fn reset(client: TcpStream) {
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Answers any input with `size` bytes and closes.
fn answer_and_close(size: usize) -> Script {
    Script::new(move |io, conn, bytes| {
        io.out(conn).unwrap().extend_from_slice(&vec![b'.'; size]);
        io.close_after_flush(conn);
        assert!(io.out(conn).is_none(), "no output after the last word");
        bytes.len()
    })
}

#[test]
fn a_client_that_half_closes_at_once_gets_its_answer() {
    let mut rig = Rig::new(answer_and_close(4));
    let mut client = TcpStream::connect(rig.addr).unwrap();
    client.write_all(b"ruok").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rig.receive_to_end(&mut client).unwrap(), b"....");
    let conn = rig.script.accepted[0].0;
    assert!(matches!(rig.until_closed(conn), CloseReason::Local));
}

#[test]
fn a_half_closed_client_gets_a_large_answer_too() {
    let size = 20 << 20;
    let mut rig = Rig::new(answer_and_close(size));
    let mut client = TcpStream::connect(rig.addr).unwrap();
    client.write_all(b"dump").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rig.receive_to_end(&mut client).unwrap().len(), size);
}

#[test]
fn an_answer_made_later_reaches_a_half_closed_client_that_was_paused() {
    let mut rig = Rig::new(Script::new(|io, conn, bytes| {
        io.pause(conn);
        bytes.len()
    }));
    let (mut client, conn) = rig.client();
    client.write_all(b"stat").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    for _ in 0..20 {
        rig.turn();
    }
    assert!(rig.io().is_alive(conn));
    rig.io().out(conn).unwrap().extend_from_slice(b"later");
    rig.io().close_after_flush(conn);
    assert_eq!(rig.receive_to_end(&mut client).unwrap(), b"later");
}

#[test]
fn input_left_unread_does_not_destroy_the_last_answer() {
    let limits = Limits { linger: PATIENCE, ..Limits::default() };
    let mut rig = Rig::with(limits, ListenOptions::new(TAG), answer_and_close(100_000));
    let (mut client, conn) = rig.client();
    // More than is ever delivered; without lingering the kernel would answer it with a reset.
    Rig::flood(&mut client, &[0; 1 << 16]);
    rig.until_closed(conn);
    assert_eq!(rig.receive_to_end(&mut client).unwrap().len(), 100_000);
    // Late input is swallowed, too: a reset would have made the first of these fail.
    for _ in 0..10 {
        client.write_all(b"late").unwrap();
        rig.turn();
    }
}

#[test]
fn bytes_that_come_with_the_end_are_delivered_before_it() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let bytes_seen = seen.clone();
    let mut rig = Rig::new(Script::new(move |_, _, bytes| {
        bytes_seen.borrow_mut().extend_from_slice(bytes);
        bytes.len()
    }));
    let mut client = TcpStream::connect(rig.addr).unwrap();
    client.write_all(b"last words").unwrap();
    drop(client);
    rig.until("the end is seen", |script, _| !script.closed.is_empty());
    assert!(matches!(rig.script.closed[0].1, CloseReason::PeerClosed));
    assert_eq!(*seen.borrow(), b"last words");
}

#[test]
fn a_reset_by_the_peer_ends_its_connection_only() {
    let mut rig = Rig::new(echo());
    let (client, conn) = rig.client();
    let (mut other, _) = rig.client();
    reset(client);
    assert!(matches!(rig.until_closed(conn), CloseReason::Socket(_)));
    other.write_all(&frame(b"still here")).unwrap();
    assert_eq!(rig.receive(&mut other, 14), frame(b"still here"));
    assert_eq!(rig.io().connections(), 1);
}

#[test]
fn a_reset_is_noticed_while_paused() {
    let mut rig = Rig::new(echo());
    let (client, conn) = rig.client();
    rig.io().pause(conn);
    reset(client);
    let CloseReason::Socket(error) = rig.until_closed(conn) else { panic!("wrong reason") };
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_reset_is_noticed_while_output_is_stuck() {
    let mut rig = Rig::new(answer_and_close(20 << 20));
    let (mut client, conn) = rig.client();
    client.write_all(b"x").unwrap();
    rig.until("output is stuck", |_, io| io.queued(conn) > 0);
    assert!(rig.io().is_alive(conn));
    reset(client);
    assert!(matches!(rig.until_closed(conn), CloseReason::Socket(_)));
}

#[test]
fn close_now_drops_output_and_reset_resets() {
    let mut rig = Rig::new(echo());
    let (mut client, conn) = rig.client();
    rig.io().out(conn).unwrap().extend_from_slice(b"never sent");
    rig.io().close_now(conn);
    assert_eq!(rig.receive_to_end(&mut client).unwrap(), b"");
    assert!(matches!(rig.until_closed(conn), CloseReason::Local));

    let (mut client, conn) = rig.client();
    rig.io().reset(conn);
    let error = rig.receive_to_end(&mut client).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(matches!(rig.until_closed(conn), CloseReason::Local));
    assert_eq!(rig.io().connections(), 0);
}

#[test]
fn closing_within_on_bytes_reports_once_and_drops_the_rest() {
    let calls = Rc::new(RefCell::new(0));
    let count = calls.clone();
    let mut rig = Rig::new(Script::new(move |io, conn, _| {
        *count.borrow_mut() += 1;
        io.close_now(conn);
        io.close_now(conn);
        io.reset(conn);
        0
    }));
    let (mut client, conn) = rig.client();
    client.write_all(b"xyz").unwrap();
    assert!(matches!(rig.until_closed(conn), CloseReason::Local));
    for _ in 0..5 {
        rig.turn();
    }
    assert_eq!((*calls.borrow(), rig.script.closed.len()), (1, 1));
}

#[test]
fn a_stale_id_does_nothing_to_the_connection_in_its_place() {
    let mut rig = Rig::new(echo());
    let (client, stale) = rig.client();
    drop(client);
    rig.until_closed(stale);
    let (mut client, conn) = rig.client();
    assert_eq!(stale.index(), conn.index(), "the slot must be reused for this test");
    for id in [stale, ConnId::from_u64(0), ConnId::from_u64(u64::MAX)] {
        let io = rig.io();
        assert!(io.out(id).is_none() && io.peer_addr(id).is_none() && !io.is_alive(id));
        assert!(io.local_addr(id).is_none() && io.layer(id).is_none() && io.queued(id) == 0);
        io.pause(id);
        io.want(id, 1000);
        io.close_now(id);
        io.reset(id);
        io.close_after_flush(id);
        io.resume(id);
    }
    client.write_all(&frame(b"mine")).unwrap();
    assert_eq!(rig.receive(&mut client, 8), frame(b"mine"));
    assert_eq!(rig.script.closed.len(), 1);
}

#[test]
fn a_peer_that_never_reads_cannot_hold_a_closing_connection() {
    let limits = Limits { close_flush: Duration::from_millis(50), ..Limits::default() };
    let mut rig = Rig::with(limits, ListenOptions::new(TAG), answer_and_close(20 << 20));
    let (mut client, conn) = rig.client();
    client.write_all(b"x").unwrap();
    assert!(matches!(rig.until_closed(conn), CloseReason::SlowConsumer));
}

#[test]
fn a_peer_that_never_closes_is_let_go_after_lingering() {
    let limits = Limits { linger: Duration::from_millis(50), ..Limits::default() };
    let mut rig = Rig::with(limits, ListenOptions::new(TAG), answer_and_close(1));
    let (mut client, conn) = rig.client();
    client.write_all(b"x").unwrap();
    assert!(matches!(rig.until_closed(conn), CloseReason::Local));
    assert_eq!(rig.receive(&mut client, 1), b".");
    // The socket is gone when sending to it leads to a reset.
    rig.until("the socket is gone", |_, _| client.write_all(b"more").is_err());
}

#[test]
fn stop_writes_what_is_queued_and_reports_every_connection() {
    let mut rig = Rig::new(Script::new(|io, conn, bytes| {
        io.out(conn).unwrap().extend_from_slice(&vec![1; 8 << 20]);
        io.stop();
        bytes.len()
    }));
    let (mut busy, _) = rig.client();
    let (mut idle, _) = rig.client();
    busy.write_all(b"x").unwrap();
    let reader = std::thread::spawn(move || {
        let mut received = Vec::new();
        busy.read_to_end(&mut received).map(|_| received.len())
    });
    rig.reactor.run(&mut rig.script).unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), 8 << 20);
    idle.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(rig.script.closed.len(), 2);
    assert!(rig.script.closed.iter().all(|(_, why)| matches!(why, CloseReason::Stopped)));
    assert!(TcpStream::connect(rig.addr).is_err(), "nobody listens any more");
}
