//! What a million znodes cost: resident bytes per znode and per watch, and the time of the operations
//! that matter, with jemalloc as in production.
//!
//! Run: `cargo run --release -p rookeeper-tree --example memory [znodes [no-digests]]`. Linux only
//! (`/proc`). Times are of the CPU, so that other load matters less; the worst is by the clock.

use std::hint::black_box;
use std::time::Instant;

use rookeeper_proto::txn::{CreateTxn, Txn, TxnHeader};
use rookeeper_proto::{AclList, SessionId, Zxid};
use rookeeper_tree::{Change, DataTree, Slice, TreeOptions, WatchMode, WatchTable};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const PARENTS: usize = 1000;
const DATA_BYTES: usize = 100;

fn resident_bytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc/self/statm is readable");
    let pages = statm.split(' ').nth(1).and_then(|n| n.parse::<f64>().ok());
    pages.expect("statm has the resident pages second") * 4096.0
}

/// Time this thread has run.
fn cpu_ns() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat");
    let stat = stat.expect("schedstat is readable");
    stat.split(' ').next().and_then(|n| n.parse().ok()).expect("schedstat begins with a number")
}

fn header(zxid: usize) -> TxnHeader {
    let (session, zxid) = (SessionId(1), Zxid(zxid as i64));
    TxnHeader { session, cxid: 0, zxid, time_ms: 1_700_000_000_000, op: 0 }
}

fn create<'a>(path: &'a str, data: &'a [u8]) -> Txn<'a> {
    let acl = AclList::open();
    let create = CreateTxn { path: path.into(), data: Some(data), acl, parent_cversion: -1 };
    Txn::Create { create, ephemeral: false, is_create2: true }
}

/// Scatters indices so that caches do not help.
fn scattered(n: usize, len: usize) -> usize {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % len
}

fn per<T>(what: &str, count: usize, mut body: impl FnMut(usize) -> T) {
    // One clock reading per operation costs about 25 ns, which is part of the figure.
    let (start, mut before, mut worst) = (cpu_ns(), Instant::now(), 0);
    for n in 0..count {
        black_box(body(n));
        let now = Instant::now();
        worst = worst.max((now - before).as_nanos());
        before = now;
    }
    let each = (cpu_ns() - start) / count as f64;
    println!("{what:<34} {each:>8.0} ns each, worst {:>8.1} us", worst as f64 / 1000.0);
}

fn main() {
    let mut args = std::env::args().skip(1);
    let count = args.next().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let digest_enabled = args.next().is_none();
    println!("{count} znodes, digests {}", if digest_enabled { "on" } else { "off" });
    measure(count, digest_enabled);
}

