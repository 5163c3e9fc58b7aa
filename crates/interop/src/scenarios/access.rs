//! ACLs, credentials, quotas, the superuser.

use super::{Scribe, text};
use crate::Result;
use crate::describe::hex;
use crate::raw::codes::op;
use crate::raw::{Acl, Frame};

/// The digest id of `alice:secret` (SHA-1).
const ALICE: &str = "alice:aYXlLOpEooaV1cRAvUL1fp9Qt7E=";

pub(super) fn record(s: &mut Scribe) -> Result<()> {
    invalid_acls(s)?;
    permissions(s)?;
    credentials(s)?;
    filtered_events(s)
}

fn invalid_acls(s: &mut Scribe) -> Result<()> {
    s.scenario("ACLs, valid and not")?;
    s.open("a")?;
    s.create("a", "/acl", "", 0)?;
    let ids = [
        ("world", "anyone"),
        ("world", "nobody"),
        ("auth", ""),
        ("super", "x"),
        ("nope", "x"),
        ("digest", "u:h"),
        ("digest", "u"),
        ("digest", "u:"),
        ("digest", ":h"),
        ("digest", "a:b:c"),
        ("digest", "a:b:"),
        ("digest", ""),
        ("ip", "127.0.0.1"),
        ("ip", "127.0.0.1/8"),
        ("ip", "127.0.0.1/33"),
        ("ip", "127.0.0"),
        ("ip", "1.2.3.256"),
        ("ip", "::1"),
        ("ip", "::1/129"),
        ("ip", "1::2::3"),
        ("ip", ""),
        ("sasl", "u"),
        ("x509", "CN=x"),
        ("ensemble", "x"),
        ("ip", "01.2.3.4"),
        ("ip", "1.2.3.4/+8"),
        ("ip", "1.2.3.4/"),
    ];
    for (number, (scheme, id)) in ids.into_iter().enumerate() {
        s.create_with_acl("a", &format!("/acl/n{number}"), &[Acl::new(31, scheme, id)])?;
    }
    for perms in [0, -1, 32, 63] {
        s.create_with_acl("a", &format!("/acl/p{perms}"), &[Acl::new(perms, "world", "anyone")])?;
    }
    let twice = [
        Acl::new(1, "world", "anyone"),
        Acl::new(31, "digest", "u:h"),
        Acl::new(1, "world", "anyone"),
        Acl::new(2, "world", "anyone"),
    ];
    s.create_with_acl("a", "/acl/twice", &twice)?;
    s.path_op("a", op::GET_ACL, "/acl/twice")?;
    s.create_with_acl("a", "/acl/none", &[])?;
    s.call("a", op::CREATE, "null acl", |f| f.str("/acl/null").int(-1).int(-1).int(0))?;
    s.set_acl("a", "/acl", &[], -1)?;
    s.set_acl("a", "/nowhere", &[], -1)?;
    s.set_acl("a", "/nowhere", &Acl::open(), -1)?;
    s.set_acl("a", "/acl", &Acl::open(), 5)?;
    s.set_acl("a", "/acl", &Acl::open(), 0)?;
    s.set_acl("a", "/acl", &Acl::open(), -1)?;
    s.call("a", op::SET_ACL, "null acl", |f| f.str("/acl").int(-1).int(-1))?;
    for (scheme, id) in [(None, None), (Some("world"), None), (None, Some("anyone"))] {
        let entry = Acl { perms: 31, scheme: scheme.map(Into::into), id: id.map(Into::into) };
        s.create_with_acl("a", "/acl/nulls", &[entry])?;
    }
    s.path_op("a", op::GET_ACL, "/nowhere")
}

