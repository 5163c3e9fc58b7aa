//! The handshake records (`client-protocol.md` 2.1).

use crate::ids::{SessionId, Zxid};
use crate::jute::{JuteWrite, Reader, Result};

/// First frame of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRequest<'a> {
    /// Ignored by servers.
    pub protocol_version: i32,
    /// The newest zxid the client has seen; a server behind it must refuse.
    pub last_zxid_seen: Zxid,
    /// Proposed session time-out.
    pub timeout_ms: i32,
    /// 0 asks for a new session.
    pub session: SessionId,
    /// Password; ignored for a new session. Any length.
    pub password: Option<&'a [u8]>,
    /// Whether a read-only server will do. `None` when the byte is absent (clients before 3.4).
    pub read_only: Option<bool>,
}

impl<'a> ConnectRequest<'a> {
    /// Reads the record; bytes behind it are ignored.
    pub fn read(r: &mut Reader<'a>) -> Result<Self> {
        Ok(Self {
            protocol_version: r.i32()?,
            last_zxid_seen: Zxid(r.i64()?),
            timeout_ms: r.i32()?,
            session: SessionId(r.i64()?),
            password: r.buffer()?,
            read_only: if r.remaining() == 0 { None } else { Some(r.bool()?) },
        })
    }

    /// Appends the record.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.put_i32(self.protocol_version);
        out.put_i64(self.last_zxid_seen.0);
        out.put_i32(self.timeout_ms);
        out.put_i64(self.session.0);
        out.put_buffer(self.password);
        if let Some(read_only) = self.read_only {
            out.put_bool(read_only);
        }
    }
}

/// The server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectResponse {
    /// Negotiated time-out; 0 says the session is not valid.
    pub timeout_ms: i32,
    /// The session; 0 when not valid.
    pub session: SessionId,
    /// 16 bytes; zeros when not valid.
    pub password: [u8; 16],
    /// Present only if the request carried the byte.
    pub read_only: Option<bool>,
}

impl ConnectResponse {
    /// The answer to an unknown, expired or wrongly authenticated session.
    pub fn invalid(read_only: Option<bool>) -> Self {
        Self { timeout_ms: 0, session: SessionId::NONE, password: [0; 16], read_only }
    }

    /// Appends the record.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.put_i32(0);
        out.put_i32(self.timeout_ms);
        out.put_i64(self.session.0);
        out.put_buffer(Some(&self.password));
        if let Some(read_only) = self.read_only {
            out.put_bool(read_only);
        }
    }

    /// Reads the record. A password of another length is an error, as for the C client.
    pub fn read(r: &mut Reader<'_>) -> Result<Self> {
        let _protocol_version = r.i32()?;
        let timeout_ms = r.i32()?;
        let session = SessionId(r.i64()?);
        let password = match r.buffer()?.map(<[u8; 16]>::try_from) {
            Some(Ok(password)) => password,
            _ => return Err(r.error("16-byte password")),
        };
        let read_only = if r.remaining() == 0 { None } else { Some(r.bool()?) };
        Ok(Self { timeout_ms, session, password, read_only })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Captured from a 3.9.4 server (`client-protocol.md` Appendix A).
    #[test]
    fn captured_handshake() {
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid(0),
            timeout_ms: 10000,
            session: SessionId(0),
            password: Some(&[0; 16]),
            read_only: Some(false),
        };
        let mut out = Vec::new();
        request.write(&mut out);
        assert_eq!(out.len(), 0x2d);
        assert_eq!(ConnectRequest::read(&mut Reader::new(&out)), Ok(request));
        let old = &out[..0x2c];
        assert_eq!(ConnectRequest::read(&mut Reader::new(old)).unwrap().read_only, None);

        let response = ConnectResponse {
            timeout_ms: 10000,
            session: SessionId(0x0100_0012_663d_0018),
            password: crate::password::password(SessionId(0x0100_0012_663d_0018)),
            read_only: Some(false),
        };
        out.clear();
        response.write(&mut out);
        let hex: String = out.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "00000000000027100100001266\
             3d001800000010004e9a8db22928cff5f995a6ae5cfe0200"
        );
        assert_eq!(ConnectResponse::read(&mut Reader::new(&out)), Ok(response));
    }
}
