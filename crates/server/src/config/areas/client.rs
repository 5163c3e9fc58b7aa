//! Ports, sessions and four-letter words: what a client meets.

use std::collections::BTreeSet;

use crate::config::ensemble::port_in_range;
use crate::config::error::ConfigError;
use crate::config::reader::Reader;

/// The client ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPorts {
    /// The plaintext port; `Some(0)` is any free one, `None` no plaintext listener.
    pub client_port: Option<u16>,
    /// Hosts to bind it to, not resolved; empty for the wildcard of both families.
    pub client_port_addresses: Vec<String>,
    /// The TLS port.
    pub secure_client_port: Option<u16>,
    /// The host to bind it to, not resolved.
    pub secure_client_port_address: Option<String>,
    /// The listen backlog.
    pub listen_backlog: i32,
    /// `SO_KEEPALIVE` on client sockets.
    pub tcp_keep_alive: bool,
    /// Milliseconds until a connection that never asked for a session is closed.
    pub sessionless_timeout_ms: i32,
}

/// When the backlog is not given. Java takes 50, so that most of a storm of connections is dropped by
/// the kernel and tries again a second later. The kernel's own limit applies as well.
const DEFAULT_BACKLOG: i32 = 1024;

impl ClientPorts {
    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let client_port = port(reader, "clientPort")?;
        let address = reader.optional_text("clientPortAddress");
        needs_port(reader, "clientPortAddress", "clientPort", client_port)?;
        let secure_client_port = port(reader, "secureClientPort")?;
        let secure_client_port_address = reader.optional_text("secureClientPortAddress");
        needs_port(reader, "secureClientPortAddress", "secureClientPort", secure_client_port)?;
        let backlog = reader.i32("clientPortListenBacklog")?;
        Ok(Self {
            client_port,
            client_port_addresses: address.into_iter().collect(),
            secure_client_port,
            secure_client_port_address,
            listen_backlog: if backlog < 1 { DEFAULT_BACKLOG } else { backlog },
            tcp_keep_alive: reader.bool("clientTcpKeepAlive")?,
            sessionless_timeout_ms: reader.i32("nio.sessionlessCnxnTimeout")?,
        })
    }
}

fn port(reader: &mut Reader<'_>, name: &str) -> Result<Option<u16>, ConfigError> {
    reader
        .optional_i32(name)?
        .map(|port| port_in_range(port).map_err(|error| reader.refuse(name, error)))
        .transpose()
}

fn needs_port(
    reader: &Reader<'_>,
    address: &str,
    port: &str,
    set: Option<u16>,
) -> Result<(), ConfigError> {
    if set.is_none() && reader.optional_text(address).is_some() {
        let error = ConfigError::config(format!("{address} is set but {port} is not set"))
            .remedy(format!("add {port}= or remove {address}"));
        return Err(reader.refuse(address, error));
    }
    Ok(())
}

/// Ticks and session time-outs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// The base unit.
    pub tick_time_ms: i32,
    /// The lower bound of a negotiated time-out.
    pub min_session_timeout_ms: i32,
    /// The upper bound.
    pub max_session_timeout_ms: i32,
    /// Sessions that are not replicated.
    pub local_sessions_enabled: bool,
    /// Upgrade such a session on its first ephemeral.
    pub local_sessions_upgrading_enabled: bool,
}

impl SessionConfig {
    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let tick_time_ms = reader.i32("tickTime")?;
        let min = reader.i32("minSessionTimeout")?;
        let max = reader.i32("maxSessionTimeout")?;
        if tick_time_ms == 0 {
            let error = ConfigError::config("tickTime is not set")
                .remedy("write tickTime=2000, or remove the line for 3000");
            return Err(reader.refuse("tickTime", error));
        }
        let min = if min == -1 { tick_time_ms.saturating_mul(2) } else { min };
        let max = if max == -1 { tick_time_ms.saturating_mul(20) } else { max };
        if min > max {
            let error = ConfigError::config(
                "minSessionTimeout must not be larger than maxSessionTimeout",
            )
            .remedy(format!(
                "they come to {min} and {max} ms with tickTime={tick_time_ms}; raise the second"
            ));
            let culprit = ["minSessionTimeout", "maxSessionTimeout", "tickTime"]
                .into_iter()
                .find(|name| reader.setting(name).is_some())
                .unwrap_or("tickTime");
            return Err(reader.refuse(culprit, error));
        }
        Ok(Self {
            tick_time_ms,
            min_session_timeout_ms: min,
            max_session_timeout_ms: max,
            local_sessions_enabled: reader.bool("localSessionsEnabled")?,
            local_sessions_upgrading_enabled: reader.bool("localSessionsUpgradingEnabled")?,
        })
    }
}

/// The four-letter words the server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FourLetterWords {
    /// Every one (`*`).
    pub all: bool,
    /// These, when not all.
    pub allowed: BTreeSet<String>,
}

impl FourLetterWords {
    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let listed = reader.list("4lw.commands.whitelist");
        let all = listed.iter().any(|name| name == "*");
        let mut allowed: BTreeSet<String> = listed.into_iter().collect();
        // A read/write server is looked for with isro.
        if reader.bool("readonlymode.enabled")? {
            allowed.insert("isro".to_owned());
        }
        Ok(Self { all, allowed })
    }

    /// Whether a command may be answered.
    pub fn allows(&self, command: &str) -> bool {
        self.all || self.allowed.contains(command)
    }
}
