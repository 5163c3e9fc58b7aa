//! The shell as a process: exit codes, streams, one-shot runs, no server, the end of a session.

#[path = "../../client/tests/support/mod.rs"]
mod fake;
mod support;

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use fake::FakeServer;
use rookeeper_proto::OpCode;
use support::{Piped, command, interrupt, one_shot, parts};
use tokio::runtime::Runtime;

const PATIENCE: Duration = Duration::from_secs(20);

const CONNECTED: &str =
    "\nWATCHER::\n\nWatchedEvent state:SyncConnected type:None path:null zxid: -1\n";
const CLOSED: &str = "\nWATCHER::\n\nWatchedEvent state:Closed type:None path:null zxid: -1\n";

struct World {
    _runtime: Runtime,
    fake: FakeServer,
    server: String,
}

fn world() -> World {
    let runtime = Runtime::new().expect("a runtime");
    let fake = runtime.block_on(FakeServer::start());
    World { _runtime: runtime, server: fake.servers(), fake }
}

/// An address where nobody listens: a free port might be another test's the next moment.
fn nowhere() -> String {
    "127.0.0.1:1".to_owned()
}

#[test]
fn one_shot_results_and_exit_codes() {
    let world = world();
    let run = |words: &[&str]| one_shot(&world.server, words);
    let connecting = format!("Connecting to {}\n", world.server);
    let (code, out, err) = run(&["create", "/a b", "va lue"]);
    assert_eq!((code, err.as_str()), (0, "Created /a b\n"));
    assert_eq!(out, format!("{connecting}{CONNECTED}"));
    let (code, out, err) = run(&["get", "/a b"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out, format!("{connecting}{CONNECTED}va lue\n"));
    let (code, out, err) = run(&["get", "/none"]);
    assert_eq!((code, err.as_str()), (1, "Node does not exist: /none\n"));
    assert_eq!(out, format!("{connecting}{CONNECTED}"));
    // What needs no server does not connect.
    let (code, out, err) = run(&["ls"]);
    assert_eq!((code, err.as_str(), out.as_str()), (1, "ls [-s] [-w] [-R] path\n", &*connecting));
    let (code, out, _) = run(&["version"]);
    assert_eq!(code, 0);
    assert!(out.starts_with(&format!("{connecting}ZooKeeper CLI version: 3.9.5-")), "{out}");
    let (code, out, _) = run(&["printwatches"]);
    assert_eq!((code, out), (0, format!("{connecting}printwatches is on\n")));
    let (code, out, _) = run(&["quit"]);
    assert_eq!((code, out), (0, format!("{connecting}{CONNECTED}{CLOSED}")));
}

#[test]
fn an_unknown_command_lists_all_and_names_the_nearest() {
    let world = world();
    for (typed, near) in [("crate", Some("create")), ("ls2", Some("ls -s")), ("qwertz", None)] {
        let (code, out, err) = one_shot(&world.server, &[typed, "/"]);
        assert_eq!(code, 127);
        assert_eq!(out, format!("Connecting to {}\n", world.server));
        let lines: Vec<&str> = err.lines().collect();
        assert_eq!(
            lines[0],
            "ZooKeeper -server host:port -client-configuration properties-file cmd args"
        );
        assert_eq!(lines[3], "\tclose ");
        assert_eq!(lines[29], format!("Command not found: Command not found {typed}"));
        let hint = near.map(|near| format!("Did you mean '{near}'?"));
        assert_eq!(lines.get(30).map(ToString::to_string), hint);
    }
}

#[test]
fn a_one_shot_session_is_left_to_expire_and_quit_closes_it() {
    let world = world();
    assert_eq!(one_shot(&world.server, &["create", "-e", "/e", "x"]).0, 0);
    assert_eq!(one_shot(&world.server, &["get", "/e"]).0, 0);
    let mut shell = Piped::start(&world.server);
    shell.run("create -e /q x");
    shell.type_line("quit");
    assert_eq!(shell.wait(), 0);
    assert_eq!(one_shot(&world.server, &["get", "/q"]).0, 1);
}

#[test]
fn the_end_of_input_and_quit_hand_back_the_last_command_s_code() {
    let world = world();
    for (script, expected) in [
        ("ls /\n", 0),
        ("get /none\n", 1),
        ("get /none\nquit\n", 1),
        ("get /none\nls /\nquit\nget /never\n", 0),
        ("nosuch\nquit\n", 127),
        ("ls /", 0),
        ("\n\nls /\r\n", 0),
    ] {
        let mut child = command(&world.server)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        child.stdin.take().expect("piped").write_all(script.as_bytes()).expect("it reads");
        let (code, out, _) = parts(child.wait_with_output().expect("it ends"));
        assert_eq!(code, expected, "{script:?}");
        assert!(!out.contains("[zk:"), "no prompt in a pipe");
    }
}

#[test]
fn nobody_listens() {
    let server = nowhere();
    let (code, out, err) = one_shot(&server, &["get", "/b"]);
    let why = "no connection to a server: Connection refused (os error 111)";
    let told = format!("KeeperErrorCode = ConnectionLoss for /b\n{why}\n");
    assert_eq!((code, err), (1, told));
    assert_eq!(out, format!("Connecting to {server}\n"));
    let (code, out, err) =
        one_shot(&server, &["-waitforconnection", "-timeout", "500", "get", "/b"]);
    assert_eq!((code, err.as_str()), (1, "KeeperErrorCode = ConnectionLoss\n"));
    assert_eq!(out, format!("Connecting to {server}\n{CLOSED}"));
}

#[test]
fn options_of_the_command_line() {
    let world = world();
    let (code, out, _) = one_shot(&world.server, &["-foo", "-r", "-timeout", "5000", "ls", "/"]);
    assert_eq!(code, 0);
    assert!(out.ends_with("[zookeeper]\n"), "{out}");
    let (code, out, err) = one_shot(&world.server, &["--help"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("\n\tcreate [-s] ") && out.contains("\n\texport path"), "{out}");
    let (code, _, err) = one_shot(&world.server, &["-timeout", "abc", "ls", "/"]);
    assert_eq!(code, 1);
    assert!(err.contains("abc") && err.lines().count() == 1, "{err}");
    let (code, _, err) =
        one_shot(&world.server, &["-client-configuration", "/nonexistent", "ls", "/"]);
    assert_eq!(code, 2);
    assert!(err.contains("/nonexistent") && err.lines().count() == 1, "{err}");
    let (code, _, err) = one_shot(&world.server, &["-Dzookeeper.client.secure=true", "ls", "/"]);
    assert_eq!(code, 2);
    assert!(err.contains("zookeeper.client.secure"), "{err}");
    let output = std::process::Command::new(support::program())
        .args(["-r", "-server"])
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let (_, out, err) = parts(output);
    assert!(err.starts_with("Error: no argument found for option -server\n"), "{err}");
    assert!(out.starts_with("Connecting to localhost:2181\n"), "{out}");
}

#[test]
fn several_servers_and_a_chroot() {
    let world = world();
    assert_eq!(one_shot(&world.server, &["create", "/app"]).0, 0);
    let servers = format!("{},{}/app", nowhere(), world.server);
    assert_eq!(one_shot(&servers, &["create", "/x", "1"]).2, "Created /x\n");
    let (_, out, _) = one_shot(&world.server, &["ls", "-R", "/app"]);
    assert!(out.ends_with("/app\n/app/x\n"), "{out}");
}

#[test]
fn events_of_the_session_and_connect_and_close() {
    let world = world();
    let mut shell = Piped::start(&world.server);
    let closed = "[event] state:Closed type:None path:null";
    let connected = "[event] state:SyncConnected type:None path:null";
    assert_eq!(shell.run("connect").0, [closed, connected]);
    assert_eq!(shell.run("close").0, [closed]);
    assert_eq!(shell.run("ls /").0, ["Not connected"]);
    assert_eq!(shell.run(&format!("connect {}", world.server)).0, [connected]);
    assert_eq!(shell.run("ls /").0, ["[zookeeper]"]);
    let (out, err) = shell.run("addauth nonsense x");
    assert_eq!(out, ["[event] state:AuthFailed type:None path:null"]);
    assert!(err.is_empty());
    assert_eq!(shell.run("whoami").0, ["Not connected"]);
}

#[test]
fn a_lost_write_is_told_as_such() {
    let world = world();
    let mut shell = Piped::start(&world.server);
    world.fake.break_next(OpCode::Create2, fake::Break::After);
    let (_, err) = shell.run("create /lost x");
    assert_eq!(err[0], "KeeperErrorCode = ConnectionLoss for /lost");
    assert!(err[1].contains("may or may not have happened"), "{err:?}");
    let (out, _) = shell.run("get /lost");
    assert_eq!(out.last().map(String::as_str), Some("x"));
}

/// Runs a command whose request is never answered, and presses Ctrl-C once the server has it.
fn interrupted(world: &World, op: OpCode, words: &[&str]) -> (i32, String, String) {
    world.fake.break_next(op, fake::Break::Ignore);
    let child = command(&world.server)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let start = Instant::now();
    while world.fake.received(op) == 0 {
        assert!(start.elapsed() < PATIENCE, "the request does not arrive");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    interrupt(&child);
    parts(child.wait_with_output().expect("it ends"))
}

#[test]
fn ctrl_c_ends_a_one_shot_run_and_says_what_may_have_happened() {
    let world = world();
    let (code, _, err) = interrupted(&world, OpCode::GetData, &["get", "/"]);
    assert_eq!((code, err.as_str()), (130, "Interrupted\n"));
    let (code, _, err) = interrupted(&world, OpCode::SetData, &["set", "/", "x"]);
    assert_eq!(code, 130);
    assert_eq!(err, "Interrupted\nA write that was under way may have happened.\n");
}

#[test]
fn ctrl_c_ends_a_shell_that_reads_a_pipe() {
    let world = world();
    // At rest.
    let mut shell = Piped::start(&world.server);
    assert_eq!(shell.run("ls /").0, ["[zookeeper]"]);
    shell.interrupt();
    assert_eq!(shell.wait(), 130);
    // In a command: none of the lines behind it is run.
    let mut shell = Piped::start(&world.server);
    world.fake.break_next(OpCode::GetData, fake::Break::Ignore);
    shell.type_line("get /");
    shell.type_line("create /behind");
    let start = Instant::now();
    while world.fake.received(OpCode::GetData) == 0 {
        assert!(start.elapsed() < PATIENCE, "the request does not arrive");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    shell.interrupt();
    assert_eq!(shell.wait(), 130);
    assert_eq!(one_shot(&world.server, &["stat", "/behind"]).0, 1);
}

#[test]
fn an_import_that_breaks_off_says_how_far_it_came() {
    let world = world();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("two.json");
    let text = "{\"format\":\"rookeeper-export\",\"version\":1,\"root\":\"/a\"}\n{\"path\":\"\"}\n\
                {\"path\":\"/b\"}\n{\"nodes\":2}\n";
    std::fs::write(&file, text).expect("written");
    world.fake.break_next(OpCode::Multi, fake::Break::After);
    let (code, _, err) = one_shot(&world.server, &["import", &file.display().to_string()]);
    assert_eq!(code, 1);
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines[..2], ["KeeperErrorCode = ConnectionLoss", "Imported only 0 of 2 nodes"]);
    assert!(lines[2].contains("may or may not have happened"), "{err}");
}

#[test]
fn history_redo_and_printwatches() {
    let world = world();
    let mut child = command(&world.server)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let script = "ls /\nredo 0\nhistory\nredo 99\nredo 1\nprintwatches off\nget -w /\nset / x\n\
                  printwatches\nredo 3\n";
    child.stdin.take().expect("piped").write_all(script.as_bytes()).expect("it reads");
    let (code, out, err) = parts(child.wait_with_output().expect("it ends"));
    let behind = out.split(CONNECTED).nth(1).expect("connected");
    assert_eq!(
        behind,
        "[zookeeper]\n[zookeeper]\n0 - ls /\n1 - ls /\n2 - history\n[zookeeper]\n\nprintwatches is \
         off\n"
    );
    assert_eq!(err, "Command index out of range\nNo redoing redos\n");
    assert_eq!(code, 1);
}
