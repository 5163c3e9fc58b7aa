//! `bin/zkServer.sh` with a stand-in for the binary, under every POSIX shell that is here.
//!
//! The lines, streams and exit codes of operations.md 5.1; through a symbolic link and through PATH.
//! What newcomers type is played with the real binary in `transcripts.rs`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Stands in for the binary: notes its arguments, then serves until TERM as told by file `mode`.
const STAND_IN: &str = r#"#!/bin/sh
world="$(cd "$(dirname "$0")/../.." && pwd)"
case "$1" in
  --version) echo "rookeeper 0.1.0"; exit ;;
  4lw) echo "$*" >"$world/asked"; cat "$world/reply" 2>/dev/null; exit ;;
esac
printf '%s\n' "$@" >"$world/args"
mode="$(cat "$world/mode" 2>/dev/null)"
case "$mode" in
  fail) echo "Invalid config, exiting abnormally" >&2; echo "the cause" >&2; exit 2 ;;
  say) echo "in the foreground"; exit 7 ;;
  stubborn) trap '' TERM ;;
  *) trap 'exit 0' TERM ;;
esac
case "$mode" in
  quick) echo "standalone on client port 2441, started in 3 ms" ;;
  *) echo "serving" ;;
esac
: >"$world/serving"
while :; do command -p sleep 0.1; done
"#;

const PATIENCE: Duration = Duration::from_secs(120);

/// A distribution in a temporary directory.
struct World {
    dir: TempDir,
    shell: &'static str,
}

/// What a call printed and returned.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    out: String,
    err: String,
    code: i32,
}

impl World {
    fn new(shell: &'static str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let world = Self { dir, shell };
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bin");
        for directory in ["zk/bin", "zk/conf", "elsewhere"] {
            fs::create_dir_all(world.path(directory)).expect("a directory");
        }
        for script in ["zkServer.sh", "zkEnv.sh"] {
            let text = fs::read_to_string(scripts.join(script)).expect(script);
            // The shell under test also runs what is started as a program.
            let shebang = format!("#!{}", which(shell).expect("present").display());
            let text = text.replacen("#!/bin/sh", &shebang, 1);
            world.program(&format!("zk/bin/{script}"), &text);
        }
        world.program("zk/bin/rookeeper", STAND_IN);
        world.write("zk/conf/zoo.cfg", &world.config("clientPort=2441\n"));
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().expect("present").join(name)
    }

    fn shown(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn config(&self, lines: &str) -> String {
        format!("tickTime=2000\ndataDir={}\n{lines}", self.shown("data"))
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect(name);
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect(name)
    }

    fn program(&self, name: &str, text: &str) {
        self.write(name, text);
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(name), mode).expect(name);
    }

    /// A call of the script with the shell, in a bare environment.
    fn command(&self, script: &Path) -> Command {
        let mut command = Command::new(self.shell);
        command.arg(script);
        self.bare(&mut command);
        command
    }

    fn bare(&self, command: &mut Command) {
        command.env_clear().env("PATH", std::env::var_os("PATH").expect("a PATH"));
        command.env("HOSTNAME", "host").env("USER", "me").current_dir(self.path("elsewhere"));
    }

    fn zk_server(&self, args: &[&str]) -> Said {
        self.zk_server_with(args, &[])
    }

