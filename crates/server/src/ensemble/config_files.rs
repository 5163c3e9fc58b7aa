//! The files of a membership that changes at run time (`operations.md` 1.5, `quorum-protocol.md` 4.1).
//!
//! `<cfg>.dynamic.next` holds what was proposed, with its version; it is written before the proposal
//! reaches this server's log. `<cfg>.dynamic.<version>` holds what is in force; the static file is
//! rewritten to name it, after a copy of the original went to `<cfg>.bak`. Every file is written
//! beside its place, forced and renamed.
//!
//! A directory that cannot be written is reported and does not stop the server, as in Apache: the
//! other members tell it the newer configuration when it starts again.
//!
//! Differs from Apache: the static file keeps its comments and the order of its lines.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rookeeper_proto::Sid;
use rookeeper_zab::EnsembleConfig;

/// Writes them; without a static file (a server started with arguments) it does nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConfigFiles {
    /// The static file; `None` also when `reconfigEnabled` is off.
    static_path: Option<PathBuf>,
    me: Sid,
    /// Version in `<cfg>.dynamic.next`.
    next: Option<i64>,
}

impl ConfigFiles {
    pub(crate) fn new(static_path: Option<&Path>, me: Sid) -> Self {
        Self { static_path: static_path.map(Path::to_owned), me, next: None }
    }

    /// Copies the original of a static file that still holds the members.
    pub(crate) fn back_up(&self, has_dynamic_file: bool) {
        let Some(path) = self.static_path.as_ref().filter(|_| !has_dynamic_file) else { return };
        let backup = with_suffix(path, ".bak");
        report(&backup, fs::read(path).and_then(|bytes| replace(&backup, &bytes)));
    }

    /// A configuration is proposed.
    pub(crate) fn save_last_seen(&mut self, config: &EnsembleConfig) {
        let Some(path) = &self.static_path else { return };
        self.next = Some(config.version);
        let next = with_suffix(path, ".dynamic.next");
        report(&next, replace(&next, config.to_string().as_bytes()));
    }

    /// A configuration is in force.
    pub(crate) fn activate(&mut self, config: &EnsembleConfig) {
        let Some(path) = &self.static_path else { return };
        let dynamic = with_suffix(path, &format!(".dynamic.{:x}", config.version));
        report(&dynamic, replace(&dynamic, members_text(config).as_bytes()));
        let has_client = config.members.get(&self.me).is_some_and(|own| own.client.is_some());
        report(path, point_at(path, &dynamic, has_client));
        if self.next.is_none_or(|next| next <= config.version) {
            self.next = None;
            let next = with_suffix(path, ".dynamic.next");
            match fs::remove_file(&next) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => report(&next, Err(error)),
                _ => {}
            }
        }
    }
}

fn report(path: &Path, outcome: io::Result<()>) {
    if let Err(error) = outcome {
        tracing::error!("{}: {error}; the membership is not kept here", path.display());
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(suffix);
    name.into()
}

/// The lines of a dynamic file: sorted, without the version, which is in its name.
fn members_text(config: &EnsembleConfig) -> String {
    let text = config.to_string();
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("version=")).collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Makes the static file name `dynamic` instead of holding members itself.
fn point_at(path: &Path, dynamic: &Path, has_client: bool) -> io::Result<()> {
    let text = fs::read(path)?;
    let dynamic = std::path::absolute(dynamic)?;
    let edited = edited(&String::from_utf8_lossy(&text), &dynamic, has_client);
    if edited.as_bytes() != text { replace(path, edited.as_bytes()) } else { Ok(()) }
}

fn edited(text: &str, dynamic: &Path, has_client: bool) -> String {
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(first) = lines.next() {
        let mut entry = vec![first];
        while is_continued(entry[entry.len() - 1]) && lines.peek().is_some() {
            entry.extend(lines.next());
        }
        if !is_membership(key_of(first), has_client) {
            entry.iter().for_each(|line| out += &format!("{line}\n"));
        }
    }
    // A backslash would begin an escape.
    let dynamic = dynamic.display().to_string().replace('\\', "\\\\");
    out + &format!("dynamicConfigFile={dynamic}\n")
}

fn is_continued(line: &str) -> bool {
    let is_comment = line.trim_start().starts_with(['#', '!']);
    let backslashes = line.chars().rev().take_while(|c| *c == '\\').count();
    !is_comment && backslashes % 2 == 1
}

fn key_of(line: &str) -> &str {
    let line = line.trim_start();
    if line.starts_with(['#', '!']) {
        return "";
    }
    line.split(['=', ':', ' ', '\t', '\u{c}']).next().unwrap_or_default()
}

fn is_membership(key: &str, has_client: bool) -> bool {
    ["server.", "group", "weight"].iter().any(|prefix| key.starts_with(prefix))
        || matches!(key, "dynamicConfigFile" | "peerType")
        || has_client && matches!(key, "clientPort" | "clientPortAddress")
}

/// Replaces a file: after a crash it is the old or the new one.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = with_suffix(path, ".tmp");
    let written = (|| {
        let mut file = File::create(&temporary)?;
        if let Ok(old) = fs::metadata(path) {
            file.set_permissions(old.permissions())?;
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // Nobody reads it.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATIC: &str = "# three servers\ntickTime=2000\nserver.1=a:1:2\n server.2 = b:1:2\n\
                          clientPort=2181\npeerType=participant\nserver.3=c:\\\n  1:2\ndataDir=/d\n";

    #[test]
    fn a_static_file_keeps_what_is_not_membership() {
        let edit = |has_client| edited(STATIC, Path::new("/etc/zoo.cfg.dynamic.5"), has_client);
        assert_eq!(
            edit(false),
            "# three servers\ntickTime=2000\nclientPort=2181\ndataDir=/d\n\
             dynamicConfigFile=/etc/zoo.cfg.dynamic.5\n"
        );
        assert!(!edit(true).contains("clientPort"));
    }

    #[test]
    fn the_files_of_a_reconfig() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("zoo.cfg");
        fs::write(&path, STATIC).unwrap();
        let read = |suffix: &str| fs::read_to_string(with_suffix(&path, suffix)).ok();
        let mut files = ConfigFiles::new(Some(&path), Sid(1));
        files.back_up(false);
        assert_eq!(read(".bak").as_deref(), Some(STATIC));
        let text = "server.1=a:1:2:participant;h:3\nserver.10=b:1:2:observer\nversion=1c";
        let config = EnsembleConfig::parse(text).unwrap();
        files.save_last_seen(&config);
        assert_eq!(read(".dynamic.next").as_deref(), Some(text));
        files.activate(&config);
        assert_eq!(read(".dynamic.next"), None);
        assert_eq!(
            read(".dynamic.1c").as_deref(),
            // As Apache sorts them: as text, and '0' stands before '='.
            Some("server.10=b:1:2:observer\nserver.1=a:1:2:participant;h:3")
        );
        let edited = read("").unwrap();
        assert!(edited.ends_with("zoo.cfg.dynamic.1c\n") && !edited.contains("2181"), "{edited}");
        files.activate(&config.with_version(0x1d));
        assert_eq!(read("").unwrap().matches("dynamicConfigFile").count(), 1);
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_no_reason_to_stop() {
        let mut files = ConfigFiles::new(Some(Path::new("/nowhere/zoo.cfg")), Sid(1));
        let config = EnsembleConfig::parse("server.1=a:1:2\nversion=1").unwrap();
        files.back_up(false);
        files.save_last_seen(&config);
        files.activate(&config);
    }
}
