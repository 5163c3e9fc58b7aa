//! A server alone: connections that come and go, frames of any content, time, a log that is slow or full.
//!
//! Beside no panic: what a client gets is whole frames; every record written can be read, and a tree
//! built from the records, or from a snapshot of the replica, equals the replica's own.

use std::net::{IpAddr, SocketAddr};

use rookeeper_proto::client::connect::{ConnectRequest, ConnectResponse};
use rookeeper_proto::client::reply::ReplyHeader;
use rookeeper_proto::client::request::RequestHeader;
use rookeeper_proto::txn::Record;
use rookeeper_proto::{OpCode, Reader, SessionId, Xid, Zxid};
use rookeeper_replica::auth::{AuthConfig, AuthRegistry};
use rookeeper_replica::prep::PrepConfig;
use rookeeper_replica::{
    ConnId, LogCommand, Now, Parts, Replica, ReplicaConfig, Role, SnapshotWork,
};
use rookeeper_storage::BodyParser;
use rookeeper_tree::DataTree;

use super::outbox::MemOutbox;
use super::tree_sink::{OPTIONS, TreeSink};
use super::{goldens, request, story};
use crate::input::{Input, put_piece};

/// Connections at a time.
const CONNS_MAX: usize = 6;

pub(super) fn run(data: &[u8]) {
    let mut bench = Bench::new();
    let mut input = Input::new(data);
    while !input.is_empty() {
        bench.step(&mut input);
    }
    bench.end();
}

struct Bench {
    replica: Replica,
    outbox: MemOutbox,
    now: Now,
    /// Handed to the log and not durable yet.
    queued: Vec<(Zxid, Vec<u8>)>,
    work: Vec<LogCommand>,
    /// What a restart would replay.
    rebuilt: DataTree,
    sessions: Vec<(SessionId, [u8; 16])>,
}

impl Bench {
    fn new() -> Self {
        let now = Now { mono_us: 86_400_000_000, wall_ms: 1_700_000_000_000 };
        let Ok(auth) = AuthRegistry::new(AuthConfig::default()) else {
            unreachable!("the defaults are good")
        };
        let config = ReplicaConfig {
            extended_types: true,
            enforce_quota: true,
            snap_count: u64::MAX / 4,
            ..ReplicaConfig::default()
        };
        let prep =
            PrepConfig { extended_types: true, enforce_quota: true, ..PrepConfig::default() };
        let parts =
            Parts { tree: DataTree::new(OPTIONS), auth, prep, role: Role::Standalone, seed: 3 };
        Self {
            replica: Replica::new(now, config, parts),
            outbox: MemOutbox::default(),
            now,
            queued: Vec::new(),
            work: Vec::new(),
            rebuilt: DataTree::new(OPTIONS),
            sessions: Vec::new(),
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 10 {
            0 => self.accept(input.byte()),
            1 => {
                let conn = self.conn(input.byte());
                self.frame(conn, input.piece());
            }
            2..=4 => {
                let conn = self.conn(input.byte());
                let op = input.pick(OpCode::ALL).as_i32();
                let mut frame = Vec::new();
                RequestHeader { xid: Xid(i32::from(input.byte())), op }.write(&mut frame);
                frame.extend_from_slice(input.piece());
                self.frame(conn, &frame);
            }
            5 => {
                let conn = self.conn(input.byte());
                self.connect(conn, input.byte());
            }
            6 => {
                if let Some(conn) = self.conn(input.byte()) {
                    self.gone(conn);
                }
            }
            7 => {
                let ms = u64::from(input.word());
                self.now.mono_us += ms * 1000;
                self.now.wall_ms += i64::try_from(ms).unwrap_or(0);
                self.replica.tick(self.now, &mut self.outbox);
            }
            8 => self.commit(usize::from(input.byte())),
            _ => {
                if input.byte().is_multiple_of(2) {
                    self.take_work();
                    self.commit(usize::from(input.byte() % 4));
                    self.queued.clear();
                    let logged = self.rebuilt.last_zxid();
                    self.replica.on_log_full(logged, &mut self.outbox);
                } else {
                    self.replica.on_log_room();
                }
            }
        }
        self.settle();
    }

    fn conn(&self, n: u8) -> Option<ConnId> {
        let ids = self.outbox.ids();
        ids.get(usize::from(n) % ids.len().max(1)).copied()
    }

    fn accept(&mut self, host: u8) {
        if CONNS_MAX <= self.outbox.ids().len() {
            return;
        }
        let id = self.outbox.open();
        let peer = SocketAddr::new(IpAddr::from([127, 0, 0, host]), 1000);
        if self.replica.on_accept(self.now, id, peer, false).is_err() {
            self.outbox.remove(id);
        }
    }

    fn frame(&mut self, conn: Option<ConnId>, frame: &[u8]) {
        if let Some(conn) = conn.filter(|conn| self.outbox.may_deliver(*conn))
            && self.replica.admits_request_of(frame.len())
        {
            self.replica.on_frame(self.now, conn, frame, &mut self.outbox);
        }
    }

    /// A new session, or one of those there were, also with a wrong password.
    fn connect(&mut self, conn: Option<ConnId>, which: u8) {
        let known = self.sessions.get(usize::from(which / 2)).copied();
        let (session, mut password) = known.unwrap_or((SessionId::NONE, [0; 16]));
        password[0] ^= u8::from(which % 8 == 7);
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid(0),
            timeout_ms: 10_000,
            session,
            password: Some(&password),
            read_only: Some(false),
        };
        let mut frame = Vec::new();
        request.write(&mut frame);
        self.frame(conn, &frame);
    }

