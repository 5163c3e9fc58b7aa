//! The transport seam, proved with a layer that is easy to check: one byte of handshake from each
//! side, then every byte XORed, and a last byte as goodbye.

use std::any::Any;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use rookeeper_net::{
    Choice, Chooser, CloseReason, Layer, LayerError, Limits, ListenOptions, Status,
};

use crate::rig::{PATIENCE, Rig, Script, TAG, echo, frame};

const HELLO: u8 = 0x16;
const KEY: u8 = 0x5a;
const ALERT: u8 = 0x15;
/// The sealed form of no byte that the tests send.
const GOODBYE: u8 = 0xee ^ KEY;

#[derive(Default)]
struct Xor {
    client: bool,
    established: bool,
}

impl Layer for Xor {
    fn start(&mut self, wire: &mut Vec<u8>) -> Result<(), LayerError> {
        if self.client {
            wire.push(HELLO);
        }
        Ok(())
    }

    fn open(
        &mut self,
        raw: &[u8],
        plain: &mut Vec<u8>,
        wire: &mut Vec<u8>,
    ) -> Result<Status, LayerError> {
        let mut raw = raw;
        if !self.established
            && let Some((hello, rest)) = raw.split_first()
        {
            if *hello != HELLO {
                wire.push(ALERT);
                return Err("no hello".into());
            }
            self.established = true;
            if !self.client {
                wire.push(HELLO);
            }
            raw = rest;
        }
        for byte in raw {
            if *byte == GOODBYE {
                return Ok(Status::PeerClosed);
            }
            plain.push(byte ^ KEY);
        }
        Ok(Status::Open)
    }

    fn seal(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<usize, LayerError> {
        if !self.established {
            return Ok(0);
        }
        wire.extend(plain.iter().map(|byte| byte ^ KEY));
        Ok(plain.len())
    }

    fn close(&mut self, wire: &mut Vec<u8>) {
        wire.push(GOODBYE);
    }
}

/// One port for both: two bytes of magic announce the layer, as a record header announces TLS.
struct Sniff;

const MAGIC: [u8; 2] = [HELLO, 0x03];

impl Chooser for Sniff {
    fn choose(&self, first: &[u8]) -> Choice {
        match first {
            [0xff, ..] => Choice::Refuse("hostile".into()),
            [0xfe, ..] => Choice::More,
            [HELLO] => Choice::More,
            [HELLO, 0x03, ..] => {
                Choice::Layer(Box::new(Skip { magic_left: 1, xor: Xor::default() }))
            }
            _ => Choice::Plain,
        }
    }
}

/// `Xor` behind the two bytes of magic, the first of which is the hello.
struct Skip {
    magic_left: usize,
    xor: Xor,
}

impl Layer for Skip {
    fn start(&mut self, wire: &mut Vec<u8>) -> Result<(), LayerError> {
        self.xor.start(wire)
    }

    fn open(
        &mut self,
        raw: &[u8],
        plain: &mut Vec<u8>,
        wire: &mut Vec<u8>,
    ) -> Result<Status, LayerError> {
        let mut raw = raw.to_vec();
        if self.magic_left > 0 && raw.len() >= 2 {
            raw.remove(1);
            self.magic_left = 0;
        }
        self.xor.open(&raw, plain, wire)
    }

