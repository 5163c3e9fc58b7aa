//! The shell around a member of an ensemble, as `server::ensemble`: its ports, its dials, its history
//! reads; and an ear on everything that the invariants are about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rookeeper_proto::quorum::{Notification, PacketType, QuorumPacket, ServerState, TryRead};
use rookeeper_proto::txn::{Record, Txn};
use rookeeper_proto::{SessionId, Sid, Zxid};
use rookeeper_replica::durable::{LogEvent, Recovered, history};
use rookeeper_replica::{EpochFile, IoEffect, LogCommand, Member, Now, Replica};
use rookeeper_storage::{DataDirs, Disk};
use rookeeper_zab::{Address, Conn, Effects, EnsembleConfig, Instant, Peer, Settings, Start};

use super::boot::Replayed;
use super::conns::ServerConns;
use crate::agenda::Event;
use crate::checkers::digest;
use crate::checkers::zab::committed::Delivery;
use crate::checkers::zab::promises::Promises;
use crate::checkers::zab::{integrity, leadership, primary_integrity};
use crate::ctx::Ctx;
use crate::net::Segment;
use crate::peers::{Dial, News, Port};
use crate::plan::EnsemblePlan;
use crate::violation::{Check, broken};

/// A stream that holds more takes nothing for now.
const SOCKET_BUFFER_BYTES: usize = 64 << 10;

/// What a member keeps on its machine besides its data directory.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// This server, by number from 0.
    pub(crate) server: usize,
    pub(crate) boot: u64,
    pub(crate) promises: Promises,
    /// Members in force, and the newest ones seen.
    pub(crate) configs: (Arc<EnsembleConfig>, Arc<EnsembleConfig>),
    /// What it is while no list names it.
    pub(crate) is_observer: bool,
    /// Its data was lost or set aside, and no state has been installed since.
    pub(crate) is_unknown: bool,
}

impl Place {
    fn sid(&self) -> Sid {
        sid_of(self.server)
    }

    /// Its name in the trace.
    fn who(&self) -> String {
        format!("server{}", self.server + 1)
    }
}

