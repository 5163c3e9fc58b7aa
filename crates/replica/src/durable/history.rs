//! Reads the log for a learner that is behind what the leader keeps in memory.

use std::path::Path;

use bytes::Bytes;
use rookeeper_proto::Zxid;
use rookeeper_storage::{Disk, LogReader};
use rookeeper_zab::limits::HISTORY_READ_BYTES;
use rookeeper_zab::{HistoryAnswer, TxnRecord};

/// Records after `after`, up to `through`, or the first slice of them. Only a log that holds both proves what is
/// between them; otherwise the learner is sent a snapshot.
pub fn read(
    disk: &dyn Disk,
    log_dir: &Path,
    record_bytes_max: usize,
    after: Zxid,
    through: Zxid,
) -> HistoryAnswer {
    HistoryReader::new(disk, log_dir, record_bytes_max).read(after, through)
}

/// Reads slice after slice without walking to the beginning of each.
#[derive(Debug)]
pub struct HistoryReader<'d> {
    disk: &'d dyn Disk,
    log_dir: &'d Path,
    record_bytes_max: usize,
    /// Behind the last record that was read.
    place: Option<(Zxid, LogReader<'d>)>,
}

impl<'d> HistoryReader<'d> {
    /// One that has read nothing.
    pub fn new(disk: &'d dyn Disk, log_dir: &'d Path, record_bytes_max: usize) -> Self {
        Self { disk, log_dir, record_bytes_max, place: None }
    }

    /// The same as the function [`read`].
    pub fn read(&mut self, after: Zxid, through: Zxid) -> HistoryAnswer {
        // A reader that cannot go on may have looked at the end of a file before there was more of it.
        let next = self.place.take().filter(|(at, _)| *at == after);
        let slice = next.and_then(|(_, reader)| self.slice(reader, through));
        let records = slice.or_else(|| self.slice(self.behind(after)?, through));
        match records {
            Some(records) => HistoryAnswer::Records { prev: after, records },
            None => HistoryAnswer::Unavailable,
        }
    }

    fn behind(&self, after: Zxid) -> Option<LogReader<'d>> {
        let before = Zxid(after.0.checked_sub(1)?);
        let opened = LogReader::open(self.disk, self.log_dir, before, self.record_bytes_max);
        let mut reader = opened.ok()?;
        (reader.next_record().ok()??.zxid == after).then_some(reader)
    }

    fn slice(&mut self, mut reader: LogReader<'d>, through: Zxid) -> Option<Vec<TxnRecord>> {
        let mut records = Vec::new();
        let mut bytes = 0;
        while bytes < HISTORY_READ_BYTES {
            let record = reader.next_record().ok()??;
            if through < record.zxid {
                return None;
            }
            let zxid = record.zxid;
            bytes += record.payload.len();
            let payload = Bytes::copy_from_slice(record.payload);
            records.push(TxnRecord::parse(zxid, payload)?);
            if zxid == through {
                break;
            }
        }
        self.place = records.last().map(|last| (last.zxid, reader));
        Some(records)
    }
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

    /// As a leader asks: always from where the last slice ended, while the log grows.
    #[test]
    fn slices_follow_one_another_in_a_log_that_grows() {
        let (disk, dir) = (MemDisk::new(), Path::new("/log"));
        disk.create_dir_all(dir).expect("a directory");
        let options = TxnLogOptions::default();
        let mut log = TxnLog::new(Arc::new(disk.clone()), dir.to_owned(), options, Zxid::ZERO);
        let big = |zxid| [payload(zxid), vec![0; HISTORY_READ_BYTES / 4]].concat();
        let mut append = |counters: std::ops::RangeInclusive<u32>| {
            for counter in counters {
                let zxid = Zxid::new(1, counter);
                log.append(zxid, &big(zxid));
            }
            log.commit().expect("a sound disk");
        };
        let mut reader = HistoryReader::new(&disk, dir, 1 << 20);
        let mut read = |after, through| {
            let answer = reader.read(Zxid::new(1, after), Zxid::new(1, through));
            let HistoryAnswer::Records { records, .. } = answer else { return Vec::new() };
            records.iter().map(|record| record.zxid.counter()).collect()
        };
        append(1..=10);
        assert_eq!(read(1, 10), [2, 3, 4, 5]);
        assert_eq!(read(5, 10), [6, 7, 8, 9]);
        assert_eq!(read(9, 10), [10]);
        // It has come to the end of what there was.
        append(11..=13);
        assert_eq!(read(10, 13), [11, 12, 13]);
        assert_eq!(read(13, 14), [0; 0]);
        append(14..=15);
        assert_eq!(read(13, 15), [14, 15]);
        assert_eq!(read(3, 15), [4, 5, 6, 7], "from elsewhere");
    }
}
