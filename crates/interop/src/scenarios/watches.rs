//! Watches of every kind: arming, firing, catching up, checking, removing.

use super::{Scribe, text};
use crate::Result;
use crate::raw::Frame;
use crate::raw::codes::op;

pub(super) fn record(s: &mut Scribe) -> Result<()> {
    one_shot(s)?;
    order(s)?;
    persistent(s)?;
    removing(s)?;
    catching_up(s)?;
    in_multi(s)
}

fn one_shot(s: &mut Scribe) -> Result<()> {
    s.scenario("one-shot watches")?;
    s.open("a")?;
    s.open("b")?;
    s.read("a", op::EXISTS, "/w", true)?;
    s.read("a", op::GET_DATA, "/w", true)?;
    s.read("a", op::GET_CHILDREN, "/w", true)?;
    s.create("b", "/w", "", 0)?;
    s.recorder.event("a")?;
    s.read("a", op::EXISTS, "/w", true)?;
    s.read("a", op::GET_DATA, "/w", true)?;
    s.set("b", "/w", "1", -1)?;
    s.set("b", "/w", "2", -1)?;
    s.recorder.event("a")?;
    s.read("a", op::GET_CHILDREN2, "/w", true)?;
    s.create("b", "/w/x", "", 0)?;
    s.create("b", "/w/y", "", 0)?;
    s.recorder.event("a")?;
    s.read("a", op::GET_CHILDREN, "/w", true)?;
    s.read("a", op::GET_DATA, "/w/x", true)?;
    s.delete("b", "/w/x", -1)?;
    s.recorder.event("a")?;
    s.recorder.event("a")?;
    s.read("a", op::GET_CHILDREN, "/w/y", true)?;
    s.read("a", op::EXISTS, "/w/y", true)?;
    s.delete("b", "/w/y", -1)?;
    s.recorder.event("a")?;
    s.ping("a")
}

fn order(s: &mut Scribe) -> Result<()> {
    s.scenario("events before the replies that could reveal them")?;
    s.open("a")?;
    s.create("a", "/o", "", 0)?;
    let pipelined = [
        text(Frame::request(2, op::GET_DATA).str("/o").bool(true)),
        text(Frame::request(3, op::SET_DATA).str("/o").buffer(Some(b"1")).int(-1)),
        text(Frame::request(4, op::EXISTS).str("/o").bool(true)),
        text(Frame::request(5, op::DELETE).str("/o").int(-1)),
        text(Frame::request(6, op::EXISTS).str("/o").bool(true)),
        text(Frame::request(7, op::DELETE).str("/o").int(-1)),
    ];
    s.recorder.exchange("a", "watch, set, watch, delete in one go", &pipelined)?;
    s.create("a", "/o", "", 0)
}

fn persistent(s: &mut Scribe) -> Result<()> {
    s.scenario("persistent watches")?;
    s.open("a")?;
    s.open("b")?;
    s.path_int("a", op::ADD_WATCH, "/pw", 0)?;
    s.create("b", "/pw", "", 0)?;
    s.recorder.event("a")?;
    s.create("b", "/pw/x", "", 0)?;
    s.recorder.event("a")?;
    s.set("b", "/pw", "1", -1)?;
    s.recorder.event("a")?;
    s.set("b", "/pw/x", "1", -1)?;
    s.ping("a")?;
    s.path_int("a", op::ADD_WATCH, "/pw", 1)?;
    s.create("b", "/pw/y", "", 0)?;
    s.recorder.event("a")?;
    s.recorder.event("a")?;
    s.set("b", "/pw/y", "1", -1)?;
    s.recorder.event("a")?;
    s.delete("b", "/pw/y", -1)?;
    s.recorder.event("a")?;
    s.recorder.event("a")?;
    s.delete("b", "/pw/x", -1)?;
    s.recorder.event("a")?;
    s.recorder.event("a")?;
    s.delete("b", "/pw", -1)?;
    s.recorder.event("a")?;
    s.create("b", "/pw", "", 0)?;
    s.recorder.event("a")?;
    s.path_int("a", op::ADD_WATCH, "/pw", 2)?;
    s.path_int("a", op::ADD_WATCH, "/pw", -1)?;
    s.path_int("a", op::ADD_WATCH, "no/path/", 1)?;
    s.path_int("a", op::ADD_WATCH, "/", 1)?;
    s.create("b", "/pw/deep", "", 0)?;
    s.recorder.event("a")?;
    s.recorder.event("a")
}

