//! A client's session against a server that sends anything: a handshake, then frames, whole or raw.
//! The same bytes cut otherwise must give the same outputs.

use rookeeper_client::session::{
    Call, CallId, Config, Output, Session, WatchChange, WatchId, WatchKind,
};
use rookeeper_proto::client::connect::ConnectResponse;
use rookeeper_proto::client::request::{Auth, MultiOp, PathVersion, PathWatch, Request};
use rookeeper_proto::{OpCode, SessionId};

use super::goldens;
use crate::input::{Input, put_piece};

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let step = usize::from(input.byte()).max(1);
    let stream = stream(input);
    let whole = play(&stream, usize::MAX);
    let pieces = play(&stream, step);
    assert_eq!(whole, pieces, "in pieces of {step}");
}

/// What a server sends: a good handshake unless the input says no, then frames and raw bytes.
fn stream(mut input: Input<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    if !input.byte().is_multiple_of(4) {
        let hello = ConnectResponse {
            timeout_ms: 10_000,
            session: SessionId(0x1234),
            password: [7; 16],
            read_only: Some(false),
        };
        let mut body = Vec::new();
        hello.write(&mut body);
        put_frame(&mut out, &body);
    }
    while !input.is_empty() {
        match input.byte() % 4 {
            0 => out.extend_from_slice(input.piece()),
            1 => put_frame(&mut out, input.piece()),
            // The answer that is due, with any body.
            _ => {
                let xid = i32::from(input.byte());
                let mut frame = xid.to_be_bytes().to_vec();
                frame.extend_from_slice(&i64::from(input.byte()).to_be_bytes());
                frame.extend_from_slice(&(-i32::from(input.byte() % 2) * 101).to_be_bytes());
                frame.extend_from_slice(input.piece());
                put_frame(&mut out, &frame);
            }
        }
    }
    out
}

fn put_frame(out: &mut Vec<u8>, body: &[u8]) {
    out.extend_from_slice(&(body.len() as u32).to_be_bytes());
    out.extend_from_slice(body);
}

fn play(stream: &[u8], step: usize) -> Vec<Output> {
    let mut session = Session::new(Config { seed: 1, ..Config::default() }, 0);
    let mut outputs = Vec::new();
    drain(&mut session, &mut outputs);
    session.connected(1);
    for (at, call) in calls().into_iter().enumerate() {
        session.submit(CallId(1 + at as u64), call, 2);
    }
    session.add_auth(CallId(100), "digest".to_owned(), b"u:p".to_vec(), 2);
    for piece in stream.chunks(step.min(stream.len()).max(1)) {
        session.received(piece, 3);
        drain(&mut session, &mut outputs);
    }
    session.outgoing().clear();
    // It can be ended at any point.
    session.disconnected(4);
    session.tick(60_000);
    session.close(CallId(101), 60_001);
    session.tick(200_000);
    drain(&mut session, &mut outputs);
    outputs
}

fn drain(session: &mut Session, outputs: &mut Vec<Output>) {
    while let Some(output) = session.poll() {
        outputs.push(output);
    }
}

fn calls() -> Vec<Call> {
    let path = || Some("/a".into());
    let read = || PathWatch { path: path(), watch: true };
    let watching = |request: Request<'_>, id, kind| {
        let mut call = Call::new(&request);
        call.watch = WatchChange::Add(WatchId(id), kind, "/a".to_owned());
        call
    };
    vec![
        watching(Request::Exists(read()), 1, WatchKind::Exist),
        watching(Request::GetData(read()), 2, WatchKind::Data),
        watching(Request::GetChildren2(read()), 3, WatchKind::Child),
        Call::new(&Request::Multi(vec![MultiOp::Delete(PathVersion {
            path: path(),
            version: -1,
        })])),
        Call::new(&Request::Delete(PathVersion { path: path(), version: 3 })),
        Call::new(&Request::WhoAmI),
        Call::new(&Request::Auth(Auth {
            kind: 0,
            scheme: Some("digest".into()),
            auth: Some(b"x"),
        })),
    ]
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let of = |op: OpCode| {
        goldens::replies().into_iter().find(|(known, _)| *known == op).map(|(_, body)| body)
    };
    let mut good = vec![3, 1];
    let ops = [
        OpCode::Exists,
        OpCode::GetData,
        OpCode::GetChildren2,
        OpCode::Multi,
        OpCode::Delete,
        OpCode::WhoAmI,
    ];
    for (at, op) in ops.into_iter().enumerate() {
        good.extend_from_slice(&[2, 1 + at as u8, 5, 0]);
        put_piece(&mut good, &of(op).unwrap_or_default());
    }
    let mut event = vec![0xff; 12];
    event.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 2, b'/', b'a']);
    let mut with_event = good.clone();
    with_event.push(1);
    put_piece(&mut with_event, &event);
    let mut handshakes: Vec<Vec<u8>> = Vec::new();
    for hello in goldens::handshakes() {
        let mut one = vec![2, 0, 1];
        put_piece(&mut one, &hello);
        handshakes.push(one);
    }
    handshakes.extend([
        good,
        with_event,
        vec![1, 1, 0, 0, 4, 0xff, 0xff, 0xff, 0xff],
        vec![1, 1, 0, 0, 4, 0, 0, 0, 0],
    ]);
    handshakes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else the search would begin at closed doors.
    #[test]
    fn some_seed_answers_every_request() {
        let answered = |seed: &Vec<u8>| {
            let stream = stream(Input::new(&seed[1..]));
            let outputs = play(&stream, usize::MAX);
            outputs
                .iter()
                .filter(|output| matches!(output, Output::Done { result: Ok(_), .. }))
                .count()
        };
        let most = seeds().iter().map(answered).max();
        assert!(most >= Some(6), "{most:?}");
    }
}
