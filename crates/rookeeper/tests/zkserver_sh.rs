//! `bin/zkServer.sh` with the real binary, under dash and bash: the transcripts of `operations.md`
//! 9.1 and the purge of 9.7. (All its words and corners are tested with a stand-in in `server`.)

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rookeeper_interop::{fourletter, ports};
use tempfile::TempDir;

/// A distribution in a temporary directory; its server is stopped at the end.
struct World {
    dir: TempDir,
    shell: &'static str,
    port: u16,
}

impl World {
    fn new(shell: &'static str, more: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let port = ports::free(1).expect("a port")[0];
        let world = Self { dir, shell, port };
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bin");
        fs::create_dir_all(world.path("bin")).expect("made");
        for script in ["zkServer.sh", "zkEnv.sh"] {
            fs::copy(scripts.join(script), world.path("bin").join(script)).expect(script);
        }
        symlink(env!("CARGO_BIN_EXE_rookeeper"), world.path("bin/rookeeper")).expect("linked");
        let text = format!(
            "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir={}\nclientPort={port}\n\
             clientPortAddress=127.0.0.1\nadmin.enableServer=false\n{more}",
            world.path("data").display()
        );
        fs::write(world.path("zoo.cfg"), text).expect("written");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Both streams in one, as on a terminal, and the exit code.
    fn run(&self, word: &str) -> String {
        let script = "exec \"$0\" \"$1\" \"$2\" \"$3\" 2>&1";
        let output: Output = Command::new("sh")
            .args(["-c", script, self.shell])
            .arg(self.path("bin/zkServer.sh"))
            .arg(word)
            .arg(self.path("zoo.cfg"))
            .env("ZOO_LOG_DIR", self.path("logs"))
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let text = text.replace(&self.dir.path().display().to_string(), "DIR");
        format!("{text}rc={}\n", output.status.code().unwrap_or(-1))
    }

    fn pid(&self) -> String {
        fs::read_to_string(self.path("data/zookeeper_server.pid")).expect("a pid file")
    }

    fn snapshots(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("data/version-2")).expect("a directory");
        let names = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| name.starts_with("snapshot.")).collect();
        names.sort_by_key(|name| i64::from_str_radix(&name["snapshot.".len()..], 16).unwrap_or(-1));
        names
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.run("stop");
    }
}

const HEAD: &str = "ZooKeeper JMX enabled by default\nUsing config: DIR/zoo.cfg\n";

fn shells() -> Vec<&'static str> {
    let has = |shell: &&str| Command::new(shell).args(["-c", ":"]).status().is_ok();
    let found: Vec<_> = ["dash", "bash"].into_iter().filter(has).collect();
    assert!(!found.is_empty(), "neither dash nor bash is here");
    found
}

#[test]
fn a_newcomers_first_hour() {
    for shell in shells() {
        let world = World::new(shell, "");
        let say = |line: &str| format!("{HEAD}{line}\n");
        let port = world.port;
        let found =
            format!("Client port found: {port}. Client address: 127.0.0.1. Client SSL: false.");
        assert_eq!(world.run("start"), say("Starting zookeeper ... STARTED\nrc=0"), "{shell}");
        let status = world.run("status");
        assert_eq!(status, say(&format!("{found}\nMode: standalone\nrc=0")), "{shell}");
        let again =
            format!("Starting zookeeper ... already running as process {}.\nrc=1", world.pid());
        assert_eq!(world.run("start"), say(&again), "{shell}");
        let addr = ([127, 0, 0, 1], port).into();
        let srvr = fourletter::ask(addr, "srvr").expect("an answer");
        assert!(srvr.contains("Zxid: 0x0\nMode: standalone\nNode count: 5\n"), "{srvr}");
        let ruok = fourletter::ask(addr, "ruok").expect("an answer");
        assert_eq!(ruok, "ruok is not executed because it is not in the whitelist.\n");
        assert_eq!(world.snapshots(), ["snapshot.0"]);
        assert_eq!(world.run("stop"), say("Stopping zookeeper ... STOPPED\nrc=0"), "{shell}");
        let down = "Error contacting service. It is probably not running.\nrc=1";
        assert_eq!(world.run("status"), say(&format!("{found}\n{down}")), "{shell}");
        let nothing = "Stopping zookeeper ... no zookeeper to stop (could not find file \
                       DIR/data/zookeeper_server.pid)\nrc=0";
        assert_eq!(world.run("stop"), say(nothing), "{shell}");
    }
}
