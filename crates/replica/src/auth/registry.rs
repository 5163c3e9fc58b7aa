//! The schemes this server knows.

use rookeeper_proto::acl::RequestAcls;
use rookeeper_proto::{AclList, ErrorCode};

use super::Identities;

/// What the configuration says about authentication.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// `skipACL=yes`: everything is permitted.
    pub skip_acl: bool,
    /// `DigestAuthenticationProvider.enabled`.
    pub digest_enabled: bool,
    /// `DigestAuthenticationProvider.digestAlg`, a JCA name.
    pub digest_algorithm: String,
    /// `DigestAuthenticationProvider.superDigest`.
    pub super_digest: Option<String>,
    /// `ensembleAuthName`, comma separated.
    pub ensemble_auth_name: Option<String>,
    /// Class names from `authProvider.*`.
    pub providers: Vec<String>,
    /// Whether clients can connect over TLS, which registers x509 by itself.
    pub tls: bool,
    /// `X509AuthenticationProvider.superUser`.
    pub x509_super_user: Option<String>,
    /// `superUser` and `superUser.*`: SASL ids with super power.
    pub sasl_super_users: Vec<String>,
    /// `letAnySaslUserDoX`.
    pub let_any_sasl_user: Option<String>,
    /// `enforce.auth.schemes` if `enforce.auth.enabled`; `["sasl"]` for
    /// `sessionRequireClientSASLAuth`.
    pub enforce_auth: Option<Vec<String>>,
    /// The largest encoded ACL that is stored; `auth` entries multiply.
    pub acl_max_bytes: usize,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            skip_acl: false,
            digest_enabled: true,
            digest_algorithm: "SHA1".to_owned(),
            super_digest: None,
            ensemble_auth_name: None,
            providers: Vec::new(),
            tls: false,
            x509_super_user: None,
            sasl_super_users: Vec::new(),
            let_any_sasl_user: None,
            enforce_auth: None,
            acl_max_bytes: 0xf_ffff,
        }
    }
}

/// Why a server with this configuration must not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthConfigError {
    /// `digestAlg` is not one we have.
    DigestAlgorithm(String),
    /// Authentication is enforced but no scheme is named.
    NoEnforcedScheme,
    /// Authentication is enforced with a scheme nobody provides.
    UnknownEnforcedScheme(String),
}

/// What an auth packet led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthOutcome {
    /// Reply 0.
    Ok,
    /// Reply -115, then close.
    Failed,
    /// Close without a reply: the client is meant for another ensemble.
    CloseSilently,
}

/// The schemes and switches, ready to use.
#[derive(Debug)]
pub struct AuthRegistry {
    config: AuthConfig,
}

impl AuthRegistry {
    /// Checks the configuration.
    pub fn new(config: AuthConfig) -> Result<Self, AuthConfigError> {
        Ok(Self { config })
    }

    /// Handles an auth packet: `client-protocol.md` 7.4.
    pub fn authenticate(
        &self,
        _scheme: Option<&str>,
        _auth: Option<&[u8]>,
        _peer: std::net::IpAddr,
        _ids: &mut Identities,
    ) -> AuthOutcome {
        AuthOutcome::Failed
    }

    /// Whether `ids` have any permission of `perms` under `acl`; `None` and empty permit all.
    pub fn check(&self, _acl: Option<&AclList>, _perms: i32, _ids: &Identities) -> bool {
        self.config.skip_acl
    }

    /// Whether an ACL entry of `scheme` may name `id`.
    pub fn is_valid(&self, _scheme: &str, _id: &str) -> bool {
        false
    }

    /// Turns a request's list into the one to store, or says why not.
    pub fn fix_up(
        &self,
        _acls: Option<&RequestAcls<'_>>,
        _ids: &Identities,
    ) -> Result<AclList, ErrorCode> {
        Err(ErrorCode::InvalidAcl)
    }

    /// What whoAmI answers: scheme and user of every id.
    pub fn who_am_i<'i>(&self, _ids: &'i Identities) -> Vec<(&'i str, &'i str)> {
        Vec::new()
    }

    /// The list as getACL shows it to `ids`: without ADMIN the hashes of digest ids are hidden.
    pub fn mask_for_get_acl(&self, acl: &AclList, _ids: &Identities) -> AclList {
        acl.clone()
    }

    /// Whether enforced authentication lets a request of `ids` pass; else -124 and close.
    pub fn may_request(&self, _ids: &Identities) -> bool {
        true
    }
}
