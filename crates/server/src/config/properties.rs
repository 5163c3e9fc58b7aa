//! Java `.properties` text, as `java.util.Properties` reads it.
//!
//! Comments (`#`, `!`), the separators `=`, `:` and blank, continuation lines and `\uXXXX` escapes
//! behave exactly as in Java; a duplicate key is returned twice and the reader takes the last.
//!
//! Deliberate differences: Java reads ISO-8859-1, here bytes that are valid UTF-8 are taken as UTF-8
//! and only otherwise as ISO-8859-1 (people write directory names in UTF-8), and a byte-order mark at
//! the start is dropped. Source: operations.md 1.1.

use std::borrow::Cow;

/// One `key=value` with the line it began on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key after unescaping, untrimmed.
    pub key: String,
    /// The value after unescaping, untrimmed.
    pub value: String,
    /// First natural line of the entry, from 1.
    pub line: u32,
}

/// The only thing that can be wrong with such a text: a bad `\uXXXX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedEscape {
    /// First natural line of the entry, from 1.
    pub line: u32,
}

impl std::fmt::Display for MalformedEscape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Malformed \\uxxxx encoding.")
    }
}

impl std::error::Error for MalformedEscape {}

/// UTF-8 if the bytes are that, else ISO-8859-1 (which every byte string is).
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}

/// Parses a whole file.
///
/// # Errors
/// When a `\u` is not followed by four hexadecimal digits.
pub fn parse(bytes: &[u8]) -> Result<Vec<Entry>, MalformedEscape> {
    let text = decode(bytes);
    logical_lines(&text)
        .into_iter()
        .map(|(line, text)| {
            let (key, value) = split(&text);
            let unescape = |part: &[char]| unescape(part).ok_or(MalformedEscape { line });
            Ok(Entry { key: unescape(key)?, value: unescape(value)?, line })
        })
        .collect()
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

/// Joins continuation lines and drops comments and blank lines; escapes stay.
fn logical_lines(text: &str) -> Vec<(u32, Vec<char>)> {
    let mut lines: Vec<(u32, Vec<char>)> = Vec::new();
    let mut open: Option<(u32, Vec<char>)> = None;
    for (natural, number) in natural_lines(text).zip(1u32..) {
        let body = natural.trim_start_matches(is_blank);
        // A continuation of nothing is a fresh line: it may be a comment again.
        let (start, mut collected) = match open.take().filter(|(_, begun)| !begun.is_empty()) {
            Some(begun) => begun,
            None if body.is_empty() || body.starts_with(['#', '!']) => continue,
            None => (number, Vec::new()),
        };
        collected.extend(body.chars());
        // Only a backslash that is not itself escaped continues the line.
        let backslashes = body.chars().rev().take_while(|&c| c == '\\').count();
        if backslashes % 2 == 1 {
            collected.pop();
            open = Some((start, collected));
        } else if !collected.is_empty() {
            lines.push((start, collected));
        }
    }
    // A backslash before the end of the file continues into nothing.
    lines.extend(open.filter(|(_, collected)| !collected.is_empty()));
    lines
}

/// Splits at `\n`, `\r` and `\r\n`.
fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let Some(end) = current.find(['\n', '\r']) else {
            rest = None;
            return Some(current);
        };
        let (line, tail) = current.split_at(end);
        rest = Some(tail.strip_prefix("\r\n").unwrap_or_else(|| tail.get(1..).unwrap_or("")));
        Some(line)
    })
}

/// Splits a logical line at the first unescaped separator.
fn split(line: &[char]) -> (&[char], &[char]) {
    let mut escaped = false;
    let key_end = line
        .iter()
        .position(|&c| {
            let ends = !escaped && (matches!(c, '=' | ':') || is_blank(c));
            escaped = c == '\\' && !escaped;
            ends
        })
        .unwrap_or(line.len());
    let (key, rest) = line.split_at(key_end);
    // Blanks, at most one `=` or `:`, blanks.
    let rest = skip_blanks(rest);
    let rest = match rest.split_first() {
        Some(('=' | ':', tail)) => skip_blanks(tail),
        _ => rest,
    };
    (key, rest)
}

fn skip_blanks(chars: &[char]) -> &[char] {
    let start = chars.iter().position(|&c| !is_blank(c)).unwrap_or(chars.len());
    chars.split_at(start).1
}

