//! Creating, reading, changing and deleting znodes; multi and multiRead.

use super::{Body, Scribe, text};
use crate::Result;
use crate::raw::codes::op;
use crate::raw::{Acl, Frame};

pub(super) fn record(s: &mut Scribe) -> Result<()> {
    fresh_tree(s)?;
    creating(s)?;
    bad_paths(s)?;
    sequences(s)?;
    ephemerals(s)?;
    changing(s)?;
    reading(s)?;
    containers(s)?;
    multi(s)?;
    multi_errors(s)?;
    multi_read(s)
}

fn fresh_tree(s: &mut Scribe) -> Result<()> {
    s.scenario("the tree as it is at first")?;
    s.open("a")?;
    for path in ["/", "", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"] {
        s.read("a", op::GET_DATA, path, false)?;
        s.read("a", op::GET_CHILDREN2, path, false)?;
        s.path_op("a", op::GET_ACL, path)?;
    }
    s.path_op("a", op::GET_ALL_CHILDREN_NUMBER, "/zookeeper")
}

fn creating(s: &mut Scribe) -> Result<()> {
    s.scenario("create")?;
    s.open("a")?;
    s.create("a", "/create", "data", 0)?;
    s.create("a", "/create", "again", 0)?;
    s.read("a", op::GET_DATA, "/create", false)?;
    s.create("a", "/create/child", "", 0)?;
    s.create("a", "/create/no/parent", "", 0)?;
    s.read("a", op::EXISTS, "/create", false)?;
    s.call("a", op::CREATE2, "/create/two", |f| {
        f.create("/create/two", Some(b"22"), &Acl::open(), 0)
    })?;
    s.call("a", op::CREATE, "null data", |f| f.create("/create/null", None, &Acl::open(), 0))?;
    s.read("a", op::GET_DATA, "/create/null", false)?;
    s.create("a", "/create/empty", "", 0)?;
    s.read("a", op::GET_DATA, "/create/empty", false)?;
    for flags in [4, 5, 6, 7, -1] {
        s.create("a", &format!("/create/f{flags}"), "", flags)?;
        s.call("a", op::CREATE2, &format!("flags {flags}"), |f| {
            f.create(&format!("/create/g{flags}"), Some(b""), &Acl::open(), flags)
        })?;
    }
    s.read("a", op::GET_DATA, "/create/f4", false)?;
    s.create("a", "/create/\u{4e2d}\u{6587}-\u{e9}", "unicode", 0)?;
    s.read("a", op::GET_CHILDREN2, "/create", false)
}

fn bad_paths(s: &mut Scribe) -> Result<()> {
    s.scenario("paths of every bad kind")?;
    s.open("a")?;
    s.create("a", "/p", "", 0)?;
    let paths = [
        "",
        "/",
        "p",
        "//",
        "/p/",
        "/p//x",
        "/p/.",
        "/p/..",
        "/p/./x",
        "/p/../x",
        "/p/a\u{0}b",
        "/p/\u{1}",
        "/p/\u{1f}",
        "/p/\u{7f}",
        "/p/\u{9f}",
        "/p/\u{e000}",
        "/p/\u{f8ff}",
        "/p/\u{f900}",
        "/p/\u{fff0}",
        "/p/\u{fffd}",
        "/p/\u{1f600}",
        "/p/..a",
        "/p/a..",
        "/p/...",
        "/nowhere/x/",
        "/p/ blank ",
    ];
    for path in paths {
        s.create("a", path, "", 0)?;
    }
    for path in ["/p/", "/p/.", "/p/..", "//", "/p/./", ""] {
        s.create("a", path, "sequential", 2)?;
    }
    for path in ["", "p", "/p/", "/nowhere", "/p//", "/", "/p/\u{0}"] {
        s.set("a", path, "x", -1)?;
        s.delete("a", path, -1)?;
        s.read("a", op::EXISTS, path, false)?;
        s.read("a", op::GET_DATA, path, false)?;
        s.read("a", op::GET_CHILDREN, path, false)?;
        s.read("a", op::GET_CHILDREN2, path, false)?;
        s.path_op("a", op::GET_ACL, path)?;
        s.path_op("a", op::SYNC, path)?;
        s.path_op("a", op::GET_ALL_CHILDREN_NUMBER, path)?;
        s.set_acl("a", path, &Acl::open(), -1)?;
    }
    for path in ["/zookeeper", "/zookeeper/quota", "/zookeeper/config"] {
        s.delete("a", path, -1)?;
    }
    Ok(())
}

