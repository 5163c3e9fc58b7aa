//! Batches, a full disk and a poisoned log, step by step on a disk in memory.

use std::path::Path;

use bytes::Bytes;
use rookeeper_net::{Limits, Reactor};
use rookeeper_replica::durable::Recovery;
use rookeeper_storage::{
    Compression, DataDirs, Disk, LogReader, MemDisk, RecoverOptions, TxnLogOptions,
};
use rookeeper_tree::TreeOptions;

use super::*;

/// A thread's state without the thread.
struct Rig {
    mail: LogMail,
    disk: MemDisk,
    dirs: DataDirs,
    reported: Vec<LogReport>,
    reactor: Reactor,
}

fn rig(pre_alloc_bytes: u64) -> Rig {
    let disk = MemDisk::new();
    let dirs = DataDirs::new(Path::new("/data"), None);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    shared.create_dir_all(&dirs.log_dir).expect("a directory");
    let plan = LogPlan {
        disk: shared,
        dirs: dirs.clone(),
        options: TxnLogOptions {
            pre_alloc_bytes,
            fill_chunk_bytes: 4096,
            ..TxnLogOptions::default()
        },
        compression: Compression::None,
        recovery: Recovery {
            tail_records: 500,
            tree: TreeOptions {
                extended_types: false,
                emulate_353_ttl: false,
                digest_enabled: false,
                hash_seed: 1,
            },
            storage: RecoverOptions::default(),
        },
    };
    let reactor = Reactor::new(Limits::default()).expect("a reactor");
    let mail = LogMail::default();
    *mail.lock() = Some(Worker::new(LogStage::new(plan, Zxid::ZERO)));
    Rig { mail, disk, dirs, reported: Vec::new(), reactor }
}

fn append(zxid: i64) -> LogInput {
    // Of a record's header the log's reader looks at the zxid: behind session and cxid.
    let mut record = vec![7; 100];
    record[12..20].copy_from_slice(&zxid.to_be_bytes());
    LogInput::Command(LogCommand::Append { zxid: Zxid(zxid), record: Bytes::from(record) })
}

impl Rig {
    fn work(&mut self, batch: impl IntoIterator<Item = LogInput>) -> Result<bool, String> {
        let mut locked = self.mail.lock();
        let worker = locked.as_mut().expect("a log that works");
        worker.work(&mut batch.into_iter().collect(), &mut |report| self.reported.push(report))
    }

    fn events(&mut self) -> Vec<String> {
        let shown = |report: LogReport| match report.event {
            LogEvent::Durable { zxid, records } => format!("durable {zxid} {records}"),
            LogEvent::Full { logged, .. } => format!("full {logged}"),
            LogEvent::Room => "room".to_owned(),
            LogEvent::Failed(_) => "failed".to_owned(),
            other => format!("{other:?}"),
        };
        self.reported.drain(..).map(shown).collect()
    }

    fn idle(&self) -> Idle {
        self.mail.lock().as_ref().expect("a log that works").stage.idle()
    }

    fn look_for_room(&mut self) {
        assert_eq!(self.idle(), Idle::LookForRoom);
        self.work([]).expect("no failure but a full disk");
    }

    /// Zxids of the records on the disk.
    fn logged(&self) -> Vec<i64> {
        let dir = &self.dirs.log_dir;
        let mut reader =
            LogReader::open(&self.disk, dir, Zxid::ZERO, 1 << 20).expect("a readable log");
        let mut zxids = Vec::new();
        while let Some(record) = reader.next_record().expect("whole records") {
            zxids.push(record.zxid.0);
        }
        zxids
    }
}

#[test]
fn a_batch_is_one_force() {
    let mut rig = rig(1 << 16);
    rig.work([append(1)]).expect("room");
    rig.disk.start_trace();
    assert_eq!(rig.work([append(2), append(3), append(4)]), Ok(true));
    let forces = rig.disk.take_trace().iter().filter(|step| step.contains("sync")).count();
    assert_eq!(forces, 1);
    assert_eq!(rig.events(), ["durable 0x1 1", "durable 0x4 3"]);
    assert_eq!(rig.logged(), [1, 2, 3, 4]);
}

