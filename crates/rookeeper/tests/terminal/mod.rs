//! Plays transcripts: what a person typed at a terminal and what came of it, against the real scripts
//! and the real binary in a distribution of its own.
//!
//! A transcript is text. A line behind `$ ` is typed at a shell, which stays the same throughout;
//! lines behind `> ` continue it. Lines behind `[zk: ...] ` are typed at the shell that the command
//! started; those run from a pipe, so that no editing is in the output, and their greeting is left
//! out. Everything else is output, both streams as they come, and `rc=N` for an exit code that is not 0. `$~ ` repeats a command until the
//! output is as told; `--- more` in its place ends an output of which only the beginning is shown.
//! What differs from run to run is made equal by [`normalised`]; directories and ports are replaced
//! before anything runs ([`Distribution::localise`]).

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(unreachable_pub, missing_debug_implementations, reason = "a module of test binaries")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rookeeper_interop::ports;
use tempfile::TempDir;

/// How long `$~` waits.
const PATIENCE: Duration = Duration::from_secs(120);

/// Ports that tutorials use; each world has others in their place.
const PORTS: &[&str] = &[
    "2181", "2182", "2183", "2184", "2887", "2888", "2889", "2890", "3887", "3888", "3889", "3890",
];

/// Where tutorials unpack the distribution, the home of who reads them, and where the sample configuration
/// keeps the data.
const HOME: &str = "/usr/local/zookeeper";
const USER: &str = "/home/you";
const DATA: &str = "/tmp/zookeeper";

/// A distribution in a temporary directory; its servers are stopped at the end.
pub struct Distribution {
    dir: TempDir,
    ports: Vec<(&'static str, String)>,
}

impl Distribution {
    /// The scripts and the sample of the repository, and the binary of this build.
    pub fn new() -> Self {
        let world = Self::empty();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for folder in ["bin", "conf"] {
            let to = world.home().join(folder);
            fs::create_dir_all(&to).expect("made");
            for file in fs::read_dir(repository.join(folder)).expect("listed").flatten() {
                // A copy, with its mode: the scripts are run as programs.
                if file.file_type().is_ok_and(|kind| kind.is_file()) {
                    fs::copy(file.path(), to.join(file.file_name())).expect("copied");
                }
            }
        }
        symlink(env!("CARGO_BIN_EXE_rookeeper"), world.home().join("bin/rookeeper"))
            .expect("linked");
        world.settle();
        world
    }

    /// Nothing but a directory.
    pub fn empty() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let first = ports::free_block().expect("free ports");
        let ports = PORTS.iter().copied().zip((first..).map(|port| port.to_string())).collect();
        fs::create_dir(dir.path().join("zk")).expect("made");
        Self { dir, ports }
    }

    /// Makes the sample fit for a test: its own port and directory, for this machine only.
    pub fn settle(&self) {
        let path = self.home().join("conf/zoo_sample.cfg");
        let text = fs::read_to_string(&path).expect("a sample");
        let text = self.localise(&text) + "clientPortAddress=localhost\n";
        fs::write(path, text).expect("written");
    }

    /// Where it is unpacked.
    pub fn home(&self) -> PathBuf {
        self.root().join("zk")
    }

    /// A program that shells find before all others.
    pub fn program(&self, name: &str, text: &str) {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    }

    /// The directory of everything.
    pub fn root(&self) -> PathBuf {
        self.dir.path().canonicalize().expect("present")
    }

    /// Replaces the directories and ports of tutorials by those of this world.
    pub fn localise(&self, text: &str) -> String {
        let home = self.home().display().to_string();
        let root = self.root().display().to_string();
        let data = format!("{root}/data");
        let mut text = text.replace(HOME, &home).replace(DATA, &data).replace(USER, &root);
        for (theirs, ours) in &self.ports {
            text = replace_number(&text, theirs, ours);
        }
        text
    }

    /// Plays a transcript of `tests/transcripts` under a shell.
    pub fn play(&self, shell: &str, name: &str) {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/transcripts/{name}.txt"));
        let text = fs::read_to_string(path).expect("a transcript");
        self.play_text(shell, name, &text, true);
    }

