//! Power is lost at every operation of a workload, and unforced writes are lost, torn and reordered.
//!
//! After each: recovery succeeds; everything acknowledged is there; nothing that was never appended
//! is; nothing is missing between. Then the server goes on, and loses power again.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod common;

use std::io;
use std::sync::Arc;

use common::{Chance, check_contents, dirs, found_zxids, open, options, payload, write_snapshot};
use rookeeper_proto::Zxid;
use rookeeper_storage::{
    CommitError, Compression, Disk, MemDisk, TxnLog, TxnLogOptions, plan_purge, purge,
};

const SIZE: usize = 300;

/// What a server promised so far.
#[derive(Debug, Clone)]
struct Promise {
    acknowledged: Zxid,
    appended: Zxid,
}

/// Runs until the disk fails; `Err` is what a server would stop with.
fn workload(disk: &MemDisk, promise: &mut Promise, pre_alloc_bytes: u64) -> Result<(), String> {
    let (recovered, collected) = open(disk).map_err(|e| e.to_string())?;
    check(promise, recovered.last_zxid, &collected);
    promise.appended = recovered.last_zxid;
    // What recovery returned is served, so it must stay from now on.
    promise.acknowledged = recovered.last_zxid;
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut log =
        TxnLog::new(shared, dirs().log_dir, allocating(pre_alloc_bytes), recovered.last_zxid);
    log.prepare_ahead().map_err(|e| e.to_string())?;
    for round in 0..4u32 {
        for batch in [1, 5, 2, 9] {
            for _ in 0..batch {
                let zxid = promise.appended.next();
                log.append(zxid, &payload(zxid, SIZE));
                promise.appended = zxid;
            }
            promise.acknowledged = log.commit().map_err(|e| e.to_string())?;
        }
        while round % 2 == 0 && log.prepare_ahead().map_err(|e| e.to_string())? {}
        if round % 2 == 1 {
            log.roll().map_err(|e| e.to_string())?;
        }
        let held: Vec<Zxid> = (1..=promise.acknowledged.0).map(Zxid).collect();
        let kind = [Compression::None, Compression::Snappy][round as usize % 2];
        write_snapshot(disk, promise.acknowledged, &held, SIZE, kind).map_err(|e| e.to_string())?;
        let plan = plan_purge(disk, &dirs(), 3).map_err(|e| e.to_string())?;
        purge(disk, &dirs(), &plan).map_err(|e| e.to_string())?;
    }
    log.close().map_err(|e| e.to_string())
}

fn check(promise: &Promise, last: Zxid, collected: &common::Collected) {
    assert!(promise.acknowledged <= last, "lost: {promise:?}, recovered {last}");
    assert!(last <= promise.appended, "invented: {promise:?}, recovered {last}");
    assert_eq!(found_zxids(collected), (1..=last.0).collect::<Vec<_>>());
    check_contents(collected, SIZE);
}

/// With space ahead, and without: `preAllocSize=0`.
const PRE_ALLOC_BYTES: [u64; 2] = [8192, 0];

fn allocating(pre_alloc_bytes: u64) -> TxnLogOptions {
    TxnLogOptions { pre_alloc_bytes, ..options() }
}

fn fresh() -> Promise {
    Promise { acknowledged: Zxid::ZERO, appended: Zxid::ZERO }
}

#[test]
fn the_workload_itself_succeeds() {
    for pre_alloc_bytes in PRE_ALLOC_BYTES {
        let disk = MemDisk::new();
        let mut promise = fresh();
        workload(&disk, &mut promise, pre_alloc_bytes).unwrap();
        assert_eq!(promise.acknowledged, Zxid(68));
        workload(&disk, &mut promise, pre_alloc_bytes).unwrap();
        assert_eq!(promise.acknowledged, Zxid(136));
    }
}

