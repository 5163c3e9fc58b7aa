//! Random histories against the naive tree and the naive watches.

#![allow(clippy::unwrap_used, reason = "helpers of tests, though not tests themselves")]

mod common;

use common::naive::{self, Mode, Tree, Watches};
use common::steps::{PATHS, SessionStep, step, steps};
use common::*;
use proptest::prelude::*;
use rookeeper_proto::client::request::SetWatches;
use rookeeper_proto::txn::Txn;
use rookeeper_proto::{Stat, Zxid};
use rookeeper_tree::{Applied, DataTree, EventType, WatchMode, WatchTable, WatcherType};

/// The transactions of a history, and the tree they lead to.
fn history(steps: &[SessionStep], counted: bool) -> (Vec<(i64, i64, Txn<'static>)>, Tree) {
    let (mut model, mut txns) = (Tree::fresh(), Vec::new());
    for (n, (session, step)) in steps.iter().enumerate() {
        let (zxid, mut txn) = (n as i64 + 1, step.txn(&model, *session, counted));
        let before = model.clone();
        let results = model.apply(&header(zxid, *session), &txn, &mut Vec::new());
        if counted && results.iter().any(|(err, _)| *err != 0) {
            // A leader records what fails as an error, and only that.
            model = Tree { last_zxid: model.last_zxid, ..before };
            txn = Txn::Error(-1);
        }
        txns.push((zxid, *session, txn));
    }
    (txns, model)
}

/// What both report of a transaction's parts.
fn results(applied: &Applied<'_>) -> Vec<(i32, Option<Stat>)> {
    let parts = if applied.result.op == rookeeper_proto::OpCode::Multi {
        applied.parts.as_slice()
    } else {
        std::slice::from_ref(&applied.result)
    };
    parts.iter().map(|p| (p.err, p.stat)).collect()
}

#[derive(Debug, Clone)]
enum WatchStep {
    Add { conn: u64, path: usize, mode: u8 },
    Remove { conn: u64, path: usize, kind: i32 },
    Drop { conn: u64 },
    Catch { conn: u64, seen: i64, lists: Vec<Vec<usize>> },
    Txn(SessionStep),
}

/// An index past the end means the empty path.
fn watched(path: usize) -> &'static str {
    PATHS.get(path).copied().unwrap_or("")
}

fn watch_steps() -> impl Strategy<Value = Vec<WatchStep>> {
    let (conn, path) = (0u64..5, 0..=PATHS.len());
    let lists = prop::collection::vec(prop::collection::vec(path.clone(), 0..3), 5..6);
    let txn = step(PATHS.len());
    let step = prop_oneof![
        4 => (conn.clone(), path.clone(), 0u8..4)
            .prop_map(|(conn, path, mode)| WatchStep::Add { conn, path, mode }),
        1 => (conn.clone(), path, 1..6)
            .prop_map(|(conn, path, kind)| WatchStep::Remove { conn, path, kind }),
        1 => conn.clone().prop_map(|conn| WatchStep::Drop { conn }),
        1 => (conn, 0i64..60, lists)
            .prop_map(|(conn, seen, lists)| WatchStep::Catch { conn, seen, lists }),
        6 => txn.prop_map(WatchStep::Txn),
    ];
    prop::collection::vec(step, 0..80)
}

fn add_both(
    table: &mut WatchTable<u64>,
    naive: &mut Watches,
    tree: &DataTree,
    conn: u64,
    path: &str,
    mode: u8,
) {
    let real = match mode {
        0 => WatchMode::Data,
        1 => WatchMode::Child,
        2 => WatchMode::Persistent,
        _ => WatchMode::PersistentRecursive,
    };
    table.add(tree, conn, path, real);
    add_naive(naive, conn, path, mode);
}

fn add_naive(naive: &mut Watches, conn: u64, path: &str, mode: u8) {
    match mode {
        0 => naive.add(conn, path, false, Mode::Standard),
        1 => naive.add(conn, path, true, Mode::Standard),
        2 => {
            naive.add(conn, path, false, Mode::Persistent);
            naive.add(conn, path, true, Mode::Persistent);
        }
        _ => naive.add(conn, path, false, Mode::Recursive),
    }
}

/// setWatches by the table of section 5.4.
fn catch_up(
    naive: &mut Watches,
    model: &Tree,
    conn: u64,
    seen: i64,
    lists: &[Vec<usize>],
) -> Vec<(EventType, String)> {
    let mut events = Vec::new();
    for (list, paths) in lists.iter().enumerate() {
        for path in paths.iter().map(|&path| watched(path)) {
            let stat = model.nodes.get(if path == "/" { "" } else { path }).map(|n| n.stat);
            let event = match (list, stat) {
                (0 | 2, None) => Some(EventType::NodeDeleted),
                (0, Some(s)) if s.mzxid.0 > seen => Some(EventType::NodeDataChanged),
                (2, Some(s)) if s.pzxid.0 > seen => Some(EventType::NodeChildrenChanged),
                (1, Some(_)) => Some(EventType::NodeCreated),
                _ => None,
            };
            match event {
                Some(event) => events.push((event, path.to_owned())),
                None => add_naive(naive, conn, path, [0, 0, 1, 2, 3][list]),
            }
        }
    }
    events
}

