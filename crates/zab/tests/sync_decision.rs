//! What a leader sends first to a learner, by where the learner's log ends.

use std::sync::Arc;

use bytes::Bytes;
use rookeeper_proto::quorum::{LearnerInfo, PacketType, QuorumPacket, TryRead, learner_info};
use rookeeper_proto::txn::{Txn, TxnHeader};
use rookeeper_proto::{OpCode, SessionId, Sid, Zxid};
use rookeeper_zab::{
    Conn, Effect, Effects, EnsembleConfig, Instant, Peer, ProposeError, Settings, Start, TxnRecord,
};

const NOW: Instant = Instant(1);

/// Server 1 is a quorum.
const TWO_MEMBERS: &str = "server.1=a:1:2:participant\nserver.2=b:1:2:participant\n\
                           group.1=1:2\nweight.1=3\nweight.2=1";

fn record(zxid: Zxid) -> TxnRecord {
    let mut bytes = Vec::new();
    TxnHeader { session: SessionId(zxid.0), cxid: 1, zxid, time_ms: 2, op: -1 }.write(&mut bytes);
    TxnRecord { zxid, bytes: Bytes::from(bytes) }
}

/// A leader that needs no others, established in epoch 4, whose log begins behind (1,2).
struct Lead {
    peer: Peer,
    fx: Effects,
    sent: Vec<(PacketType, Zxid)>,
    is_closed: bool,
    /// Records become durable (and so committed) when this is set.
    is_disk_working: bool,
}

impl Lead {
    fn new() -> Self {
        Self::with(Settings::new(Sid(1)))
    }

    fn with(settings: Settings) -> Self {
        Self::among("server.1=a:1:2:participant", settings)
    }

    fn among(members: &str, settings: Settings) -> Self {
        let zxids = [Zxid::new(1, 3), Zxid::new(1, 4), Zxid::new(3, 1)];
        Self::holding(members, settings, Zxid::new(1, 2), &zxids)
    }

    fn holding(members: &str, settings: Settings, base: Zxid, zxids: &[Zxid]) -> Self {
        let config = EnsembleConfig::parse(&format!("{members}\nversion=0")).expect("valid");
        let config = Arc::new(config);
        let start = Start {
            settings,
            election_addresses: Vec::new(),
            committed: config.clone(),
            last_seen: config,
            accepted_epoch: 3,
            current_epoch: 3,
            last: zxids.last().copied().unwrap_or(base),
            recent: zxids.iter().copied().map(record).collect(),
            base,
        };
        let mut fx = Effects::new();
        let peer = Peer::start(NOW, start, &mut fx).expect("a sound directory");
        let sent = Vec::new();
        let mut lead = Self { peer, fx, sent, is_closed: false, is_disk_working: true };
        lead.settle();
        assert_eq!(lead.peer.serving_under(), Some((Sid(1), 4)));
        lead
    }

