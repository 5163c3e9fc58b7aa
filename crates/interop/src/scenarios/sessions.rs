//! Handshakes, resumption, the end of sessions, and connections that are not clients.

use super::{Scribe, text};
use crate::Result;
use crate::describe::hex;
use crate::raw::codes::op;
use crate::raw::{Acl, Frame};

pub(super) fn record(s: &mut Scribe) -> Result<()> {
    handshakes(s)?;
    resuming(s)?;
    ending(s)?;
    not_frames(s)
}

fn handshakes(s: &mut Scribe) -> Result<()> {
    s.scenario("handshakes")?;
    let requests = [
        (
            "old",
            "a client older than 3.4: no readOnly byte",
            10_000,
            Some([0_u8; 16].as_slice()),
            None,
        ),
        ("ro", "readOnly asked for", 10_000, Some(&[0; 16]), Some(true)),
        ("null", "a null password for a new session", 10_000, None, Some(false)),
        ("short", "eight bytes of password for a new session", 10_000, Some(&[7; 8]), Some(false)),
        ("low", "a timeout below the least", 1, Some(&[0; 16]), Some(false)),
        ("negative", "a negative timeout", -5, Some(&[0; 16]), Some(false)),
        ("high", "a timeout above the most", 1_000_000, Some(&[0; 16]), Some(false)),
    ];
    for (on, what, timeout_ms, password, read_only) in requests {
        let request = Frame::connect(0, timeout_ms, 0, password, read_only);
        s.recorder.exchange(on, what, &[hex(&request)])?;
    }
    let mut request = Frame::connect(0, 10_000, 0, Some(&[0; 16]), Some(false));
    request.extend_from_slice(b"more");
    s.recorder.exchange("long", "bytes after the request", &[hex(&request)])?;
    let request = Frame::new().int(99).long(0).int(10_000).long(0).buffer(Some(&[0; 16]));
    s.recorder.exchange("v99", "protocol version 99", &[text(request.bool(false))])?;
    let ahead = Frame::connect(i64::MAX, 10_000, 0, Some(&[0; 16]), Some(false));
    s.recorder.exchange("ahead", "a zxid from the future", &[hex(&ahead)])?;
    let pipelined = [
        hex(&Frame::connect(0, 10_000, 0, Some(&[0; 16]), Some(false))),
        text(Frame::request(1, op::EXISTS).str("/").bool(false)),
        hex(&Frame::ping()),
    ];
    s.recorder.exchange("pipelined", "requests right behind the handshake", &pipelined)
}

fn resuming(s: &mut Scribe) -> Result<()> {
    let resume = |session: &str, password: &str, zxid: &str| {
        format!("00000000{zxid}00007530{session}00000010{password}00")
    };
    let zero = "0000000000000000";
    s.scenario("resuming")?;
    s.open("a")?;
    s.create("a", "/resumed", "", 1)?;
    s.recorder.drop_connection("a");
    let request = resume("{sid:a}", "{pw:a}", zero);
    s.recorder.exchange("a", "resume with the right password", &[request])?;
    s.read("a", op::EXISTS, "/resumed", false)?;
    let request = resume("{sid:a}", "{pw:a}", "{zxid+2}");
    s.recorder.exchange("b", "resume while connected elsewhere", &[request])?;
    s.recorder.expect_close("a")?;
    s.read("b", op::EXISTS, "/resumed", false)?;
    let wrong = "00112233445566778899aabbccddeeff";
    s.recorder.exchange("c", "a wrong password", &[resume("{sid:a}", wrong, zero)])?;
    s.recorder.expect_close("c")?;
    s.recorder.expect_close("b")?;
    let request = resume("0123456789abcdef", wrong, zero);
    s.recorder.exchange("d", "an unknown session", &[request])?;
    s.recorder.expect_close("d")?;
    let request = "000000000000000000000000000075300123456789abcdef00000010".to_owned() + wrong;
    s.recorder.exchange("e", "an unknown session, client older than 3.4", &[request])?;
    s.recorder.expect_close("e")
}

