//! A Rookeeper server of this build, without the binary: the test program starts itself again, and
//! the child becomes the server. Killed with its handle.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rookeeper_interop::ports;
use rookeeper_interop::process::{ServerProcess, tail};
use tempfile::TempDir;

/// Names the configuration to the child.
const CONFIG: &str = "ROOKEEPER_RECIPES_SERVER";
/// The name of the test that becomes the server; see [`become_server_if_asked`].
const ENTRY: &str = "the_server_of_the_other_tests";

pub struct TestServer {
    pub addr: SocketAddr,
    _process: ServerProcess,
    _home: TempDir,
}

impl TestServer {
    pub fn start() -> Self {
        // Another process may take the free port first.
        for _ in 0..5 {
            if let Some(server) = Self::attempt() {
                return server;
            }
        }
        panic!("no server started");
    }

    fn attempt() -> Option<Self> {
        let port = ports::free(1).expect("a free port")[0];
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        let home = tempfile::tempdir().expect("a folder");
        let config = home.path().join("zoo.cfg");
        let text = format!(
            "tickTime=2000\nclientPort={port}\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\n\
             admin.enableServer=false\n4lw.commands.whitelist=*\nforceSync=no\npreAllocSize=64\n\
             dataDir={}\n",
            home.path().join("data").display()
        );
        std::fs::write(&config, text).expect("a file");
        let log = home.path().join("server.log");
        let mut process = ServerProcess::spawn(command(&config), &log).expect("a process");
        let deadline = Instant::now() + super::PATIENCE;
        // Only its own log tells that it is ours: what answers on the port may be another's server.
        let ready = format!("on client port {port}");
        while Instant::now() < deadline {
            if std::fs::read_to_string(&log).is_ok_and(|text| text.contains(&ready)) {
                return Some(Self { addr, _process: process, _home: home });
            }
            if let Some(status) = process.exit_status() {
                eprintln!("the server ended with {status}:\n{}", tail(&log));
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("no server in time:\n{}", tail(&log));
    }
}

fn command(config: &Path) -> Command {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.args(["--exact", ENTRY, "--nocapture"]).env(CONFIG, config).env("RUST_LOG", "info");
    command
}

/// The body of the test named [`ENTRY`]: nothing, unless another test has started it.
pub fn become_server_if_asked() {
    if let Some(config) = std::env::var_os(CONFIG) {
        let code = rookeeper_server::run([config]);
        panic!("the server ended with {code}");
    }
}
