//! The bytes of a log file (`storage-format.md` 1.1, 1.2), and two marks of ours behind its end.
//!
//! ```text
//! header   "ZKLG" | i32 2 | i64 0
//! record   i64 adler32(payload) | i32 length | payload | 'B'
//! ```
//!
//! Space ahead of the last record is real zeros, forced before a record is written into it. So a
//! sector of a record that a crash lost reads as zeros, and never as anything else. Two marks let
//! recovery tell such a loss from damage; Java reads both as the end of the file (a record of length
//! 0), and without them recovery only becomes stricter:
//!
//! ```text
//! batch mark  "RKB1" | u32 adler32(start) | i32 0 | u64 start      behind the last record
//! fill mark   "RKFILL1\0" | 8 zero bytes                           at the end of the zero-filled space
//! ```
//!
//! `start` is the offset of the batch's first record: everything before it was forced before the
//! batch was written. The next batch overwrites the batch mark. The fill mark says that the file is
//! one in which batches end with marks.

use simd_adler32::adler32;

/// Bytes of the file header.
pub(crate) const HEADER_BYTES: u64 = 16;
/// The whole file header.
pub(crate) const HEADER: [u8; 16] = *b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0";
/// First four bytes of a log.
pub(crate) const MAGIC: [u8; 4] = *b"ZKLG";
/// The only version there is.
pub(crate) const VERSION: i32 = 2;
/// Ends every record.
pub(crate) const EOR: u8 = b'B';
/// Bytes before the payload.
pub(crate) const PREFIX_BYTES: usize = 12;
/// Bytes of a record beside its payload.
pub(crate) const OVERHEAD_BYTES: usize = PREFIX_BYTES + 1;
/// A payload begins with a TxnHeader.
pub(crate) const MIN_PAYLOAD_BYTES: usize = rookeeper_proto::txn::TxnHeader::ENCODED_BYTES;
/// Where in the payload the zxid is.
const ZXID_AT: usize = 12;

/// Bytes of the batch mark.
pub(crate) const BATCH_MARK_BYTES: usize = 20;
/// Its first four bytes.
pub(crate) const BATCH_MAGIC: [u8; 4] = *b"RKB1";
/// Bytes of the fill mark.
pub(crate) const FILL_MARK_BYTES: u64 = 16;
/// The whole fill mark.
pub(crate) const FILL_MARK: [u8; 16] = *b"RKFILL1\0\0\0\0\0\0\0\0\0";
/// Ends of filled space, and so fill marks, are at multiples of this.
pub(crate) const FILL_ALIGN: u64 = 4096;

/// Appends a record.
pub(crate) fn put_record(out: &mut Vec<u8>, payload: &[u8]) {
    out.reserve(payload.len() + OVERHEAD_BYTES);
    let mut prefix = [0; PREFIX_BYTES];
    prefix[4..8].copy_from_slice(&adler32(&payload).to_be_bytes());
    prefix[8..12].copy_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(&prefix);
    out.extend_from_slice(payload);
    out.push(EOR);
}

/// The batch mark of a batch that begins at `start`.
pub(crate) fn batch_mark(start: u64) -> [u8; BATCH_MARK_BYTES] {
    let mut mark = [0; BATCH_MARK_BYTES];
    mark[0..4].copy_from_slice(&BATCH_MAGIC);
    mark[4..8].copy_from_slice(&adler32(&&start.to_be_bytes()[..]).to_be_bytes());
    mark[12..20].copy_from_slice(&start.to_be_bytes());
    mark
}

/// The start in a batch mark, if `bytes` begin with one.
pub(crate) fn read_batch_mark(bytes: &[u8]) -> Option<u64> {
    let mark: &[u8; BATCH_MARK_BYTES] = bytes.first_chunk()?;
    let start = u64::from_be_bytes(*mark[12..].first_chunk()?);
    (batch_mark(start) == *mark).then_some(start)
}

/// The zxid in a payload that is long enough.
pub(crate) fn payload_zxid(payload: &[u8]) -> Option<i64> {
    payload.get(ZXID_AT..)?.first_chunk().map(|bytes| i64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_read_back_and_end_a_file_for_java() {
        for start in [0, 16, 0x1234_5678_9abc] {
            let mark = batch_mark(start);
            assert_eq!(read_batch_mark(&mark), Some(start));
            assert_eq!(mark[8..12], [0; 4], "the length Java reads");
            for bit in 0..mark.len() * 8 {
                let mut damaged = mark;
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(read_batch_mark(&damaged), None);
            }
        }
    }

    /// The record of `storage-format.md` 1.2.
    #[test]
    fn golden_record() {
        let text = "00000000e6e30c26 00000054 0000000000000001 00000001 0000000100000001 \
            00000000000003e8 00000001 0000000b2f6e313030303030303031 0000000101 00000001 0000001f \
            00000005776f726c64 00000006616e796f6e65 00 ffffffff 42";
        let golden = crate::testing::unhex(text);
        let mut out = Vec::new();
        put_record(&mut out, &golden[PREFIX_BYTES..golden.len() - 1]);
        assert_eq!(out, golden);
        assert_eq!(payload_zxid(&golden[PREFIX_BYTES..]), Some(0x1_0000_0001));
    }
}
