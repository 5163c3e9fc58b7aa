//! The handshake of every generation, both directions.

use rookeeper_proto::Reader;
use rookeeper_proto::client::connect::{ConnectRequest, ConnectResponse};

use super::goldens;
use super::round_trip::round_trip;

pub(super) fn run(data: &[u8]) {
    let request = round_trip!(data, ConnectRequest::read, ConnectRequest::write);
    if let Some((request, reader)) = request {
        // The readOnly byte is there or not by the end of the frame alone.
        let consumed = &data[..reader.at()];
        assert_eq!(ConnectRequest::read(&mut Reader::new(consumed)), Ok(request));
    }
    let _ = round_trip!(data, ConnectResponse::read, ConnectResponse::write);
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    goldens::handshakes()
}
