//! Reads the log for a learner that is behind what the leader keeps in memory.

use std::path::Path;

use bytes::Bytes;
use rookeeper_proto::Zxid;
use rookeeper_storage::{Disk, LogReader};
use rookeeper_zab::limits::HISTORY_READ_BYTES;
use rookeeper_zab::{HistoryAnswer, TxnRecord};

/// Records after `after`, up to `through`, in slices. Only a log that holds both proves what is between them;
/// otherwise the learner is sent a snapshot.
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
        let record = reader.next_record().ok()??;
        if through < record.zxid {
            return None;
        }
        bytes += record.payload.len();
        let payload = Bytes::copy_from_slice(record.payload);
        records.push(TxnRecord::parse(record.zxid, payload)?);
        if record.zxid == through {
            break;
        }
    }
    Some(HistoryAnswer::Records { prev: after, records })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rookeeper_proto::SessionId;
    use rookeeper_proto::txn::TxnHeader;
    use rookeeper_storage::{MemDisk, TxnLog, TxnLogOptions};

    use super::*;

    fn payload(zxid: Zxid) -> Vec<u8> {
        let mut bytes = Vec::new();
        TxnHeader { session: SessionId(1), cxid: 1, zxid, time_ms: 2, op: -1 }.write(&mut bytes);
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn only_a_log_that_holds_both_ends_tells_what_is_between() {
        let (disk, dir) = (MemDisk::new(), Path::new("/log"));
        disk.create_dir_all(dir).expect("a directory");
        let mut log = TxnLog::new(
            Arc::new(disk.clone()),
            dir.to_owned(),
            TxnLogOptions::default(),
            Zxid::ZERO,
        );
        let z = Zxid::new;
        for zxid in [z(1, 1), z(1, 2), z(1, 3), z(2, 1)] {
            log.append(zxid, &payload(zxid));
        }
        log.commit().expect("a sound disk");

        let found = |after, through| match read(&disk, dir, 1 << 20, after, through) {
            HistoryAnswer::Records { prev, records } => {
                assert_eq!(prev, after);
                Some(records.iter().map(|record| record.zxid).collect::<Vec<_>>())
            }
            HistoryAnswer::Unavailable => None,
        };
        assert_eq!(found(z(1, 1), z(1, 3)), Some(vec![z(1, 2), z(1, 3)]));
        assert_eq!(found(z(1, 2), z(2, 1)), Some(vec![z(1, 3), z(2, 1)]));
        // Beyond its end, between records, and before its first.
        assert_eq!(found(z(1, 2), z(2, 2)), None);
        assert_eq!(found(z(1, 2), z(2, 0)), None);
        assert_eq!(found(Zxid::ZERO, z(1, 3)), None);
        assert_eq!(found(z(1, 4), z(2, 1)), None);
    }
}
