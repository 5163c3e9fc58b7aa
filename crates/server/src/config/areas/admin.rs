//! The HTTP admin server and the metrics exporter.

use std::collections::BTreeMap;

use crate::config::ensemble::port_in_range;
use crate::config::error::ConfigError;
use crate::config::reader::Reader;

/// The admin server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "the switches are independent")]
pub struct AdminConfig {
    /// Whether it runs.
    pub enabled: bool,
    /// Its address.
    pub server_address: String,
    /// Its port.
    pub server_port: i32,
    /// Close idle connections after this.
    pub idle_timeout_ms: i32,
    /// Prefix of all commands.
    pub command_url: String,
    /// TLS and plaintext on the port.
    pub port_unification: bool,
    /// TLS only.
    pub force_https: bool,
    /// Demand a client certificate.
    pub need_client_auth: bool,
    /// Command snapshot.
    pub snapshot_enabled: bool,
    /// Command restore.
    pub restore_enabled: bool,
    /// One snapshot and one restore per interval.
    pub rate_limiter_interval_ms: i64,
}

impl AdminConfig {
    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            // Anything but `false` is on.
            enabled: reader.text("admin.enableServer") != "false",
            server_address: reader.text("admin.serverAddress"),
            server_port: reader.i32("admin.serverPort")?,
            idle_timeout_ms: reader.i32("admin.idleTimeout")?,
            command_url: reader.text("admin.commandURL"),
            port_unification: reader.bool("admin.portUnification")?,
            force_https: reader.bool("admin.forceHttps")?,
            need_client_auth: reader.bool("admin.needClientAuth")?,
            snapshot_enabled: reader.bool("admin.snapshot.enabled")?,
            restore_enabled: reader.bool("admin.restore.enabled")?,
            rate_limiter_interval_ms: reader.i64("admin.rateLimiterIntervalInMS")?,
        })
    }
}

/// The three providers of Apache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsProvider {
    /// Metrics by `mntr` and the admin server.
    #[default]
    Default,
    /// None.
    Null,
    /// An HTTP exporter as well.
    Prometheus,
}

/// The metrics exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsConfig {
    /// Which provider.
    pub provider: MetricsProvider,
    /// The exporter's address.
    pub http_host: String,
    /// The exporter's port.
    pub http_port: u16,
    /// JVM metrics.
    pub export_jvm_info: bool,
    /// Everything else, the prefix removed.
    pub rest: BTreeMap<String, String>,
}

impl MetricsConfig {
    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let provider = provider(reader)?;
        let rest = reader.settings.family(Reader::key("metricsProvider.*"));
        // Only the exporter reads its settings; with another provider they may say anything.
        let (http_port, export_jvm_info) = match provider {
            MetricsProvider::Prometheus => exporter(reader)?,
            MetricsProvider::Default | MetricsProvider::Null => (DEFAULT_EXPORTER_PORT, true),
        };
        Ok(Self {
            provider,
            http_host: reader.text("metricsProvider.httpHost"),
            http_port,
            export_jvm_info,
            rest: rest.into_iter().map(|(name, setting)| (name, setting.value.clone())).collect(),
        })
    }
}

const DEFAULT_EXPORTER_PORT: u16 = 7000;

fn exporter(reader: &mut Reader<'_>) -> Result<(u16, bool), ConfigError> {
    let port = reader.i32("metricsProvider.httpPort")?;
    let port =
        port_in_range(port).map_err(|error| reader.refuse("metricsProvider.httpPort", error))?;
    Ok((port, reader.bool("metricsProvider.exportJvmInfo")?))
}

fn provider(reader: &Reader<'_>) -> Result<MetricsProvider, ConfigError> {
    match reader.text("metricsProvider.className").as_str() {
        "org.apache.zookeeper.metrics.impl.DefaultMetricsProvider" => Ok(MetricsProvider::Default),
        "org.apache.zookeeper.metrics.impl.NullMetricsProvider" => Ok(MetricsProvider::Null),
        "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider" => {
            Ok(MetricsProvider::Prometheus)
        }
        _ => {
            let error = ConfigError::config("metrics provider class was not found").remedy(
                "use org.apache.zookeeper.metrics.impl.DefaultMetricsProvider, \
                 ...impl.NullMetricsProvider or \
                 org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider",
            );
            Err(reader.refuse("metricsProvider.className", error))
        }
    }
}
