//! Server 3 of an ensemble of three, among peers that send anything: votes, packets, whole exchanges cut
//! short, with a log that is slow, connections that break and time that passes.
//!
//! The first byte says how far the server has come before the input begins: looking, following,
//! leading, synchronised. Beside no panic: every record that reaches the log can be read again, and what
//! is reloaded after a truncation is a tree.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use rookeeper_proto::client::{ConnectRequest, Request};
use rookeeper_proto::quorum::{
    ForwardedBody, InitialMessage, LearnerInfo, Notification, PacketType, QuorumPacket,
    ServerState, Touches,
};
use rookeeper_proto::txn::{Record, Txn, TxnHeader};
use rookeeper_proto::{Id, OpCode, SessionId, Sid, Zxid};
use rookeeper_replica::auth::{AuthConfig, AuthRegistry};
use rookeeper_replica::prep::PrepConfig;
use rookeeper_replica::{
    ConnId, Installation, IoEffect, LogCommand, Member, Now, Outbox, Parts, Replica, ReplicaConfig,
    Role,
};
use rookeeper_storage::BodyParser;
use rookeeper_tree::DataTree;
use rookeeper_zab::{
    Conn, Effects, EnsembleConfig, HistoryAnswer, Instant, Peer, Settings, Start, TxnRecord,
};

use super::outbox::MemOutbox;
use super::tree_sink::{OPTIONS, TreeSink};
use super::{goldens, request, story};
use crate::input::{Input, put_piece};

const MEMBERS: &str = "server.1=a:1:2:participant\nserver.2=b:1:2:participant\n\
    server.3=c:1:2:participant\nversion=0";
/// Largest data of a packet, path or datum: small, so that the bound on memory is one.
const DATA_BYTES_MAX: usize = 1 << 20;
const CONNS_MAX: usize = 12;
const KINDS: &[PacketType] = PacketType::ALL;

pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut bench = Bench::new();
    let stage = input.byte();
    bench.begin(stage);
    let txns = goldens::txns();
    while !input.is_empty() {
        bench.step(&mut input, &txns);
    }
    bench.settle();
    bench.write(usize::MAX);
    bench.settle();
    bench.disk.reload();
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    Election,
    Leader,
    Learner,
}

/// What the directory holds.
#[derive(Default)]
struct Disk {
    base: Zxid,
    body: Option<Vec<u8>>,
    records: Vec<(Zxid, Bytes)>,
}

impl Disk {
    fn reload(&self) -> DataTree {
        let mut sink = TreeSink::new();
        if let Some(body) = &self.body {
            let mut parser = BodyParser::new(64 << 20);
            parser.feed(body, &mut sink).expect("what was installed can be read");
            sink.finish(self.base).expect("what was installed is a tree");
        }
        for (_, bytes) in &self.records {
            let record = Record::read(bytes).expect("what was logged can be read");
            sink.tree.apply_record(&record, &mut ());
        }
        sink.tree
    }

    fn truncate(&mut self, to: Zxid) -> bool {
        let is_known = to == self.base || self.records.iter().any(|(zxid, _)| *zxid == to);
        if is_known {
            self.records.retain(|(zxid, _)| *zxid <= to);
        }
        is_known
    }

    fn history(&self, after: Zxid, through: Zxid) -> HistoryAnswer {
        let before =
            self.records.iter().rev().find(|(zxid, _)| *zxid <= after).map(|(zxid, _)| *zxid);
        let Some(prev) = before.or((self.base <= after).then_some(self.base)) else {
            return HistoryAnswer::Unavailable;
        };
        let records = self.records.iter().filter(|(zxid, _)| prev < *zxid && *zxid <= through);
        let record =
            |(zxid, bytes): &(Zxid, Bytes)| TxnRecord { zxid: *zxid, bytes: bytes.clone() };
        HistoryAnswer::Records { prev, records: records.map(record).collect() }
    }
}

struct Bench {
    member: Member,
    outbox: MemOutbox,
    now: Now,
    conns: BTreeMap<Conn, Port>,
    next_conn: u64,
    dials: Vec<Option<Sid>>,
    sent_to: Vec<Conn>,
    queue: VecDeque<LogCommand>,
    work: Vec<LogCommand>,
    disk: Disk,
}