fn sequences(s: &mut Scribe) -> Result<()> {
    s.scenario("sequential names")?;
    s.open("a")?;
    s.create("a", "/seq", "", 0)?;
    s.create("a", "/seq/n-", "", 2)?;
    s.create("a", "/seq/", "", 2)?;
    s.create("a", "/seq/e-", "", 3)?;
    s.create("a", "/seq/plain", "", 0)?;
    s.create("a", "/seq/n-", "", 2)?;
    s.delete("a", "/seq/n-0000000000", -1)?;
    s.create("a", "/seq/n-", "", 2)?;
    s.create("a", "/seq/plain", "", 0)?;
    s.create("a", "/seq/n-", "", 2)?;
    s.read("a", op::GET_CHILDREN2, "/seq", false)
}

fn ephemerals(s: &mut Scribe) -> Result<()> {
    s.scenario("ephemerals")?;
    s.open("a")?;
    s.open("b")?;
    s.create("a", "/eph", "", 0)?;
    s.create("a", "/eph/mine", "1", 1)?;
    s.create("b", "/eph/theirs", "2", 1)?;
    s.create("a", "/eph/mine/child", "", 0)?;
    s.create("a", "/eph/mine/child", "", 1)?;
    s.read("a", op::EXISTS, "/eph/mine", false)?;
    s.read("a", op::EXISTS, "/eph/theirs", false)?;
    s.path_op("a", op::GET_EPHEMERALS, "/")?;
    s.path_op("a", op::GET_EPHEMERALS, "/eph")?;
    s.path_op("a", op::GET_EPHEMERALS, "/eph/mi")?;
    s.path_op("a", op::GET_EPHEMERALS, "/other")?;
    s.path_op("a", op::GET_EPHEMERALS, "")?;
    s.call("a", op::GET_EPHEMERALS, "null", |f| f.int(-1))?;
    s.delete("b", "/eph/mine", -1)?;
    s.path_op("a", op::GET_EPHEMERALS, "/")
}

fn changing(s: &mut Scribe) -> Result<()> {
    s.scenario("set and delete")?;
    s.open("a")?;
    s.create("a", "/c", "1", 0)?;
    s.set("a", "/c", "two", 0)?;
    s.set("a", "/c", "three", 0)?;
    s.set("a", "/c", "three", -2)?;
    s.set("a", "/c", "three", -1)?;
    s.call("a", op::SET_DATA, "null data", |f| f.str("/c").int(-1).int(-1))?;
    s.read("a", op::GET_DATA, "/c", false)?;
    s.create("a", "/c/child", "", 0)?;
    s.delete("a", "/c", -1)?;
    s.delete("a", "/c", 77)?;
    s.delete("a", "/c/child", 1)?;
    s.delete("a", "/c/child", 0)?;
    s.delete("a", "/c/child", -1)?;
    s.read("a", op::EXISTS, "/c", false)?;
    s.delete("a", "/c", 3)?;
    s.delete("a", "/c", -1)?;
    s.delete("a", "/nowhere/child", -1)?;
    s.set("a", "/", "root", -1)?;
    s.read("a", op::GET_DATA, "/", false)
}

