//! From the ACL of a request to the one stored (`client-protocol.md` 7.3).

use std::collections::BTreeSet;

use rookeeper_proto::acl::{RequestAcl, RequestAcls};
use rookeeper_proto::{Acl, AclList, ErrorCode, Id};

use super::{AuthRegistry, Identities};

/// Up to this many entries duplicates are found by comparing each with each.
const FEW: usize = 8;

impl AuthRegistry {
    /// Drops duplicates, expands `auth` to the requester's proven ids and checks every entry.
    ///
    /// What is wrong is [`ErrorCode::InvalidAcl`], but a null id where a provider looks at it is
    /// [`ErrorCode::MarshallingError`]: Java fails on it.
    pub fn fix_up(
        &self,
        acls: Option<&RequestAcls<'_>>,
        ids: &Identities,
    ) -> Result<AclList, ErrorCode> {
        match acls {
            Some(RequestAcls::Open) => Ok(AclList::open()),
            Some(RequestAcls::List(list)) => self.fix_up_list(list, ids.as_slice()),
            None => Err(ErrorCode::InvalidAcl),
        }
    }

    fn fix_up_list(&self, list: &[RequestAcl<'_>], ids: &[Id]) -> Result<AclList, ErrorCode> {
        let mut fixed = Vec::new();
        // Entries times identities: the product must stay storable.
        let mut bytes = 0;
        let mut push = |perms, scheme: &str, id: &str| {
            bytes += 12 + scheme.len() + id.len();
            if bytes > self.config.acl_max_bytes {
                return Err(ErrorCode::InvalidAcl);
            }
            let id = Id { scheme: scheme.to_owned(), id: id.to_owned() };
            fixed.push(Acl { perms, id });
            Ok(())
        };
        let mut seen = BTreeSet::new();
        for (at, entry) in list.iter().enumerate() {
            if is_duplicate(list, at, &mut seen) {
                continue;
            }
            let scheme = entry.scheme.as_deref().ok_or(ErrorCode::InvalidAcl)?;
            if scheme == "auth" {
                let mut proven =
                    ids.iter().filter(|id| self.is_authenticated(&id.scheme)).peekable();
                proven.peek().ok_or(ErrorCode::InvalidAcl)?;
                proven.try_for_each(|id| push(entry.perms, &id.scheme, &id.id))?;
                continue;
            }
            let Some(id) = entry.id.as_deref() else {
                let is_looked_at = matches!(scheme, "world" | "ip" | "digest" | "sasl" | "x509")
                    && (scheme == "world" || self.is_registered(scheme));
                let code =
                    if is_looked_at { ErrorCode::MarshallingError } else { ErrorCode::InvalidAcl };
                return Err(code);
            };
            if !(scheme == "world" && id == "anyone" || self.is_valid(scheme, id)) {
                return Err(ErrorCode::InvalidAcl);
            }
            push(entry.perms, scheme, id)?;
        }
        if fixed.is_empty() { Err(ErrorCode::InvalidAcl) } else { Ok(fixed.into()) }
    }
}

type Key<'k> = (i32, Option<&'k str>, Option<&'k str>);

fn key<'k>(entry: &'k RequestAcl<'_>) -> Key<'k> {
    (entry.perms, entry.scheme.as_deref(), entry.id.as_deref())
}

/// Whether an equal entry came before the one at `at`.
fn is_duplicate<'k>(list: &'k [RequestAcl<'_>], at: usize, seen: &mut BTreeSet<Key<'k>>) -> bool {
    if list.len() <= FEW { list[..at].contains(&list[at]) } else { !seen.insert(key(&list[at])) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::AuthConfig;
    use rookeeper_proto::acl::{ALL, READ};

    fn entry(perms: i32, scheme: Option<&str>, id: Option<&str>) -> RequestAcl<'static> {
        let own = |s: Option<&str>| s.map(|s| s.to_owned().into());
        RequestAcl { perms, scheme: own(scheme), id: own(id) }
    }

    fn shown(list: &AclList) -> Vec<(i32, &str, &str)> {
        list.entries().iter().map(|a| (a.perms, a.id.scheme.as_str(), a.id.id.as_str())).collect()
    }

    fn client() -> Identities {
        let mut ids = Identities::of_address("127.0.0.1".parse().unwrap());
        ids.add("super", "");
        ids.add("digest", "u:h");
        ids.add("digest", "v:h");
        ids
    }

    fn fix(list: Vec<RequestAcl<'_>>, ids: &Identities) -> Result<AclList, ErrorCode> {
        let registry = AuthRegistry::new(AuthConfig::default()).unwrap();
        registry.fix_up(Some(&RequestAcls::List(list)), ids)
    }

    #[test]
    fn the_open_list_is_the_shared_one() {
        let registry = AuthRegistry::new(AuthConfig::default()).unwrap();
        assert!(registry.fix_up(Some(&RequestAcls::Open), &client()).unwrap().is_open());
    }

    /// ACLTest.testNullACL, ClientTest.testNullAuthId, testACLs.
    #[test]
    fn what_is_refused() {
        let registry = AuthRegistry::new(AuthConfig::default()).unwrap();
        assert_eq!(registry.fix_up(None, &client()), Err(ErrorCode::InvalidAcl));
        let world = || entry(ALL, Some("world"), Some("anyone"));
        for list in [
            vec![],
            vec![entry(ALL, None, None)],
            vec![entry(ALL, Some("world"), Some("everyone"))],
            vec![entry(ALL, Some("sasl"), None)],
            vec![entry(ALL, Some("digest"), Some("nocolon"))],
            vec![entry(ALL, Some("super"), Some(""))],
            vec![entry(ALL, Some("nosuch"), Some("a"))],
            vec![world(), entry(ALL, Some("ip"), Some("nowhere"))],
        ] {
            assert_eq!(fix(list.clone(), &client()), Err(ErrorCode::InvalidAcl), "{list:?}");
        }
        for scheme in ["world", "digest", "ip"] {
            let list = vec![world(), entry(ALL, Some(scheme), None)];
            assert_eq!(fix(list, &client()), Err(ErrorCode::MarshallingError), "{scheme}");
        }
        // auth without credentials spoils the whole list.
        let only_ip = Identities::of_address("127.0.0.1".parse().unwrap());
        let list = vec![world(), entry(ALL, Some("auth"), Some(""))];
        assert_eq!(fix(list, &only_ip), Err(ErrorCode::InvalidAcl));
    }

    #[test]
    fn auth_stands_for_every_proven_id_whatever_its_id_says() {
        for id in [None, Some(""), Some("username1:password1")] {
            let list = fix(vec![entry(ALL, Some("auth"), id)], &client()).unwrap();
            assert_eq!(shown(&list), [(ALL, "digest", "u:h"), (ALL, "digest", "v:h")]);
        }
    }

    /// ACLCountTest; and the same beyond the size where the set is used.
    #[test]
    fn duplicates_go_and_order_stays() {
        let world = |perms| entry(perms, Some("world"), Some("anyone"));
        let list = vec![world(READ), world(ALL), world(READ), world(ALL)];
        let two = [(READ, "world", "anyone"), (ALL, "world", "anyone")];
        assert_eq!(shown(&fix(list, &client()).unwrap()), two);
        let many: Vec<_> = (0..40).map(|i| world([READ, ALL][i % 2])).collect();
        assert_eq!(shown(&fix(many, &client()).unwrap()), two);
    }

    /// After expansion nothing is removed again, and permission bits are stored as sent.
    #[test]
    fn what_is_kept() {
        let list = vec![entry(0, Some("digest"), Some("u:h")), entry(0, Some("auth"), None)];
        let expected = [(0, "digest", "u:h"), (0, "digest", "u:h"), (0, "digest", "v:h")];
        assert_eq!(shown(&fix(list, &client()).unwrap()), expected);
        let odd = fix(vec![entry(-1, Some("world"), Some("anyone"))], &client()).unwrap();
        assert_eq!(shown(&odd), [(-1, "world", "anyone")]);
    }

    #[test]
    fn entries_times_identities_stay_bounded() {
        let mut ids = Identities::none();
        (0..1000).for_each(|i| ids.add("digest", &format!("user{i}:hash")));
        let list = (0..10_000).map(|perms| entry(perms, Some("auth"), None)).collect();
        assert_eq!(fix(list, &ids), Err(ErrorCode::InvalidAcl));
    }
}
