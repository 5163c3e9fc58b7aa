//! Judges what is behind the last whole record of a log file: a clean end, a torn tail, or damage.
//!
//! A crash leaves of the last, unforced batch any subset of its sectors. A lost sector reads as
//! zeros (`format`). Therefore:
//!
//! - nothing but zeros and our marks: a clean end;
//! - whole records behind the break: damage, unless the file is marked as ours, the break is not
//!   before the last batch, and it has the shape of a lost sector;
//! - no whole record behind it: a torn tail, unless the mark behind the batch proves that the batch
//!   was written completely and the break has not the shape of a lost sector.
//!
//! Whatever is dropped is named. Source: `storage-format.md` 1.5 and S4.

use rookeeper_proto::Zxid;

use super::file::{EndReason, LogFile};
use super::format::{
    BATCH_MAGIC, BATCH_MARK_BYTES, FILL_ALIGN, FILL_MARK, FILL_MARK_BYTES, MIN_PAYLOAD_BYTES,
    PREFIX_BYTES, payload_zxid, read_batch_mark,
};
use crate::disk::SECTOR_BYTES;
use crate::error::{Error, Result};

/// What is behind the last whole record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing.
    Clean {
        /// The start of the last batch, if its mark is there.
        batch_start: Option<u64>,
    },
    /// The remains of a write that a crash cut off.
    Torn {
        /// Where they begin.
        at: u64,
        /// Up to where there is anything.
        bytes: u64,
        /// Zxids that could be read in them.
        zxids: Vec<Zxid>,
        /// What the first of them was taken for.
        what: String,
    },
}

/// What was found behind a break.
#[derive(Debug, Default)]
struct Remains {
    first_record: Option<u64>,
    /// Behind the last record, or the break itself.
    records_end: u64,
    zxids: Vec<Zxid>,
    is_marked: bool,
    /// Where the last batch mark behind the break is, and the start it names.
    mark: Option<(u64, u64)>,
    /// Behind the last byte that is neither zero nor a fill mark.
    end: u64,
}

/// Judges the tail at the file's present place, where `reason` was found behind record `last`.
pub(crate) fn judge(file: &mut LogFile, last: Zxid, reason: &EndReason) -> Result<Tail> {
    let at = file.at;
    let batch_start = read_batch_mark(file.bytes_up_to(at, BATCH_MARK_BYTES)?);
    let remains = look_behind(file, last)?;
    let blank_end = if batch_start.is_some() { at + BATCH_MARK_BYTES as u64 } else { at };
    // No padding is that short: it was cut.
    let is_stump = (at + 1..at + PREFIX_BYTES as u64).contains(&file.len);
    if remains.end <= blank_end && !is_stump {
        return Ok(Tail::Clean { batch_start });
    }
    let (expected, found) = match reason {
        EndReason::Broken { expected, found } => (expected.clone(), found.clone()),
        EndReason::EndOfFile | EndReason::ZeroLength => {
            ("a record, or zeros up to the end of the file".to_owned(), "other bytes".to_owned())
        }
    };
    let limit = remains.first_record.or(remains.mark.map(|(mark_at, _)| mark_at));
    // A record begins with zeros: they may be in the lost sector.
    let limit = file.first_nonzero(limit.unwrap_or(file.len), file.len)?.unwrap_or(file.len);
    let has_hole = has_lost_sector(file, at, limit)?;
    let is_before_last_batch = remains.mark.is_some_and(|(_, start)| at < start);
    let is_damage = match (remains.first_record, remains.mark) {
        (Some(_), _) => !remains.is_marked || is_before_last_batch || !has_hole,
        (None, Some(_)) => is_before_last_batch || !has_hole,
        (None, None) => false,
    };
    if is_damage {
        let found = match remains.first_record {
            Some(next) => format!("{found}, with whole records behind it from byte {next} on"),
            None => format!("{found}, in a batch that had been written completely"),
        };
        return Err(Error::corrupt(&file.path, at, expected, found));
    }
    let what = format!("expected {expected}, found {found}");
    let bytes = if is_stump { file.len - at } else { remains.end - at };
    Ok(Tail::Torn { at, bytes, zxids: remains.zxids, what })
}

fn look_behind(file: &mut LogFile, last: Zxid) -> Result<Remains> {
    let at = file.at;
    let mut remains = Remains { records_end: at, end: at, ..Remains::default() };
    if let Some(zxid) = plausible_zxid(file, at, last)? {
        remains.zxids.push(zxid);
    }
    let mut from = at;
    while let Some((found, zxid)) = file.find_record(from, last)? {
        remains.first_record.get_or_insert(found);
        if remains.zxids.last() != Some(&zxid) {
            remains.zxids.push(zxid);
        }
        let len = file.check(found)?.unwrap_or(0);
        from = found + (len + super::format::OVERHEAD_BYTES) as u64;
        remains.records_end = from;
    }
    look_for_marks(file, &mut remains)?;
    Ok(remains)
}

/// Finds marks behind the last whole record, and where anything else ends.
fn look_for_marks(file: &mut LogFile, remains: &mut Remains) -> Result<()> {
    let mut at = remains.records_end;
    remains.end = at;
    while let Some(next) = file.first_nonzero(at, file.len)? {
        let fill_end = next + FILL_MARK_BYTES;
        if fill_end.is_multiple_of(FILL_ALIGN)
            && *file.bytes_up_to(next, FILL_MARK.len())? == FILL_MARK
        {
            remains.is_marked = true;
            at = fill_end;
            continue;
        }
        match read_batch_mark(file.bytes_up_to(next, BATCH_MARK_BYTES)?) {
            Some(start) if start <= next => {
                // The mark at the break itself is the one before: it says nothing of this batch.
                if file.at < next {
                    remains.mark = Some((next, start));
                }
                at = next + BATCH_MARK_BYTES as u64;
            }
            _ => at = next + 1,
        }
        remains.end = at;
    }
    Ok(())
}

/// The zxid a torn record seems to have: only said if it could be the next.
fn plausible_zxid(file: &mut LogFile, at: u64, last: Zxid) -> Result<Option<Zxid>> {
    let bytes = file.bytes_up_to(at, PREFIX_BYTES + MIN_PAYLOAD_BYTES)?;
    let zxid = bytes.get(PREFIX_BYTES..).and_then(payload_zxid).map(Zxid);
    let is_next = |zxid: &Zxid| last == Zxid::UNKNOWN || super::continues(*zxid, last);
    Ok(zxid.filter(is_next))
}

/// Whether some sector between the break and `limit` looks as it did before the batch: zeros, but
/// for the mark that stood at the break.
fn has_lost_sector(file: &mut LogFile, at: u64, limit: u64) -> Result<bool> {
    let old_mark_end = at + BATCH_MARK_BYTES as u64;
    let mut sector = at / SECTOR_BYTES * SECTOR_BYTES;
    while sector + SECTOR_BYTES <= limit {
        let (from, to) = (sector.max(at), sector + SECTOR_BYTES);
        let behind_mark = from.max(old_mark_end.min(to));
        let is_lost = if behind_mark < to {
            file.is_zero(behind_mark, to)?
        } else {
            let n = (to - from) as usize;
            let bytes = file.bytes(from, n)?;
            bytes.iter().all(|byte| *byte == 0) || bytes.starts_with(&BATCH_MAGIC[..n.min(4)])
        };
        if is_lost {
            return Ok(true);
        }
        sector += SECTOR_BYTES;
    }
    Ok(false)
}
