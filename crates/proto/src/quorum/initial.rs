//! The first message on an election connection: who dials, and where to call back.

use crate::ids::Sid;
use crate::jute::{DecodeError, JuteWrite, Reader, Result};

/// One address follows.
pub const PROTOCOL_V1: i64 = -65536;
/// A list of addresses joined by `|` follows (`multiAddress.enabled`).
pub const PROTOCOL_V2: i64 = -65535;
/// The sid of an observer without one.
pub const ANONYMOUS: Sid = Sid(i64::MAX);
/// Longest address list.
pub const ADDRESS_BYTES_MAX: usize = 2048;

/// Who dials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialMessage {
    /// The dialler.
    pub sid: Sid,
    /// Host (without brackets) and election port, as the dialler advertises them; empty from very old peers.
    pub addresses: Vec<(String, u16)>,
}

impl InitialMessage {
    /// Reads from the start of a stream; `None` when more bytes are needed.
    ///
    /// # Errors
    /// When Java would close the connection: an unknown version, a length outside 1..=2048, an
    /// address that does not parse.
    pub fn try_read(bytes: &[u8]) -> Result<Option<(Self, usize)>> {
        let mut r = Reader::new(bytes);
        if r.remaining() < 8 {
            return Ok(None);
        }
        let version = r.i64()?;
        if version >= 0 {
            return Ok(Some((Self { sid: Sid(version), addresses: Vec::new() }, r.at())));
        }
        if version != PROTOCOL_V1 && version != PROTOCOL_V2 {
            return Err(DecodeError { at: 0, what: "election protocol version" });
        }
        if r.remaining() < 12 {
            return Ok(None);
        }
        let sid = Sid(r.i64()?);
        let start = r.clone();
        let len = usize::try_from(r.i32()?).unwrap_or(0);
        if len == 0 || ADDRESS_BYTES_MAX < len {
            return Err(start.error("length of the election address"));
        }
        if r.remaining() < len {
            return Ok(None);
        }
        let at = r.at();
        let text = String::from_utf8_lossy(r.bytes(len, "election address")?).into_owned();
        let addresses: Option<Vec<_>> = text.split('|').map(parse_address).collect();
        let addresses = addresses.ok_or(DecodeError { at, what: "election address" })?;
        Ok(Some((Self { sid, addresses }, r.at())))
    }

    /// The bytes of version 1 (the first address only) or, with several addresses wanted, version 2.
    pub fn to_bytes(&self, is_multi_address: bool) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_i64(if is_multi_address { PROTOCOL_V2 } else { PROTOCOL_V1 });
        out.put_i64(self.sid.0);
        let wanted = if is_multi_address { self.addresses.len() } else { 1 };
        let texts: Vec<String> = self.addresses.iter().take(wanted).map(format_address).collect();
        out.put_str(&texts.join("|"));
        out
    }
}

fn format_address((host, port): &(String, u16)) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn parse_address(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None => host,
    };
    is_host(host).then_some(())?;
    Some((host.to_owned(), port.parse().ok()?))
}

/// Whether a text can be a host's name or address at all: something, and nothing in it that means something else
/// where hosts are written (brackets, separators, escapes of properties files).
pub fn is_host(text: &str) -> bool {
    let is_special = |c: char| c.is_whitespace() || c.is_control() || "[]|;=\\".contains(c);
    !text.is_empty() && !text.contains(is_special)
}

#[cfg(test)]
mod tests {
    use super::super::unhex;
    use super::*;

    #[test]
    fn golden_v1() {
        let golden =
            unhex("ffffffffffff0000 0000000000000003 0000000f 3132372e302e302e313a3233383833");
        let message =
            InitialMessage { sid: Sid(3), addresses: vec![("127.0.0.1".to_owned(), 23883)] };
        assert_eq!(message.to_bytes(false), golden);
        assert_eq!(InitialMessage::try_read(&golden), Ok(Some((message, golden.len()))));
        for cut in 0..golden.len() {
            assert_eq!(InitialMessage::try_read(&golden[..cut]), Ok(None));
        }
    }

    #[test]
    fn v2_lists_and_brackets() {
        let addresses = vec![("::1".to_owned(), 1), ("b".to_owned(), 2)];
        let message = InitialMessage { sid: Sid(9), addresses };
        let bytes = message.to_bytes(true);
        assert!(bytes.ends_with(b"[::1]:1|b:2"));
        assert_eq!(InitialMessage::try_read(&bytes), Ok(Some((message, bytes.len()))));
    }

    #[test]
    fn very_old_peers_and_garbage() {
        let old = 7i64.to_be_bytes();
        let message = InitialMessage { sid: Sid(7), addresses: vec![] };
        assert_eq!(InitialMessage::try_read(&old), Ok(Some((message, 8))));
        for bad in [
            "fffffffffffe0000",
            "ffffffffffff0000 0000000000000003 00000000",
            "ffffffffffff0000 0000000000000003 00000801",
            "ffffffffffff0000 0000000000000003 80000000",
            "ffffffffffff0000 0000000000000003 00000003 616263",
            // `[[;>1]:388`, which would be written as something that is no address (fuzzer).
            "ffffffffffff0000 0000000000000003 0000000a 5b5b3b3e315d3a333838",
        ] {
            assert!(InitialMessage::try_read(&unhex(bad)).is_err(), "{bad}");
        }
    }
}
