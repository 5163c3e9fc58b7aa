//! Our scripts and `rookeeper tool` over data directories that Apache wrote: what Apache's tools said
//! (`goldens/offline` of the crate `rookeeper-interop`), under dash and bash.

mod terminal;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use rookeeper_interop::offline_tools::{CASES, golden, told};
use terminal::{Distribution, under_each_shell};

#[test]
fn they_say_what_apache_says() {
    under_each_shell(|shell| {
        let mut differences = Vec::new();
        let world = Distribution::new();
        let links = world.home().join("links");
        fs::create_dir(&links).expect("made");
        for case in CASES {
            let got = told(case, |case| {
                let Some(script) = case.script else {
                    let mut command = Command::new(env!("CARGO_BIN_EXE_rookeeper"));
                    command.args(["tool", &format!("org.apache.zookeeper.server.{}", case.class)]);
                    return Ok(command);
                };
                // Every script through a symbolic link once.
                let link = links.join(case.name);
                symlink(world.home().join("bin").join(script), &link).expect("linked");
                let mut command = Command::new(shell);
                command.arg(link);
                Ok(command)
            });
            let expected = fs::read_to_string(golden(case)).expect("a golden");
            let got = got.expect("a run");
            if got != expected {
                let name = case.name;
                differences.push(format!("{name} under {shell}: got\n{got}\nexpected\n{expected}"));
            }
        }
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    });
}
