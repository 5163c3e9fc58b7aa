//! Listening, accepting, refusing; many idle connections.

use std::io::ErrorKind;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};

use rookeeper_net::{CloseReason, Limits, ListenOptions, ListenerTag};
use rustix::process::{Resource, getrlimit};

use crate::rig::{Rig, TAG, echo, frame};

#[test]
fn a_refused_connection_is_reset_and_never_heard_of_again() {
    let mut rig = Rig::new(echo());
    rig.script.keep = false;
    let mut client = TcpStream::connect(rig.addr).unwrap();
    let error = rig.receive_to_end(&mut client).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!((rig.script.accepted.len(), rig.script.closed.len()), (1, 0));
    assert_eq!(rig.io().connections(), 0);
}

#[test]
fn a_dual_stack_listener_shows_ipv4_clients_as_such() {
    let mut rig = Rig::new(echo());
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let bound = match rig.io().listen(any, ListenOptions::new(ListenerTag(8))) {
        Ok(bound) => bound,
        // A kernel without IPv6 has nothing to show here.
        Err(error) if error.raw_os_error() == Some(97) => return,
        Err(error) => panic!("{error}"),
    };
    let loopbacks = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    for (index, ip) in loopbacks.into_iter().enumerate() {
        let client = match TcpStream::connect((ip, bound.port())) {
            Ok(client) => client,
            Err(error) if ip.is_ipv6() && error.kind() == ErrorKind::AddrNotAvailable => return,
            Err(error) => panic!("{ip}: {error}"),
        };
        rig.until("it is accepted", |script, _| script.accepted.len() > index);
        let (conn, tag, peer) = rig.script.accepted[index];
        assert_eq!((tag, peer), (ListenerTag(8), client.local_addr().unwrap()));
        assert_eq!(rig.io().peer_addr(conn), Some(peer));
        assert_eq!(rig.io().local_addr(conn), client.peer_addr().ok());
    }
}

#[test]
fn an_ipv6_only_listener_leaves_the_ipv4_port_alone() {
    let mut rig = Rig::new(echo());
    let options = ListenOptions { v6_only: true, ..ListenOptions::new(ListenerTag(8)) };
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let bound = match rig.io().listen(any, options) {
        Ok(bound) => bound,
        Err(error) if error.raw_os_error() == Some(97) => return,
        Err(error) => panic!("{error}"),
    };
    let error = TcpStream::connect((Ipv4Addr::LOCALHOST, bound.port())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn unlisten_keeps_connections_and_a_taken_port_is_an_error() {
    let mut rig = Rig::new(echo());
    let (mut client, _) = rig.client();
    let addr = rig.addr;
    let taken = rig.io().listen(addr, ListenOptions::new(ListenerTag(9))).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    rig.io().unlisten(TAG);
    let refused = TcpStream::connect(addr).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    client.write_all(&frame(b"on")).unwrap();
    assert_eq!(rig.receive(&mut client, 6), frame(b"on"));
    // The port is free again although a connection of it lives.
    assert_eq!(rig.io().listen(addr, ListenOptions::new(TAG)).unwrap(), addr);
    rig.client();
}

#[test]
fn a_batch_that_is_cut_short_is_continued() {
    let limits = Limits { accept_batch: 2, ..Limits::default() };
    let mut rig = Rig::with(limits, ListenOptions::new(TAG), echo());
    let _clients: Vec<TcpStream> = (0..9).map(|_| TcpStream::connect(rig.addr).unwrap()).collect();
    rig.turn();
    assert_eq!(rig.script.accepted.len(), 2);
    rig.until("all are accepted", |script, _| script.accepted.len() == 9);
}

#[test]
fn two_thousand_idle_connections() {
    // Both ends live in this process.
    let room = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let count = 2000.min((room as usize).saturating_sub(200) / 2);
    let mut rig = Rig::new(echo());
    let mut clients = Vec::new();
    while clients.len() < count {
        for _ in 0..100.min(count - clients.len()) {
            clients.push(TcpStream::connect(rig.addr).unwrap());
        }
        let expected = clients.len();
        rig.until("they are accepted", |script, _| script.accepted.len() == expected);
    }
    assert_eq!(rig.io().connections(), count);
    for client in clients.iter_mut().step_by(97) {
        client.write_all(&frame(b"awake")).unwrap();
        assert_eq!(rig.receive(client, 9), frame(b"awake"));
    }
    drop(clients);
    rig.until("all are closed", |script, _| script.closed.len() == count);
    assert!(rig.script.closed.iter().all(|(_, why)| matches!(why, CloseReason::PeerClosed)));
    assert_eq!(rig.io().connections(), 0);
}
