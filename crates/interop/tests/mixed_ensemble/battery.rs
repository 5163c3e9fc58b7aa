//! What clients of an ensemble rely on, tried on every member.

use std::time::{Duration, Instant};

use rookeeper_interop::Flavour;
use rookeeper_interop::client::{Client, Event};
use rookeeper_interop::raw::codes::op;
use rookeeper_interop::raw::{Acl, Frame};

use crate::cluster::{Cluster, TICK_MS, catch_up, eventually};

const EPHEMERAL: i32 = 1;
const SEQUENTIAL: i32 = 2;
const CONTAINER: i32 = 4;
const TTL: i32 = 5;
const SESSION_MOVED: i32 = -118;

/// Everything below.
pub(crate) fn all(cluster: &Cluster, name: &str) {
    let root = format!("/{name}");
    let mut client = cluster.client(0);
    assert_eq!(client.create(&root, b"", 0).expect("a reply").error, 0);
    client.close().expect("a closed session");
    every_write_from_every_member(cluster, &root);
    watches_see_writes_of_other_members(cluster, &root);
    sync_shows_what_was_written_elsewhere(cluster, &root);
    syncs_keep_their_place_among_writes(cluster, &root);
    sessions_move(cluster, &root);
    ephemerals_go_with_their_session(cluster, &root);
    the_leader_expires_sessions_of_learners(cluster, &root);
    containers_and_old_nodes_go(cluster, &root);
    cluster.assert_equal_trees();
    cluster.assert_equal_digests();
}

fn create_body(frame: Frame, path: &str, flags: i32) -> Frame {
    frame.create(path, Some(b"data"), &Acl::open(), flags)
}

/// Each kind of write with each kind of outcome; all members must answer alike.
fn every_write_from_every_member(cluster: &Cluster, root: &str) {
    for at in 0..cluster.len() {
        let base = format!("{root}/writes-{at}");
        let mut client = cluster.client(at);
        let errors = writes(&mut client, &base);
        let expected = [
            0, 0, -110, 0, 0, 0, 0, -101, 0, -103, -101, 0, -103, -111, -101, 0, 0, -108, 0, -101,
            -8, -123,
        ];
        // The last two differ between nobody, but are refused before they are forwarded or after.
        assert_eq!(errors[..20], expected[..20], "member {at}: {errors:?}");
        client.close().expect("a closed session");
    }
}

fn writes(client: &mut Client, base: &str) -> Vec<i32> {
    let under = |name: &str| format!("{base}/{name}");
    let open = Acl::open();
    let mut errors = Vec::new();
    let mut call = |code: i32, body: &dyn Fn(Frame) -> Frame| {
        let reply = client.call(code, body).unwrap_or_else(|error| panic!("op {code}: {error}"));
        errors.push(reply.error);
    };
    call(op::CREATE, &|f| create_body(f, base, 0));
    call(op::CREATE2, &|f| create_body(f, &under("two"), 0));
    call(op::CREATE, &|f| create_body(f, &under("two"), 0));
    call(op::CREATE2, &|f| create_body(f, &under("s-"), SEQUENTIAL));
    call(op::CREATE, &|f| create_body(f, &under("e-"), EPHEMERAL | SEQUENTIAL));
    call(op::CREATE_CONTAINER, &|f| create_body(f, &under("container"), CONTAINER));
    call(op::CREATE_TTL, &|f| create_body(f, &under("old"), TTL).long(3_600_000));
    call(op::CREATE, &|f| create_body(f, &under("no/parent"), 0));
    call(op::SET_DATA, &|f| f.str(&under("two")).buffer(Some(b"new")).int(0));
    call(op::SET_DATA, &|f| f.str(&under("two")).buffer(Some(b"new")).int(0));
    call(op::SET_DATA, &|f| f.str(&under("none")).buffer(None).int(-1));
    call(op::SET_ACL, &|f| f.str(&under("two")).acl(Some(&open)).int(0));
    call(op::SET_ACL, &|f| f.str(&under("two")).acl(Some(&open)).int(0));
    call(op::DELETE, &|f| f.str(base).int(-1));
    call(op::DELETE, &|f| f.str(&under("none")).int(-1));
    call(op::CREATE, &|f| create_body(f, &under("mine"), EPHEMERAL));
    call(op::MULTI, &|f| {
        create_body(f.multi_op(op::CREATE), &under("m1"), 0)
            .multi_op(op::CHECK)
            .str(&under("two"))
            .int(1)
            .multi_op(op::SET_DATA)
            .str(&under("m1"))
            .buffer(Some(b"set"))
            .int(0)
            .multi_op(op::DELETE)
            .str(&under("two"))
            .int(-1)
            .multi_end()
    });
    call(op::CREATE, &|f| create_body(f, &under("mine/child"), 0));
    call(op::MULTI, &|f| {
        create_body(f.multi_op(op::CREATE), &under("m2"), 0)
            .multi_op(op::CHECK)
            .str(&under("m2"))
            .int(7)
            .multi_end()
    });
    call(op::SET_DATA, &|f| f.str(&under("m2")).buffer(None).int(-1));
    call(op::SYNC, &|f| f.str(base));
    call(op::DELETE, &|f| f.str(&under("m1")).int(1));
    errors
}

