//! Snapshots taken slice by slice among transactions equal a copy made at once.

mod common;

use common::naive::{Body, Tree};
use common::steps::{PATHS, SessionStep, step};
use common::*;
use proptest::prelude::*;
use rookeeper_tree::{SNAPSHOTS_MAX, Slice, SnapshotError, SnapshotId};

#[derive(Debug, Clone)]
enum Event {
    Txn(SessionStep),
    Begin,
    Slice { which: usize, max_nodes: usize },
    Abort { which: usize },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let txn = step(PATHS.len());
    let event = prop_oneof![
        8 => txn.prop_map(Event::Txn),
        1 => Just(Event::Begin),
        4 => (0usize..4, 1usize..4).prop_map(|(which, max_nodes)| Event::Slice { which, max_nodes }),
        1 => (0usize..9).prop_map(|which| Event::Abort { which }),
    ];
    prop::collection::vec(event, 0..120)
}

struct Running {
    id: SnapshotId,
    copy: Tree,
    body: Vec<u8>,
}

fn finish(running: Running) {
    assert_eq!(Body::parse(&running.body).into_tree(running.copy.last_zxid), running.copy);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn slices_among_changes_equal_a_copy(events in events()) {
        let (mut tree, mut model) = (fresh(), Tree::fresh());
        let mut running: Vec<Running> = Vec::new();
        let mut zxid = 0;
        for event in &events {
            match event {
                Event::Txn((session, step)) => {
                    let txn = step.txn(&model, *session, false);
                    zxid += 1;
                    model.apply(&header(zxid, *session), &txn, &mut Vec::new());
                    tree.apply(&header(zxid, *session), &txn, &mut ());
                }
                Event::Begin if running.len() < 4 => {
                    let id = tree.begin_snapshot().unwrap();
                    let info = tree.snapshot_info(id).unwrap();
                    prop_assert_eq!((info.zxid, info.digest), (model.last_zxid, model.digest()));
                    prop_assert_eq!(info.nodes, model.nodes.len());
                    running.push(Running { id, copy: model.clone(), body: Vec::new() });
                }
                Event::Slice { which, max_nodes } if *which < running.len() => {
                    let r = &mut running[*which];
                    if tree.snapshot_slice(r.id, *max_nodes, &mut r.body) == Ok(Slice::Done) {
                        finish(running.remove(*which));
                    }
                }
                Event::Abort { which } if *which < running.len() => {
                    let id = running.remove(*which).id;
                    tree.abort_snapshot(id);
                    prop_assert_eq!(tree.snapshot_info(id), Err(SnapshotError::Unknown));
                }
                _ => {}
            }
        }
        for mut r in running {
            while tree.snapshot_slice(r.id, 1, &mut r.body).unwrap() == Slice::More {}
            prop_assert_eq!(tree.snapshot_slice(r.id, 1, &mut r.body), Err(SnapshotError::Unknown));
            finish(r);
        }
        model.assert_equals(&tree);
    }
}

#[test]
fn the_number_of_snapshots_is_bounded() {
    let mut tree = fresh();
    let ids: Vec<_> = (0..SNAPSHOTS_MAX).map(|_| tree.begin_snapshot().unwrap()).collect();
    assert_eq!(tree.begin_snapshot(), Err(SnapshotError::TooMany));
    tree.abort_snapshot(ids[3]);
    tree.abort_snapshot(ids[3]);
    assert!(tree.begin_snapshot().is_ok());
}

/// The node the sweep stands on goes, with its subtree, and comes back as something else.
#[test]
fn deletions_and_recreations_around_the_sweep() {
    let mut tree = fresh();
    for path in ["/a", "/a/b", "/a/b/c", "/d"] {
        run(&mut tree, 1, &create(path, b"old"));
    }
    for slices in 0..9 {
        let mut copy = load(&snapshot_body(&mut tree), tree.last_zxid());
        let id = tree.begin_snapshot().unwrap();
        let mut body = Vec::new();
        for _ in 0..slices {
            if tree.snapshot_slice(id, 1, &mut body) == Ok(Slice::Done) {
                break;
            }
        }
        for path in ["/a/b/c", "/a/b", "/a"] {
            assert_eq!(run(&mut tree, 2, &delete(path)), 0);
        }
        for path in ["/e", "/a", "/a/b", "/a/b/c", "/a/b/n"] {
            assert!(matches!(run(&mut tree, 3, &create(path, b"new")), 0 | -110));
        }
        assert_eq!(run(&mut tree, 4, &delete("/a/b/n")), 0);
        while let Ok(Slice::More) = tree.snapshot_slice(id, 1, &mut body) {}
        let sorted = |body: &[u8]| {
            let mut nodes = Body::parse(body).nodes;
            nodes.sort_by(|a, b| a.0.cmp(&b.0));
            nodes
        };
        assert_eq!(sorted(&body), sorted(&snapshot_body(&mut copy)), "after {slices} slices");
    }
}

#[test]
fn a_slice_is_bounded_in_nodes_and_bytes() {
    let mut tree = fresh();
    let names: Vec<String> = (0..3000).map(|n| format!("/n{n}")).collect();
    for name in &names {
        run(&mut tree, 1, &create(name, &[7; 1000]));
    }
    let id = tree.begin_snapshot().unwrap();
    let mut body = Vec::new();
    assert_eq!(tree.snapshot_slice(id, 100, &mut body), Ok(Slice::More));
    assert!(body.len() < 100 * 1200);
    let before = body.len();
    assert_eq!(tree.snapshot_slice(id, usize::MAX, &mut body), Ok(Slice::More));
    assert!(body.len() - before < (1 << 20) + 2000);
    while tree.snapshot_slice(id, 100, &mut body).unwrap() == Slice::More {}
    assert_eq!(Body::parse(&body).nodes.len(), 3004);
}