#[test]
fn a_stop_commits_what_came_before() {
    let mut rig = rig(1 << 16);
    assert_eq!(rig.work([append(1), LogInput::Stop]), Ok(false));
    assert_eq!(rig.events(), ["durable 0x1 1"]);
}

#[test]
fn a_full_disk_takes_nothing_until_the_core_knows_and_there_is_room() {
    let mut rig = rig(1 << 16);
    rig.work([append(1)]).expect("room");
    rig.disk.set_space(Some(rig.disk.used_bytes()));
    // More than was allocated ahead.
    let many = (2..2000).map(append);
    assert_eq!(rig.work(many), Ok(true), "a full disk is no failure");
    assert_eq!(rig.events(), ["durable 0x1 1", "full 0x1"]);
    // The core has not heard of it yet and sends more.
    rig.disk.set_space(None);
    rig.work([append(2000)]).expect("dropped");
    assert_eq!(rig.events(), Vec::<String>::new());
    rig.disk.set_space(Some(rig.disk.used_bytes()));
    rig.work([LogInput::Continue]).expect("nothing to do");
    rig.look_for_room();
    assert_eq!(rig.events(), Vec::<String>::new(), "still full");
    rig.disk.set_space(None);
    rig.look_for_room();
    assert_eq!(rig.events(), ["room"]);
    // The core began again behind what was logged.
    rig.work([append(2), append(3)]).expect("room");
    assert_eq!(rig.events(), ["durable 0x3 2"]);
    assert_eq!(rig.logged(), [1, 2, 3]);
}

#[test]
fn a_failed_force_ends_the_thread_and_the_server() {
    let mut rig = rig(1 << 16);
    rig.work([append(1)]).expect("room");
    rig.disk.fail_syncs(true);
    assert_eq!(rig.events(), ["durable 0x1 1"]);
    rig.mail.input.put(append(2));
    run(&rig.mail, &rig.reactor.waker());
    let mut events = Vec::new();
    rig.mail.reports.take_all(&mut events);
    // Not acknowledged, and the thread has ended by itself: nobody knows what is on the disk.
    assert!(matches!(events[..], [LogReport { event: LogEvent::Failed(_), .. }]), "{events:?}");
}

#[test]
fn a_free_log_is_worked_by_whoever_asks() {
    let mut rig = rig(1 << 16);
    let mut batch = vec![append(1)];
    assert!(rig.mail.work_here(&mut batch, &mut rig.reported));
    assert!(batch.is_empty());
    assert_eq!(rig.events(), ["durable 0x1 1"]);
    assert!(!rig.mail.input.is_empty(), "the thread is to allocate ahead");
}

#[test]
fn nothing_overtakes_what_waits_for_the_thread() {
    let mut rig = rig(1 << 16);
    rig.mail.input.put(append(1));
    let mut batch = vec![append(2)];
    assert!(!rig.mail.work_here(&mut batch, &mut rig.reported));
    assert_eq!((batch.len(), rig.logged()), (1, vec![]));
    let held = rig.mail.lock();
    assert!(!rig.mail.work_here(&mut batch, &mut rig.reported), "the thread is at work");
    drop(held);
    rig.mail.input.put_all(&mut batch);
    rig.mail.input.put(LogInput::Stop);
    run(&rig.mail, &rig.reactor.waker());
    assert_eq!(rig.logged(), [1, 2]);
    assert!(!rig.mail.work_here(&mut vec![append(3)], &mut rig.reported), "it has ended");
}

#[test]
fn a_force_that_fails_here_ends_the_thread_too() {
    let mut rig = rig(1 << 16);
    rig.work([append(1)]).expect("room");
    rig.disk.fail_syncs(true);
    rig.reported.clear();
    assert!(rig.mail.work_here(&mut vec![append(2)], &mut rig.reported));
    assert_eq!(rig.events(), ["failed"]);
    rig.mail.input.put(append(3));
    run(&rig.mail, &rig.reactor.waker());
    assert!(rig.mail.reports.is_empty(), "neither written nor acknowledged");
    assert!(!rig.logged().contains(&3));
}
