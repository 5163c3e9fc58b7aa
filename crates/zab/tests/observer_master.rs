//! A follower that serves observers, and an observer that looks for one: what goes to whom.

mod support;

use PacketType::*;
use bytes::Bytes;
use rookeeper_proto::quorum::{
    ForwardedBody, LearnerInfo, PacketType, QuorumPacket, ServerState, learner_info,
};
use rookeeper_proto::{SessionId, Sid, Zxid};
use rookeeper_zab::{Conn, Effect, HistoryAnswer, Instant, Settings};
use support::bench::{Bench, LEADER, record};

const PORT: u16 = 2191;
const FIRST: Conn = Conn(50);
const SECOND: Conn = Conn(51);

fn settings() -> Settings {
    Settings { observer_master_port: PORT, ..Settings::new(Sid(3)) }
}

/// Epoch 2.
fn e2(counter: u32) -> Zxid {
    Zxid::new(2, counter)
}

/// A follower in epoch 2 with the txns (1,1) and (2,1), both committed.
fn master() -> Bench {
    let mut bench = Bench::with(false, settings());
    bench.follow();
    bench.discover();
    assert!(!bench.peer.is_observer_master(), "not before it serves");
    bench.bare(Diff, e2(1));
    bench.propose(e2(1));
    bench.bare(Commit, e2(1));
    bench.bare(NewLeader, e2(0));
    bench.bare(UpToDate, Zxid(-1));
    assert!(bench.peer.is_observer_master());
    bench.sent.clear();
    bench
}

impl Bench {
    /// An observer says who it is and where its log ends.
    fn meet(&mut self, conn: Conn, sid: i64, last: Zxid) {
        self.peer.on_learner_accepted(Instant(5), conn, &mut self.fx);
        let info = LearnerInfo {
            sid: Sid(sid),
            protocol_version: learner_info::PROTOCOL_VERSION,
            config_version: 0,
        };
        self.hear(conn, &QuorumPacket::with_data(ObserverInfo, Zxid::new(1, 0), &info.to_bytes()));
        self.told.clear();
        self.hear(conn, &QuorumPacket::with_data(AckEpoch, last, &[0, 0, 0, 1]));
    }

    /// The same, until it serves.
    fn serve(&mut self, conn: Conn, sid: i64) {
        self.meet(conn, sid, self.peer.committed_zxid());
        self.hear(conn, &QuorumPacket::bare(Ack, e2(0)));
        assert_eq!(self.told.pop(), Some((conn, UpToDate, Zxid(-1))));
        self.told.clear();
    }

    fn hear(&mut self, conn: Conn, packet: &QuorumPacket<'_>) {
        self.peer.on_quorum_bytes(Instant(5), conn, &packet.to_bytes(), &mut self.fx);
        self.settle();
    }

    /// Every dial fails until it gives up; when that is.
    fn fail_to_connect(&mut self, mut now: Instant) -> Instant {
        while self.peer.state() == ServerState::Observing {
            self.peer.on_leader_connect_failed(now, &mut self.fx);
            self.settle();
            now = self.peer.next_deadline().expect("it goes on").max(now);
            self.peer.on_time(now, &mut self.fx);
            self.settle();
        }
        now
    }

    fn is_closed(&self, conn: Conn) -> bool {
        self.others.contains(&Effect::CloseQuorum { conn })
    }
}

#[test]
fn an_observer_is_brought_to_what_is_committed_and_then_informed() {
    let mut bench = master();
    // Not committed: nobody is told.
    bench.propose(e2(2));
    bench.meet(FIRST, 4, Zxid::new(1, 1));
    let wanted = [(Diff, e2(1)), (Proposal, e2(1)), (Commit, e2(1)), (NewLeader, e2(0))];
    assert_eq!(bench.told, wanted.map(|(kind, zxid)| (FIRST, kind, zxid)));
    bench.told.clear();
    // What is committed before it serves goes to it as well.
    bench.bare(Commit, e2(2));
    bench.hear(FIRST, &QuorumPacket::bare(Ack, e2(0)));
    bench.propose(e2(3));
    bench.bare(Commit, e2(3));
    bench.bare(Ping, e2(3));
    let wanted = [(Inform, e2(2)), (UpToDate, Zxid(-1)), (Inform, e2(3)), (Ping, e2(3))];
    assert_eq!(bench.told, wanted.map(|(kind, zxid)| (FIRST, kind, zxid)));
}

