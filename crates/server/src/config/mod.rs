//! Configuration: from zoo.cfg, `-D` flags and arguments to one typed [`Config`].
//!
//! Pure but for [`load`]: text comes in, a checked configuration with notices or one [`ConfigError`]
//! comes out. [`keys`] is the only list of keys; every one is known, unknown ones warn, and a mistake is
//! refused with file, line, key, value, remedy and Apache's exit code. Not here: resolving host names,
//! touching data directories, rewriting files. Source: operations.md 1.

pub mod areas;
pub mod ensemble;
pub mod error;
pub mod explain;
pub mod invocation;
mod key_table;
pub mod keys;
pub mod load;
pub mod properties;
mod reader;
pub mod settings;
pub mod shape;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use areas::admin::{AdminConfig, MetricsConfig};
use areas::auth::{self, AuthConfig};
use areas::client::{ClientPorts, FourLetterWords, SessionConfig};
use areas::limits::LimitsConfig;
use areas::quorum::QuorumConfig;
use areas::storage::StorageConfig;
use ensemble::{EnsembleSpec, HostPort};
pub use error::{ConfigError, Fault, Notice, Origin, Severity};
pub use invocation::{Invocation, Target};
pub use load::{Files, RealFiles, load};
use reader::Reader;
use settings::{ConfigFile, Settings};
use shape::{Mode, ShapeInput};

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The static file, when there is one.
    pub static_path: Option<PathBuf>,
    /// Client ports; the client part of this server's own line is already merged in.
    pub client: ClientPorts,
    /// Ticks and session time-outs.
    pub sessions: SessionConfig,
    /// Four-letter words.
    pub four_letter: FourLetterWords,
    /// Disk.
    pub storage: StorageConfig,
    /// Limits and throttles.
    pub limits: LimitsConfig,
    /// Authentication and authorisation.
    pub auth: AuthConfig,
    /// The admin server.
    pub admin: AdminConfig,
    /// The metrics exporter.
    pub metrics: MetricsConfig,
    /// Settings of the ensemble.
    pub quorum: QuorumConfig,
    /// Its members.
    pub ensemble: EnsembleSpec,
    /// The membership proposed but not committed when the server last ran.
    pub next_ensemble: Option<EnsembleSpec>,
    /// The content of the myid file.
    pub my_id: Option<i64>,
    /// Alone or in a quorum.
    pub mode: Mode,
    /// What to log before serving.
    pub notices: Vec<Notice>,
    settings: Settings,
}

/// File contents and facts of the invocation, as [`load`] collects them.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The static file's path.
    pub static_path: Option<PathBuf>,
    /// The file `dynamicConfigFile` names.
    pub dynamic: Option<ConfigFile>,
    /// `<cfg>.dynamic.next`.
    pub next_dynamic: Option<ConfigFile>,
    /// The myid file's path and text.
    pub my_id: Option<(PathBuf, String)>,
    /// Addresses to bind when the file names none.
    pub addresses: Vec<String>,
    /// `maxClientCnxns` is unlimited unless set (Apache's short argument form).
    pub unlimited_per_address: bool,
    /// JVM options that were ignored.
    pub jvm_options: Vec<String>,
}

impl Config {
    /// Checks everything and builds the typed configuration.
    ///
    /// # Errors
    /// The first mistake, in the order Apache looks for them.
    pub fn build(
        settings: Settings,
        sources: Sources,
        mut notices: Vec<Notice>,
    ) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(&settings, &mut notices);
        reader.check_types()?;
        let quorum = QuorumConfig::read(&mut reader)?;
        let storage = StorageConfig::read(&mut reader)?;
        let mut client = ClientPorts::read(&mut reader)?;
        let sessions = SessionConfig::read(&mut reader)?;
        let metrics = MetricsConfig::read(&mut reader)?;
        auth::check_quorum_sasl(&mut reader)?;
        check_class(
            &reader,
            "serverCnxnFactory",
            &[
                "org.apache.zookeeper.server.NIOServerCnxnFactory",
                "org.apache.zookeeper.server.NettyServerCnxnFactory",
            ],
        )?;
        check_class(
            &reader,
            "watchManagerName",
            &[
                "org.apache.zookeeper.server.watch.WatchManager",
                "org.apache.zookeeper.server.watch.WatchManagerOptimized",
            ],
        )?;
        let ensemble = read_ensemble(&settings, &sources, quorum.multi_address_enabled)?;
        let my_id = read_my_id(sources.my_id.as_ref())?;
        if client.client_port_addresses.is_empty() {
            client.client_port_addresses.clone_from(&sources.addresses);
        }
        let mode = shape::decide(
            ShapeInput {
                spec: &ensemble,
                standalone_enabled: quorum.standalone_enabled,
                init_limit_ticks: quorum.init_limit_ticks,
                sync_limit_ticks: quorum.sync_limit_ticks,
                my_id,
                peer_type: quorum.peer_type,
                extended_types_enabled: storage.extended_types_enabled,
            },
            &mut notices,
        )?;
        merge_client_address(&mut client, &ensemble, my_id, mode)?;
        let mut reader = Reader::new(&settings, &mut notices);
        let auth = AuthConfig::read(&mut reader)?;
        auth::refuse_unprotected(&mut reader, client.client_port.is_some())?;
        let limits = LimitsConfig::read(&mut reader, sources.unlimited_per_address)?;
        let four_letter = FourLetterWords::read(&mut reader)?;
        let admin = AdminConfig::read(&mut reader)?;
        if client.client_port.is_none() {
            notices.push(Notice::warn(
                "clientPort is not set: no client can connect; add clientPort=2181",
            ));
        }
        let in_ensemble = matches!(mode, Mode::Quorum { .. });
        settings.name_inert_keys(in_ensemble, &sources.jvm_options, &mut notices);
        let multi_address = quorum.multi_address_enabled;
        let next_ensemble = read_next(sources.next_dynamic.as_ref(), multi_address, &mut notices);
        Ok(Self {
            static_path: sources.static_path,
            client,
            sessions,
            four_letter,
            storage,
            limits,
            auth,
            admin,
            metrics,
            quorum,
            ensemble,
            next_ensemble,
            my_id,
            mode,
            notices,
            settings,
        })
    }

    /// The refusal for a bind address that does not resolve, with Apache's text.
    pub fn unknown_host(&self, key: &str, host: &str) -> ConfigError {
        let error = ConfigError::config(format!("{host}: Name or service not known"))
            .remedy("write an address of this machine, or remove the key to bind all of them");
        match keys::find(key).and_then(|key| self.settings.value(key)) {
            Some(setting) => error.at(key, &setting.value, &setting.origin),
            None => error,
        }
    }
}

