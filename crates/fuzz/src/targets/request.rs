//! Bodies of requests of every operation; the first byte chooses it.

use rookeeper_proto::client::request::{Request, RequestHeader};
use rookeeper_proto::{OpCode, Reader};

use super::goldens;
use super::round_trip::round_trip;
use crate::input::Input;

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let op = *input.pick(OpCode::ALL);
    let body = input.rest();
    let _ = RequestHeader::read(&mut Reader::new(body));
    let request = round_trip!(body, |r| Request::read(op, r), Request::write);
    if let Some((request, reader)) = request {
        assert_eq!(request.op(), op);
        // Java ignores bytes behind a body; so the body alone is the same request.
        let alone = Request::read(op, &mut Reader::new(&body[..reader.at()]));
        assert_eq!(alone, Ok(request));
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let requests = goldens::requests().into_iter();
    requests.map(|(op, body)| [&[place(op)], &body[..]].concat()).collect()
}

/// The byte that chooses an operation.
pub(super) fn place(op: OpCode) -> u8 {
    OpCode::ALL
        .iter()
        .position(|known| *known == op)
        .and_then(|at| u8::try_from(at).ok())
        .unwrap_or(0)
}
