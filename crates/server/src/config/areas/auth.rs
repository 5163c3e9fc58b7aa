//! Who may do what: ACL switches, quotas, digest, providers, enforcement.

use std::collections::BTreeMap;

use crate::config::error::ConfigError;
use crate::config::reader::Reader;

/// The hash of scheme `digest`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum DigestAlgorithm {
    #[default]
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512_224,
    Sha512_256,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
}

impl DigestAlgorithm {
    /// Java's names, any case.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.to_uppercase().as_str() {
            "SHA" | "SHA1" | "SHA-1" => Self::Sha1,
            "SHA-224" | "SHA224" => Self::Sha224,
            "SHA-256" | "SHA256" => Self::Sha256,
            "SHA-384" | "SHA384" => Self::Sha384,
            "SHA-512" | "SHA512" => Self::Sha512,
            "SHA-512/224" | "SHA512/224" => Self::Sha512_224,
            "SHA-512/256" | "SHA512/256" => Self::Sha512_256,
            "SHA3-224" => Self::Sha3_224,
            "SHA3-256" => Self::Sha3_256,
            "SHA3-384" => Self::Sha3_384,
            "SHA3-512" => Self::Sha3_512,
            _ => return None,
        })
    }
}

/// Authentication and authorisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthConfig {
    /// No ACL checks at all.
    pub skip_acl: bool,
    /// Hard quotas refuse.
    pub enforce_quota: bool,
    /// Check ACLs before forwarding.
    pub eager_acl_check: bool,
    /// Scheme digest exists.
    pub digest_enabled: bool,
    /// `id:hash` of the super user.
    pub super_digest: Option<String>,
    /// The hash of scheme digest.
    pub digest_algorithm: DigestAlgorithm,
    /// Class names of further providers by the suffix of their key.
    pub providers: BTreeMap<String, String>,
    /// Names a client of scheme `ensemble` may give; empty for any.
    pub ensemble_auth_names: Vec<String>,
    /// Whether clients must have authenticated with one of `enforced_schemes`.
    pub enforce_auth: bool,
    /// Schemes of `enforce.auth.schemes`.
    pub enforced_schemes: Vec<String>,
}

impl AuthConfig {
    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let algorithm = reader.text("DigestAuthenticationProvider.digestAlg");
        let digest_algorithm = DigestAlgorithm::parse(&algorithm).ok_or_else(|| {
            let error = ConfigError::other(format!("{algorithm} MessageDigest not available"))
                .remedy("use SHA1, SHA-256, SHA-512, SHA3-256 or another SHA; MD2 and MD5 are not supported");
            reader.refuse("DigestAuthenticationProvider.digestAlg", error)
        })?;
        let enforced_schemes = reader.list("enforce.auth.schemes");
        let enforce_auth = reader.bool("enforce.auth.enabled")?;
        if enforce_auth && enforced_schemes.is_empty() {
            // Two blanks, as Apache prints it.
            let error = ConfigError::config(
                "zookeeper.enforce.auth.enabled is true zookeeper.enforce.auth.schemes must be  configured.",
            )
            .remedy("add enforce.auth.schemes=digest,sasl or remove enforce.auth.enabled");
            return Err(reader.refuse("enforce.auth.enabled", error));
        }
        let providers = reader.settings.family(Reader::key("authProvider.*"));
        Ok(Self {
            skip_acl: reader.yes_no("skipACL"),
            enforce_quota: reader.bool("enforceQuota")?,
            eager_acl_check: reader.bool("enableEagerACLCheck")?,
            digest_enabled: reader.bool("DigestAuthenticationProvider.enabled")?,
            super_digest: reader.optional_text("DigestAuthenticationProvider.superDigest"),
            digest_algorithm,
            providers: providers
                .into_iter()
                .map(|(suffix, setting)| (suffix, setting.value.clone()))
                .collect(),
            ensemble_auth_names: reader.list("ensembleAuthName"),
            enforce_auth,
            enforced_schemes,
        })
    }
}

/// Refuses, by name, every setting that protects and does not work yet: starting without the
/// protection would be worse than not starting.
pub(in crate::config) fn refuse_unprotected(
    reader: &mut Reader<'_>,
    has_plain_port: bool,
) -> Result<(), ConfigError> {
    const SWITCHES: [&str; 4] = [
        "sslQuorum",
        "quorum.auth.learnerRequireSasl",
        "quorum.auth.serverRequireSasl",
        "sessionRequireClientSASLAuth",
    ];
    /// What a client cannot prove here yet.
    const UNPROVABLE_SCHEMES: [&str; 2] = ["sasl", "x509"];
    for name in SWITCHES {
        if reader.bool(name)? {
            return Err(unprotected(reader, name));
        }
    }
    if reader.bool("enforce.auth.enabled")?
        && reader
            .list("enforce.auth.schemes")
            .iter()
            .any(|scheme| UNPROVABLE_SCHEMES.contains(&scheme.as_str()))
    {
        return Err(unprotected(reader, "enforce.auth.enabled"));
    }
    let demands_certificates = reader
        .setting("ssl.clientAuth")
        .is_some_and(|setting| setting.value.eq_ignore_ascii_case("need"));
    if demands_certificates {
        return Err(unprotected(reader, "ssl.clientAuth"));
    }
    if reader.setting("secureClientPort").is_some() && !has_plain_port {
        return Err(unprotected(reader, "secureClientPort"));
    }
    Ok(())
}

fn unprotected(reader: &Reader<'_>, name: &str) -> ConfigError {
    let error = ConfigError::config(format!(
        "{name} protects this server, and Rookeeper cannot provide that protection yet"
    ))
    .remedy(match name {
        "secureClientPort" => {
            "add clientPort=2181 if plaintext clients are acceptable, or stay with Apache for now"
                .to_owned()
        }
        _ => {
            format!("remove {name} if the network protects the server, or stay with Apache for now")
        }
    });
    reader.refuse(name, error)
}

/// Order and dependencies of SASL between servers, checked before the refusal above.
pub(in crate::config) fn check_quorum_sasl(reader: &mut Reader<'_>) -> Result<(), ConfigError> {
    let enabled = reader.bool("quorum.auth.enableSasl")?;
    let learner = reader.bool("quorum.auth.learnerRequireSasl")?;
    let server = reader.bool("quorum.auth.serverRequireSasl")?;
    for (required, name) in
        [(learner, "quorum.auth.learnerRequireSasl"), (server, "quorum.auth.serverRequireSasl")]
    {
        if required && !enabled {
            return Err(needs(reader, name, "quorum.auth.enableSasl"));
        }
    }
    if server && !learner {
        let learner = "quorum.auth.learnerRequireSasl";
        return Err(needs(reader, "quorum.auth.serverRequireSasl", learner));
    }
    Ok(())
}

fn needs(reader: &Reader<'_>, name: &str, other: &str) -> ConfigError {
    let error = ConfigError::config(format!("{other} is disabled, so cannot enable {name}"))
        .remedy(format!("set {other}=true first"));
    reader.refuse(name, error)
}