    fn take_work(&mut self) {
        self.replica.take_log_work(&mut self.work);
        for command in self.work.drain(..) {
            match command {
                LogCommand::Append { zxid, record } => self.queued.push((zxid, record.to_vec())),
                LogCommand::Roll => {}
                other => unreachable!("a server alone asked for {other:?}"),
            }
        }
    }

    /// The first `count` of what is queued become durable.
    fn commit(&mut self, count: usize) {
        let count = count.min(self.queued.len());
        for (zxid, bytes) in self.queued.drain(..count) {
            let record = Record::read(&bytes).expect("a record that was written can be read");
            assert_eq!(record.header.zxid, zxid);
            let (_, mismatch) = self.rebuilt.apply_record(&record, &mut ());
            assert!(mismatch.is_none(), "{mismatch:?}");
        }
        if 0 < count {
            self.replica.on_committed(self.now, self.rebuilt.last_zxid(), &mut self.outbox);
        }
    }

    /// The end of a turn.
    fn settle(&mut self) {
        self.take_work();
        for conn in std::mem::take(&mut self.outbox.closed) {
            self.gone(conn);
        }
        self.replica.take_notices();
    }

    fn gone(&mut self, conn: ConnId) {
        self.replica.on_closed(conn);
        let sent = self.outbox.remove(conn);
        self.read(&sent);
    }

    /// What a client was sent: a handshake, then replies and events.
    fn read(&mut self, mut sent: &[u8]) {
        let mut is_first = true;
        while !sent.is_empty() {
            let len = sent.first_chunk().map(|len| u32::from_be_bytes(*len) as usize);
            let frame = len.and_then(|len| sent.get(4..4 + len)).expect("whole frames");
            sent = &sent[4 + frame.len()..];
            let mut reader = Reader::new(frame);
            // A connection that is not admitted may get an error instead of the answer.
            if std::mem::take(&mut is_first) {
                if let Ok(hello) = ConnectResponse::read(&mut reader)
                    && hello.session != SessionId::NONE
                    && self.sessions.len() < 64
                {
                    self.sessions.push((hello.session, hello.password));
                }
                continue;
            }
            assert!(ReplyHeader::read(&mut reader).is_ok(), "a header");
        }
    }

    fn end(mut self) {
        self.settle();
        self.commit(usize::MAX);
        self.settle();
        self.commit(usize::MAX);
        let tree = self.replica.tree();
        assert_eq!(self.rebuilt.digest(), tree.digest(), "the log holds another tree");
        assert_eq!(self.rebuilt.node_count(), tree.node_count());
        assert_eq!(self.rebuilt.sessions(), tree.sessions());
        self.snapshot();
        for conn in self.outbox.ids() {
            self.gone(conn);
        }
        assert_eq!(self.replica.conns().len(), 0);
        assert_eq!(self.replica.watches().watch_count(), 0, "watches of connections that are gone");
    }

