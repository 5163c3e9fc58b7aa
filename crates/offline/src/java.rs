//! Values as Java and jute print them (observed on 3.9.5): dates, operation names, records.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rookeeper_proto::txn::{CreateTxn, Txn};
use rookeeper_proto::{AclList, Reader};

fn moment(ms: i64, format: &str) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(moment) => moment.to_zoned(TimeZone::system()).strftime(format).to_string(),
        // Years no calendar knows: a number is better than nothing.
        Err(_) => ms.to_string(),
    }
}

/// `Fri Nov 20 09:00:38 UTC 2026`.
pub(crate) fn date(ms: i64) -> String {
    moment(ms, "%a %b %d %H:%M:%S %Z %Y")
}

/// `11/20/26, 8:33:28 AM UTC`.
pub(crate) fn short_date(ms: i64) -> String {
    moment(ms, "%-m/%-d/%y, %-I:%M:%S %p %Z")
}

/// `Nov 20, 2026, 9:02:57 AM`.
pub(crate) fn medium_date(ms: i64) -> String {
    moment(ms, "%b %-d, %Y, %-I:%M:%S %p")
}

/// The name of an operation in a log.
pub(crate) fn op_name(op: i32) -> String {
    let name = match op {
        0 => "notification",
        1 => "create",
        2 => "delete",
        3 => "exists",
        4 => "getData",
        5 => "setData",
        6 => "getACL",
        7 => "setACL",
        8 => "getChildren",
        9 => "sync",
        11 => "ping",
        12 => "getChildren2",
        13 => "check",
        14 => "multi",
        15 => "create2",
        16 => "reconfig",
        17 => "checkWatches",
        18 => "removeWatches",
        19 => "createContainer",
        20 => "deleteContainer",
        21 => "createTTL",
        22 => "multiRead",
        100 => "auth",
        101 => "setWatches",
        102 => "sasl",
        103 => "getEphemerals",
        104 => "getAllChildrenNumber",
        105 => "setWatches2",
        106 => "addWatch",
        107 => "whoAmI",
        -1 => "error",
        -10 => "createSession",
        -11 => "closeSession",
        _ => return format!("unknown {op}"),
    };
    name.to_owned()
}

/// A string within a record.
fn quoted(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\0' => out.push_str("%00"),
            '\n' => out.push_str("%0A"),
            '\r' => out.push_str("%0D"),
            ',' => out.push_str("%2C"),
            '}' => out.push_str("%7D"),
            '%' => out.push_str("%25"),
            _ => out.push(c),
        }
    }
    out
}

fn entries(acl: &AclList) -> impl Iterator<Item = String> {
    acl.entries().iter().map(|entry| {
        format!("{},s{{{},{}}}", entry.perms, quoted(&entry.id.scheme), quoted(&entry.id.id))
    })
}

/// A list of ACLs as Java's collections print it: each record ends with a line break.
fn list(acl: &AclList) -> String {
    let entries: Vec<String> = entries(acl).map(|entry| entry + "\n").collect();
    format!("[{}]", entries.join(", "))
}

/// Data as text; null and empty look the same.
fn data(data: Option<&[u8]>) -> String {
    String::from_utf8_lossy(data.unwrap_or_default()).into_owned()
}

fn create(create: &CreateTxn<'_>) -> String {
    format!("{},{},{}", create.path, data(create.data), list(&create.acl))
}

/// A txn as `TxnLogToolkit` prints it; `payload` is its record, from which the parts of a multi are
/// taken as they are.
pub(crate) fn txn(txn: &Txn<'_>, payload: &[u8]) -> String {
    match txn {
        Txn::Create { create: c, ephemeral, .. } => {
            format!("{},{ephemeral},{}", create(c), c.parent_cversion)
        }
        Txn::CreateContainer(c) => format!("{},{}", create(c), c.parent_cversion),
        Txn::CreateTtl { create: c, ttl_ms } => {
            format!("{},{},{ttl_ms}", create(c), c.parent_cversion)
        }
        Txn::Delete { path, .. } => quoted(path) + "\n",
        Txn::SetData { path, data: bytes, version, .. } => {
            format!("{path},{},{version}", data(*bytes))
        }
        Txn::SetAcl { path, acl, version } => {
            let entries: Vec<String> = entries(acl).map(|entry| format!("s{{{entry}}}")).collect();
            format!("{},v{{{}}},{version}\n", quoted(path), entries.join(","))
        }
        Txn::Check { path, version } => format!("{},{version}\n", quoted(path)),
        Txn::CreateSession { timeout_ms } => format!("{timeout_ms}\n"),
        Txn::CloseSession(None) => String::new(),
        Txn::CloseSession(Some(paths)) => {
            let paths: Vec<String> = paths.iter().map(|path| quoted(path)).collect();
            format!("v{{{}}}\n", paths.join(","))
        }
        Txn::Error(code) => format!("{code}\n"),
        Txn::Multi(_) => multi(payload).unwrap_or_default(),
    }
}

fn multi(payload: &[u8]) -> rookeeper_proto::jute::Result<String> {
    let mut r = Reader::new(payload);
    rookeeper_proto::txn::TxnHeader::read(&mut r)?;
    let parts = r.vector(|r| Ok(format!("{}:{}", op_name(r.i32()?), data(r.buffer()?))))?;
    Ok(parts.unwrap_or_default().join(";"))
}