fn reading(s: &mut Scribe) -> Result<()> {
    s.scenario("reads that change nothing")?;
    s.open("a")?;
    s.create("a", "/r", "d", 0)?;
    s.create("a", "/r/b", "", 0)?;
    s.create("a", "/r/a", "", 0)?;
    s.create("a", "/r/a/deep", "", 0)?;
    s.read("a", op::GET_CHILDREN, "/r", false)?;
    s.read("a", op::GET_CHILDREN, "/r/b", false)?;
    s.read("a", op::GET_CHILDREN2, "/r", false)?;
    s.path_op("a", op::GET_ALL_CHILDREN_NUMBER, "/r")?;
    s.path_op("a", op::GET_ALL_CHILDREN_NUMBER, "/r/b")?;
    s.path_op("a", op::SYNC, "/r")?;
    s.path_op("a", op::SYNC, "not a path")?;
    s.call("a", op::SYNC, "null", |f| f.int(-1))?;
    s.call("a", op::WHO_AM_I, "", |f| f)?;
    s.ping("a")?;
    let ping = text(Frame::request(41, op::PING));
    s.recorder.exchange("a", "a ping with an ordinary xid", &[ping])?;
    let negative = text(Frame::request(-77, op::EXISTS).str("/r").bool(false));
    s.recorder.exchange("a", "a negative xid", &[negative])?;
    let pipelined = [
        text(Frame::request(1, op::EXISTS).str("/r").bool(false)),
        text(Frame::request(2, op::SET_DATA).str("/r").buffer(Some(b"e")).int(-1)),
        text(Frame::request(3, op::GET_DATA).str("/r").bool(false)),
        text(Frame::request(4, op::DELETE).str("/r").int(-1)),
        text(Frame::request(4, op::EXISTS).str("/r").bool(false)),
    ];
    s.recorder.exchange("a", "reads and writes in one go", &pipelined)
}

fn containers(s: &mut Scribe) -> Result<()> {
    s.scenario("containers, and TTL nodes while extended types are off")?;
    s.open("a")?;
    s.create("a", "/k", "", 0)?;
    for flags in [4, 0, 1, 2, 3, 5, 9] {
        s.call("a", op::CREATE_CONTAINER, &format!("flags {flags}"), |f| {
            f.create(&format!("/k/c{flags}"), Some(b"c"), &Acl::open(), flags)
        })?;
    }
    s.read("a", op::EXISTS, "/k/c4", false)?;
    s.create("a", "/k/c4/child", "", 1)?;
    for flags in [5, 6] {
        s.call("a", op::CREATE_TTL, &format!("flags {flags}"), |f| {
            f.create("/k/t", Some(b"t"), &Acl::open(), flags).long(1000)
        })?;
    }
    s.call("a", op::CREATE_TTL, "flags 0 ttl 5", |f| {
        f.create("/k/t", Some(b"t"), &Acl::open(), 0).long(5)
    })?;
    s.read("a", op::GET_CHILDREN2, "/k", false)?;
    s.call("a", op::RECONFIG, "while disabled", |f| f.int(-1).int(-1).int(-1).long(-1))?;
    s.call("a", op::SASL, "without any configuration", |f| f.buffer(Some(b"token")))
}

fn multi(s: &mut Scribe) -> Result<()> {
    s.scenario("multi")?;
    s.open("a")?;
    s.create("a", "/m", "", 0)?;
    s.call("a", op::MULTI, "of nothing", Frame::multi_end)?;
    let all_kinds = |f: Frame| {
        let f = f.multi_op(op::CREATE).create("/m/a", Some(b"a"), &Acl::open(), 0);
        let f = f.multi_op(op::CREATE).create("/m/a/b", Some(b"b"), &Acl::open(), 1);
        let f = f.multi_op(op::CREATE2).create("/m/s-", Some(b"s"), &Acl::open(), 2);
        let f = f.multi_op(op::CREATE_CONTAINER).create("/m/k", Some(b"k"), &Acl::open(), 4);
        let f = f.multi_op(op::CREATE).create("/m/k2", None, &Acl::open(), 4);
        let f = f.multi_op(op::SET_DATA).str("/m/a").buffer(Some(b"aa")).int(0);
        let f = f.multi_op(op::CHECK).str("/m/a").int(1);
        let f = f.multi_op(op::DELETE).str("/m/a/b").int(-1);
        f.multi_op(op::SET_DATA).str("/m/a").int(-1).int(1).multi_end()
    };
    s.call("a", op::MULTI, "of every kind", all_kinds)?;
    s.read("a", op::GET_CHILDREN2, "/m", false)?;
    s.read("a", op::GET_DATA, "/m/a", false)?;
    s.call("a", op::MULTI, "check only", |f| f.multi_op(op::CHECK).str("/m/a").int(2).multi_end())?;
    s.call("a", op::MULTI, "create TTL while off", |f| {
        let f = f.multi_op(op::CREATE_TTL).create("/m/t", Some(b""), &Acl::open(), 5).long(9);
        f.multi_end()
    })?;
    s.call("a", op::MULTI, "createTTL with flags 0", |f| {
        let f = f.multi_op(op::CREATE_TTL).create("/m/t0", Some(b""), &Acl::open(), 0).long(-1);
        f.multi_end()
    })?;
    s.read("a", op::EXISTS, "/m/t0", false)
}