    /// Plays a transcript given as text; `shows_codes` says whether exit codes are part of it.
    pub fn play_text(&self, shell: &str, name: &str, text: &str, shows_codes: bool) {
        let mut terminal = Terminal::open(shell, self);
        for mut step in parse(&self.localise(text)) {
            step.shows_code = shows_codes;
            let start = Instant::now();
            loop {
                let got = terminal.run(&step);
                if step.is_met_by(&got) {
                    break;
                }
                if step.repeats && start.elapsed() < PATIENCE {
                    std::thread::park_timeout(Duration::from_millis(200));
                    continue;
                }
                let same = |pair: &(&String, &String)| normalised(pair.0) == normalised(pair.1);
                let at = step.output.iter().zip(&got).take_while(same).count();
                let from = |lines: &[String]| lines[at.min(lines.len())..].join("\n");
                panic!(
                    "{name} under {shell}\n$ {}\n--- expected from line {at}\n{}\n--- got\n{}\n",
                    step.command,
                    from(&step.output),
                    from(&got)
                );
            }
        }
    }
}

/// Replaces a number, but not its digits within a longer one.
fn replace_number(text: &str, from: &str, to: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        let (before, behind) = (&rest[..at], &rest[at + from.len()..]);
        let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_hexdigit());
        let is_part = is_digit(before.chars().next_back()) || is_digit(behind.chars().next());
        out.push_str(before);
        out.push_str(if is_part { from } else { to });
        rest = behind;
    }
    out + rest
}

impl Drop for Distribution {
    fn drop(&mut self) {
        let root = self.root();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "pid") {
                    stop(&path, &root);
                }
            }
        }
    }
}

/// Stops the server of a pid file, if the process is of this world.
fn stop(pid_file: &Path, root: &Path) {
    let Ok(pid) = fs::read_to_string(pid_file) else { return };
    let line = fs::read(format!("/proc/{}/cmdline", pid.trim())).unwrap_or_default();
    if String::from_utf8_lossy(&line).contains(&root.display().to_string()) {
        let _ = Command::new("kill").args(["-9", pid.trim()]).output();
    }
}

/// One typed command and what came of it.
#[derive(Debug, Default)]
struct Step {
    command: String,
    /// Typed at the shell that the command started.
    lines: Vec<String>,
    output: Vec<String>,
    repeats: bool,
    is_open: bool,
    /// Whether an exit code that is not 0 stands behind the output.
    shows_code: bool,
}

impl Step {
    fn is_met_by(&self, got: &[String]) -> bool {
        let expected: Vec<_> = self.output.iter().map(|line| normalised(line)).collect();
        let got: Vec<_> = got.iter().map(|line| normalised(line)).collect();
        if self.is_open { got.starts_with(&expected) } else { got == expected }
    }
}

/// Where one command's output ends within that of a shell: a line that nothing else prints.
const ZK_MARK: &str = "printwatches is on";

fn parse(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines() {
        let (typed, repeats) = match line.strip_prefix("$~ ") {
            Some(typed) => (Some(typed), true),
            None => (line.strip_prefix("$ "), false),
        };
        if let Some(typed) = typed {
            let command = typed.to_owned();
            steps.push(Step { command, repeats, ..Step::default() });
            continue;
        }
        let Some(step) = steps.last_mut() else {
            assert!(line.is_empty() || line.starts_with("# "), "output of nothing: {line}");
            continue;
        };
        if let Some(more) = line.strip_prefix("> ").filter(|_| step.output.is_empty()) {
            step.command.push('\n');
            step.command.push_str(more);
        } else if let Some((prompt, typed)) =
            line.strip_prefix("[zk: ").and_then(|rest| rest.split_once("] "))
        {
            let expected = format!("(CONNECTED) {}", step.lines.len());
            assert!(prompt.ends_with(&expected), "{line}: the prompt says {expected}");
            step.lines.push(typed.to_owned());
            step.output.push(line.to_owned());
        } else if line == "--- more" {
            step.is_open = true;
        } else if !line.starts_with("# ") {
            step.output.push(line.to_owned());
        }
    }
    for step in &mut steps {
        // Blank lines between a command's output and the next are layout.
        while step.output.last().is_some_and(String::is_empty) {
            step.output.pop();
        }
    }
    steps
}

/// A POSIX shell that runs one command after the other.
struct Terminal {
    shell: Child,
    keyboard: Option<ChildStdin>,
    screen: BufReader<std::process::ChildStdout>,
}

/// Ends a command's output.
const MARK: &str = "--- the end of a command, code ";

