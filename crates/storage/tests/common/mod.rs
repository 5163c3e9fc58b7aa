//! What the tests share: a sink that remembers, records of known content, small disks.
#![allow(dead_code, unreachable_pub, reason = "not every test uses all of it")]
#![allow(missing_docs, reason = "names say it")]
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rookeeper_proto::txn::{CreateTxn, Record, Txn, TxnDigest, TxnHeader};
use rookeeper_proto::{AclList, OpCode, SessionId, StatPersisted, Zxid};
use rookeeper_storage::snapshot::body;
use rookeeper_storage::{
    Compression, DataDirs, Disk, MemDisk, RecoverOptions, Recovered, RecoverySink, SinkError,
    SnapshotMeta, SnapshotSink, SnapshotWriter, TxnLog, TxnLogOptions, recover,
};

/// What was handed on, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    pub sessions: Vec<(i64, i32)>,
    pub acls: Vec<(i64, AclList)>,
    pub nodes: BTreeMap<String, (Option<Vec<u8>>, i64)>,
    pub records: Vec<(i64, Vec<u8>)>,
    pub loaded: usize,
}

impl SnapshotSink for Collected {
    fn reset(&mut self) {
        *self = Self::default();
    }
    fn session(&mut self, id: SessionId, timeout_ms: i32) -> Result<(), SinkError> {
        self.sessions.push((id.0, timeout_ms));
        Ok(())
    }
    fn acl(&mut self, id: i64, acl: AclList) -> Result<(), SinkError> {
        self.acls.push((id, acl));
        Ok(())
    }
    fn node(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl_id: i64,
        _: &StatPersisted,
    ) -> Result<(), SinkError> {
        self.nodes.insert(path.to_owned(), (data.map(<[u8]>::to_vec), acl_id));
        Ok(())
    }
}

impl RecoverySink for Collected {
    fn snapshot_loaded(&mut self, _: &SnapshotMeta) -> Result<(), SinkError> {
        self.loaded += 1;
        Ok(())
    }
    fn record(&mut self, zxid: Zxid, payload: &[u8]) -> Result<(), SinkError> {
        let record = Record::read(payload).map_err(|e| SinkError(e.to_string()))?;
        assert_eq!(record.header.zxid, zxid);
        // What a tree would hold: the node the record creates.
        if let Txn::Create { create, .. } = &record.txn {
            self.nodes.insert(create.path.to_string(), (create.data.map(<[u8]>::to_vec), -1));
        }
        self.records.push((zxid.0, payload.to_vec()));
        Ok(())
    }
}

/// The record of `zxid`: its data tells it and is `size` bytes long.
pub fn payload(zxid: Zxid, size: usize) -> Vec<u8> {
    let data: Vec<u8> = (0..size).map(|i| (zxid.0 as usize * 31 + i * 7 + 1) as u8 | 1).collect();
    let record = Record {
        header: TxnHeader {
            session: SessionId(7),
            cxid: 1,
            zxid,
            time_ms: 1000,
            op: OpCode::Create.as_i32(),
        },
        txn: Txn::Create {
            create: CreateTxn {
                path: path_of(zxid).into(),
                data: Some(&data),
                acl: AclList::open(),
                parent_cversion: zxid.0 as i32,
            },
            ephemeral: false,
            is_create2: false,
        },
        digest: Some(TxnDigest { version: 2, digest: zxid.0 }),
    };
    let mut out = Vec::new();
    record.write(&mut out);
    out
}

pub fn path_of(zxid: Zxid) -> String {
    format!("/n{:x}", zxid.0)
}

pub fn dirs() -> DataDirs {
    DataDirs::new(Path::new("/data"), None)
}

pub fn options() -> TxnLogOptions {
    TxnLogOptions {
        pre_alloc_bytes: 8192,
        fill_chunk_bytes: 4096,
        force_sync: true,
        size_limit_bytes: None,
    }
}

pub fn open(disk: &MemDisk) -> rookeeper_storage::Result<(Recovered, Collected)> {
    open_with(disk, &RecoverOptions::default())
}

pub fn open_with(
    disk: &MemDisk,
    options: &RecoverOptions,
) -> rookeeper_storage::Result<(Recovered, Collected)> {
    let mut sink = Collected::default();
    let recovered = recover(disk, &dirs(), options, &mut sink)?;
    Ok((recovered, sink))
}

pub fn log(disk: &MemDisk, last: Zxid) -> TxnLog {
    TxnLog::new(Arc::new(disk.clone()), dirs().log_dir, options(), last)
}

/// Appends `zxids` in batches of `batch` and commits each.
pub fn append(log: &mut TxnLog, zxids: impl IntoIterator<Item = Zxid>, batch: usize, size: usize) {
    for (i, zxid) in zxids.into_iter().enumerate() {
        log.append(zxid, &payload(zxid, size));
        if (i + 1) % batch == 0 {
            log.commit().unwrap();
        }
    }
    log.commit().unwrap();
}

pub fn zxids(epoch: u32, counters: std::ops::RangeInclusive<u32>) -> Vec<Zxid> {
    counters.map(|counter| Zxid::new(epoch, counter)).collect()
}

/// The body of a snapshot that holds the nodes of these zxids.
pub fn snapshot_body(zxids: &[Zxid], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    body::put_head(&mut out, &[(SessionId(7), 4000)], &[(1, AclList::world(1))]);
    let stat = StatPersisted::default();
    body::put_node(&mut out, "", Some(b""), -1, &stat);
    for zxid in zxids {
        let payload = payload(*zxid, size);
        let record = Record::read(&payload).unwrap();
        let Txn::Create { create, .. } = record.txn else { panic!() };
        body::put_node(&mut out, &create.path, create.data, -1, &stat);
    }
    body::put_end(&mut out);
    out
}

pub fn write_snapshot(
    disk: &MemDisk,
    zxid: Zxid,
    holds: &[Zxid],
    size: usize,
    compression: Compression,
) -> rookeeper_storage::Result<Option<PathBuf>> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let Some(mut writer) = SnapshotWriter::create(disk, &dirs().snap_dir, zxid, compression)?
    else {
        return Ok(None);
    };
    for chunk in snapshot_body(holds, size).chunks(100) {
        writer.write(chunk)?;
    }
    Ok(Some(writer.finish(TxnDigest { version: 2, digest: zxid.0 })?.path))
}

/// A small generator for tests that need chance.
#[derive(Debug, Clone)]
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % n
    }
}

/// The nodes beside the fresh ones that recovery found.
pub fn found_zxids(collected: &Collected) -> Vec<i64> {
    let own = collected.nodes.keys().filter_map(|path| path.strip_prefix("/n"));
    let mut found: Vec<i64> = own.filter_map(|hex| i64::from_str_radix(hex, 16).ok()).collect();
    found.sort_unstable();
    found
}

/// Whether every node holds what its record said.
pub fn check_contents(collected: &Collected, size: usize) {
    for zxid in found_zxids(collected) {
        let payload = payload(Zxid(zxid), size);
        let record = Record::read(&payload).unwrap();
        let Txn::Create { create, .. } = record.txn else { panic!() };
        let (data, _) = &collected.nodes[&path_of(Zxid(zxid))];
        assert_eq!(data.as_deref(), create.data, "node of {zxid:x}");
    }
}
