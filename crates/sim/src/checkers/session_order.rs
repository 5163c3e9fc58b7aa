//! Catches: replies out of request order; a reply whose zxid is below one the session has seen; a read
//! that shows a later write of its own session (pipelined `set, get, set`), or misses an earlier one.
//!
//! (That a session's writes are *executed* in the order sent is checked in `history`.)

use rookeeper_proto::{OpCode, Xid, Zxid};

use crate::history::Sent;
use crate::violation::{Check, broken};

const NAME: &str = "session_order";

/// What one client has been shown, over all its connections.
#[derive(Debug, Clone, Copy, Default)]
pub struct SessionOrder {
    last: Zxid,
}

impl SessionOrder {
    /// A reply arrived while `sent` was the oldest unanswered request.
    pub fn on_reply(&mut self, sent: Option<&Sent>, xid: Xid, zxid: Zxid) -> Check {
        let Some(sent) = sent else {
            return broken(NAME, format!("a reply to xid {}, but nothing was asked", xid.0));
        };
        let expected = if sent.op == OpCode::Ping { Xid::PING } else { Xid(sent.xid) };
        if xid != expected {
            let what = format!("a reply to xid {}, but {} comes first", xid.0, expected.0);
            return broken(NAME, what);
        }
        if zxid < self.last {
            return broken(NAME, format!("xid {}: zxid {zxid} behind {}", xid.0, self.last));
        }
        let is_own_txn = sent.op.is_write() && !sent.is_garbage;
        if is_own_txn && zxid == self.last {
            let what = format!("xid {}: its txn {zxid} had been shown before it was sent", xid.0);
            return broken(NAME, what);
        }
        self.last = zxid;
        Ok(())
    }
}
