//! Makes replies of two servers comparable: what may differ is overwritten, every other byte stays.
//!
//! - zxids become offsets to the zxid at the start of the script or scenario;
//! - session ids (connect responses, ephemeralOwner) become the number of the session in order of opening;
//! - passwords become zeros, after [`password_of`] has confirmed them;
//! - times become 1, or stay 0;
//! - lists whose order is unspecified (children, ephemerals, auth info, what `auth` in an ACL stands for)
//!   are sorted.
//!
//! A reply that does not decode exactly, to its last byte, is an error. Source of the layouts: the client
//! protocol reference, sections 2.1, 3.2, 3.8 and 5.3.

use crate::raw::codes::op;
use crate::raw::{Malformed, Reader};

/// What session ids are replaced by: this plus the session's number.
pub const SESSION_MARK: i64 = 0x5e55_0000_0000_0000;

/// Added to the zxids of what was there before the script: they count from the server's first zxid.
const BEFORE_MARK: i64 = i64::MIN / 2;

/// The size of a Stat on the wire.
const STAT_BYTES: usize = 68;

/// The first four bytes of a notification.
const NOTIFICATION_XID: i32 = -1;

/// What stands for what in one script.
#[derive(Clone, Debug, Default)]
pub struct Normaliser {
    first_zxid: i64,
    base_zxid: i64,
    sessions: Vec<i64>,
}

/// Which message a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A watch event.
    Event,
    /// The reply to a request with this operation code.
    Reply(i32),
}

impl Kind {
    /// Whether the payload is a watch event, else the reply to a request with `op`.
    pub fn of(payload: &[u8], op: i32) -> Self {
        match Reader::new(payload).int() {
            Ok(NOTIFICATION_XID) => Self::Event,
            _ => Self::Reply(op),
        }
    }
}

impl Normaliser {
    /// Counts zxids from `base_zxid`, and those before it from `first_zxid`.
    pub fn new(first_zxid: i64, base_zxid: i64) -> Self {
        Self { first_zxid, base_zxid, sessions: Vec::new() }
    }

    /// The zxid that counts as zero.
    pub fn base_zxid(&self) -> i64 {
        self.base_zxid
    }

    /// Gives a session the next number, unless it has one.
    pub fn add_session(&mut self, session: i64) {
        if session != 0 && !self.sessions.contains(&session) {
            self.sessions.push(session);
        }
    }

    fn zxid(&self, zxid: i64) -> i64 {
        match zxid {
            -1 | 0 => zxid,
            _ if zxid >= self.base_zxid => zxid - self.base_zxid,
            _ => BEFORE_MARK + (zxid - self.first_zxid),
        }
    }

    fn session(&self, session: i64) -> i64 {
        match self.sessions.iter().position(|&known| known == session) {
            Some(number) => SESSION_MARK + i64::try_from(number).expect("few sessions"),
            None => session,
        }
    }

    /// Normalises a ConnectResponse; the session must have been added before.
    pub fn connected(&self, payload: &mut [u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(payload);
        reader.int()?;
        reader.int()?;
        let session_at = reader.at();
        let session = reader.long()?;
        let password = reader.buffer()?.ok_or_else(|| Malformed("a null password".to_owned()))?;
        let password_at = reader.at() - password.len();
        let expected = if session == 0 { [0; 16] } else { password_of(session) };
        if password != expected {
            return Err(Malformed(format!(
                "session {session:#x} has the password {password:02x?}"
            )));
        }
        if reader.left() > 0 {
            reader.bool()?;
        }
        reader.end()?;
        put_long(payload, session_at, self.session(session));
        payload[password_at..password_at + 16].fill(0);
        Ok(())
    }

    /// Normalises a reply or an event.
    pub fn message(&self, kind: Kind, payload: &mut Vec<u8>) -> Result<(), Malformed> {
        let mut reader = Reader::new(payload);
        reader.int()?;
        let zxid = self.zxid(reader.long()?);
        let error = reader.int()?;
        let body_at = reader.at();
        put_long(payload, 4, zxid);
        match kind {
            Kind::Event => {
                let mut reader = Reader::new(&payload[body_at..]);
                reader.int()?;
                reader.int()?;
                reader.str()?;
                reader.end()
            }
            Kind::Reply(op::SASL) => {
                let mut reader = Reader::new(&payload[body_at..]);
                reader.buffer()?;
                reader.end()
            }
            Kind::Reply(op::MULTI_READ) if error != 0 => {
                // Apache appends the results it had before the error; nothing reads them.
                payload.truncate(body_at);
                Ok(())
            }
            Kind::Reply(_) if error != 0 => Reader::new(&payload[body_at..]).end(),
            Kind::Reply(code) => {
                let mut walker = Walker { names: self, payload, at: body_at };
                walker.body(code)?;
                walker.end()
            }
        }
    }
}

/// Walks a reply's body and overwrites what may differ.
struct Walker<'a> {
    names: &'a Normaliser,
    payload: &'a mut Vec<u8>,
    at: usize,
}