fn check_class(reader: &Reader<'_>, name: &str, known: &[&str]) -> Result<(), ConfigError> {
    let class = reader.text(name);
    if known.contains(&class.as_str()) {
        return Ok(());
    }
    let error = ConfigError::other(format!("Couldn't instantiate {class}"))
        .remedy(format!("remove the line, or write one of {}", known.join(", ")));
    Err(reader.refuse(name, error))
}

fn read_ensemble(
    settings: &Settings,
    sources: &Sources,
    multi_address: bool,
) -> Result<EnsembleSpec, ConfigError> {
    let Some(dynamic) = &sources.dynamic else {
        return EnsembleSpec::parse(settings.membership(), multi_address);
    };
    let misplaced = settings.membership().find(|(name, _)| settings::is_membership_key(name));
    if let Some((name, setting)) = misplaced {
        let message = format!("parameter: {name} must be in a separate dynamic config file");
        return Err(ConfigError::config(message)
            .at(name, &setting.value, &setting.origin)
            .remedy(format!("move the line to {}", dynamic.path.display())));
    }
    read_dynamic(dynamic, multi_address)
}

fn read_dynamic(file: &ConfigFile, multi_address: bool) -> Result<EnsembleSpec, ConfigError> {
    let mut cut_comments = Vec::new();
    let settings = Settings::resolve(Some(file), &[], &mut cut_comments)?;
    for entry in &file.entries {
        let origin = Origin::File { path: file.path.clone(), line: entry.line };
        ensemble::check_dynamic_key(entry.key.trim())
            .map_err(|error| error.at(entry.key.trim(), entry.value.trim(), &origin))?;
    }
    let mut spec = EnsembleSpec::parse(settings.membership(), multi_address)?;
    spec.version = version_of(&file.path);
    Ok(spec)
}

/// The hexadecimal suffix of a dynamic file's name; 0 without one.
fn version_of(path: &Path) -> i64 {
    let suffix = path.extension().and_then(|suffix| suffix.to_str());
    let version = suffix.and_then(|suffix| i64::from_str_radix(suffix, 16).ok());
    version.filter(|version| *version >= 0).unwrap_or(0)
}

/// As [`read_dynamic`] but with the version inside, and never a reason not to start.
fn read_next(
    file: Option<&ConfigFile>,
    multi_address: bool,
    notices: &mut Vec<Notice>,
) -> Option<EnsembleSpec> {
    let file = file?;
    let spec = Settings::resolve(Some(file), &[], &mut Vec::new())
        .and_then(|settings| EnsembleSpec::parse(settings.membership(), multi_address));
    match spec {
        Ok(spec) => Some(spec),
        Err(error) => {
            notices.push(Notice::warn(format!("{} is ignored: {error}", file.path.display())));
            None
        }
    }
}

fn read_my_id(file: Option<&(PathBuf, String)>) -> Result<Option<i64>, ConfigError> {
    file.map(|(path, content)| {
        shape::parse_my_id(content).map_err(|error| error.in_file(path).on_line(1))
    })
    .transpose()
}

/// The client part of this server's own line is its client port; both given must agree.
fn merge_client_address(
    client: &mut ClientPorts,
    ensemble: &EnsembleSpec,
    my_id: Option<i64>,
    mode: Mode,
) -> Result<(), ConfigError> {
    let own = match (my_id, mode) {
        (Some(id), _) => ensemble.members.get(&id),
        // Apache listens nowhere here; there is only one server this line can mean.
        (None, Mode::Standalone) => ensemble.members.values().next(),
        (None, Mode::Quorum { .. }) => None,
    };
    let Some((id, line)) = own.and_then(|member| Some((member.id, member.client.as_ref()?))) else {
        return Ok(());
    };
    let address = client.client_port_addresses.first();
    let wildcard = address.is_none_or(|host| is_wildcard(host));
    let agrees = client.client_port.is_none_or(|port| {
        port == line.port && (wildcard || address.is_some_and(|host| *host == line.host))
    });
    if !agrees {
        let given = HostPort {
            host: address.cloned().unwrap_or_else(|| "0.0.0.0".to_owned()),
            port: client.client_port.unwrap_or(0),
        };
        return Err(ConfigError::config(format!(
            "client address for this server (id = {id}) in static config file is {given} is \
             different from client address found in dynamic file: {line}"
        ))
        .remedy("remove clientPort and clientPortAddress, or make them equal"));
    }
    client.client_port = Some(line.port);
    client.client_port_addresses =
        if is_wildcard(&line.host) { Vec::new() } else { vec![line.host.clone()] };
    Ok(())
}

fn is_wildcard(host: &str) -> bool {
    matches!(host, "0.0.0.0" | "::" | "0:0:0:0:0:0:0:0")
}
