//! Multi and multiRead: the list of operations and the list of results.

use rookeeper_proto::OpCode;
use rookeeper_proto::Reader;
use rookeeper_proto::client::request::MultiOp;
use rookeeper_proto::client::response::MultiResult;

use super::goldens;
use super::round_trip::round_trip;

pub(super) fn run(data: &[u8]) {
    let ops = round_trip!(data, MultiOp::read_all, |ops: &Vec<MultiOp<'_>>, out: &mut Vec<u8>| {
        MultiOp::write_all(ops, out);
    });
    if let Some((ops, reader)) = ops {
        // Each operation and the end have nine bytes of header.
        assert!(9 * ops.len() < reader.at());
    }
    let results = round_trip!(
        data,
        MultiResult::read_all,
        |results: &Vec<MultiResult<'_>>, out: &mut Vec<u8>| MultiResult::write_all(results, out)
    );
    if let Some((results, reader)) = results {
        assert_eq!(MultiResult::read_all(&mut Reader::new(&data[..reader.at()])), Ok(results));
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let both = goldens::requests().into_iter().chain(goldens::replies());
    both.filter(|(op, _)| matches!(op, OpCode::Multi | OpCode::MultiRead))
        .map(|(_, body)| body)
        .collect()
}
