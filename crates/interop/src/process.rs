//! A server process: started with its output in a file, ended by its process id.
//!
//! Dropping the handle kills the process, so a failing test leaves none behind.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{HarnessError, Result};

const POLL: Duration = Duration::from_millis(5);
const TAIL_BYTES: usize = 4000;

/// A running (or ended) child process.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    log: PathBuf,
    paused: bool,
}

impl ServerProcess {
    /// Starts `command`, both its outputs appended to `log`.
    pub fn spawn(mut command: Command, log: &Path) -> Result<Self> {
        let open = || File::options().create(true).append(true).open(log);
        let out = open().map_err(HarnessError::io(format!("opening {}", log.display())))?;
        let err = open().map_err(HarnessError::io(format!("opening {}", log.display())))?;
        let what = format!("starting {}", command.get_program().to_string_lossy());
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(HarnessError::io(what))?;
        Ok(Self { child, log: log.to_owned(), paused: false })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file its output goes to.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The exit status, once it has ended.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Whether it is this process that listens on a TCP port, as `/proc` tells.
    pub fn listens_on(&self, port: u16) -> bool {
        let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .flat_map(|table| listening(&std::fs::read_to_string(table).unwrap_or_default(), port))
            .map(|inode| format!("socket:[{inode}]"))
            .collect();
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.pid()));
        let open = open.into_iter().flatten().flatten();
        let mut open = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        open.any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
    }

    /// Asks it to end (SIGTERM), kills it when it has not after `patience`.
    pub fn stop(&mut self, patience: Duration) -> Option<ExitStatus> {
        self.resume();
        self.signal(Signal::TERM);
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.exit_status() {
                return Some(status);
            }
            std::thread::sleep(POLL);
        }
        self.kill();
        None
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) {
        if self.exit_status().is_none() {
            // An error means it is gone already, which is what is wanted.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        self.paused = false;
    }

    /// Stops its clock, so to say (SIGSTOP): it keeps its sockets and answers nothing. Afterwards no thread
    /// runs any more; those that wait for a processor do not obey at once.
    pub fn pause(&mut self) {
        self.signal(Signal::STOP);
        self.paused = true;
        while self.exit_status().is_none() && !stands_still(self.pid()) {
            std::thread::sleep(POLL);
        }
    }

    /// Lets a paused process go on (SIGCONT).
    pub fn resume(&mut self) {
        if self.paused {
            self.signal(Signal::CONT);
            self.paused = false;
        }
    }

    /// Sends a signal unless the process has ended; its id may belong to another one after that.
    pub fn signal(&mut self, signal: Signal) {
        if self.exit_status().is_some() {
            return;
        }
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether every thread of a process is stopped.
fn stands_still(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    })
}

/// The inodes of the sockets that listen on a port, of one of the kernel's tables.
fn listening(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<&str>>());
    rows.filter(|row| row.len() > 9 && row[3] == LISTEN && row[1].ends_with(&suffix))
        .map(|row| row[9].to_owned())
        .collect()
}

/// The last lines of a log.
pub fn tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let from = bytes.len().saturating_sub(TAIL_BYTES);
    String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_listens_is_found() {
        let sleeper = || {
            let mut command = Command::new("sleep");
            command.arg("600");
            command
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let process = ServerProcess::spawn(sleeper(), Path::new("/dev/null")).expect("a process");
        assert!(!process.listens_on(port), "it is this test that listens");
        // A connection of the same port does not count, a listener does.
        let _client = std::net::TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
        assert_eq!(listening(&table, port).len(), 1);
    }
}
