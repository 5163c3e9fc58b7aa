//! Bodies of replies as a client decodes them; the first byte chooses the operation.

use rookeeper_proto::client::reply::{ReplyHeader, WatchedEvent};
use rookeeper_proto::client::response::Response;
use rookeeper_proto::{OpCode, Reader};

use super::round_trip::round_trip;
use super::{goldens, request};
use crate::input::Input;

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let op = *input.pick(OpCode::ALL);
    let body = input.rest();
    let mut reader = Reader::new(body);
    if let Ok(response) = Response::read(op, &mut reader) {
        let alone = Response::read(op, &mut Reader::new(&body[..reader.at()]));
        assert_eq!(alone, Ok(response), "bytes behind a body change nothing");
    }
    let _ = round_trip!(body, ReplyHeader::read, ReplyHeader::write);
    let _ = round_trip!(body, WatchedEvent::read, WatchedEvent::write);
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let replies = goldens::replies().into_iter();
    replies.map(|(op, body)| [&[request::place(op)], &body[..]].concat()).collect()
}