/// Nothing behind the closeSession: Apache answers that with -112 or not at all, as the race goes.
fn ending(s: &mut Scribe) -> Result<()> {
    s.scenario("the end of a session")?;
    s.open("a")?;
    s.open("b")?;
    s.create("a", "/ended", "", 1)?;
    s.read("b", op::EXISTS, "/ended", true)?;
    let requests = [
        text(Frame::request(7, op::EXISTS).str("/ended").bool(false)),
        hex(&Frame::close_session(8)),
    ];
    s.recorder.exchange_then_close("a", "a read, and closeSession behind it", &requests)?;
    s.recorder.event("b")?;
    s.read("b", op::EXISTS, "/ended", false)?;
    let request = "0000000000000000000000000000 7530{sid:a}00000010{pw:a}00".replace(' ', "");
    s.recorder.exchange("c", "resuming a closed session", &[request])?;
    s.recorder.expect_close("c")
}

fn not_frames(s: &mut Scribe) -> Result<()> {
    s.scenario("bytes that are not frames")?;
    s.recorder.bytes_then_close("a", "a frame of length zero first", &[0; 4])?;
    s.recorder.bytes_then_close("b", "a negative length", &[0xff; 4])?;
    s.recorder.bytes_then_close("c", "a length over jute.maxbuffer", &[0, 0x10, 0, 0])?;
    s.open("d")?;
    s.recorder.bytes_then_close("d", "length zero after the handshake", &[0; 4])?;
    s.open("e")?;
    s.recorder.bytes_then_close(
        "e",
        "a header of seven bytes",
        &[0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0],
    )?;
    s.open("f")?;
    s.recorder.bytes_then_close("f", "a length over jute.maxbuffer", &[0x7f, 0xff, 0xff, 0xff])?;
    s.recorder.bytes_then_close(
        "g",
        "a handshake cut short",
        &[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0],
    )?;
    for code in [0, -1, 10, 13, 23, 888, i32::MIN] {
        let on = format!("op{code}");
        s.open(&on)?;
        let request = text(Frame::request(5, code).str("/").int(0));
        s.recorder.exchange_then_close(&on, &format!("operation code {code}"), &[request])?;
    }
    Ok(())
}

/// With `enforce.auth.enabled`, nothing but auth is answered before a credential of the right scheme.
pub(super) fn enforced_authentication(s: &mut Scribe) -> Result<()> {
    s.scenario("enforced authentication")?;
    s.open("a")?;
    let request = text(Frame::request(1, op::EXISTS).str("/").bool(false));
    s.recorder.exchange_then_close("a", "a read without credentials", &[request])?;
    s.open("b")?;
    s.recorder.exchange_then_close("b", "a ping without credentials", &[hex(&Frame::ping())])?;
    s.open("c")?;
    let request = Frame::request(1, op::CREATE).create("/enforced", Some(b""), &Acl::open(), 0);
    s.recorder.exchange_then_close("c", "a write without credentials", &[text(request)])?;
    s.open("d")?;
    s.auth("d", "digest", "user:password")?;
    s.create("d", "/enforced", "", 0)?;
    s.read("d", op::EXISTS, "/enforced", false)?;
    s.ping("d")?;
    // The sessions of a, b and c cannot be closed without a credential; this one expires them all.
    for closed in ["a", "b", "c"] {
        let on = format!("{closed}2");
        let request =
            format!("000000000000000000000000000075 30{{sid:{closed}}}00000010{{pw:{closed}}}00")
                .replace(' ', "");
        s.recorder.exchange(&on, "resume to close", &[request])?;
        s.auth(&on, "digest", "user:password")?;
        s.recorder.exchange_then_close(&on, "closeSession", &[hex(&Frame::close_session(1))])?;
    }
    s.recorder.exchange_then_close("d", "closeSession", &[hex(&Frame::close_session(9))])
}
