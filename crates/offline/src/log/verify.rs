//! Reads logs completely: framing, checksums, that every record is a txn, that zxids grow, and that
//! nothing is missing between records and between files.

use std::path::PathBuf;

use rookeeper_proto::Zxid;
use rookeeper_proto::txn::Record;
use rookeeper_storage::Disk;
use rookeeper_storage::txn_log::inspect::{Ending, follows};
use serde_json::json;

use crate::output::{Outcome, Output};
use crate::{FAILED, FINE, damage};

pub(super) fn run(disk: &dyn Disk, files: &[PathBuf], as_json: bool, out: &mut Output) -> Outcome {
    let mut last: Option<Zxid> = None;
    let mut is_fine = true;
    for path in files {
        let (mut problems, mut notes) = (Vec::new(), Vec::new());
        let (mut records, mut first, mut ending) = (0u64, None, Ending::Clean);
        match super::open(disk, path) {
            Ok(Some(mut log)) => {
                let len = log.len();
                while let Some(record) = log.next_sound()? {
                    out.progress(|| {
                        format!("{}: {} of {len} bytes", path.display(), record.offset)
                    })?;
                    let offset = record.offset;
                    let zxid = record.zxid().unwrap_or(Zxid::UNKNOWN);
                    first.get_or_insert(zxid);
                    records += 1;
                    if let Err(error) = Record::read(record.payload) {
                        problems.push(format!("byte {offset}: {zxid} is no txn: {error}"));
                    }
                    match last {
                        // What a server that was killed wrote twice (ZOOKEEPER-4712) is harmless.
                        Some(before) if zxid <= before => {
                            notes.push(format!("byte {offset}: {zxid} again, behind {before}"));
                            continue;
                        }
                        Some(before) if !follows(zxid, before) => problems.push(format!(
                            "byte {offset}: transactions are missing between {before} and {zxid}"
                        )),
                        _ => {}
                    }
                    last = Some(zxid);
                }
                ending = log.ending()?;
            }
            Ok(None) => notes.push("has no header: a crash cut off its creation".to_owned()),
            Err(crate::output::Stop::Said { text, .. }) => problems.push(text),
            Err(stop) => return Err(stop),
        }
        is_fine &= problems.is_empty() && !matches!(ending, Ending::Damaged { .. });
        if as_json {
            out.json(&json!({
                "file": path.display().to_string(),
                "records": records,
                "first": first.map(|zxid| zxid.to_string()),
                "last": last.filter(|_| 0 < records).map(|zxid| zxid.to_string()),
                "problems": problems,
                "notes": notes,
                "ending": damage::value(&ending),
            }))?;
            continue;
        }
        let range = match (first, last) {
            (Some(first), Some(last)) => format!("{records} records, {first} to {last}"),
            _ => "no records".to_owned(),
        };
        let is_damaged = !problems.is_empty() || matches!(ending, Ending::Damaged { .. });
        let verdict = if is_damaged { "DAMAGED" } else { "ok" };
        out.line(&format!("{}: {range}: {verdict}", path.display()))?;
        for text in problems.iter().chain(&notes) {
            out.line(&format!("  {text}"))?;
        }
        if let Some(sentence) = damage::sentence(path, &ending) {
            out.line(&format!("  {sentence}"))?;
        }
    }
    Ok(if is_fine { FINE } else { FAILED })
}
