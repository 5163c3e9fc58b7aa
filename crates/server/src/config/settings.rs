//! Which value of a key counts, and what to say about values that do not count.
//!
//! The file wins over `-D`; an unknown key of the file is property `zookeeper.<key>`; keys without
//! the prefix come by `-D` only; `zookeeper.x=` in the file does nothing in Apache and is named here
//! with the remedy. Unknown keys warn once each and never refuse (operations.md 1.1, 10.6).
//!
//! A comment behind a value, as tutorials write it, is cut off where the value cannot hold a blank and
//! refused where it can be part of a path.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Notice, Origin};
use super::keys::{self, Action, Area, Key, Kind, Place};
use super::properties::{self, Entry};

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The value, trimmed, a trailing comment removed.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// A parsed properties file.
#[derive(Clone, Debug, Default)]
pub struct ConfigFile {
    /// The path as the user named it.
    pub path: PathBuf,
    /// Its entries in order.
    pub entries: Vec<Entry>,
}

impl ConfigFile {
    /// Parses the bytes of a file.
    ///
    /// # Errors
    /// On a malformed `\u` escape.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, ConfigError> {
        let entries = properties::parse(bytes).map_err(|malformed| {
            ConfigError::config(malformed.to_string())
                .in_file(path)
                .on_line(malformed.line)
                .remedy("write \\u followed by four hexadecimal digits, or double the backslash")
        })?;
        Ok(Self { path: path.to_owned(), entries })
    }
}

/// The file's keys and the `-D` properties, cleaned.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    file: BTreeMap<String, Setting>,
    flags: BTreeMap<String, Setting>,
}

impl Settings {
    /// Combines a file and the `-D` list (later entries win in both).
    ///
    /// # Errors
    /// When a path has a comment behind it.
    pub fn resolve(
        file: Option<&ConfigFile>,
        flags: &[(String, String)],
        notices: &mut Vec<Notice>,
    ) -> Result<Self, ConfigError> {
        let mut settings = Settings::default();
        for (name, value) in flags {
            let value = value.trim_matches(is_java_blank).to_owned();
            settings.flags.insert(name.clone(), Setting { value, origin: Origin::Flag });
        }
        if let Some(file) = file {
            settings.file = clean_file(file, notices)?;
        }
        settings.name_ignored_keys(notices);
        Ok(settings)
    }

    /// Adds a value given as a positional argument.
    pub(super) fn set_argument(&mut self, name: &str, value: String) {
        self.file.insert(name.to_owned(), Setting { value, origin: Origin::Argument });
    }

    /// The value that counts for a key of the table.
    pub fn value(&self, key: &Key) -> Option<&Setting> {
        match key.place {
            Place::File => self.file.get(key.name),
            Place::Flag => self.flags.get(key.name),
            _ => self.property(key, key.name),
        }
    }

    fn property(&self, key: &Key, name: &str) -> Option<&Setting> {
        let prefixed = self.file.get(name).or_else(|| self.flags.get(&format!("zookeeper.{name}")));
        match key.place {
            Place::PropertyAlias => prefixed.or_else(|| self.flags.get(name)),
            _ => prefixed,
        }
    }

