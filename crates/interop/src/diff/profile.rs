//! The configurations scripts run under. Together they reach nearly all that one server can answer.

use crate::{Ensemble, Flavour, Result, Server, ServerConfig, dump};

/// A configuration, and what the generator may expect of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Standalone, as Apache comes.
    Default,
    /// Standalone; TTL nodes, enforced quotas, reconfig enabled, a superuser.
    Extended,
    /// Standalone; nothing is answered without a digest credential.
    EnforceAuth,
    /// An ensemble of one, with reconfig enabled.
    Quorum,
    /// An ensemble of one with local sessions that are never upgraded.
    LocalSessions,
}

impl Profile {
    /// All profiles.
    pub const ALL: [Self; 5] =
        [Self::Default, Self::Extended, Self::EnforceAuth, Self::Quorum, Self::LocalSessions];

    /// The name used in parameters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Extended => "extended",
            Self::EnforceAuth => "enforce-auth",
            Self::Quorum => "quorum",
            Self::LocalSessions => "local-sessions",
        }
    }

    /// The profile of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// Which standalone profile a seed runs under when none is asked for.
    pub fn of(seed: u64) -> Self {
        match seed % 16 {
            0..=3 => Self::Default,
            4 => Self::EnforceAuth,
            _ => Self::Extended,
        }
    }

    /// Whether the server is a member of an ensemble.
    pub fn is_quorum(self) -> bool {
        matches!(self, Self::Quorum | Self::LocalSessions)
    }

    /// Whether TTL nodes can be made.
    pub fn has_ttl(self) -> bool {
        matches!(self, Self::Extended | Self::Quorum)
    }

    /// Whether there is a superuser.
    pub fn has_superuser(self) -> bool {
        matches!(self, Self::Extended | Self::Quorum)
    }

    /// Starts a server.
    pub fn start(self, flavour: Flavour) -> Result<Server> {
        if !self.is_quorum() {
            return Server::start(flavour, self.config());
        }
        let mut ensemble = Ensemble::of(flavour, 1, &self.config())?;
        Ok(ensemble.servers.pop().expect("one was started"))
    }

    fn config(self) -> ServerConfig {
        let mut config = ServerConfig::new()
            .heap_mb(Some(1024))
            // A quarter of an hour, so that no session expires in the middle of a script.
            .set("maxSessionTimeout", 900_000)
            .set("preAllocSize", 4096)
            .property("zookeeper.forceSync", "no")
            // The reaper would consume zxids at moments of its own.
            .property("znode.container.checkIntervalMs", 86_400_000);
        if self.has_ttl() {
            config = config.set("extendedTypesEnabled", "true").set("reconfigEnabled", "true");
        }
        if self.has_superuser() {
            config = config.property(dump::SUPER_DIGEST.0, dump::SUPER_DIGEST.1);
        }
        if self.is_quorum() {
            config = config.set("standaloneEnabled", "false");
        }
        match self {
            Self::Default | Self::Quorum => config,
            Self::Extended => config.set("enforceQuota", "true"),
            Self::EnforceAuth => {
                config.set("enforce.auth.enabled", "true").set("enforce.auth.schemes", "digest")
            }
            Self::LocalSessions => config
                .set("localSessionsEnabled", "true")
                .set("localSessionsUpgradingEnabled", "false"),
        }
    }
}