fn removing(s: &mut Scribe) -> Result<()> {
    s.scenario("checking and removing watches")?;
    s.open("a")?;
    s.create("a", "/rw", "", 0)?;
    for kind in [1, 2, 3, 4, 5, 0, 6] {
        s.path_int("a", op::CHECK_WATCHES, "/rw", kind)?;
        s.path_int("a", op::REMOVE_WATCHES, "/rw", kind)?;
    }
    let arm_all = |s: &mut Scribe| {
        s.read("a", op::GET_DATA, "/rw", true)?;
        s.read("a", op::GET_CHILDREN, "/rw", true)?;
        s.path_int("a", op::ADD_WATCH, "/rw", 0)?;
        s.path_int("a", op::ADD_WATCH, "/rw", 1)
    };
    for kind in [1, 2, 3, 4, 5] {
        arm_all(s)?;
        s.path_int("a", op::REMOVE_WATCHES, "/rw", kind)?;
        for other in [1, 2, 3, 4, 5] {
            s.path_int("a", op::CHECK_WATCHES, "/rw", other)?;
        }
        s.set("a", "/rw", "x", -1)?;
        s.create("a", "/rw/c", "", 0)?;
        s.delete("a", "/rw/c", -1)?;
    }
    s.path_int("a", op::REMOVE_WATCHES, "/none", 3)
}

fn catching_up(s: &mut Scribe) -> Result<()> {
    s.scenario("setWatches")?;
    s.open("a")?;
    s.open("b")?;
    s.create("b", "/sw", "", 0)?;
    s.create("b", "/sw/old", "", 0)?;
    s.create("b", "/sw/new", "", 0)?;
    let empty: [&str; 0] = [];
    let lists = |f: Frame| {
        f.strs(&["/sw/old", "/sw/new", "/sw/none"])
            .strs(&["/sw/old", "/sw/later"])
            .strs(&["/sw", "/sw/old", "/sw/none"])
    };
    let header = |xid, code| crate::describe::hex(&Frame::request(xid, code).done());
    let body = crate::describe::hex(&lists(Frame::new()).done());
    let request = format!("{}{{zxid+4}}{body}", header(90, op::SET_WATCHES));
    s.recorder.exchange("a", "setWatches, some missed and some armed", &[request])?;
    s.create("b", "/sw/later", "", 0)?;
    s.recorder.event("a")?;
    s.set("b", "/sw/old", "1", -1)?;
    s.recorder.event("a")?;
    s.create("b", "/sw/old/c", "", 0)?;
    s.recorder.event("a")?;
    let two = lists(Frame::new()).strs(&["/sw/p"]).strs(&["/sw/r"]);
    let two = crate::describe::hex(&two.done());
    let request = format!("{}{{zxid+99}}{two}", header(-8, op::SET_WATCHES2));
    s.recorder.exchange("a", "setWatches2 with the C client's xid", &[request])?;
    s.create("b", "/sw/p", "", 0)?;
    s.recorder.event("a")?;
    s.recorder.event("a")?;
    s.create("b", "/sw/r", "", 0)?;
    s.recorder.event("a")?;
    s.create("b", "/sw/r/x", "", 0)?;
    s.recorder.event("a")?;
    s.call("a", op::SET_WATCHES, "with null lists", |f| f.long(0).int(-1).int(-1).int(-1))?;
    s.call("a", op::SET_WATCHES2, "of nothing", |f| {
        f.long(0).strs(&empty).strs(&empty).strs(&empty).strs(&empty).strs(&empty)
    })?;
    s.call("a", op::SET_WATCHES2, "cut short", |f| f.long(0).strs(&empty).strs(&empty))
}

fn in_multi(s: &mut Scribe) -> Result<()> {
    s.scenario("events of a multi")?;
    s.open("a")?;
    s.open("b")?;
    s.create("b", "/mw", "", 0)?;
    s.path_int("a", op::ADD_WATCH, "/mw", 1)?;
    s.read("a", op::GET_CHILDREN, "/mw", true)?;
    s.call("b", op::MULTI, "create, set, delete", |f| {
        let acl = crate::raw::Acl::open();
        let f = f.multi_op(op::CREATE).create("/mw/x", None, &acl, 0);
        let f = f.multi_op(op::SET_DATA).str("/mw/x").buffer(Some(b"1")).int(0);
        f.multi_op(op::DELETE).str("/mw/x").int(1).multi_end()
    })?;
    for _ in 0..4 {
        s.recorder.event("a")?;
    }
    s.call("b", op::MULTI, "that fails", |f| {
        let f = f.multi_op(op::SET_DATA).str("/mw").buffer(Some(b"1")).int(0);
        f.multi_op(op::DELETE).str("/mw/none").int(-1).multi_end()
    })?;
    s.ping("a")
}