fn record(zxid: Zxid) -> Bytes {
    let mut bytes = Vec::new();
    let op = OpCode::CreateSession.as_i32();
    TxnHeader { session: SessionId(zxid.0), cxid: 0, zxid, time_ms: 2, op }.write(&mut bytes);
    Txn::CreateSession { timeout_ms: 10_000 }.write(&mut bytes);
    Bytes::from(bytes)
}

impl Bench {
    fn new() -> Self {
        let now = Now { mono_us: 86_400_000_000, wall_ms: 1_700_000_000_000 };
        let first = Zxid::new(1, 1);
        let disk = Disk { records: vec![(first, record(first))], ..Disk::default() };
        let Ok(config) = EnsembleConfig::parse(MEMBERS) else {
            unreachable!("a good configuration")
        };
        let config = Arc::new(config);
        let mut settings = Settings::new(Sid(3));
        settings.packet_data_bytes = DATA_BYTES_MAX;
        settings.is_reconfig_enabled = true;
        // A follower takes observers, too.
        settings.observer_master_port = 2191;
        let start = Start {
            settings,
            election_addresses: Vec::new(),
            committed: Arc::clone(&config),
            last_seen: config,
            accepted_epoch: 1,
            current_epoch: 1,
            last: first,
            recent: vec![TxnRecord { zxid: first, bytes: record(first) }],
            base: Zxid::ZERO,
        };
        let mut started = Effects::new();
        let peer = Peer::start(Instant(now.mono_us), start, &mut started);
        let (Ok(peer), Ok(auth)) = (peer, AuthRegistry::new(AuthConfig::default())) else {
            unreachable!("a sound directory and the defaults")
        };
        let parts = Parts {
            tree: disk.reload(),
            auth,
            prep: PrepConfig { standalone: false, reconfig: true, ..PrepConfig::default() },
            role: Role::Looking,
            seed: 3,
        };
        let config =
            ReplicaConfig { server_id: 3, snap_count: u64::MAX / 4, ..ReplicaConfig::default() };
        let replica = Replica::new(now, config, parts);
        Self {
            member: Member::new(replica, peer, started, OPTIONS, DATA_BYTES_MAX),
            outbox: MemOutbox::default(),
            now,
            conns: BTreeMap::new(),
            next_conn: 1,
            dials: Vec::new(),
            sent_to: Vec::new(),
            queue: VecDeque::new(),
            work: Vec::new(),
            disk,
        }
    }

    /// What has happened before.
    fn begin(&mut self, stage: u8) {
        self.settle();
        if stage.is_multiple_of(5) {
            return;
        }
        // The dials of the election port have succeeded: the first two connections.
        self.settle();
        let leads = 3 <= stage % 5;
        for (conn, sid) in [(Conn(1), Sid(1)), (Conn(2), Sid(2))] {
            let (leader, zxid) =
                if leads { (Sid(3), Zxid::new(1, 1)) } else { (Sid(2), Zxid::new(1, 5)) };
            let state = match (leads, sid) {
                (false, Sid(2)) => ServerState::Leading,
                (false, _) => ServerState::Following,
                (true, _) => ServerState::Looking,
            };
            self.vote(conn, state, leader, zxid, 1);
        }
        self.pass(1000);
        match stage % 5 {
            2 => {
                // Following, synchronised by an empty DIFF.
                let leader = self.find(Port::Leader);
                for (kind, zxid, data) in [
                    (PacketType::LeaderInfo, Zxid::new(2, 0), &[0, 1, 0, 0][..]),
                    (PacketType::Diff, Zxid::new(1, 1), &[]),
                    (PacketType::NewLeader, Zxid::new(2, 0), &[]),
                    (PacketType::UpToDate, Zxid::new(2, 0), &[]),
                ] {
                    self.packet(leader, kind, zxid, data);
                    self.pass(1);
                }
            }
            4 => {
                // Leading, with one follower in step.
                let info =
                    LearnerInfo { sid: Sid(1), protocol_version: 0x10000, config_version: 0 };
                let learner = self.accept(Port::Learner);
                for (kind, zxid, data) in [
                    (PacketType::FollowerInfo, Zxid::new(1, 0), &info.to_bytes()[..]),
                    (PacketType::AckEpoch, Zxid::new(1, 1), &[0, 0, 0, 1]),
                    (PacketType::Ack, Zxid::new(2, 0), &[]),
                ] {
                    self.packet(learner, kind, zxid, data);
                    self.pass(1);
                }
            }
            _ => {}
        }
    }

    fn find(&self, port: Port) -> Option<Conn> {
        self.conns.iter().find(|(_, known)| **known == port).map(|(conn, _)| *conn)
    }

