//! Splits a typed line into words as Apache's shell does: blanks separate, `'...'` and `"..."` group,
//! and only at the start of a word. A quote without its partner is skipped.

/// The words of a line, and whether a quote was left open.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The words.
    pub words: Vec<String>,
    /// A quote without its partner was skipped.
    pub open_quote: bool,
}

/// Splits a line. A line of blanks only has no words.
pub fn split(line: &str) -> Words {
    let mut result = Words::default();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '"' || first == '\'' {
            let inner = &rest[1..];
            match inner.find(first) {
                Some(end) => {
                    result.words.push(inner[..end].to_owned());
                    rest = inner[end + 1..].trim_start();
                }
                None => {
                    result.open_quote = true;
                    rest = inner.trim_start();
                }
            }
        } else {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            result.words.push(rest[..end].to_owned());
            rest = rest[end..].trim_start();
        }
    }
    result
}

/// A word as it must be typed to stay one word.
pub fn quoted(word: &str) -> String {
    let plain =
        !word.is_empty() && !word.contains(char::is_whitespace) && !word.starts_with(['"', '\'']);
    match (plain, word.contains('"')) {
        (true, _) => word.to_owned(),
        (false, false) => format!("\"{word}\""),
        (false, true) => format!("'{word}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        split(line).words
    }

    #[test]
    fn quotes_group_only_at_the_start_of_a_word() {
        assert_eq!(words("create /a 'b c' \"d 'e' f\""), ["create", "/a", "b c", "d 'e' f"]);
        assert_eq!(words("set /a it's fine"), ["set", "/a", "it's", "fine"]);
        assert_eq!(words("set /a \"\""), ["set", "/a", ""]);
        assert_eq!(words("  ls\t/  "), ["ls", "/"]);
        assert!(words(" \t ").is_empty());
        assert_eq!(words("create '/动物' 猫"), ["create", "/动物", "猫"]);
    }

    #[test]
    fn an_open_quote_is_skipped_and_reported() {
        let split = split("create /a \"b c");
        assert_eq!(split.words, ["create", "/a", "b", "c"]);
        assert!(split.open_quote);
    }

    #[test]
    fn quoting_round_trips() {
        for word in ["a", "a b", "", "it's", "'x", "\"y z"] {
            assert_eq!(words(&quoted(word)), [word], "{word:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_line_splits(line: String) {
            let _ = split(&line);
        }
    }
}
