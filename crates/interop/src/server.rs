//! One server under test, of any flavour, with one interface: start, wait, pause, stop, kill, restart.
//!
//! Every server gets the same `zoo.cfg` made from a [`ServerConfig`], a temporary folder of its own and
//! free loopback ports. When a test panics its folder stays, and its place is printed.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::apache::Generation;
use crate::process::{ServerProcess, tail};
use crate::{HarnessError, Result, fourletter, ports, rookeeper};

/// Generous: a busy machine may take long to start a JVM, and nothing waits longer than it must.
const START_PATIENCE: Duration = Duration::from_secs(180);
const STOP_PATIENCE: Duration = Duration::from_secs(120);
/// A Java server that is starting up may leave a connection hanging for ever: short at first, then longer, for a
/// busy machine.
const FIRST_PROBE: Duration = Duration::from_millis(500);
const PROBE_PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);
const ATTEMPTS: usize = 4;

/// Which implementation a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// Apache ZooKeeper of one generation.
    Apache(Generation),
    /// Our binary.
    Rookeeper,
}

impl Flavour {
    /// Apache ZooKeeper 3.9.5, the oracle.
    pub const APACHE_395: Self = Self::Apache(Generation::V395);
    /// Apache ZooKeeper 3.8.0, the second generation.
    pub const APACHE_380: Self = Self::Apache(Generation::V380);

    /// The name used in parameters and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::APACHE_395 => "apache395",
            Self::APACHE_380 => "apache380",
            Self::Rookeeper => "rookeeper",
        }
    }

    /// The flavour of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::APACHE_395, Self::APACHE_380, Self::Rookeeper].into_iter().find(|f| f.name() == name)
    }

    /// The server under test: what `ROOKEEPER_SERVER` names, else our own.
    pub fn under_test() -> Result<Self> {
        Self::from_env("ROOKEEPER_SERVER", Self::Rookeeper)
    }

    /// The flavour named by an environment variable, else `default`; an unknown name is an error.
    pub fn from_env(variable: &str, default: Self) -> Result<Self> {
        match std::env::var(variable) {
            Err(_) => Ok(default),
            Ok(name) => Self::named(&name).ok_or_else(|| {
                HarnessError::Unexpected(format!(
                    "{variable}={name}: must be apache395, apache380 or rookeeper"
                ))
            }),
        }
    }
}

impl std::fmt::Display for Flavour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What goes into `zoo.cfg` and onto the command line, beside ports and folders.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    entries: Vec<(String, String)>,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) binary: Option<PathBuf>,
    pub(crate) heap_mb: Option<u32>,
    pub(crate) is_measured: bool,
    data_dir: Option<PathBuf>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        let entries = [
            ("tickTime", "2000"),
            ("initLimit", "10"),
            ("syncLimit", "5"),
            ("maxClientCnxns", "0"),
            ("admin.enableServer", "false"),
            ("4lw.commands.whitelist", "*"),
        ];
        Self {
            entries: entries.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
            properties: Vec::new(),
            environment: Vec::new(),
            binary: None,
            heap_mb: Some(512),
            is_measured: false,
            data_dir: None,
        }
    }
}

impl ServerConfig {
    /// The defaults: tickTime 2000, no connection limit, no admin server, all four-letter words.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key of `zoo.cfg`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        self.entries.retain(|(present, _)| present != key);
        self.entries.push((key.to_owned(), value.to_string()));
        self
    }

    /// Sets a system property (`-Dname=value`).
    #[must_use]
    pub fn property(mut self, name: &str, value: impl ToString) -> Self {
        self.properties.retain(|(present, _)| present != name);
        self.properties.push((name.to_owned(), value.to_string()));
        self
    }

    /// Sets a variable of the environment of our own server.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another build of our own server than the one under test; `None` is that one.
    #[must_use]
    pub fn binary(mut self, path: Option<&Path>) -> Self {
        self.binary = path.map(Path::to_owned);
        self
    }

    /// The limit of a Java server's heap; `None` leaves it to the JVM.
    #[must_use]
    pub fn heap_mb(mut self, heap_mb: Option<u32>) -> Self {
        self.heap_mb = heap_mb;
        self
    }

    /// A Java server as the JVM would have it, not made to start with little work: its speed is of interest.
    #[must_use]
    pub fn measured(mut self) -> Self {
        self.is_measured = true;
        self
    }

    /// Uses this folder as dataDir instead of a fresh one. It is not removed afterwards.
    #[must_use]
    pub fn data_dir(mut self, dir: &Path) -> Self {
        self.data_dir = Some(dir.to_owned());
        self
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.entries.iter().find(|(present, _)| present == key).map(|(_, value)| value.as_str())
    }
}