    fn snapshot(&mut self) {
        self.replica.want_snapshot();
        let (mut parser, mut sink) = (BodyParser::new(64 << 20), TreeSink::new());
        let (mut body, mut at) = (Vec::new(), Zxid::ZERO);
        while let Some(work) = self.replica.take_snapshot_work() {
            match work {
                SnapshotWork::Begin { zxid, .. } => at = zxid,
                SnapshotWork::Chunk(bytes) => body.extend_from_slice(&bytes),
                SnapshotWork::End(bytes) => {
                    body.extend_from_slice(&bytes);
                    break;
                }
                SnapshotWork::GiveUp { .. } => panic!("a tree that loses its znodes"),
            }
        }
        parser.feed(&body, &mut sink).expect("our own snapshot can be read");
        assert!(parser.is_done());
        sink.finish(at).expect("our own snapshot is a tree");
        assert_eq!(
            sink.tree.digest(),
            self.replica.tree().digest(),
            "the snapshot holds another tree"
        );
        assert_eq!(sink.tree.node_count(), self.replica.tree().node_count());
    }
}

/// A session that does a bit of everything; time passes, and it ends.
fn story() -> Vec<u8> {
    let mut steps = vec![0, 1, 5, 0, 0xff, 8, 1, 0, 2, 5, 1, 0xff, 8, 1];
    for (number, request) in story::requests().iter().enumerate() {
        let mut body = Vec::new();
        request.write(&mut body);
        steps.extend_from_slice(&[2, 0, request::place(request.op()), 1 + number as u8]);
        put_piece(&mut steps, &body);
        // The log is not always as quick as the requests.
        if number % 3 == 0 {
            steps.extend_from_slice(&[8, 9]);
        }
    }
    steps.extend_from_slice(&[8, 99, 7, 0x0b, 0xb8, 8, 99]);
    steps
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![story()];
    // One connection, a session, one request of the goldens, the end; then many in one session.
    let begin = [0, 1, 5, 0, 0xff, 8, 1];
    let requests = goldens::requests();
    for chunk in std::iter::once(&requests[..]).chain(requests.chunks(12)) {
        let mut one = begin.to_vec();
        for (op, body) in chunk.iter().filter(|(op, _)| *op != OpCode::CloseSession) {
            one.extend_from_slice(&[2, 0, request::place(*op), 9]);
            put_piece(&mut one, body);
            // Some requests end the connection: the next one comes on a new one of the same session.
            one.extend_from_slice(&[8, 9, 6, 0, 0, 1, 5, 0, 0, 8, 9]);
        }
        seeds.push(one);
    }
    // Two sessions, one resumed elsewhere, time passing, a full disk in between.
    seeds.push(
        [
            &begin[..],
            &[
                0, 2, 5, 1, 0xff, 8, 1, 6, 0, 0, 3, 5, 1, 0, 7, 0x80, 0, 9, 0, 1, 9, 1, 7, 0xff,
                0xff,
            ],
        ]
        .concat(),
    );
    for hello in goldens::handshakes() {
        let mut one = vec![0, 1, 1, 0];
        put_piece(&mut one, &hello);
        seeds.push(one);
    }
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else the search would begin at closed doors.
    #[test]
    fn the_first_seed_does_something() {
        let mut bench = Bench::new();
        let seed = seeds().swap_remove(0);
        let mut input = Input::new(&seed);
        while !input.is_empty() {
            bench.step(&mut input);
        }
        bench.commit(usize::MAX);
        assert!(20 < bench.rebuilt.last_zxid().0, "{}", bench.rebuilt.last_zxid());
        assert!(13 < bench.rebuilt.node_count(), "{}", bench.rebuilt.node_count());
        assert_eq!(bench.rebuilt.sessions().len(), 2);
        bench.end();
    }
}
