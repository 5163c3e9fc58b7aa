//! Node paths: validation and splitting (`client-protocol.md` 6.1).

/// Why a path is refused, in words for logs and tools.
pub type Reason = &'static str;

/// Checks a path as the server does for create, setData, setACL and check. Reads and deletes are
/// not validated: they simply find no node.
pub fn validate(path: &str) -> Result<(), Reason> {
    let bytes = path.as_bytes();
    match bytes {
        [] => return Err("path is empty"),
        [b'/'] => return Ok(()),
        [b'/', .., b'/'] => return Err("path must not end with /"),
        [b'/', ..] => {}
        _ => return Err("path must start with /"),
    }
    // Without branches: for nearly every path this is all there is to do.
    let pairs = bytes.iter().zip(&bytes[1..]);
    let is_plain = !pairs.fold(false, |is_odd, pair| is_odd | matches!(pair, (b'/', b'/' | b'.')));
    let is_printable = bytes.iter().fold(true, |so_far, b| so_far & (0x20..0x7f).contains(b));
    if !is_plain {
        validate_components(path)?;
    }
    if is_printable {
        return Ok(());
    }
    if path.chars().any(is_forbidden) { Err("invalid character") } else { Ok(()) }
}

fn validate_components(path: &str) -> Result<(), Reason> {
    for component in path[1..].split('/') {
        match component {
            "" => return Err("empty node name"),
            "." | ".." => return Err("relative paths not allowed"),
            _ => {}
        }
    }
    Ok(())
}

/// Characters no path may hold. Java forbids the code units D800 to F8FF, which covers every
/// supplementary character (a pair of surrogates) and the private use area.
fn is_forbidden(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}'
        | '\u{fff0}'..='\u{ffff}' | '\u{10000}'..)
}

/// The parent of a path as Java computes it: everything before the last `/`. The parent of `/a` is
/// `""`, which is an alias of `/`. `None` when there is no `/`.
pub fn parent(path: &str) -> Option<&str> {
    last_slash(path).map(|at| &path[..at])
}

/// The last component.
pub fn name(path: &str) -> &str {
    last_slash(path).map_or(path, |at| &path[at + 1..])
}

/// Names are short: looking at each byte beats the search that is made for long texts.
fn last_slash(path: &str) -> Option<usize> {
    path.bytes().rposition(|b| b == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_accepts_and_refuses() {
        for good in
            ["/", "/a", "/a/b", "/..a", "/a..", "/...", "/.a", "/\u{f900}", "/动物/猫", "/ "]
        {
            assert_eq!(validate(good), Ok(()), "{good:?}");
        }
        for bad in [
            "",
            "a",
            "/a/",
            "//",
            "/a//b",
            "/.",
            "/..",
            "/a/./b",
            "/a/../b",
            "/\u{0}",
            "/\u{1f}",
            "/\u{7f}",
            "/\u{9f}",
            "/\u{e000}",
            "/\u{fff0}",
            "/\u{fffd}",
            "/\u{1f600}",
        ] {
            assert!(validate(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn parents() {
        assert_eq!(parent("/a"), Some(""));
        assert_eq!(parent("/a/b"), Some("/a"));
        assert_eq!(parent("/a/"), Some("/a"));
        assert_eq!(parent("a"), None);
        assert_eq!(name("/a/b"), "b");
    }
}
