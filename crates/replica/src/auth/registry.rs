//! The schemes this server knows, what they accept and whom they match.

use std::net::IpAddr;

use rookeeper_proto::acl::ADMIN;
use rookeeper_proto::{Acl, AclList, Id};

use super::hash::Algorithm;
use super::{AuthConfig, AuthConfigError, AuthOutcome, Identities, ip, x500};

/// The schemes and switches, ready to use.
#[derive(Debug)]
pub struct AuthRegistry {
    pub(super) config: AuthConfig,
    algorithm: Algorithm,
    ensemble_names: Option<Vec<String>>,
    digest: bool,
    sasl: bool,
    x509: bool,
    ensemble: bool,
    ignored: Vec<String>,
}

/// Package of Java's own providers.
const PACKAGE: &str = "org.apache.zookeeper.server.auth.";

impl AuthRegistry {
    /// Checks the configuration and registers the schemes.
    pub fn new(config: AuthConfig) -> Result<Self, AuthConfigError> {
        let Some(algorithm) = Algorithm::from_jca_name(&config.digest_algorithm) else {
            return Err(AuthConfigError::DigestAlgorithm(config.digest_algorithm));
        };
        let names = config.ensemble_auth_name.as_deref();
        let mut registry = Self {
            algorithm,
            ensemble_names: names.map(|csv| csv.split(',').map(|s| s.trim().to_owned()).collect()),
            digest: config.digest_enabled,
            sasl: false,
            x509: config.tls,
            ensemble: false,
            ignored: Vec::new(),
            config,
        };
        for class in registry.config.providers.clone() {
            registry.register(class);
        }
        registry.check_enforced_schemes()?;
        Ok(registry)
    }

    fn register(&mut self, class: String) {
        match class.trim().strip_prefix(PACKAGE) {
            Some("SASLAuthenticationProvider") => self.sasl = true,
            Some("X509AuthenticationProvider") => self.x509 = true,
            Some("EnsembleAuthenticationProvider") => self.ensemble = true,
            Some("DigestAuthenticationProvider") => self.digest = true,
            Some("IPAuthenticationProvider") => {}
            _ => self.ignored.push(class),
        }
    }

    fn check_enforced_schemes(&self) -> Result<(), AuthConfigError> {
        let Some(schemes) = &self.config.enforce_auth else { return Ok(()) };
        if schemes.is_empty() {
            return Err(AuthConfigError::NoEnforcedScheme);
        }
        match schemes.iter().find(|scheme| !self.is_registered(scheme)) {
            Some(unknown) => Err(AuthConfigError::UnknownEnforcedScheme(unknown.clone())),
            None => Ok(()),
        }
    }

    /// Providers that are configured but not known here: a warning at start, as in Java.
    pub fn ignored_providers(&self) -> &[String] {
        &self.ignored
    }

    /// Whether a provider of `scheme` is registered. `world`, `auth` and `super` have none.
    pub fn is_registered(&self, scheme: &str) -> bool {
        match scheme {
            "ip" => true,
            "digest" => self.digest,
            "sasl" => self.sasl,
            "x509" => self.x509,
            "ensemble" => self.ensemble,
            _ => false,
        }
    }

    /// Handles an auth packet (`client-protocol.md` 7.4). Ids accumulate; a wrong password is not
    /// an error, merely an id that matches nothing.
    pub fn authenticate(
        &self,
        scheme: Option<&str>,
        auth: Option<&[u8]>,
        peer: IpAddr,
        ids: &mut Identities,
    ) -> AuthOutcome {
        match scheme.unwrap_or_default() {
            scheme if !self.is_registered(scheme) => AuthOutcome::Failed,
            "ip" => {
                ids.add_address(peer);
                AuthOutcome::Ok
            }
            "digest" => self.authenticate_digest(auth, ids),
            // The certificate was judged during the handshake: there is nothing to add now.
            "x509" if ids.has_scheme("x509") => AuthOutcome::Ok,
            "ensemble" => self.authenticate_ensemble(auth),
            // SASL has an operation of its own.
            _ => AuthOutcome::Failed,
        }
    }

    fn authenticate_digest(&self, auth: Option<&[u8]>, ids: &mut Identities) -> AuthOutcome {
        let Some(auth) = auth else { return AuthOutcome::Failed };
        let id = self.algorithm.digest_id(&String::from_utf8_lossy(auth));
        if self.config.super_digest.as_ref() == Some(&id) {
            ids.add("super", "");
        }
        ids.add("digest", &id);
        AuthOutcome::Ok
    }

