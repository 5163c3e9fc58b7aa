//! Delivery of input: cut frames, wishes, kept bytes, fairness.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

use rookeeper_net::{CloseReason, Limits, ListenOptions};

use crate::rig::{Rig, Script, TAG, echo, frame, frames};

#[test]
fn pipelined_frames_cut_at_every_byte_are_echoed() {
    let mut rig = Rig::new(echo());
    let stream: Vec<u8> =
        [&b"a"[..], b"", b"three", &[9; 300]].iter().flat_map(|body| frame(body)).collect();
    for cut in 0..=stream.len() {
        let (mut client, conn) = rig.client();
        client.write_all(&stream[..cut]).unwrap();
        // Have the first part delivered alone.
        let complete = complete_prefix(&stream[..cut]);
        assert_eq!(rig.receive(&mut client, complete), stream[..complete]);
        client.write_all(&stream[cut..]).unwrap();
        assert_eq!(rig.receive(&mut client, stream.len() - complete), stream[complete..]);
        drop(client);
        assert!(matches!(rig.until_closed(conn), CloseReason::PeerClosed));
    }
}

fn complete_prefix(stream: &[u8]) -> usize {
    let mut end = 0;
    while let Some((head, body)) = stream[end..].split_first_chunk::<4>() {
        let len = u32::from_be_bytes(*head) as usize;
        if body.len() < len {
            break;
        }
        end += 4 + len;
    }
    end
}

#[test]
fn a_large_frame_in_small_pieces_is_not_parsed_again_and_again() {
    let calls = Rc::new(RefCell::new((0, Vec::new())));
    let seen = calls.clone();
    let mut rig = Rig::new(Script::new(move |io, conn, bytes| {
        seen.borrow_mut().0 += 1;
        frames(io, conn, bytes, |_, body| seen.borrow_mut().1.push(body.to_vec()))
    }));
    let (mut client, _) = rig.client();
    let body: Vec<u8> = (0..1u32 << 18).flat_map(u32::to_be_bytes).collect();
    let bytes = frame(&body);
    // Byte by byte where it is interesting, then in odd pieces that straddle every buffer size.
    let (start, rest) = bytes.split_at(10_000);
    for byte in start {
        client.write_all(&[*byte]).unwrap();
        rig.turn();
    }
    for piece in rest.chunks(4099) {
        client.write_all(piece).unwrap();
        rig.turn();
    }
    rig.until("the frame is complete", |_, _| !calls.borrow().1.is_empty());
    let calls = calls.borrow();
    assert!(calls.1[0] == body && calls.1.len() == 1);
    // The first bytes, the length, the whole.
    assert!(calls.0 <= 3, "{} calls", calls.0);
}

#[test]
fn without_a_wish_every_arrival_is_shown_together_with_what_was_kept() {
    let sizes = Rc::new(RefCell::new(Vec::new()));
    let seen = sizes.clone();
    let mut rig = Rig::new(Script::new(move |_, _, bytes| {
        seen.borrow_mut().push(bytes.len());
        if bytes.len() >= 9 { 5 } else { 0 }
    }));
    let (mut client, _) = rig.client();
    for count in [3, 3, 3, 3] {
        let before = sizes.borrow().len();
        client.write_all(&vec![1; count]).unwrap();
        rig.until("it is shown", |_, _| sizes.borrow().len() > before);
    }
    assert_eq!(*sizes.borrow(), [3, 6, 9, 7]);
}

#[test]
fn a_frame_larger_than_the_shared_buffer_is_echoed_among_others() {
    let limits = Limits { read_bytes: 16 * 1024, ..Limits::default() };
    let mut rig = Rig::with(limits, ListenOptions::new(TAG), echo());
    let (mut client, _) = rig.client();
    let sizes = [10, 100_000, 0, 16_380, 16_384, 50_000, 1];
    let stream: Vec<u8> = sizes.iter().flat_map(|&n| frame(&vec![n as u8; n])).collect();
    client.write_all(&stream).unwrap();
    assert!(rig.receive(&mut client, stream.len()) == stream);
}

#[test]
fn input_that_is_never_consumed_ends_the_connection() {
    let limits = Limits { max_input_bytes: 100_000, ..Limits::default() };
    let script = Script::new(|io, conn, _| {
        io.want(conn, usize::MAX);
        0
    });
    let mut rig = Rig::with(limits, ListenOptions::new(TAG), script);
    let (mut client, conn) = rig.client();
    client.write_all(&vec![0; 100_001]).unwrap();
    assert!(matches!(rig.until_closed(conn), CloseReason::InputOverflow));
}

#[test]
fn a_handler_that_claims_more_than_it_was_given_does_no_harm() {
    let seen = Rc::new(RefCell::new(0));
    let count = seen.clone();
    let mut rig = Rig::new(Script::new(move |_, _, bytes| {
        *count.borrow_mut() += bytes.len();
        usize::MAX
    }));
    let (mut client, _) = rig.client();
    for round in 1..=3 {
        client.write_all(b"abcd").unwrap();
        rig.until("it is shown", |_, _| *seen.borrow() == 4 * round);
    }
}

#[test]
fn a_flood_does_not_keep_a_quiet_connection_waiting() {
    let order = Rc::new(RefCell::new(Vec::new()));
    let seen = order.clone();
    let limits = Limits { read_bytes: 16 * 1024, ..Limits::default() };
    let script = Script::new(move |_, conn, bytes| {
        seen.borrow_mut().push((conn, bytes.len()));
        bytes.len()
    });
    let mut rig = Rig::with(limits, ListenOptions::new(TAG), script);
    let (mut flooder, flood) = rig.client();
    let (mut quiet, quiet_id) = rig.client();
    let sent = Rig::flood(&mut flooder, &[0; 1 << 16]);
    assert!(sent > 20 * 16 * 1024, "the flood must be worth many turns, not {sent} bytes");
    quiet.write_all(b"ping").unwrap();
    rig.until("the quiet one is heard", |_, _| {
        order.borrow().iter().any(|(conn, _)| *conn == quiet_id)
    });
    let before: usize = {
        let order = order.borrow();
        let shown = order.iter().take_while(|(conn, _)| *conn != quiet_id);
        shown.map(|(conn, count)| if *conn == flood { *count } else { 0 }).sum()
    };
    assert!(before <= 2 * 16 * 1024, "{before} bytes of the flood came first");
    // And nothing of the flood is lost although no further event comes.
    rig.until("the flood is read", |_, _| {
        let shown = order.borrow();
        shown.iter().filter(|(conn, _)| *conn == flood).map(|(_, n)| n).sum::<usize>() == sent
    });
}