impl Terminal {
    fn open(shell: &str, world: &Distribution) -> Self {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut child = Command::new(shell)
            .arg("-s")
            .current_dir(world.home())
            .env_clear()
            .env("PATH", format!("{0}/bin:{0}/zk/bin:{path}", world.root().display()))
            .env("HOME", world.root())
            .env("LANG", "C")
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            // No port that the transcript does not name.
            .env("SERVER_JVMFLAGS", "-Dzookeeper.admin.enableServer=false")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut keyboard = child.stdin.take().expect("piped");
        writeln!(keyboard, "exec 2>&1").expect("it reads");
        let screen = BufReader::new(child.stdout.take().expect("piped"));
        Self { shell: child, keyboard: Some(keyboard), screen }
    }

    /// Runs a command; its output ends with a line for an exit code that is not 0.
    fn run(&mut self, step: &Step) -> Vec<String> {
        let mut input = String::new();
        for (line, next) in step.lines.iter().zip(step.lines.iter().skip(1).chain([&String::new()]))
        {
            input.push_str(line);
            // Leaving hands back the code of the command before it: nothing may come in between.
            input.push_str(if next == "quit" { "\n" } else { "\nprintwatches\n" });
        }
        let keyboard = self.keyboard.as_mut().expect("open");
        let script = format!(
            "{{\n{}\n}} <<'END OF INPUT'\n{input}END OF INPUT\ncode=$?\nprintf '\\n%s%s\\n' '{MARK}' \
             $code\n(exit $code)\n",
            step.command
        );
        keyboard.write_all(script.as_bytes()).expect("it reads");
        let mut got = Vec::new();
        loop {
            let mut line = Vec::new();
            let n = self.screen.read_until(b'\n', &mut line).expect("it prints");
            assert!(0 < n, "the shell is gone after {got:?}");
            let line = String::from_utf8(line).expect("UTF-8");
            let line = line.trim_end_matches('\n');
            if let Some(code) = line.strip_prefix(MARK) {
                // The mark begins a line of its own.
                if got.last().is_some_and(String::is_empty) {
                    got.pop();
                }
                if code != "0" && step.shows_code {
                    got.push(format!("rc={code}"));
                }
                break;
            }
            got.push(line.to_owned());
        }
        if step.lines.is_empty() { got } else { with_prompts(step, &got) }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.keyboard.take());
        // It ends with its input.
        let _ = self.shell.wait();
    }
}

/// The output of a shell of `zkCli.sh` as a person sees it: each command behind its prompt.
fn with_prompts(step: &Step, got: &[String]) -> Vec<String> {
    let connected = "WatchedEvent state:SyncConnected type:None path:null";
    let greeting = got.iter().position(|line| line.starts_with(connected));
    let Some(greeting) = greeting else { return got.to_vec() };
    let mut prompts = step.output.iter().filter(|line| line.starts_with("[zk: "));
    let mut out = vec![];
    out.extend(prompts.next().cloned());
    let got = &got[greeting + 1..];
    for (at, line) in got.iter().enumerate() {
        let is_farewell = line.is_empty()
            && got.get(at + 3).is_some_and(|line| line.starts_with("WatchedEvent state:Closed"));
        if line == ZK_MARK || is_farewell {
            out.extend(prompts.next().cloned());
        }
        if line != ZK_MARK {
            out.push(line.clone());
        }
    }
    while out.last().is_some_and(String::is_empty) {
        out.pop();
    }
    out
}

/// Makes equal what differs from run to run: moments, transaction and process ids.
pub fn normalised(line: &str) -> String {
    let line = line.trim_end();
    for (begin, end) in [
        ("cZxid = ", ""),
        ("mZxid = ", ""),
        ("pZxid = ", ""),
        ("ctime = ", ""),
        ("mtime = ", ""),
        ("zxid: ", ""),
        ("already running as process ", "."),
        ("Removing file: ", "\t"),
    ] {
        if let Some((before, rest)) = line.split_once(begin) {
            let behind =
                if end.is_empty() { "" } else { rest.find(end).map_or("", |at| &rest[at..]) };
            return format!("{before}{begin}...{behind}");
        }
    }
    line.to_owned()
}

/// Plays under every shell, side by side: most of a transcript is waiting.
pub fn under_each_shell(play: impl Fn(&'static str) + Sync) {
    std::thread::scope(|scope| {
        for shell in shells() {
            let play = &play;
            scope.spawn(move || play(shell));
        }
    });
}

/// The shells of this machine that transcripts are played under.
pub fn shells() -> Vec<&'static str> {
    let has = |shell: &&str| {
        Command::new(shell).args(["-c", ":"]).status().is_ok_and(|status| status.success())
    };
    let found: Vec<_> = ["dash", "bash"].into_iter().filter(has).collect();
    assert!(!found.is_empty(), "neither dash nor bash is here");
    found
}
