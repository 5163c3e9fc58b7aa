//! The one table of every configuration key and system property.
//!
//! Everything else derives from it: how a value is read, its default, whether it does anything here,
//! the nearest-key hint for a misspelt one, the effective-configuration listing, and the rows of
//! COMPAT.md (a test holds the two together). Source: operations.md 1.3, 1.6, 3.1, 4.3 and 6.

use super::key_table::TABLE;

/// Where a key may be written (operations.md 1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Read by the configuration parser: in the file only, `-D` does not reach it.
    File,
    /// As `File`, and `-Dzookeeper.<name>` counts when the file is silent.
    FileOrProperty,
    /// System property `zookeeper.<name>`: as `<name>` in the file or `-Dzookeeper.<name>`.
    Property,
    /// As `Property`, and `-D<name>` without the prefix is consulted too, after the prefixed one.
    PropertyAlias,
    /// A system property without the prefix: `-D<name>` only, the file cannot set it.
    Flag,
}

/// What a value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// `yes` or `no`.
    YesNo,
    /// 32-bit integer.
    Int,
    /// 64-bit integer.
    Long,
    /// Decimal fraction.
    Float,
    /// One of a few words.
    Choice,
    /// A host name or address.
    Host,
    /// A file or directory.
    Path,
    /// A Java class name.
    Class,
    /// Names separated by commas.
    List,
    /// Free text, a `#` may belong to it.
    Text,
    /// Free text that must not be shown.
    Secret,
    /// A membership line (`server.N`, `group.N`, `weight.N`).
    Membership,
}

impl Kind {
    /// Whether a blank followed by `#` can only be a comment in such a value.
    pub fn has_no_blanks(self) -> bool {
        !matches!(self, Kind::Path | Kind::Text | Kind::Secret | Kind::List)
    }
}

/// The part of the server a key belongs to that is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// TLS, SASL, X509, enforcement, audit log.
    Security,
    /// Anything that needs several servers.
    Ensemble,
    /// The HTTP admin server and metrics exporters.
    Admin,
    /// Periodic logs and message dumps.
    Diagnostics,
}

impl Area {
    /// The word used in messages and in COMPAT.md.
    pub fn name(self) -> &'static str {
        match self {
            Area::Security => "security",
            Area::Ensemble => "ensemble",
            Area::Admin => "admin",
            Area::Diagnostics => "diagnostics",
        }
    }
}

/// What a key does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It works.
    Acts,
    /// It works, and Apache has no such key.
    Own,
    /// Tunes the JVM or Apache's threads: accepted, one warning, no effect.
    JvmOnly,
    /// Apache's test hooks, client-side properties and script markers: accepted without a word.
    Silent,
    /// Accepted with a warning that names the area.
    NotYet(Area),
    /// Set so that it protects, it refuses to start by name until the security work is there.
    Protects,
}

impl Action {
    /// The third column of the key's row in COMPAT.md.
    pub fn compat(self) -> String {
        match self {
            Action::Acts => "same".to_owned(),
            Action::Own => "more: Apache has no such key".to_owned(),
            Action::JvmOnly => "different: accepted with one warning, no effect".to_owned(),
            Action::Silent => "different: accepted silently, no effect".to_owned(),
            Action::NotYet(Area::Ensemble) => {
                "not yet (ensemble): accepted, with a warning in an ensemble".to_owned()
            }
            Action::NotYet(area) => format!("not yet ({}): accepted with a warning", area.name()),
            Action::Protects => "not yet (security): refuses to start when it protects".to_owned(),
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The name without `zookeeper.`; ends in `*` for a family.
    pub name: &'static str,
    /// Where it may be written.
    pub place: Place,
    /// What a value must look like.
    pub kind: Kind,
    /// The default as one would write it; empty for "not set".
    pub default: &'static str,
    /// What it does here.
    pub action: Action,
    /// One line of explanation.
    pub doc: &'static str,
}

impl Key {
    /// Whether this row stands for a family such as `authProvider.*`.
    pub fn is_family(&self) -> bool {
        self.name.ends_with('*')
    }

    /// The full name of the system property; `None` for keys only the file can hold.
    pub fn property(&self) -> Option<String> {
        match self.place {
            Place::File => None,
            Place::Flag => Some(self.name.to_owned()),
            Place::FileOrProperty | Place::Property | Place::PropertyAlias => {
                Some(format!("zookeeper.{}", self.name))
            }
        }
    }

    /// Whether the configuration parser owns it, so that a bad value in the file refuses the start.
    pub fn is_strict(&self) -> bool {
        matches!(self.place, Place::File | Place::FileOrProperty)
    }

    /// The spelling in messages and in COMPAT.md: `-Dname` for what only a flag can set.
    pub fn spelling(&self) -> String {
        match self.place {
            Place::Flag => format!("-D{}", self.name),
            _ => self.name.to_owned(),
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => self.name == name,
        }
    }
}

/// All rows, in the order of the documentation.
pub fn all() -> &'static [Key] {
    TABLE
}

/// The row for a name as written in the file; exact names win over families, longer families over
/// shorter ones.
pub fn find(name: &str) -> Option<&'static Key> {
    TABLE
        .iter()
        .filter(|key| key.place != Place::Flag && key.matches(name))
        .max_by_key(|key| (!key.is_family(), key.name.len()))
}

