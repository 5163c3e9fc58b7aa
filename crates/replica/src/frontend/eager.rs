//! `enableEagerACLCheck`: a member of an ensemble refuses what its own tree says its client may not do,
//! before anybody else hears of it (`client-protocol.md` 7). Such an answer names no zxid.
//!
//! Only what the check can decide is refused here; the rest is decided where writes are prepared. So is a
//! write behind others of its session: Java's answer to it would overtake theirs.
//!
//! Java: ZooKeeperServer.authWriteRequest.

use rookeeper_proto::acl::{ADMIN, CREATE, DELETE, WRITE};
use rookeeper_proto::client::Request;
use rookeeper_proto::{ErrorCode, path};

use crate::auth::Identities;
use crate::prep::SPECIAL;
use crate::replica::{Replica, Role};

impl Replica {
    /// Why a write is refused before it is prepared or forwarded.
    pub(super) fn eager_refusal(
        &self,
        request: &Request<'_>,
        ids: &Identities,
    ) -> Option<ErrorCode> {
        if !self.config.eager_acl_check || self.role == Role::Standalone {
            return None;
        }
        let (path, perm, acls) = match request {
            Request::Create(c) | Request::Create2(c) => {
                (parent(c.path.as_deref()?)?, CREATE, Some(&c.acls))
            }
            Request::Delete(d) => (parent(d.path.as_deref()?)?, DELETE, None),
            Request::SetData(s) => (s.path.as_deref()?, WRITE, None),
            Request::SetAcl(s) => (s.path.as_deref()?, ADMIN, Some(&s.acls)),
            _ => return None,
        };
        let malformed = acls.and_then(|acls| self.auth.fix_up(acls.as_ref(), ids).err());
        if malformed == Some(ErrorCode::InvalidAcl) {
            return malformed;
        }
        let node = self.tree.znode(self.tree.find(path)?);
        (!self.auth.check(Some(node.acl()), perm, ids)).then_some(ErrorCode::NoAuth)
    }
}

/// The path whose ACL decides over what is made or deleted; `None` where Java leaves that open.
fn parent(path: &str) -> Option<&str> {
    if path.contains('\0') || SPECIAL.contains(&path) {
        return None;
    }
    match path::parent(path)? {
        "" => Some("/"),
        parent => Some(parent),
    }
}
