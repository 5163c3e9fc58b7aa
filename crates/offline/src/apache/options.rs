//! Options as Commons CLI's default parser takes them: `-l x`, `-lx`, `--left x`, `--left=x`, `-left x`,
//! short flags together (`-rv`), `--` before plain words; plain words may stand anywhere.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};

/// An option: its short and long name, and whether a value follows.
pub(super) struct Spec {
    pub(super) short: char,
    pub(super) long: &'static str,
    pub(super) has_value: bool,
}

pub(super) const fn flag(short: char, long: &'static str) -> Spec {
    Spec { short, long, has_value: false }
}

pub(super) const fn value(short: char, long: &'static str) -> Spec {
    Spec { short, long, has_value: true }
}

/// What was given.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    values: HashMap<char, OsString>,
    pub(super) words: Vec<OsString>,
}

impl Parsed {
    pub(super) fn has(&self, short: char) -> bool {
        self.values.contains_key(&short)
    }

    pub(super) fn value(&self, short: char) -> Option<&OsStr> {
        self.values.get(&short).map(OsString::as_os_str)
    }
}

/// Parses words; a mistake is told in the library's words.
pub(super) fn parse(args: &[OsString], specs: &[Spec]) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        if text == "--" {
            parsed.words.extend(args.cloned());
            break;
        }
        if !text.starts_with('-') || text == "-" {
            parsed.words.push(arg.clone());
            continue;
        }
        for (spec, given) in matching(&text, specs)? {
            let value = match (spec.has_value, given) {
                (false, _) => OsString::new(),
                (true, Some(given)) => given.into(),
                (true, None) => {
                    let next = args.next().cloned();
                    next.ok_or_else(|| format!("Missing argument for option: {}", spec.short))?
                }
            };
            parsed.values.insert(spec.short, value);
        }
    }
    Ok(parsed)
}

/// The options in one word, with the value that stands in it.
fn matching<'s>(text: &str, specs: &'s [Spec]) -> Result<Vec<(&'s Spec, Option<String>)>, String> {
    let unknown = || format!("Unrecognized option: {text}");
    let bare = text.trim_start_matches('-');
    let (name, given) = match bare.split_once('=') {
        Some((name, given)) => (name, Some(given.to_owned())),
        None => (bare, None),
    };
    let named = specs.iter().find(|spec| {
        let is_short = !text.starts_with("--") && name.chars().eq([spec.short]);
        is_short || spec.long == name
    });
    if let Some(spec) = named {
        return Ok(vec![(spec, given)]);
    }
    if text.starts_with("--") {
        // An unmistakable beginning of a long name does.
        let mut begun = specs.iter().filter(|spec| spec.long.starts_with(name));
        return match (begun.next(), begun.next()) {
            (Some(spec), None) => Ok(vec![(spec, given)]),
            _ => Err(unknown()),
        };
    }
    let mut found = Vec::new();
    for (at, c) in bare.char_indices() {
        let spec = specs.iter().find(|spec| spec.short == c).ok_or_else(unknown)?;
        let rest = &bare[at + c.len_utf8()..];
        if spec.has_value {
            let rest = rest.strip_prefix('=').unwrap_or(rest);
            found.push((spec, (!rest.is_empty()).then(|| rest.to_owned())));
            return Ok(found);
        }
        found.push((spec, None));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: &[Spec] = &[flag('r', "recover"), flag('v', "verbose"), value('z', "zxid")];

    fn parsed(words: &[&str]) -> Result<Parsed, String> {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>(), SPECS)
    }

    #[test]
    fn all_ways_of_writing() {
        for words in
            [&["-z", "5", "f"][..], &["-z5", "f"], &["f", "--zxid=5"], &["-zxid", "5", "f"]]
        {
            let parsed = parsed(words).expect("right");
            assert_eq!(parsed.value('z'), Some(OsStr::new("5")), "{words:?}");
            assert_eq!(parsed.words, ["f"], "{words:?}");
        }
        let together = parsed(&["-rv", "--", "-z"]).expect("right");
        assert!(together.has('r') && together.has('v') && !together.has('z'));
        assert_eq!(together.words, ["-z"]);
        assert!(parsed(&["--rec"]).expect("right").has('r'));
    }

    #[test]
    fn mistakes() {
        assert_eq!(parsed(&["-q"]).expect_err("unknown"), "Unrecognized option: -q");
        assert_eq!(parsed(&["-z"]).expect_err("cut"), "Missing argument for option: z");
    }
}
