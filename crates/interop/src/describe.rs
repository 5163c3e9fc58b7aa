//! Normalised replies in words, for people who look at a difference.

use std::fmt::Write as _;

use crate::normalise::{Kind, SESSION_MARK};
use crate::raw::codes::{error_name, event_name, op, op_name};
use crate::raw::{Malformed, Reader};

/// One line that says what the payload says; hex where it cannot be decoded.
pub fn message(kind: Kind, payload: &[u8]) -> String {
    let mut text = String::new();
    match describe(kind, &mut Reader::new(payload), &mut text) {
        Ok(()) => text,
        Err(why) => format!("{text} [{why}] {}", hex(payload)),
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn describe(kind: Kind, reader: &mut Reader<'_>, text: &mut String) -> Result<(), Malformed> {
    let (xid, zxid, error) = (reader.int()?, reader.long()?, reader.int()?);
    match kind {
        Kind::Event => {
            let (event, state, path) = (reader.int()?, reader.int()?, reader.str()?);
            let _ = write!(text, "event {} {path:?} zxid {}", event_name(event), number(zxid));
            if (xid, error, state) != (-1, 0, 3) {
                let _ = write!(text, " xid {xid} err {error} state {state}");
            }
        }
        Kind::Reply(code) => {
            let _ = write!(text, "{} xid {xid} zxid {} ", op_name(code), number(zxid));
            let _ = write!(text, "err {error} {}", error_name(error));
            if error == 0 {
                body(code, reader, text)?;
            }
        }
    }
    if reader.left() > 0 {
        let left = reader.left();
        let _ = write!(text, " + {}", hex(reader.take(left)?));
    }
    Ok(())
}

fn body(code: i32, reader: &mut Reader<'_>, text: &mut String) -> Result<(), Malformed> {
    match code {
        op::CREATE => {
            let _ = write!(text, " {:?}", reader.str()?);
        }
        op::CREATE2 | op::CREATE_CONTAINER | op::CREATE_TTL => {
            let _ = write!(text, " {:?}", reader.str()?);
            stat(reader, text)?;
        }
        op::EXISTS | op::SET_DATA | op::SET_ACL => stat(reader, text)?,
        op::GET_DATA | op::RECONFIG => {
            buffer(reader, text)?;
            stat(reader, text)?;
        }
        op::GET_ACL => {
            for _ in 0..reader.count()?.unwrap_or(0) {
                let _ = write!(text, " {}:", reader.int()?);
                buffer(reader, text)?;
                buffer(reader, text)?;
            }
            stat(reader, text)?;
        }
        op::GET_CHILDREN | op::GET_EPHEMERALS => strings(reader, text)?,
        op::GET_CHILDREN2 => {
            strings(reader, text)?;
            stat(reader, text)?;
        }
        op::SYNC => buffer(reader, text)?,
        op::GET_ALL_CHILDREN_NUMBER | op::ADD_WATCH => {
            let _ = write!(text, " {}", reader.int()?);
        }
        op::WHO_AM_I => {
            for _ in 0..reader.count()?.unwrap_or(0) {
                buffer(reader, text)?;
                buffer(reader, text)?;
            }
        }
        op::MULTI | op::MULTI_READ => loop {
            let (kind, done, _error) = (reader.int()?, reader.bool()?, reader.int()?);
            if done {
                break;
            }
            let _ = write!(text, " [{}", op_name(kind));
            if kind == op::ERROR {
                let _ = write!(text, " {}", reader.int()?);
            } else {
                body(kind, reader, text)?;
            }
            text.push(']');
        },
        _ => {}
    }
    Ok(())
}

fn strings(reader: &mut Reader<'_>, text: &mut String) -> Result<(), Malformed> {
    for _ in 0..reader.count()?.unwrap_or(0) {
        let _ = write!(text, " {:?}", reader.str()?);
    }
    Ok(())
}

fn buffer(reader: &mut Reader<'_>, text: &mut String) -> Result<(), Malformed> {
    match reader.buffer()? {
        None => text.push_str(" null"),
        Some(bytes) => {
            let _ = write!(text, " {:?}", String::from_utf8_lossy(bytes));
        }
    }
    Ok(())
}

fn stat(reader: &mut Reader<'_>, text: &mut String) -> Result<(), Malformed> {
    let (czxid, mzxid, ctime, mtime) =
        (reader.long()?, reader.long()?, reader.long()?, reader.long()?);
    let (version, cversion, aversion) = (reader.int()?, reader.int()?, reader.int()?);
    let (owner, length, children) = (reader.long()?, reader.int()?, reader.int()?);
    let pzxid = reader.long()?;
    let _ = write!(
        text,
        " {{czxid {} mzxid {} pzxid {} ctime {ctime} mtime {mtime} version {version} \
         cversion {cversion} aversion {aversion} owner {} length {length} children {children}}}",
        number(czxid),
        number(mzxid),
        number(pzxid),
        number(owner),
    );
    Ok(())
}

/// A zxid or session as normalised.
fn number(value: i64) -> String {
    if (SESSION_MARK..SESSION_MARK + (1 << 32)).contains(&value) {
        format!("s{}", value - SESSION_MARK)
    } else if value < i64::MIN / 4 {
        format!("before+{}", value - i64::MIN / 2)
    } else {
        value.to_string()
    }
}