    fn vote(&mut self, conn: Conn, state: ServerState, leader: Sid, zxid: Zxid, round: i64) {
        let config = Some(MEMBERS.to_owned());
        let vote =
            Notification { state, leader, zxid, round, epoch: zxid.epoch(), version: 2, config };
        self.bytes(Some(conn), &vote.to_frame());
    }

    fn packet(&mut self, conn: Option<Conn>, kind: PacketType, zxid: Zxid, data: &[u8]) {
        let mut packet = match data {
            [] => QuorumPacket::bare(kind, zxid),
            data => QuorumPacket::with_data(kind, zxid, data),
        };
        if kind == PacketType::Request {
            packet.auth = Some(vec![Id { scheme: "ip".to_owned(), id: "127.0.0.1".to_owned() }]);
        }
        self.bytes(conn, &packet.to_bytes());
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..4 {
            self.write(usize::MAX);
            self.settle();
        }
        self.now.mono_us += ms * 1000;
        self.now.wall_ms += i64::try_from(ms).unwrap_or(0);
        self.member.tick(self.now, &mut self.outbox);
        self.settle();
    }

    fn step(&mut self, input: &mut Input<'_>, txns: &[Vec<u8>]) {
        match input.byte() % 14 {
            0 => {
                self.accept(Port::Election);
            }
            1 => {
                self.accept(Port::Learner);
            }
            2 => {
                let conn = self.pick(input.byte());
                self.bytes(conn, input.piece());
            }
            3 => {
                let conn = self.pick(input.byte());
                let addresses = vec![("a".to_owned(), 2)];
                let hello = InitialMessage { sid: Sid(i64::from(input.byte() % 8)), addresses };
                self.bytes(conn, &hello.to_bytes(false));
            }
            4 => {
                let conn = self.pick(input.byte());
                let state = ServerState::from_i32(i32::from(input.byte() % 4));
                let leader = Sid(i64::from(input.byte() % 5));
                let (zxid, round) = (zxid(input), i64::from(input.byte()));
                if let (Some(conn), Some(state)) = (conn, state) {
                    self.vote(conn, state, leader, zxid, round);
                }
            }
            5 | 6 => {
                let conn = self.pick(input.byte());
                let (kind, zxid) = (*input.pick(KINDS), zxid(input));
                self.packet(conn, kind, zxid, input.piece());
            }
            7 => {
                // A record of a known type, from whoever.
                let conn = self.pick(input.byte());
                let (kind, zxid, mut txn) =
                    (*input.pick(KINDS), zxid(input), input.pick(txns).clone());
                if let Some(field) = txn.get_mut(12..20) {
                    field.copy_from_slice(&zxid.0.to_be_bytes());
                }
                self.packet(conn, kind, zxid, &txn);
            }
            8 => {
                // A body behind SNAP, with the signature at its end.
                let conn = self.pick(input.byte());
                let (_, body) = goldens::SNAPSHOTS[usize::from(input.byte() % 2)];
                let cut = usize::from(input.word());
                let body = body.get(16..).unwrap_or_default();
                let body = body.get(..body.len().saturating_sub(cut % 64)).unwrap_or_default();
                self.bytes(conn, body);
            }
            9 => {
                if let Some(conn) = self.pick(input.byte()) {
                    self.closed(conn);
                }
            }
            10 => {
                let ms = u64::from(input.word());
                self.now.mono_us += ms * 1000;
                self.member.tick(self.now, &mut self.outbox);
            }
            11 => self.write(usize::from(input.byte() % 8)),
            12 => self.client(input),
            _ => {
                if let Some(conn) = self.pick(input.byte()) {
                    self.sent_to.push(conn);
                }
            }
        }
        self.settle();
    }