/// One started server.
#[derive(Debug)]
pub struct Server {
    flavour: Flavour,
    config: ServerConfig,
    home: Option<TempDir>,
    client_port: u16,
    process: Option<ServerProcess>,
}

/// What an ensemble adds to a server's configuration.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    pub(crate) id: u32,
    pub(crate) lines: Vec<String>,
}

impl Server {
    /// Starts one standalone server and waits until it serves.
    pub fn start(flavour: Flavour, config: ServerConfig) -> Result<Self> {
        let mut attempt = 1;
        loop {
            let port = *ports::free(1)?.first().expect("one was asked for");
            let mut server = Self::prepare(flavour, config.clone(), port, None)?;
            let started = server.launch().and_then(|()| server.wait_until_serving());
            match started {
                Ok(()) => return Ok(server),
                Err(error) if error.is_port_clash() && attempt < ATTEMPTS => attempt += 1,
                Err(error) => {
                    server.keep_folder();
                    return Err(error);
                }
            }
        }
    }

    /// Writes the folder of a server without starting it.
    pub(crate) fn prepare(
        flavour: Flavour,
        config: ServerConfig,
        client_port: u16,
        membership: Option<&Membership>,
    ) -> Result<Self> {
        let home = tempfile::Builder::new()
            .prefix(&format!("rookeeper-{flavour}-"))
            .tempdir()
            .map_err(HarnessError::io("making a temporary folder"))?;
        let server = Self { flavour, config, home: Some(home), client_port, process: None };
        let data_dir = server.data_dir();
        std::fs::create_dir_all(&data_dir)
            .map_err(HarnessError::io(format!("making {}", data_dir.display())))?;
        let mut text = String::new();
        for (key, value) in &server.config.entries {
            let _ = writeln!(text, "{key}={value}");
        }
        let _ = writeln!(text, "dataDir={}", data_dir.display());
        let _ = writeln!(text, "clientPort={client_port}\nclientPortAddress=127.0.0.1");
        if let Some(membership) = membership {
            for line in &membership.lines {
                let _ = writeln!(text, "{line}");
            }
            std::fs::write(data_dir.join("myid"), membership.id.to_string())
                .map_err(HarnessError::io("writing myid"))?;
        }
        std::fs::write(server.zoo_cfg(), text).map_err(HarnessError::io("writing zoo.cfg"))?;
        Ok(server)
    }

    /// Starts the process; [`Self::wait_until_serving`] waits for it.
    pub fn launch(&mut self) -> Result<()> {
        let (zoo_cfg, log) = (self.zoo_cfg(), self.log());
        let command = match self.flavour {
            Flavour::Apache(generation) => {
                generation.server(&self.config, &zoo_cfg, self.home(), &log)?
            }
            Flavour::Rookeeper => rookeeper::server(&self.config, &zoo_cfg)?,
        };
        self.process = Some(ServerProcess::spawn(command, &log)?);
        Ok(())
    }

    /// Waits until the server answers `srvr` with a mode, at most three minutes. Whatever else answers on its
    /// port is not taken for it.
    pub fn wait_until_serving(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        let mut patience = FIRST_PROBE;
        loop {
            let asked = Instant::now();
            if self.mode_within(patience).is_some()
                && self.process.as_ref().is_some_and(|p| p.listens_on(self.client_port))
            {
                return Ok(());
            }
            if asked.elapsed() >= patience {
                patience = (2 * patience).min(PROBE_PATIENCE);
            }
            self.must_run()?;
            if Instant::now() > deadline {
                let (server, log) = (self.name(), self.log());
                let (seconds, tail) = (START_PATIENCE.as_secs(), tail(&log));
                return Err(HarnessError::NotReady { server, seconds, log, tail });
            }
            std::thread::sleep(POLL);
        }
    }

