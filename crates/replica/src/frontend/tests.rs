//! Sessions that are not like others, frame by frame: local ones and those of a read-only server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use rookeeper_proto::acl::RequestAcls;
use rookeeper_proto::client::request::{Create, Request, RequestHeader};
use rookeeper_proto::client::{ConnectRequest, ReplyHeader};
use rookeeper_proto::password::password;
use rookeeper_proto::txn::TxnHeader;
use rookeeper_proto::{ErrorCode, JuteWrite, OpCode, Reader, SessionId, Xid, Zxid};
use rookeeper_tree::{DataTree, TreeOptions};

use super::Flow;
use crate::auth::{AuthConfig, AuthRegistry};
use crate::clock::Now;
use crate::config::{LocalSessions, ReplicaConfig};
use crate::outbox::{ConnId, Outbox};
use crate::prep::PrepConfig;
use crate::replica::{Forward, Parts, Replica, Role};
use crate::sessions::Owner;

const TIMEOUT_MS: i32 = 10_000;
const EPHEMERAL: i32 = 1;
const CONN: ConnId = ConnId { index: 0, generation: 1 };

#[derive(Default)]
struct Wire {
    out: BTreeMap<ConnId, Vec<u8>>,
    closed: BTreeSet<ConnId>,
}

impl Outbox for Wire {
    fn buffer(&mut self, conn: ConnId) -> Option<&mut Vec<u8>> {
        (!self.closed.contains(&conn)).then(|| self.out.entry(conn).or_default())
    }
    fn close_after_flush(&mut self, conn: ConnId) {
        self.closed.insert(conn);
    }
    fn close_now(&mut self, conn: ConnId) {
        self.closed.insert(conn);
    }
    fn pause(&mut self, _: ConnId) {}
    fn resume(&mut self, _: ConnId) {}
}

struct World {
    replica: Replica,
    wire: Wire,
    now: Now,
}

impl World {
    fn new(role: Role, local_sessions: LocalSessions) -> Self {
        let now = Now { mono_us: 1_000_000, wall_ms: 1_000 };
        let config = ReplicaConfig { local_sessions, ..ReplicaConfig::default() };
        let options = TreeOptions {
            extended_types: false,
            emulate_353_ttl: false,
            digest_enabled: false,
            hash_seed: 1,
        };
        let parts = Parts {
            tree: DataTree::new(options),
            auth: AuthRegistry::new(AuthConfig::default()).unwrap(),
            prep: PrepConfig { digest: false, ..PrepConfig::default() },
            role,
            seed: 1,
        };
        Self { replica: Replica::new(now, config, parts), wire: Wire::default(), now }
    }

