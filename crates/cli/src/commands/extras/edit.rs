//! `edit`: changes a node's data with the editor of `VISUAL` or `EDITOR`. The node is written only if it was
//! changed, and only if nobody else changed it meanwhile.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rookeeper_client::{ErrorCode, ErrorKind, Watch};

use crate::commands::Session;
use crate::commands::nodes::path;
use crate::failure::{Failure, Outcome};
use crate::options::Parsed;

pub(in crate::commands) fn run(session: &mut Session<'_>, parsed: &Parsed) -> Outcome {
    let path = path(parsed)?;
    let client = session.client()?;
    let (data, stat) = session.wait(client.get_watch(path, Watch::No))??;
    let before = data.unwrap_or_default();
    let file = scratch(&before).map_err(|error| Failure::new(format!("Cannot edit: {error}")))?;
    let edited = edit(&file);
    // What was typed in the editor was the editor's.
    session.shell.forget_interrupts();
    let after = edited.and_then(|()| {
        fs::read(&file)
            .map_err(|error| Failure::new(format!("Cannot read {}: {error}", file.display())))
    });
    let after = match after {
        Ok(after) => after,
        Err(failure) => {
            remove(&file);
            return Err(failure);
        }
    };
    // Editors end a file with a line break; data that had none keeps having none.
    let after = match after.strip_suffix(b"\n") {
        Some(stripped) if !before.ends_with(b"\n") => stripped.to_vec(),
        _ => after,
    };
    if after == before {
        remove(&file);
        if !session.shell.is_json() {
            session.err("Nothing was changed");
        }
        session.put("changed", || false.into(), || None);
        return Ok(());
    }
    let kept = format!("Your text is in {}", file.display());
    match session.wait(client.set(path, &after, Some(stat.version))) {
        Ok(Ok(_)) => {
            remove(&file);
            session.put("changed", || true.into(), || None);
            Ok(())
        }
        Ok(Err(error)) => {
            let why = match (error.code(), error.kind()) {
                (Some(ErrorCode::BadVersion), _) => "Somebody else changed the node meanwhile. ",
                (_, ErrorKind::OutcomeUnknown) => "It may have been stored all the same. ",
                _ => "",
            };
            Err(Failure::from(error).with_hint(format!("{why}{kept}")))
        }
        Err(interrupted) => {
            Err(interrupted.with_hint(format!("It may have been stored all the same. {kept}")))
        }
    }
}

/// A file that only this user can read, with the data in it.
fn scratch(data: &[u8]) -> std::io::Result<PathBuf> {
    let mut number = 0u32;
    loop {
        let name = format!("rookeeper-edit-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut options = fs::OpenOptions::new();
        match options.write(true).create_new(true).mode(0o600).open(&path) {
            Ok(mut file) => {
                file.write_all(data)?;
                return Ok(path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

fn remove(file: &Path) {
    // A file left behind in a temporary directory harms nobody.
    let _ = fs::remove_file(file);
}

/// Runs the editor, which may be a command with arguments.
fn edit(file: &Path) -> Outcome {
    let named = |name: &str| std::env::var(name).ok().filter(|text| !text.trim().is_empty());
    let editor = named("VISUAL").or_else(|| named("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    let mut words = editor.split_whitespace();
    let status = Command::new(words.next().unwrap_or("vi")).args(words).arg(file).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            Err(Failure::new(format!("{editor} ended with {status}; nothing was changed")))
        }
        Err(error) => Err(Failure::new(format!("Cannot start {editor}: {error}; set EDITOR"))),
    }
}