    /// What was started is serving afterwards, however slow the machine.
    fn zk_server_with(&self, args: &[&str], env: &[(&str, &str)]) -> Said {
        let serving = self.path("serving");
        let starts = args.iter().any(|word| ["start", "restart"].contains(word));
        if starts {
            let _ = fs::remove_file(&serving);
        }
        let mut command = self.command(&self.path("zk/bin/zkServer.sh"));
        let said = said(command.args(args).envs(env.iter().copied()).output().expect("runs"));
        let deadline = Instant::now() + PATIENCE;
        while starts && said.code == 0 && !serving.exists() {
            assert!(Instant::now() < deadline, "it does not serve: {said:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        said
    }

    fn pid(&self) -> String {
        self.read("data/zookeeper_server.pid")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for name in ["data/zookeeper_server.pid", "run/zk.pid"] {
            let Ok(pid) = fs::read_to_string(self.path(name)) else { continue };
            // Only ever a process of this world: stories also put strangers into pid files.
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&line).contains(&self.shown("zk")) {
                let _ = Command::new("kill").args(["-9", pid.trim()]).output();
            }
        }
    }
}

fn said(output: Output) -> Said {
    Said {
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().expect("not killed"),
    }
}

fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Runs a story in a fresh world under each shell.
fn each_shell(story: impl Fn(&World)) {
    let shells: Vec<_> =
        ["sh", "dash", "bash"].into_iter().filter(|shell| which(shell).is_some()).collect();
    assert!(!shells.is_empty(), "no POSIX shell on PATH");
    for shell in shells {
        println!("under {shell}");
        story(&World::new(shell));
    }
}

/// Running, and not a zombie that waits for a parent that never asks.
fn alive(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

#[test]
fn the_server_gets_flags_and_shows_its_configuration() {
    each_shell(|world| {
        let env = [
            ("SERVER_JVMFLAGS", "-Dzookeeper.snapCount=5  -Xmx1g"),
            ("JVMFLAGS", "-Djute.maxbuffer=4096 -Dx=*"),
            ("ZOO_LOG_FILE", "my.log"),
        ];
        assert_eq!(world.zk_server_with(&["start"], &env).code, 0);
        let logs = format!("{}/../logs", world.shown("zk/bin"));
        let expected = format!(
            "server\n-Dzookeeper.log.dir={}\n-Dzookeeper.log.file=my.log\n\
             -Dzookeeper.snapCount=5\n-Xmx1g\n-Djute.maxbuffer=4096\n-Dx=*\n\
             -Dzookeeper.main=org.apache.zookeeper.server.quorum.QuorumPeerMain\n\
             {}/../conf/zoo.cfg\n",
            logs,
            world.shown("zk/bin")
        );
        assert_eq!(world.read("args"), expected);
        assert_eq!(world.read("zk/logs/zookeeper-me-server-host.out"), "serving\n");
    });
}

#[test]
fn a_failed_start_shows_why() {
    each_shell(|world| {
        world.write("mode", "fail");
        // The script looks for a second, in which a busy machine may not even begin: here it looks once, when
        // the process has ended.
        let nap = format!(
            "#!/bin/sh\npid=\"$(cat '{}')\"\nleft=1200\n\
             while [ $left -gt 0 ] && grep -qs '^State:[[:space:]]*[^ZX[:space:]]' /proc/$pid/status\n\
             do '{}' 0.1; left=$((left - 1)); done\n",
            world.shown("data/zookeeper_server.pid"),
            which("sleep").expect("present").display()
        );
        fs::create_dir(world.path("naps")).expect("new");
        world.program("naps/sleep", &nap);
        let path = format!("{}:{}", world.shown("naps"), std::env::var("PATH").expect("a PATH"));
        let failed = world.zk_server_with(&["start"], &[("PATH", &path)]);
        assert_eq!(
            (failed.out.as_str(), failed.code),
            ("Starting zookeeper ... FAILED TO START\n", 1)
        );
        let why = "Invalid config, exiting abnormally\nthe cause\n";
        assert!(failed.err.ends_with(why), "{}", failed.err);
        assert!(!world.path("data/zookeeper_server.pid").exists());
    });
}

#[test]
fn a_missing_configuration_is_named() {
    each_shell(|world| {
        fs::remove_file(world.path("zk/conf/zoo.cfg")).expect("present");
        let failed = world.zk_server(&["start"]);
        assert_eq!(
            (failed.out.as_str(), failed.code),
            ("Starting zookeeper ... FAILED TO START\n", 1)
        );
        assert!(failed.err.contains("zoo.cfg file is missing"), "{}", failed.err);
        assert!(failed.err.contains("zoo_sample.cfg"), "{}", failed.err);
    });
}

#[test]
fn a_missing_binary_is_named() {
    each_shell(|world| {
        fs::remove_file(world.path("zk/bin/rookeeper")).expect("present");
        let failed = world.zk_server_with(&["start"], &[("ROOKEEPER", "/nowhere/rookeeper")]);
        assert_eq!(
            (failed.out.as_str(), failed.code),
            ("Starting zookeeper ... FAILED TO START\n", 1)
        );
        assert!(failed.err.contains("/nowhere/rookeeper is not a program"), "{}", failed.err);
    });
}

#[test]
fn files_that_cannot_be_written_are_named() {
    each_shell(|world| {
        let failed = world.zk_server_with(&["start"], &[("ZOO_LOG_DIR", "/dev/null/logs")]);
        let out = "Starting zookeeper ... FAILED TO START\n";
        assert_eq!((failed.out.as_str(), failed.code), (out, 1));
        assert!(failed.err.contains("set ZOO_LOG_DIR"), "{}", failed.err);
        let failed = world.zk_server_with(&["start"], &[("ZOOPIDFILE", "/dev/null/zk.pid")]);
        let out = "Starting zookeeper ... FAILED TO WRITE PID\n";
        assert_eq!((failed.out.as_str(), failed.code), (out, 1));
    });
}

#[test]
fn a_pid_file_left_by_a_crash_does_not_stop_a_start() {
    each_shell(|world| {
        fs::create_dir(world.path("data")).expect("new");
        // A stranger got the number: this test's process, which is alive but no server.
        let stranger = std::process::id().to_string();
        world.write("data/zookeeper_server.pid", &stranger);
        let started = world.zk_server(&["start"]);
        assert_eq!((started.out.as_str(), started.code), ("Starting zookeeper ... STARTED\n", 0));
        assert_eq!(world.zk_server(&["stop"]).out, "Stopping zookeeper ... STOPPED\n");
        world.write("data/zookeeper_server.pid", &stranger);
        let stopped = world.zk_server(&["stop"]);
        assert_eq!((stopped.out.as_str(), stopped.code), ("Stopping zookeeper ... STOPPED\n", 0));
        assert!(stopped.err.contains("was not running"), "{}", stopped.err);
    });
}

#[test]
fn stop_waits_only_so_long() {
    each_shell(|world| {
        world.write("mode", "stubborn");
        assert_eq!(world.zk_server(&["start"]).code, 0);
        let stopped = world.zk_server_with(&["stop"], &[("ZOO_STOP_TIMEOUT", "1")]);
        assert_eq!(
            (stopped.out.as_str(), stopped.code),
            ("Stopping zookeeper ... NOT STOPPED\n", 1)
        );
        assert!(stopped.err.contains("is still running after 1 s"), "{}", stopped.err);
        assert!(alive(&world.pid()));
    });
}

#[test]
fn restart_is_stop_and_start() {
    each_shell(|world| {
        assert_eq!(world.zk_server(&["start"]).code, 0);
        let before = world.pid();
        let restarted = world.zk_server(&["restart"]);
        assert_eq!(
            (restarted.out.as_str(), restarted.code),
            ("Stopping zookeeper ... STOPPED\nStarting zookeeper ... STARTED\n", 0)
        );
        assert_ne!(world.pid(), before);
        assert!(!alive(&before));
    });
}

#[test]
fn start_ends_when_the_server_says_that_it_listens() {
    each_shell(|world| {
        world.write("mode", "quick");
        // A pause that lasts until the server has spoken, and is counted.
        let log = world.shown("zk/logs/zookeeper-me-server-host.out");
        let pause = format!(
            "#!/bin/sh\necho pause >>'{}'\nuntil grep -q 'started in' '{log}'; do command -p sleep 0.05; \
             done\n",
            world.shown("pauses")
        );
        fs::create_dir_all(world.path("first")).expect("a directory");
        world.program("first/sleep", &pause);
        let path = std::env::var("PATH").expect("a PATH");
        let path = format!("{}:{path}", world.shown("first"));
        let started = world.zk_server_with(&["start"], &[("PATH", &path)]);
        assert_eq!((started.out.as_str(), started.code), ("Starting zookeeper ... STARTED\n", 0));
        let pauses = fs::read_to_string(world.path("pauses")).unwrap_or_default();
        assert!(pauses.lines().count() <= 1, "{pauses}");
    });
}

#[test]
fn start_foreground_is_the_server() {
    each_shell(|world| {
        world.write("mode", "say");
        for env in [&[][..], &[("ZOO_NOEXEC", "1")][..]] {
            let ran = world.zk_server_with(&["start-foreground"], env);
            assert_eq!((ran.out.as_str(), ran.code), ("in the foreground\n", 7));
        }
        assert!(!world.path("data/zookeeper_server.pid").exists());
    });
}

#[test]
fn configurations_are_found_as_people_name_them() {
    each_shell(|world| {
        let config = world.config("clientPort=2442\n");
        world.write("zk/conf/zoo2.cfg", &config);
        world.write("elsewhere/mine.cfg", &config);
        let using = |args: &[&str], env: &[(&str, &str)]| {
            let said = world.zk_server_with(args, env);
            said.err.lines().nth(1).unwrap_or("").to_owned()
        };
        let conf = format!("{}/../conf", world.shown("zk/bin"));
        assert_eq!(using(&["status", "zoo2.cfg"], &[]), format!("Using config: {conf}/zoo2.cfg"));
        assert_eq!(using(&["status", "./mine.cfg"], &[]), "Using config: ./mine.cfg");
        let absolute = world.shown("elsewhere/mine.cfg");
        assert_eq!(using(&["status", &absolute], &[]), format!("Using config: {absolute}"));
        assert_eq!(using(&["status", "mine.cfg"], &[]), format!("Using config: {absolute}"));
        let dir = world.shown("elsewhere");
        let expected = format!("Using config: {dir}/mine.cfg");
        let env = [("ZOOCFGDIR", dir.as_str()), ("ZOOCFG", "mine.cfg")];
        assert_eq!(using(&["status"], &env), expected);
        assert_eq!(using(&["--config", &dir, "status", "mine.cfg"], &[]), expected);
        assert_eq!(world.zk_server(&["--config", "/nowhere", "status"]).code, 1);
    });
}

#[test]
fn environment_files_are_read() {
    each_shell(|world| {
        let logs = world.shown("my logs");
        world.write("zk/conf/zookeeper-env.sh", &format!("ZOO_LOG_DIR='{logs}'\n"));
        world.write("zk/conf/java.env", "export JVMFLAGS=\"-Dzookeeper.fips-mode=true\"\n");
        let pid_file = world.shown("run/zk.pid");
        let env = [("ZOOPIDFILE", pid_file.as_str())];
        assert_eq!(world.zk_server_with(&["start"], &env).code, 0);
        assert!(world.read("args").contains("\n-Dzookeeper.fips-mode=true\n"));
        assert!(world.read("args").contains(&format!("-Dzookeeper.log.dir={logs}\n")));
        assert_eq!(world.read("my logs/zookeeper-me-server-host.out"), "serving\n");
        let pid = world.read("run/zk.pid");
        assert_eq!(world.zk_server_with(&["stop"], &env).out, "Stopping zookeeper ... STOPPED\n");
        assert!(!alive(&pid));
    });
}

#[test]
fn through_a_symbolic_link_and_through_path() {
    each_shell(|world| {
        fs::create_dir(world.path("links")).expect("new");
        symlink("../zk/bin/zkServer.sh", world.path("links/zkServer.sh")).expect("links");
        symlink(world.path("links/zkServer.sh"), world.path("elsewhere/zk")).expect("links");
        let version = "Apache ZooKeeper, version 3.9.5 (rookeeper 0.1.0)\n";

        let mut command = world.command(&world.path("elsewhere/zk"));
        assert_eq!(said(command.arg("version").output().expect("runs")).out, version);

        // By its bare name, as a program on PATH and as the shell's argument.
        let path = std::env::join_paths(
            [world.path("links")]
                .into_iter()
                .chain(std::env::split_paths(&std::env::var_os("PATH").expect("a PATH"))),
        )
        .expect("joins");
        let mut command = Command::new(world.path("links/zkServer.sh"));
        world.bare(&mut command);
        assert_eq!(said(command.arg("version").output().expect("runs")).out, version);
        let mut command = Command::new("sh");
        world.bare(&mut command);
        command.env("PATH", &path).args(["-c", "zkServer.sh version"]);
        assert_eq!(said(command.output().expect("runs")).out, version);
        let mut command = world.command(Path::new("zkServer.sh"));
        command.arg("version").current_dir(world.path("zk/bin"));
        assert_eq!(said(command.output().expect("runs")).out, version);
    });
}

#[test]
fn status_looks_for_the_port_as_apache_does() {
    const PREFIX: &str = "Client port not found";
    each_shell(|world| {
        fs::create_dir(world.path("data")).expect("new");
        world.write("reply", "Mode: follower\n");
        let status = |lines: &str| {
            world.write("zk/conf/zoo.cfg", &world.config(lines));
            let said = world.zk_server(&["status"]);
            (said.out, said.code)
        };
        let no_id = "myid could not be determined, will not able to locate clientPort in the \
            server configs.\n";
        let secure = format!("{PREFIX}. Looking for secureClientPort in the static config.\n");
        let none = "Unable to find either secure or unsecure client port in any configs. \
            Terminating.\n";
        assert_eq!(status(""), (format!("{no_id}{secure}{none}"), 1));

        world.write("data/myid", "2\n");
        let found = |port: &str, address: &str| {
            format!(
                "Client port found: {port}. Client address: {address}. Client SSL: false.\n\
                 Mode: follower\n"
            )
        };
        let lines = "server.1=a:1:2;2181\nserver.2=a:1:2;2182\n";
        assert_eq!(status(lines), (found("2182", "localhost"), 0));
        let lines = "server.2=a:1:2:participant;127.0.0.9:2183\nserver.22=a:1:2;9\n";
        assert_eq!(status(lines), (found("2183", "127.0.0.9"), 0));
        assert_eq!(world.read("asked"), "4lw 127.0.0.9 2183 srvr\n");

        let dynamic = format!("{PREFIX} in static config file. Looking in dynamic config file.\n");
        let lines = format!("dynamicConfigFile={}\n", world.shown("dynamic"));
        let nowhere = format!("{dynamic}{PREFIX} in the server configs\n{secure}{none}");
        assert_eq!(status(&lines), (nowhere, 1));
        world.write("dynamic", "server.2=a:1:2:participant;0.0.0.0:2184\n");
        assert_eq!(status(&lines), (dynamic + &found("2184", "0.0.0.0"), 0));

        assert_eq!(
            status(" clientPort : 2185 # here\nclientPortAddress=127.0.0.1\r\n"),
            (found("2185", "127.0.0.1"), 0)
        );
        let (out, code) = status("secureClientPort=2281\n");
        assert!(
            out.contains("Client port found: 2281. Client address: localhost. Client SSL: true.\n")
        );
        assert!(out.contains(
            "Note: We used secureClientPort (2281) to establish connection, but we failed."
        ));
        assert!(out.ends_with("Error contacting service. It is probably not running.\n"));
        assert_eq!(code, 1);
    });
}

#[test]
fn directories_are_demanded_when_autocreate_is_off() {
    each_shell(|world| {
        let env = [("ZOO_DATADIR_AUTOCREATE_DISABLE", "1")];
        let failed = world.zk_server_with(&["start"], &env);
        let text = format!(
            "Starting zookeeper ... ZooKeeper data directory is missing at {} fix the path or run \
             initialize\n",
            world.shown("data")
        );
        assert_eq!((failed.out, failed.code), (text, 1));
        fs::create_dir_all(world.path("data/version-2")).expect("new");
        assert_eq!(world.zk_server_with(&["start"], &env).code, 0);
        assert!(world.read("args").contains("-Dzookeeper.datadir.autocreate=false\n"));
    });
}

#[test]
fn the_other_words() {
    each_shell(|world| {
        let said = world.zk_server(&["print-cmd"]);
        assert!(
            said.out
                .contains("\"-Dzookeeper.main=org.apache.zookeeper.server.quorum.QuorumPeerMain\"")
        );
        assert!(said.out.trim_end().ends_with("zookeeper-me-server-host.out\" 2>&1 < /dev/null"));
        for args in [&[][..], &["nonsense"][..]] {
            let said = world.zk_server(args);
            assert_eq!((said.out.as_str(), said.code), ("", 0));
            let usage = "[--config <conf-dir>] {start|start-foreground|stop|version|restart|status|print-cmd}";
            assert!(said.err.contains(usage), "{}", said.err);
        }
        let said = world.zk_server_with(&["version"], &[("JMXDISABLE", "true")]);
        assert!(said.err.starts_with("JMX disabled by user request\n"));
        let said = world.zk_server_with(&["version"], &[("JMXPORT", "9")]);
        assert!(said.err.contains("ZooKeeper remote JMX Port set to 9\n"));
    });
}
