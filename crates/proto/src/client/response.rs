//! Bodies of replies, decoded as a client needs them (`client-protocol.md` 3.2, 3.8).
//!
//! Guarantees: decoding never panics, never allocates more than the input justifies, and ignores
//! bytes behind a complete body. A body is present only when the header's error is 0; nulls where
//! no server sends them become empty. It does not encode single bodies: servers write those from
//! the primitives of [`crate::jute`]. [`MultiResult::write_all`] serves scripted servers and tests.

use crate::acl::{AclList, Id};
use crate::jute::{JuteWrite, Reader, Result};
use crate::op_code::OpCode;
use crate::stat::Stat;

/// The body of a successful reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response<'a> {
    /// Header only: delete, ping, auth, setWatches, checkWatches, removeWatches, closeSession.
    Empty,
    /// create and sync.
    Path(String),
    /// create2, createContainer, createTTL.
    PathStat(String, Stat),
    /// exists, setData, setACL.
    Stat(Stat),
    /// getData and reconfig. Null data is distinct from empty data.
    Data(Option<&'a [u8]>, Stat),
    /// getACL.
    Acl(AclList, Stat),
    /// getChildren and getEphemerals.
    Names(Vec<String>),
    /// getChildren2.
    NamesStat(Vec<String>, Stat),
    /// multi and multiRead.
    Multi(Vec<MultiResult<'a>>),
    /// getAllChildrenNumber, and addWatch's error number, always 0.
    Number(i32),
    /// whoAmI.
    Identities(Vec<Id>),
    /// sasl.
    Token(Option<&'a [u8]>),
}

/// The result of one operation of a multi or multiRead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultiResult<'a> {
    /// A create that answers its path.
    Path(String),
    /// A create that also answers the stat (also containers and TTL nodes).
    PathStat(String, Stat),
    /// A delete.
    Deleted,
    /// A setData.
    Stat(Stat),
    /// A check.
    Checked,
    /// A getData.
    Data(Option<&'a [u8]>, Stat),
    /// A getChildren.
    Names(Vec<String>),
    /// The operation's error: 0 before the one that failed, -2 behind it.
    Error(i32),
}

fn text(r: &mut Reader<'_>) -> Result<String> {
    Ok(r.string()?.unwrap_or_default().into_owned())
}

fn names(r: &mut Reader<'_>) -> Result<Vec<String>> {
    Ok(r.vector(text)?.unwrap_or_default())
}

impl<'a> Response<'a> {
    /// Decodes the body of a successful reply to `op`.
    pub fn read(op: OpCode, r: &mut Reader<'a>) -> Result<Self> {
        Ok(match op {
            OpCode::Create | OpCode::Sync => Self::Path(text(r)?),
            OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                Self::PathStat(text(r)?, Stat::read(r)?)
            }
            OpCode::Exists | OpCode::SetData | OpCode::SetAcl => Self::Stat(Stat::read(r)?),
            OpCode::GetData | OpCode::Reconfig => Self::Data(r.buffer()?, Stat::read(r)?),
            OpCode::GetAcl => Self::Acl(AclList::read(r)?, Stat::read(r)?),
            OpCode::GetChildren | OpCode::GetEphemerals => Self::Names(names(r)?),
            OpCode::GetChildren2 => Self::NamesStat(names(r)?, Stat::read(r)?),
            OpCode::Multi | OpCode::MultiRead => Self::Multi(MultiResult::read_all(r)?),
            OpCode::GetAllChildrenNumber | OpCode::AddWatch => Self::Number(r.i32()?),
            OpCode::WhoAmI => {
                let list = r.vector(|r| Ok(Id { scheme: text(r)?, id: text(r)? }))?;
                Self::Identities(list.unwrap_or_default())
            }
            OpCode::Sasl => Self::Token(r.buffer()?),
            OpCode::Delete
            | OpCode::DeleteContainer
            | OpCode::Ping
            | OpCode::Check
            | OpCode::CheckWatches
            | OpCode::RemoveWatches
            | OpCode::Auth
            | OpCode::SetWatches
            | OpCode::SetWatches2
            | OpCode::CloseSession => Self::Empty,
            OpCode::Notification | OpCode::CreateSession | OpCode::Error => {
                return Err(r.error("reply body"));
            }
        })
    }
}

impl<'a> MultiResult<'a> {
    /// Reads results up to the header whose `done` is set.
    pub fn read_all(r: &mut Reader<'a>) -> Result<Vec<Self>> {
        let mut results = Vec::new();
        loop {
            let (kind, done, _err) = (r.i32()?, r.bool()?, r.i32()?);
            if done {
                return Ok(results);
            }
            results.push(match OpCode::from_i32(kind) {
                Some(OpCode::Create) => Self::Path(text(r)?),
                Some(OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl) => {
                    Self::PathStat(text(r)?, Stat::read(r)?)
                }
                Some(OpCode::Delete) => Self::Deleted,
                Some(OpCode::SetData) => Self::Stat(Stat::read(r)?),
                Some(OpCode::Check) => Self::Checked,
                Some(OpCode::GetData) => Self::Data(r.buffer()?, Stat::read(r)?),
                Some(OpCode::GetChildren) => Self::Names(names(r)?),
                Some(OpCode::Error) => Self::Error(r.i32()?),
                _ => return Err(r.error("type of a result in a multi")),
            });
        }
    }

    /// Appends results and the end mark.
    pub fn write_all(results: &[Self], out: &mut Vec<u8>) {
        for result in results {
            let (kind, err) = match result {
                Self::Path(_) => (OpCode::Create, 0),
                Self::PathStat(..) => (OpCode::Create2, 0),
                Self::Deleted => (OpCode::Delete, 0),
                Self::Stat(_) => (OpCode::SetData, 0),
                Self::Checked => (OpCode::Check, 0),
                Self::Data(..) => (OpCode::GetData, 0),
                Self::Names(_) => (OpCode::GetChildren, 0),
                Self::Error(err) => (OpCode::Error, *err),
            };
            out.put_i32(kind.as_i32());
            out.put_bool(false);
            out.put_i32(err);
            match result {
                Self::Path(path) => out.put_str(path),
                Self::PathStat(path, stat) => {
                    out.put_str(path);
                    stat.write(out);
                }
                Self::Deleted | Self::Checked => {}
                Self::Stat(stat) => stat.write(out),
                Self::Data(data, stat) => {
                    out.put_buffer(*data);
                    stat.write(out);
                }
                Self::Names(names) => {
                    out.put_len(names.len());
                    names.iter().for_each(|name| out.put_str(name));
                }
                Self::Error(err) => out.put_i32(*err),
            }
        }
        out.put(&super::request::MULTI_END);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multi_results_round_trip_and_cuts_are_errors() {
        let stat = Stat { version: 3, ..Stat::default() };
        let results = vec![
            MultiResult::Path("/a".into()),
            MultiResult::PathStat("/b".into(), stat),
            MultiResult::Deleted,
            MultiResult::Stat(stat),
            MultiResult::Checked,
            MultiResult::Data(None, stat),
            MultiResult::Names(vec!["x".into(), "动物".into()]),
            MultiResult::Error(-101),
        ];
        let mut out = Vec::new();
        MultiResult::write_all(&results, &mut out);
        assert_eq!(MultiResult::read_all(&mut Reader::new(&out)), Ok(results));
        for cut in 0..out.len() {
            assert!(MultiResult::read_all(&mut Reader::new(&out[..cut])).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn who_am_i() {
        let mut out = Vec::new();
        out.put_i32(1);
        out.put_str("ip");
        out.put_str("127.0.0.1");
        assert_eq!(
            Response::read(OpCode::WhoAmI, &mut Reader::new(&out)),
            Ok(Response::Identities(vec![Id { scheme: "ip".into(), id: "127.0.0.1".into() }]))
        );
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bodies_never_panic(op in 0usize..OpCode::ALL.len(), body: Vec<u8>) {
            let _ = Response::read(OpCode::ALL[op], &mut Reader::new(&body));
        }
    }
}
