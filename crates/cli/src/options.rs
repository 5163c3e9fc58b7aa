//! The options of a command, with the rules and error texts of the parser Apache's shell uses
//! (observed on 3.9.5): options anywhere on the line, `-sw` for `-s -w`, `-v5` and `-v=5` for
//! `-v 5`, `--` ends them, negative numbers are values.

use crate::failure::Failure;

/// One option: its name without the dash, and whether a value follows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    pub(crate) takes_value: bool,
    /// What it does, for the table printed with the usage; options without it are not in the table.
    pub(crate) about: &'static str,
}

/// A flag.
pub(crate) const fn flag(name: &'static str) -> Spec {
    Spec { name, takes_value: false, about: "" }
}

/// An option with a value.
pub(crate) const fn value(name: &'static str) -> Spec {
    Spec { name, takes_value: true, about: "" }
}

impl Spec {
    pub(crate) const fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }
}

/// A command's words, sorted out.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    options: Vec<(&'static str, Option<String>)>,
    /// The other words; the command's name first.
    pub(crate) args: Vec<String>,
}

impl Parsed {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(known, _)| *known == name)
    }

    /// The value of an option, the first one when it was given several times.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(known, _)| *known == name)?.1.as_deref()
    }

    /// All values of an option.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.options.iter().filter(move |(known, _)| *known == name).filter_map(|o| o.1.as_deref())
    }

    /// The argument at a position; 0 is the command's name.
    pub(crate) fn arg(&self, at: usize) -> Option<&str> {
        self.args.get(at).map(String::as_str)
    }
}

fn exception(name: &str, text: &str) -> Failure {
    Failure::new(format!("org.apache.commons.cli.{name}: {text}"))
}

/// Sorts out a command's words. Of the options in `exclusive` at most one may be given.
pub(crate) fn parse(
    words: &[String],
    specs: &[Spec],
    exclusive: &[&str],
) -> Result<Parsed, Failure> {
    let mut parser = Parser { specs, exclusive, parsed: Parsed::default(), wanting: None };
    let mut only_args = false;
    for word in words {
        if only_args {
            parser.parsed.args.push(word.clone());
        } else if word == "--" {
            only_args = true;
        } else if parser.wanting.is_some() && parser.is_value(word) {
            parser.fill(word);
        } else if word.len() > 1 && word.starts_with('-') {
            parser.option(word)?;
        } else {
            parser.parsed.args.push(word.clone());
        }
    }
    parser.nothing_wanting()?;
    Ok(parser.parsed)
}

struct Parser<'a> {
    specs: &'a [Spec],
    exclusive: &'a [&'a str],
    parsed: Parsed,
    /// The option whose value is still missing, always the last one of `parsed`.
    wanting: Option<&'static str>,
}

impl Parser<'_> {
    fn spec(&self, name: &str) -> Option<Spec> {
        self.specs.iter().find(|spec| spec.name == name).copied()
    }

    /// Whether a word can be a value: anything but a known option, and negative numbers.
    fn is_value(&self, word: &str) -> bool {
        let Some(rest) = word.strip_prefix('-') else { return true };
        if rest.is_empty() || word.parse::<f64>().is_ok() {
            return true;
        }
        let name = rest.split_once('=').map_or(rest, |(name, _)| name);
        let first = name.chars().next().map(String::from).unwrap_or_default();
        self.spec(name).is_none() && self.spec(&first).is_none()
    }

    fn fill(&mut self, text: &str) {
        if let Some((_, value)) = self.parsed.options.last_mut() {
            *value = Some(text.to_owned());
        }
        self.wanting = None;
    }

    fn nothing_wanting(&self) -> Result<(), Failure> {
        match self.wanting {
            Some(name) => Err(exception(
                "MissingArgumentException",
                &format!("Missing argument for option: {name}"),
            )),
            None => Ok(()),
        }
    }

    fn add(&mut self, spec: Spec) -> Result<(), Failure> {
        self.nothing_wanting()?;
        let chosen = self
            .exclusive
            .iter()
            .find(|name| **name != spec.name && self.parsed.has(name))
            .filter(|_| self.exclusive.contains(&spec.name));
        if let Some(chosen) = chosen {
            return Err(exception(
                "AlreadySelectedException",
                &format!(
                    "The option '{}' was specified but an option from this group has already been \
                     selected: '{chosen}'",
                    spec.name
                ),
            ));
        }
        self.parsed.options.push((spec.name, None));
        self.wanting = spec.takes_value.then_some(spec.name);
        Ok(())
    }

    fn option(&mut self, word: &str) -> Result<(), Failure> {
        let name = word.trim_start_matches('-');
        if let Some(spec) = self.spec(name) {
            return self.add(spec);
        }
        if let Some((name, text)) = name.split_once('=')
            && let Some(spec) = self.spec(name)
            && spec.takes_value
        {
            self.add(spec)?;
            self.fill(text);
            return Ok(());
        }
        self.cluster(word, name)
    }

    /// Several flags in one word, the last one perhaps with its value attached.
    fn cluster(&mut self, word: &str, name: &str) -> Result<(), Failure> {
        for (at, letter) in name.char_indices() {
            let Some(spec) = self.spec(letter.encode_utf8(&mut [0; 4])) else {
                return Err(unrecognized(word));
            };
            self.add(spec)?;
            let rest = &name[at + letter.len_utf8()..];
            if spec.takes_value && !rest.is_empty() {
                self.fill(rest);
                return Ok(());
            }
        }
        if name.is_empty() { Err(unrecognized(word)) } else { Ok(()) }
    }
}

