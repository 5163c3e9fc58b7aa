//! Flow control in both directions.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;

use rookeeper_net::{CloseReason, Limits, ListenOptions};

use crate::rig::{Rig, Script, TAG, echo};

#[test]
fn resume_delivers_kept_bytes_although_nothing_new_comes() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let shown = seen.clone();
    let mut rig = Rig::new(Script::new(move |io, conn, bytes| {
        shown.borrow_mut().push(bytes[0]);
        io.pause(conn);
        1
    }));
    let (mut client, conn) = rig.client();
    client.write_all(b"abc").unwrap();
    for count in 1..=3 {
        rig.until("the next byte is shown", |_, _| seen.borrow().len() == count);
        for _ in 0..5 {
            rig.turn();
        }
        assert_eq!(seen.borrow().len(), count, "paused means paused");
        rig.io().resume(conn);
    }
    assert_eq!(*seen.borrow(), b"abc");
}

#[test]
fn pause_and_resume_in_one_call_mean_next_turn() {
    let seen = Rc::new(RefCell::new(0));
    let shown = seen.clone();
    let mut rig = Rig::new(Script::new(move |io, conn, _| {
        *shown.borrow_mut() += 1;
        io.pause(conn);
        io.resume(conn);
        1
    }));
    let (mut client, _) = rig.client();
    client.write_all(&[0; 100]).unwrap();
    rig.until("every byte is shown", |_, _| *seen.borrow() == 100);
}

#[test]
fn a_paused_connection_reads_nothing_and_loses_nothing() {
    let total = Rc::new(RefCell::new(0));
    let count = total.clone();
    let mut rig = Rig::new(Script::new(move |_, _, bytes| {
        *count.borrow_mut() += bytes.len();
        bytes.len()
    }));
    let (mut client, conn) = rig.client();
    rig.io().pause(conn);
    let sent = Rig::flood(&mut client, &[0; 1 << 16]);
    drop(client);
    for _ in 0..20 {
        rig.turn();
    }
    assert_eq!(*total.borrow(), 0);
    assert!(rig.io().is_alive(conn), "an end is not noticed while paused");
    rig.io().resume(conn);
    assert!(matches!(rig.until_closed(conn), CloseReason::PeerClosed));
    assert_eq!(*total.borrow(), sent);
}

#[test]
fn one_huge_reply_reaches_a_slow_reader() {
    let size = 50 << 20;
    let mut rig = Rig::new(Script::new(move |io, conn, bytes| {
        let reply = (0..size as u32 / 4).flat_map(u32::to_be_bytes);
        io.out(conn).unwrap().extend(reply);
        bytes.len()
    }));
    let (mut client, conn) = rig.client();
    client.write_all(b"x").unwrap();
    rig.until("the reply is queued", |_, io| io.queued(conn) > 0);
    for _ in 0..10 {
        rig.turn();
    }
    assert!(rig.io().queued(conn) > 40 << 20, "nobody has read it yet");
    let expected: Vec<u8> = (0..size as u32 / 4).flat_map(u32::to_be_bytes).collect();
    assert!(rig.receive(&mut client, size) == expected);
    rig.until("the queue is empty", |_, io| io.queued(conn) == 0);
}

#[test]
fn what_piles_up_behind_a_stuck_peer_is_bounded() {
    let limits = Limits { max_queued_behind_bytes: 1 << 20, ..Limits::default() };
    let mut rig = Rig::with(limits, ListenOptions::new(TAG), echo());
    let (_client, conn) = rig.client();
    // Larger than the limit, but on its own: no reason to close.
    rig.io().out(conn).unwrap().extend_from_slice(&vec![0; 20 << 20]);
    rig.turn();
    let stuck = rig.io().queued(conn);
    assert!(stuck > 2 << 20);
    for event in 0..16 {
        rig.io().out(conn).unwrap().extend_from_slice(&vec![0; 1 << 16]);
        rig.turn();
        assert!(rig.io().is_alive(conn), "closed after event {event}");
    }
    rig.io().out(conn).unwrap().push(0);
    rig.turn();
    assert!(matches!(rig.until_closed(conn), CloseReason::SlowConsumer));
}

#[test]
fn a_peer_that_catches_up_starts_from_zero() {
    let limits = Limits { max_queued_behind_bytes: 1 << 20, ..Limits::default() };
    let mut rig = Rig::with(limits, ListenOptions::new(TAG), echo());
    let (mut client, conn) = rig.client();
    for _ in 0..4 {
        rig.io().out(conn).unwrap().extend_from_slice(&vec![0; 20 << 20]);
        rig.turn();
        rig.io().out(conn).unwrap().extend_from_slice(&vec![0; 900 << 10]);
        rig.turn();
        rig.receive(&mut client, (20 << 20) + (900 << 10));
    }
    assert!(rig.io().is_alive(conn));
}

#[test]
fn input_waits_while_output_is_stuck() {
    // Every request has a reply of 256 KiB; the client sends 200 of them and does not read.
    let answered = Rc::new(RefCell::new(0));
    let count = answered.clone();
    let limits = Limits { max_queued_behind_bytes: 0, ..Limits::default() };
    let script = Script::new(move |io, conn, bytes| {
        let mut used = 0;
        while used < bytes.len() && !io.backed_up(conn) {
            io.out(conn).unwrap().extend_from_slice(&vec![bytes[used]; 256 << 10]);
            *count.borrow_mut() += 1;
            used += 1;
        }
        used
    });
    let mut rig = Rig::with(limits, ListenOptions::new(TAG), script);
    let (mut client, conn) = rig.client();
    let requests: Vec<u8> = (0..200).collect();
    client.write_all(&requests).unwrap();
    rig.until("output is stuck", |_, io| io.backed_up(conn));
    for _ in 0..20 {
        rig.turn();
        assert!(rig.io().queued(conn) <= (1 << 20) + (256 << 10));
    }
    assert!(*answered.borrow() < 100, "{} answered", answered.borrow());
    let replies = rig.receive(&mut client, 200 * (256 << 10));
    let firsts: Vec<u8> = replies.chunks(256 << 10).map(|reply| reply[0]).collect();
    assert!(firsts == requests && rig.io().is_alive(conn));
}

#[test]
fn output_is_flushed_in_the_turn_that_made_it() {
    let served = Rc::new(RefCell::new(false));
    let seen = served.clone();
    let mut rig = Rig::new(Script::new(move |io, conn, bytes| {
        *seen.borrow_mut() = true;
        io.out(conn).unwrap().extend_from_slice(bytes);
        bytes.len()
    }));
    let (mut client, _) = rig.client();
    client.write_all(b"now").unwrap();
    rig.until("it is served", |_, _| *served.borrow());
    // No further turn: the answer must be under way.
    let mut answer = [0; 3];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"now");
}
