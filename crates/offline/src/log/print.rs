//! Prints records: a line each, or a value of JSON each.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rookeeper_proto::txn::{CreateTxn, Record, Txn};
use rookeeper_proto::{AclList, Zxid};
use rookeeper_storage::Disk;
use rookeeper_storage::txn_log::inspect::RawRecord;
use serde_json::{Map, Value, json};

use crate::output::{Outcome, Output};
use crate::{FAILED, FINE, damage, java};

pub(super) fn run(
    disk: &dyn Disk,
    files: &[PathBuf],
    range: &RangeInclusive<Zxid>,
    as_json: bool,
    out: &mut Output,
) -> Outcome {
    let mut code = FINE;
    for path in files {
        let Some(mut log) = super::open(disk, path)? else { continue };
        let len = log.len();
        while let Some(record) = log.next_sound()? {
            out.progress(|| format!("{}: {} of {len} bytes", path.display(), record.offset))?;
            let Some(zxid) = record.zxid().filter(|zxid| range.contains(zxid)) else { continue };
            match (Record::read(record.payload), as_json) {
                (Ok(read), true) => out.json(&value(path, &record, &read))?,
                (Ok(read), false) => out.line(&line(&read))?,
                (Err(error), _) => {
                    code = FAILED;
                    let (path, offset) = (path.display(), record.offset);
                    let text =
                        format!("{path}: the record {zxid} at byte {offset} is no txn: {error}");
                    out.err(&text);
                }
            }
        }
        let ending = log.ending()?;
        if let Some(sentence) = damage::sentence(path, &ending) {
            code = FAILED;
            out.flush()?;
            out.err(&sentence);
        }
    }
    Ok(code)
}

/// A record on one line; what it holds may be any text, so line breaks are escaped.
fn line(record: &Record<'_>) -> String {
    let header = &record.header;
    format!(
        "{} {} session {} cxid 0x{:x} {} {}",
        header.zxid,
        java::date(header.time_ms),
        header.session,
        header.cxid,
        java::op_name(header.op),
        text(&record.txn)
    )
}

fn text(txn: &Txn<'_>) -> String {
    match txn {
        Txn::Create { create, ephemeral, .. } => {
            let kind = if *ephemeral { " ephemeral" } else { "" };
            format!("{}{kind}", created(create))
        }
        Txn::CreateContainer(create) => created(create),
        Txn::CreateTtl { create, ttl_ms } => format!("{} ttl {ttl_ms} ms", created(create)),
        Txn::Delete { path, .. } => escaped(path),
        Txn::SetData { path, data, version, .. } => {
            format!("{} {} version {version}", escaped(path), shown(*data))
        }
        Txn::SetAcl { path, acl, version } => {
            format!("{} acl {} version {version}", escaped(path), acl_text(acl))
        }
        Txn::Check { path, version } => format!("{} version {version}", escaped(path)),
        Txn::CreateSession { timeout_ms } => format!("timeout {timeout_ms} ms"),
        Txn::CloseSession(None) => String::new(),
        Txn::CloseSession(Some(paths)) => {
            let paths: Vec<String> = paths.iter().map(|path| escaped(path)).collect();
            format!("deletes [{}]", paths.join(", "))
        }
        Txn::Error(code) => format!("{code}"),
        Txn::Multi(parts) => {
            let part =
                |part: &Txn<'_>| format!("{} {}", java::op_name(part.op().as_i32()), text(part));
            parts.iter().map(part).collect::<Vec<_>>().join("; ")
        }
    }
}

fn created(create: &CreateTxn<'_>) -> String {
    let acl = if create.acl.is_open() {
        String::new()
    } else {
        format!(" acl {}", acl_text(&create.acl))
    };
    format!("{} {}{acl}", escaped(&create.path), shown(create.data))
}

/// Text on one line.
pub(crate) fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.into() })
        .collect()
}

