//! Who may do what: world, digest and ip (exact addresses), as the workload uses them
//! (`client-protocol.md` 7.1, 7.3).

use rookeeper_proto::acl::{ADMIN, Acl, AclList, Id, RequestAcls};

/// Error code of a refused ACL.
const INVALID_ACL: i32 = -114;

/// Whether `ids` have any of `perms`.
pub fn may(acl: &AclList, perms: i32, ids: &[Id]) -> bool {
    let entries = acl.entries();
    entries.is_empty()
        || ids.iter().any(|id| id.scheme == "super")
        || entries.iter().any(|entry| {
            entry.perms & perms != 0
                && (entry.id.scheme == "world" && entry.id.id == "anyone"
                    || ids.contains(&entry.id))
        })
}

/// The list that is stored for the one asked for.
pub fn stored(asked: Option<&RequestAcls<'_>>, ids: &[Id]) -> Result<AclList, i32> {
    let list = match asked {
        None => return Err(INVALID_ACL),
        Some(RequestAcls::Open) => return Ok(AclList::open()),
        Some(RequestAcls::List(list)) => list,
    };
    let mut fixed: Vec<Acl> = Vec::new();
    for (at, entry) in list.iter().enumerate() {
        if list[..at].contains(entry) {
            continue;
        }
        let (Some(scheme), Some(id)) = (entry.scheme.as_deref(), entry.id.as_deref()) else {
            return Err(INVALID_ACL);
        };
        match scheme {
            "auth" => {
                let known = ids.iter().filter(|id| id.scheme == "digest");
                let before = fixed.len();
                fixed.extend(known.map(|id| Acl { perms: entry.perms, id: id.clone() }));
                if fixed.len() == before {
                    return Err(INVALID_ACL);
                }
            }
            "world" if id != "anyone" => return Err(INVALID_ACL),
            "world" | "digest" | "ip" => {
                let id = Id { scheme: scheme.to_owned(), id: id.to_owned() };
                fixed.push(Acl { perms: entry.perms, id });
            }
            _ => return Err(INVALID_ACL),
        }
    }
    if fixed.is_empty() { Err(INVALID_ACL) } else { Ok(fixed.into()) }
}

/// The list as somebody sees it who may not change it.
pub fn shown(acl: &AclList, ids: &[Id]) -> AclList {
    if may(acl, ADMIN, ids) {
        return acl.clone();
    }
    let mask = |entry: &Acl| {
        let mut entry = entry.clone();
        if entry.id.scheme == "digest"
            && let Some(colon) = entry.id.id.find(':')
        {
            entry.id.id.truncate(colon);
            entry.id.id.push_str(":x");
        }
        entry
    };
    acl.entries().iter().map(mask).collect::<Vec<_>>().into()
}
