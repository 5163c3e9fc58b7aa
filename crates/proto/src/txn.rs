//! Transaction records: what the log holds, what a PROPOSAL carries, what the tree applies
//! (`storage-format.md` section 2).
//!
//! A txn is encoded once, when it is prepared; the log, the followers and the applier all use those
//! bytes. Decoding borrows from them. Tolerances for what older or differently configured Java
//! servers wrote (CreateTxnV0, closeSession without a body, missing digest) live here.

use std::borrow::Cow;

use crate::acl::AclList;
use crate::ids::{SessionId, Zxid};
use crate::jute::{DecodeError, JuteWrite, Reader, Result};
use crate::op_code::OpCode;

/// What precedes every txn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxnHeader {
    /// The session that asked; 0 for the server itself.
    pub session: SessionId,
    /// Its xid.
    pub cxid: i32,
    /// The txn's id.
    pub zxid: Zxid,
    /// The leader's wall clock; becomes ctime and mtime.
    pub time_ms: i64,
    /// Operation code of the txn.
    pub op: i32,
}

impl TxnHeader {
    /// Encoded size in bytes.
    pub const ENCODED_BYTES: usize = 32;

    /// Reads the record.
    pub fn read(r: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            session: SessionId(r.i64()?),
            cxid: r.i32()?,
            zxid: Zxid(r.i64()?),
            time_ms: r.i64()?,
            op: r.i32()?,
        })
    }

    /// Appends the record.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.put_i64(self.session.0);
        out.put_i32(self.cxid);
        out.put_i64(self.zxid.0);
        out.put_i64(self.time_ms);
        out.put_i32(self.op);
    }
}

/// The tree's digest after a txn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxnDigest {
    /// [`DIGEST_VERSION`] for ours.
    pub version: i32,
    /// Wrapping sum of node digests.
    pub digest: i64,
}

/// The version of the digest's definition (`storage-format.md` section 5).
pub const DIGEST_VERSION: i32 = 2;

impl TxnDigest {
    /// Encoded size in bytes.
    pub const ENCODED_BYTES: usize = 12;

    /// Appends the record.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.put_i32(self.version);
        out.put_i64(self.digest);
    }
}

/// Body of the creating txns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTxn<'a> {
    /// Final path.
    pub path: Cow<'a, str>,
    /// Data, may be null.
    pub data: Option<&'a [u8]>,
    /// Stored ACL.
    pub acl: AclList,
    /// The parent's count of creates after this one; -1 lets the applier count.
    pub parent_cversion: i32,
}

