//! skeleton
use std::io;

use rookeeper_proto::{AclList, JuteWrite, SessionId, StatPersisted};

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

/// Appends the head of the body: sessions, then the ACL map.
pub fn put_head(out: &mut Vec<u8>, sessions: &[(SessionId, i32)], acls: &[(i64, AclList)]) {
    let _ = (out, sessions, acls);
    unimplemented!()
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

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The bytes are not a body.
    #[error("byte {at}: {what}")]
    Damaged {
        /// Offset from the start of the body.
        at: u64,
        /// What is wrong.
        what: String,
    },
    /// The source failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads a body from a stream into a sink, up to and including the terminator "/".
/// The source must not be read ahead of what is consumed: what follows is the caller's.
pub fn read_body(
    source: &mut dyn io::Read,
    sink: &mut dyn SnapshotSink,
    max_field_bytes: usize,
) -> Result<(), BodyError> {
    let _ = (source, sink, max_field_bytes);
    unimplemented!()
}
