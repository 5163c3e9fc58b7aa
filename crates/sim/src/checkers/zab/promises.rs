//! I10: the epoch files never go back, and acceptedEpoch >= currentEpoch. I12: what a server
//! acknowledged survives a power loss. I14: so does what it voted with. Judged where it counts: by what
//! the next recovery finds. Catches: ZOOKEEPER-4646, 3911, 4882, 4643.

use rookeeper_proto::Zxid;
use rookeeper_storage::Epochs;

use crate::violation::{Check, broken};

/// What a server told others, or was told by its own disk.
#[derive(Debug, Default, Clone, Copy)]
pub struct Promises {
    /// The last txn acknowledged, voted with, or reported durable.
    last: Zxid,
    accepted: i64,
    current: i64,
}

impl Promises {
    /// It tells others that it holds everything up to `zxid`.
    pub fn on_promise(&mut self, zxid: Zxid) {
        self.last = self.last.max(zxid);
    }

    /// What it holds beyond `zxid` is being removed, or was.
    pub fn on_replaced(&mut self, zxid: Zxid) {
        self.last = zxid;
    }

    /// An epoch file is written.
    pub fn on_accepted(&mut self, epoch: u32) {
        self.accepted = self.accepted.max(i64::from(epoch));
    }

    /// The other one.
    pub fn on_current(&mut self, epoch: u32) {
        self.current = self.current.max(i64::from(epoch));
    }

    /// What a start finds.
    pub fn on_recovery(&self, server: usize, last: Zxid, epochs: Option<Epochs>) -> Check {
        let who = server + 1;
        if last < self.last {
            let what = format!("server{who} recovers up to {last}, had promised {}", self.last);
            return broken("durability", what);
        }
        let Some(Epochs { accepted, current }) = epochs else { return Ok(()) };
        if accepted < self.accepted || current < self.current || accepted < current {
            let what = format!(
                "server{who} recovers epochs {accepted}, {current}; told {}, {}",
                self.accepted, self.current
            );
            return broken("epochs", what);
        }
        Ok(())
    }
}
