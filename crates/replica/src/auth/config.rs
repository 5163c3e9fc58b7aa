//! What the configuration says about authentication, and what can be wrong with it.

use std::fmt;

/// The authentication part of the configuration.
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

impl fmt::Display for AuthConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DigestAlgorithm(name) => write!(
                f,
                "DigestAuthenticationProvider.digestAlg={name} is not supported; use SHA1, SHA-224, \
                 SHA-256, SHA-384, SHA-512, SHA-512/224, SHA-512/256, SHA3-224, SHA3-256, SHA3-384 \
                 or SHA3-512"
            ),
            Self::NoEnforcedScheme => f.write_str(
                "enforce.auth.enabled is true, but enforce.auth.schemes does not name any scheme",
            ),
            Self::UnknownEnforcedScheme(scheme) => write!(
                f,
                "enforce.auth.schemes names {scheme:?}, but no authentication provider of that \
                 scheme is configured; add an authProvider.<n> line or remove it"
            ),
        }
    }
}

impl std::error::Error for AuthConfigError {}

/// What an auth packet led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthOutcome {
    /// Reply 0.
    Ok,
    /// Reply -115, then close.
    Failed,
    /// Close without a reply: the client is meant for another ensemble and should try the next
    /// server instead of giving up.
    CloseSilently,
}