    fn settle(&mut self) {
        loop {
            let list: Vec<Effect> = self.fx.drain().collect();
            if list.is_empty() {
                return;
            }
            for effect in list {
                let (peer, fx) = (&mut self.peer, &mut self.fx);
                match effect {
                    Effect::WriteAcceptedEpoch { epoch } => {
                        peer.on_accepted_epoch_written(NOW, epoch, fx);
                    }
                    Effect::WriteCurrentEpoch { epoch } => {
                        peer.on_current_epoch_written(NOW, epoch, fx);
                    }
                    Effect::Append { record } if self.is_disk_working => {
                        peer.on_durable(NOW, record.zxid, fx);
                    }
                    Effect::TakeSnapshot { conn, through } => {
                        peer.on_snapshot_taken(NOW, conn, through, fx);
                    }
                    Effect::ReadHistory { conn, through, .. } => {
                        assert_ne!(through.counter(), 0, "no record can be there");
                        let answer = rookeeper_zab::HistoryAnswer::Unavailable;
                        peer.on_history(NOW, conn, answer, fx);
                    }
                    Effect::CloseQuorum { .. } => self.is_closed = true,
                    Effect::SendQuorum { bytes, .. } => {
                        let mut at = 0;
                        while let Ok(TryRead::Done(p, used)) =
                            QuorumPacket::try_read(&bytes[at..], 1 << 20)
                        {
                            at += used;
                            self.sent.extend(p.packet_type().map(|kind| (kind, p.zxid)));
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn learn(&mut self, conn: Conn, kind: PacketType, last: Zxid, current: i32) {
        self.learn_as(Sid(2), conn, kind, last, current);
    }

    fn learn_as(&mut self, sid: Sid, conn: Conn, kind: PacketType, last: Zxid, current: i32) {
        self.peer.on_learner_accepted(NOW, conn, &mut self.fx);
        let info = LearnerInfo {
            sid,
            protocol_version: learner_info::PROTOCOL_VERSION,
            config_version: 0,
        };
        let hello = QuorumPacket::with_data(kind, Zxid::new(3, 0), &info.to_bytes()).to_bytes();
        self.peer.on_quorum_bytes(NOW, conn, &hello, &mut self.fx);
        self.settle();
        self.sent.clear();
        let data = current.to_be_bytes();
        let ack = QuorumPacket::with_data(PacketType::AckEpoch, last, &data).to_bytes();
        self.peer.on_quorum_bytes(NOW, conn, &ack, &mut self.fx);
        self.settle();
    }

    fn propose(&mut self) -> Zxid {
        let zxid = self.peer.next_zxid().expect("it leads");
        self.peer.propose(NOW, record(zxid), &mut self.fx).expect("it leads");
        self.settle();
        zxid
    }

    /// Proposes these members.
    fn reconfigure(&mut self, text: &str) -> Zxid {
        let zxid = self.peer.next_zxid().expect("it leads");
        let text = format!("{text}\nversion={:x}", zxid.0);
        let txn = Txn::SetData {
            path: "/zookeeper/config".into(),
            data: Some(text.as_bytes()),
            version: -1,
            is_reconfig: true,
        };
        self.propose_txn(zxid, OpCode::Reconfig, txn)
    }

    fn propose_data(&mut self, data: &[u8]) -> Zxid {
        let zxid = self.peer.next_zxid().expect("it leads");
        let (path, data) = ("/data".into(), Some(data));
        let txn = Txn::SetData { path, data, version: 1, is_reconfig: false };
        self.propose_txn(zxid, OpCode::SetData, txn)
    }

    fn propose_txn(&mut self, zxid: Zxid, op: OpCode, txn: Txn<'_>) -> Zxid {
        let op = op.as_i32();
        let header = TxnHeader { session: SessionId(1), cxid: 1, zxid, time_ms: 2, op };
        let mut bytes = Vec::new();
        rookeeper_proto::txn::Record { header, txn, digest: None }.write(&mut bytes);
        let record = TxnRecord { zxid, bytes: Bytes::from(bytes) };
        self.peer.propose(NOW, record, &mut self.fx).expect("it leads");
        self.settle();
        zxid
    }

    fn acknowledge(&mut self, conn: Conn, zxid: Zxid) {
        let ack = QuorumPacket::bare(PacketType::Ack, zxid).to_bytes();
        self.peer.on_quorum_bytes(NOW, conn, &ack, &mut self.fx);
        self.settle();
    }
}

#[test]
fn by_the_end_of_the_learners_log() {
    use PacketType::{Diff, Snap, Trunc};
    let z = Zxid::new;
    for (last, wanted) in [
        (z(3, 1), (Diff, z(3, 1))),
        (z(1, 3), (Diff, z(3, 1))),
        (z(1, 2), (Diff, z(3, 1))),
        (z(1, 9), (Trunc, z(1, 4))),
        (z(3, 7), (Trunc, z(3, 1))),
        (z(3, 0), (Diff, z(3, 1))),
        // Epoch 2 left nothing here: a label not before what the learner holds.
        (z(2, 5), (Snap, z(3, 1))),
        (z(2, 0), (Snap, z(3, 1))),
        (z(1, 1), (Snap, z(3, 1))),
        (Zxid::ZERO, (Snap, z(3, 1))),
        (Zxid::UNKNOWN, (Snap, z(3, 1))),
    ] {
        let mut lead = Lead::new();
        lead.learn(Conn(5), PacketType::FollowerInfo, last, 2);
        assert_eq!(lead.sent.first(), Some(&wanted), "{last}");
    }
}

/// A leader that took a snapshot when its epoch began, and was started again before anything was written: its
/// log cannot show that nothing is between its last record and the snapshot. (It promised a DIFF and closed
/// the connection for ever; found by the simulator, seed 12623.)
#[test]
fn where_memory_begins_with_an_epoch_a_snapshot_is_sent() {
    let (members, begin) = ("server.1=a:1:2:participant", Zxid::new(3, 0));
    let mut lead = Lead::holding(members, Settings::new(Sid(1)), begin, &[]);
    lead.learn(Conn(5), PacketType::FollowerInfo, Zxid::new(1, 4), 1);
    assert_eq!(lead.sent.first(), Some(&(PacketType::Snap, begin)));
    assert!(!lead.is_closed);
}

#[test]
fn what_follows_a_diff_ends_with_the_leader() {
    use PacketType::{Commit, Diff, NewLeader, Proposal};
    let z = Zxid::new;
    let mut lead = Lead::new();
    lead.learn(Conn(5), PacketType::FollowerInfo, z(1, 4), 1);
    let wanted = [(Diff, z(3, 1)), (Proposal, z(3, 1)), (Commit, z(3, 1)), (NewLeader, z(4, 0))];
    assert_eq!(lead.sent, wanted);
}

#[test]
fn outstanding_proposals_go_to_followers_only_and_never_with_a_commit() {
    use PacketType::{Diff, FollowerInfo, NewLeader, ObserverInfo, Proposal, Trunc};
    let z = Zxid::new;
    let mut lead = Lead::new();
    lead.is_disk_working = false;
    assert_eq!(lead.propose(), z(4, 1));
    lead.learn(Conn(5), FollowerInfo, z(3, 1), 3);
    assert_eq!(lead.sent, [(Diff, z(3, 1)), (Proposal, z(4, 1)), (NewLeader, z(4, 0))]);
    lead.learn(Conn(6), ObserverInfo, z(3, 1), 3);
    assert_eq!(lead.sent, [(Diff, z(3, 1)), (NewLeader, z(4, 0))]);
    // It had logged the outstanding proposal before: cut, and told again.
    lead.learn(Conn(7), FollowerInfo, z(4, 1), -1);
    assert_eq!(lead.sent, [(Trunc, z(3, 1)), (Proposal, z(4, 1)), (NewLeader, z(4, 0))]);
}

/// Server 2 is a member in force here, though the leader's quorum does not need it.
#[test]
fn who_is_ahead_or_from_the_future_is_turned_away() {
    let (ahead, later, future) =
        ((Zxid::new(3, 2), 3), (Zxid::new(1, 1), 4), (Zxid::new(4, 9), -1));
    for (last, current) in [ahead, later, future] {
        let mut lead = Lead::among(TWO_MEMBERS, Settings::new(Sid(1)));
        lead.learn(Conn(5), PacketType::FollowerInfo, last, current);
        assert!(lead.is_closed, "{last} in epoch {current}");
    }
    let mut lead = Lead::new();
    lead.learn(Conn(5), PacketType::FollowerInfo, future.0, future.1);
    assert!(lead.is_closed, "nobody can be in an epoch to come");
}

/// Otherwise, under load, the newest records would be gone from memory whenever the learner is so far, and
/// reading them from the disk takes long enough for the next ones to be gone.
#[test]
fn the_newest_records_stay_in_memory_while_somebody_is_brought_up_to_them() {
    let mut lead = Lead::new();
    lead.learn(Conn(5), PacketType::FollowerInfo, Zxid::UNKNOWN, 0);
    assert_eq!(lead.sent, [(PacketType::Snap, Zxid::new(3, 1))]);
    let proposals = 3 * rookeeper_zab::limits::HISTORY_RECORDS;
    let last = (0..proposals).map(|_| lead.propose()).last();
    assert_eq!(Some(lead.peer.committed_zxid()), last);
    lead.sent.clear();
    lead.peer.on_snapshot_sent(NOW, Conn(5), &mut lead.fx);
    lead.settle();
    assert!(!lead.is_closed);
    let sent = |kind| lead.sent.iter().filter(|(sent, _)| *sent == kind).count();
    assert_eq!((sent(PacketType::Proposal), sent(PacketType::NewLeader)), (proposals, 1));

    // From then on memory holds as many as ever.
    lead.propose();
    lead.learn(Conn(6), PacketType::FollowerInfo, Zxid::new(4, 1), 4);
    assert_eq!(lead.sent.first().map(|(kind, _)| *kind), Some(PacketType::Snap));
}

/// After NEWLEADER a learner has `initLimit` to answer: all that it missed may not be in front of it.
#[test]
fn what_memory_holds_leaves_in_slices() {
    let mut lead = Lead::new();
    lead.learn(Conn(5), PacketType::FollowerInfo, Zxid::UNKNOWN, 0);
    let data = [0; 1 << 16];
    let proposals = 5 * rookeeper_zab::limits::HISTORY_READ_BYTES / data.len();
    for _ in 0..proposals {
        lead.propose_data(&data);
    }
    lead.sent.clear();
    lead.peer.on_snapshot_sent(NOW, Conn(5), &mut lead.fx);
    lead.settle();
    let sent = |lead: &Lead, kind| lead.sent.iter().filter(|(sent, _)| *sent == kind).count();
    for slice in 1..=5 {
        let proposed = sent(&lead, PacketType::Proposal);
        assert!(proposed <= slice * proposals / 5, "{proposed} in {slice} slices");
        assert_eq!(
            (proposed, 0),
            (sent(&lead, PacketType::Commit), sent(&lead, PacketType::NewLeader))
        );
        lead.peer.on_quorum_drained(NOW, Conn(5), &mut lead.fx);
        lead.settle();
    }
    assert_eq!(sent(&lead, PacketType::Proposal), proposals);
    assert_eq!(sent(&lead, PacketType::NewLeader), 1);
    // Each once, in order.
    let kind_of =
        |kind| lead.sent.iter().filter(move |(sent, _)| *sent == kind).map(|(_, z)| z.counter());
    assert!(kind_of(PacketType::Proposal).eq(1..=proposals as u32));
    assert!(kind_of(PacketType::Commit).eq(1..=proposals as u32));
}

/// What only a server without a vote holds, or with one that weighs nothing, was never committed. (A server of
/// weight 0 whose vote a reconfig under way needed kept its ensemble from a leader: simulator, seed 50802.)
#[test]
fn whose_vote_does_not_count_may_be_ahead() {
    let weightless = TWO_MEMBERS.replace("weight.2=1", "weight.2=0");
    for members in ["server.1=a:1:2:participant", &weightless] {
        let mut lead = Lead::among(members, Settings::new(Sid(1)));
        lead.learn(Conn(5), PacketType::FollowerInfo, Zxid::new(3, 2), 3);
        assert!(!lead.is_closed);
        assert_eq!(lead.sent[0], (PacketType::Trunc, Zxid::new(3, 1)));
    }
}

#[test]
fn early_acknowledgements_and_doubles_of_3_9_0_are_taken() {
    let mut lead = Lead::new();
    lead.learn(Conn(5), PacketType::FollowerInfo, Zxid::new(1, 4), 1);
    for zxid in [Zxid::new(3, 1), Zxid::new(4, 0), Zxid::new(4, 0), Zxid::new(3, 1)] {
        let ack = QuorumPacket::bare(PacketType::Ack, zxid).to_bytes();
        lead.peer.on_quorum_bytes(NOW, Conn(5), &ack, &mut lead.fx);
        lead.settle();
    }
    assert!(!lead.is_closed);
    assert_eq!(lead.sent.last(), Some(&(PacketType::UpToDate, Zxid(-1))));
}

/// A follower acknowledges a proposal, comes back on another connection, and is told to cut it off: until
/// it has logged it again its old acknowledgement makes no quorum. (Java counts it; found by the
/// simulator's `membership` checker, seed 352.)
#[test]
fn what_is_cut_off_counts_as_acknowledged_no_more() {
    let settings = Settings { is_reconfig_enabled: true, ..Settings::new(Sid(1)) };
    let mut lead = Lead::with(settings);
    let (before, epoch) = (Zxid::new(3, 1), Zxid::new(4, 0));
    lead.learn(Conn(7), PacketType::FollowerInfo, before, 3);
    lead.acknowledge(Conn(7), epoch);
    lead.is_disk_working = false;
    let three =
        "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:participant";
    let proposed = lead.reconfigure(three);
    lead.acknowledge(Conn(7), proposed);

    lead.learn(Conn(8), PacketType::FollowerInfo, proposed, -1);
    assert_eq!(lead.sent[0], (PacketType::Trunc, before));
    lead.peer.on_durable(NOW, proposed, &mut lead.fx);
    lead.settle();
    assert_eq!(lead.peer.committed_zxid(), before, "only the leader's own log holds it");
    lead.acknowledge(Conn(8), epoch);
    lead.acknowledge(Conn(8), proposed);
    assert_eq!(lead.peer.committed_zxid(), proposed);
}

/// Nothing is proposed behind a reconfig until it is in force: those who acknowledge what comes then know of
/// it. (Java does, and lets it wait for members who vote no more: found by the simulator, seed 109.)
#[test]
fn nothing_is_proposed_while_a_reconfig_is_under_way() {
    let settings = Settings { is_reconfig_enabled: true, ..Settings::new(Sid(1)) };
    let mut lead = Lead::with(settings);
    lead.learn(Conn(7), PacketType::FollowerInfo, Zxid::new(3, 1), 3);
    lead.acknowledge(Conn(7), Zxid::new(4, 0));
    let added = lead.reconfigure("server.1=a:1:2:participant\nserver.2=b:1:2:participant");
    assert_eq!(lead.peer.next_zxid(), Err(ProposeError::Full));
    lead.acknowledge(Conn(7), added);
    assert_eq!(lead.peer.committed_zxid(), added);
    let removed = lead.reconfigure("server.1=a:1:2:participant");
    assert_eq!(lead.peer.next_zxid(), Err(ProposeError::Full));
    lead.acknowledge(Conn(7), removed);
    let alone = lead.propose();
    assert_eq!(lead.peer.committed_zxid(), alone);
}

/// A follower that has not begun to serve holds what is proposed, and is told of commits later. It would
/// acknowledge what follows a reconfig before it has heard that the reconfig is in force.
#[test]
fn who_is_being_synchronised_when_members_change_comes_back() {
    let settings = Settings { is_reconfig_enabled: true, ..Settings::new(Sid(1)) };
    let mut lead = Lead::with(settings);
    lead.learn(Conn(7), PacketType::FollowerInfo, Zxid::new(3, 1), 3);
    lead.acknowledge(Conn(7), Zxid::new(4, 0));
    lead.learn_as(Sid(3), Conn(8), PacketType::FollowerInfo, Zxid::new(3, 1), 3);
    assert!(!lead.is_closed);
    let added = lead.reconfigure("server.1=a:1:2:participant\nserver.2=b:1:2:participant");
    lead.acknowledge(Conn(7), added);
    assert!(lead.is_closed);
}

/// Java: LearnerSyncThrottler. Followers are counted and never refused.
#[test]
fn only_so_many_observers_are_brought_up_to_date_at_a_time() {
    use PacketType::{FollowerInfo, ObserverInfo};
    for (last, settings) in [
        (Zxid::UNKNOWN, Settings { snap_syncs_max: 2, ..Settings::new(Sid(1)) }),
        (Zxid::new(3, 1), Settings { diff_syncs_max: 2, ..Settings::new(Sid(1)) }),
    ] {
        let mut lead = Lead::with(settings);
        let kinds = [(ObserverInfo, 5), (FollowerInfo, 6), (FollowerInfo, 7)];
        for (kind, sid) in kinds {
            lead.learn_as(Sid(sid), Conn(sid as u64), kind, last, 3);
            assert!(!lead.is_closed, "{sid}");
        }
        lead.learn_as(Sid(8), Conn(8), ObserverInfo, last, 3);
        assert!(std::mem::take(&mut lead.is_closed) && lead.sent.is_empty(), "{last}");
        // The other way there is room.
        let other = if last == Zxid::UNKNOWN { Zxid::new(3, 1) } else { Zxid::UNKNOWN };
        lead.learn_as(Sid(9), Conn(9), ObserverInfo, other, 3);
        assert!(!lead.is_closed, "{last}");
        for conn in [6, 7] {
            if last == Zxid::UNKNOWN {
                lead.peer.on_snapshot_sent(NOW, Conn(conn), &mut lead.fx);
                lead.settle();
            }
            lead.acknowledge(Conn(conn), Zxid::new(4, 0));
        }
        lead.learn_as(Sid(8), Conn(10), ObserverInfo, last, 3);
        assert!(!lead.is_closed, "{last}");
    }
}