/// Resolves escapes; `None` when a `\u` is malformed.
fn unescape(chars: &[char]) -> Option<String> {
    let mut out = String::with_capacity(chars.len());
    // \u escapes are UTF-16 units, so a pair of them may be one character.
    let mut units: Vec<u16> = Vec::new();
    let mut rest = chars.iter();
    while let Some(&c) = rest.next() {
        let plain = match c {
            '\\' => match rest.next() {
                Some('u') => {
                    units.push(hex_unit(&mut rest)?);
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some(&other) => other,
                None => break,
            },
            other => other,
        };
        flush_units(&mut units, &mut out);
        out.push(plain);
    }
    flush_units(&mut units, &mut out);
    Some(out)
}

fn hex_unit(rest: &mut std::slice::Iter<'_, char>) -> Option<u16> {
    let mut unit: u16 = 0;
    for _ in 0..4 {
        let digit = rest.next()?.to_digit(16)?;
        unit = unit << 4 | u16::try_from(digit).ok()?;
    }
    Some(unit)
}

fn flush_units(units: &mut Vec<u16>, out: &mut String) {
    out.extend(char::decode_utf16(units.drain(..)).map(|unit| unit.unwrap_or('\u{fffd}')));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A text and the key, value and line of each of its entries.
    type Case = (&'static str, &'static [(&'static str, &'static str, u32)]);

    fn pairs(text: &str) -> Vec<(String, String, u32)> {
        parse(text.as_bytes())
            .expect("well-formed")
            .into_iter()
            .map(|entry| (entry.key, entry.value, entry.line))
            .collect()
    }

    /// Each expectation was compared with `java.util.Properties` of OpenJDK 17.
    #[test]
    fn reads_as_java_does() {
        let cases: &[Case] = &[
            ("a=1\nb:2\nc 3\n", &[("a", "1", 1), ("b", "2", 2), ("c", "3", 3)]),
            ("# c\n  ! d\n\n \t\na=1", &[("a", "1", 5)]),
            ("a = 1 ", &[("a", "1 ", 1)]),
            ("a \t=\t: 1", &[("a", ": 1", 1)]),
            ("a==1", &[("a", "=1", 1)]),
            ("a   1=2", &[("a", "1=2", 1)]),
            ("a\\=b=c\\:d", &[("a=b", "c:d", 1)]),
            ("a\\ b=c", &[("a b", "c", 1)]),
            ("a=1,\\\n    2,\\\r\n\t3\nb=4", &[("a", "1,2,3", 1), ("b", "4", 4)]),
            ("a=1\\\\\nb=2", &[("a", "1\\", 1), ("b", "2", 2)]),
            ("a=1\\", &[("a", "1", 1)]),
            ("a=1\\\n#b=2", &[("a", "1#b=2", 1)]),
            ("\\\n#b=2", &[]),
            ("\\\n   \n  x=2", &[("x", "2", 3)]),
            ("a=1\\\n\\\n\nb=2", &[("a", "1", 1), ("b", "2", 4)]),
            ("a=1\\\n\nb=2", &[("a", "1", 1), ("b", "2", 3)]),
            ("# c\\\na=1", &[("a", "1", 2)]),
            ("a=\\u0041\\t\\n\\f\\r\\q", &[("a", "A\t\n\u{c}\rq", 1)]),
            ("a=\\uD83D\\uDE00", &[("a", "\u{1f600}", 1)]),
            ("a=\\ud83d!", &[("a", "\u{fffd}!", 1)]),
            ("a", &[("a", "", 1)]),
            ("=x", &[("", "x", 1)]),
            ("a=1\ra=2", &[("a", "1", 1), ("a", "2", 2)]),
            ("dataDir=C:\\\\zk\\\\data", &[("dataDir", "C:\\zk\\data", 1)]),
            ("dir=/数据", &[("dir", "/数据", 1)]),
        ];
        for (text, expected) in cases {
            let expected: Vec<_> = expected
                .iter()
                .map(|&(key, value, line)| (key.to_owned(), value.to_owned(), line))
                .collect();
            assert_eq!(pairs(text), expected, "{text:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_latin1() {
        let entries = parse(b"a=caf\xe9").expect("well-formed");
        assert_eq!(entries.first().map(|entry| entry.value.as_str()), Some("caf\u{e9}"));
    }

    #[test]
    fn a_byte_order_mark_is_dropped() {
        assert_eq!(pairs("\u{feff}tickTime=2000"), [("tickTime".into(), "2000".into(), 1)]);
    }

    #[test]
    fn malformed_unicode_is_an_error_with_its_line() {
        for text in ["x=1\na=\\u12", "x=1\na=\\u12g4", "x=1\na\\u=1", "x=1\na=\\u"] {
            assert_eq!(parse(text.as_bytes()), Err(MalformedEscape { line: 2 }), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn plain_pairs_come_back(key in "[a-zA-Z.]{1,12}", value in "[a-zA-Z0-9/][ -\\[\\]-~]{0,20}") {
            let entries = parse(format!("{key}={value}\n").as_bytes()).expect("well-formed");
            prop_assert_eq!(entries, vec![Entry { key, value, line: 1 }]);
        }
    }
}
