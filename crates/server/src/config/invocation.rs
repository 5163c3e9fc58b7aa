//! The command line of `rookeeper server`, as start scripts written for Apache use it.
//!
//! `[-Dname=value ...] [zoo.cfg | <port> <dataDir> [tickTime] [maxCnxns]]` with `-D` anywhere, JVM
//! options accepted and ignored, and Apache's main class names ignored as arguments so that a script
//! named `java` can hand its line over. Without arguments: a server for this machine only.
//! Source: operations.md 1.1, 1.7, 10.15.

use std::ffi::OsString;
use std::path::PathBuf;

use super::error::{ConfigError, Notice};

/// What to run with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nothing given: loopback, port 2181, data in `./rookeeper-data`.
    Local,
    /// A configuration file.
    File(PathBuf),
    /// Apache's short form; `maxClientCnxns` is unlimited unless given.
    PortAndDir {
        /// Client port.
        port: i32,
        /// Data directory.
        data_dir: PathBuf,
        /// `tickTime`.
        tick_time_ms: Option<i32>,
        /// `maxClientCnxns`.
        max_client_cnxns: Option<i32>,
    },
}

/// A parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// What to run with.
    pub target: Target,
    /// The `-D` list in order; the last of a name counts.
    pub properties: Vec<(String, String)>,
    /// JVM options that were ignored.
    pub jvm_options: Vec<String>,
    /// Only check the configuration and print what it comes to.
    pub check: bool,
    /// Only print [`HELP`]; nothing else of the line counts.
    pub help: bool,
}

/// What `rookeeper server --help` prints.
pub const HELP: &str = "\
Runs a server

Usage: rookeeper server [options] [zoo.cfg | <port> <dataDir> [tickTime] [maxClientCnxns]]

  (nothing)        a server for this machine only: port 2181, data in ./rookeeper-data
  zoo.cfg          a configuration file, of one server or of a member of an ensemble
  <port> ...       one server, open to the network

Options:
  -Dname=value     a system property of ZooKeeper's, as in SERVER_JVMFLAGS; the last of a name counts
  --check          read the configuration, print what it comes to, and end
  -h, --help       print this

A JVM's own options are accepted and have no effect. RUST_LOG chooses what is logged (default info).
The server runs until SIGTERM or SIGINT. Exit codes: 0 was asked to stop, 1 unexpected, 2 wrong
configuration, 3 unusable data directory, 14 an election port that stays taken.
";

/// The directory used when nothing is said.
pub const LOCAL_DATA_DIR: &str = "./rookeeper-data";
/// The port used when nothing is said.
pub const LOCAL_PORT: u16 = 2181;
/// The addresses used when nothing is said: this machine, both families.
pub const LOCAL_ADDRESSES: [&str; 2] = ["127.0.0.1", "::1"];

impl Invocation {
    /// Parses the arguments behind `rookeeper server`.
    ///
    /// # Errors
    /// For options nobody knows and a wrong number of arguments, with Apache's usage line.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, ConfigError> {
        let mut parsed = Scan::default();
        let args: Vec<OsString> = args.into_iter().collect();
        if args.iter().any(|arg| arg == "--help" || arg == "-h") {
            let (properties, jvm_options) = (Vec::new(), Vec::new());
            let target = Target::Local;
            return Ok(Self { target, properties, jvm_options, check: false, help: true });
        }
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            match arg.to_str() {
                Some(text) if text.starts_with('-') && text.len() > 1 => {
                    if !parsed.option(text, &mut args) {
                        return Err(unknown_option(text));
                    }
                }
                Some(text) if is_main_class(text) => {}
                _ => parsed.positional.push(arg),
            }
        }
        Ok(Self {
            target: target(parsed.positional)?,
            properties: parsed.properties,
            jvm_options: parsed.jvm_options,
            check: parsed.check,
            help: false,
        })
    }

    /// Puts the options of `SERVER_JVMFLAGS` and `JVMFLAGS` before those of the command line, in
    /// the order the scripts build it, so that a later one wins.
    #[must_use]
    pub fn with_environment(mut self, server_jvmflags: &str, jvmflags: &str) -> Self {
        let mut parsed = Scan::default();
        let mut words = shell_words(server_jvmflags);
        words.extend(shell_words(jvmflags));
        let mut words = words.into_iter().map(OsString::from);
        while let Some(word) = words.next() {
            let word = word.to_string_lossy().into_owned();
            // Whatever else stands there was for a JVM.
            if !parsed.option(&word, &mut words) {
                parsed.jvm_options.push(word);
            }
        }
        parsed.properties.append(&mut self.properties);
        parsed.jvm_options.append(&mut self.jvm_options);
        self.properties = parsed.properties;
        self.jvm_options = parsed.jvm_options;
        self
    }

    /// What to tell whoever started the server without a configuration.
    pub fn notes(&self) -> Vec<Notice> {
        if self.target != Target::Local {
            return Vec::new();
        }
        vec![
            Notice::info(format!(
                "no configuration given: serving this machine only, on 127.0.0.1 and ::1 port \
                 {LOCAL_PORT}, data in {LOCAL_DATA_DIR}, admin server off"
            )),
            Notice::info(format!(
                "to open it to the network: rookeeper server {LOCAL_PORT} {LOCAL_DATA_DIR}, or \
                 write a zoo.cfg (see conf/zoo_sample.cfg) and run rookeeper server zoo.cfg"
            )),
        ]
    }
}