    fn connect(&mut self, session: SessionId, read_only: Option<bool>) -> Flow {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        self.replica.on_accept(self.now, CONN, peer, false).unwrap();
        let secret = password(session);
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout_ms: TIMEOUT_MS,
            session,
            password: Some(&secret),
            read_only,
        };
        let mut frame = Vec::new();
        request.write(&mut frame);
        self.replica.on_frame(self.now, CONN, &frame, &mut self.wire)
    }

    /// A new session; its id.
    fn open(&mut self) -> SessionId {
        assert_eq!(self.connect(SessionId::NONE, Some(true)), Flow::Continue);
        assert_eq!(self.frames().len(), 1, "a ConnectResponse");
        self.replica.conns.at(CONN).unwrap().session
    }

    fn send(&mut self, xid: i32, op: OpCode, body: &[u8]) -> Flow {
        let mut frame = Vec::new();
        frame.put_i32(xid);
        frame.put_i32(op.as_i32());
        frame.extend_from_slice(body);
        assert_eq!(RequestHeader::read(&mut Reader::new(&frame)).unwrap().xid, Xid(xid));
        self.replica.on_frame(self.now, CONN, &frame, &mut self.wire)
    }

    fn create(&mut self, xid: i32, path: &str, flags: i32) {
        let acls = Some(RequestAcls::Open);
        let create = Create { path: Some(path.into()), data: None, acls, flags, ttl_ms: -1 };
        let mut body = Vec::new();
        Request::Create(create).write(&mut body);
        self.send(xid, OpCode::Create, &body);
    }

    /// Everything prepared is committed.
    fn commit(&mut self) {
        let last = self.replica.prep.last_zxid();
        self.replica.on_committed(self.now, last, &mut self.wire);
    }

    /// Payloads of the frames sent since the last call.
    fn frames(&mut self) -> Vec<Vec<u8>> {
        let bytes = self.wire.out.remove(&CONN).unwrap_or_default();
        let mut rest = &bytes[..];
        let mut frames = Vec::new();
        while let Some((prefix, behind)) = rest.split_first_chunk::<4>() {
            let (frame, behind) = behind.split_at(u32::from_be_bytes(*prefix) as usize);
            frames.push(frame.to_vec());
            rest = behind;
        }
        frames
    }

    /// Xid, zxid and error of each reply since the last call.
    fn replies(&mut self) -> Vec<(i32, i64, i32)> {
        let header = |frame: &Vec<u8>| {
            let header = ReplyHeader::read(&mut Reader::new(frame)).unwrap();
            (header.xid.0, header.zxid.0, header.err)
        };
        self.frames().iter().map(header).collect()
    }

    fn is_closed(&self) -> bool {
        self.wire.closed.contains(&CONN)
    }

    fn forwarded(&mut self) -> Vec<(OpCode, i32)> {
        let forwards = std::mem::take(&mut self.replica.forwards).into_iter();
        let requests = forwards.map(|forward| match forward {
            Forward::Request { op, cxid, .. } => (op, cxid),
            Forward::Revalidate { .. } => panic!("no session moves here"),
        });
        requests.collect()
    }
}

#[test]
fn a_local_session_is_no_txn_and_its_close_waits_for_its_writes() {
    let mut world = World::new(Role::Leading, LocalSessions::Lasting);
    let session = world.open();
    assert!(world.replica.sessions.is_local(session));
    assert_eq!(world.replica.prep.last_zxid(), Zxid::ZERO);
    world.create(1, "/a", 0);
    world.send(2, OpCode::CloseSession, &[]);
    world.send(3, OpCode::Ping, &[]);
    assert_eq!(world.replies(), [], "both wait");
    world.commit();
    assert_eq!(world.replies(), [(1, 1, 0), (2, 1, 0)]);
    assert!(world.is_closed() && world.replica.sessions.is_empty());
    assert_eq!(world.replica.prep.last_zxid(), Zxid(1));
}

#[test]
fn a_close_that_waits_is_not_forgotten_with_its_connection() {
    let mut world = World::new(Role::Leading, LocalSessions::Lasting);
    world.open();
    world.create(1, "/a", 0);
    world.send(2, OpCode::CloseSession, &[]);
    world.replica.on_closed(CONN);
    assert!(world.replica.sessions.is_empty());
    world.commit();
    assert!(world.replica.tree.find("/a").is_some(), "the write was on its way");
}

#[test]
fn an_ephemeral_on_a_leader_upgrades_or_is_refused() {
    let refused = ErrorCode::EphemeralOnLocalSession.as_i32();
    for (kind, zxids, expected) in [
        (LocalSessions::Upgradable, [2, 3], [0, 0]),
        (LocalSessions::Lasting, [1, 2], [refused, refused]),
    ] {
        let mut world = World::new(Role::Leading, kind);
        let session = world.open();
        world.create(1, "/a", EPHEMERAL);
        world.create(2, "/b", EPHEMERAL);
        world.commit();
        assert_eq!(world.replies(), [(1, zxids[0], expected[0]), (2, zxids[1], expected[1])]);
        let is_global = kind == LocalSessions::Upgradable;
        assert_eq!(world.replica.tree.sessions().contains_key(&session), is_global);
        assert_eq!(world.replica.sessions.is_local(session), !is_global);
    }
}