fn permissions(s: &mut Scribe) -> Result<()> {
    s.scenario("permissions")?;
    s.open("a")?;
    let only = |perms| [Acl::new(perms, "world", "anyone")];
    for (name, perms) in [("r", 1), ("w", 2), ("c", 4), ("d", 8), ("m", 16), ("none", 0)] {
        let path = format!("/perm-{name}");
        s.create("a", &path, "data", 0)?;
        s.create("a", &format!("{path}/child"), "", 0)?;
        s.set_acl("a", &path, &only(perms), -1)?;
        s.read("a", op::EXISTS, &path, false)?;
        s.read("a", op::GET_DATA, &path, true)?;
        s.read("a", op::GET_CHILDREN, &path, true)?;
        s.read("a", op::GET_CHILDREN2, &path, false)?;
        s.path_op("a", op::GET_ACL, &path)?;
        s.path_op("a", op::GET_ALL_CHILDREN_NUMBER, &path)?;
        s.set("a", &path, "new", -1)?;
        s.create("a", &format!("{path}/new"), "", 0)?;
        s.create("a", &format!("{path}/child"), "", 0)?;
        s.delete("a", &format!("{path}/child"), -1)?;
        s.delete("a", &format!("{path}/none"), -1)?;
        s.call("a", op::MULTI, "check", |f| f.multi_op(op::CHECK).str(&path).int(9).multi_end())?;
        s.call("a", op::MULTI_READ, "getData", |f| {
            f.multi_op(op::GET_DATA).str(&path).bool(false).multi_end()
        })?;
        s.set_acl("a", &path, &Acl::open(), -1)?;
    }
    s.path_op("a", op::SYNC, "/perm-none")
}

fn credentials(s: &mut Scribe) -> Result<()> {
    s.scenario("credentials")?;
    for on in ["a", "b"] {
        s.open(on)?;
    }
    s.create_with_acl("a", "/cred-early", &[Acl::new(31, "auth", "")])?;
    s.auth("a", "digest", "alice:secret")?;
    s.create_with_acl("a", "/cred", &[Acl::new(31, "auth", "ignored")])?;
    let null_id = Acl { perms: 1, scheme: Some("auth".to_owned()), id: None };
    s.create_with_acl("a", "/cred-null", &[null_id])?;
    s.path_op("a", op::GET_ACL, "/cred")?;
    s.path_op("b", op::GET_ACL, "/cred")?;
    s.read("b", op::GET_DATA, "/cred", false)?;
    s.delete("b", "/cred", -1)?;
    s.auth("b", "digest", "alice:wrong")?;
    s.read("b", op::GET_DATA, "/cred", false)?;
    s.auth("b", "digest", "alice:secret")?;
    s.read("b", op::GET_DATA, "/cred", false)?;
    s.call("b", op::WHO_AM_I, "", |f| f)?;
    s.auth("b", "digest", "nocolon")?;
    s.call("b", op::WHO_AM_I, "", |f| f)?;
    let reader = [Acl::new(1, "world", "anyone"), Acl::new(31, "digest", ALICE)];
    s.set_acl("a", "/cred", &reader, -1)?;
    s.open("c")?;
    s.path_op("c", op::GET_ACL, "/cred")?;
    s.auth("c", "ip", "1.2.3.4")?;
    s.call("c", op::WHO_AM_I, "", |f| f)?;
    for (number, scheme) in
        ["nope", "world", "auth", "super", "sasl", "x509", ""].iter().enumerate()
    {
        let on = format!("d{number}");
        s.open(&on)?;
        let request = hex(&Frame::auth(scheme, b"x"));
        s.recorder.exchange_then_close(&on, &format!("auth {scheme:?}"), &[request])?;
    }
    s.open("e")?;
    let request = text(Frame::request(-4, op::AUTH).int(0).str("digest").int(-1));
    s.recorder.exchange_then_close("e", "auth with null credentials", &[request])?;
    s.open("f")?;
    let request = text(Frame::request(33, op::AUTH).int(7).str("digest").buffer(Some(b"u:p")));
    s.recorder.exchange("f", "auth with an ordinary xid", &[request])?;
    s.open("g")?;
    let request = text(Frame::request(-4, op::AUTH).int(0).str("digest"));
    s.recorder.exchange("g", "auth cut short", &[request])
}

fn filtered_events(s: &mut Scribe) -> Result<()> {
    s.scenario("events are filtered by READ")?;
    s.open("a")?;
    s.open("b")?;
    s.auth("a", "digest", "alice:secret")?;
    s.create("a", "/flt", "", 0)?;
    s.path_int("b", op::ADD_WATCH, "/flt", 1)?;
    s.read("b", op::EXISTS, "/flt/x", true)?;
    s.create_with_acl("a", "/flt/x", &[Acl::new(31, "digest", ALICE)])?;
    s.set("a", "/flt/x", "1", -1)?;
    s.ping("b")?;
    s.auth("b", "digest", "alice:secret")?;
    s.set("a", "/flt/x", "2", -1)?;
    s.recorder.event("b")?;
    s.ping("b")
}

