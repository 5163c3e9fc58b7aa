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
    /// By replies.
    replied: Zxid,
    /// By events.
    told: Zxid,
    /// On this connection also by pings: they show nothing, but name the newest txn.
    here: Zxid,
}

impl SessionOrder {
    /// A new connection begins.
    pub fn on_connection(&mut self) {
        self.here = Zxid::ZERO;
    }

    /// The newest txn that the next reply must not be behind.
    pub fn newest(&self) -> Zxid {
        self.replied.max(self.told).max(self.here)
    }

    /// An event arrived.
    pub fn on_event(&mut self, zxid: Zxid) -> Check {
        if zxid < self.newest() {
            return broken(NAME, format!("an event of {zxid} behind {}", self.newest()));
        }
        self.told = zxid;
        Ok(())
    }

    /// A reply arrived while `sent` was the oldest unanswered request.
    pub fn on_reply(&mut self, sent: Option<&Sent>, xid: Xid, zxid: Zxid) -> Check {
        let Some(sent) = sent else {
            return broken(NAME, format!("a reply to xid {}, but nothing was asked", xid.0));
        };
        let is_ping = sent.op == OpCode::Ping;
        let expected = if is_ping { Xid::PING } else { Xid(sent.xid) };
        if xid != expected {
            let what = format!("a reply to xid {}, but {} comes first", xid.0, expected.0);
            return broken(NAME, what);
        }
        let newest = self.newest();
        if zxid < newest {
            return broken(NAME, format!("xid {}: zxid {zxid} behind {newest}", xid.0));
        }
        let is_own_txn = sent.op.is_write() && !sent.is_garbage;
        // Its own event may come first.
        if is_own_txn && zxid == self.replied.max(self.here) {
            let what = format!("xid {}: its txn {zxid} had been shown before it was sent", xid.0);
            return broken(NAME, what);
        }
        if is_ping {
            self.here = zxid;
        } else {
            self.replied = zxid;
        }
        Ok(())
    }
}