fn crash_everywhere(seeds: std::ops::Range<u64>, mut lose: impl FnMut(&MemDisk, u64)) {
    for pre_alloc_bytes in PRE_ALLOC_BYTES {
        let total = {
            let disk = MemDisk::new();
            workload(&disk, &mut fresh(), pre_alloc_bytes).unwrap();
            disk.ops()
        };
        for stop in 1..=total {
            for seed in seeds.clone() {
                let (disk, mut promise) = (MemDisk::new(), fresh());
                disk.stop_at(stop);
                let ended = workload(&disk, &mut promise, pre_alloc_bytes);
                // At last the zeros behind the last file are cut off, which nobody has to know of.
                assert_eq!(ended.is_ok(), stop == total, "{ended:?}");
                lose(&disk, seed * 1_000_003 + stop);
                // Once more, at a place that depends on the first: recovery itself is interrupted.
                disk.stop_at(disk.ops() + 1 + (seed * 7 + stop) % 40);
                let _ = workload(&disk, &mut promise, pre_alloc_bytes);
                lose(&disk, seed * 1_000_033 + stop);
                let (recovered, collected) = open(&disk).unwrap_or_else(|e| {
                    panic!("stop {stop}, seed {seed}, {pre_alloc_bytes} ahead: {e}")
                });
                check(&promise, recovered.last_zxid, &collected);
            }
        }
    }
}

#[test]
fn unforced_writes_are_lost_torn_and_reordered() {
    // More with ROOKEEPER_CRASH_SEEDS.
    let seeds = std::env::var("ROOKEEPER_CRASH_SEEDS").map_or(2, |n| n.parse().unwrap());
    crash_everywhere(0..seeds, |disk, seed| {
        let mut chance = Chance(seed);
        disk.crash(&mut |n| chance.below(n));
    });
}

#[test]
fn all_unforced_writes_are_lost() {
    crash_everywhere(0..1, |disk, _| disk.crash(&mut |_| 0));
}

#[test]
fn the_process_is_killed_and_later_power_is_lost() {
    crash_everywhere(0..2, |disk, seed| {
        if seed % 2 == 0 {
            disk.restart();
        } else {
            let mut chance = Chance(seed);
            disk.crash(&mut |n| chance.below(n));
        }
    });
}

/// Every operation fails once. The server stops or goes on, but promises only what it can keep.
#[test]
fn every_operation_fails_once() {
    for pre_alloc_bytes in PRE_ALLOC_BYTES {
        let total = {
            let disk = MemDisk::new();
            workload(&disk, &mut fresh(), pre_alloc_bytes).unwrap();
            disk.ops()
        };
        for kind in [io::ErrorKind::Other, io::ErrorKind::StorageFull] {
            for (at, seed) in (1..=total).flat_map(|at| (0..2).map(move |seed| (at, seed))) {
                let (disk, mut promise) = (MemDisk::new(), fresh());
                disk.fail_at(at, kind);
                let _ = workload(&disk, &mut promise, pre_alloc_bytes);
                let mut chance = Chance(at * 31 + seed);
                // A process that starts again first believes what it reads.
                disk.restart();
                let _ = workload(&disk, &mut promise, pre_alloc_bytes);
                disk.crash(&mut |n| chance.below(n));
                let (recovered, collected) = open(&disk)
                    .unwrap_or_else(|e| panic!("{kind} at {at}, {pre_alloc_bytes} ahead: {e}"));
                check(&promise, recovered.last_zxid, &collected);
            }
        }
    }
}

#[test]
fn after_a_failed_force_the_log_is_never_used_again() {
    let disk = MemDisk::new();
    open(&disk).unwrap();
    let mut log = common::log(&disk, Zxid::ZERO);
    common::append(&mut log, [Zxid(1)], 1, SIZE);
    disk.fail_syncs(true);
    log.append(Zxid(2), &payload(Zxid(2), SIZE));
    assert!(matches!(log.commit(), Err(CommitError::Poisoned { .. })));
    disk.fail_syncs(false);
    disk.start_trace();
    log.append(Zxid(2), &payload(Zxid(2), SIZE));
    assert!(matches!(log.commit(), Err(CommitError::Poisoned { .. })));
    assert!(matches!(log.prepare_ahead(), Err(CommitError::Poisoned { .. })));
    assert!(matches!(log.roll(), Err(CommitError::Poisoned { .. })));
    assert_eq!(disk.take_trace(), Vec::<String>::new());
    assert_eq!(log.durable(), Zxid(1));
}