#[test]
fn a_learner_upgrades_at_the_leader_and_knows_better_why_it_refuses() {
    let mut world = World::new(Role::Following, LocalSessions::Upgradable);
    world.open();
    world.create(1, "/a", EPHEMERAL);
    world.create(2, "/b", EPHEMERAL);
    let creates = [(OpCode::CreateSession, 0), (OpCode::Create, 1), (OpCode::Create, 2)];
    assert_eq!(world.forwarded(), creates);

    let mut world = World::new(Role::Following, LocalSessions::Lasting);
    let session = world.open();
    world.create(1, "/a", EPHEMERAL);
    world.create(2, "/a", 0);
    assert_eq!(world.forwarded(), [(OpCode::Create, 1), (OpCode::Create, 2)]);
    for (cxid, code) in [(1, ErrorCode::SessionExpired), (2, ErrorCode::NodeExists)] {
        let op = OpCode::Error.as_i32();
        let zxid = Zxid(i64::from(cxid));
        let mut record = Vec::new();
        TxnHeader { session, cxid, zxid, time_ms: 1, op }.write(&mut record);
        record.put_i32(code.as_i32());
        world.replica.append(zxid, record.into());
    }
    world.replica.on_committed(world.now, Zxid(2), &mut world.wire);
    let local = ErrorCode::EphemeralOnLocalSession.as_i32();
    assert_eq!(world.replies(), [(1, 1, local), (2, 2, ErrorCode::NodeExists.as_i32())]);
}

#[test]
fn a_learner_expires_its_local_sessions_without_the_leader() {
    let mut world = World::new(Role::Following, LocalSessions::Upgradable);
    world.open();
    let due_us = world.replica.next_deadline_ms() * 1000;
    world.now.mono_us = due_us - 1;
    world.send(-2, OpCode::Ping, &[]);
    world.now.mono_us = due_us;
    world.replica.tick(world.now, &mut world.wire);
    assert!(!world.is_closed(), "it gave a sign of life");
    world.now.mono_us += 2 * TIMEOUT_MS as u64 * 1000;
    world.replica.tick(world.now, &mut world.wire);
    assert!(world.is_closed() && world.replica.sessions.is_empty());
    assert_eq!(world.forwarded(), []);
}

/// A follower that serves observers has to know (`member::relaying`).
#[test]
fn a_follower_knows_whether_a_client_has_sent_anything() {
    let mut world = World::new(Role::Following, LocalSessions::Off);
    let session = SessionId(0x77);
    let state = |world: &World| {
        let found = world.replica.sessions.session(session).unwrap();
        (found.owner, found.binds, found.has_spoken)
    };
    for binds in 1..=2 {
        world.connect(session, None);
        world.replica.on_revalidated(session, true, &mut world.wire);
        assert_eq!(state(&world), (Owner::Here, binds, false));
        world.send(-2, OpCode::Ping, &[]);
        assert_eq!(state(&world), (Owner::Here, binds, true));
        world.replica.on_closed(CONN);
        assert_eq!(state(&world), (Owner::Here, binds, true));
    }
}

/// A client that came to another server left this connection, which does not know it.
#[test]
fn who_has_written_elsewhere_is_not_kept_without_a_leader() {
    let mut world = World::new(Role::Following, LocalSessions::Off);
    let session = SessionId(0x77);
    world.replica.sessions.track(world.now.mono_ms(), session, TIMEOUT_MS);
    world.connect(session, None);
    world.replica.on_revalidated(session, true, &mut world.wire);
    let is_overtaken = |world: &World| world.replica.conns.at(CONN).unwrap().is_overtaken;
    for (cxid, is_sent_here) in [(1, true), (2, false), (3, true)] {
        if is_sent_here {
            world.create(cxid, "/a", 0);
        }
        let (op, zxid) = (OpCode::Error.as_i32(), Zxid(i64::from(cxid)));
        let mut record = Vec::new();
        TxnHeader { session, cxid, zxid, time_ms: 1, op }.write(&mut record);
        record.put_i32(ErrorCode::NodeExists.as_i32());
        world.replica.append(zxid, record.into());
        world.replica.on_committed(world.now, zxid, &mut world.wire);
        assert_eq!(is_overtaken(&world), !is_sent_here);
    }
}