#[test]
fn by_the_end_of_the_observers_log() {
    let z = Zxid::new;
    for (last, wanted) in [
        (e2(1), Some((Diff, e2(1)))),
        (e2(0), Some((Diff, e2(1)))),
        (z(1, 0), Some((Diff, e2(1)))),
        (z(1, 7), Some((Trunc, z(1, 1)))),
        (Zxid::UNKNOWN, Some((Snap, e2(1)))),
        // Committed elsewhere, for all that is known here, or never: it has to come again.
        (e2(2), None),
        (z(3, 1), None),
    ] {
        let mut bench = master();
        bench.propose(e2(2));
        bench.meet(FIRST, 4, last);
        if let Some(Effect::TakeSnapshot { conn, through }) = bench.others.last() {
            let (conn, through) = (*conn, *through);
            bench.peer.on_snapshot_taken(Instant(6), conn, through, &mut bench.fx);
            bench.settle();
        }
        let first = bench.told.first().map(|(_, kind, zxid)| (*kind, *zxid));
        assert_eq!(first, wanted, "{last}");
        assert_eq!(bench.is_closed(FIRST), wanted.is_none(), "{last}");
    }
}

#[test]
fn what_memory_does_not_hold_is_read_up_to_what_is_committed() {
    let mut bench = Bench::with(false, Settings { history_records: 0, ..settings() });
    bench.follow();
    bench.discover();
    bench.bare(Diff, Zxid::new(1, 1));
    bench.bare(NewLeader, e2(0));
    bench.bare(UpToDate, Zxid(-1));
    for counter in 1..=2 {
        bench.propose(e2(counter));
        bench.bare(Commit, e2(counter));
    }
    bench.propose(e2(3));
    bench.meet(FIRST, 4, Zxid::new(1, 1));
    let read = Effect::ReadHistory { conn: FIRST, after: Zxid::new(1, 1), through: e2(2) };
    assert_eq!(bench.others.last(), Some(&read));
    let records = vec![record(e2(1)), record(e2(2))];
    let answer = HistoryAnswer::Records { prev: Zxid::new(1, 1), records };
    bench.peer.on_history(Instant(6), FIRST, answer, &mut bench.fx);
    bench.settle();
    let told: Vec<_> = bench.told.iter().map(|(_, kind, zxid)| (*kind, *zxid)).collect();
    let mut wanted = vec![(Diff, e2(2))];
    wanted.extend([1, 2].iter().flat_map(|&n| [(Proposal, e2(n)), (Commit, e2(n))]));
    wanted.push((NewLeader, e2(0)));
    assert_eq!(told, wanted);
}

#[test]
fn followers_and_liars_are_not_served() {
    let info = |sid, config_version| LearnerInfo {
        sid: Sid(sid),
        protocol_version: learner_info::PROTOCOL_VERSION,
        config_version,
    };
    for (kind, accepted, info) in [
        (FollowerInfo, 1, info(1, 0)),
        (ObserverInfo, 3, info(4, 0)),
        (ObserverInfo, 1, info(3, 0)),
        (ObserverInfo, 1, info(4, 9)),
    ] {
        let mut bench = master();
        bench.peer.on_learner_accepted(Instant(5), FIRST, &mut bench.fx);
        let zxid = Zxid::new(accepted, 0);
        bench.hear(FIRST, &QuorumPacket::with_data(kind, zxid, &info.to_bytes()));
        assert!(bench.is_closed(FIRST) && bench.told.is_empty(), "{kind:?} {accepted} {info:?}");
        assert!(!bench.is_closed(LEADER), "its leader is nobody's fault");
    }
}

