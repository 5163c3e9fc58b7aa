//! Outgoing connections.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};

use rookeeper_net::CloseReason;

use crate::rig::{PATIENCE, Rig, echo, frame};

#[test]
fn an_outgoing_connection_works_both_ways() {
    let mut rig = Rig::new(echo());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let conn = rig.io().connect(listener.local_addr().unwrap(), 42);
    // Output may be queued before the connection stands.
    rig.io().out(conn).unwrap().extend_from_slice(b"early ");
    rig.until("it stands", |script, _| script.connected == [(conn, 42)]);
    rig.io().out(conn).unwrap().extend_from_slice(b"late");
    let (mut peer, _) = listener.accept().unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(rig.receive(&mut peer, 10), b"early late");
    peer.write_all(&frame(b"hello")).unwrap();
    assert_eq!(rig.receive(&mut peer, 9), frame(b"hello"));
    assert_eq!(rig.io().peer_addr(conn), listener.local_addr().ok());
    drop(peer);
    assert!(matches!(rig.until_closed(conn), CloseReason::PeerClosed));
}

#[test]
fn a_refused_connection_fails_once() {
    let mut rig = Rig::new(echo());
    // Nobody listens there; a free port might be another test's the next moment.
    let conn = rig.io().connect(SocketAddr::from(([127, 0, 0, 1], 1)), 43);
    rig.until("it fails", |script, _| !script.failed.is_empty());
    let (failed, tag, error) = &rig.script.failed[0];
    assert_eq!((*failed, *tag), (conn, 43));
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert!(!rig.io().is_alive(conn));
    rig.turn();
    assert_eq!((rig.script.failed.len(), rig.script.closed.len()), (1, 0));
}

#[test]
fn a_connection_that_fails_at_once_is_reported_in_the_next_turn() {
    let mut rig = Rig::new(echo());
    // Nobody may connect to the broadcast address over TCP.
    let conn = rig.io().connect(SocketAddr::from(([255, 255, 255, 255], 1)), 44);
    assert!(rig.script.failed.is_empty());
    rig.until("it fails", |script, _| !script.failed.is_empty());
    assert_eq!((rig.script.failed[0].0, rig.script.failed[0].1), (conn, 44));
    assert_eq!(rig.io().connections(), 0);
}

#[test]
fn giving_up_while_connecting_is_a_local_close() {
    let mut rig = Rig::new(echo());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let conn = rig.io().connect(listener.local_addr().unwrap(), 45);
    rig.io().close_now(conn);
    assert!(matches!(rig.until_closed(conn), CloseReason::Local));
    assert!(rig.script.connected.is_empty() && rig.script.failed.is_empty());
    let (mut peer, _) = listener.accept().unwrap();
    assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
}