    fn seal(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<usize, LayerError> {
        self.xor.seal(plain, wire)
    }

    fn close(&mut self, wire: &mut Vec<u8>) {
        self.xor.close(wire);
    }
}

fn sealed(plain: &[u8]) -> Vec<u8> {
    plain.iter().map(|byte| byte ^ KEY).collect()
}

fn rig(script: Script) -> Rig {
    let options = ListenOptions { chooser: Some(Arc::new(Sniff)), ..ListenOptions::new(TAG) };
    Rig::with(Limits::default(), options, script)
}

#[test]
fn one_port_serves_plain_and_layered_clients() {
    let mut rig = rig(echo());
    let (mut plain, plain_id) = rig.client();
    let (mut layered, layered_id) = rig.client();
    // Byte by byte, through the sniffing, the handshake and a frame.
    let request = [&MAGIC[..], &sealed(&frame(b"secret"))].concat();
    for byte in request {
        layered.write_all(&[byte]).unwrap();
        rig.turn();
    }
    plain.write_all(&frame(b"public")).unwrap();
    assert_eq!(rig.receive(&mut plain, 10), frame(b"public"));
    assert_eq!(rig.receive(&mut layered, 11), [&[HELLO][..], &sealed(&frame(b"secret"))].concat());
    assert!(rig.io().layer(plain_id).is_none());
    let layer: &dyn Any = rig.io().layer(layered_id).unwrap();
    assert!(layer.downcast_ref::<Skip>().unwrap().xor.established);
    // The goodbye is an end, although the socket stays open.
    layered.write_all(&[GOODBYE]).unwrap();
    assert!(matches!(rig.until_closed(layered_id), CloseReason::PeerClosed));
}

#[test]
fn bytes_and_goodbye_in_one_read_are_delivered_in_order() {
    let mut rig = rig(echo());
    let (mut client, conn) = rig.client();
    let bytes = [&MAGIC[..], &sealed(&frame(b"bye")), &[GOODBYE]].concat();
    client.write_all(&bytes).unwrap();
    let expected = [&[HELLO][..], &sealed(&frame(b"bye"))].concat();
    assert_eq!(rig.receive(&mut client, expected.len()), expected);
    assert!(matches!(rig.until_closed(conn), CloseReason::PeerClosed));
}

#[test]
fn a_refusal_and_an_undecided_chooser_end_the_connection() {
    let mut rig = rig(echo());
    for first in [vec![0xff], vec![0xfe; 64]] {
        let (mut client, conn) = rig.client();
        client.write_all(&first).unwrap();
        assert!(matches!(rig.until_closed(conn), CloseReason::Transport(_)));
    }
}

#[test]
fn nothing_leaves_in_the_clear_before_the_verdict() {
    let mut rig = rig(echo());
    let (mut client, conn) = rig.client();
    rig.io().out(conn).unwrap().extend_from_slice(b"banner");
    for _ in 0..5 {
        rig.turn();
    }
    assert_eq!(rig.io().queued(conn), 6);
    client.write_all(&MAGIC).unwrap();
    assert_eq!(rig.receive(&mut client, 7), [&[HELLO][..], &sealed(b"banner")].concat());
}

#[test]
fn an_outgoing_connection_through_a_layer() {
    let mut rig = Rig::new(echo());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let layer = Box::new(Xor { client: true, established: false });
    let addr = listener.local_addr().unwrap();
    let conn = rig.io().connect_through(addr, 1, Some(layer));
    // More than the high-water mark, before the handshake: it must not hold the handshake up.
    let large = vec![7; 3 << 20];
    rig.io().out(conn).unwrap().extend_from_slice(&large);
    let (mut peer, _) = listener.accept().unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(rig.receive(&mut peer, 1), [HELLO]);
    assert_eq!(rig.io().queued(conn), large.len());
    peer.write_all(&[HELLO]).unwrap();
    assert!(rig.receive(&mut peer, large.len()) == sealed(&large));
    peer.write_all(&sealed(&frame(b"hi"))).unwrap();
    assert_eq!(rig.receive(&mut peer, 6), sealed(&frame(b"hi")));
}

#[test]
fn a_closing_connection_still_finishes_its_handshake() {
    let mut rig = Rig::new(echo());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let layer = Box::new(Xor { client: true, established: false });
    let conn = rig.io().connect_through(listener.local_addr().unwrap(), 1, Some(layer));
    rig.until("it stands", |script, _| !script.connected.is_empty());
    rig.io().out(conn).unwrap().extend_from_slice(b"ruok");
    rig.io().close_after_flush(conn);
    let (mut peer, _) = listener.accept().unwrap();
    assert_eq!(rig.receive(&mut peer, 1), [HELLO]);
    peer.write_all(&[HELLO]).unwrap();
    let rest = rig.receive_to_end(&mut peer).unwrap();
    assert_eq!(rest, [&sealed(b"ruok")[..], &[GOODBYE]].concat());
    assert!(matches!(rig.until_closed(conn), CloseReason::Local));
}

#[test]
fn a_failed_handshake_sends_its_alert() {
    let mut rig = Rig::new(echo());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let layer = Box::new(Xor { client: true, established: false });
    let conn = rig.io().connect_through(listener.local_addr().unwrap(), 1, Some(layer));
    let (mut peer, _) = listener.accept().unwrap();
    assert_eq!(rig.receive(&mut peer, 1), [HELLO]);
    peer.write_all(b"?").unwrap();
    assert!(matches!(rig.until_closed(conn), CloseReason::Transport(_)));
    let mut rest = Vec::new();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, [ALERT]);
}

#[test]
fn a_half_closed_layered_client_gets_a_large_answer() {
    let size = 10 << 20;
    let mut rig = rig(Script::new(move |io, conn, bytes| {
        io.out(conn).unwrap().extend_from_slice(&vec![3; size]);
        io.close_after_flush(conn);
        bytes.len()
    }));
    let mut client = TcpStream::connect(rig.addr).unwrap();
    client.write_all(&[&MAGIC[..], &sealed(b"dump")].concat()).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let received = rig.receive_to_end(&mut client).unwrap();
    let expected = [&[HELLO][..], &sealed(&vec![3; size]), &[GOODBYE]].concat();
    assert!(received == expected, "{} of {} bytes", received.len(), expected.len());
}