fn multi_errors(s: &mut Scribe) -> Result<()> {
    s.scenario("multi that fails")?;
    s.open("a")?;
    s.create("a", "/f", "", 0)?;
    s.create("a", "/f/e", "", 1)?;
    let first = |f: Frame| f.multi_op(op::CREATE).create("/f/s-", Some(b""), &Acl::open(), 2);
    let failing: [(&str, Body); 10] = [
        ("NODEEXISTS", |f| f.multi_op(op::CREATE).create("/f/e", None, &Acl::open(), 0)),
        ("NONODE", |f| f.multi_op(op::DELETE).str("/f/none").int(-1)),
        ("BADVERSION", |f| f.multi_op(op::CHECK).str("/f").int(5)),
        ("NOTEMPTY", |f| f.multi_op(op::DELETE).str("/f").int(-1)),
        ("NOCHILDRENFOREPHEMERALS", |f| {
            f.multi_op(op::CREATE).create("/f/e/x", None, &Acl::open(), 0)
        }),
        ("BADARGUMENTS", |f| f.multi_op(op::CREATE).create("/f/./x", None, &Acl::open(), 0)),
        ("INVALIDACL", |f| f.multi_op(op::CREATE).create("/f/x", None, &[], 0)),
        ("BADARGUMENTS on check", |f| f.multi_op(op::CHECK).str("").int(0)),
        ("UNIMPLEMENTED", |f| {
            f.multi_op(op::CREATE_TTL).create("/f/x", None, &Acl::open(), 5).long(9)
        }),
        ("BADARGUMENTS on set", |f| f.multi_op(op::SET_DATA).str("f").int(-1).int(-1)),
    ];
    for (what, second) in failing {
        s.call("a", op::MULTI, &format!("whose second operation gives {what}"), |f| {
            let f = second(first(f));
            f.multi_op(op::DELETE).str("/f/e").int(-1).multi_end()
        })?;
    }
    s.create("a", "/f/s-", "the counter is as it was", 2)?;
    let whole: [(&str, Body); 8] = [
        ("unknown type", |f| f.multi_op(7).str("/f").int(0).int(0)),
        ("a read", |f| f.multi_op(op::GET_DATA).str("/f").bool(false)),
        ("flags 9", |f| f.multi_op(op::CREATE).create("/f/x", None, &Acl::open(), 9)),
        ("flags 5", |f| f.multi_op(op::CREATE).create("/f/x", None, &Acl::open(), 5)),
        ("null acl", |f| f.multi_op(op::CREATE).str("/f/x").int(-1).int(-1).int(0)),
        ("deleteContainer", |f| f.multi_op(op::DELETE_CONTAINER).str("/f/e")),
        ("cut short", |f| f.multi_op(op::CREATE).str("/f/x")),
        ("null path", |f| f.multi_op(op::DELETE).int(-1).int(-1)),
    ];
    for (what, second) in whole {
        s.call("a", op::MULTI, &format!("with {what}"), |f| second(first(f)).multi_end())?;
    }
    s.create("a", "/f/s-", "the counter is as it was", 2)?;
    s.read("a", op::GET_CHILDREN2, "/f", false)
}

