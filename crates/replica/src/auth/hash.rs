//! The hashes digest authentication can use, by their JCA names.
//!
//! MD2 and MD5, which Java's runtime also offers under `digestAlg`, are deliberately not here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};
use sha3::{Sha3_224, Sha3_256, Sha3_384, Sha3_512};

/// A hash algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512Of224,
    Sha512Of256,
    Sha3Of224,
    Sha3Of256,
    Sha3Of384,
    Sha3Of512,
}

impl Algorithm {
    /// By JCA name, in any case, as Java looks them up.
    pub(super) fn from_jca_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "SHA" | "SHA1" | "SHA-1" => Self::Sha1,
            "SHA-224" | "SHA224" => Self::Sha224,
            "SHA-256" | "SHA256" => Self::Sha256,
            "SHA-384" | "SHA384" => Self::Sha384,
            "SHA-512" | "SHA512" => Self::Sha512,
            "SHA-512/224" | "SHA512/224" => Self::Sha512Of224,
            "SHA-512/256" | "SHA512/256" => Self::Sha512Of256,
            "SHA3-224" => Self::Sha3Of224,
            "SHA3-256" => Self::Sha3Of256,
            "SHA3-384" => Self::Sha3Of384,
            "SHA3-512" => Self::Sha3Of512,
            _ => return None,
        })
    }

    /// Hashes and encodes in base64.
    fn base64(self, input: &[u8]) -> String {
        match self {
            Self::Sha1 => STANDARD.encode(Sha1::digest(input)),
            Self::Sha224 => STANDARD.encode(Sha224::digest(input)),
            Self::Sha256 => STANDARD.encode(Sha256::digest(input)),
            Self::Sha384 => STANDARD.encode(Sha384::digest(input)),
            Self::Sha512 => STANDARD.encode(Sha512::digest(input)),
            Self::Sha512Of224 => STANDARD.encode(Sha512_224::digest(input)),
            Self::Sha512Of256 => STANDARD.encode(Sha512_256::digest(input)),
            Self::Sha3Of224 => STANDARD.encode(Sha3_224::digest(input)),
            Self::Sha3Of256 => STANDARD.encode(Sha3_256::digest(input)),
            Self::Sha3Of384 => STANDARD.encode(Sha3_384::digest(input)),
            Self::Sha3Of512 => STANDARD.encode(Sha3_512::digest(input)),
        }
    }

    /// The digest id of credentials `user:password`: the user (everything, if there is no colon),
    /// a colon, the hash of the *whole* credentials.
    pub(super) fn digest_id(self, credentials: &str) -> String {
        let user = credentials.split_once(':').map_or(credentials, |(user, _)| user);
        format!("{user}:{}", self.base64(credentials.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(algorithm: &str, credentials: &str) -> String {
        Algorithm::from_jca_name(algorithm).unwrap().digest_id(credentials)
    }

    /// Values observed on a real server (`operations.md` 6.5).
    #[test]
    fn equals_what_java_servers_computed() {
        assert_eq!(id("SHA1", "user:pass"), "user:smGaoVKd/cQkjm7b88GyorAUz20=");
        assert_eq!(id("SHA1", "super:test"), "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
        assert_eq!(id("SHA1", "bob:secret"), "bob:fyVmFCwVbTJYrznoSu1koqYEYF0=");
    }

    /// AuthSHA2Test, AuthSHA3Test: the id carries the hash of the configured algorithm. The values
    /// were computed with another implementation of the hashes.
    #[test]
    fn every_algorithm_hashes_the_whole_credentials() {
        for (algorithm, expected) in VALUES {
            assert_eq!(id(algorithm, "super:test"), format!("super:{expected}"), "{algorithm}");
        }
    }

    #[test]
    fn without_a_colon_everything_is_user_and_password() {
        assert!(id("SHA1", "nopw").starts_with("nopw:"));
        assert!(id("SHA1", "a:b:c").starts_with("a:"));
        assert!(id("SHA1", "").starts_with(':'));
    }

    #[test]
    fn unknown_algorithms_are_refused() {
        for name in ["", "MD5", "SHA-42", "SHA3", "sha_256"] {
            assert_eq!(Algorithm::from_jca_name(name), None, "{name}");
        }
        assert_eq!(Algorithm::from_jca_name("sha-256"), Some(Algorithm::Sha256));
    }

    const VALUES: &[(&str, &str)] = &[
        ("SHA-224", "opwh3FU/0WUpM+8JAOS98bsQFC+823kv438mIg=="),
        ("SHA-256", "wjySwxg860UATFtciuZ1lpzrCHrPeov6SPu/ZD56uig="),
        ("SHA-384", "FA/2SgoedA21NnGcUl5C1HBsMwuibAPXlAq/FqXTuUQPExUJgxpf8gWeD4eOupjP"),
        (
            "SHA-512",
            "cMAGk13FCMtJkaVQImGEKhjqoGELCiVjYdIhiD8stB1FnIpdGeFvKwAHh5mf4tUYmBR2ZY9181dZTXEHMlkVhg==",
        ),
        ("SHA-512/224", "Jbob8j2c9tikAuLuqxcIJr3TG4aS6fcELZsiHw=="),
        ("SHA-512/256", "GV6U44a5U7SXgFZS9GkWgmwq2+im64wGlYXjCHia3mo="),
        ("SHA3-224", "774X6Nz1d3BUO6raVFndfjoMF6e1LHrnHVv5IA=="),
        ("SHA3-256", "cRy/KPYuDpW/dtsepniTMpuiuupnWgdU9txltIfv3hA="),
        ("SHA3-384", "a3efqz9Fj+qRHgJMpOPAzqpMP86/aPKowwZfSsm/gM+qBf87ZmeQYtueLs53P8Rw"),
        (
            "SHA3-512",
            "AdTSPtJYC1bEo1Z0UG5z1VXkw2AEUReEjF0RV0jap6VKcDva8ZPEO/WxrOy888alfiJyM5cm5BKhrI4X/YFcTg==",
        ),
    ];
}