/// The machine believes what a failed force left to be on disk. Whoever starts next reads it, so it
/// must make it durable.
#[test]
fn what_a_failed_force_left_is_durable_once_it_was_recovered() {
    for pre_alloc_bytes in [0, 64 << 10] {
        let disk = MemDisk::new();
        open(&disk).unwrap();
        let options = TxnLogOptions { pre_alloc_bytes, ..options() };
        let shared = Arc::new(disk.clone());
        let mut log = TxnLog::new(shared, dirs().log_dir, options, Zxid::ZERO);
        common::append(&mut log, [Zxid(1)], 1, SIZE);
        log.append(Zxid(2), &payload(Zxid(2), SIZE));
        disk.fail_syncs(true);
        assert!(log.commit().is_err());
        disk.restart();
        assert_eq!(open(&disk).unwrap().0.last_zxid, Zxid(2));
        disk.crash(&mut |_| 0);
        assert_eq!(open(&disk).unwrap().0.last_zxid, Zxid(2), "{pre_alloc_bytes}");
    }
}

/// Without the mark at its end a file's torn tail could not be told from damage.
#[test]
fn a_full_disk_leaves_the_mark_of_the_space_ahead() {
    let disk = MemDisk::new();
    open(&disk).unwrap();
    let mut log = common::log(&disk, Zxid::ZERO);
    common::append(&mut log, [Zxid(1)], 1, SIZE);
    disk.set_space(Some(disk.used_bytes() + 100));
    assert!(matches!(log.prepare_ahead(), Err(CommitError::Full { .. })));
    let contents = disk.contents(log.current_file().unwrap()).unwrap();
    assert!(contents.ends_with(b"RKFILL1\0\0\0\0\0\0\0\0\0"));
}

/// Room for so many bytes more: writing stops at some commit, nothing is lost, and with room again
/// the same zxids go through.
#[test]
fn a_full_disk_is_met_before_a_record_is_touched() {
    for (room, pre_alloc_bytes) in
        (0..40_000).step_by(997).flat_map(|room| PRE_ALLOC_BYTES.map(|ahead| (room, ahead)))
    {
        let disk = MemDisk::new();
        open(&disk).unwrap();
        disk.set_space(Some(disk.used_bytes() + room));
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let mut log = TxnLog::new(shared, dirs().log_dir, allocating(pre_alloc_bytes), Zxid::ZERO);
        let mut next = Zxid(1);
        let full = loop {
            for _ in 0..3 {
                log.append(next, &payload(next, SIZE));
                next = next.next();
            }
            match log.commit() {
                Ok(last) => assert_eq!(last.next(), next),
                Err(e) => break e,
            }
            assert!(next < Zxid(1000), "the disk never filled");
        };
        assert!(matches!(full, CommitError::Full { .. }), "{full}");
        let durable = log.durable();
        assert_eq!(log.appended(), durable, "the batch was dropped");
        // Reads of the disk as it is: consistent.
        let mut chance = Chance(room);
        let copy = disk.copy();
        copy.crash(&mut |n| chance.below(n));
        assert_eq!(open(&copy).unwrap().0.last_zxid, durable);
        disk.set_space(None);
        next = durable.next();
        log.append(next, &payload(next, SIZE));
        assert_eq!(log.commit().unwrap(), next);
        disk.crash(&mut |_| 0);
        let (recovered, collected) = open(&disk).unwrap();
        assert_eq!(recovered.last_zxid, next);
        check_contents(&collected, SIZE);
    }
}