fn watches_see_writes_of_other_members(cluster: &Cluster, root: &str) {
    for at in 0..cluster.len() {
        let writer = (at + 1) % cluster.len();
        let path = format!("{root}/watched-{at}");
        let (mut watching, mut writing) = (cluster.client(at), cluster.client(writer));
        catch_up(&mut watching);
        assert!(!watching.exists(&path, true).expect("an answer"));
        watching.children(root, true).expect("children");
        assert_eq!(writing.create(&path, b"1", 0).expect("a reply").error, 0);
        let event = |kind, path: &str| Event { kind, path: path.to_owned() };
        let events = watching.events(2).expect("events");
        assert_eq!(events, [event(1, &path), event(4, root)], "from {writer} at {at}");
        assert_eq!(watching.get(&path, true).expect("data"), Some(b"1".to_vec()));
        assert_eq!(writing.set(&path, b"2", -1).expect("a reply").error, 0);
        assert_eq!(watching.events(1).expect("events"), [event(3, &path)]);
        assert_eq!(watching.get(&path, true).expect("data"), Some(b"2".to_vec()));
        assert_eq!(writing.delete(&path, -1).expect("a reply").error, 0);
        assert_eq!(watching.events(1).expect("events"), [event(2, &path)]);
        watching.close().expect("a closed session");
        writing.close().expect("a closed session");
    }
}

fn sync_shows_what_was_written_elsewhere(cluster: &Cluster, root: &str) {
    let path = format!("{root}/synced");
    let mut clients: Vec<Client> = (0..cluster.len()).map(|at| cluster.client(at)).collect();
    let leader = cluster.wait_for_leader();
    let java_leads = cluster.server(leader).flavour() != Flavour::Rookeeper;
    assert_eq!(clients[0].create(&path, b"", 0).expect("a reply").error, 0);
    for round in 0..20 {
        for writer in 0..clients.len() {
            let data = format!("{round} by {writer}").into_bytes();
            assert_eq!(clients[writer].set(&path, &data, -1).expect("a reply").error, 0);
            let reader = (writer + 1 + round) % clients.len();
            if java_leads && reader == leader {
                catch_up(&mut clients[reader]);
            } else {
                clients[reader].sync().expect("a sync");
            }
            let shown = clients[reader].get(&path, false).expect("data");
            assert_eq!(shown, Some(data), "written at {writer}, read at {reader}");
        }
    }
    // The order of one session holds with reads and writes of any member in flight.
    for client in &mut clients {
        let codes = client.pipeline(&path, 100).expect("replies");
        assert!(codes.iter().all(|&code| code == 0), "{codes:?}");
    }
    clients.into_iter().for_each(|client| client.close().expect("a closed session"));
}