/// The row for the full name of a system property as given with `-D`.
pub fn find_property(property: &str) -> Option<&'static Key> {
    let unprefixed = TABLE.iter().find(|key| {
        matches!(key.place, Place::Flag | Place::PropertyAlias) && key.matches(property)
    });
    unprefixed.or_else(|| {
        let name = property.strip_prefix("zookeeper.")?;
        find(name).filter(|key| key.place != Place::File)
    })
}

/// The key most like a misspelt one, if any is close enough to be meant.
pub fn nearest(name: &str) -> Option<&'static Key> {
    // Bounded: nobody means a known key with a name this long.
    if name.len() > 80 {
        return None;
    }
    let lower = name.to_lowercase();
    let allowed = (name.chars().count() / 4).clamp(1, 4);
    TABLE
        .iter()
        .filter(|key| !key.is_family())
        .map(|key| (edit_distance(&lower, &key.name.to_lowercase()), key))
        .filter(|&(distance, _)| distance <= allowed)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, key)| key)
}

/// Insertions, deletions, substitutions and swaps of neighbours.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let width = right.len() + 1;
    let mut before: Vec<usize> = vec![0; width];
    let mut above: Vec<usize> = (0..width).collect();
    let mut previous_left = None;
    for (row, l) in left.chars().enumerate() {
        let mut current = Vec::with_capacity(width);
        current.push(row + 1);
        for (column, &r) in right.iter().enumerate() {
            let cell = |line: &[usize], at: usize| line.get(at).copied().unwrap_or(usize::MAX / 2);
            let substitution = cell(&above, column) + usize::from(l != r);
            let mut best =
                substitution.min(cell(&above, column + 1) + 1).min(cell(&current, column) + 1);
            let previous_right = column.checked_sub(1).and_then(|at| right.get(at).copied());
            if previous_left == Some(r) && previous_right == Some(l) {
                best = best.min(cell(&before, column - 1) + 1);
            }
            current.push(best);
        }
        before = above;
        above = current;
        previous_left = Some(l);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_per_spelling() {
        let mut seen = BTreeSet::new();
        for key in all() {
            assert!(seen.insert(key.spelling()), "{} twice", key.name);
            assert!(!key.doc.is_empty() && !key.doc.contains('|'), "{}", key.name);
        }
    }

    #[test]
    fn every_default_reads_as_its_kind() {
        for key in all().iter().filter(|key| !key.default.is_empty()) {
            let fits = match key.kind {
                Kind::Bool => matches!(key.default, "true" | "false"),
                Kind::YesNo => matches!(key.default, "yes" | "no"),
                Kind::Int => key.default.parse::<i32>().is_ok(),
                Kind::Long => key.default.parse::<i64>().is_ok(),
                Kind::Float => key.default.parse::<f64>().is_ok(),
                _ => true,
            };
            assert!(fits, "{}={}", key.name, key.default);
        }
    }

    #[test]
    fn finds_exact_names_before_families() {
        assert_eq!(find("ssl.clientAuth").map(|key| key.name), Some("ssl.clientAuth"));
        assert_eq!(find("ssl.quorum.crl").map(|key| key.name), Some("ssl.quorum.*"));
        assert_eq!(find("ssl.keyStore.type").map(|key| key.name), Some("ssl.keyStore.type"));
        assert_eq!(find("server.12").map(|key| key.name), Some("server.*"));
        assert!(find("jute.maxbuffer").is_none(), "the file cannot set it");
        assert!(find_property("jute.maxbuffer").is_some());
        assert!(find_property("zookeeper.jute.maxbuffer").is_none());
        assert!(find_property("zookeeper.tickTime").is_none(), "-D does not reach parser keys");
        assert!(find_property("fsync.warningthresholdms").is_some());
    }

    #[test]
    fn names_the_nearest_key() {
        let cases = [
            ("tikcTime", Some("tickTime")),
            ("ticktime", Some("tickTime")),
            ("datadir", Some("dataDir")),
            ("maxClientCnxn", Some("maxClientCnxns")),
            ("autopurge.snapRetaincount", Some("autopurge.snapRetainCount")),
            ("4lw.command.whitelist", Some("4lw.commands.whitelist")),
            ("foo", None),
            ("my.own.setting", None),
        ];
        for (given, expected) in cases {
            assert_eq!(nearest(given).map(|key| key.name), expected, "{given}");
        }
    }
}
