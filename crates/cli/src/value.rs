//! What a value is, and how a person is shown it: text as it is, JSON on several lines, all else as a
//! hexadecimal table.

use serde::de::IgnoredAny;

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind<'v> {
    Text(&'v str),
    /// An object or a list of JSON, with line breaks and indents of ours; nothing else of it is changed.
    Json(String),
    /// No text, or text that does things to a terminal.
    Bytes,
}

pub(crate) fn kind(value: &[u8]) -> Kind<'_> {
    let Ok(text) = std::str::from_utf8(value) else { return Kind::Bytes };
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Kind::Bytes;
    }
    // Who wrote it on several lines knew why.
    let is_one_line = !text.trim_end().contains('\n');
    let holds_others = text.trim_start().starts_with(['{', '[']);
    if is_one_line && holds_others && serde_json::from_str::<IgnoredAny>(text).is_ok() {
        return Kind::Json(indented(text));
    }
    Kind::Text(text)
}

/// Valid JSON with a line for every field and element. Numbers, escapes and the order stay as they are,
/// which a parsed value would not keep.
fn indented(json: &str) -> String {
    let mut out = String::new();
    let mut depth: usize = 0;
    let (mut in_text, mut is_escaped) = (false, false);
    let mut chars = json.chars().peekable();
    while let Some(c) = chars.next() {
        if in_text {
            out.push(c);
            in_text = c != '"' || is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            continue;
        }
        match c {
            c if c.is_whitespace() => {}
            '{' | '[' => {
                out.push(c);
                while chars.next_if(|c| c.is_whitespace()).is_some() {}
                if let Some(end) = chars.next_if(|c| matches!(c, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => {
                in_text = c == '"';
                out.push(c);
            }
        }
    }
    out
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        for (value, expected) in [
            (&b""[..], Kind::Text("")),
            ("喵\n\t.".as_bytes(), Kind::Text("喵\n\t.")),
            (b"12", Kind::Text("12")),
            (b"{no json}", Kind::Text("{no json}")),
            (b"[1,\n2]", Kind::Text("[1,\n2]")),
            (b"{} ", Kind::Json("{}".to_owned())),
            (b"\xff", Kind::Bytes),
            (b"\x1b[31mred", Kind::Bytes),
            (b"a\0", Kind::Bytes),
        ] {
            assert_eq!(kind(value), expected, "{value:?}");
        }
    }

    #[test]
    fn json_is_indented_and_else_unchanged() {
        let json = r#"{"b": 1.50,"a":[ ],"c":[1,{"x{,":"\\\"]: \u00e9"}], "b":{ }}"#;
        let shown = "{\n  \"b\": 1.50,\n  \"a\": [],\n  \"c\": [\n    1,\n    {\n      \"x{,\": \
                     \"\\\\\\\"]: \\u00e9\"\n    }\n  ],\n  \"b\": {}\n}";
        assert_eq!(kind(json.as_bytes()), Kind::Json(shown.to_owned()));
    }
}