    fn authenticate_ensemble(&self, auth: Option<&[u8]>) -> AuthOutcome {
        let (Some(names), Some(auth)) = (&self.ensemble_names, auth) else {
            return AuthOutcome::Ok;
        };
        if auth.is_empty() || names.iter().any(|name| name.as_bytes() == auth) {
            AuthOutcome::Ok
        } else {
            AuthOutcome::CloseSilently
        }
    }

    /// A SASL exchange was completed as `authzid`.
    pub fn add_sasl(&self, authzid: &str, ids: &mut Identities) {
        ids.add("sasl", authzid);
        if self.config.sasl_super_users.iter().any(|user| user == authzid) {
            ids.add("super", "");
        }
    }

    /// A TLS handshake proved the certificate of `subject` (RFC 2253).
    pub fn add_x509(&self, subject: &str, ids: &mut Identities) {
        if self.config.x509_super_user.as_deref() == Some(subject) {
            ids.add("super", subject);
        }
        ids.add("x509", subject);
    }

    /// Whether `ids` have any permission of `perms` under `acl` (`client-protocol.md` 7.1). No list or
    /// an empty one permits everything.
    #[inline]
    pub fn check(&self, acl: Option<&AclList>, perms: i32, ids: &Identities) -> bool {
        self.config.skip_acl || {
            let entries = acl.map_or(&[][..], AclList::entries);
            match entries {
                [] => true,
                [first, ..] if first.perms & perms != 0 && is_world(first) => true,
                _ => self.check_entries(entries, perms, ids.as_slice()),
            }
        }
    }

    fn check_entries(&self, entries: &[Acl], perms: i32, ids: &[Id]) -> bool {
        ids.iter().any(|id| id.scheme == "super")
            || entries.iter().any(|entry| {
                entry.perms & perms != 0
                    && (is_world(entry) || ids.iter().any(|id| self.matches(id, &entry.id)))
            })
    }

    /// Whether the id of a connection is meant by the id of an ACL entry.
    fn matches(&self, id: &Id, entry: &Id) -> bool {
        if id.scheme != entry.scheme || !self.is_registered(&entry.scheme) {
            return false;
        }
        match entry.scheme.as_str() {
            "ip" => ip::matches(&id.id, &entry.id),
            "digest" => id.id == entry.id,
            "sasl" => {
                id.id == entry.id
                    || id.id == "super"
                    || self.config.let_any_sasl_user.as_deref() == Some(entry.id.as_str())
            }
            "x509" => {
                id.id == entry.id || self.config.x509_super_user.as_deref() == Some(id.id.as_str())
            }
            _ => false,
        }
    }

    /// Whether an ACL entry of `scheme` may name `id` (`client-protocol.md` 7.2).
    pub fn is_valid(&self, scheme: &str, id: &str) -> bool {
        self.is_registered(scheme)
            && match scheme {
                "ip" => ip::is_valid(id),
                "digest" => is_digest_id(id),
                "sasl" => is_kerberos_name(id),
                "x509" => x500::is_name(id),
                _ => false,
            }
    }

    /// Whether ids of `scheme` stand for somebody who proved who he is: what `auth` expands to.
    pub(super) fn is_authenticated(&self, scheme: &str) -> bool {
        matches!(scheme, "digest" | "sasl" | "x509") && self.is_registered(scheme)
    }

    /// What whoAmI answers: scheme and user of every id; an id without a provider has user `""`.
    pub fn who_am_i<'i>(&self, ids: &'i Identities) -> Vec<(&'i str, &'i str)> {
        let user = |id: &'i Id| match id.scheme.as_str() {
            "digest" if self.digest => id.id.split(':').next().unwrap_or_default(),
            scheme if self.is_registered(scheme) => id.id.as_str(),
            _ => "",
        };
        ids.as_slice().iter().map(|id| (id.scheme.as_str(), user(id))).collect()
    }

    /// The list as getACL shows it to `ids`: without ADMIN, everything behind the first colon of
    /// digest ids is replaced by `x`.
    pub fn mask_for_get_acl(&self, acl: &AclList, ids: &Identities) -> AclList {
        let has_digest = acl.entries().iter().any(|entry| entry.id.scheme == "digest");
        if !has_digest || self.check(Some(acl), ADMIN, ids) {
            return acl.clone();
        }
        let masked = acl.entries().iter().map(|entry| {
            let mut entry = entry.clone();
            if entry.id.scheme == "digest"
                && let Some((user, _)) = entry.id.id.split_once(':')
            {
                entry.id.id = format!("{user}:x");
            }
            entry
        });
        masked.collect::<Vec<_>>().into()
    }

    /// Whether enforced authentication lets a request of `ids` pass; else -124 and close
    /// (`client-protocol.md` 7.8).
    #[inline]
    pub fn may_request(&self, ids: &Identities) -> bool {
        match &self.config.enforce_auth {
            None => true,
            Some(schemes) => schemes.iter().any(|scheme| ids.has_scheme(scheme)),
        }
    }
}

