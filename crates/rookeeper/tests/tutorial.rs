//! `scripts/package` makes an archive; unpacked elsewhere, it does all that `docs/tutorial.md` says, without a
//! JVM. The Chinese page has the same commands and the same output.

mod terminal;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use terminal::{Distribution, normalised, under_each_shell};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page(name: &str) -> String {
    fs::read_to_string(repository().join("docs").join(name)).expect("a page")
}

/// What is typed and shown on a page, as a transcript.
fn transcript(page: &str) -> String {
    let mut out = String::new();
    let (mut is_inside, mut repeats) = (false, false);
    for line in page.lines() {
        match line {
            "<!-- repeat -->" => repeats = true,
            "```console" => is_inside = true,
            "```" => (is_inside, repeats) = (false, false),
            _ if !is_inside => {}
            _ => {
                match line.strip_prefix("$ ").filter(|_| repeats) {
                    Some(typed) => out.push_str(&format!("$~ {typed}")),
                    None => out.push_str(line),
                }
                out.push('\n');
            }
        }
    }
    out
}

#[test]
fn the_tutorial_from_the_package() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = Command::new(repository().join("scripts/package"))
        .args(["--binary", env!("CARGO_BIN_EXE_rookeeper"), "--out"])
        .arg(folder.path())
        .output()
        .expect("it runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let archive = String::from_utf8(made.stdout).expect("a path");
    let archive = Path::new(archive.trim());
    let name = archive.file_name().expect("a name").to_string_lossy().into_owned();
    // The page names the archive of one version and kind of machine.
    let stem = name.strip_suffix(".tar.gz").expect("an archive");
    let text = transcript(&page("tutorial.md")).replace("rookeeper-0.1.0-linux-x86_64", stem);
    under_each_shell(|shell| {
        let world = Distribution::empty();
        fs::copy(archive, world.root().join(&name)).expect("copied");
        // A JVM that is not one: nothing may start it.
        world.program("bin/java", "#!/bin/sh\necho called >\"$0.called\"\nexit 99\n");
        world.play_text(shell, "tutorial.md", &text, false);
        assert!(!world.root().join("bin/java.called").exists(), "a JVM was started");
    });
}

#[test]
fn both_languages_show_the_same() {
    let (english, chinese) = (page("tutorial.md"), page("tutorial.zh.md"));
    let lines = |page: &str| -> Vec<String> { transcript(page).lines().map(normalised).collect() };
    assert_eq!(lines(&english), lines(&chinese));
    let sections = |page: &str| page.lines().filter(|line| line.starts_with("## ")).count();
    assert_eq!(sections(&english), sections(&chinese));
}