#[derive(Default)]
struct Scan {
    positional: Vec<OsString>,
    properties: Vec<(String, String)>,
    jvm_options: Vec<String>,
    check: bool,
}

impl Scan {
    /// Takes one option and the words that belong to it; false when nobody knows it.
    fn option(&mut self, text: &str, rest: &mut impl Iterator<Item = OsString>) -> bool {
        if let Some(property) = text.strip_prefix("-D") {
            let (name, value) = property.split_once('=').unwrap_or((property, ""));
            self.properties.push((name.to_owned(), value.to_owned()));
        } else if text == "--check" {
            self.check = true;
        } else if TAKES_A_WORD.contains(&text) {
            // A class path says nothing to us: not even worth showing.
            let _ = rest.next();
            self.jvm_options.push(text.to_owned());
        } else if JVM_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
            || JVM_WORDS.contains(&text)
        {
            self.jvm_options.push(text.to_owned());
        } else {
            return false;
        }
        true
    }
}

const TAKES_A_WORD: [&str; 8] = [
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--add-opens",
    "--add-exports",
    "--add-modules",
];
const JVM_PREFIXES: [&str; 14] = [
    "-X",
    "-ea",
    "-da",
    "-esa",
    "-dsa",
    "-enableassertions",
    "-disableassertions",
    "-javaagent:",
    "-agentlib:",
    "-agentpath:",
    "-verbose",
    "--add-",
    "--class-path=",
    "--illegal-access",
];
const JVM_WORDS: [&str; 4] = ["-server", "-client", "-d64", "--enable-preview"];

fn is_main_class(text: &str) -> bool {
    matches!(
        text,
        "org.apache.zookeeper.server.quorum.QuorumPeerMain"
            | "org.apache.zookeeper.server.ZooKeeperServerMain"
            | "QuorumPeerMain"
    )
}

fn unknown_option(text: &str) -> ConfigError {
    ConfigError::usage(format!("unknown option {text}")).remedy(
        "server options are -Dname=value, --check and --help; everything else goes into the file",
    )
}

fn target(positional: Vec<OsString>) -> Result<Target, ConfigError> {
    let count = positional.len();
    let mut words = positional.into_iter();
    match (words.next(), words.next()) {
        (None, _) => Ok(Target::Local),
        (Some(file), None) => Ok(Target::File(file.into())),
        (Some(port), Some(data_dir)) if count <= 4 => Ok(Target::PortAndDir {
            port: whole_number(port, "port")?,
            data_dir: data_dir.into(),
            tick_time_ms: words.next().map(|word| whole_number(word, "tickTime")).transpose()?,
            max_client_cnxns: words
                .next()
                .map(|word| whole_number(word, "maxClientCnxns"))
                .transpose()?,
        }),
        _ => Err(ConfigError::usage(format!("Invalid number of arguments: {count}"))
            .remedy("give a configuration file, or <port> <dataDir> [tickTime] [maxCnxns]")),
    }
}

