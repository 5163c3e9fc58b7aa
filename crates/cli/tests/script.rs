//! `bin/zkCli.sh` under dash and bash, through a symbolic link and through PATH.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

fn bin() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bin").canonicalize().expect("the scripts")
}

/// A stand-in for the binary that prints its words, each in angle brackets.
fn stand_in(folder: &Path) -> PathBuf {
    let path = folder.join("rookeeper");
    std::fs::write(&path, "#!/bin/sh\nfor word; do printf '<%s>' \"$word\"; done\n")
        .expect("written");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("executable");
    path
}

fn run(mut command: Command, binary: &Path, folder: &Path) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = command
        .current_dir(folder)
        .env("ROOKEEPER", binary)
        .env("PATH", format!("{}:{path}", bin().display()))
        .env("CLIENT_JVMFLAGS", "-Xmx5m -Dzookeeper.request.timeout=7 -Da=*")
        .env_remove("JVMFLAGS")
        .env_remove("ZOOCFGDIR")
        .args(["-server", "a:1", "create", "/x", "a  b*", "", "it's"])
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn zkcli_sh_finds_the_shell_and_passes_words_unchanged() {
    let folder = tempfile::tempdir().expect("a folder");
    let binary = stand_in(folder.path());
    let script = bin().join("zkCli.sh");
    let link = folder.path().join("link");
    symlink(&script, folder.path().join("first")).expect("linked");
    symlink("first", &link).expect("linked");
    let expected = "<cli><-Dzookeeper.request.timeout=7><-Da=*><-server><a:1><create></x><a  b*>\
                    <><it's>";
    for shell in ["sh", "dash", "bash"] {
        for script in [&script, &link] {
            let mut command = Command::new(shell);
            command.arg(script);
            assert_eq!(run(command, &binary, folder.path()), expected, "{shell} {script:?}");
        }
    }
    assert_eq!(run(Command::new(&script), &binary, folder.path()), expected);
    assert_eq!(run(Command::new(&link), &binary, folder.path()), expected);
    assert_eq!(run(Command::new("zkCli.sh"), &binary, folder.path()), expected, "on PATH");
}