#[test]
fn answers_go_to_who_asked() {
    let mut bench = master();
    bench.serve(FIRST, 4);
    bench.serve(SECOND, 5);
    let sync = |session| ForwardedBody { session: SessionId(session), cxid: 1, op: 9, body: b"" };
    let fx = &mut bench.fx;
    bench.peer.relay_request(FIRST, &sync(1), &[], fx).expect("it serves");
    bench.peer.forward_request(&sync(2), &[], fx).expect("it serves");
    bench.peer.relay_request(SECOND, &sync(3), &[], fx).expect("it serves");
    bench.peer.relay_revalidate(SECOND, SessionId(8), 4000, fx).expect("it serves");
    bench.peer.revalidate(SessionId(7), 4000, fx).expect("it serves");
    bench.settle();
    bench.others.clear();
    for _ in 0..3 {
        bench.bare(Sync, Zxid::ZERO);
    }
    let answer = |session: i64| {
        let data: Vec<u8> = session.to_be_bytes().into_iter().chain([1]).collect();
        Bytes::from(data)
    };
    for session in [8, 7] {
        bench.receive(&QuorumPacket::with_data(Revalidate, Zxid(-1), &answer(session)));
    }
    let wanted =
        [(FIRST, Sync, Zxid::ZERO), (SECOND, Sync, Zxid::ZERO), (SECOND, Revalidate, Zxid(-1))];
    assert_eq!(bench.told, wanted);
    let own: Vec<_> =
        bench.others.iter().filter(|e| !matches!(e, Effect::SendQuorum { .. })).collect();
    let valid = Effect::RevalidateAnswer { session: SessionId(7), is_valid: true };
    assert_eq!(own, [&Effect::SyncAnswer, &valid]);
}

#[test]
fn what_observers_ask_for_is_handed_out() {
    let mut bench = master();
    bench.serve(FIRST, 4);
    bench.others.clear();
    let body = ForwardedBody { session: SessionId(9), cxid: 3, op: 5, body: b"set" };
    bench.hear(FIRST, &QuorumPacket::with_data(Request, Zxid(-1), &body.to_bytes()));
    let touched: Vec<u8> = 9i64.to_be_bytes().into_iter().chain(4000i32.to_be_bytes()).collect();
    bench.hear(FIRST, &QuorumPacket::with_data(Ping, Zxid(-1), &touched));
    bench.hear(FIRST, &QuorumPacket::with_data(Revalidate, Zxid(-1), &touched));
    let is_request = |e: &Effect| match e {
        Effect::ForwardedRequest(f) => {
            (f.conn, f.sid, f.session.0, f.cxid) == (FIRST, Sid(4), 9, 3)
        }
        _ => false,
    };
    assert!(is_request(&bench.others[0]), "{:?}", bench.others);
    let session = SessionId(9);
    assert_eq!(
        bench.others[1..],
        [
            Effect::SessionsTouched { sessions: vec![(session, 4000)] },
            Effect::RevalidateRequest { conn: FIRST, session, timeout_ms: 4000 },
        ]
    );
    assert!(bench.sent.is_empty(), "the driver decides what goes to the leader");
}

#[test]
fn observers_are_let_go_with_the_leader() {
    let mut bench = master();
    bench.serve(FIRST, 4);
    bench.meet(SECOND, 5, Zxid::UNKNOWN);
    bench.peer.on_quorum_closed(Instant(7), LEADER, &mut bench.fx);
    bench.settle();
    assert!(bench.is_closed(FIRST) && bench.is_closed(SECOND));
    assert!(bench.others.contains(&Effect::CancelSnapshot { conn: SECOND }));
    assert!(!bench.peer.is_observer_master());
    let third = Conn(52);
    bench.peer.on_learner_accepted(Instant(8), third, &mut bench.fx);
    bench.settle();
    assert!(bench.is_closed(third));
}

#[test]
fn an_observer_that_stays_silent_is_closed_and_the_others_stay() {
    let mut bench = master();
    bench.serve(FIRST, 4);
    let sync_time = bench.peer.sync_time();
    bench.serve(SECOND, 5);
    let late = Instant(5) + sync_time;
    for conn in [LEADER, SECOND] {
        let ping = QuorumPacket::bare(Ping, e2(1)).to_bytes();
        bench.peer.on_quorum_bytes(late, conn, &ping, &mut bench.fx);
    }
    assert!(bench.peer.next_deadline().is_some_and(|at| at <= late));
    bench.peer.on_time(late, &mut bench.fx);
    bench.settle();
    assert!(bench.is_closed(FIRST) && !bench.is_closed(SECOND) && !bench.is_closed(LEADER));
}

#[test]
fn without_the_key_nobody_is_served() {
    let mut bench = Bench::new(false);
    bench.follow();
    bench.discover();
    bench.bare(Diff, Zxid::new(1, 1));
    bench.bare(NewLeader, e2(0));
    bench.bare(UpToDate, Zxid(-1));
    bench.peer.on_learner_accepted(Instant(5), FIRST, &mut bench.fx);
    bench.settle();
    assert!(bench.is_closed(FIRST));
}

