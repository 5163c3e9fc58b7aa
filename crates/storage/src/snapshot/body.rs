//! The body of a snapshot: sessions, ACL map, nodes (`storage-format.md` 3.1). The same bytes are the
//! SNAP stream of the quorum wire.
//!
//! The parser takes bytes as they come and hands whole items on; what it has not consumed is the
//! caller's, so nothing behind the terminator is swallowed. Memory: the caller keeps at most one
//! incomplete item, whose size is limited.

use rookeeper_proto::{AclList, JuteWrite, Reader, SessionId, StatPersisted};

/// Why what was read was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub String);

/// What takes a snapshot's contents, in the order of the file: sessions, ACLs, nodes (parents
/// before children, the root's path is empty).
pub trait SnapshotSink {
    /// Forgets everything taken so far: another snapshot begins.
    fn reset(&mut self);
    /// A session.
    fn session(&mut self, id: SessionId, timeout_ms: i32) -> Result<(), SinkError>;
    /// An entry of the ACL map.
    fn acl(&mut self, id: i64, acl: AclList) -> Result<(), SinkError>;
    /// A node.
    fn node(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl_id: i64,
        stat: &StatPersisted,
    ) -> Result<(), SinkError>;
}

/// A sink that takes everything and keeps nothing: for verifying.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullSink;

impl SnapshotSink for NullSink {
    fn reset(&mut self) {}
    fn session(&mut self, _: SessionId, _: i32) -> Result<(), SinkError> {
        Ok(())
    }
    fn acl(&mut self, _: i64, _: AclList) -> Result<(), SinkError> {
        Ok(())
    }
    fn node(
        &mut self,
        _: &str,
        _: Option<&[u8]>,
        _: i64,
        _: &StatPersisted,
    ) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Appends the head of the body: sessions, then the ACL map.
pub fn put_head(out: &mut Vec<u8>, sessions: &[(SessionId, i32)], acls: &[(i64, AclList)]) {
    out.put_len(sessions.len());
    for (id, timeout_ms) in sessions {
        out.put_i64(id.0);
        out.put_i32(*timeout_ms);
    }
    out.put_len(acls.len());
    for (id, acl) in acls {
        out.put_i64(*id);
        acl.write(out);
    }
}

/// Appends one node.
pub fn put_node(
    out: &mut Vec<u8>,
    path: &str,
    data: Option<&[u8]>,
    acl_id: i64,
    stat: &StatPersisted,
) {
    out.put_str(path);
    out.put_buffer(data);
    out.put_i64(acl_id);
    stat.write(out);
}

/// Appends the end of the body.
pub fn put_end(out: &mut Vec<u8>) {
    out.put_str("/");
}

/// The body of a tree nobody has written to.
pub(crate) fn fresh_body() -> Vec<u8> {
    let mut out = Vec::new();
    put_head(&mut out, &[], &[(1, AclList::world(rookeeper_proto::acl::READ))]);
    let stat = StatPersisted::default();
    put_node(&mut out, "", Some(b""), -1, &stat);
    put_node(&mut out, "/zookeeper", Some(b""), -1, &stat);
    let config = StatPersisted { aversion: -1, ..stat };
    put_node(&mut out, "/zookeeper/config", Some(b""), 1, &config);
    put_node(&mut out, "/zookeeper/quota", Some(b""), -1, &stat);
    put_end(&mut out);
    out
}

/// The bytes are not a body, or the sink did not take it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {at} of the snapshot's body: expected {expected}, found {found}")]
pub struct BodyError {
    /// Offset from the start of the body.
    pub at: u64,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// Parses a body piece by piece.
#[derive(Debug)]
pub struct BodyParser {
    part: Part,
    at: u64,
    max_item_bytes: usize,
    nodes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    SessionCount,
    Sessions(i32),
    AclCount,
    Acls(i32),
    Nodes,
    Done,
}

/// An item that can be taken, or that more bytes are needed.
type ItemSize = Result<Option<usize>, BodyError>;

impl BodyParser {
    /// A parser at the start of a body; no path, data or ACL may be longer than `max_item_bytes`.
    pub fn new(max_item_bytes: usize) -> Self {
        Self { part: Part::SessionCount, at: 0, max_item_bytes, nodes: 0 }
    }

    /// Whether the terminator was read.
    pub fn is_done(&self) -> bool {
        self.part == Part::Done
    }

    /// Bytes consumed so far.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Nodes handed on so far.
    pub fn nodes(&self) -> u64 {
        self.nodes
    }

    /// Takes the whole items at the start of `bytes`; returns how many bytes they were. The rest
    /// must be given again, with more behind it, unless the body is done.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut dyn SnapshotSink) -> Result<usize, BodyError> {
        let mut consumed = 0;
        while let Some(size) = self.size(&bytes[consumed..])? {
            let item = &bytes[consumed..consumed + size];
            self.take(item, sink)?;
            consumed += size;
            self.at += size as u64;
            if self.is_done() {
                break;
            }
        }
        Ok(consumed)
    }