impl Walker<'_> {
    fn body(&mut self, code: i32) -> Result<(), Malformed> {
        match code {
            op::CREATE => self.skip(|reader| reader.str().map(drop)),
            op::CREATE2 | op::CREATE_CONTAINER | op::CREATE_TTL => {
                self.skip(|reader| reader.str().map(drop))?;
                self.stat()
            }
            op::EXISTS | op::SET_DATA | op::SET_ACL => self.stat(),
            op::GET_DATA | op::RECONFIG => {
                self.skip(|reader| reader.buffer().map(drop))?;
                self.stat()
            }
            op::GET_ACL => {
                self.acl()?;
                self.stat()
            }
            op::GET_CHILDREN | op::GET_EPHEMERALS => self.sorted(|reader| reader.str().map(drop)),
            op::GET_CHILDREN2 => {
                self.sorted(|reader| reader.str().map(drop))?;
                self.stat()
            }
            op::SYNC => self.skip(|reader| reader.buffer().map(drop)),
            op::GET_ALL_CHILDREN_NUMBER | op::ADD_WATCH => {
                self.skip(|reader| reader.int().map(drop))
            }
            op::WHO_AM_I => self.sorted(|reader| {
                reader.buffer()?;
                reader.buffer().map(drop)
            }),
            op::MULTI | op::MULTI_READ => self.results(),
            _ => Ok(()),
        }
    }

    fn results(&mut self) -> Result<(), Malformed> {
        loop {
            let (kind, done) = self.read(|reader| {
                let (kind, done) = (reader.int()?, reader.bool()?);
                reader.int()?;
                Ok((kind, done))
            })?;
            match kind {
                _ if done => return Ok(()),
                op::ERROR => self.skip(|reader| reader.int().map(drop))?,
                op::CREATE
                | op::CREATE2
                | op::SET_DATA
                | op::GET_DATA
                | op::GET_CHILDREN
                | op::DELETE
                | op::CHECK => self.body(kind)?,
                other => return Err(Malformed(format!("a result of type {other}"))),
            }
        }
    }

    fn read<T>(
        &mut self,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
    ) -> Result<T, Malformed> {
        let mut reader = Reader::new(&self.payload[self.at..]);
        let value = read(&mut reader)?;
        self.at += reader.at();
        Ok(value)
    }

    fn skip(
        &mut self,
        read: impl FnOnce(&mut Reader<'_>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.read(read)
    }

    /// Sorts a vector's elements by their bytes.
    fn sorted(
        &mut self,
        element: impl Fn(&mut Reader<'_>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let count = self.read(|reader| reader.count())?.unwrap_or(0);
        let start = self.at;
        let mut elements = Vec::with_capacity(count.min(1 << 16));
        for _ in 0..count {
            let from = self.at;
            self.skip(&element)?;
            elements.push(self.payload[from..self.at].to_vec());
        }
        elements.sort_unstable();
        let sorted = elements.concat();
        self.payload[start..self.at].copy_from_slice(&sorted);
        Ok(())
    }

    /// Sorts neighbouring digest entries of equal permissions: what `auth` stands for has no order.
    fn acl(&mut self) -> Result<(), Malformed> {
        let count = self.read(|reader| reader.count())?.unwrap_or(0);
        let start = self.at;
        let mut entries = Vec::with_capacity(count.min(1 << 16));
        for _ in 0..count {
            let from = self.at;
            let (perms, digest) = self.read(|reader| {
                let (perms, scheme) = (reader.int()?, reader.buffer()?);
                reader.buffer()?;
                Ok((perms, scheme == Some(b"digest")))
            })?;
            entries.push((digest, perms, self.payload[from..self.at].to_vec()));
        }
        for run in entries.chunk_by_mut(|a, b| a.0 && b.0 && a.1 == b.1) {
            run.sort_unstable();
        }
        let sorted: Vec<u8> = entries.into_iter().flat_map(|(_, _, bytes)| bytes).collect();
        self.payload[start..self.at].copy_from_slice(&sorted);
        Ok(())
    }

    fn stat(&mut self) -> Result<(), Malformed> {
        let at = self.at;
        self.skip(|reader| reader.take(STAT_BYTES).map(drop))?;
        for zxid_at in [0, 8, 60] {
            let zxid = self.long(at + zxid_at);
            put_long(self.payload, at + zxid_at, self.names.zxid(zxid));
        }
        for time_at in [16, 24] {
            let time = self.long(at + time_at);
            put_long(self.payload, at + time_at, i64::from(time != 0));
        }
        let owner = self.long(at + 44);
        put_long(self.payload, at + 44, self.names.session(owner));
        Ok(())
    }

    fn long(&self, at: usize) -> i64 {
        i64::from_be_bytes(self.payload[at..at + 8].try_into().expect("eight bytes"))
    }

    fn end(&self) -> Result<(), Malformed> {
        Reader::new(&self.payload[self.at..]).end()
    }
}

fn put_long(payload: &mut [u8], at: usize, value: i64) {
    payload[at..at + 8].copy_from_slice(&value.to_be_bytes());
}

/// The password every server gives the session with this id (reference, section 2.3 step 2).
pub fn password_of(session: i64) -> [u8; 16] {
    const MASK: u64 = (1 << 48) - 1;
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    let mut state = (session.cast_unsigned() ^ 0xB341_5C00 ^ MULTIPLIER) & MASK;
    let mut password = [0; 16];
    for quarter in password.chunks_mut(4) {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        let bits = u32::try_from((state >> 16) & 0xffff_ffff).expect("masked to 32 bits");
        quarter.copy_from_slice(&bits.to_le_bytes());
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::Frame;

    #[test]
    fn the_password_of_a_captured_session() {
        // Captured from an Apache server.
        let captured = [
            0x00, 0x4e, 0x9a, 0x8d, 0xb2, 0x29, 0x28, 0xcf, 0xf5, 0xf9, 0x95, 0xa6, 0xae, 0x5c,
            0xfe, 0x02,
        ];
        assert_eq!(password_of(0x0100_0012_663d_0018), captured);
    }

    #[test]
    fn children_are_sorted_and_the_stat_is_made_comparable() {
        let mut names = Normaliser::new(100, 200);
        names.add_session(77);
        let stat = |frame: Frame, times: [i64; 2], zxids: [i64; 3], owner: i64| {
            let [czxid, mzxid, pzxid] = zxids;
            let frame = frame.long(czxid).long(mzxid).long(times[0]).long(times[1]);
            frame.int(1).int(2).int(3).long(owner).int(4).int(5).long(pzxid)
        };
        let head = |zxid| Frame::new().int(9).long(zxid).int(0);
        let mut reply = stat(head(207).strs(&["b", "a"]), [1234, 0], [201, 0, 150], 77).done();
        names.message(Kind::Reply(op::GET_CHILDREN2), &mut reply).expect("a whole reply");
        let zxids = [1, 0, BEFORE_MARK + 50];
        let expected = stat(head(7).strs(&["a", "b"]), [1, 0], zxids, SESSION_MARK).done();
        assert_eq!(reply, expected);
    }

    #[test]
    fn bytes_too_many_are_noticed() {
        let names = Normaliser::default();
        let mut reply = Frame::new().int(1).long(0).int(-101).raw(&[0]).done();
        assert!(names.message(Kind::Reply(op::EXISTS), &mut reply).is_err());
        let mut reply = Frame::new().int(1).long(0).int(0).int(3).int(4).done();
        assert!(names.message(Kind::Reply(op::GET_ALL_CHILDREN_NUMBER), &mut reply).is_err());
    }
}