/// The name of a server.
pub(crate) fn sid_of(server: usize) -> Sid {
    Sid(server as i64 + 1)
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Ensemble {
    pub(crate) member: Box<Member>,
    pub(crate) place: Place,
    pub(crate) delivery: Delivery,
    /// Where it listens: the election port, and the quorum port while it leads.
    pub(crate) ports: (u16, u16),
    /// The quorum port is open.
    pub(crate) listens: bool,
    /// The port for observers, while it is open.
    observer_port: Option<u16>,
    /// Connections kept, and outlived elections, as far as they are counted.
    quiet: (u64, u64),
    /// Under whom it served when it was last looked at.
    serving: Option<(Sid, u32)>,
    serving_since_ms: u64,
    /// The epoch it leads or led last.
    led: Option<u32>,
    /// Requests of sessions connected here, by time.
    heard_ms: BTreeMap<SessionId, u64>,
    /// Sent to, and not reported as drained.
    undrained: Vec<Conn>,
    /// A snapshot's body is being sent on these.
    streaming: BTreeSet<Conn>,
    /// How learners are being synchronised: what began it, PROPOSALs and COMMITs since.
    syncs: BTreeMap<Conn, (PacketType, u64, u64)>,
    /// Writes held back at the end of the last turn.
    held_writes: usize,
    /// The current epoch of the state that is being installed.
    installing: u32,
    /// History reads under way.
    reads: Vec<(Conn, Zxid, Zxid)>,
}

impl Ensemble {
    /// Starts the peer over a recovered directory.
    pub(crate) fn start(
        ctx: &Ctx,
        plan: &EnsemblePlan,
        now: Now,
        replica: Replica,
        place: Place,
        (recovered, replayed): (&Recovered, &Replayed),
    ) -> Result<Self, String> {
        let epochs = recovered.epochs.ok_or("the epoch files were not read")?;
        let epoch = |value: i64| u32::try_from(value).map_err(|error| error.to_string());
        let sid = place.sid();
        let start = Start {
            settings: settings(plan, ctx.plan.seed, sid, place.is_observer),
            election_addresses: vec![Address { host: format!("h{sid}"), port: 3888 }],
            committed: Arc::clone(&place.configs.0),
            last_seen: Arc::clone(&place.configs.1),
            accepted_epoch: epoch(epochs.accepted)?,
            current_epoch: epoch(epochs.current)?,
            last: if recovered.is_unknown { Zxid::UNKNOWN } else { recovered.last },
            recent: recovered.tail.recent.clone(),
            base: recovered.tail.base,
        };
        let mut effects = Effects::new();
        let peer = Peer::start(Instant(now.mono_us), start, &mut effects)
            .map_err(|error| error.to_string())?;
        let records: BTreeMap<Zxid, Bytes> =
            replayed.iter().map(|(zxid, bytes)| (*zxid, Bytes::copy_from_slice(bytes))).collect();
        let first = records.keys().next().copied();
        let base = first.map_or(recovered.last, |first| Zxid(first.0 - 1));
        let max_item_bytes = ctx.plan.recovery().storage.max_record_bytes;
        Ok(Self {
            member: Box::new(Member::new(replica, peer, effects, ctx.plan.tree, max_item_bytes)),
            ports: ports_of(&place.configs.0, sid).unwrap_or_default(),
            place,
            delivery: Delivery { records, base, upto: Zxid::ZERO },
            listens: false,
            observer_port: None,
            quiet: (0, 0),
            serving: None,
            serving_since_ms: 0,
            led: None,
            heard_ms: BTreeMap::new(),
            undrained: Vec::new(),
            streaming: BTreeSet::new(),
            syncs: BTreeMap::new(),
            held_writes: 0,
            installing: 0,
            reads: Vec::new(),
        })
    }

    /// Whether a dial of one of these ports gets through to it.
    pub(crate) fn accepts(&self, port: Port, numbers: &[u16]) -> bool {
        match port {
            Port::Election => numbers.contains(&self.ports.0),
            Port::Quorum => {
                self.listens && numbers.contains(&self.ports.1)
                    || self.observer_port.is_some_and(|port| numbers.contains(&port))
            }
        }
    }

    /// The leader it serves under.
    pub(crate) fn serving(&self) -> Option<(Sid, u32)> {
        self.member.peer().serving_under()
    }

    /// A request of a session connected here.
    pub(crate) fn heard(&mut self, ctx: &mut Ctx, now: Now, session: SessionId) {
        self.heard_ms.insert(session, now.mono_ms());
        if self.serving().is_some() {
            let window_us = 1000 * told_within_ms(ctx);
            ctx.facts.heard.entry(session).or_default().note(ctx.now_us, window_us);
        }
    }

    // ---- what arrives ------------------------------------------------------------------------------

    /// Takes what has arrived from the other servers.
    pub(crate) fn receive(&mut self, ctx: &mut Ctx, now: Now, conns: &mut ServerConns) {
        let server = self.place.server;
        for news in ctx.peers.take_news(server) {
            self.hear(ctx, now, news);
        }
        for conn in ctx.peers.waiting_at(server) {
            while let Some((port, segment)) = ctx.peers.receive(ctx.now_us, conn) {
                match (port, segment) {
                    (Port::Election, Segment::Bytes(bytes)) => {
                        self.member.on_election_bytes(now, conn, &bytes);
                    }
                    (Port::Quorum, Segment::Bytes(bytes)) => {
                        self.member.on_quorum_bytes(now, conn, &bytes, conns);
                    }
                    (_, Segment::Closed) => {
                        ctx.peers.close(ctx.now_us, 0, conn, false);
                        match port {
                            Port::Election => self.member.on_election_closed(now, conn),
                            Port::Quorum => self.member.on_quorum_closed(now, conn),
                        }
                    }
                    (_, Segment::Open) => {}
                }
            }
        }
    }

    fn hear(&mut self, ctx: &mut Ctx, now: Now, news: News) {
        let member = &mut self.member;
        match news {
            News::Accepted { port: Port::Election, conn } => member.on_election_accepted(now, conn),
            News::Accepted { port: Port::Quorum, conn }
                if self.listens || self.observer_port.is_some() =>
            {
                member.on_learner_accepted(now, conn);
            }
            // The port was closed while the connection was on its way.
            News::Accepted { conn, .. } => self.close(ctx, conn),
            News::Connected { port: Port::Election, sid, conn } => {
                member.on_election_connected(now, sid, conn);
            }
            News::Connected { conn, .. } => member.on_leader_connected(now, conn),
            News::Refused { port: Port::Election, sid } => {
                member.on_election_connect_failed(now, sid);
            }
            News::Refused { .. } => member.on_leader_connect_failed(now),
            News::History { conn, answer } => member.on_history(now, conn, answer),
        }
    }

    /// Tells the peer which streams have taken everything.
    pub(crate) fn report_drained(&mut self, ctx: &Ctx, now: Now) {
        for conn in std::mem::take(&mut self.undrained) {
            match ctx.peers.port(conn) {
                Some(_) if SOCKET_BUFFER_BYTES < ctx.peers.under_way(conn) => {
                    self.undrained.push(conn);
                }
                Some(Port::Election) => self.member.on_election_drained(now, conn),
                Some(Port::Quorum) => self.member.on_quorum_drained(now, conn),
                None => {}
            }
        }
    }

    /// What the log reported, if it is a member's business alone.
    pub(crate) fn on_log_event(&mut self, ctx: &mut Ctx, now: Now, event: LogEvent) -> Check {
        match event {
            LogEvent::Durable { zxid, .. } => {
                ctx.facts.members.on_held(self.place.server, zxid);
                self.place.promises.on_promise(zxid);
                self.member.on_durable(now, zxid);
            }
            LogEvent::EpochWritten { file, epoch } => {
                match file {
                    EpochFile::Accepted => self.place.promises.on_accepted(epoch),
                    EpochFile::Current => {
                        ctx.facts.members.on_epoch(self.place.server, epoch);
                        self.place.promises.on_current(epoch);
                    }
                }
                self.member.on_epoch_written(now, file, epoch);
            }
            LogEvent::Truncated { is_done, reloaded } => {
                ctx.counts.truncations += u64::from(is_done);
                ctx.counts.reloads += u64::from(reloaded.is_some());
                self.member.on_truncated(now, is_done, reloaded.map(|tree| *tree));
            }
            LogEvent::Installed => {
                ctx.facts.members.on_held(self.place.server, self.delivery.base);
                ctx.facts.members.on_epoch(self.place.server, self.installing);
                self.place.is_unknown = false;
                self.place.promises.on_promise(self.delivery.base);
                self.member.on_installed(now);
            }
            LogEvent::SetAside => self.member.on_set_aside(now),
            LogEvent::Note { text, .. } => {
                let who = format!("server{}", self.place.server + 1);
                ctx.note(&who, format_args!("log: {text}"));
            }
            other => unreachable!("not for a member: {other:?}"),
        }
        Ok(())
    }

    // ---- what leaves -------------------------------------------------------------------------------

    /// Carries out what the member asked for.
    pub(crate) fn carry_out(&mut self, ctx: &mut Ctx) -> Check {
        for effect in self.member.take_io() {
            match effect {
                IoEffect::ConnectElection { sid, addresses } => {
                    self.dial(ctx, Port::Election, sid, &addresses);
                }
                IoEffect::ConnectLeader { sid, addresses } => {
                    self.dial(ctx, Port::Quorum, sid, &addresses);
                }
                IoEffect::Send { conn, bytes } => self.send(ctx, conn, &bytes),
                IoEffect::Close { conn } => self.close(ctx, conn),
                IoEffect::ReadHistory { conn, after, through } => {
                    ctx.counts.history_reads += 1;
                    self.reads.push((conn, after, through));
                    let us = ctx.force_us(self.place.server);
                    let event = Event::Read { server: self.place.server, boot: self.place.boot };
                    ctx.agenda.push(ctx.now_us + us, event);
                }
                IoEffect::SaveLastSeenConfig(config) => {
                    let what = format_args!("hears of members: {}", one_line(&config));
                    ctx.note(&self.place.who(), what);
                    ctx.facts.members.on_seen(self.place.server, &config)?;
                    self.place.configs.1 = config;
                }
                IoEffect::ActivateConfig(config) => self.activate(ctx, config)?,
                IoEffect::Note { text, .. } => {
                    ctx.note(&self.place.who(), format_args!("{text}"));
                }
            }
        }
        let peer = self.member.peer();
        self.listens = peer.state() == ServerState::Leading;
        let ensemble = ctx.plan.ensemble.as_ref().filter(|_| peer.is_observer_master());
        self.observer_port = ensemble.map(|plan| plan.observer_master_port);
        let quorum = &self.member.replica().stats().quorum;
        let quiet = (quorum.connections_kept, quorum.connections_outlived);
        ctx.counts.kept += quiet.0 - self.quiet.0;
        ctx.counts.outlived += quiet.1 - self.quiet.1;
        self.quiet = quiet;
        let held = self.member.held_writes();
        ctx.counts.held_writes += held.saturating_sub(self.held_writes) as u64;
        self.held_writes = held;
        Ok(())
    }

    /// Other members are in force: the files say so, and the own ports may be others.
    fn activate(&mut self, ctx: &mut Ctx, config: Arc<EnsembleConfig>) -> Check {
        let server = self.place.server;
        let who = format!("server{}", server + 1);
        ctx.note(&who, format_args!("members in force: {}", one_line(&config)));
        let version = Zxid(config.version);
        let is_own = self.led.map(i64::from) == Some(version.epoch());
        if !ctx.facts.members.was_in_force(version.0) && version.counter() != 0 && !is_own {
            ctx.counts.finished_later += 1;
        }
        ctx.facts.members.on_activated(server, &self.place.configs.0, &config)?;
        if let Some(ports) = ports_of(&config, self.place.sid()) {
            self.ports = ports;
        }
        if self.place.configs.1.version <= config.version {
            self.place.configs.1 = Arc::clone(&config);
        }
        self.place.configs.0 = config;
        Ok(())
    }

    fn dial(&mut self, ctx: &mut Ctx, port: Port, sid: Sid, addresses: &[Address]) {
        let (from, boot) = (self.place.server, self.place.boot);
        let mut numbers = [0; 3];
        numbers.iter_mut().zip(addresses).for_each(|(number, address)| *number = address.port);
        let dial = ctx.peers.dial(Dial { from, boot, sid, port, numbers, is_overdue: false });
        let us = ctx.peer_latency_us();
        ctx.agenda.push(ctx.now_us + us, Event::Dial { dial });
    }

    fn send(&mut self, ctx: &mut Ctx, conn: Conn, bytes: &Bytes) {
        self.listen_in(ctx, conn, bytes);
        let mut at = 0;
        while at < bytes.len() {
            let rest = bytes.len() - at;
            let len = if ctx.rng.chance(60) { 1 + ctx.rng.index(rest) } else { rest };
            let us = ctx.peer_latency_us();
            let segment = Segment::Bytes(bytes[at..at + len].to_vec());
            ctx.push_peer(|ctx| ctx.peers.send(ctx.now_us, us, conn, segment));
            at += len;
        }
        if !self.undrained.contains(&conn) {
            self.undrained.push(conn);
        }
    }

    fn close(&mut self, ctx: &mut Ctx, conn: Conn) {
        self.streaming.remove(&conn);
        self.syncs.remove(&conn);
        let us = ctx.peer_latency_us();
        ctx.push_peer(|ctx| ctx.peers.close(ctx.now_us, us, conn, true));
    }

    /// Whether something waits to be reported as drained.
    pub(crate) fn wants_turn(&self) -> bool {
        !self.undrained.is_empty() || self.member.has_snapshot_to_stream()
    }

    /// The log was read for a learner.
    pub(crate) fn on_read(&mut self, ctx: &mut Ctx, disk: &dyn Disk, dirs: &DataDirs) {
        let max = ctx.plan.recovery().storage.max_record_bytes;
        for (conn, after, through) in std::mem::take(&mut self.reads) {
            let answer = history::read(disk, &dirs.log_dir, max, after, through);
            ctx.peers.tell(self.place.server, News::History { conn, answer });
        }
    }

    // ---- what is noted -----------------------------------------------------------------------------

    /// Looks at what leaves on a connection: promises, and how learners are synchronised.
    fn listen_in(&mut self, ctx: &mut Ctx, conn: Conn, bytes: &[u8]) {
        if ctx.peers.port(conn) == Some(Port::Election) {
            let vote = bytes.get(4..).and_then(|frame| Notification::read(frame).ok());
            let own =
                vote.filter(|n| n.state == ServerState::Looking && n.leader == self.place.sid());
            if let Some(vote) = own {
                self.place.promises.on_promise(vote.zxid);
            }
            return;
        }
        if self.streaming.contains(&conn) {
            if !bytes.starts_with(b"\0\0\0\x0aBenWas") {
                return;
            }
            self.streaming.remove(&conn);
            return;
        }
        let leads = self.member.peer().state() == ServerState::Leading;
        let mut at = 0;
        while let Ok(TryRead::Done(packet, used)) = QuorumPacket::try_read(&bytes[at..], 1 << 24) {
            at += used;
            self.note_sync(ctx, conn, packet.packet_type());
            match packet.packet_type() {
                Some(PacketType::Diff) => ctx.counts.diffs += 1,
                Some(PacketType::Trunc) => ctx.counts.truncs += 1,
                Some(PacketType::Snap) => {
                    ctx.counts.snaps += 1;
                    self.streaming.insert(conn);
                }
                Some(PacketType::Ack) if !leads && packet.zxid.counter() != 0 => {
                    self.place.promises.on_promise(packet.zxid);
                }
                Some(PacketType::Inform | PacketType::InformAndActivate) if !leads => {
                    ctx.counts.passed_on += 1;
                }
                Some(PacketType::Request) if !leads => ctx.counts.forwarded += 1,
                Some(PacketType::Revalidate) if !leads => ctx.counts.revalidations += 1,
                _ => {}
            }
        }
    }

    /// What a synchronisation is made of.
    fn note_sync(&mut self, ctx: &mut Ctx, conn: Conn, kind: Option<PacketType>) {
        match (kind, self.syncs.get_mut(&conn)) {
            (Some(kind @ (PacketType::Diff | PacketType::Trunc | PacketType::Snap)), _) => {
                self.syncs.insert(conn, (kind, 0, 0));
            }
            (Some(PacketType::Proposal), Some((_, proposals, _))) => *proposals += 1,
            (Some(PacketType::Commit), Some((_, _, commits))) => *commits += 1,
            (Some(PacketType::NewLeader), Some(&mut (kind, proposals, commits))) => {
                self.syncs.remove(&conn);
                let counter = match kind {
                    PacketType::Diff => &mut ctx.counts.diffs_with_txns,
                    PacketType::Trunc => &mut ctx.counts.truncs_with_txns,
                    _ => &mut ctx.counts.snaps_with_txns,
                };
                *counter += u64::from(proposals > 0);
                ctx.counts.uncommitted_syncs += u64::from(proposals > commits);
            }
            _ => {}
        }
    }

    /// The log was handed a command.
    pub(crate) fn on_command(&mut self, ctx: &mut Ctx, now: Now, command: &LogCommand) -> Check {
        let server = self.place.server;
        match command {
            LogCommand::Append { zxid, record } => {
                if self.led.map(i64::from) == Some(zxid.epoch()) {
                    let before = self.delivery.last();
                    integrity::on_proposed(&mut ctx.facts, *zxid, record, before)?;
                    let (in_force, newest) = &self.place.configs;
                    ctx.facts.members.on_proposed(*zxid, in_force, newest);
                    self.on_proposed(ctx, now, record)?;
                } else {
                    integrity::on_logged(&ctx.facts, server, *zxid, record)?;
                }
                self.delivery.records.insert(*zxid, record.clone());
            }
            LogCommand::Truncate { to, .. } => {
                ctx.facts.members.on_held(server, *to);
                self.place.promises.on_replaced(Zxid::ZERO);
                self.delivery.truncate(server, *to)?;
            }
            LogCommand::Install(installation) => {
                self.place.promises.on_replaced(Zxid::ZERO);
                self.installing = installation.current_epoch;
                self.delivery.install(server, installation.zxid)?;
            }
            LogCommand::SetAside { reason } => {
                ctx.facts.members.on_held(server, Zxid::ZERO);
                ctx.counts.quarantines += 1;
                let who = format!("server{}", server + 1);
                ctx.note(&who, format_args!("sets its data aside: {reason}"));
                self.place.promises.on_replaced(Zxid::ZERO);
                self.place.is_unknown = true;
                self.delivery = Delivery::default();
            }
            LogCommand::Roll | LogCommand::WriteEpoch { .. } => {}
        }
        Ok(())
    }

    /// This leader has prepared a txn: a session must not be ended too early.
    fn on_proposed(&self, ctx: &mut Ctx, now: Now, record: &[u8]) -> Check {
        let Ok(record) = Record::read(record) else { return Ok(()) };
        let session = record.header.session;
        if ctx.trace.is_on() {
            let header = &record.header;
            let who = format!("server{}", self.place.server + 1);
            let op = rookeeper_proto::OpCode::from_i32(header.op);
            let (zxid, cxid) = (header.zxid, header.cxid);
            ctx.note(&who, format_args!("proposes {zxid}: {op:?} session {session} cxid {cxid}"));
        }
        if !matches!(record.txn, Txn::CloseSession(_)) {
            return Ok(());
        }
        ctx.expiry.order_closing(session);
        let Some(life) = ctx.history.model.session(session) else { return Ok(()) };
        if record.header.cxid != 0 {
            return Ok(());
        }
        // What was negotiated last, as far as this leader was told; at worst what it began with.
        let tracked = self.member.replica().sessions().session(session);
        let timeout_ms = tracked.map_or(life.timeout_ms, |it| it.timeout_ms.min(life.timeout_ms));
        let timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
        let who = self.place.server + 1;
        let now_ms = now.mono_ms();
        let heard_ms = self.heard_ms.get(&session).copied().unwrap_or(0).max(self.serving_since_ms);
        if now_ms < heard_ms + timeout_ms {
            let what = format!(
                "leader server{who} expires session {session} (time-out {timeout_ms} ms) {} ms after it \
                 heard of it",
                now_ms - heard_ms
            );
            return broken("expiry", what);
        }
        // Where nothing fails, what a learner hears reaches the leader within a tick.
        let tick_ms = ctx.plan.replica.tick_time_ms;
        let quiet_us = ctx.quiet_us();
        let known_us = ctx.now_us.saturating_sub(1000 * told_within_ms(ctx));
        let heard = ctx.facts.heard.get(&session).and_then(|heard| heard.last_before(known_us));
        let silent_ms = ctx.now_us.saturating_sub(heard.unwrap_or(0)) / 1000;
        if 1000 * (timeout_ms + tick_ms) < quiet_us && silent_ms + told_within_ms(ctx) < timeout_ms
        {
            let what = format!(
                "session {session} (time-out {timeout_ms} ms) expired, heard of {silent_ms} ms ago"
            );
            return broken("expiry", what);
        }
        Ok(())
    }

    /// Once at the beginning and once at the end of a turn: whose epoch it is.
    pub(crate) fn note_epoch(&mut self) {
        self.led = self.member.peer().leading_epoch().or(self.led);
    }

    /// The members that an established leader begins with: the txn that named them may be lost.
    fn note_members(&self, ctx: &mut Ctx) {
        let Some((before, _)) = &ctx.history.members else { return };
        let config = self.member.peer().config();
        if before.version < config.version {
            ctx.history.members = Some((Arc::clone(config), Zxid::ZERO));
        }
    }

    /// What the replica has delivered by now: (up to where, and what nobody had delivered before).
    pub(crate) fn delivered(&self, ctx: &Ctx) -> (Zxid, Vec<(Zxid, Bytes)>) {
        let applied = self.member.replica().tree().last_zxid();
        let upto = applied.min(self.member.peer().committed_zxid());
        (upto, ctx.facts.between(ctx.history.model.last(), upto))
    }

    /// The history holds what was delivered: is it the same everywhere, in the tree as well?
    pub(crate) fn check_delivered(&mut self, ctx: &mut Ctx, now: Now, upto: Zxid) -> Check {
        let server = self.place.server;
        let before = self.delivery.upto;
        self.delivery.on_delivered(server, &ctx.history.model, upto)?;
        let tree = self.member.replica().tree();
        let model = &ctx.history.model;
        if before < upto
            && tree.last_zxid() == upto
            && ctx.plan.tree.digest_enabled
            && let Some(txn) = model.txn(upto)
            && tree.digest() != txn.digest
        {
            let (found, expected) = (tree.digest(), txn.digest);
            let what = format!("server{} at {upto}: {found:x}, expected {expected:x}", server + 1);
            return broken("digest", what);
        }
        let serving = self.serving();
        if serving == self.serving {
            return Ok(());
        }
        self.serving = serving;
        self.heard_ms.clear();
        let Some((leader, epoch)) = serving else { return Ok(()) };
        ctx.facts.serving.insert(server, epoch);
        self.serving_since_ms = now.mono_ms();
        let who = format!("server{}", server + 1);
        ctx.note(&who, format_args!("serves under server{} in epoch {epoch}", leader.0));
        if leader == self.place.sid() {
            ctx.counts.elections += 1;
            leadership::on_established(&mut ctx.facts, server, epoch)?;
            primary_integrity::on_established(server, &ctx.history.model, epoch, upto)?;
            ctx.facts.members.on_established(server, epoch)?;
            self.note_members(ctx);
        }
        let tree = self.member.replica().tree();
        digest::compare(tree, &ctx.history.model, tree.last_zxid(), &who)
    }
}

/// Where nothing fails a leader knows what a learner has heard by then: a tick, and the time on the way.
fn told_within_ms(ctx: &Ctx) -> u64 {
    ctx.plan.replica.tick_time_ms + 500
}

/// For the trace.
pub(crate) fn one_line(config: &EnsembleConfig) -> String {
    config.to_string().replace('\n', " ")
}

/// The numbers of a member's election and quorum ports.
pub(crate) fn ports_of(config: &EnsembleConfig, sid: Sid) -> Option<(u16, u16)> {
    let address = config.members.get(&sid)?.addresses.first()?;
    Some((address.election_port, address.quorum_port))
}

fn settings(plan: &EnsemblePlan, seed: u64, sid: Sid, is_observer: bool) -> Settings {
    Settings {
        tick: Duration::from_millis(plan.tick_ms),
        init_limit: plan.init_limit,
        sync_limit: plan.sync_limit,
        is_observer,
        history_records: plan.history_records,
        counter_max: plan.counter_max,
        is_reconfig_enabled: plan.is_reconfig_enabled,
        observer_master_port: plan.observer_master_port,
        seed: seed.wrapping_add(sid.0 as u64),
        ..Settings::new(sid)
    }
}
