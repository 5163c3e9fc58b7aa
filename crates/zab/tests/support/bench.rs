//! One server whose every word is heard, for tests of what it says to whom.

use std::sync::Arc;

use bytes::Bytes;
use rookeeper_proto::quorum::{PacketType, QuorumPacket, TryRead};
use rookeeper_proto::txn::TxnHeader;
use rookeeper_proto::{SessionId, Sid, Zxid};
use rookeeper_zab::{
    Conn, Effect, Effects, EnsembleConfig, Instant, Peer, Settings, Start, TxnRecord,
};

pub const LEADER: Conn = Conn(7);

pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.bytes().filter_map(|b| (b as char).to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

pub fn record(zxid: Zxid) -> TxnRecord {
    let mut bytes = Vec::new();
    TxnHeader { session: SessionId(zxid.0), cxid: 1, zxid, time_ms: 2, op: -1 }.write(&mut bytes);
    bytes.extend([0, 0, 0, 9]);
    TxnRecord { zxid, bytes: Bytes::from(bytes) }
}

/// Server 3 of three, with acceptedEpoch and currentEpoch 1 and the txn (1,1) in its log, and every
/// write done as soon as it is asked for.
pub struct Bench {
    pub peer: Peer,
    pub fx: Effects,
    /// To the leader.
    pub sent: Vec<u8>,
    /// To others on quorum connections.
    pub told: Vec<(Conn, PacketType, Zxid)>,
    pub others: Vec<Effect>,
}

impl Bench {
    pub fn new(is_observer: bool) -> Self {
        Self::with(is_observer, Settings::new(Sid(3)))
    }

    pub fn with(is_observer: bool, settings: Settings) -> Self {
        let role = if is_observer { "observer" } else { "participant" };
        let text = format!(
            "server.1=a:1:2:participant\nserver.2=b:1:2:participant\nserver.3=c:1:2:{role}\nversion=0"
        );
        Self::among(&text, settings)
    }

    /// Server 3 among these.
    pub fn among(text: &str, settings: Settings) -> Self {
        let config = Arc::new(EnsembleConfig::parse(text).expect("valid"));
        let start = Start {
            settings,
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
        let (sent, told, others) = (Vec::new(), Vec::new(), Vec::new());
        let mut bench = Self { peer, fx, sent, told, others };
        bench.settle();
        bench
    }

    /// Server 2 is elected; the connection to it stands.
    pub fn follow(&mut self) {
        self.elect();
        assert!(self.others.iter().any(|e| matches!(e, Effect::ConnectLeader { sid: Sid(2), .. })));
        self.peer.on_leader_connected(Instant(3), LEADER, &mut self.fx);
        self.settle();
    }

    /// Server 2 is elected.
    pub fn elect(&mut self) {
        self.elect_at(Instant(2));
    }

    pub fn elect_at(&mut self, now: Instant) {
        for sid in [1, 2] {
            let conn = Conn(sid);
            self.peer.on_election_connected(now, Sid(sid as i64), conn, &mut self.fx);
            let state = if sid == 2 { 2 } else { 1 };
            let vote = format!(
                "00000035 0000000{state} 0000000000000002 0000000100000005 0000000000000009 \
                 0000000000000001 00000002 00000009 76657273696f6e3d30"
            );
            self.peer.on_election_bytes(now, conn, &unhex(&vote), &mut self.fx);
        }
        self.settle();
    }

    pub fn settle(&mut self) {
        let now = Instant(9);
        loop {
            let list: Vec<Effect> = self.fx.drain().collect();
            if list.is_empty() {
                return;
            }
            for effect in list {
                let (peer, fx) = (&mut self.peer, &mut self.fx);
                match &effect {
                    Effect::SendQuorum { conn: LEADER, bytes } => {
                        self.sent.extend_from_slice(bytes);
                    }
                    Effect::SendQuorum { conn, bytes } => {
                        let told =
                            packets(bytes).into_iter().map(|(kind, zxid)| (*conn, kind, zxid));
                        self.told.extend(told);
                    }
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

    pub fn receive(&mut self, packet: &QuorumPacket<'_>) {
        self.peer.on_quorum_bytes(Instant(5), LEADER, &packet.to_bytes(), &mut self.fx);
        self.settle();
    }

    pub fn propose(&mut self, zxid: Zxid) {
        let record = record(zxid);
        self.receive(&QuorumPacket::with_data(PacketType::Proposal, zxid, &record.bytes));
    }

    pub fn bare(&mut self, kind: PacketType, zxid: Zxid) {
        self.receive(&QuorumPacket::bare(kind, zxid));
    }

    pub fn discover(&mut self) {
        self.sent.clear();
        self.receive(&QuorumPacket::with_data(
            PacketType::LeaderInfo,
            Zxid::new(2, 0),
            &[0, 1, 0, 0],
        ));
    }

    pub fn acks(&self) -> Vec<Zxid> {
        let acks = packets(&self.sent).into_iter().filter(|(kind, _)| *kind == PacketType::Ack);
        acks.map(|(_, zxid)| zxid).collect()
    }

    pub fn committed(&self) -> Vec<Zxid> {
        let zxid = |e: &Effect| match e {
            Effect::CommitUpTo { zxid } => Some(*zxid),
            _ => None,
        };
        self.others.iter().filter_map(zxid).collect()
    }
}

fn packets(bytes: &[u8]) -> Vec<(PacketType, Zxid)> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Ok(TryRead::Done(packet, used)) = QuorumPacket::try_read(&bytes[at..], 999) {
        at += used;
        out.extend(packet.packet_type().map(|kind| (kind, packet.zxid)));
    }
    out
}
