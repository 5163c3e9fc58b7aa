//! Garbage on both ports, in every phase: refused without harm, never a panic.

mod support;

use rookeeper_proto::quorum::{
    InitialMessage, LearnerInfo, Notification, PacketType, QuorumPacket, ServerState,
};
use rookeeper_proto::{Sid, Zxid};
use support::net::Parcel;
use support::rng::Rng;
use support::{Event, MS, Plan, World};

/// A connection from outside to a server, which sends `bytes`.
fn poke(world: &mut World, to: usize, is_election: bool, bytes: Vec<u8>) {
    let outside = world.nodes.len() - 1;
    let (_, theirs) = world.net.open(outside, to, is_election);
    world.input(to, |p, now, fx| match is_election {
        true => p.on_election_accepted(now, theirs, fx),
        false => p.on_learner_accepted(now, theirs, fx),
    });
    world.transmit(theirs, Parcel::Bytes(bytes));
}

fn garbage(rng: &mut Rng) -> Vec<u8> {
    let zxid = Zxid(rng.next() as i64 >> rng.below(64));
    let kind = rng.pick(PacketType::ALL).copied().unwrap_or(PacketType::Ack);
    let info =
        LearnerInfo { sid: Sid(rng.below(6) as i64), protocol_version: 0x10000, config_version: 0 };
    let mut out = match rng.below(5) {
        0 => (0..rng.below(200)).map(|_| rng.next() as u8).collect(),
        1 => QuorumPacket::bare(kind, zxid).to_bytes(),
        2 => {
            let data: Vec<u8> = (0..rng.below(60)).map(|_| rng.next() as u8).collect();
            QuorumPacket::with_data(kind, zxid, &data).to_bytes()
        }
        3 => QuorumPacket::with_data(
            PacketType::FollowerInfo,
            Zxid(rng.next() as i64 >> rng.below(64)),
            &info.to_bytes(),
        )
        .to_bytes(),
        _ => {
            let sid = Sid(rng.range(4, 9) as i64);
            let hello = InitialMessage { sid, addresses: vec![("x".to_owned(), 1)] };
            let n = Notification {
                state: ServerState::from_i32(rng.below(4) as i32).expect("four states"),
                leader: Sid(rng.below(9) as i64),
                zxid,
                round: rng.next() as i64 >> rng.below(64),
                epoch: rng.next() as i64 >> rng.below(64),
                version: 2,
                config: Some("server.1=\\u12".to_owned()),
            };
            [hello.to_bytes(false), n.to_frame()].concat()
        }
    };
    if rng.one_in(3) && !out.is_empty() {
        let at = rng.below(out.len() as u64) as usize;
        out[at] ^= 1 << rng.below(8);
    }
    out
}

#[test]
fn strangers_do_no_harm() {
    for seed in 0..8 {
        let mut world = World::new(Plan::new(seed, 3, 1));
        (0..3).for_each(|node| world.at(0, Event::Restart { node }));
        world.at(0, Event::Workload);
        let mut rng = Rng::new(seed);
        for step in 1..400 {
            let bytes = garbage(&mut rng);
            let (to, is_election) = (rng.below(3) as usize, rng.one_in(2));
            poke(&mut world, to, is_election, bytes);
            world.run_until(step * 10 * MS).expect("no violation");
        }
        world.run_until(10_000 * MS).expect("no violation");
        let serving = world.serving();
        let before = world.facts.truth.len();
        assert!(serving.len() == 1, "seed {seed}: {serving:?}");
        world.run_until(12_000 * MS).expect("no violation");
        assert!(before < world.facts.truth.len(), "seed {seed}: nothing is committed any more");
    }
}

/// Bytes of an established leader with one bit changed: the learner may leave, never break.
#[test]
fn a_leader_that_sends_garbage_is_left() {
    for seed in 0..12 {
        let mut world = World::new(Plan::new(seed, 3, 0));
        (0..3).for_each(|node| world.at(0, Event::Restart { node }));
        world.at(0, Event::Workload);
        let mut rng = Rng::new(seed);
        for step in 1..100 {
            let to = rng.below(3) as usize;
            let conns: Vec<_> = world.net.of(to);
            if let Some(conn) = rng.pick(&conns).copied() {
                let mut bytes = garbage(&mut rng);
                // Whole truths told by a liar are not what this test is about.
                bytes.truncate(rng.range(1, 12) as usize);
                world.transmit(conn, Parcel::Bytes(bytes));
            }
            world.run_until(step * 40 * MS).expect("no violation");
        }
        world.run_until(40_000 * MS).expect("no violation");
        let serving = world.serving();
        assert!(serving.values().any(|list| list.len() == 3), "seed {seed}: {serving:?}");
    }
}

/// More silent connections on every quorum port than a leader holds: they do not keep a learner out.
#[test]
fn silent_strangers_keep_no_learner_out() {
    let mut world = World::new(Plan::new(3, 3, 0));
    (0..3).for_each(|node| world.at(0, Event::Restart { node }));
    world.at(0, Event::Workload);
    world.run_until(10_000 * MS).expect("no violation");
    let follower = |world: &World| {
        let leader = world.serving().into_keys().next_back().expect("a leader").0;
        (0..3).find(|node| world.nodes[*node].sid.0 != leader).expect("two others")
    };
    let away = follower(&world);
    world.crash(away);
    // The leader notices, or its slot would be the one that comes free.
    world.run_until(world.now + 3_000 * MS).expect("no violation");
    for _ in 0..rookeeper_zab::limits::LEARNER_CONNECTIONS + 50 {
        (0..3).filter(|to| *to != away).for_each(|to| poke(&mut world, to, false, Vec::new()));
    }
    world.at(world.now, Event::Restart { node: away });
    // Before any of them has been silent for initLimit, two seconds here.
    world.run_until(world.now + 1_800 * MS).expect("no violation");
    let serving = world.serving();
    assert!(serving.values().any(|list| list.len() == 3), "{serving:?}");
}

#[test]
fn a_stranger_is_closed_in_time() {
    use rookeeper_zab::election::messenger::{Directory, Messenger};
    use rookeeper_zab::{Conn, Effect, Effects, EnsembleConfig, Instant};
    let config = EnsembleConfig::parse("server.1=a:1:2\nversion=0").expect("valid");
    let dir = Directory { committed: &config, last_seen: &config };
    let mut messenger = Messenger::new(Sid(1), Vec::new(), false);
    let patience = std::time::Duration::from_millis(700);
    messenger.set_patience(patience);
    let mut fx = Effects::new();
    messenger.on_accepted(Instant(5), Conn(9), &mut fx);
    let due = messenger.next_deadline().expect("it is not waited for without end");
    assert_eq!(due, Instant(5) + patience);
    messenger.on_time(Instant(due.0 - 1), dir, &mut fx);
    assert_eq!(fx.drain().count(), 0);
    messenger.on_time(due, dir, &mut fx);
    let effects: Vec<_> = fx.drain().collect();
    assert!(effects.contains(&Effect::CloseElection { conn: Conn(9) }), "{effects:?}");
}
