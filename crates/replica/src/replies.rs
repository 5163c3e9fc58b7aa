//! Frames to clients, written straight into a connection's buffer.

use rookeeper_proto::client::ReplyHeader;
use rookeeper_proto::{ErrorCode, Xid, Zxid};

/// Appends one frame: four bytes of length, then what `body` writes. Returns the frame's size.
pub(crate) fn frame(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    patch_length(out, start);
    out.len() - start
}

/// Appends a reply without a body.
pub(crate) fn header_only(out: &mut Vec<u8>, xid: Xid, zxid: Zxid, err: ErrorCode) -> usize {
    frame(out, |out| ReplyHeader { xid, zxid, err: err.as_i32() }.write(out))
}

/// Appends a reply whose body may turn out to be an error half-way: then the body is taken back and
/// the header carries the code.
pub(crate) fn reply(
    out: &mut Vec<u8>,
    xid: Xid,
    zxid: Zxid,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), ErrorCode>,
) -> Result<usize, ErrorCode> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    ReplyHeader { xid, zxid, err: 0 }.write(out);
    let body_at = out.len();
    let result = body(out);
    if let Err(code) = result {
        out.truncate(body_at);
        out[body_at - 4..body_at].copy_from_slice(&code.as_i32().to_be_bytes());
    }
    patch_length(out, start);
    result.map(|()| out.len() - start)
}

fn patch_length(out: &mut [u8], start: usize) {
    let len = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_takes_the_body_back() {
        let mut out = vec![7];
        let result = reply(&mut out, Xid(5), Zxid(9), |out| {
            out.extend_from_slice(b"half a body");
            Err(ErrorCode::NoNode)
        });
        assert_eq!(result, Err(ErrorCode::NoNode));
        let expected = [7, 0, 0, 0, 16, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0x9b];
        assert_eq!(out, expected);
    }
}