fn multi_read(s: &mut Scribe) -> Result<()> {
    s.scenario("multiRead")?;
    s.open("a")?;
    s.create("a", "/q", "q", 0)?;
    s.create("a", "/q/x", "", 0)?;
    s.call("a", op::MULTI_READ, "of nothing", Frame::multi_end)?;
    s.call("a", op::MULTI_READ, "of both kinds, found and not", |f| {
        let f = f.multi_op(op::GET_DATA).str("/q").bool(false);
        let f = f.multi_op(op::GET_CHILDREN).str("/q").bool(false);
        let f = f.multi_op(op::GET_DATA).str("/none").bool(true);
        let f = f.multi_op(op::GET_CHILDREN).str("/none").bool(false);
        f.multi_op(op::GET_DATA).str("/q/x").bool(true).multi_end()
    })?;
    s.call("a", op::MULTI_READ, "with a write", |f| {
        let f = f.multi_op(op::GET_DATA).str("/q").bool(false);
        f.multi_op(op::DELETE).str("/q/x").int(-1).multi_end()
    })?;
    s.call("a", op::MULTI_READ, "with exists", |f| {
        f.multi_op(op::EXISTS).str("/q").bool(false).multi_end()
    })?;
    s.call("a", op::MULTI, "of reads only", |f| {
        f.multi_op(op::GET_DATA).str("/q").bool(false).multi_end()
    })?;
    s.set("a", "/q/x", "multiRead left no watch", -1)?;
    s.ping("a")
}

/// TTL nodes, where extended types are enabled.
pub(super) fn extended(s: &mut Scribe) -> Result<()> {
    s.scenario("TTL nodes")?;
    s.open("a")?;
    s.create("a", "/t", "", 0)?;
    let cases = [
        (5, 3_600_000_i64),
        (6, 3_600_000),
        (5, 1_099_511_627_775),
        (5, 1_099_511_627_776),
        (5, 0),
        (5, -1),
        (0, 5),
        (4, 5),
        (9, 5),
    ];
    for (number, (flags, ttl)) in cases.into_iter().enumerate() {
        s.call("a", op::CREATE_TTL, &format!("flags {flags} ttl {ttl}"), |f| {
            f.create(&format!("/t/n{number}"), Some(b"t"), &Acl::open(), flags).long(ttl)
        })?;
    }
    s.create("a", "/t/by-create", "", 5)?;
    s.call("a", op::CREATE2, "flags 6", |f| f.create("/t/c2", None, &Acl::open(), 6))?;
    s.read("a", op::EXISTS, "/t/n0", false)?;
    s.create("a", "/t/n0/child", "", 1)?;
    s.call("a", op::MULTI, "with createTTL", |f| {
        let f =
            f.multi_op(op::CREATE_TTL).create("/t/m", Some(b"m"), &Acl::open(), 5).long(9_999_999);
        let f = f.multi_op(op::CREATE_TTL).create("/t/m-", None, &Acl::open(), 6).long(9_999_999);
        let f = f.multi_op(op::CREATE_TTL).create("/t/mc", None, &Acl::open(), 4).long(-1);
        f.multi_op(op::CREATE_TTL).create("/t/mp", None, &Acl::open(), 0).long(-1).multi_end()
    })?;
    s.call("a", op::MULTI, "with a ttl too long", |f| {
        let f = f.multi_op(op::CREATE_TTL).create("/t/m2", None, &Acl::open(), 5).long(i64::MAX);
        f.multi_end()
    })?;
    s.call("a", op::MULTI, "with flags 9", |f| {
        let f = f.multi_op(op::CREATE_TTL).create("/t/m3", None, &Acl::open(), 9).long(5);
        f.multi_end()
    })?;
    s.read("a", op::GET_CHILDREN2, "/t", false)?;
    s.call("a", op::RECONFIG, "on a standalone server", |f| f.int(-1).int(-1).int(-1).long(-1))
}
