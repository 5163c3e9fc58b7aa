//! Our binary started inside something: under a tracer, or with a layer below it.
//!
//! Beside [`crate::Server`] because that one starts every flavour alike, and waits for a server that
//! is meant to live; here a server may be meant to die while it starts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::{ServerProcess, tail};
use crate::{HarnessError, Result, ServerConfig, fourletter, ports, rookeeper};

const PATIENCE: Duration = Duration::from_secs(120);
const PROBE_PATIENCE: Duration = Duration::from_secs(10);
const ATTEMPTS: usize = 4;
const POLL: Duration = Duration::from_millis(5);

/// How a start ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// It serves.
    Serving,
    /// It was killed (SIGKILL) before that.
    Killed,
}

/// A server with a home of its own that outlives its processes.
#[derive(Debug)]
pub struct CrashServer {
    home: TempDir,
    lines: String,
    port: u16,
    process: Option<ServerProcess>,
}

impl CrashServer {
    /// Writes `zoo.cfg` with these lines beside the folders and the port.
    pub fn prepare(lines: &[(&str, &str)]) -> Result<Self> {
        let home = tempfile::Builder::new()
            .prefix("rookeeper-crash-")
            .tempdir()
            .map_err(HarnessError::io("making a temporary folder"))?;
        // Of a key that is there twice the last counts.
        let values: BTreeMap<&str, &str> = lines.iter().copied().collect();
        let lines = values.iter().fold(String::new(), |mut text, (key, value)| {
            let _ = writeln!(text, "{key}={value}");
            text
        });
        let server = Self { home, lines, port: 0, process: None };
        std::fs::create_dir(server.data_dir()).map_err(HarnessError::io("making dataDir"))?;
        Ok(server)
    }

    /// Starts a process; `wrap` may change its command or put another in front.
    pub fn start(&mut self, wrap: impl Fn(Command) -> Command) -> Result<Start> {
        let mut attempt = 1;
        loop {
            self.process = None;
            self.write_zoo_cfg()?;
            let command = wrap(rookeeper::server(&ServerConfig::new(), &self.zoo_cfg())?);
            self.process = Some(ServerProcess::spawn(command, &self.log())?);
            match self.wait_until_serving() {
                Err(error) if error.is_port_clash() && attempt < ATTEMPTS => attempt += 1,
                started => return started,
            }
        }
    }

    fn write_zoo_cfg(&mut self) -> Result<()> {
        self.port = *ports::free(1)?.first().expect("one was asked for");
        let text = format!(
            "dataDir={}\nclientPort={}\nclientPortAddress=127.0.0.1\ntickTime=2000\n\
             admin.enableServer=false\n4lw.commands.whitelist=*\n{}",
            self.data_dir().display(),
            self.port,
            self.lines
        );
        std::fs::write(self.zoo_cfg(), text).map_err(HarnessError::io("writing zoo.cfg"))
    }

    fn wait_until_serving(&mut self) -> Result<Start> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.is_serving() {
                return Ok(Start::Serving);
            }
            match self.process.as_mut().and_then(ServerProcess::exit_status) {
                Some(status) if status.signal() == Some(KILLED) => return Ok(Start::Killed),
                Some(status) => return Err(self.exited(status)),
                None => {}
            }
            if Instant::now() > deadline {
                let (server, seconds) = ("rookeeper".to_owned(), PATIENCE.as_secs());
                let (log, tail) = (self.log(), tail(&self.log()));
                return Err(HarnessError::NotReady { server, seconds, log, tail });
            }
            std::thread::sleep(POLL);
        }
    }

    fn exited(&self, status: ExitStatus) -> HarnessError {
        let (server, status) = ("rookeeper".to_owned(), status.to_string());
        let (log, tail) = (self.log(), tail(&self.log()));
        HarnessError::Exited { server, status, log, tail }
    }

    fn is_serving(&self) -> bool {
        fourletter::ask_within(self.addr(), "srvr", PROBE_PATIENCE)
            .is_ok_and(|answer| fourletter::mode_in(&answer).is_some())
            && self.process.as_ref().is_some_and(|process| process.listens_on(self.port))
    }

    /// The client address.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The server's folder.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The dataDir.
    pub fn data_dir(&self) -> PathBuf {
        self.home().join("data")
    }

    /// The log of all its processes.
    pub fn log(&self) -> PathBuf {
        self.home().join("server.log")
    }

    fn zoo_cfg(&self) -> PathBuf {
        self.home().join("zoo.cfg")
    }

    /// Kills it (SIGKILL); [`Self::wait_until_killed`] sees that it was.
    pub fn kill(&mut self) {
        if let Some(process) = &mut self.process {
            process.kill();
        }
    }

    /// Asks it to end and waits; `None` when it had to be killed.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        self.process.take().and_then(|mut process| process.stop(PATIENCE))
    }

    /// Waits until the present process has ended; any other end than by SIGKILL is an error.
    pub fn wait_until_killed(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.process.as_mut().and_then(ServerProcess::exit_status) {
                Some(status) if status.signal() == Some(KILLED) => return Ok(()),
                Some(status) => return Err(self.exited(status)),
                None if Instant::now() > deadline => {
                    let what = "the server closed its connections and did not end".to_owned();
                    return Err(HarnessError::Unexpected(what));
                }
                None => std::thread::sleep(POLL),
            }
        }
    }

    /// Leaves the folder behind for someone to look at.
    pub fn keep_folder(&mut self) {
        self.home.disable_cleanup(true);
        eprintln!("kept: {}; the end of its log:\n{}", self.home().display(), tail(&self.log()));
    }
}

/// SIGKILL.
const KILLED: i32 = 9;

impl Drop for CrashServer {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            self.keep_folder();
        }
    }
}
