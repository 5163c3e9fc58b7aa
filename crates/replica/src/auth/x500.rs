//! Whether a text is an X.500 name: the validity rule of `x509` ACL ids.
//!
//! The grammar is that of RFC 2253 with what Java's parser adds: `;` separates like `,`, attribute
//! types are known keywords in any case or object identifiers, optionally behind `OID.`, and the
//! empty name is a name. Nothing is normalised: matching is equality of texts.

const KEYWORDS: &[&str] = &[
    "CN",
    "C",
    "L",
    "S",
    "ST",
    "O",
    "OU",
    "T",
    "IP",
    "STREET",
    "DC",
    "DNQUALIFIER",
    "DNQ",
    "SURNAME",
    "GIVENNAME",
    "INITIALS",
    "GENERATION",
    "EMAIL",
    "EMAILADDRESS",
    "UID",
    "SERIALNUMBER",
];

/// Whether `text` is a distinguished name.
pub(super) fn is_name(text: &str) -> bool {
    if text.trim().is_empty() {
        return true;
    }
    let mut rest = text;
    loop {
        let Some((kind, value)) = rest.split_once('=') else { return false };
        if !is_attribute_type(kind.trim()) {
            return false;
        }
        match value_end(value) {
            None => return false,
            Some(None) => return true,
            Some(Some(separator)) => rest = &value[separator + 1..],
        }
    }
}

fn is_attribute_type(kind: &str) -> bool {
    let upper = kind.to_ascii_uppercase();
    if KEYWORDS.contains(&upper.as_str()) {
        return true;
    }
    let oid = upper.strip_prefix("OID.").unwrap_or(&upper);
    let mut arcs = 0;
    oid.split('.').all(|arc| {
        arcs += 1;
        !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit())
    }) && arcs >= 2
}

/// Where the value ends: `Some(None)` with the text, `Some(Some(at))` at a separator, `None` if it
/// is malformed.
fn value_end(text: &str) -> Option<Option<usize>> {
    let lead = text.len() - text.trim_start().len();
    let value = &text[lead..];
    if let Some(quoted) = value.strip_prefix('"') {
        let close = quoted_end(quoted)?;
        let behind = &quoted[close + 1..];
        let skipped = text.len() - behind.len();
        let gap = behind.len() - behind.trim_start().len();
        return match behind[gap..].bytes().next() {
            None => Some(None),
            Some(b',' | b';' | b'+') => Some(Some(skipped + gap)),
            Some(_) => None,
        };
    }
    let end = plain_end(value)?;
    let body = &value[..end.unwrap_or(value.len())];
    if let Some(hex) = body.strip_prefix('#') {
        let hex = hex.trim_end();
        let digits = hex.bytes().all(|b| b.is_ascii_hexdigit());
        if hex.is_empty() || hex.len() % 2 != 0 || !digits {
            return None;
        }
    }
    Some(end.map(|at| lead + at))
}

/// Offset of the closing quote.
fn quoted_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|b| match (escaped, b) {
        (true, _) => {
            escaped = false;
            false
        }
        (false, b'\\') => {
            escaped = true;
            false
        }
        (false, b) => b == b'"',
    })
}

/// Offset of the separator behind an unquoted value; `None` if a special character is not escaped
/// or an escape is cut off.
fn plain_end(text: &str) -> Option<Option<usize>> {
    let mut bytes = text.bytes().enumerate();
    while let Some((at, b)) = bytes.next() {
        match b {
            b',' | b';' | b'+' => return Some(Some(at)),
            b'\\' => {
                bytes.next()?;
            }
            b'"' | b'<' | b'>' | b'=' => return None,
            _ => {}
        }
    }
    Some(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_others() {
        for good in [
            "CN=client",
            "CN=client,O=Org,C=US",
            "cn=a + ou=b; o = c",
            "1.2.840.113549.1.9.1=#16036140",
            "OID.2.5.4.3=x",
            "CN=\"a, b=c\",O=d",
            "CN=a\\,b\\=c",
            "CN=",
            "",
        ] {
            assert!(is_name(good), "{good:?}");
        }
        for bad in [
            "client",
            "CN=a,",
            "=a",
            "NOSUCH=a",
            "CN=a,b",
            "CN=a=b",
            "CN=\"open",
            "CN=\"a\"b",
            "CN=a\\",
            "CN=#abc",
            "CN=<a>",
            "1=x",
        ] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
