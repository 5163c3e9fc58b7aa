//! The command line: the options of Apache's shell before the command, and `-Dname=value` as a JVM
//! would take it.

use std::collections::BTreeMap;

/// What the command line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) servers: String,
    pub(crate) timeout: String,
    pub(crate) read_only: bool,
    pub(crate) client_configuration: Option<String>,
    pub(crate) wait_for_connection: bool,
    /// `-Dname=value`.
    pub(crate) properties: BTreeMap<String, String>,
    /// The command of a one-shot run.
    pub(crate) command: Vec<String>,
    /// An option whose value is missing.
    pub(crate) missing: Option<String>,
    /// `--help`, ours.
    pub(crate) wants_help: bool,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            servers: "localhost:2181".to_owned(),
            timeout: "30000".to_owned(),
            read_only: false,
            client_configuration: None,
            wait_for_connection: false,
            properties: BTreeMap::new(),
            command: Vec::new(),
            missing: None,
            wants_help: false,
        }
    }
}

/// Reads the command line. Unknown options are ignored, as by Apache's shell.
pub(crate) fn parse(words: impl Iterator<Item = String>) -> Arguments {
    let mut arguments = Arguments::default();
    let mut words = words;
    while let Some(word) = words.next() {
        let target = match word.as_str() {
            "-server" => &mut arguments.servers,
            "-timeout" => &mut arguments.timeout,
            "-client-configuration" => arguments.client_configuration.get_or_insert_default(),
            "-r" => {
                arguments.read_only = true;
                continue;
            }
            "-h" | "-help" | "--help" => {
                arguments.wants_help = true;
                continue;
            }
            "-waitforconnection" => {
                arguments.wait_for_connection = true;
                continue;
            }
            other => {
                if let Some(property) = other.strip_prefix("-D") {
                    let (name, value) = property.split_once('=').unwrap_or((property, ""));
                    arguments.properties.insert(name.to_owned(), value.to_owned());
                } else if !other.starts_with('-') {
                    arguments.command.push(word);
                    arguments.command.extend(words);
                    return arguments;
                }
                continue;
            }
        };
        match words.next() {
            Some(value) => *target = value,
            None => {
                if word == "-client-configuration" {
                    arguments.client_configuration = None;
                }
                arguments.missing = Some(word);
                return arguments;
            }
        }
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Arguments {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_end_at_the_command() {
        let arguments = run("-server a:1,b:2/x -timeout 5 -r -foo -Dx.y=z ls -R -server /");
        assert_eq!(arguments.servers, "a:1,b:2/x");
        assert_eq!(arguments.timeout, "5");
        assert!(arguments.read_only);
        assert_eq!(arguments.properties["x.y"], "z");
        assert_eq!(arguments.command, ["ls", "-R", "-server", "/"]);
    }

    #[test]
    fn a_missing_value_leaves_the_default() {
        let arguments = run("-r -server");
        assert_eq!(arguments.missing.as_deref(), Some("-server"));
        assert_eq!(arguments.servers, "localhost:2181");
    }
}