    /// Fails with the end of its log if the process has ended by itself.
    pub fn must_run(&mut self) -> Result<()> {
        match self.process.as_mut().and_then(ServerProcess::exit_status) {
            None => Ok(()),
            Some(status) => {
                let (server, log) = (self.name(), self.log());
                let (status, tail) = (status.to_string(), tail(&log));
                Err(HarnessError::Exited { server, status, log, tail })
            }
        }
    }

    fn name(&self) -> String {
        format!("{} on port {}", self.flavour, self.client_port)
    }

    /// The mode `srvr` reports, or `None` while the server does not serve.
    pub fn mode(&self) -> Option<String> {
        self.mode_within(PROBE_PATIENCE)
    }

    fn mode_within(&self, patience: Duration) -> Option<String> {
        let answer = fourletter::ask_within(self.addr(), "srvr", patience).ok()?;
        fourletter::mode_in(&answer).map(str::to_owned)
    }

    /// Which implementation this is.
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// Which implementation is started next, on the same ports and data.
    pub fn set_flavour(&mut self, flavour: Flavour) {
        self.flavour = flavour;
    }

    /// The client address.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.client_port))
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(ServerProcess::pid)
    }

    /// The server's folder: zoo.cfg, log and, unless given, the data.
    pub fn home(&self) -> &Path {
        self.home.as_ref().map_or_else(|| Path::new("."), TempDir::path)
    }

    /// The configuration file.
    pub fn zoo_cfg(&self) -> PathBuf {
        self.home().join("zoo.cfg")
    }

    /// The log file.
    pub fn log(&self) -> PathBuf {
        self.home().join("server.log")
    }

    /// The dataDir.
    pub fn data_dir(&self) -> PathBuf {
        self.config.data_dir.clone().unwrap_or_else(|| self.home().join("data"))
    }

    /// The dataLogDir, which is the dataDir unless configured.
    pub fn data_log_dir(&self) -> PathBuf {
        self.config.value("dataLogDir").map_or_else(|| self.data_dir(), PathBuf::from)
    }

    /// Ends the server as an operator would (SIGTERM).
    pub fn stop(&mut self) -> Option<ExitStatus> {
        self.process.take().and_then(|mut process| process.stop(STOP_PATIENCE))
    }

    /// Kills the server (SIGKILL).
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Freezes the server (SIGSTOP).
    pub fn pause(&mut self) {
        if let Some(process) = &mut self.process {
            process.pause();
        }
    }

    /// Lets a frozen server go on (SIGCONT).
    pub fn resume(&mut self) {
        if let Some(process) = &mut self.process {
            process.resume();
        }
    }

    /// Starts the server again on the same port and data, after `stop` or `kill`, and waits for it.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        self.launch()?;
        self.wait_until_serving()
    }

    /// Changes the configuration used from the next start on.
    pub fn reconfigure(&mut self, change: impl FnOnce(ServerConfig) -> ServerConfig) -> Result<()> {
        let before = self.config.entries.len();
        self.config = change(self.config.clone());
        debug_assert!(self.config.entries.len() >= before, "keys are only added or changed");
        let text =
            std::fs::read_to_string(self.zoo_cfg()).map_err(HarnessError::io("reading zoo.cfg"))?;
        let kept = text.lines().filter(|line| {
            line.split_once('=').is_none_or(|(key, _)| self.config.value(key).is_none())
        });
        let mut text: String = kept.flat_map(|line| [line, "\n"]).collect();
        for (key, value) in &self.config.entries {
            let _ = writeln!(text, "{key}={value}");
        }
        std::fs::write(self.zoo_cfg(), text).map_err(HarnessError::io("writing zoo.cfg"))
    }

    /// Leaves the server's folder behind for someone to look at.
    pub fn keep_folder(&mut self) {
        if let Some(home) = self.home.take() {
            let home = home.keep();
            let log = home.join("server.log");
            eprintln!("kept: {}; the end of its log:\n{}", home.display(), tail(&log));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            self.keep_folder();
        }
    }
}