    /// The members of a family, by the part of the name behind the prefix.
    pub fn family<'a>(&'a self, key: &'a Key) -> BTreeMap<String, &'a Setting> {
        let prefix = key.name.trim_end_matches('*');
        let mut members = BTreeMap::new();
        let mut collect = |name: &str, setting: &'a Setting| {
            if keys::find(name).is_some_and(|found| found.name == key.name)
                && let Some(rest) = name.strip_prefix(prefix)
            {
                members.insert(rest.to_owned(), setting);
            }
        };
        if key.place != Place::File {
            for (name, setting) in &self.flags {
                if let Some(name) = name.strip_prefix("zookeeper.") {
                    collect(name, setting);
                }
            }
        }
        // The file last: it wins.
        for (name, setting) in &self.file {
            collect(name, setting);
        }
        members
    }

    /// Entries of the file that describe the membership.
    pub fn membership(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.file
            .iter()
            .filter(|(name, _)| is_membership_key(name) || name.as_str() == "version")
            .map(|(name, setting)| (name.as_str(), setting))
    }

    /// Keys of the table that somebody set, with their values.
    pub fn set_keys(&self) -> Vec<(&'static Key, String, &Setting)> {
        let mut found = Vec::new();
        for (name, setting) in &self.file {
            if let Some(key) = keys::find(name) {
                found.push((key, name.clone(), setting));
            }
        }
        for (property, setting) in &self.flags {
            let Some(key) = keys::find_property(property) else { continue };
            let name = property.strip_prefix("zookeeper.").unwrap_or(property);
            if !self.file.contains_key(name) || key.place == Place::Flag {
                found.push((key, name.to_owned(), setting));
            }
        }
        found
    }

    fn name_ignored_keys(&self, notices: &mut Vec<Notice>) {
        for (name, setting) in &self.file {
            notices.extend(ignored_file_key(name, &setting.origin));
        }
        for name in self.flags.keys() {
            notices.extend(ignored_flag(name));
        }
    }

    /// One warning per group of keys that are accepted without effect.
    pub(super) fn name_inert_keys(
        &self,
        in_ensemble: bool,
        jvm_options: &[String],
        notices: &mut Vec<Notice>,
    ) {
        let mut jvm: Vec<String> = jvm_options.to_vec();
        let mut areas: BTreeMap<Area, Vec<String>> = BTreeMap::new();
        for (key, name, setting) in self.set_keys() {
            let shown = match setting.origin {
                Origin::Flag => format!("-D{}", property_of(key, &name)),
                ref origin => format!("{name} ({origin})"),
            };
            let unchanged = setting.value == key.default;
            match key.action {
                // Class names are checked; naming the default is no reason to speak.
                Action::JvmOnly if !unchanged => jvm.push(shown),
                // Outside an ensemble these do nothing in Apache either.
                Action::NotYet(Area::Ensemble) if !in_ensemble => {}
                Action::NotYet(area) if !unchanged && !self.is_moot(key) => {
                    areas.entry(area).or_default().push(shown);
                }
                _ => {}
            }
        }
        for name in self.flags.keys().filter(|name| is_foreign_flag(name)) {
            jvm.push(format!("-D{name}"));
        }
        jvm.sort();
        jvm.dedup();
        if !jvm.is_empty() {
            notices.push(Notice::warn(format!(
                "accepted without effect, these tune a Java server: {}",
                jvm.join(", ")
            )));
        }
        for (area, names) in areas {
            notices.push(Notice::warn(format!(
                "not supported yet ({}), accepted without effect: {}",
                area.name(),
                names.join(", ")
            )));
        }
    }

    /// Settings of the admin server say nothing once it is switched off.
    fn is_moot(&self, key: &Key) -> bool {
        let admin_off = keys::find("admin.enableServer")
            .and_then(|admin| self.value(admin))
            .is_some_and(|setting| setting.value == "false");
        admin_off && key.name.starts_with("admin.")
    }
}

/// Keys that must move to the dynamic file when there is one.
pub(super) fn is_membership_key(name: &str) -> bool {
    name.starts_with("server.") || name.starts_with("group") || name.starts_with("weight")
}

fn property_of(key: &Key, name: &str) -> String {
    match key.place {
        Place::Flag => name.to_owned(),
        _ => format!("zookeeper.{name}"),
    }
}

/// What Java's `String.trim` removes.
pub(super) fn is_java_blank(c: char) -> bool {
    c <= ' '
}

fn clean_file(
    file: &ConfigFile,
    notices: &mut Vec<Notice>,
) -> Result<BTreeMap<String, Setting>, ConfigError> {
    let mut cleaned: BTreeMap<String, Setting> = BTreeMap::new();
    for entry in &file.entries {
        let name = entry.key.trim_matches(is_java_blank);
        let origin = Origin::File { path: file.path.clone(), line: entry.line };
        let kind = keys::find(name).map(|key| key.kind);
        let value =
            cut_comment(name, entry.value.trim_matches(is_java_blank), kind, &origin, notices)?;
        let setting = Setting { value, origin };
        if let Some(earlier) = cleaned.insert(name.to_owned(), setting)
            && let Some(now) = cleaned.get(name)
        {
            notices.push(Notice::warn(format!(
                "{}: {name} was already set at {}; the last one counts",
                now.origin, earlier.origin
            )));
        }
    }
    Ok(cleaned)
}

/// Handles `value # comment`: cut, refuse or leave, by what the value can be.
fn cut_comment(
    name: &str,
    value: &str,
    kind: Option<Kind>,
    origin: &Origin,
    notices: &mut Vec<Notice>,
) -> Result<String, ConfigError> {
    let Some((before, comment)) = comment_behind(value) else { return Ok(value.to_owned()) };
    match kind {
        Some(Kind::Path) => Err(ConfigError::config(
            "the text from # on would become part of the path: a comment needs a line of its own",
        )
        .at(name, value, origin)
        .remedy(format!("write {name}={before} and move the comment to its own line"))),
        Some(Kind::List) => Ok(cut(name, before, comment, origin, notices)),
        Some(kind) if kind.has_no_blanks() => Ok(cut(name, before, comment, origin, notices)),
        _ => Ok(value.to_owned()),
    }
}

