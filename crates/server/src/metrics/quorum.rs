//! What a member of an ensemble adds to `mntr`, and what it counts under names that a standalone
//! server prints as zeros (`operations.md` 2.3).
//!
//! Not here: the keyed sets of Java's queues to each learner (`zk_<id>_learner_handler_qp_size`).

use rookeeper_replica::Replica;
use rookeeper_replica::member::MemberFigures;

use super::List;

/// Gauges of a member, more of them on a leader.
pub(super) fn gauges(list: &mut List, replica: &Replica, member: &MemberFigures) {
    list.whole("quorum_size", member.peer.voters);
    if let Some(observers) = member.peer.synced_observers {
        list.whole("synced_observers", observers);
    }
    let Some(learners) = member.peer.learners else { return };
    list.whole("learners", learners.learners);
    // The name until 3.5; boards still ask for it.
    list.whole("followers", learners.learners);
    list.whole("synced_followers", learners.synced_followers);
    list.whole("synced_non_voting_followers", learners.synced_non_voting_followers);
    list.whole("synced_observers", learners.synced_observers);
    list.whole("pending_syncs", learners.pending_syncs);
    list.whole("leader_uptime", member.serving_ms);
    let sizes = replica.stats().proposal_sizes;
    list.whole("last_proposal_size", sizes.last);
    list.whole("min_proposal_size", sizes.min);
    list.whole("max_proposal_size", sizes.max);
}

/// Counters and times; zeros on a standalone server, as in Java.
pub(super) fn counters(list: &mut List, replica: &Replica, member: Option<&MemberFigures>) {
    let stats = replica.stats();
    let quorum = &stats.quorum;
    let (proposals, commits) = match member {
        Some(_) => (stats.proposals, stats.commits.saturating_sub(quorum.commits_received)),
        None => (0, 0),
    };
    list.whole("looking_count", quorum.looking);
    list.whole("diff_count", member.map_or(0, |member| member.peer.synced_from_log));
    list.whole("snap_count", quorum.snapshots);
    list.whole("revalidate_count", quorum.revalidations);
    list.whole("learner_proposal_received_count", quorum.proposals_received);
    list.whole("learner_commit_received_count", quorum.commits_received);
    list.whole("proposal_count", proposals);
    list.whole("commit_count", commits);
    list.basic("election_time", quorum.election_ms);
    list.basic("follower_sync_time", quorum.follower_sync_ms);
    list.basic("observer_sync_time", quorum.observer_sync_ms);
    list.basic("unavailable_time", quorum.unavailable_ms);
    list.basic("leader_unavailable_time", quorum.leader_unavailable_ms);
}
