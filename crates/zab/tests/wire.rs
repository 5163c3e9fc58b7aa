//! One server, byte by byte: what it says to a Java peer, in the order that was observed on the wire.

mod support;

use rookeeper_proto::quorum::{PacketType, QuorumPacket};
use rookeeper_proto::{SessionId, Zxid};
use rookeeper_zab::{Effect, Instant};
use support::bench::{Bench, LEADER, record, unhex};

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