/// A learner of Java's matches the commits it hears with the writes and syncs of all its clients, in one
/// order. One answer out of its place, and none of them is ever answered again.
fn syncs_keep_their_place_among_writes(cluster: &Cluster, root: &str) {
    const SESSIONS: usize = 6;
    const ROUNDS: usize = 40;
    for at in 0..cluster.len() {
        let mut clients: Vec<Client> = (0..SESSIONS).map(|_| cluster.client(at)).collect();
        let path = format!("{root}/ordered-{at}");
        assert_eq!(clients[0].create(&path, b"", 0).expect("a reply").error, 0);
        for round in 0..ROUNDS {
            for (number, client) in clients.iter_mut().enumerate() {
                let sent = if (round + number) % 3 == 0 {
                    client.send(op::SYNC, |f| f.str(root))
                } else {
                    client.send(op::SET_DATA, |f| f.str(&path).buffer(Some(b"data")).int(-1))
                };
                sent.expect("sent");
            }
        }
        for (number, client) in clients.iter_mut().enumerate() {
            for round in 0..ROUNDS {
                let reply = client.receive();
                let (_, reply) =
                    reply.unwrap_or_else(|e| panic!("member {at}, {number}, {round}: {e}"));
                assert_eq!(reply.error, 0, "member {at}, client {number}, round {round}");
            }
        }
        clients.into_iter().for_each(|client| client.close().expect("a closed session"));
    }
}

fn sessions_move(cluster: &Cluster, root: &str) {
    for at in 0..cluster.len() {
        let path = format!("{root}/moving-{at}");
        let mut first = cluster.client(at);
        assert_eq!(first.create(&path, b"", EPHEMERAL).expect("a reply").error, 0);
        let mut old = first;
        for step in 1..=cluster.len() {
            let to = (at + step) % cluster.len();
            let moved = old.move_to(cluster.server(to).addr()).expect("an answer");
            let mut moved = moved.unwrap_or_else(|| panic!("from {at} to {to}: expired"));
            assert_eq!(moved.session().session, old.session().session);
            assert_eq!(moved.session().password, old.session().password, "from {at} to {to}");
            let data = format!("at {to}");
            let reply = moved.set(&path, data.as_bytes(), -1).expect("a reply");
            assert_eq!(reply.error, 0, "session of {at} writes at {to}");
            // Whoever still speaks for the session elsewhere is told, or finds itself disconnected.
            // To the leader an observer and its master are one (`observer_masters.rs` has our own).
            let reply = old.set(&path, b"late", -1);
            if let Ok(reply) = reply
                && !cluster.has_observer_masters()
            {
                assert_eq!(reply.error, SESSION_MOVED, "session of {at}, from its old place");
            }
            old = moved;
        }
        let mut wrong = old.session().clone();
        wrong.password[0] ^= 1;
        for to in 0..cluster.len() {
            let refused = Client::resume(cluster.server(to).addr(), &wrong, 0).expect("an answer");
            assert!(refused.is_none(), "a wrong password at {to}");
        }
        // Apache disconnects a session before it looks at the password, so the client comes back.
        let back = old.move_to(cluster.server(at).addr()).expect("an answer");
        let mut back = back.unwrap_or_else(|| panic!("back at {at}: expired"));
        assert!(back.exists(&path, false).expect("an answer"), "still there");
        back.close().expect("a closed session");
        eventually("the ephemeral goes", || {
            let mut client = cluster.client(at);
            let gone = !client.exists(&path, false).expect("an answer");
            client.close().expect("a closed session");
            gone
        });
    }
}

fn ephemerals_go_with_their_session(cluster: &Cluster, root: &str) {
    for at in 0..cluster.len() {
        let paths: Vec<String> = (0..3).map(|n| format!("{root}/short-{at}-{n}")).collect();
        let mut owner = cluster.client(at);
        for path in &paths {
            assert_eq!(owner.create(path, b"", EPHEMERAL).expect("a reply").error, 0);
        }
        let mut others: Vec<Client> = (0..cluster.len()).map(|at| cluster.client(at)).collect();
        for other in &mut others {
            catch_up(other);
            assert!(paths.iter().all(|path| other.exists(path, false).expect("an answer")));
        }
        owner.close().expect("a closed session");
        for mut other in others {
            catch_up(&mut other);
            assert!(!paths.iter().any(|path| other.exists(path, false).expect("an answer")));
            other.close().expect("a closed session");
        }
    }
}