/// A txn's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Txn<'a> {
    /// Types 1 and 15. `is_create2` tells which: replay of the two differs.
    Create {
        /// The node.
        create: CreateTxn<'a>,
        /// Whether the owner is the header's session.
        ephemeral: bool,
        /// Type 15.
        is_create2: bool,
    },
    /// Type 19.
    CreateContainer(CreateTxn<'a>),
    /// Type 21.
    CreateTtl {
        /// The node.
        create: CreateTxn<'a>,
        /// Time to live.
        ttl_ms: i64,
    },
    /// Types 2 and 20.
    Delete {
        /// The node.
        path: Cow<'a, str>,
        /// Type 20: removed by the server itself.
        is_container: bool,
    },
    /// Types 5 and 16.
    SetData {
        /// The node.
        path: Cow<'a, str>,
        /// New data.
        data: Option<&'a [u8]>,
        /// Version after the change; -1 for reconfig.
        version: i32,
        /// Type 16: a new ensemble configuration.
        is_reconfig: bool,
    },
    /// Type 7.
    SetAcl {
        /// The node.
        path: Cow<'a, str>,
        /// New list.
        acl: AclList,
        /// Aversion after the change.
        version: i32,
    },
    /// Type 13, only inside a multi; no effect.
    Check {
        /// The node.
        path: Cow<'a, str>,
        /// Its version plus one.
        version: i32,
    },
    /// Type -10.
    CreateSession {
        /// Negotiated time-out.
        timeout_ms: i32,
    },
    /// Type -11: the ephemerals to delete; `None` when the writer left the body out.
    CloseSession(Option<Vec<Cow<'a, str>>>),
    /// Type -1: a write that failed.
    Error(i32),
    /// Type 14: one zxid for all; a no-op as a whole if any part is an error.
    Multi(Vec<Txn<'a>>),
}

impl<'a> CreateTxn<'a> {
    /// Reads what all creating txns begin with; the caller fills in the parent's cversion.
    fn read_head(r: &mut Reader<'a>) -> Result<Self> {
        let (path, data, acl) = (required(r, "path")?, r.buffer()?, AclList::read(r)?);
        Ok(Self { path, data, acl, parent_cversion: -1 })
    }

    fn write_head(&self, out: &mut Vec<u8>) {
        out.put_str(&self.path);
        out.put_buffer(self.data);
        self.acl.write(out);
    }
}

fn required<'a>(r: &mut Reader<'a>, what: &'static str) -> Result<Cow<'a, str>> {
    let at = r.at();
    r.string()?.ok_or(DecodeError { at, what })
}

impl<'a> Txn<'a> {
    /// The type in the header or in the part of a multi.
    pub fn op(&self) -> OpCode {
        match self {
            Self::Create { is_create2: false, .. } => OpCode::Create,
            Self::Create { is_create2: true, .. } => OpCode::Create2,
            Self::CreateContainer(_) => OpCode::CreateContainer,
            Self::CreateTtl { .. } => OpCode::CreateTtl,
            Self::Delete { is_container: false, .. } => OpCode::Delete,
            Self::Delete { is_container: true, .. } => OpCode::DeleteContainer,
            Self::SetData { is_reconfig: false, .. } => OpCode::SetData,
            Self::SetData { is_reconfig: true, .. } => OpCode::Reconfig,
            Self::SetAcl { .. } => OpCode::SetAcl,
            Self::Check { .. } => OpCode::Check,
            Self::CreateSession { .. } => OpCode::CreateSession,
            Self::CloseSession(_) => OpCode::CloseSession,
            Self::Error(_) => OpCode::Error,
            Self::Multi(_) => OpCode::Multi,
        }
    }

    /// Decodes the body of type `op`. Leaves the reader behind the body.
    pub fn read(op: i32, r: &mut Reader<'a>) -> Result<Self> {
        Self::read_at_depth(op, r, 0)
    }

    fn read_at_depth(op: i32, r: &mut Reader<'a>, depth: u32) -> Result<Self> {
        let Some(op) = OpCode::from_i32(op) else { return Err(r.error("txn type")) };
        Ok(match op {
            OpCode::Create | OpCode::Create2 => {
                let mut create = CreateTxn::read_head(r)?;
                let ephemeral = r.bool()?;
                // CreateTxnV0 ends here. A digest never follows it: it is older than digests.
                if 0 < r.remaining() {
                    create.parent_cversion = r.i32()?;
                }
                Self::Create { create, ephemeral, is_create2: op == OpCode::Create2 }
            }
            OpCode::CreateContainer => {
                let create = CreateTxn::read_head(r)?;
                Self::CreateContainer(CreateTxn { parent_cversion: r.i32()?, ..create })
            }
            OpCode::CreateTtl => {
                let create = CreateTxn::read_head(r)?;
                let create = CreateTxn { parent_cversion: r.i32()?, ..create };
                Self::CreateTtl { create, ttl_ms: r.i64()? }
            }
            OpCode::Delete | OpCode::DeleteContainer => Self::Delete {
                path: required(r, "path")?,
                is_container: op == OpCode::DeleteContainer,
            },
            OpCode::SetData | OpCode::Reconfig => Self::SetData {
                path: required(r, "path")?,
                data: r.buffer()?,
                version: r.i32()?,
                is_reconfig: op == OpCode::Reconfig,
            },
            OpCode::SetAcl => Self::SetAcl {
                path: required(r, "path")?,
                acl: AclList::read(r)?,
                version: r.i32()?,
            },
            OpCode::Check => Self::Check { path: required(r, "path")?, version: r.i32()? },
            OpCode::CreateSession => Self::CreateSession { timeout_ms: r.i32()? },
            OpCode::CloseSession => Self::read_close_session(r)?,
            OpCode::Error => Self::Error(r.i32()?),
            OpCode::Multi if depth == 0 => {
                let parts = r.vector(|r| {
                    let op = r.i32()?;
                    let at = r.at();
                    let body = r.buffer()?.ok_or(DecodeError { at, what: "part of a multi" })?;
                    Self::read_at_depth(op, &mut Reader::new(body), 1)
                })?;
                Self::Multi(parts.unwrap_or_default())
            }
            _ => return Err(r.error("txn type")),
        })
    }

    /// The body may be missing, with or without a digest behind the gap; only the remaining length
    /// tells (`storage-format.md` section 2, "closeSession ambiguity").
    fn read_close_session(r: &mut Reader<'a>) -> Result<Self> {
        if r.remaining() == 0 {
            return Ok(Self::CloseSession(None));
        }
        let mut ahead = r.clone();
        let paths = ahead.vector(|r| required(r, "path"));
        if let Ok(paths) = paths
            && matches!(ahead.remaining(), 0 | TxnDigest::ENCODED_BYTES)
        {
            *r = ahead;
            return Ok(Self::CloseSession(Some(paths.unwrap_or_default())));
        }
        if r.remaining() == TxnDigest::ENCODED_BYTES {
            return Ok(Self::CloseSession(None));
        }
        Err(r.error("closeSession txn"))
    }

    /// Appends the body.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Create { create, ephemeral, .. } => {
                create.write_head(out);
                out.put_bool(*ephemeral);
                out.put_i32(create.parent_cversion);
            }
            Self::CreateContainer(create) => {
                create.write_head(out);
                out.put_i32(create.parent_cversion);
            }
            Self::CreateTtl { create, ttl_ms } => {
                create.write_head(out);
                out.put_i32(create.parent_cversion);
                out.put_i64(*ttl_ms);
            }
            Self::Delete { path, .. } => out.put_str(path),
            Self::SetData { path, data, version, .. } => {
                out.put_str(path);
                out.put_buffer(*data);
                out.put_i32(*version);
            }
            Self::SetAcl { path, acl, version } => {
                out.put_str(path);
                acl.write(out);
                out.put_i32(*version);
            }
            Self::Check { path, version } => {
                out.put_str(path);
                out.put_i32(*version);
            }
            Self::CreateSession { timeout_ms } => out.put_i32(*timeout_ms),
            Self::CloseSession(None) => {}
            Self::CloseSession(Some(paths)) => {
                out.put_len(paths.len());
                paths.iter().for_each(|path| out.put_str(path));
            }
            Self::Error(code) => out.put_i32(*code),
            Self::Multi(parts) => {
                out.put_len(parts.len());
                for part in parts {
                    out.put_i32(part.op().as_i32());
                    let len_at = out.len();
                    out.put_i32(0);
                    part.write(out);
                    let len = out.len() - len_at - 4;
                    out[len_at..len_at + 4].copy_from_slice(&(len as i32).to_be_bytes());
                }
            }
        }
    }
}

