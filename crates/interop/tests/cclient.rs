//! The C client's shell (`cli_mt`) against a server: it must print what it prints against Apache's.
//!
//! Most answers come from another thread, in the order of the replies. So each command is followed by a
//! create that must fail, whose answer ends the command's own.

use std::io::{Read, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rookeeper_interop::{Flavour, Server, ServerConfig, oracle};

const PATIENCE: Duration = Duration::from_secs(120);

const COMMANDS: &[&str] = &[
    "ls /",
    "create /a",
    "create /a",
    "create +e /e",
    "create +s /s-",
    "create +c /c",
    "create +t=100000000 /ttl",
    "create2 /two",
    "create /none/x",
    "create /e/x",
    "set /a value",
    "get /a",
    "get /none",
    "exists /a",
    "exists /none",
    "wexists /later",
    "create /later",
    "ls2 /a",
    "ls /none",
    "sync /a",
    "aget /a",
    "addauth digest u:p",
    "set /a fires",
    "delete /later",
    "delete /later",
    "delete /e",
    "config",
    "ls2 /",
];

struct Shell {
    child: Child,
    said: Receiver<Vec<u8>>,
}

impl Shell {
    fn start(server: &Server) -> Self {
        let (program, libraries) = oracle::c_client().expect("the C client");
        let mut child = Command::new(program)
            .args(["-h", &server.addr().to_string()])
            .env("LD_LIBRARY_PATH", libraries)
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("cli_mt starts");
        let (sender, said) = channel();
        // The answers are printed to standard error.
        let mut errors = child.stderr.take().expect("it is piped");
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = errors.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, said }
    }

    /// What is said until a complete line contains `marker`.
    fn until(&mut self, marker: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut text = Vec::new();
        loop {
            let so_far = String::from_utf8_lossy(&text).into_owned();
            let complete = so_far.rsplit_once('\n').map_or("", |(lines, _)| lines);
            if complete.contains(marker) {
                return so_far;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.said.recv_timeout(left) {
                Ok(bytes) => text.extend_from_slice(&bytes),
                Err(error) => panic!("{error}: {marker:?} does not come, only: {so_far}"),
            }
        }
    }

    /// What a command makes it say, and the events: all up to the answer to a create that must fail.
    fn answer(&mut self, number: usize, command: &str) -> (Vec<String>, Vec<String>) {
        let barrier = format!("/barrier-{number}/x");
        self.say(command);
        self.say(&format!("create {barrier}"));
        masked(&self.until(&format!("[{barrier}]: rc = -101")))
    }

    fn say(&mut self, command: &str) {
        let stdin = self.child.stdin.as_mut().expect("it is piped");
        stdin.write_all(format!("{command}\n").as_bytes()).expect("cli_mt reads its input");
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_c_client_sees_no_difference() {
    let flavour = Flavour::under_test().expect("a flavour");
    let config = || ServerConfig::new().set("extendedTypesEnabled", "true");
    let apache = Server::start(Flavour::APACHE_395, config()).expect("Apache");
    let tested = Server::start(flavour, config()).expect("the server under test");
    let (mut left, mut right) = (Shell::start(&apache), Shell::start(&tested));
    for shell in [&mut left, &mut right] {
        shell.until("Got a new session id");
    }
    for (number, command) in COMMANDS.iter().enumerate() {
        let [expected, got] = [&mut left, &mut right].map(|shell| shell.answer(number, command));
        assert_eq!(expected, got, "after {command:?}");
        println!("{command}: {} lines", expected.0.len());
    }
}

/// The lines without what differs from run to run, children in order of name.
fn masked(text: &str) -> (Vec<String>, Vec<String>) {
    // Said by the thread that reads the commands: before the answer, behind it or in its midst.
    let mut text = text.to_owned();
    while let Some(at) = text.find("Creating [/barrier") {
        let end = text[at..].find('\n').map_or(text.len(), |end| at + end + 1);
        text.replace_range(at..end, "");
    }
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("time ="));
    let lines = lines.map(|line| match line.split_once('=') {
        Some((key, _)) if matches!(key.trim(), "ctime" | "mtime") => format!("{key}= *"),
        Some((key, value)) if key.trim() == "ephemeralOwner" && value.trim() != "0" => {
            "ephemeralOwner = *".to_owned()
        }
        _ => line.to_owned(),
    });
    let (events, mut lines): (Vec<String>, Vec<String>) =
        lines.partition(|line| line.starts_with("Watcher "));
    let child = |line: &String| line.starts_with('\t') && !line.contains('=');
    for run in lines.chunk_by_mut(|a, b| child(a) && child(b)) {
        run.sort();
    }
    (lines, events)
}