fn whole_number(word: OsString, name: &str) -> Result<i32, ConfigError> {
    let text = word.to_string_lossy();
    text.parse().map_err(|_| {
        ConfigError::usage(format!("{name}: For input string: \"{text}\""))
            .remedy("with two to four arguments these are <port> <dataDir> [tickTime] [maxCnxns]")
    })
}

/// Words of a flags variable: blanks separate, quotes keep together.
fn shell_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &str) -> Result<Invocation, ConfigError> {
        Invocation::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_forms_people_use() {
        let parsed = parse("").expect("valid");
        assert_eq!(parsed.target, Target::Local);
        assert!(parsed.notes().iter().any(|note| note.text.contains("127.0.0.1")));
        assert_eq!(parse("zoo.cfg").expect("valid").target, Target::File("zoo.cfg".into()));
        let short = |tick_time_ms, max_client_cnxns| Target::PortAndDir {
            port: 2181,
            data_dir: "/d".into(),
            tick_time_ms,
            max_client_cnxns,
        };
        assert_eq!(parse("2181 /d").expect("valid").target, short(None, None));
        assert_eq!(parse("2181 /d 100").expect("valid").target, short(Some(100), None));
        assert_eq!(parse("2181 /d 100 7").expect("valid").target, short(Some(100), Some(7)));
        assert!(parse("zoo.cfg --check").expect("valid").check);
    }

    #[test]
    fn a_whole_java_line_is_accepted() {
        let parsed = parse(
            "-Dzookeeper.log.dir=/l -Xmx1000m -XX:+HeapDumpOnOutOfMemoryError -cp /a:/b -server \
             -Dzookeeper.snapCount=5 org.apache.zookeeper.server.quorum.QuorumPeerMain zoo.cfg \
             -Dzookeeper.snapCount=6 -Dflag",
        )
        .expect("valid");
        assert_eq!(parsed.target, Target::File("zoo.cfg".into()));
        let properties: Vec<(&str, &str)> =
            parsed.properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            properties,
            [
                ("zookeeper.log.dir", "/l"),
                ("zookeeper.snapCount", "5"),
                ("zookeeper.snapCount", "6"),
                ("flag", "")
            ]
        );
        assert_eq!(
            parsed.jvm_options,
            ["-Xmx1000m", "-XX:+HeapDumpOnOutOfMemoryError", "-cp", "-server"]
        );
    }

    #[test]
    fn the_environment_comes_first() {
        let parsed = parse("-Da=3 zoo.cfg")
            .expect("valid")
            .with_environment("-Da=1 -Xms1g '-Db=x y'", "\"-Da=2\" -cp /x oops");
        let properties: Vec<String> =
            parsed.properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(properties, ["a=1", "b=x y", "a=2", "a=3"]);
        assert_eq!(parsed.jvm_options, ["-Xms1g", "-cp", "oops"]);
    }

    #[test]
    fn help_is_given_whatever_else_is_said() {
        for line in ["--help", "-h", "zoo.cfg --check -h", "--nonsense --help", "1 2 3 4 5 -h"] {
            assert!(parse(line).expect(line).help);
        }
        assert!(!parse("zoo.cfg").expect("valid").help);
    }

    #[test]
    fn mistakes_get_the_usage_line() {
        for line in ["--nonsense", "x /d", "1 /d y", "1 /d 2 z", "1 2 3 4 5"] {
            let error = parse(line).expect_err(line);
            assert_eq!(error.exit_code, 2);
            assert_eq!(
                error.headline(),
                Some("Usage: ZooKeeperServerMain configfile | port datadir [ticktime] [maxcnxns]")
            );
        }
    }

    proptest! {
        #[test]
        fn arbitrary_words_never_panic(
            words in proptest::collection::vec(".{0,12}", 0..6),
            env in ".{0,40}",
        ) {
            if let Ok(parsed) = Invocation::parse(words.into_iter().map(OsString::from)) {
                let _ = parsed.with_environment(&env, &env);
            }
        }
    }
}
