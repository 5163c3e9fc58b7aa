//! Runs the shell as a process, and plays transcripts against it.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(unreachable_pub, missing_debug_implementations, reason = "a module of test binaries")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);

/// The shell as a program.
pub fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_rookeeper-cli"))
}

/// One run: exit code, standard output, standard error.
pub fn one_shot(server: &str, words: &[&str]) -> (i32, String, String) {
    let output = command(server).args(words).stdin(Stdio::null()).output().expect("it runs");
    parts(output)
}

/// The shell's command line for a server, in the C locale and at UTC.
pub fn command(server: &str) -> Command {
    let mut command = Command::new(program());
    command.args(["-server", server]).env("LANG", "C").env("LC_ALL", "C").env("TZ", "UTC");
    command
}

pub fn parts(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// Ctrl-C, as a terminal tells it.
pub fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("our child");
}

/// A shell reading commands from a pipe.
pub struct Piped {
    child: Child,
    stdin: Option<ChildStdin>,
    out: Receiver<String>,
    err: Receiver<String>,
    /// Whether the session is over: then each command has one more line.
    dead: bool,
}

fn lines(stream: impl std::io::Read + Send + 'static, sender: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
}

impl Piped {
    /// Starts a shell and waits until it is connected.
    pub fn start(server: &str) -> Self {
        let mut child = command(server)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let (out_sender, out) = channel();
        let (err_sender, err) = channel();
        lines(child.stdout.take().expect("piped"), out_sender);
        lines(child.stderr.take().expect("piped"), err_sender);
        let stdin = child.stdin.take();
        let shell = Self { child, stdin, out, err, dead: false };
        let connecting = format!("Connecting to {server}");
        for expected in [&*connecting, "Welcome to ZooKeeper!", "JLine support is disabled"] {
            assert_eq!(shell.next(&shell.out), expected);
        }
        let event = shell.event_behind(shell.next(&shell.out));
        assert_eq!(event, "[event] state:SyncConnected type:None path:null");
        shell
    }

    fn next(&self, stream: &Receiver<String>) -> String {
        stream.recv_timeout(PATIENCE).expect("a line in time")
    }

    /// The event block that begins with the empty line `first`, as one line without its zxid.
    fn event_behind(&self, first: String) -> String {
        assert_eq!(first, "");
        assert_eq!((&*self.next(&self.out), &*self.next(&self.out)), ("WATCHER::", ""));
        let text = self.next(&self.out);
        let text = text.strip_prefix("WatchedEvent ").expect("an event");
        let (text, zxid) = text.rsplit_once(" zxid: ").expect("its zxid");
        assert!(zxid.parse::<i64>().is_ok(), "{zxid}");
        format!("[event] {text}")
    }

    pub fn type_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("not closed");
        stdin.write_all(format!("{line}\n").as_bytes()).expect("it reads");
    }

    /// Runs one command; answers the lines of both streams.
    pub fn run(&mut self, line: &str) -> (Vec<String>, Vec<String>) {
        self.type_line(line);
        // Two commands that need no server mark the ends of both streams.
        self.type_line("redo 2147483647");
        self.type_line("printwatches");
        let mut out = Vec::new();
        loop {
            let mut text = self.next(&self.out);
            if text == "printwatches is on" || text == "printwatches is off" {
                break;
            }
            // Some results begin with an empty line too; only a block has WATCHER:: behind it.
            if text.is_empty() {
                let second = self.next(&self.out);
                if second == "WATCHER::" {
                    assert_eq!(self.next(&self.out), "");
                    let event = self.next(&self.out);
                    let event = event.strip_prefix("WatchedEvent ").expect("an event");
                    let (event, _) = event.rsplit_once(" zxid: ").expect("its zxid");
                    text = format!("[event] {event}");
                } else if second == "printwatches is on" {
                    out.push(text);
                    break;
                } else {
                    out.push(text);
                    text = second;
                }
            }
            out.push(text);
        }
        for event in out.iter().filter_map(|line| line.strip_prefix("[event] state:")) {
            self.dead = ["Closed", "Expired", "AuthFailed"].iter().any(|s| event.starts_with(s));
        }
        if self.dead {
            assert_eq!(self.next(&self.out), "Not connected");
        }
        let mut err = Vec::new();
        loop {
            let text = self.next(&self.err);
            if text == "Command index out of range" {
                break;
            }
            err.push(text);
        }
        (out, err)
    }

    /// Ctrl-C, as a terminal tells it.
    pub fn interrupt(&self) {
        interrupt(&self.child);
    }

    /// Ends the input; answers the exit code.
    pub fn end(mut self) -> i32 {
        drop(self.stdin.take());
        self.wait()
    }

    pub fn wait(&mut self) -> i32 {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status.code().unwrap_or(-1);
            }
            assert!(start.elapsed() < PATIENCE, "the shell does not end");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One typed line and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    pub line: String,
    pub out: Vec<String>,
    pub err: Vec<String>,
}

