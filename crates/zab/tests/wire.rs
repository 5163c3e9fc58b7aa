//! One server, byte by byte: what it says to a Java peer, in the order that was observed on the wire.

use std::sync::Arc;

use bytes::Bytes;
use rookeeper_proto::quorum::{PacketType, QuorumPacket, TryRead};
use rookeeper_proto::txn::TxnHeader;
use rookeeper_proto::{SessionId, Sid, Zxid};
use rookeeper_zab::{
    Conn, Effect, Effects, EnsembleConfig, Instant, Peer, Settings, Start, TxnRecord,
};

const LEADER: Conn = Conn(7);

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.bytes().filter_map(|b| (b as char).to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn record(zxid: Zxid) -> TxnRecord {
    let mut bytes = Vec::new();
    TxnHeader { session: SessionId(zxid.0), cxid: 1, zxid, time_ms: 2, op: -1 }.write(&mut bytes);
    bytes.extend([0, 0, 0, 9]);
    TxnRecord { zxid, bytes: Bytes::from(bytes) }
}

/// Server 3 of three, with acceptedEpoch and currentEpoch 1 and the txn (1,1) in its log, and every
/// write done as soon as it is asked for.
struct Bench {
    peer: Peer,
    fx: Effects,
    sent: Vec<u8>,
    others: Vec<Effect>,
}

impl Bench {
    fn new(is_observer: bool) -> Self {
        let role = if is_observer { "observer" } else { "participant" };
        let text = format!(
            "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:{role}\nversion=0"
        );
        let config = Arc::new(EnsembleConfig::parse(&text).expect("valid"));
        let start = Start {
            settings: Settings::new(Sid(3)),
            election_addresses: Vec::new(),
            committed: config.clone(),
            last_seen: config,
            accepted_epoch: 1,
            current_epoch: 1,
            last: Zxid::new(1, 1),
            recent: vec![record(Zxid::new(1, 1))],
            base: Zxid::ZERO,
        };
        let mut fx = Effects::new();
        let peer = Peer::start(Instant(0), start, &mut fx).expect("a sound directory");
        let mut bench = Self { peer, fx, sent: Vec::new(), others: Vec::new() };
        bench.settle();
        bench
    }

    /// Server 2 is elected; the connection to it stands.
    fn follow(&mut self) {
        for sid in [1, 2] {
            let conn = Conn(sid);
            self.peer.on_election_connected(Instant(1), Sid(sid as i64), conn, &mut self.fx);
            let state = if sid == 2 { 2 } else { 1 };
            let vote = format!(
                "00000035 0000000{state} 0000000000000002 0000000100000005 0000000000000009 \
                 0000000000000001 00000002 00000009 76657273696f6e3d30"
            );
            self.peer.on_election_bytes(Instant(2), conn, &unhex(&vote), &mut self.fx);
        }
        self.settle();
        assert!(self.others.iter().any(|e| matches!(e, Effect::ConnectLeader { sid: Sid(2), .. })));
        self.peer.on_leader_connected(Instant(3), LEADER, &mut self.fx);
        self.settle();
    }

    fn settle(&mut self) {
        let now = Instant(9);
        loop {
            let list: Vec<Effect> = self.fx.drain().collect();
            if list.is_empty() {
                return;
            }
            for effect in list {
                let (peer, fx) = (&mut self.peer, &mut self.fx);
                match &effect {
                    Effect::SendQuorum { bytes, .. } => self.sent.extend_from_slice(bytes),
                    Effect::WriteAcceptedEpoch { epoch } => {
                        peer.on_accepted_epoch_written(now, *epoch, fx);
                    }
                    Effect::WriteCurrentEpoch { epoch } => {
                        peer.on_current_epoch_written(now, *epoch, fx);
                    }
                    Effect::Append { record } => peer.on_durable(now, record.zxid, fx),
                    Effect::TruncateLog { .. } => peer.on_truncated(now, true, fx),
                    Effect::InstallSnapshot { .. } => peer.on_snapshot_installed(now, fx),
                    _ => {}
                }
                self.others.push(effect);
            }
        }
    }

    fn receive(&mut self, packet: &QuorumPacket<'_>) {
        self.peer.on_quorum_bytes(Instant(5), LEADER, &packet.to_bytes(), &mut self.fx);
        self.settle();
    }

    fn propose(&mut self, zxid: Zxid) {
        let record = record(zxid);
        self.receive(&QuorumPacket::with_data(PacketType::Proposal, zxid, &record.bytes));
    }

    fn bare(&mut self, kind: PacketType, zxid: Zxid) {
        self.receive(&QuorumPacket::bare(kind, zxid));
    }

    fn discover(&mut self) {
        self.sent.clear();
        self.receive(&QuorumPacket::with_data(
            PacketType::LeaderInfo,
            Zxid::new(2, 0),
            &[0, 1, 0, 0],
        ));
    }

    fn acks(&self) -> Vec<Zxid> {
        let mut out = Vec::new();
        let mut at = 0;
        while let Ok(TryRead::Done(packet, used)) = QuorumPacket::try_read(&self.sent[at..], 99) {
            at += used;
            if packet.packet_type() == Some(PacketType::Ack) {
                out.push(packet.zxid);
            }
        }
        out
    }

    fn committed(&self) -> Vec<Zxid> {
        let zxid = |e: &Effect| match e {
            Effect::CommitUpTo { zxid } => Some(*zxid),
            _ => None,
        };
        self.others.iter().filter_map(zxid).collect()
    }
}

#[test]
fn the_first_packets_are_apaches() {
    let mut bench = Bench::new(false);
    bench.follow();
    let info =
        "0000000b 0000000100000000 00000014 0000000000000003 00010000 0000000000000000 ffffffff";
    assert_eq!(bench.sent, unhex(info));
    bench.discover();
    // The last zxid, and currentEpoch as it was.
    assert_eq!(bench.sent, unhex("00000012 0000000100000001 00000004 00000001 ffffffff"));
}

#[test]
fn an_epoch_accepted_before_is_not_counted_twice() {
    let mut bench = Bench::new(false);
    bench.follow();
    bench.sent.clear();
    bench.receive(&QuorumPacket::with_data(PacketType::LeaderInfo, Zxid::new(1, 0), &[0, 1, 0, 0]));
    assert_eq!(bench.sent, unhex("00000012 0000000100000001 00000004 ffffffff ffffffff"));
}

#[test]
fn an_older_epoch_is_refused() {
    let mut bench = Bench::new(false);
    bench.follow();
    bench.receive(&QuorumPacket::with_data(PacketType::LeaderInfo, Zxid::new(0, 0), &[0, 1, 0, 0]));
    assert!(bench.others.contains(&Effect::CloseQuorum { conn: LEADER }));
}

/// `quorum-protocol.md` 3.7: the order of 3.9.5 for this very conversation.
#[test]
fn acknowledgements_come_in_apaches_order() {
    let mut bench = Bench::new(false);
    bench.follow();
    bench.discover();
    let e2 = |counter| Zxid::new(2, counter);
    bench.bare(PacketType::Diff, Zxid::new(2, 3));
    bench.propose(e2(1));
    bench.bare(PacketType::Commit, e2(1));
    bench.propose(e2(2));
    assert_eq!(bench.acks(), []);
    bench.bare(PacketType::NewLeader, e2(0));
    assert_eq!(bench.acks(), [e2(0)]);
    bench.propose(e2(3));
    bench.bare(PacketType::Commit, e2(2));
    bench.bare(PacketType::Ping, e2(3));
    assert_eq!(bench.acks(), [e2(0)], "nothing but the ACK before UPTODATE");
    bench.bare(PacketType::UpToDate, Zxid(-1));
    assert_eq!(bench.acks(), [e2(0), e2(0), e2(2), e2(3)]);
    assert_eq!(bench.committed(), [e2(2)]);
    bench.bare(PacketType::Commit, e2(3));
    assert_eq!(bench.committed(), [e2(2), e2(3)]);
    bench.sent.clear();
    bench.peer.touch(SessionId(0x11), 4000);
    bench.bare(PacketType::Ping, e2(3));
    let pong = "00000005 0000000200000003 0000000c 0000000000000011 00000fa0 ffffffff";
    assert_eq!(bench.sent, unhex(pong));
    bench.sent.clear();
    bench.bare(PacketType::Ping, e2(3));
    assert_eq!(bench.sent, unhex("00000005 0000000200000003 00000000 ffffffff"));
}

#[test]
fn current_epoch_is_written_between_the_epochs() {
    let mut bench = Bench::new(false);
    bench.follow();
    bench.discover();
    bench.others.clear();
    bench.bare(PacketType::Diff, Zxid::new(2, 1));
    for zxid in [Zxid::new(1, 2), Zxid::new(2, 1)] {
        bench.propose(zxid);
        bench.bare(PacketType::Commit, zxid);
    }
    let is_storage =
        |e: &&Effect| matches!(e, Effect::Append { .. } | Effect::WriteCurrentEpoch { .. });
    let storage: Vec<_> = bench.others.iter().filter(is_storage).cloned().collect();
    assert_eq!(
        storage,
        [
            Effect::Append { record: record(Zxid::new(1, 2)) },
            Effect::WriteCurrentEpoch { epoch: 2 },
            Effect::Append { record: record(Zxid::new(2, 1)) },
        ]
    );
}

#[test]
fn holes_and_doubles_are_refused() {
    for (zxids, is_left) in [
        (vec![Zxid::new(1, 3)], true),
        (vec![Zxid::new(2, 2)], true),
        (vec![Zxid::new(3, 1)], true),
        (vec![Zxid::new(1, 2), Zxid::new(1, 2)], false),
        (vec![Zxid::new(1, 2), Zxid::new(2, 1)], false),
    ] {
        let mut bench = Bench::new(false);
        bench.follow();
        bench.discover();
        bench.bare(PacketType::Diff, Zxid::new(2, 1));
        zxids.iter().for_each(|zxid| bench.propose(*zxid));
        let left = bench.others.contains(&Effect::CloseQuorum { conn: LEADER });
        assert_eq!(left, is_left, "{zxids:?}");
    }
}

#[test]
fn one_zxid_with_two_contents_puts_the_server_in_doubt() {
    let mut bench = Bench::new(false);
    bench.follow();
    bench.discover();
    bench.bare(PacketType::Diff, Zxid::new(1, 1));
    bench.bare(PacketType::NewLeader, Zxid::new(2, 0));
    bench.bare(PacketType::UpToDate, Zxid(-1));
    bench.propose(Zxid::new(2, 1));
    let mut other = record(Zxid::new(2, 1)).bytes.to_vec();
    other[3] ^= 1;
    bench.receive(&QuorumPacket::with_data(PacketType::Proposal, Zxid::new(2, 1), &other));
    assert!(bench.others.iter().any(|e| matches!(e, Effect::Quarantine { .. })));
    assert_eq!(bench.acks().iter().filter(|z| **z == Zxid::new(2, 1)).count(), 1);
}

#[test]
fn a_snapshot_with_overlapping_proposals() {
    let mut bench = Bench::new(false);
    bench.follow();
    bench.discover();
    bench.others.clear();
    bench.bare(PacketType::Snap, Zxid::new(1, 9));
    bench.peer.on_quorum_bytes(Instant(5), LEADER, b"body", &mut bench.fx);
    let signature = b"\0\0\0\x0aBenWasHere";
    bench.peer.on_snapshot_received(Instant(6), signature, &mut bench.fx);
    for counter in 8..=10 {
        bench.propose(Zxid::new(1, counter));
        bench.bare(PacketType::Commit, Zxid::new(1, counter));
    }
    assert_eq!(bench.acks(), []);
    bench.bare(PacketType::NewLeader, Zxid::new(2, 0));
    let install = Effect::InstallSnapshot {
        through: Zxid::new(1, 10),
        records: vec![record(Zxid::new(1, 10))],
        current_epoch: 2,
    };
    assert!(bench.others.contains(&install), "{:?}", bench.others);
    assert_eq!(bench.acks(), [Zxid::new(2, 0)]);
}

#[test]
fn an_observer_takes_pairs_while_synchronising_and_informs_afterwards() {
    let mut bench = Bench::new(true);
    bench.follow();
    assert_eq!(bench.sent[3], PacketType::ObserverInfo as u8);
    bench.discover();
    bench.bare(PacketType::Diff, Zxid::new(1, 2));
    bench.propose(Zxid::new(1, 2));
    bench.bare(PacketType::Commit, Zxid::new(1, 2));
    let inform = record(Zxid::new(2, 1));
    bench.receive(&QuorumPacket::with_data(PacketType::Inform, inform.zxid, &inform.bytes));
    bench.bare(PacketType::NewLeader, Zxid::new(2, 0));
    bench.bare(PacketType::UpToDate, Zxid(-1));
    let inform = record(Zxid::new(2, 2));
    bench.receive(&QuorumPacket::with_data(PacketType::Inform, inform.zxid, &inform.bytes));
    assert_eq!(bench.committed(), [Zxid::new(2, 1), Zxid::new(2, 2)]);
    assert_eq!(bench.acks(), [Zxid::new(2, 0), Zxid::new(2, 0)]);
}
