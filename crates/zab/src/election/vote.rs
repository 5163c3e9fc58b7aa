//! Votes: their order and their equality (`quorum-protocol.md` 2.3 and 2.4).

use rookeeper_proto::quorum::{Notification, ServerState};
use rookeeper_proto::{Sid, Zxid};

/// A vote for a leader, as somebody cast it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// Whom.
    pub leader: Sid,
    /// The candidate's last zxid.
    pub zxid: Zxid,
    /// The round it was cast in.
    pub round: i64,
    /// The epoch of the candidate's history.
    pub epoch: i64,
    /// What the voter is doing.
    pub state: ServerState,
    /// Version of the layout it came in; 0 for old ones.
    pub version: i32,
}

impl Vote {
    /// The vote inside a notification.
    pub fn of(n: &Notification) -> Self {
        Self {
            leader: n.leader,
            zxid: n.zxid,
            round: n.round,
            epoch: n.epoch,
            state: n.state,
            version: n.version,
        }
    }

    /// Whether this candidate is better: later epoch, then later zxid, then larger sid.
    pub fn beats(&self, other: &Self) -> bool {
        (self.epoch, self.zxid, self.leader) > (other.epoch, other.zxid, other.leader)
    }

    /// Whether two votes count as the same one. Settled servers may differ in zxid and round
    /// (ZOOKEEPER-1805, 1732, 1818), and servers older than 3.4.6 do not even agree on the epoch.
    pub fn agrees_with(&self, other: &Self) -> bool {
        if self.state == ServerState::Looking || other.state == ServerState::Looking {
            return (self.leader, self.zxid, self.round, self.epoch)
                == (other.leader, other.zxid, other.round, other.epoch);
        }
        if (self.version == 0) == (other.version == 0) {
            (self.leader, self.epoch) == (other.leader, other.epoch)
        } else {
            self.leader == other.leader
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(leader: i64, zxid: i64, round: i64, epoch: i64) -> Vote {
        let state = ServerState::Looking;
        Vote { leader: Sid(leader), zxid: Zxid(zxid), round, epoch, state, version: 2 }
    }

    #[test]
    fn epoch_then_zxid_then_sid() {
        assert!(vote(1, 0, 1, 2).beats(&vote(9, 99, 1, 1)));
        assert!(vote(1, 5, 1, 1).beats(&vote(9, 4, 1, 1)));
        assert!(vote(2, 5, 1, 1).beats(&vote(1, 5, 9, 1)));
        assert!(!vote(2, 5, 1, 1).beats(&vote(2, 5, 1, 1)));
        assert!(vote(1, 0, 0, 0).beats(&vote(i64::MIN, i64::MIN, 0, i64::MIN)));
    }

    #[test]
    fn equality_depends_on_the_states() {
        let looking = vote(1, 5, 2, 1);
        let settled = Vote { state: ServerState::Following, ..looking };
        assert!(looking.agrees_with(&settled));
        assert!(!looking.agrees_with(&Vote { round: 3, ..settled }));
        assert!(settled.agrees_with(&Vote { round: 3, zxid: Zxid(9), ..settled }));
        assert!(!settled.agrees_with(&Vote { epoch: 2, ..settled }));
        assert!(settled.agrees_with(&Vote { epoch: 2, version: 0, ..settled }));
        let old = Vote { version: 0, ..settled };
        assert!(!old.agrees_with(&Vote { epoch: 2, ..old }));
    }
}
