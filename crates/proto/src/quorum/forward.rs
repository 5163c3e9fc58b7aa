//! Data fields of REQUEST, PING and REVALIDATE.

use crate::ids::SessionId;
use crate::jute::{JuteWrite, Reader, Result};

/// A client's request inside REQUEST: `long session; int cxid; int op; body`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForwardedBody<'a> {
    /// The client's session.
    pub session: SessionId,
    /// The client's request number.
    pub cxid: i32,
    /// Operation code.
    pub op: i32,
    /// The undecoded request; empty for closeSession.
    pub body: &'a [u8],
}

impl<'a> ForwardedBody<'a> {
    /// Reads the field.
    pub fn read(data: &'a [u8]) -> Result<Self> {
        let mut r = Reader::new(data);
        let (session, cxid, op) = (SessionId(r.i64()?), r.i32()?, r.i32()?);
        Ok(Self { session, cxid, op, body: r.rest() })
    }

    /// The field's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.body.len());
        out.put_i64(self.session.0);
        out.put_i32(self.cxid);
        out.put_i32(self.op);
        out.put(self.body);
        out
    }
}

/// Sessions a learner heard of, in its answer to PING: repeated `long session; int timeout`.
pub struct Touches;

impl Touches {
    /// Reads as many whole pairs as there are; a cut pair at the end is ignored.
    pub fn read(data: &[u8]) -> Vec<(SessionId, i32)> {
        let mut r = Reader::new(data);
        let mut out = Vec::with_capacity(data.len() / 12);
        while let (Ok(session), Ok(timeout_ms)) = (r.i64(), r.i32()) {
            out.push((SessionId(session), timeout_ms));
        }
        out
    }

    /// The field's bytes.
    pub fn to_bytes(sessions: impl IntoIterator<Item = (SessionId, i32)>) -> Vec<u8> {
        let mut out = Vec::new();
        for (session, timeout_ms) in sessions {
            out.put_i64(session.0);
            out.put_i32(timeout_ms);
        }
        out
    }
}

impl std::fmt::Debug for Touches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Touches")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_cut_tails() {
        let request = ForwardedBody { session: SessionId(5), cxid: 6, op: 1, body: b"xyz" };
        let bytes = request.to_bytes();
        assert_eq!(ForwardedBody::read(&bytes), Ok(request));
        assert!(ForwardedBody::read(&bytes[..15]).is_err());
        let touched = vec![(SessionId(1), 4000), (SessionId(-2), 6000)];
        let bytes = Touches::to_bytes(touched.iter().copied());
        assert_eq!(Touches::read(&bytes), touched);
        assert_eq!(Touches::read(&bytes[..23]), touched[..1]);
        assert_eq!(Touches::read(&[]), []);
    }
}
