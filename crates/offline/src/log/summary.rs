//! Sums logs up: how many records of which kind, how much of it data, when. Memory grows with the number
//! of sessions only.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use rookeeper_proto::Reader;
use rookeeper_proto::txn::TxnHeader;
use rookeeper_storage::Disk;
use rookeeper_storage::txn_log::inspect::Ending;
use serde_json::json;

use crate::output::{Outcome, Output};
use crate::{FAILED, FINE, damage, java};

#[derive(Debug, Default)]
struct Kind {
    records: u64,
    bytes: u64,
}

pub(super) fn run(disk: &dyn Disk, files: &[PathBuf], as_json: bool, out: &mut Output) -> Outcome {
    let mut kinds: BTreeMap<String, Kind> = BTreeMap::new();
    let mut sessions = HashSet::new();
    let mut range: Option<(TxnHeader, TxnHeader)> = None;
    let (mut largest, mut file_bytes) = ((0, None), 0);
    let mut code = FINE;
    for path in files {
        let Some(mut log) = super::open(disk, path)? else { continue };
        let len = log.len();
        file_bytes += len;
        while let Some(record) = log.next_sound()? {
            out.progress(|| format!("{}: {} of {len} bytes", path.display(), record.offset))?;
            let Ok(header) = TxnHeader::read(&mut Reader::new(record.payload)) else { continue };
            let kind = kinds.entry(java::op_name(header.op)).or_default();
            kind.records += 1;
            kind.bytes += record.payload.len() as u64;
            if header.session.0 != 0 {
                sessions.insert(header.session);
            }
            if largest.0 < record.payload.len() {
                largest = (record.payload.len(), Some(header.zxid));
            }
            range = Some((range.map_or(header, |(first, _)| first), header));
        }
        let ending = log.ending()?;
        if let Some(sentence) = damage::sentence(path, &ending) {
            out.err(&sentence);
            if matches!(ending, Ending::Damaged { .. }) {
                code = FAILED;
            }
        }
    }
    let records: u64 = kinds.values().map(|kind| kind.records).sum();
    if as_json {
        out.json(&json!({
            "files": files.len(),
            "file_bytes": file_bytes,
            "records": records,
            "sessions": sessions.len(),
            "first": range.map(|(first, _)| json!({"zxid": first.zxid.to_string(), "time_ms": first.time_ms})),
            "last": range.map(|(_, last)| json!({"zxid": last.zxid.to_string(), "time_ms": last.time_ms})),
            "largest": {"bytes": largest.0, "zxid": largest.1.map(|zxid| zxid.to_string())},
            "kinds": kinds.iter().map(|(name, kind)| {
                (name.clone(), json!({"records": kind.records, "bytes": kind.bytes}))
            }).collect::<serde_json::Map<_, _>>(),
        }))?;
        return Ok(code);
    }
    out.line(&format!("files     {} ({file_bytes} bytes)", files.len()))?;
    out.line(&format!("records   {records}"))?;
    out.line(&format!("sessions  {}", sessions.len()))?;
    if let Some((first, last)) = range {
        out.line(&format!("first     {} {}", first.zxid, java::date(first.time_ms)))?;
        out.line(&format!("last      {} {}", last.zxid, java::date(last.time_ms)))?;
    }
    if let (bytes, Some(zxid)) = largest {
        out.line(&format!("largest   {bytes} bytes, {zxid}"))?;
    }
    for (name, kind) in &kinds {
        out.line(&format!("{name:<16} {:>10} records {:>12} bytes", kind.records, kind.bytes))?;
    }
    Ok(code)
}