/// Quotas with `enforceQuota`.
pub(super) fn quotas(s: &mut Scribe) -> Result<()> {
    s.scenario("quotas")?;
    s.open("a")?;
    s.create("a", "/quo", "12345", 0)?;
    s.create("a", "/quo/x", "123", 0)?;
    s.create("a", "/zookeeper/quota/quo", "", 0)?;
    let limits = "count=5,bytes=10=;byteHardLimit=20;countHardLimit=4";
    s.create("a", "/zookeeper/quota/quo/zookeeper_limits", limits, 0)?;
    s.create("a", "/zookeeper/quota/quo/zookeeper_stats", "count=0,bytes=0", 0)?;
    s.read("a", op::GET_DATA, "/zookeeper/quota/quo/zookeeper_stats", false)?;
    s.create("a", "/quo/y", "123", 0)?;
    s.create("a", "/quo/z", "", 0)?;
    s.create("a", "/quo/too-many", "", 0)?;
    s.read("a", op::GET_DATA, "/zookeeper/quota/quo/zookeeper_stats", false)?;
    s.set("a", "/quo/z", "0123456789", -1)?;
    s.set("a", "/quo/z", "012345678", -1)?;
    s.set("a", "/quo/z", "012345678", 99)?;
    s.set("a", "/quo/z", "0123456789", 99)?;
    s.delete("a", "/quo/x", -1)?;
    s.read("a", op::GET_DATA, "/zookeeper/quota/quo/zookeeper_stats", false)?;
    s.call("a", op::MULTI, "over the count", |f| {
        let f = f.multi_op(op::CREATE).create("/quo/m1", None, &Acl::open(), 0);
        f.multi_op(op::CREATE).create("/quo/m2", None, &Acl::open(), 0).multi_end()
    })?;
    s.create("a", "/quo/m3", "", 0)?;
    s.set("a", "/zookeeper/quota/quo/zookeeper_limits", "count=-1,bytes=-1", -1)?;
    s.create("a", "/quo/m3", "", 0)?;
    s.read("a", op::GET_DATA, "/zookeeper/quota/quo/zookeeper_stats", false)?;
    s.set("a", "/zookeeper/quota/quo/zookeeper_limits", "nonsense", -1)?;
    s.create("a", "/quo/m4", "", 0)?;
    s.set("a", "/quo/z", "1", -1)?;
    s.delete("a", "/zookeeper/quota/quo/zookeeper_limits", -1)?;
    s.create("a", "/quo/m4", "", 0)?;
    s.read("a", op::GET_DATA, "/zookeeper/quota/quo/zookeeper_stats", false)
}

/// What the superuser may.
pub(super) fn superuser(s: &mut Scribe) -> Result<()> {
    s.scenario("the superuser")?;
    s.open("a")?;
    s.open("b")?;
    s.create_with_acl("a", "/sup", &[Acl::new(0, "world", "anyone")])?;
    s.read("a", op::GET_DATA, "/sup", false)?;
    s.auth("b", "digest", "super:wrong")?;
    s.read("b", op::GET_DATA, "/sup", false)?;
    s.auth("b", "digest", "super:test")?;
    s.read("b", op::GET_DATA, "/sup", false)?;
    s.call("b", op::WHO_AM_I, "", |f| f)?;
    s.create_with_acl("b", "/sup-auth", &[Acl::new(31, "auth", "")])?;
    s.path_op("b", op::GET_ACL, "/sup-auth")?;
    s.create_with_acl("b", "/sup-super", &[Acl::new(31, "super", "")])?;
    s.set("b", "/zookeeper/config", "by hand", -1)?;
    s.set_acl("b", "/zookeeper/config", &Acl::open(), -1)?;
    s.set("a", "/zookeeper/config", "by anyone", -1)?;
    s.delete("b", "/zookeeper/config", -1)?;
    s.call("b", op::RECONFIG, "by the superuser", |f| f.int(-1).int(-1).int(-1).long(-1))
}
