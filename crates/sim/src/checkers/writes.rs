//! Catches: a reply to a write that does not tell what its txn did: wrong zxid, code, path, stat or
//! result of a multi; a reply to a write that was never executed, or before what had been shown.

use rookeeper_proto::client::Response;
use rookeeper_proto::{OpCode, Reader, Zxid};

use crate::history::{EPHEMERAL_ON_LOCAL, Sent};
use crate::model::Model;
use crate::violation::{Check, broken};

const NAME: &str = "writes";

/// Checks a reply against the txn it names.
pub fn check(model: &Model, sent: &Sent, zxid: Zxid, err: i32, body: &mut Reader<'_>) -> Check {
    let Some(txn) = model.txn(zxid) else {
        return broken(NAME, format!("{:?} answered with {zxid}, which does not exist", sent.op));
    };
    if (txn.session, txn.cxid, txn.op) != (sent.session, sent.xid, sent.op) {
        let what = format!(
            "{:?} {} of {} answered with {zxid}, which is {:?} {} of {}",
            sent.op, sent.xid, sent.session, txn.op, txn.cxid, txn.session
        );
        return broken(NAME, what);
    }
    if zxid <= sent.floor {
        // Linearizable: whatever had been shown to anybody when it was sent comes before it.
        let what = format!("{:?} became {zxid}, but {} had been seen", sent.op, sent.floor);
        return broken(NAME, what);
    }
    let is_local = model.session(sent.session).is_none();
    if is_local && err == EPHEMERAL_ON_LOCAL && txn.reply.is_err() {
        // A learner says why, whatever else the leader had against it.
        return Ok(());
    }
    let op = if sent.op == OpCode::CloseSession { OpCode::Delete } else { sent.op };
    let found = match err {
        0 => match Response::read(op, body) {
            Ok(response) => Ok(response),
            Err(error) => return broken(NAME, format!("the reply to {:?}: {error}", sent.op)),
        },
        code => Err(code),
    };
    let found = match found {
        // Its text is compared with the record's, and that with the model's.
        Ok(Response::Data(Some(text), stat)) if sent.op == OpCode::Reconfig => {
            let config = model.at("/zookeeper/config", zxid);
            match config.is_some_and(|config| config.data.as_deref() == Some(text)) {
                true => Ok(Response::Stat(stat)),
                false => Ok(Response::Data(Some(text), stat)),
            }
        }
        found => found,
    };
    if found != txn.reply || body.remaining() != 0 {
        let (request, expected) = (sent.request(), &txn.reply);
        let what = format!("{request:?} at {zxid}: got {found:?}, expected {expected:?}");
        return broken(NAME, what);
    }
    Ok(())
}