/// What a transcript consists of.
#[derive(Debug)]
pub enum Part {
    Step(Step),
    /// A new shell takes over; the one before stays open.
    AnotherSession,
    /// Waits until a node is gone.
    UntilGone(String),
}

/// The transcripts, by name without `.txt`.
pub fn transcript(name: &str) -> Vec<Part> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/transcripts/{name}.txt"));
    let text = std::fs::read_to_string(&path).expect("a transcript");
    parse(&text)
}

fn parse(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("# ")) {
        if let Some(line) = line.strip_prefix("> ") {
            parts.push(Part::Step(Step { line: line.to_owned(), ..Step::default() }));
        } else if line == "--- another session ---" {
            parts.push(Part::AnotherSession);
        } else if let Some(path) = line.strip_prefix("--- until gone: ") {
            parts.push(Part::UntilGone(path.to_owned()));
        } else if let Some(Part::Step(step)) = parts.last_mut() {
            match line.strip_prefix("[err] ") {
                Some(line) => step.err.push(line.to_owned()),
                None => step.out.push(line.to_owned()),
            }
        } else {
            assert!(line.is_empty(), "output before any command: {line}");
        }
    }
    parts
}

/// Replaces what differs from run to run: transaction ids and moments.
pub fn normalised(line: &str) -> String {
    for field in ["cZxid = ", "mZxid = ", "pZxid = "] {
        if let Some(number) = line.strip_prefix(field) {
            assert!(number.starts_with("0x"), "{line}");
            return format!("{field}ZXID");
        }
    }
    for field in ["ctime = ", "mtime = "] {
        if let Some(date) = line.strip_prefix(field) {
            assert_eq!(date.split(' ').count(), 6, "{line}");
            return format!("{field}DATE");
        }
    }
    line.to_owned()
}

/// Plays a transcript with our shell against a server and compares everything.
pub fn play(server: &str, name: &str) {
    let mut shells = vec![Piped::start(server)];
    for part in transcript(name) {
        let shell = shells.last_mut().expect("at least one");
        match part {
            Part::AnotherSession => shells.push(Piped::start(server)),
            Part::UntilGone(path) => {
                let start = Instant::now();
                while one_shot(server, &["stat", &path]).0 == 0 {
                    assert!(start.elapsed() < PATIENCE, "{name}: {path} stays");
                    std::thread::park_timeout(Duration::from_millis(100));
                }
            }
            Part::Step(expected) => {
                let (out, err) = shell.run(&expected.line);
                let all = |lines: &[String]| -> Vec<String> {
                    lines.iter().map(|line| normalised(line)).collect()
                };
                let got = Step { line: expected.line.clone(), out: all(&out), err };
                let expected = Step { out: all(&expected.out), ..expected };
                assert_eq!(got, expected, "{name}");
            }
        }
    }
}
