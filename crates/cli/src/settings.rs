//! The client configuration: a properties file and `-D` flags, of which few mean anything here
//! (`operations.md` 1.6). TLS and SASL are refused by name as long as there is none: connecting
//! without what was asked for would be worse than not connecting.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::arguments::Arguments;
use crate::failure::{EXIT_BAD_CONFIGURATION, Failure, Outcome};

/// What the configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) session_timeout: Duration,
    pub(crate) read_only: bool,
    pub(crate) request_timeout: Option<Duration>,
    pub(crate) reply_bytes_max: Option<usize>,
}

/// Reads everything the command line names.
pub(crate) fn load(arguments: &Arguments) -> Outcome<Settings> {
    let timeout_ms: u32 = arguments.timeout.parse().map_err(|_| {
        Failure::new(format!(
            "-timeout needs a number of milliseconds, not '{}'",
            arguments.timeout
        ))
    })?;
    let mut properties = match &arguments.client_configuration {
        Some(path) => read_file(path)?,
        None => BTreeMap::new(),
    };
    properties.extend(arguments.properties.clone());
    refuse_security(&properties)?;
    Ok(Settings {
        session_timeout: Duration::from_millis(timeout_ms.into()),
        read_only: arguments.read_only,
        request_timeout: number(&properties, "zookeeper.request.timeout")?
            .filter(|ms| *ms > 0)
            .map(Duration::from_millis),
        reply_bytes_max: number(&properties, "jute.maxbuffer")?
            .and_then(|bytes| usize::try_from(bytes).ok()),
    })
}

fn number(properties: &BTreeMap<String, String>, key: &str) -> Outcome<Option<u64>> {
    let Some(text) = properties.get(key) else { return Ok(None) };
    let text = text.trim();
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map(Some).map_err(|_| {
        Failure::new(format!("{key} needs a number, not '{text}'"))
            .with_exit_code(EXIT_BAD_CONFIGURATION)
    })
}

fn refuse_security(properties: &BTreeMap<String, String>) -> Outcome {
    let secure = properties.get("zookeeper.client.secure").map(|value| value.trim());
    if secure.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err(Failure::new(
            "zookeeper.client.secure=true: TLS is not supported yet by this client; connect to \
             the plain client port",
        )
        .with_exit_code(EXIT_BAD_CONFIGURATION));
    }
    Ok(())
}

fn read_file(path: &str) -> Outcome<BTreeMap<String, String>> {
    let failed = |why: String| {
        Failure::new(format!("Error while processing {path}: {why}"))
            .with_exit_code(EXIT_BAD_CONFIGURATION)
    };
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => failed(format!("{path} file is missing")),
        _ => failed(error.to_string()),
    })?;
    Ok(properties(&String::from_utf8_lossy(&bytes)))
}

/// Reads `key=value` lines: `#` and `!` begin comments, `=`, `:` or blanks separate, a backslash at
/// the end continues the line.
fn properties(text: &str) -> BTreeMap<String, String> {
    let mut result = BTreeMap::new();
    let mut pending = String::new();
    for line in text.lines() {
        let line = line.trim_start();
        if pending.is_empty() && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        if let Some(part) = line.strip_suffix('\\') {
            pending.push_str(part);
            continue;
        }
        pending.push_str(line);
        let line = std::mem::take(&mut pending);
        let end = line.find(|c: char| c == '=' || c == ':' || c.is_whitespace());
        let (key, rest) = line.split_at(end.unwrap_or(line.len()));
        let rest = rest.trim_start();
        let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim();
        result.insert(key.to_owned(), value.to_owned());
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_as_java_reads_them() {
        let read = properties("# c\n! c\n a = 1\nb:2\nc 3\nd=x\\\n  y\n\ne=\n");
        let expected = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "xy"), ("e", "")];
        assert_eq!(read.len(), expected.len());
        for (key, value) in expected {
            assert_eq!(read[key], value);
        }
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_name() {
        let mut arguments = Arguments::default();
        arguments.properties.insert("zookeeper.client.secure".into(), "true".into());
        let failure = load(&arguments).unwrap_err();
        assert_eq!(failure.exit_code, 2);
        assert!(failure.text.contains("zookeeper.client.secure"));
        arguments.properties.clear();
        arguments.client_configuration = Some("/nonexistent/file".into());
        assert_eq!(load(&arguments).unwrap_err().exit_code, 2);
        arguments.client_configuration = None;
        arguments.timeout = "abc".into();
        assert_eq!(load(&arguments).unwrap_err().exit_code, 1);
    }
}