/// A session that says nothing ends after its time-out; one that pings its learner lives on.
fn the_leader_expires_sessions_of_learners(cluster: &Cluster, root: &str) {
    // Both are longer than a busy machine stands still; the second is to live beyond its own.
    let (silent_ms, pinging_ms) = (6 * TICK_MS, 10 * TICK_MS);
    let mut pairs = Vec::new();
    for at in 0..cluster.len() {
        let addr = cluster.server(at).addr();
        let mut pinging = Client::connect(addr, pinging_ms).expect("a session");
        let mut silent = Client::connect(addr, silent_ms).expect("a session");
        assert_eq!(silent.session().timeout_ms, silent_ms);
        assert_eq!(pinging.session().timeout_ms, pinging_ms);
        let (gone, kept) = (format!("{root}/silent-{at}"), format!("{root}/pinging-{at}"));
        assert_eq!(silent.create(&gone, b"", EPHEMERAL).expect("a reply").error, 0);
        assert_eq!(pinging.create(&kept, b"", EPHEMERAL).expect("a reply").error, 0);
        pairs.push((silent, pinging, gone, kept));
    }
    let began = Instant::now();
    let lifetime = Duration::from_millis((pinging_ms + 4 * TICK_MS).unsigned_abs().into());
    while began.elapsed() < lifetime {
        for (at, (_, pinging, _, _)) in pairs.iter_mut().enumerate() {
            pinging.ping().unwrap_or_else(|error| panic!("member {at}, pinged: {error}"));
        }
        std::thread::sleep(Duration::from_millis(u64::from(TICK_MS.unsigned_abs()) / 2));
    }
    let mut observers: Vec<Client> = (0..cluster.len()).map(|at| cluster.client(at)).collect();
    let mut silent_ones = Vec::new();
    for (at, (silent, pinging, gone, kept)) in pairs.into_iter().enumerate() {
        for (other, observer) in observers.iter_mut().enumerate() {
            catch_up(observer);
            let kept = observer.exists(&kept, false).expect("an answer");
            assert!(kept, "pinging at {at}, not seen at {other}");
        }
        pinging.close().expect("a closed session");
        silent_ones.push((silent, gone));
    }
    for (at, (silent, gone)) in silent_ones.into_iter().enumerate() {
        for observer in &mut observers {
            eventually("what was silent is gone", || {
                !observer.exists(&gone, false).expect("an answer")
            });
        }
        let again = silent.move_to(cluster.server(0).addr()).expect("an answer");
        assert!(again.is_none(), "an expired session of {at} is refused");
    }
    observers.into_iter().for_each(|client| client.close().expect("a closed session"));
}

fn containers_and_old_nodes_go(cluster: &Cluster, root: &str) {
    let mut client = cluster.client(0);
    let (container, old) = (format!("{root}/container"), format!("{root}/old"));
    let child = format!("{container}/child");
    let reply = client.call(op::CREATE_CONTAINER, |f| create_body(f, &container, CONTAINER));
    assert_eq!(reply.expect("a reply").error, 0);
    assert_eq!(client.create(&child, b"", 0).expect("a reply").error, 0);
    let reply = client.call(op::CREATE_TTL, |f| create_body(f, &old, TTL).long(500));
    assert_eq!(reply.expect("a reply").error, 0);
    assert_eq!(client.delete(&child, -1).expect("a reply").error, 0);
    for path in [&container, &old] {
        eventually("the leader deletes an empty container and an old node", || {
            !client.exists(path, false).expect("an answer")
        });
    }
    client.close().expect("a closed session");
}
