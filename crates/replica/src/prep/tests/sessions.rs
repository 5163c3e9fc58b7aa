//! closeSession: what it lists (D17, PrepRequestProcessorTest) and what is visible behind it.

use rookeeper_proto::ErrorCode::{NoNode, NotEmpty, Ok as Fine};
use rookeeper_proto::client::request::Request;
use rookeeper_proto::txn::{Record, Txn};

use super::*;

fn listed(world: &World) -> Option<Vec<String>> {
    match Record::read(world.last_record()).unwrap().txn {
        Txn::CloseSession(paths) => {
            paths.map(|paths| paths.iter().map(|path| path.to_string()).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn committed_and_outstanding_ephemerals_but_not_deleted_ones() {
    let mut world = World::new(false);
    world.setup(&[
        create("/p", 0),
        create("/p/committed", 1),
        create("/p/deleted", 1),
        create("/p/replaced", 1),
        create("/plain", 0),
    ]);
    while world.apply_next() {}
    world.setup(&[
        create("/p/new", 1),
        create("/p/brief", 1),
        delete("/p/brief", -1),
        delete("/p/deleted", -1),
        delete("/p/replaced", -1),
        create("/p/replaced", 0),
        create("/p/seq", 3),
        set("/p/committed", b"touched", -1),
        Request::CreateContainer(new_node("/p/container", 4)),
    ]);
    let own = std::mem::replace(&mut world.session, SessionId(0x2_0002));
    world.setup(&[create("/p/other", 1)]);
    world.session = own;
    world.state = SessionState::Expired;
    assert_eq!(world.code(&Request::CloseSession), Fine);
    let expected = ["/p/committed", "/p/new", "/p/seq0000000006"].map(str::to_owned);
    assert_eq!(listed(&world).as_deref(), Some(&expected[..]));
    // Closing again finds nothing, although nothing is applied.
    assert_eq!(world.code(&Request::CloseSession), Fine);
    assert_eq!(listed(&world), Some(vec![]));
    world.settle();
    assert!(world.tree.get("/p/other").is_some() && world.tree.get("/p/replaced").is_some());
}

/// The parent is free at once, also while the close is outstanding.
#[test]
fn closing_takes_the_children_away() {
    both_ways(|world| {
        world.setup(&[create("/p", 0), create("/p/e", 1)]);
        assert_eq!(world.code(&delete("/p", -1)), NotEmpty);
        world.setup(&[Request::CloseSession]);
        assert_eq!(world.code(&set("/p/e", b"", -1)), NoNode);
        assert_eq!(world.code(&delete("/p", -1)), Fine);
    });
}

#[test]
fn the_list_can_be_left_out() {
    let config = PrepConfig { close_session_txn: false, ..config() };
    let mut world = World::of(DataTree::new(OPTIONS), config, false);
    world.setup(&[create("/e", 1), Request::CloseSession]);
    assert_eq!(listed(&world), None);
    world.settle();
    assert!(world.tree.get("/e").is_none());
}

/// A list no peer could read is cut; the rest goes all the same.
#[test]
fn a_list_that_is_too_long_is_cut() {
    let config = PrepConfig { record_max_bytes: 150, ..config() };
    let mut world = World::of(DataTree::new(OPTIONS), config, false);
    let names: Vec<_> = (0..20).map(|i| format!("/ephemeral-{i:02}")).collect();
    names.iter().for_each(|name| world.setup(&[create(name, 1)]));
    world.setup(&[Request::CloseSession]);
    assert!(world.last_record().len() <= 150);
    assert!(!listed(&world).unwrap().is_empty());
    world.settle();
    assert!(names.iter().all(|name| world.tree.get(name).is_none()));
}

/// The server's own session owns nothing, whatever has owner 0.
#[test]
fn session_zero_has_no_ephemerals() {
    let mut world = World::new(false);
    world.setup(&[create("/p", 0)]);
    world.session = SessionId::NONE;
    world.setup(&[Request::CloseSession]);
    assert_eq!(listed(&world), Some(vec![]));
    world.settle();
}
