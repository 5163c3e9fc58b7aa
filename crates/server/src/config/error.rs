//! What a wrong configuration looks like to the person who wrote it.
//!
//! Apache prints one short line by exit code and hides the cause in its log (operations.md 1.2).
//! Here the short line comes first, unchanged, because service managers and runbooks look for it; the
//! cause follows with file, line, key, value and remedy.

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// The process exit codes a configuration can lead to (operations.md 1.2).
pub mod exit_code {
    /// Any other exception: unknown class name, my id not in the list.
    pub const OTHER: i32 = 1;
    /// The configuration or the command line is wrong.
    pub const CONFIG: i32 = 2;
    /// The data directory cannot be used.
    pub const DATADIR: i32 = 3;
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of the static or the dynamic file.
    File {
        /// The file as named by the user.
        path: PathBuf,
        /// First line of the entry, from 1.
        line: u32,
    },
    /// `-Dname=value` on the command line or in `SERVER_JVMFLAGS` / `JVMFLAGS`.
    Flag,
    /// A positional argument (`server <port> <dataDir>`).
    Argument,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Flag => f.write_str("-D"),
            Origin::Argument => f.write_str("argument"),
        }
    }
}

/// The first line on stderr, chosen by the kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Headline {
    Config,
    Usage,
    DataDir,
    None,
}

/// A refusal to start; see [`Fault`] for what it tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(Box<Fault>);

impl Deref for ConfigError {
    type Target = Fault;

    fn deref(&self) -> &Fault {
        &self.0
    }
}

/// Everything needed to mend a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file at fault, when there is one.
    pub file: Option<PathBuf>,
    /// The line in that file, from 1.
    pub line: Option<u32>,
    /// The key at fault.
    pub key: Option<String>,
    /// Its value; `***` for secrets.
    pub value: Option<String>,
    /// What is wrong, in Apache's words where Apache has some.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    /// The process exit code, as Apache's.
    pub exit_code: i32,
    headline: Headline,
}

impl ConfigError {
    /// A mistake in the configuration: exit code 2.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(message.into(), exit_code::CONFIG, Headline::Config)
    }

    /// A mistake on the command line: exit code 2 and Apache's usage line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(message.into(), exit_code::CONFIG, Headline::Usage)
    }

    /// A data directory that is missing or cannot be written: exit code 3.
    pub fn datadir(message: impl Into<String>) -> Self {
        Self::new(message.into(), exit_code::DATADIR, Headline::DataDir)
    }

    /// Everything Apache meets with "Unexpected exception": exit code 1, no short line.
    pub fn other(message: impl Into<String>) -> Self {
        Self::new(message.into(), exit_code::OTHER, Headline::None)
    }

    fn new(message: String, exit_code: i32, headline: Headline) -> Self {
        Self(Box::new(Fault {
            file: None,
            line: None,
            key: None,
            value: None,
            message,
            remedy: String::new(),
            exit_code,
            headline,
        }))
    }

    /// Names the key and its value.
    #[must_use]
    pub fn at(mut self, key: &str, value: &str, origin: &Origin) -> Self {
        self.0.key = Some(key.to_owned());
        self.0.value = Some(value.to_owned());
        if let Origin::File { path, line } = origin {
            self.0.file = Some(path.clone());
            self.0.line = Some(*line);
        }
        self
    }

    /// Names the file only.
    #[must_use]
    pub fn in_file(mut self, path: &Path) -> Self {
        self.0.file = Some(path.to_owned());
        self
    }

    /// Names the line in the file.
    #[must_use]
    pub fn on_line(mut self, line: u32) -> Self {
        self.0.line = Some(line);
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = remedy.into();
        self
    }

    /// Apache's short stderr line, when it prints one for this exit code.
    pub fn headline(&self) -> Option<&'static str> {
        match self.headline {
            Headline::Config => Some("Invalid config, exiting abnormally"),
            Headline::Usage => {
                Some("Usage: ZooKeeperServerMain configfile | port datadir [ticktime] [maxcnxns]")
            }
            Headline::DataDir => Some("Unable to access datadir, exiting abnormally"),
            Headline::None => None,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(headline) = self.headline() {
            writeln!(f, "{headline}")?;
        }
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
            f.write_str(": ")?;
        }
        if let (Some(key), Some(value)) = (&self.key, &self.value) {
            write!(f, "{key}={value}: ")?;
        }
        f.write_str(&self.message)?;
        if !self.remedy.is_empty() {
            write!(f, "\n  remedy: {}", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// How loud a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Something was ignored, stripped or defaulted.
    Warn,
    /// Apache logs it as an error and goes on.
    Error,
}

/// Something to tell the operator that does not stop the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How loud.
    pub severity: Severity,
    /// The sentence.
    pub text: String,
}

impl Notice {
    /// A plain remark.
    pub fn info(text: impl Into<String>) -> Self {
        Self { severity: Severity::Info, text: text.into() }
    }

    /// Something was ignored, stripped or defaulted.
    pub fn warn(text: impl Into<String>) -> Self {
        Self { severity: Severity::Warn, text: text.into() }
    }

    /// Apache's level ERROR; the start goes on all the same.
    pub fn error(text: impl Into<String>) -> Self {
        Self { severity: Severity::Error, text: text.into() }
    }
}
