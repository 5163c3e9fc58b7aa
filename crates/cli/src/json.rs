//! Answers of commands with `--json`. Zxids and session ids are hexadecimal text: as numbers they would lose
//! digits in many readers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rookeeper_client::{Acl, Stat, WatchedEvent};
use serde_json::{Map, Value, json};

/// The fields of a stat.
pub(crate) fn stat(stat: &Stat) -> Value {
    json!({
        "czxid": stat.czxid.to_string(),
        "mzxid": stat.mzxid.to_string(),
        "pzxid": stat.pzxid.to_string(),
        "ctime_ms": stat.ctime_ms,
        "mtime_ms": stat.mtime_ms,
        "version": stat.version,
        "cversion": stat.cversion,
        "aversion": stat.aversion,
        "ephemeral_owner": format!("0x{:x}", stat.ephemeral_owner),
        "data_length": stat.data_length,
        "num_children": stat.num_children,
    })
}

/// A watch's event.
pub(crate) fn event(event: &WatchedEvent) -> Value {
    // What the client makes up itself has no zxid.
    let zxid = (0 <= event.zxid.0).then(|| event.zxid.to_string());
    json!({"kind": event.kind.to_string(), "path": event.path, "zxid": zxid})
}

/// An entry of an ACL.
pub(crate) fn acl(entry: &Acl) -> Value {
    json!({"scheme": entry.id.scheme, "id": entry.id.id, "perms": entry.perms})
}

/// A node's data, as text if it is, else in base 64; the name of the field tells.
pub(crate) fn put_data(map: &mut Map<String, Value>, data: Option<&[u8]>) {
    let (field, value) = match data.map(|data| (std::str::from_utf8(data), data)) {
        None => ("data", Value::Null),
        Some((Ok(text), _)) => ("data", text.into()),
        Some((Err(_), data)) => ("data_base64", BASE64.encode(data).into()),
    };
    map.insert(field.to_owned(), value);
}

/// A list of paths or names.
pub(crate) fn list(names: &[String]) -> Value {
    names.iter().map(|name| Value::from(name.as_str())).collect()
}