/// An observer with the key goes to the followers in turn, never to the leader, each server in an order
/// of its own.
#[test]
fn an_observer_goes_from_master_to_master() {
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..16 {
        let text =
            "server.1=a:1:2\nserver.2=b:1:2\nserver.4=d:1:2\nserver.3=c:1:2:observer\nversion=0";
        let mut bench = Bench::among(text, Settings { seed, ..settings() });
        let mut tried = Vec::new();
        for _ in 0..4 {
            bench.others.clear();
            bench.elect();
            let dialled = bench.others.iter().find_map(|e| match e {
                Effect::ConnectLeader { sid, addresses } => Some((sid.0, addresses[0].port)),
                _ => None,
            });
            let (sid, port) = dialled.unwrap_or_else(|| panic!("{tried:?} {:?}", bench.others));
            assert_eq!(port, PORT);
            tried.push(sid);
            bench.fail_to_connect(Instant(10));
        }
        assert!(!tried.contains(&2), "the leader serves none there: {tried:?}");
        assert_eq!(tried[..2], tried[2..]);
        orders.insert(tried);
    }
    assert!(1 < orders.len(), "{orders:?}");
}

/// An observer that none of the followers has served for `initLimit` goes to the leader.
#[test]
fn an_observer_that_no_follower_serves_goes_to_the_leader() {
    let mut bench = Bench::with(true, settings());
    let mut now = Instant(10);
    let mut dialled = Vec::new();
    while dialled.last() != Some(&(2, 1)) {
        bench.elect_at(now);
        dialled.extend(bench.others.drain(..).filter_map(|e| match e {
            Effect::ConnectLeader { sid, addresses } => Some((sid.0, addresses[0].port)),
            _ => None,
        }));
        now = bench.fail_to_connect(now);
        assert!(now.0 < 120_000_000, "{dialled:?}");
    }
    assert_eq!(dialled[0], (1, PORT));
    assert!(settings().init_time().as_micros() < u128::from(now.0));
}

#[test]
fn an_observer_takes_its_time_if_it_is_told_to() {
    let second = std::time::Duration::from_secs(1);
    let mut waits = std::collections::BTreeSet::new();
    for seed in 1..9 {
        let settings = Settings {
            seed,
            observer_reconnect_delay: second,
            observer_election_delay: second,
            ..Settings::new(Sid(3))
        };
        let mut bench = Bench::with(true, settings);
        bench.elect();
        let is_dialled =
            |bench: &Bench| bench.others.iter().any(|e| matches!(e, Effect::ConnectLeader { .. }));
        assert!(!is_dialled(&bench));
        let at = bench.peer.next_deadline().expect("it goes on");
        assert!(at < Instant(9) + second);
        bench.peer.on_time(at, &mut bench.fx);
        bench.settle();
        assert!(is_dialled(&bench));
        bench.peer.on_leader_connected(at, LEADER, &mut bench.fx);
        bench.discover();
        bench.peer.on_quorum_closed(at, LEADER, &mut bench.fx);
        bench.settle();
        assert_eq!(bench.peer.vote().leader, Sid(2), "it does not look yet");
        let again = bench.peer.next_deadline().expect("it goes on");
        assert!(again < at + second);
        bench.peer.on_time(again, &mut bench.fx);
        bench.settle();
        assert_ne!(bench.peer.vote().leader, Sid(2), "it looks for whoever leads now");
        waits.insert((at, again));
    }
    assert!(4 < waits.len(), "{waits:?}");
}

/// A follower names its epoch, not its leader: the votes for the leader must tell the same one.
#[test]
fn an_observer_goes_only_to_followers_of_the_leader_it_has_elected() {
    for (epoch, is_left) in [(1, false), (2, true)] {
        let mut bench = Bench::with(true, settings());
        bench.elect();
        bench.peer.on_leader_connected(Instant(3), LEADER, &mut bench.fx);
        bench.settle();
        let version = learner_info::PROTOCOL_VERSION.to_be_bytes();
        let info = QuorumPacket::with_data(LeaderInfo, Zxid::new(epoch, 0), &version);
        bench.receive(&info);
        assert_eq!(bench.is_closed(LEADER), is_left, "epoch {epoch}");
        assert_eq!(bench.peer.store().accepted_epoch(), 1);
    }
}
