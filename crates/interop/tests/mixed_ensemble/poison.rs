//! Requests that a Java leader does not survive, sent to a Rookeeper follower: none reaches the leader.
//!
//! A write that the leader cannot decode gets the zxid of the last one, and its followers stop; others fail
//! where txns are applied, on every member and after every restart (`client-protocol.md` 6.7, section 13).

use rookeeper_interop::Flavour;
use rookeeper_interop::client::Client;
use rookeeper_interop::raw::codes::op;
use rookeeper_interop::raw::{Acl, Frame};

use crate::cluster::{Cluster, catch_up};

const OURS: Flavour = Flavour::Rookeeper;
const APACHE: Flavour = Flavour::APACHE_395;
const MARSHALLING: i32 = -5;
const TTL: i32 = 5;

/// A whole body of each kind of write, none of which would change anything.
fn whole_bodies() -> Vec<(i32, Frame)> {
    let body = Frame::new;
    let acl = Acl::open();
    let sub = |frame: Frame, code| frame.int(code).bool(false).int(-1);
    let multi = sub(sub(body(), op::DELETE).str("/none").int(7), op::CHECK).str("/none").int(7);
    vec![
        (op::CREATE, body().create("/none/new", Some(b"data"), &acl, 0)),
        (op::CREATE2, body().create("/none/new", Some(b"data"), &acl, 0)),
        (op::CREATE_CONTAINER, body().create("/none/new", None, &acl, 4)),
        (op::CREATE_TTL, body().create("/none/new", None, &acl, TTL).long(1000)),
        (op::DELETE, body().str("/none").int(7)),
        (op::SET_DATA, body().str("/none").buffer(Some(b"data")).int(7)),
        (op::SET_ACL, body().str("/none").acl(Some(&acl)).int(7)),
        (op::MULTI, multi.int(-1).bool(true).int(-1)),
        (op::RECONFIG, body().int(-1).int(-1).str("nonsense").long(7)),
    ]
}

fn refuses(client: &mut Client, code: i32, body: &[u8]) {
    let reply = client.call(code, |frame| frame.raw(body)).expect("a reply");
    assert_eq!(reply.error, MARSHALLING, "op {code}: {body:?}");
}

#[test]
fn what_cannot_be_decoded_is_not_forwarded() {
    let cluster = Cluster::start(&[OURS, APACHE, APACHE], &[]);
    let leader = cluster.wait_for_leader();
    assert_ne!(leader, 0, "with equal logs a higher id leads");
    let mut client = cluster.client(0);
    catch_up(&mut client);
    let before = client.last_zxid();
    for (code, body) in whole_bodies() {
        let body = body.done();
        for length in 0..body.len() {
            refuses(&mut client, code, &body[..length]);
        }
    }
    // Lengths that cannot be, and more than there are bytes. A negative count of ACLs is none of them.
    for length in [-2, i32::MIN, 0x0fff_ffff, i32::MAX] {
        refuses(&mut client, op::DELETE, &Frame::new().int(length).int(-1).done());
    }
    for length in [0x0fff_ffff, i32::MAX] {
        let acl = Frame::new().str("/none").buffer(None).int(length).int(0).done();
        refuses(&mut client, op::CREATE, &acl);
    }
    let odd_part = Frame::new().int(888).bool(false).int(-1).str("/none").int(-1);
    refuses(&mut client, op::MULTI, &odd_part.int(-1).bool(true).int(-1).done());
    let null_acl = Frame::new().int(op::CREATE).bool(false).int(-1).str("/none").int(-1).int(-1);
    refuses(&mut client, op::MULTI, &null_acl.int(0).int(-1).bool(true).int(-1).done());
    catch_up(&mut client);
    assert_eq!(client.last_zxid(), before + 1, "nothing of it got a zxid");
    assert_eq!(cluster.leader(), Some(leader), "who leads");
    client.close().expect("closed");
    cluster.assert_equal_trees();
}

/// These decode. What Java fails on when it applies them is refused here, too.
#[test]
fn what_kills_whoever_applies_it_is_not_forwarded() {
    let cluster = Cluster::start(&[OURS, APACHE, APACHE], &[]);
    let leader = cluster.wait_for_leader();
    let mut client = cluster.client(0);
    let acl = Acl::open();
    let create = |path: &str, data: Option<&[u8]>| Frame::new().create(path, data, &acl, 0);
    for path in ["/zookeeper/quota/f", "/f"] {
        let reply = client.call(op::CREATE, |frame| frame.create(path, None, &acl, 0));
        assert_eq!(reply.expect("a reply").error, 0, "{path}");
    }
    let stats = "/zookeeper/quota/f/zookeeper_stats";
    let limits = "/zookeeper/quota/f/zookeeper_limits";
    for (path, data) in [(limits, b"count=5,bytes=-1"), (stats, b"count=0,bytes=00")] {
        assert_eq!(client.create(path, data, 0).expect("a reply").error, 0, "{path}");
    }
    let set = |data: &[u8]| Frame::new().str(stats).buffer(Some(data)).int(-1);
    let multi = Frame::new().int(op::SET_DATA).bool(false).int(-1).raw(&set(b"count").done());
    let multi = multi.int(-1).bool(true).int(-1);
    for (code, body) in [
        (op::CREATE_TTL, create("/ttl", None).long(-1)),
        (op::CREATE_TTL, Frame::new().create("/ttl", None, &acl, 1).long(-1)),
        (op::CREATE, create("/zookeeper/quota/zookeeper_limits", Some(b"count=1"))),
        (op::CREATE2, create("/zookeeper/zookeeper_limits", Some(b"count=1"))),
        (op::SET_DATA, set(b"count")),
        (op::MULTI, multi),
    ] {
        let body = body.done();
        let reply = client.call(code, |frame| frame.raw(&body)).expect("a reply");
        assert_ne!(reply.error, 0, "op {code}: {}", String::from_utf8_lossy(&body));
    }
    let below = client.create("/f/below", b"1", 0).expect("a reply");
    assert_eq!(below.error, 0, "a change below the quota");
    catch_up(&mut client);
    assert_eq!(cluster.leader(), Some(leader), "who leads");
    client.close().expect("closed");
    cluster.assert_equal_trees();
}