fn is_world(entry: &Acl) -> bool {
    entry.id.scheme == "world" && entry.id.id == "anyone"
}

/// Java splits at every colon, drops empty parts at the end and wants two parts.
fn is_digest_id(id: &str) -> bool {
    id.trim_end_matches(':').split(':').count() == 2
}

/// Anything without `@`, or `primary[/instance]@realm` in which nothing else is `/` or `@`.
fn is_kerberos_name(id: &str) -> bool {
    let Some((principal, realm)) = id.split_once('@') else { return true };
    !realm.contains(['@', '/']) && principal.matches('/').count() <= 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use rookeeper_proto::acl::{ALL, CREATE, READ, WRITE};

    fn registry(change: impl FnOnce(&mut AuthConfig)) -> AuthRegistry {
        let mut config = AuthConfig::default();
        change(&mut config);
        AuthRegistry::new(config).unwrap()
    }

    fn peer() -> IpAddr {
        "127.0.0.1".parse().unwrap()
    }

    fn ids(list: &[(&str, &str)]) -> Identities {
        let mut ids = Identities::none();
        list.iter().for_each(|(scheme, id)| ids.add(scheme, id));
        ids
    }

    fn acl(list: &[(i32, &str, &str)]) -> AclList {
        let entry = |&(perms, scheme, id): &(i32, &str, &str)| Acl {
            perms,
            id: Id { scheme: scheme.to_owned(), id: id.to_owned() },
        };
        list.iter().map(entry).collect::<Vec<_>>().into()
    }

    const SASL: &str = "org.apache.zookeeper.server.auth.SASLAuthenticationProvider";
    const ENSEMBLE: &str = "org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider";

    #[test]
    fn digest_adds_an_id_and_super_only_on_the_super_digest() {
        let r = registry(|c| {
            c.super_digest = Some("super:D/InIHSb7yEEbrWz8b9l71RjZJU=".to_owned());
        });
        let mut who = ids(&[]);
        assert_eq!(
            r.authenticate(Some("digest"), Some(b"super:tset"), peer(), &mut who),
            AuthOutcome::Ok
        );
        assert!(!who.has_scheme("super"));
        assert_eq!(
            r.authenticate(Some("digest"), Some(b"super:test"), peer(), &mut who),
            AuthOutcome::Ok
        );
        assert!(who.has_scheme("super"));
        let id = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=".to_owned();
        assert!(who.as_slice().contains(&Id { scheme: "digest".to_owned(), id }));
    }

    #[test]
    fn the_super_digest_uses_the_configured_hash() {
        let r = registry(|c| {
            c.digest_algorithm = "SHA-256".to_owned();
            c.super_digest = Some("super:wjySwxg860UATFtciuZ1lpzrCHrPeov6SPu/ZD56uig=".to_owned());
        });
        let mut who = ids(&[]);
        r.authenticate(Some("digest"), Some(b"super:test"), peer(), &mut who);
        assert!(who.has_scheme("super"));
    }

    #[test]
    fn schemes_nobody_provides_fail() {
        let r = registry(|_| {});
        for scheme in ["world", "auth", "super", "sasl", "x509", "ensemble", "key", ""] {
            let mut who = ids(&[]);
            let outcome = r.authenticate(Some(scheme), Some(b"a:b"), peer(), &mut who);
            assert_eq!(outcome, AuthOutcome::Failed, "{scheme}");
            assert_eq!(who, ids(&[]));
        }
        let outcome = r.authenticate(Some("digest"), None, peer(), &mut ids(&[]));
        assert_eq!(outcome, AuthOutcome::Failed);
        let mut who = ids(&[]);
        assert_eq!(r.authenticate(Some("ip"), None, peer(), &mut who), AuthOutcome::Ok);
        assert_eq!(who, ids(&[("ip", "127.0.0.1")]));
    }

    /// SASL goes through its own operation, x509 through the handshake: a packet adds nothing.
    #[test]
    fn packets_of_sasl_and_x509() {
        let r = registry(|c| {
            c.providers = vec![SASL.to_owned()];
            c.tls = true;
        });
        let mut who = ids(&[]);
        assert_eq!(r.authenticate(Some("sasl"), Some(b"x"), peer(), &mut who), AuthOutcome::Failed);
        assert_eq!(r.authenticate(Some("x509"), Some(b"x"), peer(), &mut who), AuthOutcome::Failed);
        r.add_x509("CN=a", &mut who);
        assert_eq!(r.authenticate(Some("x509"), Some(b"x"), peer(), &mut who), AuthOutcome::Ok);
    }

    /// DigestAuthDisabledTest.
    #[test]
    fn digest_can_be_switched_off() {
        let r = registry(|c| c.digest_enabled = false);
        let outcome = r.authenticate(Some("digest"), Some(b"a:b"), peer(), &mut ids(&[]));
        assert_eq!(outcome, AuthOutcome::Failed);
        assert!(!r.is_valid("digest", "a:b"));
        assert!(!r.check(Some(&acl(&[(ALL, "digest", "a:b")])), READ, &ids(&[("digest", "a:b")])));
    }

    /// EnsembleAuthTest.
    #[test]
    fn the_ensemble_name_sends_strangers_elsewhere() {
        let auth = |name: Option<&str>, packet: Option<&[u8]>| {
            let r = registry(|c| {
                c.providers = vec![ENSEMBLE.to_owned()];
                c.ensemble_auth_name = name.map(str::to_owned);
            });
            r.authenticate(Some("ensemble"), packet, peer(), &mut ids(&[]))
        };
        assert_eq!(auth(Some("foo,bar"), Some(b"bar")), AuthOutcome::Ok);
        assert_eq!(auth(Some("foo,bar"), Some(b"baz")), AuthOutcome::CloseSilently);
        assert_eq!(auth(Some("foo,bar"), Some(b"")), AuthOutcome::Ok);
        assert_eq!(auth(Some("foo,bar"), None), AuthOutcome::Ok);
        assert_eq!(auth(None, Some(b"baz")), AuthOutcome::Ok);
    }

    #[test]
    fn who_may_do_what() {
        let r = registry(|c| {
            c.providers = vec![SASL.to_owned()];
            c.let_any_sasl_user = Some("anybody".to_owned());
        });
        type Row<'r> = (&'r [(i32, &'r str, &'r str)], i32, &'r [(&'r str, &'r str)], bool);
        let table: &[Row<'_>] = &[
            (&[], ALL, &[], true),
            (&[(READ, "world", "anyone")], READ, &[], true),
            (&[(READ, "world", "anyone")], WRITE, &[], false),
            (&[(READ, "world", "anyone")], READ | WRITE, &[], true),
            (&[(READ, "world", "anyone")], WRITE, &[("super", "")], true),
            (&[(0, "world", "anyone")], ALL, &[], false),
            (&[(-1, "world", "anyone")], CREATE, &[], true),
            (&[(0, "digest", "u:h"), (READ, "world", "anyone")], READ, &[], true),
            (&[(ALL, "digest", "u:h")], READ, &[("digest", "u:h")], true),
            (&[(ALL, "digest", "u:h")], READ, &[("digest", "u:i")], false),
            (&[(ALL, "digest", "u:h")], READ, &[("sasl", "u:h")], false),
            (&[(ALL, "ip", "127.0.0.0/8")], READ, &[("ip", "127.0.0.1")], true),
            (&[(ALL, "ip", "127.0.0.0/8")], READ, &[("ip", "128.0.0.1")], false),
            (&[(ALL, "sasl", "bob")], READ, &[("sasl", "bob")], true),
            (&[(ALL, "sasl", "bob")], READ, &[("sasl", "super")], true),
            (&[(ALL, "sasl", "bob")], READ, &[("sasl", "eve")], false),
            (&[(ALL, "sasl", "anybody")], READ, &[("sasl", "eve")], true),
            // A digest user called world gains nothing (ACLRootTest).
            (&[(ALL, "digest", "u:h")], READ, &[("digest", "world:anyone")], false),
            // Nobody provides these.
            (&[(ALL, "x509", "CN=a")], READ, &[("x509", "CN=a")], false),
            (&[(ALL, "custom", "a")], READ, &[("custom", "a")], false),
        ];
        for (list, perms, who, expected) in table {
            assert_eq!(r.check(Some(&acl(list)), *perms, &ids(who)), *expected, "{list:?} {who:?}");
        }
        let skip = registry(|c| c.skip_acl = true);
        assert!(skip.check(Some(&acl(&[(0, "digest", "u:h")])), ALL, &ids(&[])));
    }

    #[test]
    fn x509_and_sasl_super_users() {
        let r = registry(|c| {
            c.tls = true;
            c.x509_super_user = Some("CN=boss".to_owned());
            c.sasl_super_users = vec!["super_duper".to_owned()];
        });
        let list = acl(&[(ALL, "digest", "u:h")]);
        for (add, expected) in [
            (&(|i: &mut Identities| r.add_x509("CN=boss", i)) as &dyn Fn(&mut Identities), true),
            (&|i: &mut Identities| r.add_x509("CN=clerk", i), false),
            (&|i: &mut Identities| r.add_sasl("super_duper", i), true),
            (&|i: &mut Identities| r.add_sasl("bob", i), false),
        ] {
            let mut who = ids(&[]);
            add(&mut who);
            assert_eq!(r.check(Some(&list), READ, &who), expected, "{who:?}");
        }
    }

    #[test]
    fn valid_acl_ids() {
        let r = registry(|c| {
            c.providers = vec![SASL.to_owned(), ENSEMBLE.to_owned()];
            c.tls = true;
        });
        let table: &[(&str, &[&str], &[&str])] = &[
            ("digest", &["u:h", ":h", "a:b:", "a:b::"], &["u:", "u", "a:b:c", "", ":", "::"]),
            (
                "sasl",
                &["", "bob", "a/b/c", "bob@REALM", "bob/host@REALM", "@", "/@"],
                &["a@b@c", "a/b/c@d", "a@b/c", "bob@R@"],
            ),
            ("ip", &["127.0.0.1", "::1/8"], &["", "localhost"]),
            ("x509", &["CN=a,O=b"], &["a"]),
            ("ensemble", &[], &["", "a"]),
            ("world", &[], &["anyone"]),
            ("super", &[], &["", "a"]),
            ("auth", &[], &[""]),
        ];
        for (scheme, good, bad) in table {
            good.iter().for_each(|id| assert!(r.is_valid(scheme, id), "{scheme}:{id}"));
            bad.iter().for_each(|id| assert!(!r.is_valid(scheme, id), "{scheme}:{id}"));
        }
        assert!(!registry(|_| {}).is_valid("sasl", "bob"));
    }

    #[test]
    fn who_am_i_names_users_not_secrets() {
        let who = ids(&[("ip", "127.0.0.1"), ("super", ""), ("digest", "u:h"), ("sasl", "bob")]);
        let expected = [("ip", "127.0.0.1"), ("super", ""), ("digest", "u"), ("sasl", "")];
        assert_eq!(registry(|_| {}).who_am_i(&who), expected);
        let with_sasl = registry(|c| c.providers = vec![SASL.to_owned()]);
        assert_eq!(with_sasl.who_am_i(&who)[3], ("sasl", "bob"));
    }

    /// FinalRequestProcessorTest.
    #[test]
    fn get_acl_hides_hashes_from_all_but_admins() {
        let r = registry(|_| {});
        let list = acl(&[
            (ALL, "digest", "user:a:b"),
            (READ, "world", "anyone"),
            (READ, "ip", "::1"),
            (READ, "digest", "nocolon"),
        ]);
        let masked = acl(&[
            (ALL, "digest", "user:x"),
            (READ, "world", "anyone"),
            (READ, "ip", "::1"),
            (READ, "digest", "nocolon"),
        ]);
        assert_eq!(r.mask_for_get_acl(&list, &ids(&[])), masked);
        assert_eq!(r.mask_for_get_acl(&list, &ids(&[("super", "")])), list);
        assert_eq!(r.mask_for_get_acl(&list, &ids(&[("digest", "user:a:b")])), list);
    }

    /// EnforceAuthenticationTest.
    #[test]
    fn enforcement() {
        let r = registry(|c| c.enforce_auth = Some(vec!["ip".to_owned(), "digest".to_owned()]));
        assert!(!r.may_request(&ids(&[])));
        assert!(r.may_request(&ids(&[("digest", "a:b")])));
        assert!(registry(|_| {}).may_request(&ids(&[])));
        for (schemes, error) in [
            (vec![], AuthConfigError::NoEnforcedScheme),
            (vec!["sasl"], AuthConfigError::UnknownEnforcedScheme("sasl".to_owned())),
        ] {
            let enforce_auth = Some(schemes.into_iter().map(str::to_owned).collect());
            let config = AuthConfig { enforce_auth, ..AuthConfig::default() };
            assert_eq!(AuthRegistry::new(config).err(), Some(error));
        }
    }

    #[test]
    fn unusable_configurations_say_why() {
        let config = AuthConfig { digest_algorithm: "MD5".to_owned(), ..AuthConfig::default() };
        let error = AuthRegistry::new(config).unwrap_err();
        assert!(error.to_string().contains("MD5"), "{error}");
        let r = registry(|c| c.providers = vec!["com.example.Mine".to_owned()]);
        assert_eq!(r.ignored_providers(), ["com.example.Mine"]);
    }
}