    /// A client connects, or sends a frame.
    fn client(&mut self, input: &mut Input<'_>) {
        let ids = self.outbox.ids();
        let how = input.byte();
        let replica = self.member.replica_mut();
        if (how.is_multiple_of(4) || ids.is_empty()) && ids.len() < 4 {
            let id = self.outbox.open();
            let peer = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 1000);
            if replica.on_accept(self.now, id, peer, false).is_err() {
                self.outbox.remove(id);
                return;
            }
            let mut frame = Vec::new();
            ConnectRequest {
                protocol_version: 0,
                last_zxid_seen: Zxid(0),
                timeout_ms: 10_000,
                session: SessionId(i64::from(how / 4)),
                password: Some(&[0; 16]),
                read_only: Some(how & 64 != 0),
            }
            .write(&mut frame);
            replica.on_frame(self.now, id, &frame, &mut self.outbox);
            return;
        }
        let id: ConnId = ids[usize::from(how) % ids.len()];
        let op = input.pick(OpCode::ALL).as_i32();
        let mut frame = vec![0, 0, 0, input.byte()];
        frame.extend_from_slice(&op.to_be_bytes());
        frame.extend_from_slice(input.piece());
        if self.outbox.may_deliver(id) && replica.admits_request_of(frame.len()) {
            replica.on_frame(self.now, id, &frame, &mut self.outbox);
        }
    }

    fn pick(&self, n: u8) -> Option<Conn> {
        let at = usize::from(n) % self.conns.len().max(1);
        self.conns.keys().nth(at).copied()
    }

    fn open(&mut self, port: Port) -> Conn {
        let conn = Conn(self.next_conn);
        self.next_conn += 1;
        self.conns.insert(conn, port);
        conn
    }

    fn accept(&mut self, port: Port) -> Option<Conn> {
        if CONNS_MAX <= self.conns.len() {
            return None;
        }
        let conn = self.open(port);
        match port {
            Port::Election => self.member.on_election_accepted(self.now, conn),
            Port::Learner | Port::Leader => self.member.on_learner_accepted(self.now, conn),
        }
        Some(conn)
    }

    fn bytes(&mut self, conn: Option<Conn>, bytes: &[u8]) {
        let Some(conn) = conn else { return };
        match self.conns.get(&conn) {
            Some(Port::Election) => self.member.on_election_bytes(self.now, conn, bytes),
            Some(Port::Leader | Port::Learner) => {
                self.member.on_quorum_bytes(self.now, conn, bytes, &mut self.outbox);
            }
            None => {}
        }
        self.settle();
    }

    fn closed(&mut self, conn: Conn) {
        match self.conns.remove(&conn) {
            Some(Port::Election) => self.member.on_election_closed(self.now, conn),
            Some(Port::Leader | Port::Learner) => self.member.on_quorum_closed(self.now, conn),
            None => {}
        }
    }

    /// The end of a turn, and what the turn before asked for.
    fn settle(&mut self) {
        for conn in std::mem::take(&mut self.sent_to) {
            match self.conns.get(&conn) {
                Some(Port::Election) => self.member.on_election_drained(self.now, conn),
                Some(Port::Leader | Port::Learner) => self.member.on_quorum_drained(self.now, conn),
                None => {}
            }
        }
        for dial in std::mem::take(&mut self.dials) {
            match dial {
                Some(sid) if CONNS_MAX <= self.conns.len() => {
                    self.member.on_election_connect_failed(self.now, sid);
                }
                Some(sid) => {
                    let conn = self.open(Port::Election);
                    self.member.on_election_connected(self.now, sid, conn);
                }
                None => {
                    let conn = self.open(Port::Leader);
                    self.member.on_leader_connected(self.now, conn);
                }
            }
        }
        self.member.pump(self.now, &mut self.outbox);
        for effect in self.member.take_io() {
            match effect {
                IoEffect::ConnectElection { sid, .. } => self.dials.push(Some(sid)),
                IoEffect::ConnectLeader { .. } => self.dials.push(None),
                IoEffect::Send { conn, bytes } => {
                    assert!(!bytes.is_empty(), "nothing to send");
                    self.sent_to.push(conn);
                }
                IoEffect::Close { conn } => {
                    self.conns.remove(&conn);
                }
                IoEffect::ReadHistory { conn, after, through } => {
                    let answer = self.disk.history(after, through);
                    self.member.on_history(self.now, conn, answer);
                }
                IoEffect::SaveLastSeenConfig(_) | IoEffect::ActivateConfig(_) => {}
                IoEffect::Note { text, .. } => assert!(!text.is_empty()),
            }
        }
        self.member.replica_mut().take_log_work(&mut self.work);
        self.queue.extend(self.work.drain(..));
        for conn in std::mem::take(&mut self.outbox.closed) {
            self.member.replica_mut().on_closed(conn);
            self.outbox.remove(conn);
        }
        for conn in self.outbox.ids() {
            if let Some(out) = self.outbox.buffer(conn) {
                out.clear();
            }
        }
        self.member.replica_mut().take_notices();
    }

    /// The log thread does the next things.
    fn write(&mut self, count: usize) {
        for _ in 0..count {
            let Some(command) = self.queue.pop_front() else { return };
            match command {
                LogCommand::Append { zxid, record } => {
                    let read = Record::read(&record).expect("what is logged can be read");
                    assert_eq!(read.header.zxid, zxid);
                    let last = self.disk.records.last().map_or(self.disk.base, |(last, _)| *last);
                    assert!(last < zxid, "{zxid} appended behind {last}");
                    self.disk.records.push((zxid, record));
                    self.member.on_durable(self.now, zxid);
                }
                LogCommand::Roll => {}
                LogCommand::WriteEpoch { file, epoch } => {
                    self.member.on_epoch_written(self.now, file, epoch);
                }
                LogCommand::Truncate { to, reload } => {
                    let is_done = self.disk.truncate(to);
                    let tree = (is_done && reload).then(|| self.disk.reload());
                    self.member.on_truncated(self.now, is_done, tree);
                }
                LogCommand::Install(installation) => {
                    let Installation { zxid, body, .. } = *installation;
                    self.disk = Disk { base: zxid, body: Some(body), records: Vec::new() };
                    self.disk.reload();
                    self.member.on_installed(self.now);
                }
                LogCommand::SetAside { .. } => {
                    self.disk = Disk::default();
                    self.member.on_set_aside(self.now);
                }
            }
            self.member.pump(self.now, &mut self.outbox);
        }
    }
}