/// Makes the order between the connections of one trigger irrelevant.
fn normal(mut events: Vec<(u64, EventType, String)>) -> Vec<(u64, EventType, String)> {
    let same = |a: &(u64, EventType, String), b: &_| {
        let (_, event, path): &(u64, EventType, String) = b;
        (&a.1, &a.2) == (event, path)
    };
    events.chunk_by_mut(same).for_each(|group| group.sort());
    events
}

fn assert_reports(table: &WatchTable<u64>, naive: &Watches, tree: &DataTree) {
    assert_eq!(table.watch_count(), naive.count());
    let by_path: Vec<(String, Vec<u64>)> = naive
        .data
        .iter()
        .map(|(path, conns)| (path.clone(), conns.keys().copied().collect()))
        .collect();
    assert_eq!(table.by_path(tree), by_path);
    let summary = table.summary(tree);
    let by_connection = table.by_connection(tree);
    assert_eq!(summary.connections, by_connection.len());
    assert_eq!(summary.paths, by_path.len());
    assert_eq!(summary.watches, by_path.iter().map(|(_, conns)| conns.len()).sum::<usize>());
}

fn run_watch_steps(steps: &[WatchStep]) {
    let (mut tree, mut model) = (fresh(), Tree::fresh());
    let (mut table, mut naive) = (WatchTable::<u64>::new(7), Watches::default());
    for (n, step) in steps.iter().enumerate() {
        match step {
            WatchStep::Add { conn, path, mode } => {
                add_both(&mut table, &mut naive, &tree, *conn, watched(*path), *mode);
            }
            WatchStep::Remove { conn, path, kind } => {
                let (path, real) = (watched(*path), WatcherType::from_i32(*kind).unwrap());
                assert_eq!(
                    table.check(&tree, *conn, path, real),
                    naive.check(*conn, path, *kind, false)
                );
                assert_eq!(
                    table.remove(&tree, *conn, path, real),
                    naive.check(*conn, path, *kind, true)
                );
            }
            WatchStep::Drop { conn } => {
                table.remove_connection(*conn);
                naive.remove_connection(*conn);
            }
            WatchStep::Catch { conn, seen, lists } => {
                let text = |list: &Vec<usize>| {
                    Some(list.iter().map(|&path| Some(watched(path).into())).collect())
                };
                let request = SetWatches {
                    relative_zxid: Zxid(*seen),
                    data: text(&lists[0]),
                    exist: text(&lists[1]),
                    child: text(&lists[2]),
                    persistent: text(&lists[3]),
                    persistent_recursive: text(&lists[4]),
                };
                let mut events = Vec::new();
                table.set_watches(&tree, *conn, &request, |event, path| {
                    events.push((event, path.to_owned()));
                });
                assert_eq!(events, catch_up(&mut naive, &model, *conn, *seen, lists));
            }
            WatchStep::Txn((session, step)) => {
                // What is visible to the leader of these histories: none deletes a special node.
                let txn = step.txn(&model, *session, false);
                let (h, mut triggers, mut events) =
                    (header(n as i64 + 1, *session), vec![], vec![]);
                model.apply(&h, &txn, &mut triggers);
                tree.apply(&h, &txn, &mut |change: rookeeper_tree::Change<'_>| {
                    table.fire(&change, may_read, |conn, event, path| {
                        events.push((conn, event, path.to_owned()));
                    });
                });
                assert_eq!(normal(events), normal(naive.fire(&triggers)));
            }
        }
        assert_reports(&table, &naive, &tree);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_tree_does_what_the_rules_say(steps in steps(PATHS.len(), 60)) {
        let (mut tree, mut model) = (fresh(), Tree::fresh());
        for (n, (session, step)) in steps.iter().enumerate() {
            let txn = step.txn(&model, *session, false);
            let h = header(n as i64 + 1, *session);
            let expected = model.apply(&h, &txn, &mut Vec::new());
            prop_assert_eq!(results(&tree.apply(&h, &txn, &mut ())), expected);
            prop_assert_eq!(tree.digest(), digest_from_scratch(&tree));
        }
        model.assert_equals(&tree);
    }

    #[test]
    fn watches_fire_as_the_table_says(steps in watch_steps()) {
        run_watch_steps(&steps);
    }

    #[test]
    fn a_snapshot_loads_to_the_same_tree(steps in steps(PATHS.len(), 60)) {
        let (txns, mut model) = history(&steps, false);
        let mut tree = fresh();
        for (zxid, session, txn) in &txns {
            tree.apply(&header(*zxid, *session), txn, &mut ());
        }
        let body = snapshot_body(&mut tree);
        prop_assert_eq!(naive::Body::parse(&body).into_tree(tree.last_zxid()), model.clone());
        let loaded = load(&body, tree.last_zxid());
        model.recompute_all();
        model.assert_equals(&loaded);
        prop_assert_eq!(loaded.digest(), tree.digest());
    }

    /// Without quota nodes: usage is counted again by each application, and recomputed on load.
    #[test]
    fn applying_a_suffix_twice_is_applying_it_once(steps in steps(7, 60), from in 0usize..60) {
        let (txns, model) = history(&steps, true);
        let mut tree = fresh();
        for (zxid, session, txn) in txns.iter().chain(txns.iter().skip(from)) {
            tree.apply(&header(*zxid, *session), txn, &mut ());
        }
        model.assert_equals(&tree);
    }
}