fn cut(
    name: &str,
    kept: &str,
    comment: &str,
    origin: &Origin,
    notices: &mut Vec<Notice>,
) -> String {
    notices.push(Notice::warn(format!(
        "{origin}: {name}: ignoring the comment behind the value ({comment}); \
         a comment needs a line of its own, Apache would take it as part of the value"
    )));
    kept.to_owned()
}

/// The value before, and the comment from, the first `#` that follows a blank.
fn comment_behind(value: &str) -> Option<(&str, &str)> {
    let at = value
        .match_indices('#')
        .map(|(at, _)| at)
        .find(|&at| value.get(..at).is_some_and(|before| before.ends_with(is_java_blank)))?;
    let (before, comment) = value.split_at_checked(at)?;
    Some((before.trim_end_matches(is_java_blank), comment))
}

fn ignored_file_key(name: &str, origin: &Origin) -> Option<Notice> {
    if name.is_empty() || keys::find(name).is_some() {
        return None;
    }
    if let Some(bare) = name.strip_prefix("zookeeper.") {
        let known = keys::find(bare).is_some();
        let remedy = if known { format!("write {bare} instead") } else { hint(bare) };
        return Some(Notice::warn(format!(
            "{origin}: {name} does nothing: in the file the prefix zookeeper. is added by the \
             server, so this reads as zookeeper.{name}; {remedy}"
        )));
    }
    if keys::find_property(name).is_some() {
        return Some(Notice::warn(format!(
            "{origin}: {name} does nothing in the file; pass -D{name}=... on the command line \
             or in SERVER_JVMFLAGS"
        )));
    }
    Some(Notice::warn(format!("{origin}: unknown key {name} is ignored; {}", hint(name))))
}

fn ignored_flag(property: &str) -> Option<Notice> {
    if keys::find_property(property).is_some() {
        return None;
    }
    if let Some(name) = property.strip_prefix("zookeeper.") {
        let text = match keys::find(name) {
            Some(key) => format!(
                "-D{property} does nothing: {} is read from the configuration file only; \
                 write {name}=... there",
                key.name
            ),
            None if keys::find_property(name).is_some() => {
                format!("-D{property} does nothing; pass -D{name}=... without the prefix")
            }
            None => format!("unknown property -D{property} is ignored; {}", hint(name)),
        };
        return Some(Notice::warn(text));
    }
    if let Some(key) = keys::find(property).filter(|key| !key.is_family()) {
        let remedy = match key.property() {
            Some(property) => format!("pass -D{property}=..."),
            None => format!("write {property}=... in the configuration file"),
        };
        return Some(Notice::warn(format!("-D{property} does nothing; {remedy}")));
    }
    // Java's own properties are many; speak only when one of ours was meant.
    keys::nearest(property)
        .filter(|key| key.place == Place::Flag)
        .map(|key| Notice::warn(format!("-D{property} is ignored; did you mean -D{}?", key.name)))
}

/// A `-D` that is neither ours nor looks like ours: Java's.
fn is_foreign_flag(property: &str) -> bool {
    !property.starts_with("zookeeper.")
        && keys::find_property(property).is_none()
        && ignored_flag(property).is_none()
}

