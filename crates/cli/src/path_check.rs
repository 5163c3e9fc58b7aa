//! Checks paths before they are sent, in the words of Apache's client (observed on 3.9.5).

use rookeeper_proto::path;

use crate::failure::{Failure, Outcome};

/// Checks a path.
pub(crate) fn check(text: &str) -> Outcome {
    if path::validate(text).is_ok() {
        return Ok(());
    }
    Err(Failure::new(reason(text)))
}

/// Checks a path to which digits will be appended if `sequential`.
pub(crate) fn check_new(text: &str, sequential: bool) -> Outcome {
    if sequential { check(&format!("{text}1")) } else { check(text) }
}

fn reason(text: &str) -> String {
    if text.is_empty() {
        return "Path length must be > 0".to_owned();
    }
    if !text.starts_with('/') {
        return "Path must start with / character".to_owned();
    }
    if text.ends_with('/') {
        return "Path must not end with / character".to_owned();
    }
    // Positions count UTF-16 units, as in Java.
    let units: Vec<u16> = text.encode_utf16().collect();
    let unit = |at: usize| units.get(at).copied().unwrap_or(u16::from(b'/'));
    let (slash, dot) = (u16::from(b'/'), u16::from(b'.'));
    for at in 1..units.len() {
        let what = match unit(at) {
            0 => "null character not allowed",
            c if c == slash && unit(at - 1) == slash => "empty node name specified",
            c if c == dot && unit(at + 1) == slash && is_relative(&unit, at, slash, dot) => {
                "relative paths not allowed"
            }
            1..=0x1f | 0x7f..=0x9f | 0xd800..=0xf8ff | 0xfff0..=0xffff => "invalid character",
            _ => continue,
        };
        return format!("Invalid path string \"{text}\" caused by {what} @{at}");
    }
    format!("Invalid path string \"{text}\"")
}

/// Whether the dot at `at`, the last of its name, makes the name `.` or `..`.
fn is_relative(unit: &impl Fn(usize) -> u16, at: usize, slash: u16, dot: u16) -> bool {
    unit(at - 1) == slash || unit(at - 1) == dot && at >= 2 && unit(at - 2) == slash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_original() {
        let text = |path: &str| check(path).unwrap_err().text;
        assert_eq!(text("x"), "Path must start with / character");
        assert_eq!(text("/x/"), "Path must not end with / character");
        assert_eq!(text("//"), "Path must not end with / character");
        assert_eq!(text(""), "Path length must be > 0");
        let caused = |path: &str, what: &str| {
            assert_eq!(text(path), format!("Invalid path string \"{path}\" caused by {what}"));
        };
        caused("/t/..", "relative paths not allowed @4");
        caused("/t/./x", "relative paths not allowed @3");
        caused("/t//x", "empty node name specified @3");
        caused("/a/../b", "relative paths not allowed @4");
        caused("/a\tb", "invalid character @2");
        caused("/u\u{fffd}b", "invalid character @2");
        assert!(check("/t..").is_ok() && check("/").is_ok() && check("/动物").is_ok());
        assert!(check_new("/a/", true).is_ok() && check_new("/a/", false).is_err());
    }
}
