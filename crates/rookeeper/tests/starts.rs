//! Starts that must fail, with what they say and return, and stops (`operations.md` 1.2).
//!
//! As root no directory is read-only, so the unusable directory is one below a plain file.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rookeeper_interop::raw::codes::op;
use rookeeper_interop::raw::{Acl, Frame, RawConnection};
use rookeeper_interop::{Flavour, Server, ServerConfig};
use tempfile::TempDir;

/// A directory with a configuration.
struct World(TempDir);

impl World {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn config(&self, text: &str) -> PathBuf {
        let path = self.path("zoo.cfg");
        let text = text.replace("WORLD", &self.0.path().display().to_string());
        fs::write(&path, text).expect("written");
        path
    }

    /// Runs a server that is expected to end on its own.
    fn refused(&self, text: &str) -> Refusal {
        refused(&[self.config(text)])
    }
}

fn refused(args: &[PathBuf]) -> Refusal {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_rookeeper"))
        .arg("server")
        .args(args)
        .env_remove("RUST_LOG")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Refusal { code: output.status.code(), said }
}

#[derive(Debug)]
struct Refusal {
    code: Option<i32>,
    said: String,
}

impl Refusal {
    /// The code, Apache's short line, and a cause that names what is wrong.
    #[track_caller]
    fn is(&self, code: i32, headline: &str, cause: &str) {
        assert_eq!(self.code, Some(code), "{}", self.said);
        let at = self.said.find(headline).unwrap_or_else(|| panic!("{headline}: {}", self.said));
        assert!(self.said[at..].contains(cause), "{cause}: {}", self.said);
    }
}

const INVALID: &str = "Invalid config, exiting abnormally";
const DATA_DIR: &str = "Unable to access datadir, exiting abnormally";
const UNEXPECTED: &str = "Unexpected exception, exiting abnormally";

#[test]
fn help_goes_to_standard_output_and_starts_nothing() {
    let world = World::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rookeeper"));
    let output = command.args(["server", "--help"]).current_dir(world.0.path()).output();
    let output = output.expect("it runs");
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Usage: rookeeper server"));
    assert_eq!(fs::read_dir(world.0.path()).expect("a directory").count(), 0);
}

#[test]
fn wrong_configurations() {
    let world = World::new();
    refused(&[world.path("none.cfg")]).is(2, INVALID, "file is missing");
    world.refused("clientPort=0\n").is(2, INVALID, "dataDir is not set");
    world.refused("dataDir=WORLD/data\nclientPort=x\n").is(2, INVALID, "For input string: \"x\"");
    world.refused("dataDir=WORLD/data\nclientPort=70000\n").is(
        2,
        INVALID,
        "port out of range:70000",
    );
    assert!(!world.path("data").exists(), "nothing was touched");
}

#[test]
fn ports_that_cannot_be_bound() {
    let world = World::new();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let text = format!("dataDir=WORLD/data\nclientPort={port}\nclientPortAddress=127.0.0.1\n");
    world.refused(&text).is(1, UNEXPECTED, &format!("cannot listen on 127.0.0.1:{port}"));
    world.refused("dataDir=WORLD/data\nclientPort=0\nclientPortAddress=no.such.host.invalid\n").is(
        1,
        UNEXPECTED,
        // Why depends on who is asked for names here.
        "no.such.host.invalid: ",
    );
}

#[test]
fn data_directories_that_cannot_be_used() {
    let world = World::new();
    fs::write(world.path("file"), "").expect("written");
    world.refused("dataDir=WORLD/file/data\nclientPort=0\n").is(3, DATA_DIR, "file/data");
    world.refused("dataDir=WORLD/none\nclientPort=0\ndatadir.autocreate=false\n").is(
        3,
        DATA_DIR,
        "Please create this directory manually.",
    );
    // Logs where snapshots belong.
    fs::create_dir_all(world.path("snap/version-2")).expect("made");
    fs::write(world.path("snap/version-2/log.1"), b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0")
        .expect("written");
    world.refused("dataDir=WORLD/snap\ndataLogDir=WORLD/logs\nclientPort=0\n").is(
        3,
        DATA_DIR,
        "snap/version-2/log.1",
    );
}

#[test]
fn data_of_another_kind_or_of_the_future() {
    let world = World::new();
    let dir = world.path("data/version-2");
    fs::create_dir_all(&dir).expect("made");
    let snapshot = dir.join("snapshot.5");
    for (bytes, cause) in [
        (&b"ZKSN\0\0\0\x03\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"[..], "snapshot.5"),
        (&b"not a snapshot at all, but long enough to look at"[..], "snapshot.5"),
    ] {
        fs::write(&snapshot, bytes).expect("written");
        world.refused("dataDir=WORLD/data\nclientPort=0\n").is(3, DATA_DIR, cause);
        assert_eq!(fs::read(&snapshot).expect("still there"), bytes, "it was left alone");
    }
    fs::remove_file(&snapshot).expect("removed");
    fs::write(dir.join("log.1"), b"ZKLG\0\0\0\x03\0\0\0\0\0\0\0\0").expect("written");
    world.refused("dataDir=WORLD/data\nclientPort=0\n").is(3, DATA_DIR, "");
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let server = Server::start(Flavour::Rookeeper, ServerConfig::new()).expect("a server");
    let world = World::new();
    let data = server.data_dir();
    let text = format!("dataDir={}\nclientPort=0\n", data.display());
    world.refused(&text).is(3, DATA_DIR, "is in use by another server");
    let text = format!("dataDir=WORLD/own\ndataLogDir={}\nclientPort=0\n", data.display());
    world.refused(&text).is(3, DATA_DIR, "is in use by another server");
    assert_eq!(server.mode().as_deref(), Some("standalone"), "the first is none the worse");
}

fn create(addr: SocketAddr, path: &str) {
    let (mut session, _) = RawConnection::connect(addr, 10_000).expect("a session");
    let create = Frame::request(1, op::CREATE).create(path, Some(b"x"), &Acl::open(), 0);
    let reply = session.call(&create.done()).expect("a reply").expect("a reply");
    assert_eq!(reply.get(12..16), Some(&[0; 4][..]), "created");
}

fn exists(addr: SocketAddr, path: &str) -> bool {
    let (mut session, _) = RawConnection::connect(addr, 10_000).expect("a session");
    let exists = Frame::request(1, op::EXISTS).str(path).bool(false);
    let reply = session.call(&exists.done()).expect("a reply").expect("a reply");
    reply.get(12..16) == Some(&[0; 4][..])
}

#[test]
fn a_stop_is_a_success_and_loses_nothing() {
    let mut server = Server::start(Flavour::Rookeeper, ServerConfig::new()).expect("a server");
    create(server.addr(), "/kept");
    let status = server.stop().expect("it ends on its own");
    assert_eq!(status.code(), Some(0));
    let left = |name: &str| Path::new(&server.data_dir()).join(name).exists();
    assert!(!left("rookeeper.lock"), "the lock is gone");
    server.restart().expect("it starts again");
    assert!(exists(server.addr(), "/kept"));
    create(server.addr(), "/killed");
    server.kill();
    server.restart().expect("it starts again");
    assert!(exists(server.addr(), "/kept") && exists(server.addr(), "/killed"));
}
