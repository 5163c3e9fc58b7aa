//! Reads the log for a learner that is behind what the leader keeps in memory.

use std::path::Path;

use bytes::Bytes;
use rookeeper_proto::Zxid;
use rookeeper_storage::{Disk, LogReader};
use rookeeper_zab::limits::HISTORY_READ_BYTES;
use rookeeper_zab::{HistoryAnswer, TxnRecord};

/// Records after `after`. Only a log that holds `after` itself proves what follows it; otherwise the
/// learner is sent a snapshot.
pub fn read(
    disk: &dyn Disk,
    log_dir: &Path,
    record_bytes_max: usize,
    after: Zxid,
    through: Zxid,
) -> HistoryAnswer {
    records(disk, log_dir, record_bytes_max, after, through).unwrap_or(HistoryAnswer::Unavailable)
}

fn records(
    disk: &dyn Disk,
    log_dir: &Path,
    record_bytes_max: usize,
    after: Zxid,
    through: Zxid,
) -> Option<HistoryAnswer> {
    let before = Zxid(after.0.checked_sub(1)?);
    let mut reader = LogReader::open(disk, log_dir, before, record_bytes_max).ok()?;
    if reader.next_record().ok()??.zxid != after {
        return None;
    }
    let mut records = Vec::new();
    let mut bytes = 0;
    while bytes < HISTORY_READ_BYTES {
        let Some(record) = reader.next_record().ok()? else { break };
        if through < record.zxid {
            break;
        }
        bytes += record.payload.len();
        let payload = Bytes::copy_from_slice(record.payload);
        records.push(TxnRecord::parse(record.zxid, payload)?);
    }
    Some(HistoryAnswer::Records { prev: after, records })
}
