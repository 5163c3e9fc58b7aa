//! What a member counts beyond a standalone server: elections, synchronisations, proposals.
//!
//! Names follow ZooKeeper's metrics (`operations.md` section 4). Durations are measured where this
//! server sees them: between two looks at the peer, which is asked after every turn.

use rookeeper_proto::quorum::ServerState;
use rookeeper_zab::{Figures, Peer, ZabPhase};

use crate::clock::Now;
use crate::stats::Summary;

/// Counted since the start, or since `srst`.
#[derive(Debug, Clone, Default)]
pub struct QuorumStats {
    /// `looking_count`.
    pub looking: u64,
    /// `election_time`, in milliseconds.
    pub election_ms: Summary,
    /// `follower_sync_time`: from the election's outcome to serving.
    pub follower_sync_ms: Summary,
    /// `observer_sync_time`.
    pub observer_sync_ms: Summary,
    /// `unavailable_time`: from the begin of the first election to serving.
    pub unavailable_ms: Summary,
    /// `leader_unavailable_time`: the same of a server that leads then.
    pub leader_unavailable_ms: Summary,
    /// `snap_count`: snapshots sent to learners.
    pub snapshots: u64,
    /// `learner_proposal_received_count`.
    pub proposals_received: u64,
    /// `learner_commit_received_count`.
    pub commits_received: u64,
    /// `revalidate_count`: sessions whose leader was asked by this server.
    pub revalidations: u64,
    /// Connections kept when a leader was lost.
    pub connections_kept: u64,
    /// Those that went on under the next one.
    pub connections_outlived: u64,
}

/// Sizes of a leader's proposals, since it leads or since `srst`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProposalSizes {
    /// The last one's bytes; -1 before the first.
    pub last: i64,
    /// The smallest.
    pub min: i64,
    /// The largest.
    pub max: i64,
}

impl Default for ProposalSizes {
    fn default() -> Self {
        Self { last: -1, min: -1, max: -1 }
    }
}

impl ProposalSizes {
    pub(crate) fn add(&mut self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.last = bytes;
        self.min = if self.min < 0 { bytes } else { self.min.min(bytes) };
        self.max = self.max.max(bytes);
    }
}

/// Sees the peer go from role to role.
#[derive(Debug)]
pub(super) struct Observed {
    state: ServerState,
    is_serving: bool,
    /// When the present role (looking included) began.
    since_ms: u64,
    unavailable_since_ms: u64,
    /// When it last began to serve.
    serving_since_ms: u64,
}

impl Observed {
    /// Nothing seen yet: the first look counts the first election.
    pub(super) fn new() -> Self {
        Self {
            state: ServerState::Observing,
            is_serving: true,
            since_ms: 0,
            unavailable_since_ms: 0,
            serving_since_ms: 0,
        }
    }

    /// When the server began to serve.
    pub(super) fn serving_since_ms(&self) -> u64 {
        self.serving_since_ms
    }

    pub(super) fn look(&mut self, now: Now, peer: &Peer, stats: &mut QuorumStats) {
        let (state, is_serving) = (peer.state(), peer.serving_under().is_some());
        if (state, is_serving) == (self.state, self.is_serving) {
            return;
        }
        let now_ms = now.mono_ms();
        let took_ms = now_ms.saturating_sub(self.since_ms);
        if state != self.state {
            if state == ServerState::Looking {
                stats.looking += 1;
                if self.is_serving {
                    self.unavailable_since_ms = now_ms;
                }
            } else if self.state == ServerState::Looking {
                stats.election_ms.add(took_ms);
            }
            self.state = state;
            self.since_ms = now_ms;
        }
        if is_serving && !self.is_serving {
            self.serving_since_ms = now_ms;
            let unavailable_ms = now_ms.saturating_sub(self.unavailable_since_ms);
            stats.unavailable_ms.add(unavailable_ms);
            let took_ms = now_ms.saturating_sub(self.since_ms);
            match state {
                ServerState::Leading => stats.leader_unavailable_ms.add(unavailable_ms),
                ServerState::Following => stats.follower_sync_ms.add(took_ms),
                ServerState::Observing => stats.observer_sync_ms.add(took_ms),
                ServerState::Looking => {}
            }
        }
        self.is_serving = is_serving;
    }
}

/// Everything `mntr` and `srvr` tell of a member.
#[derive(Debug, Clone)]
pub struct MemberFigures {
    /// What it is doing.
    pub state: ServerState,
    /// The peer's own account.
    pub peer: Figures,
    /// How long it has served in its present role.
    pub serving_ms: u64,
    /// The text of the members in force, as in `/zookeeper/config`.
    pub membership: String,
}

impl MemberFigures {
    /// `zk_peer_state`: `leading - broadcast`.
    pub fn peer_state(&self) -> String {
        let state = match self.state {
            ServerState::Looking => "looking",
            ServerState::Leading => "leading",
            ServerState::Following => "following",
            ServerState::Observing => "observing",
        };
        match (self.state, self.peer.phase) {
            (ServerState::Looking, ZabPhase::Election) => state.to_owned(),
            (_, phase) => format!("{state} - {}", phase.name()),
        }
    }
}