/// A whole record: header, body, optional digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// Header.
    pub header: TxnHeader,
    /// Body.
    pub txn: Txn<'a>,
    /// The tree's digest after it, if the writer recorded one.
    pub digest: Option<TxnDigest>,
}

impl<'a> Record<'a> {
    /// Decodes a log record's payload or a proposal's data. Bytes behind the digest are ignored.
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut r = Reader::new(bytes);
        let header = TxnHeader::read(&mut r)?;
        let txn = Txn::read(header.op, &mut r)?;
        let digest = if r.remaining() >= TxnDigest::ENCODED_BYTES {
            Some(TxnDigest { version: r.i32()?, digest: r.i64()? })
        } else {
            None
        };
        Ok(Self { header, txn, digest })
    }

    /// Appends the record.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.header.write(out);
        self.txn.write(out);
        if let Some(digest) = &self.digest {
            digest.write(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        digits.chunks(2).map(|pair| byte(pair).unwrap()).collect()
    }

    /// The payload of the golden record of `storage-format.md` 1.2.
    #[test]
    fn golden_create() {
        let bytes = unhex(
            "0000000000000001 00000001 0000000100000001 00000000000003e8 00000001 \
             0000000b2f6e313030303030303031 0000000101 00000001 0000001f 00000005776f726c64 \
             00000006616e796f6e65 00 ffffffff",
        );
        let record = Record::read(&bytes).unwrap();
        assert_eq!(record.header.zxid, Zxid::new(1, 1));
        let Txn::Create { create, ephemeral: false, is_create2: false } = &record.txn else {
            panic!("{record:?}")
        };
        assert_eq!((&*create.path, create.data), ("/n100000001", Some(&[1u8][..])));
        assert_eq!(create.parent_cversion, -1);
        let mut again = Vec::new();
        record.write(&mut again);
        assert_eq!(again, bytes);
    }

    #[test]
    fn close_session_is_told_by_length() {
        let header = TxnHeader {
            session: SessionId(5),
            cxid: 0,
            zxid: Zxid(9),
            time_ms: 1,
            op: OpCode::CloseSession.as_i32(),
        };
        let digest = Some(TxnDigest { version: 2, digest: 77 });
        for txn in [
            Txn::CloseSession(None),
            Txn::CloseSession(Some(vec![])),
            Txn::CloseSession(Some(vec!["/a".into(), "/b".into()])),
        ] {
            for digest in [None, digest] {
                let record = Record { header, txn: txn.clone(), digest };
                let mut bytes = Vec::new();
                record.write(&mut bytes);
                assert_eq!(Record::read(&bytes), Ok(record));
            }
        }
    }

    #[test]
    fn failed_multi_with_bodies_kept_by_java_is_readable() {
        // Sub type -1 whose body is still the original create: only the first int counts.
        let mut body = Vec::new();
        body.put_i32(1);
        body.put_i32(-1);
        body.put_i32(10);
        body.put(&[0, 0, 0, 2, b'/', b'x', 9, 9, 9, 9]);
        let txn = Txn::read(OpCode::Multi.as_i32(), &mut Reader::new(&body)).unwrap();
        assert_eq!(txn, Txn::Multi(vec![Txn::Error(2)]));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_records_never_panic(op in 0usize..OpCode::ALL.len(), body: Vec<u8>) {
            let _ = Txn::read(OpCode::ALL[op].as_i32(), &mut Reader::new(&body));
            let _ = Record::read(&body);
        }
    }
}
