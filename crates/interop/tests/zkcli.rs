//! Apache's own Java shell, of both generations, against a server: it must print what it prints against
//! Apache's server.
//!
//! `ROOKEEPER_SERVER` names the server under test; ours unless told otherwise. Both servers start fresh
//! and see the same requests, so that zxids are equal; times are masked, and event blocks are compared
//! apart from the results, because the shell prints them from a thread of their own.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use rookeeper_interop::apache::{Generation, SHORT_LIVED};
use rookeeper_interop::{Flavour, Server, ServerConfig};

/// Understood by both generations.
const SESSION: &str = "ls /
create /a data
create /a data
create -e /e ephemeral
create -s /s- x
create -s -e /es- x
create -c /c
create -c /c/child x
create -t 100000000 /ttl t
create /none/child x
create /e/child x
ls /
ls -R /
ls -s /a
get /a
get -s /a
stat /a
get /none
set /a new
set -s /a newer
set -v 99 /a x
get -w /a
set /a fires
ls -w /a
create /a/b \"two words\"
addWatch -m PERSISTENT_RECURSIVE /a
create /a/b/c \u{4e2d}\u{6587}
set /a/b/c \u{55b5}
get /a/b/c
removewatches /a
delete /a
delete -v 7 /a/b/c
delete /a/b/c
getAllChildrenNumber /
getEphemerals
getEphemerals /e
create /acl x digest:u:hash:r
getAcl /acl
get /acl
getAcl -s /a
addauth digest u:p
create /auth x auth::cdrwa
getAcl /auth
setAcl /a world:anyone:rw
getAcl /a
setAcl /a world:nobody:rw
create /a/forbidden x
whoami
setquota -n 5 /c
listquota /c
delquota /c
listquota /c
config
sync /a
history
deleteall /s-0000000002
deleteall /c
ls /
create /\u{52a8}\u{7269} x
ls /
printwatches off
nonsense
quit
";

/// Each in a process of its own, for its exit code.
const ONE_SHOT: &[&[&str]] = &[
    &["create", "/one", "x"],
    &["create", "/one", "x"],
    &["get", "/one"],
    &["get", "/none"],
    &["ls", "/"],
    &["nonsense"],
    &["deleteall", "/one"],
];

struct Said {
    results: Vec<String>,
    events: Vec<String>,
    errors: Vec<String>,
    code: Option<i32>,
}

#[test]
fn the_java_shells_see_no_difference() {
    let flavour = Flavour::under_test().expect("a flavour");
    for generation in [Generation::V395, Generation::V380] {
        let config = || ServerConfig::new().set("extendedTypesEnabled", "true");
        let apache = Server::start(Flavour::APACHE_395, config()).expect("Apache");
        let tested = Server::start(flavour, config()).expect("the server under test");
        let servers = [&apache, &tested];
        let [expected, got] = both(generation, servers, &[], SESSION);
        assert!(
            expected.results.iter().any(|line| line == "two words" || line.contains("[a, c")),
            "the shell did something: {:#?}",
            expected.results
        );
        compare(&format!("{generation:?}, a session"), &expected, &got);
        for words in ONE_SHOT {
            let [expected, got] = both(generation, servers, words, "");
            compare(&format!("{generation:?}, {words:?}"), &expected, &got);
        }
    }
}

/// What the shell says of each server; most of the time is the start of two JVMs.
fn both(generation: Generation, servers: [&Server; 2], words: &[&str], input: &str) -> [Said; 2] {
    std::thread::scope(|scope| {
        let run = |server| scope.spawn(move || said(&run(generation, server, words, input)));
        servers.map(run).map(|shell| shell.join().expect("a shell"))
    })
}

fn run(generation: Generation, server: &Server, words: &[&str], input: &str) -> Output {
    let mut command: Command = generation.java().expect("a fetched Apache");
    command
        .args(SHORT_LIVED)
        .arg("-Dfile.encoding=UTF-8")
        .args(["-Dstdout.encoding=UTF-8", "-Dsun.stdout.encoding=UTF-8", "-Duser.timezone=UTC"])
        .arg("org.apache.zookeeper.ZooKeeperMain")
        .args(["-server", &server.addr().to_string()])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("java starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input.as_bytes()).expect("the shell reads its input");
    drop(stdin);
    child.wait_with_output().expect("the shell ends")
}

fn said(output: &Output) -> Said {
    let (mut results, mut events) = (Vec::new(), Vec::new());
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if line.starts_with("WatchedEvent") {
            // Events of the session itself are printed or not, depending on how fast the shell ends.
            if !line.contains("type:None") {
                events.push(line.to_owned());
            }
        } else if !line.is_empty() && line != "WATCHER::" && !line.contains("main ERROR Exiting") {
            results.push(masked(line));
        }
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let errors = errors.lines().filter(|line| !line.starts_with("log4j:")).map(masked).collect();
    Said { results, events, errors, code: output.status.code() }
}

/// The line without what differs from run to run.
fn masked(line: &str) -> String {
    if line.starts_with("Connecting to ") {
        return "Connecting to".to_owned();
    }
    // What getEphemerals prints is a set, in the order of Java's hashes.
    if let Some(set) = line.strip_prefix("[/").and_then(|rest| rest.strip_suffix(']')) {
        let mut paths: Vec<&str> = set.split(", /").collect();
        paths.sort_unstable();
        return format!("a set: {paths:?}");
    }
    match line.split_once(" = ") {
        Some((key @ ("ctime" | "mtime"), _)) => format!("{key} = *"),
        Some(("ephemeralOwner", value)) if value != "0x0" => "ephemeralOwner = *".to_owned(),
        _ => line.to_owned(),
    }
}

fn compare(what: &str, expected: &Said, got: &Said) {
    assert_eq!(expected.results, got.results, "{what}: results");
    assert_eq!(expected.errors, got.errors, "{what}: errors");
    assert_eq!(expected.events, got.events, "{what}: events");
    assert_eq!(expected.code, got.code, "{what}: exit code");
}