fn zxid(input: &mut Input<'_>) -> Zxid {
    let (epoch, counter) = (input.byte(), input.byte());
    match epoch {
        255 => Zxid(-1),
        254 => Zxid(i64::MIN + i64::from(counter)),
        253 => Zxid(i64::MAX - i64::from(counter)),
        epoch => Zxid::new(u32::from(epoch), u32::from(counter)),
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let kind = |kind| KINDS.iter().position(|known| *known == kind).unwrap_or(0) as u8;
    // To the connection of the leader or the learner, which is the third.
    let packet = |what, epoch, counter, data: &[u8]| {
        let mut step = vec![5, 2, kind(what), epoch, counter];
        put_piece(&mut step, data);
        step
    };
    let txn = |what, epoch, counter, n| vec![7, 2, kind(what), epoch, counter, n];
    let leader_info = packet(PacketType::LeaderInfo, 2, 0, &[0, 1, 0, 0]);
    let new_leader = packet(PacketType::NewLeader, 2, 0, b"");
    let up_to_date = packet(PacketType::UpToDate, 2, 0, b"");
    let steps = |stage: u8, steps: &[Vec<u8>]| [vec![stage], steps.concat()].concat();
    let write = vec![11u8, 7];
    let mut seeds: Vec<Vec<u8>> = (0..5).map(|stage| vec![stage]).collect();
    // DIFF with proposals and commits, TRUNC, SNAP, then proposals in service.
    seeds.push(steps(
        1,
        &[
            leader_info.clone(),
            write.clone(),
            packet(PacketType::Diff, 1, 3, b""),
            txn(PacketType::Proposal, 1, 2, 3),
            packet(PacketType::Commit, 1, 2, b""),
            txn(PacketType::Proposal, 1, 3, 9),
            packet(PacketType::Commit, 1, 3, b""),
            new_leader.clone(),
            write.clone(),
            up_to_date.clone(),
            write.clone(),
        ],
    ));
    seeds.push(steps(
        1,
        &[
            leader_info.clone(),
            write.clone(),
            packet(PacketType::Trunc, 0, 0, b""),
            write.clone(),
            new_leader.clone(),
            write.clone(),
            up_to_date.clone(),
            write.clone(),
        ],
    ));
    seeds.push(steps(
        1,
        &[
            leader_info,
            write.clone(),
            packet(PacketType::Snap, 1, 9, b""),
            vec![8, 2, 1, 0, 18],
            vec![2, 2, 0, 14, 0, 0, 0, 10],
            b"BenWasHere".to_vec(),
            new_leader,
            write.clone(),
            up_to_date,
            write.clone(),
        ],
    ));
    seeds.push(steps(
        2,
        &[
            txn(PacketType::Proposal, 2, 1, 0),
            txn(PacketType::Proposal, 2, 2, 5),
            write.clone(),
            packet(PacketType::Commit, 2, 1, b""),
            packet(PacketType::Commit, 2, 2, b""),
            vec![12, 0],
            vec![12, 1, 3, 1, 0, 0],
        ],
    ));
    seeds.push(steps(
        4,
        &[
            vec![12, 0],
            write.clone(),
            packet(PacketType::Ack, 2, 1, b""),
            vec![12, 1, 1, 1, 0, 0],
            vec![10, 0x10, 0],
        ],
    ));
    // Clients of a leader: what they write is acknowledged by the follower. Clients of a follower: what they
    // write is forwarded. A learner of the leader forwards the same.
    let (mut of_leader, mut of_follower, mut of_learner) =
        (vec![4, 12, 0], vec![2, 12, 0], vec![4]);
    // The first one is the session.
    of_leader.extend_from_slice(&write);
    of_leader.extend(packet(PacketType::Ack, 2, 1, b""));
    let mut writes = 1;
    for (number, request) in story::requests().iter().enumerate() {
        let (number, op) = (1 + number as u8, request::place(request.op()));
        let mut body = Vec::new();
        request.write(&mut body);
        let forwarded = ForwardedBody {
            session: SessionId(1),
            cxid: i32::from(number),
            op: request.op().as_i32(),
            body: &body,
        };
        for steps in [&mut of_leader, &mut of_follower] {
            steps.extend_from_slice(&[12, 1, op, number]);
            put_piece(steps, &body);
            steps.extend_from_slice(&write);
        }
        // An acknowledgement of what was never proposed would end the learner's connection.
        let is_read = matches!(
            request,
            Request::Exists(_)
                | Request::GetData(_)
                | Request::GetChildren2(_)
                | Request::GetAcl(_)
                | Request::MultiRead(_)
                | Request::AddWatch(_)
                | Request::GetEphemerals(_)
                | Request::GetAllChildrenNumber(_)
                | Request::CheckWatches(_)
                | Request::RemoveWatches(_)
                | Request::SetWatches2(_)
                | Request::Sync(_)
                | Request::WhoAmI
                | Request::Ping
        );
        if !is_read {
            writes += 1;
            of_leader.extend(packet(PacketType::Ack, 2, writes, b""));
        }
        of_follower.extend(txn(PacketType::Proposal, 2, number, number));
        of_follower.extend(packet(PacketType::Commit, 2, number, b""));
        of_learner.extend(packet(PacketType::Request, 255, 0, &forwarded.to_bytes()));
        of_learner.extend_from_slice(&write);
        of_learner.extend(packet(PacketType::Ack, 2, number, b""));
    }
    let touches = Touches::to_bytes([(SessionId(1), 4000)]);
    for kind in [PacketType::Ping, PacketType::Revalidate, PacketType::Sync] {
        of_learner.extend(packet(kind, 2, 1, &touches));
    }
    seeds.extend([of_leader, of_follower, of_learner]);
    seeds.push(steps(
        0,
        &[
            vec![0],
            vec![3, 2, 1],
            vec![4, 2, 0, 2, 1, 5, 1],
            vec![4, 0, 1, 1, 1, 1, 2],
            vec![10, 1, 0],
        ],
    ));
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What clients and learners send to a leader is done.
    #[test]
    fn the_leaders_seeds_do_something() {
        let seeds = seeds();
        let leading: Vec<i64> = seeds
            .iter()
            .filter(|seed| seed[0] == 4)
            .map(|seed| {
                let mut input = Input::new(seed);
                let mut bench = Bench::new();
                bench.begin(input.byte());
                while !input.is_empty() {
                    bench.step(&mut input, &goldens::txns());
                }
                bench.member.replica().tree().last_zxid().0 & 0xff
            })
            .collect();
        assert!(leading.iter().filter(|counter| 15 < **counter).count() >= 2, "{leading:?}");
    }

    /// Else the inputs of a stage would not begin where it says.
    #[test]
    fn the_stages_are_reached() {
        let at = |stage| {
            let mut bench = Bench::new();
            bench.begin(stage);
            (bench.member.peer().state(), bench.member.replica().role())
        };
        assert_eq!(at(0), (ServerState::Looking, Role::Looking));
        assert_eq!(at(1), (ServerState::Following, Role::Looking));
        assert_eq!(at(2), (ServerState::Following, Role::Following));
        assert_eq!(at(3), (ServerState::Leading, Role::Looking));
        assert_eq!(at(4), (ServerState::Leading, Role::Leading));
        let mut follower = Bench::new();
        follower.begin(2);
        assert!(follower.member.peer().is_observer_master());
    }
}