/// Data as text if it is, else its size.
pub(crate) fn shown(data: Option<&[u8]>) -> String {
    match data.map(|data| (data.len(), std::str::from_utf8(data))) {
        None => "null".to_owned(),
        Some((_, Ok(text))) => format!("\"{}\"", escaped(text)),
        Some((len, Err(_))) => format!("({len} bytes)"),
    }
}

/// ACLs as the shell takes them.
fn acl_text(acl: &AclList) -> String {
    let letters = [(4, 'c'), (8, 'd'), (1, 'r'), (2, 'w'), (16, 'a')];
    let entry = |entry: &rookeeper_proto::Acl| {
        let perms: String =
            letters.iter().filter(|(bit, _)| entry.perms & bit != 0).map(|(_, c)| c).collect();
        escaped(&format!("{}:{}:{perms}", entry.id.scheme, entry.id.id))
    };
    acl.entries().iter().map(entry).collect::<Vec<_>>().join(",")
}

/// Data in JSON: as text if it is, else in base 64.
pub(crate) fn data_value(data: Option<&[u8]>) -> (&'static str, Value) {
    match data.map(|data| std::str::from_utf8(data).map_err(|_| data)) {
        None => ("data", Value::Null),
        Some(Ok(text)) => ("data", text.into()),
        Some(Err(bytes)) => ("data_base64", STANDARD.encode(bytes).into()),
    }
}

fn value(path: &Path, raw: &RawRecord<'_>, record: &Record<'_>) -> Value {
    let header = &record.header;
    let mut value = json!({
        "file": path.display().to_string(),
        "at": raw.offset,
        "zxid": header.zxid.to_string(),
        "session": header.session.to_string(),
        "cxid": header.cxid,
        "time_ms": header.time_ms,
        "op": java::op_name(header.op),
        "txn": txn_value(&record.txn),
    });
    if let (Some(digest), Some(map)) = (record.digest, value.as_object_mut()) {
        map.insert("digest".to_owned(), format!("0x{:x}", digest.digest).into());
    }
    value
}

fn txn_value(txn: &Txn<'_>) -> Value {
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| map.insert(name.to_owned(), value);
    match txn {
        Txn::Create { create, .. }
        | Txn::CreateContainer(create)
        | Txn::CreateTtl { create, .. } => {
            put("path", create.path.as_ref().into());
            let (name, data) = data_value(create.data);
            put(name, data);
            put("acl", acl_text(&create.acl).into());
            put("parent_cversion", create.parent_cversion.into());
            match txn {
                Txn::Create { ephemeral, .. } => put("ephemeral", (*ephemeral).into()),
                Txn::CreateTtl { ttl_ms, .. } => put("ttl_ms", (*ttl_ms).into()),
                _ => None,
            };
        }
        Txn::Delete { path, .. } => {
            put("path", path.as_ref().into());
        }
        Txn::SetData { path, data, version, .. } => {
            put("path", path.as_ref().into());
            let (name, data) = data_value(*data);
            put(name, data);
            put("version", (*version).into());
        }
        Txn::SetAcl { path, acl, version } => {
            put("path", path.as_ref().into());
            put("acl", acl_text(acl).into());
            put("version", (*version).into());
        }
        Txn::Check { path, version } => {
            put("path", path.as_ref().into());
            put("version", (*version).into());
        }
        Txn::CreateSession { timeout_ms } => {
            put("timeout_ms", (*timeout_ms).into());
        }
        Txn::CloseSession(paths) => {
            put(
                "deletes",
                paths.as_ref().map_or(Value::Null, |paths| {
                    paths.iter().map(|path| Value::from(path.as_ref())).collect()
                }),
            );
        }
        Txn::Error(code) => {
            put("error", (*code).into());
        }
        Txn::Multi(parts) => {
            let part = |part: &Txn<'_>| json!({"op": java::op_name(part.op().as_i32()), "txn": txn_value(part)});
            put("parts", parts.iter().map(part).collect());
        }
    }
    Value::Object(map)
}
