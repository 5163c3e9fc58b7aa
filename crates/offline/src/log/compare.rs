//! Compares two logs record by record, whatever files they are in. The first few differences are told,
//! all are counted.

use std::path::PathBuf;

use rookeeper_proto::Zxid;
use rookeeper_storage::Disk;
use rookeeper_storage::txn_log::inspect::{Ending, LogInspector};
use serde_json::json;

use crate::output::{Outcome, Output, Stop};
use crate::{FAILED, FINE, damage};

/// Differences told one by one.
const SHOWN: u64 = 20;

/// The records of several files, one after the other.
struct Side<'d> {
    disk: &'d dyn Disk,
    files: std::vec::IntoIter<PathBuf>,
    current: Option<(PathBuf, LogInspector)>,
    /// The record at hand: its zxid and its bytes.
    head: Option<(Zxid, Vec<u8>)>,
    last: Zxid,
}

impl<'d> Side<'d> {
    fn open(disk: &'d dyn Disk, files: Vec<PathBuf>) -> Outcome<Self> {
        let files = files.into_iter();
        let mut side = Self { disk, files, current: None, head: None, last: Zxid(i64::MIN) };
        side.step()?;
        Ok(side)
    }

    /// Takes the next record; one that is there twice counts once.
    fn step(&mut self) -> Outcome<()> {
        loop {
            let Some((path, log)) = &mut self.current else {
                let Some(path) = self.files.next() else {
                    self.head = None;
                    return Ok(());
                };
                self.current = super::open(self.disk, &path)?.map(|log| (path, log));
                continue;
            };
            let Some(record) = log.next_sound()? else {
                let ending = log.ending()?;
                // Behind damage there may be anything: no verdict is better than a wrong one.
                if let (Ending::Damaged { .. }, Some(text)) =
                    (&ending, damage::sentence(path, &ending))
                {
                    return Err(Stop::new(text));
                }
                self.current = None;
                continue;
            };
            let zxid = record.zxid().unwrap_or(Zxid::UNKNOWN);
            if self.last < zxid {
                self.last = zxid;
                self.head = Some((zxid, record.payload.to_vec()));
                return Ok(());
            }
        }
    }
}

pub(super) fn run(
    disk: &dyn Disk,
    left: Vec<PathBuf>,
    right: Vec<PathBuf>,
    as_json: bool,
    out: &mut Output,
) -> Outcome {
    let (mut left, mut right) = (Side::open(disk, left)?, Side::open(disk, right)?);
    let (mut same, mut only_left, mut only_right, mut different) = (0u64, 0u64, 0u64, 0u64);
    let mut told = 0;
    loop {
        let (zxid, what, steps) = match (&left.head, &right.head) {
            (None, None) => break,
            (Some((l, a)), Some((r, b))) if l == r => {
                let what = if a == b { None } else { Some("differs") };
                (*l, what, (true, true))
            }
            (Some((l, _)), Some((r, _))) if l < r => {
                (*l, Some("is only in the left"), (true, false))
            }
            (Some((l, _)), None) => (*l, Some("is only in the left"), (true, false)),
            (_, Some((r, _))) => (*r, Some("is only in the right"), (false, true)),
        };
        match (what, steps) {
            (None, _) => same += 1,
            (Some(_), (true, true)) => different += 1,
            (Some(_), (true, _)) => only_left += 1,
            (Some(_), _) => only_right += 1,
        }
        if let Some(what) = what {
            told += 1;
            match (as_json, told <= SHOWN) {
                (true, _) => out.json(&json!({"zxid": zxid.to_string(), "what": what}))?,
                (false, true) => out.line(&format!("{zxid} {what}"))?,
                (false, false) => {}
            }
        }
        out.progress(|| format!("{zxid}"))?;
        if steps.0 {
            left.step()?;
        }
        if steps.1 {
            right.step()?;
        }
    }
    if as_json {
        out.json(&json!({
            "same": same, "different": different, "only_left": only_left, "only_right": only_right,
        }))?;
    } else {
        if SHOWN < told {
            out.line(&format!("... {} more", told - SHOWN))?;
        }
        out.line(&format!(
            "{same} the same, {different} different, {only_left} only in the left, {only_right} only in \
             the right"
        ))?;
    }
    Ok(if told == 0 { FINE } else { FAILED })
}
