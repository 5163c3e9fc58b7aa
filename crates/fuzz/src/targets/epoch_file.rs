//! `currentEpoch` and `acceptedEpoch`.

use std::path::Path;

use rookeeper_storage::{CURRENT_EPOCH, MemDisk, read_epoch, write_epoch};

pub(super) fn run(data: &[u8]) {
    let disk = MemDisk::new();
    let dir = Path::new("/data/version-2");
    disk.put(&dir.join(CURRENT_EPOCH), data);
    match read_epoch(&disk, dir, CURRENT_EPOCH) {
        Ok(Some(epoch)) => {
            assert!(0 <= epoch);
            if write_epoch(&disk, dir, CURRENT_EPOCH, epoch).is_ok() {
                assert_eq!(read_epoch(&disk, dir, CURRENT_EPOCH).ok(), Some(Some(epoch)));
            }
        }
        Ok(None) => unreachable!("the file is there"),
        Err(error) => assert!(error.to_string().contains(CURRENT_EPOCH), "{error}"),
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    [&b"0"[..], b"1\n", b"4294967295", b"-1", b"9223372036854775808", b"1\r\n2", b""]
        .map(<[u8]>::to_vec)
        .to_vec()
}
