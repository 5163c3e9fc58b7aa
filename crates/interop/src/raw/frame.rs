//! Building a request field by field.

use super::codes::op;

/// One entry of an ACL; `None` is a null string on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    /// Permission bits.
    pub perms: i32,
    /// Scheme.
    pub scheme: Option<String>,
    /// Id.
    pub id: Option<String>,
}

impl Acl {
    /// An entry.
    pub fn new(perms: i32, scheme: &str, id: &str) -> Self {
        Self { perms, scheme: Some(scheme.to_owned()), id: Some(id.to_owned()) }
    }

    /// Everything to everybody, as most nodes have it.
    pub fn open() -> Vec<Self> {
        vec![Self::new(31, "world", "anyone")]
    }
}

/// A frame's payload under construction, without the four bytes of length before it.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    bytes: Vec<u8>,
}

impl Frame {
    /// An empty payload.
    pub fn new() -> Self {
        Self::default()
    }

    /// A payload that begins with a request header.
    pub fn request(xid: i32, op: i32) -> Self {
        Self::new().int(xid).int(op)
    }

    /// The finished payload.
    pub fn done(self) -> Vec<u8> {
        self.bytes
    }

    /// Bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// An int.
    #[must_use]
    pub fn int(self, value: i32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// A long.
    #[must_use]
    pub fn long(self, value: i64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// A boolean.
    #[must_use]
    pub fn bool(self, value: bool) -> Self {
        self.raw(&[u8::from(value)])
    }

    /// A buffer; `None` is null.
    #[must_use]
    pub fn buffer(self, value: Option<&[u8]>) -> Self {
        match value {
            None => self.int(-1),
            Some(bytes) => {
                self.int(i32::try_from(bytes.len()).expect("test data is small")).raw(bytes)
            }
        }
    }

    /// A string.
    #[must_use]
    pub fn str(self, value: &str) -> Self {
        self.buffer(Some(value.as_bytes()))
    }

    /// A string or null.
    #[must_use]
    pub fn opt_str(self, value: Option<&str>) -> Self {
        self.buffer(value.map(str::as_bytes))
    }

    /// A vector of strings.
    #[must_use]
    pub fn strs<S: AsRef<str>>(self, values: &[S]) -> Self {
        let count = self.int(i32::try_from(values.len()).expect("test data is small"));
        values.iter().fold(count, |frame, value| frame.str(value.as_ref()))
    }

    /// A vector of ACL entries; `None` is null.
    #[must_use]
    pub fn acl(self, entries: Option<&[Acl]>) -> Self {
        let Some(entries) = entries else { return self.int(-1) };
        let count = self.int(i32::try_from(entries.len()).expect("test data is small"));
        entries.iter().fold(count, |frame, entry| {
            frame.int(entry.perms).opt_str(entry.scheme.as_deref()).opt_str(entry.id.as_deref())
        })
    }

    /// The body of create, create2 and createContainer.
    #[must_use]
    pub fn create(self, path: &str, data: Option<&[u8]>, acl: &[Acl], flags: i32) -> Self {
        self.str(path).buffer(data).acl(Some(acl)).int(flags)
    }

    /// The header of one operation of a multi.
    #[must_use]
    pub fn multi_op(self, op: i32) -> Self {
        self.int(op).bool(false).int(-1)
    }

    /// The end of a multi.
    #[must_use]
    pub fn multi_end(self) -> Self {
        self.int(-1).bool(true).int(-1)
    }

    /// A ConnectRequest; without `read_only` it is the one of clients before 3.4.
    pub fn connect(
        last_zxid_seen: i64,
        timeout_ms: i32,
        session: i64,
        password: Option<&[u8]>,
        read_only: Option<bool>,
    ) -> Vec<u8> {
        let frame =
            Self::new().int(0).long(last_zxid_seen).int(timeout_ms).long(session).buffer(password);
        match read_only {
            Some(read_only) => frame.bool(read_only).done(),
            None => frame.done(),
        }
    }

    /// A ping.
    pub fn ping() -> Vec<u8> {
        Self::request(-2, op::PING).done()
    }

    /// An auth packet.
    pub fn auth(scheme: &str, credentials: &[u8]) -> Vec<u8> {
        Self::request(-4, op::AUTH).int(0).str(scheme).buffer(Some(credentials)).done()
    }

    /// A closeSession.
    pub fn close_session(xid: i32) -> Vec<u8> {
        Self::request(xid, op::CLOSE_SESSION).done()
    }
}

/// The payload with its four bytes of length before it.
pub fn framed(payload: &[u8]) -> Vec<u8> {
    Frame::new().buffer(Some(payload)).done()
}
