//! Access control lists: who (`Id`) may do what (`perms`).

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::jute::{JuteWrite, Reader, Result};

/// Read data and list children.
pub const READ: i32 = 1;
/// Write data.
pub const WRITE: i32 = 2;
/// Create children.
pub const CREATE: i32 = 4;
/// Delete children.
pub const DELETE: i32 = 8;
/// Set the ACL.
pub const ADMIN: i32 = 16;
/// All five.
pub const ALL: i32 = 31;

/// An identity: a scheme and an id within it. Connections collect them; ACLs name them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// `world`, `auth`, `ip`, `digest`, `sasl`, `x509`, `super`, ...
    pub scheme: String,
    /// The name within the scheme.
    pub id: String,
}

/// One entry of a stored ACL. The bits are kept as sent, also unknown ones, as Java does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acl {
    /// Permission bits.
    pub perms: i32,
    /// Whom they are granted.
    pub id: Id,
}

/// A stored ACL, cheap to clone. The list that nearly every node has, [`AclList::open`], is `None`: to
/// clone it, to drop it and to know it costs nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AclList(Option<Arc<[Acl]>>);

/// `world:anyone` with all permissions, as clients encode it.
const OPEN_ENCODED: &[u8] = b"\0\0\0\x01\0\0\0\x1f\0\0\0\x05world\0\0\0\x06anyone";

impl AclList {
    /// `world:anyone` with all permissions.
    pub fn open() -> Self {
        Self(None)
    }

    /// `world:anyone` with `perms`.
    pub fn world(perms: i32) -> Self {
        vec![world(perms)].into()
    }

    /// The entries.
    pub fn entries(&self) -> &[Acl] {
        static OPEN: OnceLock<[Acl; 1]> = OnceLock::new();
        match &self.0 {
            Some(entries) => entries,
            None => OPEN.get_or_init(|| [world(ALL)]),
        }
    }

    /// Whether it is `world:anyone` with all permissions and nothing else.
    pub fn is_open(&self) -> bool {
        self.0.is_none()
    }

    /// Appends the wire form.
    pub fn write(&self, out: &mut Vec<u8>) {
        if self.is_open() {
            return out.put(OPEN_ENCODED);
        }
        out.put_len(self.entries().len());
        for acl in self.entries() {
            out.put_i32(acl.perms);
            out.put_str(&acl.id.scheme);
            out.put_str(&acl.id.id);
        }
    }

    /// Reads the wire form of a *stored* list: null strings become empty, a null list is empty.
    pub fn read(r: &mut Reader<'_>) -> Result<Self> {
        if r.rest().starts_with(OPEN_ENCODED) {
            r.bytes(OPEN_ENCODED.len(), "ACL")?;
            return Ok(Self::open());
        }
        let list = r.vector(|r| {
            let perms = r.i32()?;
            let scheme = r.string()?.unwrap_or_default().into_owned();
            let id = r.string()?.unwrap_or_default().into_owned();
            Ok(Acl { perms, id: Id { scheme, id } })
        })?;
        Ok(list.unwrap_or_default().into())
    }
}

impl From<Vec<Acl>> for AclList {
    fn from(list: Vec<Acl>) -> Self {
        let is_open = match list.as_slice() {
            [only] => only.perms == ALL && only.id.scheme == "world" && only.id.id == "anyone",
            _ => false,
        };
        Self((!is_open).then(|| list.into()))
    }
}

impl fmt::Debug for AclList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AclList").field(&self.entries()).finish()
    }
}

/// `world:anyone` with `perms`.
fn world(perms: i32) -> Acl {
    Acl { perms, id: Id { scheme: "world".to_owned(), id: "anyone".to_owned() } }
}

/// One ACL entry as a client sent it: nulls are still visible, nothing is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestAcl<'a> {
    /// Permission bits.
    pub perms: i32,
    /// Scheme, may be null.
    pub scheme: Option<Cow<'a, str>>,
    /// Id, may be null.
    pub id: Option<Cow<'a, str>>,
}

/// The ACL field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestAcls<'a> {
    /// `world:anyone` with all permissions, recognised without allocating.
    Open,
    /// Anything else.
    List(Vec<RequestAcl<'a>>),
}

impl<'a> RequestAcls<'a> {
    /// Reads the field; `None` is a null vector.
    pub fn read(r: &mut Reader<'a>) -> Result<Option<Self>> {
        if r.rest().starts_with(OPEN_ENCODED) {
            r.bytes(OPEN_ENCODED.len(), "ACL")?;
            return Ok(Some(Self::Open));
        }
        let list =
            r.vector(|r| Ok(RequestAcl { perms: r.i32()?, scheme: r.string()?, id: r.string()? }))?;
        Ok(list.map(Self::List))
    }

    /// Appends the wire form of the field.
    pub fn write(acls: Option<&Self>, out: &mut Vec<u8>) {
        match acls {
            None => out.put_i32(-1),
            Some(Self::Open) => out.put(OPEN_ENCODED),
            Some(Self::List(list)) => {
                out.put_len(list.len());
                for acl in list {
                    out.put_i32(acl.perms);
                    out.put_string(acl.scheme.as_deref());
                    out.put_string(acl.id.as_deref());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_open_list_is_recognised_and_round_trips() {
        let mut out = Vec::new();
        AclList::open().write(&mut out);
        assert_eq!(out, OPEN_ENCODED);
        assert!(AclList::read(&mut Reader::new(&out)).unwrap().is_open());
        assert_eq!(RequestAcls::read(&mut Reader::new(&out)).unwrap(), Some(RequestAcls::Open));
    }

    #[test]
    fn nulls_survive_in_requests() {
        let mut out = Vec::new();
        out.put_i32(1);
        out.put_i32(31);
        out.put_string(None);
        out.put_string(None);
        let acls = RequestAcls::read(&mut Reader::new(&out)).unwrap().unwrap();
        let mut again = Vec::new();
        RequestAcls::write(Some(&acls), &mut again);
        assert_eq!(out, again);
    }
}
