//! Bodies that do not decode: cut short, null where nothing may be null, lying lengths, too long.

use super::{Body, Scribe, text};
use crate::Result;
use crate::raw::codes::op;
use crate::raw::{Acl, Frame};

/// Operations with a body and a body that is right for them.
const WHOLE: &[(i32, Body)] = &[
    (op::CREATE, |f| f.create("/form", Some(b"d"), &Acl::open(), 0)),
    (op::DELETE, |f| f.str("/form").int(77)),
    (op::EXISTS, |f| f.str("/form").bool(false)),
    (op::GET_DATA, |f| f.str("/form").bool(false)),
    (op::SET_DATA, |f| f.str("/form").buffer(Some(b"d")).int(77)),
    (op::GET_ACL, |f| f.str("/form")),
    (op::SET_ACL, |f| f.str("/form").acl(Some(&Acl::open())).int(77)),
    (op::GET_CHILDREN, |f| f.str("/form").bool(false)),
    (op::SYNC, |f| f.str("/form")),
    (op::GET_CHILDREN2, |f| f.str("/form").bool(false)),
    (op::CREATE2, |f| f.create("/form", Some(b"d"), &Acl::open(), 0)),
    (op::CHECK_WATCHES, |f| f.str("/form").int(3)),
    (op::REMOVE_WATCHES, |f| f.str("/form").int(3)),
    (op::CREATE_CONTAINER, |f| f.create("/form", Some(b"d"), &Acl::open(), 4)),
    (op::GET_EPHEMERALS, |f| f.str("/form")),
    (op::GET_ALL_CHILDREN_NUMBER, |f| f.str("/form")),
    (op::ADD_WATCH, |f| f.str("/form").int(0)),
];

pub(super) fn record(s: &mut Scribe) -> Result<()> {
    s.scenario("bodies that do not decode")?;
    s.open("a")?;
    s.create("a", "/form", "", 0)?;
    for &(code, body) in WHOLE {
        s.call("a", code, "without a body", |f| f)?;
        s.call("a", code, "with a null path", |f| {
            let whole = body(Frame::new()).done();
            // The path comes first in all of them: four bytes of length, five of path.
            f.int(-1).raw(whole.get(9..).unwrap_or_default())
        })?;
        s.call("a", code, "cut by one byte", |f| {
            let whole = body(Frame::new()).done();
            f.raw(whole.get(..whole.len() - 1).unwrap_or_default())
        })?;
        s.call("a", code, "with bytes behind it", |f| body(f).raw(b"behind"))?;
        s.call("a", code, "with a length of 2 GiB", |f| f.int(i32::MAX).raw(b"/form"))?;
        s.call("a", code, "with a length of -2", |f| f.int(-2).raw(b"/form"))?;
        s.ping("a")?;
    }
    s.call("a", op::CREATE, "with an acl count of a million", |f| {
        f.str("/form/x").buffer(None).int(1_000_000).int(0)
    })?;
    s.call("a", op::CREATE, "with an acl count of -2", |f| {
        f.str("/form/x").buffer(None).int(-2).int(0)
    })?;
    s.call("a", op::CREATE, "with a path that is not UTF-8", |f| {
        f.buffer(Some(b"/form/\xff\xfe")).buffer(None).acl(Some(&Acl::open())).int(0)
    })?;
    s.call("a", op::GET_DATA, "with 0x07 for a boolean", |f| f.str("/form").raw(&[7]))?;
    s.set("a", "/form", "the watch fires", -1)?;
    s.call("a", op::WHO_AM_I, "with a body", |f| f.str("ignored"))?;
    let whole = "x".repeat(1000);
    s.create("a", "/form/big", &whole, 0)?;
    s.read("a", op::EXISTS, "/form/big", false)?;
    let long_path = format!("/form/{}", "p".repeat(3000));
    let request = Frame::request(900, op::CREATE).create(&long_path, None, &Acl::open(), 0);
    s.recorder.exchange("a", "a path of 3,006 characters", &[text(request)])
}