/// What the client sends must reach the leader behind the question by which this server speaks for it.
#[test]
fn only_the_answer_to_the_last_question_opens_a_connection() {
    let mut world = World::new(Role::Following, LocalSessions::Off);
    let session = SessionId(0x77);
    assert_eq!(world.connect(session, None), Flow::Stop);
    world.replica.on_closed(CONN);
    assert_eq!(world.connect(session, None), Flow::Stop);
    // The session was local elsewhere, and is made a global one (simulator, 2008).
    let (op, zxid) = (OpCode::CreateSession.as_i32(), Zxid(1));
    let mut record = Vec::new();
    TxnHeader { session, cxid: 0, zxid, time_ms: 1, op }.write(&mut record);
    record.put_i32(TIMEOUT_MS);
    world.replica.append(zxid, record.into());
    world.replica.on_committed(world.now, zxid, &mut world.wire);
    assert_eq!(world.frames().len(), 0, "it was not created for this client");
    for answers in [0, 1] {
        world.replica.on_revalidated(session, true, &mut world.wire);
        assert_eq!(world.frames().len(), answers);
    }
}

/// Java: `SessionTrackerImpl.checkSession`.
#[test]
fn the_first_way_under_a_leader_counts() {
    let mut world = World::new(Role::Leading, LocalSessions::Off);
    let session = SessionId(0x77);
    world.replica.sessions.track(world.now.mono_ms(), session, TIMEOUT_MS);
    let owner = |world: &World| world.replica.sessions.session(session).unwrap().owner;
    for _ in 0..2 {
        world.replica.claim(session, Owner::Learner(1));
        world.replica.claim(session, Owner::Learner(2));
        assert_eq!(owner(&world), Owner::Learner(1));
    }
    assert!(world.replica.on_revalidate(world.now, 2, session, TIMEOUT_MS));
    world.replica.claim(session, Owner::Learner(1));
    assert_eq!(owner(&world), Owner::Learner(2));
}

#[test]
fn a_read_only_server_takes_readers_and_refuses_writes() {
    let mut world = World::new(Role::ReadOnly, LocalSessions::Lasting);
    world.open();
    world.create(1, "/a", 0);
    world.send(2, OpCode::Sync, &[]);
    world.send(3, OpCode::SetData, b"no body at all");
    let refused = ErrorCode::NotReadOnly.as_i32();
    assert_eq!(world.replies(), [(1, 0, refused), (2, 0, refused), (3, 0, refused)]);
    world.send(4, OpCode::CloseSession, &[]);
    assert_eq!(world.replies(), [(4, 0, 0)]);
    assert!(world.is_closed());

    for asks in [None, Some(false)] {
        let mut world = World::new(Role::ReadOnly, LocalSessions::Lasting);
        assert_eq!(world.connect(SessionId::NONE, asks), Flow::Stop);
        assert!(world.is_closed() && world.frames().is_empty());
    }
}

#[test]
fn a_read_only_server_without_local_sessions_borrows_those_it_does_not_know() {
    let mut world = World::new(Role::ReadOnly, LocalSessions::Off);
    assert_eq!(world.connect(SessionId::NONE, Some(true)), Flow::Stop);
    assert_eq!(world.replies(), [(0, 0, ErrorCode::NotReadOnly.as_i32())]);
    world.replica.on_closed(CONN);

    assert_eq!(world.connect(SessionId(77), Some(true)), Flow::Continue);
    assert_eq!(world.frames().len(), 1);
    world.send(1, OpCode::CloseSession, &[]);
    assert_eq!(world.replies(), [(1, 0, ErrorCode::NotReadOnly.as_i32())]);
    world.replica.on_closed(CONN);
    assert!(world.replica.sessions.is_empty(), "nobody here would expire it");
}
