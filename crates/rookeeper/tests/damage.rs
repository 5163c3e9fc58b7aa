//! Data directories that something happened to, through the binary: it serves the right data and says
//! what it dropped, or it refuses with the file and the place. `storage/tests/damage.rs` does every byte
//! and every bit on a disk in memory; this is a sample, with the real files, exit codes and logs.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rookeeper_interop::raw::codes::op;
use rookeeper_interop::raw::{Acl, Frame, RawConnection};
use rookeeper_interop::{Flavour, HarnessError, Server, ServerConfig};
use tempfile::TempDir;

/// Writes acknowledged before the crash.
const WRITES: usize = 60;

fn config() -> ServerConfig {
    // Snapshots after every 20 txns or so, and little space ahead to look through.
    ServerConfig::new().set("snapCount", 20).property("zookeeper.preAllocSize", 8)
}

fn path_of(number: usize) -> String {
    format!("/n{number:03}")
}

fn data_of(number: usize) -> Vec<u8> {
    format!("data of {number} ").repeat(5).into_bytes()
}

/// The directory of a server that was killed behind its last acknowledged write.
fn killed_server() -> TempDir {
    let mut server = Server::start(Flavour::Rookeeper, config()).expect("a server");
    let (mut session, _) = RawConnection::connect(server.addr(), 30_000).expect("a session");
    for number in 0..WRITES {
        let (path, data) = (path_of(number), data_of(number));
        let create = Frame::request(1, op::CREATE).create(&path, Some(&data), &Acl::open(), 0);
        let reply = session.call(&create.done()).expect("a reply").expect("a reply");
        assert_eq!(reply.get(12..16), Some(&[0; 4][..]));
    }
    server.kill();
    let copy = tempfile::tempdir().expect("a directory");
    copy_files(&server.data_dir(), copy.path());
    copy
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("version-2")).expect("made");
    for file in files(from) {
        fs::copy(&file, to.join("version-2").join(file.file_name().expect("a name")))
            .expect("copied");
    }
}

fn files(data_dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data_dir.join("version-2")).expect("a directory");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// How many of the writes are there: the first ones, each with its data.
fn held(addr: SocketAddr) -> usize {
    let (mut session, _) = RawConnection::connect(addr, 30_000).expect("a session");
    let mut held = 0;
    for number in 0..WRITES {
        let get = Frame::request(1, op::GET_DATA).str(&path_of(number)).bool(false);
        let reply = session.call(&get.done()).expect("a reply").expect("a reply");
        if reply.get(12..16) == Some(&[0; 4][..]) {
            assert_eq!(held, number, "one is missing in between");
            let data = data_of(number);
            assert_eq!(reply.get(20..20 + data.len()), Some(&data[..]), "the data of {number}");
            held += 1;
        }
    }
    held
}

/// What a start on a damaged copy must come to.
fn judge(sound: &Path, name: &str, damage: impl FnOnce(&mut Vec<u8>), what: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    copy_files(sound, dir.path());
    let file = dir.path().join("version-2").join(name);
    let mut bytes = fs::read(&file).expect("a file");
    damage(&mut bytes);
    fs::write(&file, &bytes).expect("written");
    match Server::start(Flavour::Rookeeper, config().data_dir(dir.path())) {
        Ok(server) => {
            let held = held(server.addr());
            let log = fs::read_to_string(server.log()).expect("a log");
            let warns = log.lines().any(|line| line.contains(" WARN ") && line.contains(name));
            assert!(held == WRITES || warns, "{what}: {held} of {WRITES} without a word:\n{log}");
        }
        Err(HarnessError::Exited { status, tail, .. }) => {
            assert!(status.contains('3'), "{what}: {status}\n{tail}");
            assert!(tail.contains("Unable to access datadir"), "{what}: {tail}");
            // A file that ends too early is noticed where the next one begins.
            assert!(tail.contains(name) || tail.contains("log."), "{what} names no file: {tail}");
            assert!(!tail.contains("panicked"), "{what}: {tail}");
            assert_eq!(fs::read(&file).expect("still there"), bytes, "{what}: it was left alone");
        }
        Err(error) => panic!("{what}: {error}"),
    }
}

/// Places that mean something, and some in between.
fn places(bytes: &[u8]) -> Vec<usize> {
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    let mut places =
        vec![0, 5, 16, used / 3, used / 2, used.saturating_sub(30), used.saturating_sub(1)];
    places.retain(|at| *at < bytes.len());
    places.dedup();
    places
}

#[test]
fn a_file_cut_or_with_a_bit_flipped() {
    let sound = killed_server();
    let all = files(sound.path());
    let kind = |prefix: &str| {
        let of_kind = all.iter().filter(|file| {
            file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        });
        // The newest two of a kind: what recovery reads.
        of_kind.rev().take(2).cloned().collect::<Vec<_>>()
    };
    let (logs, snapshots) = (kind("log."), kind("snapshot."));
    assert!(!logs.is_empty() && !snapshots.is_empty(), "{all:?}");
    for file in logs.iter().chain(&snapshots) {
        let bytes = fs::read(file).expect("a file");
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        for at in places(&bytes) {
            judge(sound.path(), &name, |bytes| bytes.truncate(at), &format!("{name} cut at {at}"));
            let flipped = format!("{name} with a bit of byte {at} flipped");
            judge(sound.path(), &name, |bytes| bytes[at] ^= 0x10, &flipped);
        }
    }
}

/// A directory without the right to write. The user root has it anyway, by a capability that is given
/// up here (`setpriv` of util-linux).
#[test]
fn a_directory_that_is_read_only() {
    let sound = killed_server();
    let dir = sound.path();
    let set = |mode| {
        for path in [dir.to_owned(), dir.join("version-2")] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("my own directory");
        }
    };
    let before: Vec<Vec<u8>> =
        files(dir).iter().map(|file| fs::read(file).expect("read")).collect();
    let zoo_cfg = tempfile::NamedTempFile::new().expect("a file");
    let text = format!("dataDir={}\nclientPort=0\nadmin.enableServer=false\n", dir.display());
    fs::write(zoo_cfg.path(), text).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_rookeeper"));
    if rustix::process::geteuid().is_root() {
        command = Command::new("setpriv");
        command.args(["--bounding-set=-dac_override", "--inh-caps=-dac_override", "--"]);
        command.arg(env!("CARGO_BIN_EXE_rookeeper"));
    }
    set(0o555);
    let output = command.arg("server").arg(zoo_cfg.path()).env_remove("RUST_LOG").output();
    set(0o755);
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("Unable to access datadir"), "{said}");
    assert!(said.contains(&dir.display().to_string()), "the directory is named: {said}");
    let after: Vec<Vec<u8>> = files(dir).iter().map(|file| fs::read(file).expect("read")).collect();
    assert_eq!(before, after, "nothing was touched");
}
