//! The configurations scripts run under. Together they reach what a standalone server can answer.

use crate::ServerConfig;

/// A configuration, and what the generator may expect of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// As Apache comes.
    Default,
    /// TTL nodes, enforced quotas, reconfig enabled, a superuser.
    Extended,
    /// Nothing is answered without a digest credential.
    EnforceAuth,
}

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 3] = [Self::Default, Self::Extended, Self::EnforceAuth];

    /// Which profile a seed runs under.
    pub fn of(seed: u64) -> Self {
        match seed % 16 {
            0..=3 => Self::Default,
            4 => Self::EnforceAuth,
            _ => Self::Extended,
        }
    }

    /// The configuration.
    pub fn config(self) -> ServerConfig {
        let config = ServerConfig::new()
            .heap_mb(Some(1024))
            // A quarter of an hour, so that no session expires in the middle of a script.
            .set("maxSessionTimeout", 900_000)
            .set("preAllocSize", 4096)
            .property("zookeeper.forceSync", "no")
            // The reaper would consume zxids at moments of its own.
            .property("znode.container.checkIntervalMs", 86_400_000);
        match self {
            Self::Default => config,
            Self::Extended => config
                .set("extendedTypesEnabled", "true")
                .set("enforceQuota", "true")
                .set("reconfigEnabled", "true")
                .property(
                    "zookeeper.DigestAuthenticationProvider.superDigest",
                    "super:D/InIHSb7yEEbrWz8b9l71RjZJU=",
                ),
            Self::EnforceAuth => {
                config.set("enforce.auth.enabled", "true").set("enforce.auth.schemes", "digest")
            }
        }
    }
}