fn unrecognized(word: &str) -> Failure {
    let failure = exception("UnrecognizedOptionException", &format!("Unrecognized option: {word}"));
    if word.parse::<f64>().is_ok() {
        return failure.with_hint("A value that begins with '-' needs '--' before it.");
    }
    failure
}

/// The table of options that two commands print below their usage.
pub(crate) fn table(specs: &[Spec]) -> String {
    // What Apache's shell does not have is not in its tables.
    let mut sorted: Vec<&Spec> = specs.iter().filter(|spec| !spec.about.is_empty()).collect();
    sorted.sort_by_key(|spec| spec.name);
    let left = |spec: &Spec| {
        let value = if spec.takes_value { " <arg>" } else { "" };
        format!(" -{}{value}", spec.name)
    };
    let width = sorted.iter().map(|spec| left(spec).len()).max().unwrap_or(0) + 3;
    sorted.iter().map(|spec| format!("{:<width$}{}\n", left(spec), spec.about)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: &[Spec] = &[flag("s"), flag("e"), value("v"), value("members")];

    fn run(line: &str) -> Result<Parsed, String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        parse(&words, SPECS, &["s", "e"]).map_err(|failure| failure.text)
    }

    #[test]
    fn values_and_arguments() {
        for line in ["set -v 5 /a", "set /a -v5", "set -v=5 /a", "set /a -v 5"] {
            let parsed = run(line).unwrap();
            assert_eq!((parsed.value("v"), parsed.arg(1)), (Some("5"), Some("/a")), "{line}");
        }
        assert_eq!(run("x -v -1").unwrap().value("v"), Some("-1"));
        assert_eq!(run("x -members a=b -v 1").unwrap().value("members"), Some("a=b"));
        assert_eq!(run("x -- -s").unwrap().args, ["x", "-s"]);
        assert_eq!(run("x -").unwrap().args, ["x", "-"]);
    }

    #[test]
    fn errors_in_the_words_of_the_original() {
        let text = |line: &str| run(line).unwrap_err();
        let prefix = "org.apache.commons.cli.";
        assert_eq!(
            text("x -z"),
            format!("{prefix}UnrecognizedOptionException: Unrecognized option: -z")
        );
        assert_eq!(
            text("x -5"),
            format!("{prefix}UnrecognizedOptionException: Unrecognized option: -5")
        );
        assert_eq!(
            text("x -v"),
            format!("{prefix}MissingArgumentException: Missing argument for option: v")
        );
        assert_eq!(
            text("x -v -s"),
            format!("{prefix}MissingArgumentException: Missing argument for option: v")
        );
        assert!(text("x -se").contains(
            "The option 'e' was specified but an option from this group has already been selected: 's'"
        ));
    }

    proptest::proptest! {
        #[test]
        fn any_words_parse_or_fail(words: Vec<String>) {
            let _ = parse(&words, SPECS, &["s"]);
        }
    }
}