    fn error(&self, within: usize, expected: &str, found: impl ToString) -> BodyError {
        let (expected, found) = (expected.to_owned(), found.to_string());
        BodyError { at: self.at + within as u64, expected, found }
    }

    /// The size of the item at the start of `bytes`; `None` if it is not complete. Counts that
    /// ended are stepped over here.
    fn size(&mut self, bytes: &[u8]) -> ItemSize {
        if self.part == Part::Sessions(0) {
            self.part = Part::AclCount;
        }
        if self.part == Part::Acls(0) {
            self.part = Part::Nodes;
        }
        let size = match self.part {
            Part::SessionCount | Part::AclCount => Some(4),
            Part::Sessions(_) => Some(12),
            Part::Acls(_) => self.acl_size(bytes)?,
            Part::Nodes => self.node_size(bytes)?,
            Part::Done => None,
        };
        Ok(size.filter(|size| *size <= bytes.len()))
    }

    /// The end of a length-prefixed field at `at`.
    fn field_end(&self, bytes: &[u8], at: usize, what: &str) -> ItemSize {
        let Some(prefix) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) else {
            return Ok(None);
        };
        match i32::from_be_bytes(*prefix) {
            -1 => Ok(Some(at + 4)),
            len => match usize::try_from(len) {
                Ok(n) if n <= self.max_item_bytes => Ok(Some(at + 4 + n)),
                _ => Err(self.error(at, &format!("the length of {what}"), len)),
            },
        }
    }

    fn acl_size(&self, bytes: &[u8]) -> ItemSize {
        let Some(count) = bytes.get(8..).and_then(|rest| rest.first_chunk::<4>()) else {
            return Ok(None);
        };
        let mut end = 12;
        for _ in 0..i32::from_be_bytes(*count).max(0) {
            for what in ["an ACL's scheme", "an ACL's id"] {
                end = if what == "an ACL's scheme" { end + 4 } else { end };
                let Some(next) = self.field_end(bytes, end, what)? else { return Ok(None) };
                end = next;
            }
            if self.max_item_bytes < end {
                return Err(self.error(0, "an ACL of sane size", format!("{end} bytes or more")));
            }
        }
        Ok(Some(end))
    }

    fn node_size(&self, bytes: &[u8]) -> ItemSize {
        let Some(path_end) = self.field_end(bytes, 0, "a node's path")? else { return Ok(None) };
        if path_end == 5 && bytes.get(4) == Some(&b'/') {
            return Ok(Some(5));
        }
        let Some(end) = self.field_end(bytes, path_end, "a node's data")? else { return Ok(None) };
        Ok(Some(end + 8 + StatPersisted::ENCODED_BYTES))
    }

    fn take(&mut self, item: &[u8], sink: &mut dyn SnapshotSink) -> Result<(), BodyError> {
        let mut r = Reader::new(item);
        let taken = self.take_item(&mut r, sink);
        match taken {
            Ok(Ok(part)) => {
                self.part = part;
                Ok(())
            }
            Ok(Err(refused)) => Err(self.error(0, "content that fits a tree", refused)),
            Err(e) => Err(self.error(e.at, e.what, "other bytes")),
        }
    }

    fn take_item(
        &mut self,
        r: &mut Reader<'_>,
        sink: &mut dyn SnapshotSink,
    ) -> rookeeper_proto::jute::Result<Result<Part, SinkError>> {
        Ok(match self.part {
            Part::SessionCount => Ok(Part::Sessions(count(r, "the number of sessions")?)),
            Part::Sessions(left) => {
                let (id, timeout_ms) = (SessionId(r.i64()?), r.i32()?);
                sink.session(id, timeout_ms).map(|()| Part::Sessions(left - 1))
            }
            Part::AclCount => Ok(Part::Acls(count(r, "the size of the ACL map")?)),
            Part::Acls(left) => {
                let id = r.i64()?;
                sink.acl(id, AclList::read(r)?).map(|()| Part::Acls(left - 1))
            }
            Part::Nodes => {
                let path = r.string()?.ok_or_else(|| r.error("a node's path"))?;
                if path == "/" {
                    return Ok(Ok(Part::Done));
                }
                let (data, acl_id) = (r.buffer()?, r.i64()?);
                let stat = StatPersisted::read(r)?;
                self.nodes += 1;
                sink.node(&path, data, acl_id, &stat).map(|()| Part::Nodes)
            }
            Part::Done => Ok(Part::Done),
        })
    }
}

fn count(r: &mut Reader<'_>, what: &'static str) -> rookeeper_proto::jute::Result<i32> {
    let at = r.at();
    let n = r.i32()?;
    if n < 0 { Err(rookeeper_proto::DecodeError { at, what }) } else { Ok(n) }
}