fn hint(name: &str) -> String {
    match keys::nearest(name) {
        Some(key) => format!("did you mean {}?", key.spelling()),
        None => "it resembles no known key".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file, flags, and a part of the one warning.
    type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str);

    fn resolve(text: &str, flags: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let file = ConfigFile::parse(Path::new("zoo.cfg"), text.as_bytes()).expect("parses");
        let flags: Vec<_> =
            flags.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut notices = Vec::new();
        let settings = Settings::resolve(Some(&file), &flags, &mut notices).expect("resolves");
        (settings, notices.into_iter().map(|notice| notice.text).collect())
    }

    fn value(settings: &Settings, name: &str) -> Option<String> {
        let key = keys::find(name).or_else(|| keys::find_property(name)).expect("a known key");
        settings.value(key).map(|setting| setting.value.clone())
    }

    #[test]
    fn the_file_wins_over_the_flag() {
        let (settings, notices) = resolve("snapCount=7", &[("zookeeper.snapCount", "9")]);
        assert_eq!(value(&settings, "snapCount").as_deref(), Some("7"));
        assert_eq!(notices, Vec::<String>::new());
        let (settings, _) =
            resolve("", &[("zookeeper.snapCount", "8"), ("zookeeper.snapCount", "9")]);
        assert_eq!(value(&settings, "snapCount").as_deref(), Some("9"));
    }

    #[test]
    fn two_names_are_consulted_where_apache_does() {
        let flags = [("fsync.warningthresholdms", "5"), ("jute.maxbuffer", "4096")];
        let (settings, notices) = resolve("", &flags);
        assert_eq!(value(&settings, "fsync.warningthresholdms").as_deref(), Some("5"));
        assert_eq!(value(&settings, "jute.maxbuffer").as_deref(), Some("4096"));
        assert_eq!(notices, Vec::<String>::new());
        let (settings, _) = resolve("fsync.warningthresholdms=6", &flags);
        assert_eq!(value(&settings, "fsync.warningthresholdms").as_deref(), Some("6"));
    }

    #[test]
    fn traps_are_named_with_the_remedy() {
        let cases: &[Case] = &[
            ("zookeeper.snapCount=5", &[], "write snapCount instead"),
            ("zookeeper.snapCont=5", &[], "did you mean snapCount?"),
            ("jute.maxbuffer=4096", &[], "pass -Djute.maxbuffer=..."),
            (
                "tikcTime=2000",
                &[],
                "zoo.cfg:1: unknown key tikcTime is ignored; did you mean tickTime?",
            ),
            ("foo=1", &[], "unknown key foo is ignored; it resembles no known key"),
            ("", &[("zookeeper.tickTime", "1")], "write tickTime=... there"),
            (
                "",
                &[("zookeeper.jute.maxbuffer", "1")],
                "pass -Djute.maxbuffer=... without the prefix",
            ),
            ("", &[("zookeeper.snapCuont", "1")], "did you mean snapCount?"),
            ("", &[("snapCount", "1")], "pass -Dzookeeper.snapCount=..."),
            ("", &[("tickTime", "1")], "write tickTime=... in the configuration file"),
            ("", &[("jute.maxbufer", "1")], "did you mean -Djute.maxbuffer?"),
            ("tickTime=1\ntickTime=2", &[], "zoo.cfg:2: tickTime was already set at zoo.cfg:1"),
            ("clientPort=2181 # comment", &[], "ignoring the comment behind the value (# comment)"),
        ];
        for (text, flags, expected) in cases {
            let (_, notices) = resolve(text, flags);
            assert_eq!(notices.len(), 1, "{text} {flags:?}: {notices:?}");
            assert!(notices.iter().any(|text| text.contains(expected)), "{notices:?}: {expected}");
        }
    }

    #[test]
    fn javas_own_properties_pass_without_a_word() {
        let flags = [("java.net.preferIPv4Stack", "true"), ("logback.configurationFile", "x")];
        let (_, notices) = resolve("", &flags);
        assert_eq!(notices, Vec::<String>::new());
    }

    #[test]
    fn comments_are_cut_refused_or_kept_by_kind() {
        let (settings, _) = resolve(
            "clientPort=2181\t#c\nserver.1=a:1:2 # c\nskipACL=yes #c\nmain=a # b\n\
             4lw.commands.whitelist=ruok, srvr # c\nDigestAuthenticationProvider.superDigest=a#b",
            &[],
        );
        assert_eq!(value(&settings, "clientPort").as_deref(), Some("2181"));
        assert_eq!(value(&settings, "skipACL").as_deref(), Some("yes"));
        assert_eq!(value(&settings, "main").as_deref(), Some("a # b"));
        assert_eq!(value(&settings, "4lw.commands.whitelist").as_deref(), Some("ruok, srvr"));
        assert_eq!(
            value(&settings, "DigestAuthenticationProvider.superDigest").as_deref(),
            Some("a#b")
        );
        let members: Vec<_> =
            settings.membership().map(|(name, setting)| (name, setting.value.as_str())).collect();
        assert_eq!(members, [("server.1", "a:1:2")]);

        let file = ConfigFile::parse(Path::new("zoo.cfg"), b"tickTime=1\ndataDir=/x\t\t#comment")
            .expect("parses");
        let refused = Settings::resolve(Some(&file), &[], &mut Vec::new()).expect_err("refused");
        assert_eq!((refused.line, refused.exit_code), (Some(2), 2));
        assert_eq!(refused.remedy, "write dataDir=/x and move the comment to its own line");
    }
}
