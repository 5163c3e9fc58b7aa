//! Connections that want nothing good: silent ones, nonsense, half frames, other people's sessions
//! with a wrong password, sessions that never were.

use rookeeper_proto::SessionId;
use rookeeper_proto::client::ConnectRequest;
use rookeeper_proto::{OpCode, Zxid};

use crate::client::{header, push, transmit};
use crate::ctx::Ctx;
use crate::net::{End, Link, LinkId, Segment};

/// Opens `count` of them. `victims` are sessions to bother.
pub(crate) fn strike(ctx: &mut Ctx, count: u64, victims: &[SessionId]) {
    for _ in 0..count {
        let link = LinkId(ctx.next_link);
        ctx.next_link += 1;
        let host = ctx.rng.between(1, 6) as u8;
        let server = ctx.a_server();
        ctx.links.insert(link, Link::new(End::Stray, host, server));
        let delay = ctx.latency_us();
        push(ctx, link, delay, Segment::Open);
        behave(ctx, link, victims);
        if ctx.rng.chance(700) {
            let delay = ctx.rng.between(1000, 3_000_000);
            push(ctx, link, delay, Segment::Closed);
        }
    }
}

fn behave(ctx: &mut Ctx, link: LinkId, victims: &[SessionId]) {
    match ctx.rng.below(7) {
        0 => {}
        1 => {
            let bytes = (0..ctx.rng.between(1, 60)).map(|_| ctx.rng.u64() as u8).collect();
            push(ctx, link, 0, Segment::Bytes(bytes));
        }
        2 => push(ctx, link, 0, Segment::Bytes(vec![0, 0, 0, 44, 0, 0])),
        3 => push(ctx, link, 0, Segment::Bytes(vec![0x7f, 0xff, 0xff, 0xff])),
        4 if !victims.is_empty() => {
            let victim = ctx.rng.pick(victims);
            connect(ctx, link, victim, &[9; 16]);
        }
        5 => connect(ctx, link, SessionId(0x0100_0000_dead_beef), &[0; 16]),
        _ => {
            connect(ctx, link, SessionId::NONE, &[0; 16]);
            let (xid, op) = ctx.rng.pick(&[(1, 888), (0, 0), (5, 13), (7, OpCode::Ping.as_i32())]);
            transmit(ctx, link, &header(xid, op));
            transmit(ctx, link, &[0, 0, 0]);
        }
    }
}

fn connect(ctx: &mut Ctx, link: LinkId, session: SessionId, password: &[u8]) {
    let timeout_ms = match ctx.rng.below(10) {
        0 => ctx.rng.pick(&[-1, i32::MIN, i32::MAX]),
        _ => ctx.rng.below(20_000) as i32,
    };
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms,
        session,
        password: Some(password),
        read_only: None,
    };
    let mut body = Vec::new();
    request.write(&mut body);
    transmit(ctx, link, &body);
}