fn measure(count: usize, digest_enabled: bool) {
    // 46 characters, as /svc/region-NN/app-NNNNNN/instance-NNNNNNNNNN.
    let parents: Vec<String> =
        (0..PARENTS).map(|n| format!("/svc/region-{:02}/app-{n:06}", n % 10)).collect();
    let paths: Vec<String> =
        (0..count).map(|n| format!("{}/instance-{n:010}", parents[n % PARENTS])).collect();
    assert_eq!(paths[0].len(), 45);
    let data = [7u8; DATA_BYTES];
    let mut tree = DataTree::new(TreeOptions {
        extended_types: false,
        emulate_353_ttl: false,
        digest_enabled,
        hash_seed: 42,
    });
    let mut zxid = 0;
    let mut apply = |tree: &mut DataTree, txn: &Txn<'_>| {
        zxid += 1;
        let err = tree.apply(&header(zxid), txn, &mut ()).result.err;
        assert_eq!(err, 0);
    };
    apply(&mut tree, &create("/svc", b""));
    for n in 0..10 {
        apply(&mut tree, &create(&format!("/svc/region-{n:02}"), b""));
    }
    for path in &parents {
        apply(&mut tree, &create(path, b""));
    }
    let before = resident_bytes();
    per("apply(create)", count, |n| apply(&mut tree, &create(&paths[n], &data)));
    let grown = resident_bytes() - before;
    println!("{:<34} {:>8.1} bytes", "resident per znode", grown / count as f64);

    // What the following figures contain that is not the tree's: two cold reads for the path.
    per("(fetching a random path)", count, |n| paths[scattered(n, count)].as_bytes()[44]);
    per("find", count, |n| tree.find(&paths[scattered(n, count)]));
    per("find, data, stat", count, |n| {
        let node = tree.get(&paths[scattered(n, count)]).expect("it was created");
        (node.data().map(<[u8]>::len), node.stat())
    });
    let other = [8u8; DATA_BYTES];
    per("apply(set, same length)", count, |n| {
        let path = paths[scattered(n, count)].as_str().into();
        let txn = Txn::SetData { path, data: Some(&other), version: 1, is_reconfig: false };
        apply(&mut tree, &txn);
    });
    per("apply(set 1 hot node)", count, |_| {
        let path = paths[0].as_str().into();
        let txn = Txn::SetData { path, data: Some(&other), version: 1, is_reconfig: false };
        apply(&mut tree, &txn);
    });
    snapshot(&mut tree);
    watches(&mut tree, &paths);
    per("apply(delete)", count, |n| {
        let path = paths[scattered(n, count)].as_str();
        let txn = Txn::Delete { path: path.into(), is_container: false };
        zxid += 1;
        tree.apply(&header(zxid), &txn, &mut ()).result.err
    });
}

fn snapshot(tree: &mut DataTree) {
    let start = Instant::now();
    let id = tree.begin_snapshot().expect("none is under way");
    println!("{:<34} {:>8.1} us", "begin_snapshot", start.elapsed().as_nanos() as f64 / 1000.0);
    let (mut out, mut bytes, mut worst) = (Vec::new(), 0, 0);
    loop {
        let before = Instant::now();
        let slice = tree.snapshot_slice(id, 256, &mut out).expect("it is under way");
        worst = worst.max(before.elapsed().as_nanos());
        bytes += out.len();
        out.clear();
        if slice == Slice::Done {
            break;
        }
    }
    let total = start.elapsed().as_secs_f64();
    println!(
        "{:<34} {:>8.1} MB in {total:.2} s, worst slice of 256 nodes {:.1} us",
        "snapshot",
        bytes as f64 / 1e6,
        worst as f64 / 1000.0
    );
}

fn watches(tree: &mut DataTree, paths: &[String]) {
    let count = paths.len();
    let mut table = WatchTable::<u64>::new(42);
    let before = resident_bytes();
    per("watch, each on its own znode", count, |n| {
        table.add(tree, (n % 1000) as u64, &paths[n], WatchMode::Data);
    });
    let grown = resident_bytes() - before;
    println!("{:<34} {:>8.1} bytes", "resident per watch", grown / count as f64);
    per("remove 1000 connections", 1000, |n| table.remove_connection(n as u64));

    // A thousand watchers of one znode, re-armed after every change.
    let (rounds, watchers, mut fired) = (1000, 1000, 0usize);
    for conn in 0..watchers {
        table.add(tree, conn, &paths[0], WatchMode::Data);
    }
    let start = cpu_ns();
    for round in 0..rounds {
        let path = paths[0].as_str().into();
        let txn = Txn::SetData { path, data: Some(b"x"), version: 1, is_reconfig: false };
        tree.apply(&header(usize::MAX / 2 + round), &txn, &mut |change: Change<'_>| {
            table.fire(&change, |_, _| true, |_, _, _| fired += 1);
        });
        for conn in 0..watchers {
            table.add(tree, conn, &paths[0], WatchMode::Data);
        }
    }
    let each = (cpu_ns() - start) / fired as f64;
    println!("{:<34} {each:>8.0} ns each", "fire to 1000 watchers and re-arm");
}
