//! Corpora in the repository: one text file per target, one input per line, bytes that are not printable
//! escaped as in Rust's byte strings. A diff shows what changed, and hundreds of inputs are one file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Target;

/// Where a target's corpus is.
pub fn path(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(format!("{}.txt", target.name))
}

/// A target's corpus; empty if there is no file.
///
/// # Errors
/// When the file cannot be read or a line cannot be unescaped.
pub fn read(target: &Target) -> io::Result<Vec<Vec<u8>>> {
    let text = match fs::read_to_string(path(target)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
    let unescaped = lines.map(|(at, line)| {
        unescape(line).ok_or_else(|| {
            let place = format!("{}:{}: not an escaped line", path(target).display(), at + 1);
            io::Error::new(io::ErrorKind::InvalidData, place)
        })
    });
    unescaped.collect()
}

/// Replaces a target's corpus.
///
/// # Errors
/// When the file cannot be written.
pub fn write(target: &Target, inputs: &[Vec<u8>]) -> io::Result<()> {
    let mut lines: Vec<String> = inputs.iter().map(|input| escape(input)).collect();
    lines.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    lines.dedup();
    let mut text =
        format!("# Minimised inputs of the fuzz target {}; see docs/fuzzing.md.\n", target.name);
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    fs::write(path(target), text)
}

/// A line for these bytes. A leading `#` is escaped, too: it would be a comment.
fn escape(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string();
    match text.strip_prefix('#') {
        Some(rest) => format!("\\x23{rest}"),
        None => text,
    }
}

fn unescape(line: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'\\' => match rest.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => {
                    let digit = |byte| char::from(byte).to_digit(16);
                    let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                    u8::try_from(high << 4 | low).ok()?
                }
                other @ (b'\\' | b'\'' | b'"') => other,
                _ => return None,
            },
            byte => byte,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unescape(&escape(&all)), Some(all));
        assert_eq!(unescape(&escape(b"# no comment")), Some(b"# no comment".to_vec()));
        assert_eq!(unescape("\\q"), None);
        assert_eq!(unescape("\\x1"), None);
    }
}
