//! Prints nodes: a line each, or a value of JSON each. Sessions come first.

use std::path::Path;

use rookeeper_storage::Disk;
use serde_json::json;

use super::reading::{Item, read};
use super::sizes::below;
use crate::log::{data_value, escaped, shown};
use crate::output::{Outcome, Output};
use crate::{FINE, java};

pub(super) fn run(
    disk: &dyn Disk,
    file: &Path,
    from: &str,
    as_json: bool,
    out: &mut Output,
) -> Outcome {
    read(disk, file, out, &mut |item, out| match item {
        Item::Session(id, timeout_ms) if as_json => {
            out.json(&json!({"session": id.to_string(), "timeout_ms": timeout_ms}))
        }
        Item::Session(id, timeout_ms) => out.line(&format!("session {id} timeout {timeout_ms} ms")),
        Item::Acl(..) => Ok(()),
        Item::Node { path, data, acl_id, stat } => {
            let path = if path.is_empty() { "/" } else { path };
            if path != from && !below(path, from) {
                return Ok(());
            }
            if !as_json {
                let owner = match stat.ephemeral_owner {
                    0 => String::new(),
                    owner => format!(" owner 0x{owner:x}"),
                };
                return out.line(&format!(
                    "{} {} version {} czxid {} mzxid {} modified {}{owner}",
                    escaped(path),
                    shown(data),
                    stat.version,
                    stat.czxid,
                    stat.mzxid,
                    java::date(stat.mtime_ms)
                ));
            }
            let mut value = json!({
                "path": path, "acl_id": acl_id,
                "czxid": stat.czxid.to_string(), "mzxid": stat.mzxid.to_string(),
                "pzxid": stat.pzxid.to_string(), "ctime_ms": stat.ctime_ms, "mtime_ms": stat.mtime_ms,
                "version": stat.version, "cversion": stat.cversion, "aversion": stat.aversion,
                "owner": format!("0x{:x}", stat.ephemeral_owner),
            });
            let (name, data) = data_value(data);
            if let Some(map) = value.as_object_mut() {
                map.insert(name.to_owned(), data);
            }
            out.json(&value)
        }
    })?;
    Ok(FINE)
}
