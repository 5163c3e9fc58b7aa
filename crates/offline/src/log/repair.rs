//! Copies the whole records of a log into a new file, and says what is not among them.

use std::path::Path;

use rookeeper_proto::Zxid;
use rookeeper_storage::Disk;
use rookeeper_storage::txn_log::inspect::{Ending, file_header, put_record};
use serde_json::json;

use super::writing::NewFile;
use crate::output::{Outcome, Output, Stop};
use crate::{FAILED, FINE, damage};

/// What a copy kept and dropped.
#[derive(Debug, Default)]
struct Kept {
    records: u64,
    first: Option<Zxid>,
    last: Option<Zxid>,
    /// Where something was left out: from, to, the zxids around it.
    dropped: Vec<Dropped>,
}

#[derive(Debug)]
struct Dropped {
    from: u64,
    to: u64,
    ending: Ending,
    after: Option<Zxid>,
    before: Option<Zxid>,
}

/// Copies a whole log; refuses a damaged one.
pub(super) fn convert(disk: &dyn Disk, from: &Path, to: &Path, out: &mut Output) -> Outcome {
    let mut file = NewFile::create(disk, to)?;
    let kept = copy(disk, from, Some(&mut file), false, out)?;
    if let Some(dropped) = kept.dropped.iter().find(|d| matches!(d.ending, Ending::Damaged { .. }))
    {
        let text = damage::sentence(from, &dropped.ending).unwrap_or_default();
        return Err(Stop::new(format!("{text}\nnothing was written; see rookeeper log repair")));
    }
    let bytes = file.len();
    file.publish()?;
    out.line(&format!("{}: {} records, {bytes} bytes", to.display(), kept.records))?;
    for dropped in &kept.dropped {
        out.line(&format!("left out: {}", sentence(from, dropped)))?;
    }
    Ok(FINE)
}

pub(super) fn run(
    disk: &dyn Disk,
    from: &Path,
    to: Option<&Path>,
    skip_damage: bool,
    as_json: bool,
    out: &mut Output,
) -> Outcome {
    let mut file = to.map(|to| NewFile::create(disk, to)).transpose()?;
    let kept = copy(disk, from, file.as_mut(), skip_damage, out)?;
    if let Some(file) = file {
        file.publish()?;
    }
    let is_damaged = kept.dropped.iter().any(|d| matches!(d.ending, Ending::Damaged { .. }));
    if as_json {
        out.json(&json!({
            "from": from.display().to_string(),
            "to": to.map(|to| to.display().to_string()),
            "records": kept.records,
            "first": kept.first.map(|zxid| zxid.to_string()),
            "last": kept.last.map(|zxid| zxid.to_string()),
            "dropped": kept.dropped.iter().map(|dropped| json!({
                "from": dropped.from, "to": dropped.to, "why": damage::value(&dropped.ending),
                "after": dropped.after.map(|zxid| zxid.to_string()),
                "before": dropped.before.map(|zxid| zxid.to_string()),
            })).collect::<Vec<_>>(),
        }))?;
    } else {
        let verb = if to.is_some() { "dropped" } else { "would be dropped" };
        for dropped in &kept.dropped {
            out.line(&format!("{verb}: {}", sentence(from, dropped)))?;
        }
        let range = match (kept.first, kept.last) {
            (Some(first), Some(last)) => format!(", {first} to {last}"),
            _ => String::new(),
        };
        let place =
            to.map_or_else(|| "nothing was written".to_owned(), |to| to.display().to_string());
        out.line(&format!("{} records kept{range}: {place}", kept.records))?;
    }
    // Without a new file it is a question: is there anything to repair?
    Ok(if to.is_none() && is_damaged { FAILED } else { FINE })
}

fn sentence(path: &Path, dropped: &Dropped) -> String {
    let between = match (dropped.after, dropped.before) {
        (Some(after), Some(before)) => format!("; everything between {after} and {before} is lost"),
        (Some(after), None) => format!("; everything behind {after} is lost"),
        (None, Some(before)) => format!("; everything before {before} is lost"),
        (None, None) => String::new(),
    };
    let what = damage::sentence(path, &dropped.ending).unwrap_or_default();
    // A torn tail was never acknowledged.
    let between = if matches!(dropped.ending, Ending::Torn { .. }) { "" } else { &between };
    format!("bytes {} to {} ({what}){between}", dropped.from, dropped.to)
}

fn copy(
    disk: &dyn Disk,
    from: &Path,
    mut to: Option<&mut NewFile<'_>>,
    skip_damage: bool,
    out: &mut Output,
) -> Outcome<Kept> {
    let mut kept = Kept::default();
    let Some(mut log) = super::open(disk, from)? else {
        return Err(Stop::new(format!("{} has no records and no header", from.display())));
    };
    let len = log.len();
    if let Some(to) = &mut to {
        to.write(&file_header())?;
    }
    let mut bytes = Vec::new();
    loop {
        while let Some(record) = log.next_sound()? {
            out.progress(|| format!("{} of {len} bytes", record.offset))?;
            let zxid = record.zxid();
            kept.records += 1;
            kept.first = kept.first.or(zxid);
            kept.last = zxid;
            if let Some(to) = &mut to {
                bytes.clear();
                put_record(&mut bytes, record.payload);
                to.write(&bytes)?;
            }
        }
        let at = log.at();
        let after = kept.last;
        match log.ending()? {
            Ending::Clean => return Ok(kept),
            ending @ Ending::Damaged { next: Some((next, before)), .. } if skip_damage => {
                let before = Some(before);
                kept.dropped.push(Dropped { from: at, to: next, ending, after, before });
                log.go_on_at(next);
            }
            ending => {
                let to = match &ending {
                    Ending::Torn { at, bytes, .. } => at + bytes,
                    _ => len,
                };
                kept.dropped.push(Dropped { from: at, to, ending, after, before: None });
                return Ok(kept);
            }
        }
    }
}
