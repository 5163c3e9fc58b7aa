//! Carries out the effects of the servers and hands them their inputs: what a real driver does with
//! sockets and files.

use std::collections::VecDeque;
use std::hash::Hash;

use rookeeper_proto::quorum::{ForwardedBody, Notification, PacketType, QuorumPacket, TryRead};
use rookeeper_proto::{SessionId, Sid};
use rookeeper_zab::{Conn, Effect, Effects, Instant, Peer, ServingRole};

use super::disk::{Done, Op, State, entry};
use super::invariants::*;
use super::net::Parcel;
use super::{Event, MS, World};

impl World {
    /// Gives one input to a server and carries out what it asks for.
    pub fn input(&mut self, i: usize, input: impl FnOnce(&mut Peer, Instant, &mut Effects)) {
        let now = Instant(self.now);
        let mut fx = Effects::new();
        let Some(peer) = self.nodes[i].peer.as_mut() else { return };
        input(peer, now, &mut fx);
        self.carry_out(i, fx);
    }

    pub fn carry_out(&mut self, i: usize, mut fx: Effects) {
        let mut queue: VecDeque<Effect> = fx.drain().collect();
        self.note_initial(i);
        while let Some(effect) = queue.pop_front() {
            (i, std::mem::discriminant(&effect)).hash(&mut self.trace);
            self.say_effect(i, &effect);
            self.effect(i, effect, &mut fx);
            queue.extend(fx.drain());
            self.note_initial(i);
        }
        self.schedule(i);
    }

    fn say_effect(&self, i: usize, effect: &Effect) {
        self.say(|| match effect {
            Effect::SendElection { conn, bytes } => match Notification::read(&bytes[4..]) {
                Ok(n) => format!(
                    "{i} votes on {conn:?}: {:?} {} {} round {} epoch {}",
                    n.state, n.leader, n.zxid, n.round, n.epoch
                ),
                Err(_) => format!("{i} introduces itself on {conn:?}"),
            },
            Effect::SendQuorum { conn, bytes } => {
                let packets = packets(bytes);
                let texts: Vec<String> =
                    packets.iter().map(|p| format!("{:?} {}", p.packet_type(), p.zxid)).collect();
                format!("{i} sends on {conn:?}: {}", texts.join(", "))
            }
            other => format!("{i} {other:?}"),
        });
    }

    /// Remembers the history with which a leader begins to synchronise.
    fn note_initial(&mut self, i: usize) {
        let node = &self.nodes[i];
        if let Some(epoch) = node.peer.as_ref().and_then(Peer::leading_epoch)
            && !self.facts.initial.contains_key(&epoch)
        {
            self.facts.initial.insert(epoch, node.disk.durable_entries());
        }
    }

    fn schedule(&mut self, i: usize) {
        let deadline = self.nodes[i].peer.as_ref().and_then(Peer::next_deadline).map(|at| at.0);
        if let Some(at) = deadline
            && self.nodes[i].wake_at.is_none_or(|wake| at < wake)
        {
            self.nodes[i].wake_at = Some(at);
            let life = self.nodes[i].life;
            self.at(at, Event::Wake { node: i, life });
        }
    }

    fn effect(&mut self, i: usize, effect: Effect, fx: &mut Effects) {
        let now = Instant(self.now);
        match effect {
            Effect::ConnectElection { sid, .. } => self.dial(i, sid, true),
            Effect::ConnectLeader { sid, .. } => self.dial(i, sid, false),
            Effect::SendElection { conn, bytes } => {
                if let Ok(n) = Notification::read(&bytes[4..]) {
                    let node = &self.nodes[i];
                    self.verdict(durable_vote::on_vote(i, node.sid, &n, &node.disk));
                }
                self.send(conn, &bytes);
            }
            Effect::SendQuorum { conn, bytes } => {
                self.check_packets(i, conn, &bytes);
                self.send(conn, &bytes);
            }
            Effect::CloseElection { conn } | Effect::CloseQuorum { conn } => self.close(conn),
            Effect::WriteAcceptedEpoch { epoch } => self.submit(i, Op::Accepted(epoch)),
            Effect::WriteCurrentEpoch { epoch } => self.submit(i, Op::Current(epoch)),
            Effect::Append { record } => {
                self.nodes[i].pending.push_back(record.clone());
                self.submit(i, Op::Append(record));
            }
            Effect::TruncateLog { to } => {
                self.stats.truncs += 1;
                self.submit(i, Op::Truncate(to));
            }
            Effect::InstallSnapshot { through, records, current_epoch } => {
                let mut state = self.nodes[i].received.take().expect("a snapshot was received");
                records.iter().for_each(|record| state.apply(record));
                state.zxid = through;
                self.submit(i, Op::Install(state, current_epoch));
            }
            Effect::Quarantine { reason } => {
                self.say(|| format!("{i} in quarantine: {reason}"));
                self.stats.quarantines += 1;
                self.submit(i, Op::Quarantine);
            }
            Effect::ReadHistory { conn, after, through } => {
                self.stats.history_reads += 1;
                let max = self.rng.range(1, 20) as usize;
                let answer = self.nodes[i].disk.read(after, through, max);
                if let Some(peer) = self.nodes[i].peer.as_mut() {
                    peer.on_history(now, conn, answer, fx);
                }
            }
            Effect::ReceiveSnapshot { .. } => {
                self.stats.snaps += 1;
                self.nodes[i].incoming = Some(Vec::new());
            }
            Effect::SnapshotBytes { bytes } => self.receive(i, &bytes, fx),
            Effect::AbandonSnapshot => {
                self.nodes[i].incoming = None;
                self.nodes[i].received = None;
            }
            Effect::TakeSnapshot { conn, through } => {
                let node = &mut self.nodes[i];
                let mut state = node.app.clone();
                let records = node.pending.iter().filter(|r| r.zxid <= through);
                records.for_each(|record| state.apply(record));
                let zxid = state.zxid;
                node.captured.insert(conn, state);
                if let Some(peer) = node.peer.as_mut() {
                    peer.on_snapshot_taken(now, conn, zxid, fx);
                }
            }
            Effect::StreamSnapshot { conn } => {
                let state = self.nodes[i].captured.remove(&conn).expect("captured");
                for chunk in state.to_bytes().chunks(100) {
                    self.send(conn, chunk);
                }
                let life = self.nodes[i].life;
                let delay = self.rng.range(0, 20 * MS);
                self.after_us(delay, Event::SnapshotSent { node: i, life, conn });
            }
            Effect::CancelSnapshot { conn } => {
                self.nodes[i].captured.remove(&conn);
            }
            Effect::CommitUpTo { zxid } => {
                let node = &mut self.nodes[i];
                while let Some(record) = node.pending.front().filter(|r| r.zxid <= zxid) {
                    node.app.apply(record);
                    node.pending.pop_front();
                }
                self.stats.commits += 1;
                if self.nodes[i].app.zxid < zxid {
                    let at = self.nodes[i].app.zxid;
                    self.verdict(Err(format!("I7: {i} must apply {zxid}, has only {at}")));
                }
                self.check_delivered(i);
            }
            Effect::StartServing { role, leader, epoch, .. } => {
                self.start_serving(i, role, leader, epoch)
            }
            Effect::StopServing { .. } => self.nodes[i].is_serving = false,
            Effect::ForwardedRequest(request) => {
                self.stats.forwarded += 1;
                if let Some(peer) = self.nodes[i].peer.as_mut().filter(|p| p.is_observer_master()) {
                    let body = ForwardedBody {
                        session: request.session,
                        cxid: request.cxid,
                        op: request.op,
                        body: &request.body,
                    };
                    let _ = peer.relay_request(request.conn, &body, &request.auth, fx);
                }
                if let Some(Ok(zxid)) = self.nodes[i].peer.as_ref().map(Peer::next_zxid) {
                    let record = self.record(zxid);
                    let verdict = integrity::on_proposed(&mut self.facts, entry(&record));
                    self.verdict(verdict);
                    if let Some(peer) = self.nodes[i].peer.as_mut() {
                        peer.propose(now, record, fx).expect("the zxid was asked for");
                        peer.sync_for(request.conn, fx);
                    }
                }
            }
            Effect::RevalidateRequest { conn, session, timeout_ms } => {
                match self.nodes[i].peer.as_mut() {
                    Some(peer) if peer.is_observer_master() => {
                        let _ = peer.relay_revalidate(conn, session, timeout_ms, fx);
                    }
                    Some(peer) => peer.answer_revalidate(conn, session, true, fx),
                    None => {}
                }
            }
            Effect::SaveLastSeenConfig { config } => self.nodes[i].configs.1 = config,
            Effect::ActivateConfig { config } => {
                // I18: activated versions strictly grow.
                if config.version <= self.nodes[i].configs.0.version {
                    self.verdict(Err(format!("I18: {i} activates {:x} again", config.version)));
                }
                self.nodes[i].configs.0 = config;
            }
            Effect::Note { .. }
            | Effect::SessionsTouched { .. }
            | Effect::RevalidateAnswer { .. }
            | Effect::SyncAnswer
            | Effect::LearnerGone { .. } => {}
        }
    }

    fn receive(&mut self, i: usize, bytes: &[u8], fx: &mut Effects) {
        let now = Instant(self.now);
        let node = &mut self.nodes[i];
        let Some(incoming) = node.incoming.as_mut() else { return };
        incoming.extend_from_slice(bytes);
        if let Some((state, used)) = State::from_bytes(incoming) {
            let rest = incoming.split_off(used);
            node.received = Some(state);
            node.incoming = None;
            if let Some(peer) = node.peer.as_mut() {
                peer.on_snapshot_received(now, &rest, fx);
            }
        }
    }

    fn start_serving(&mut self, i: usize, role: ServingRole, leader: Sid, epoch: u32) {
        self.nodes[i].is_serving = true;
        self.nodes[i].checked = 0;
        self.check_delivered(i);
        let figures = self.nodes[i].peer.as_ref().map(Peer::figures);
        let is_hosted = figures.is_some_and(|figures| figures.master.is_some_and(|m| m != leader));
        self.stats.hosted += u64::from(is_hosted);
        if role == ServingRole::Leading {
            self.stats.established += 1;
            let verdict = leadership::on_established(&mut self.facts, i, epoch);
            self.verdict(verdict);
            let delivered = self.delivered(i);
            self.verdict(primary_integrity::on_established(&self.facts, i, epoch, &delivered));
            return;
        }
        let at = self.index(leader);
        let leads = self.nodes[at].peer.as_ref().and_then(Peer::leading_epoch) == Some(epoch);
        if leads {
            let node = &self.nodes[at];
            let pending = node.pending.iter().map(entry);
            let log: Vec<_> = node.app.entries.iter().copied().chain(pending).collect();
            self.verdict(truncation::on_up_to_date(i, &log, &self.nodes[i].disk));
        }
    }

    /// What a server has delivered for good.
    pub fn delivered(&self, i: usize) -> Vec<super::disk::Entry> {
        let node = &self.nodes[i];
        let Some(commit) = node.peer.as_ref().map(Peer::committed_zxid) else { return Vec::new() };
        let n = node.app.entries.partition_point(|(zxid, _)| *zxid <= commit);
        node.app.entries[..n].to_vec()
    }

    fn check_delivered(&mut self, i: usize) {
        let delivered = self.delivered(i);
        let from = self.nodes[i].checked.min(delivered.len());
        let new = &delivered[from..];
        let previous = from.checked_sub(1).map(|at| delivered[at]);
        let verdict = prefix_consistency::on_delivered(&mut self.facts, i, &delivered, from);
        self.verdict(verdict);
        self.verdict(integrity::on_delivered(&self.facts, new));
        self.verdict(total_order::on_delivered(i, &delivered[from.saturating_sub(1)..]));
        self.verdict(local_primary_order::on_delivered(i, previous, new));
        self.verdict(global_primary_order::on_delivered(i, &delivered[from.saturating_sub(1)..]));
        self.nodes[i].checked = delivered.len();
    }

    fn check_packets(&mut self, i: usize, conn: Conn, bytes: &[u8]) {
        for packet in packets(bytes) {
            let is_first_leader_ack = packet.zxid.counter() == 0
                && packet.packet_type() == Some(PacketType::Ack)
                && self.acked_leader.insert(conn);
            match packet.packet_type() {
                Some(PacketType::Ack) if is_first_leader_ack => {
                    let epoch = packet.zxid.epoch() as u32;
                    let verdict =
                        new_leader_ack::on_ack(&self.facts, i, epoch, &self.nodes[i].disk);
                    self.verdict(verdict);
                }
                Some(PacketType::Ack) if 0 < packet.zxid.counter() => {
                    self.verdict(durable_ack::on_ack(i, packet.zxid, &self.nodes[i].disk));
                }
                Some(PacketType::Diff) => self.stats.diffs += 1,
                _ => {
                    let verdict = self.streams.entry(conn).or_default().on_sent(&packet);
                    self.verdict(verdict);
                }
            }
        }
    }

    fn dial(&mut self, i: usize, sid: Sid, is_election: bool) {
        let to = self.index(sid);
        let is_blocked = self.net.is_blocked(i, to) || self.net.is_blocked(to, i);
        let is_ok = !is_blocked && self.nodes.get(to).is_some_and(|node| node.peer.is_some());
        let delay = if is_blocked { 500 * MS } else { self.rng.range(200, 3000) };
        let life = self.nodes[i].life;
        self.after_us(delay, Event::Dialed { node: i, life, sid, is_election, is_ok });
    }

    fn send(&mut self, conn: Conn, bytes: &[u8]) {
        let Some(end) = self.net.ends.get(&conn).filter(|end| !end.is_closed) else { return };
        let other = end.other;
        if self.net.ends.get(&other).is_none_or(|end| end.is_closed) {
            // Half-open: the answer to what is sent is a reset.
            self.transmit(conn, Parcel::Close);
            return;
        }
        let cut = match self.rng.one_in(8) {
            true => self.rng.below(bytes.len() as u64 + 1) as usize,
            false => bytes.len(),
        };
        self.transmit(other, Parcel::Bytes(bytes[..cut].to_vec()));
        if cut < bytes.len() {
            self.transmit(other, Parcel::Bytes(bytes[cut..].to_vec()));
        }
        let delay = self.rng.range(10, 300);
        self.after_us(delay, Event::Drained { conn });
    }

    pub fn close(&mut self, conn: Conn) {
        let Some(end) = self.net.ends.get_mut(&conn).filter(|end| !end.is_closed) else { return };
        end.is_closed = true;
        let other = end.other;
        self.transmit(other, Parcel::Close);
    }

    fn submit(&mut self, i: usize, op: Op) {
        self.nodes[i].disk.submit(op);
        self.run_disk(i);
    }

    fn run_disk(&mut self, i: usize) {
        if self.nodes[i].disk.is_busy() || !self.nodes[i].disk.start() {
            return;
        }
        self.verdict(log_continuity::on_appended(i, &self.nodes[i].disk));
        let slow = self.nodes[i].is_disk_slow;
        let delay = if slow { self.rng.range(50 * MS, 900 * MS) } else { self.rng.range(50, 4000) };
        let life = self.nodes[i].life;
        self.after_us(delay, Event::DiskDone { node: i, life });
    }

    fn disk_done(&mut self, i: usize) {
        let Some(done) = self.nodes[i].disk.finish() else { return };
        if matches!(done, Done::Current(_) | Done::Installed(_)) {
            let disk = &self.nodes[i].disk;
            let verdict = epoch_vouches::on_current_written(&self.facts, i, disk.current, disk);
            self.verdict(verdict);
        }
        self.run_disk(i);
        match done {
            Done::Accepted(epoch) => self.input(i, |p, now, fx| {
                p.on_accepted_epoch_written(now, epoch, fx);
            }),
            Done::Current(epoch) => self.input(i, |p, now, fx| {
                p.on_current_epoch_written(now, epoch, fx);
            }),
            Done::Durable(zxid) => self.input(i, |p, now, fx| p.on_durable(now, zxid, fx)),
            Done::Truncated(is_done) => {
                if is_done {
                    self.reload(i);
                }
                self.input(i, |p, now, fx| p.on_truncated(now, is_done, fx));
            }
            Done::Installed(state) => {
                let node = &mut self.nodes[i];
                node.app = state;
                node.pending.clear();
                node.checked = 0;
                self.input(i, |p, now, fx| p.on_snapshot_installed(now, fx));
            }
            Done::Quarantined => {
                self.reload(i);
                self.input(i, |p, now, fx| p.on_quarantined(now, fx));
            }
        }
    }

    fn reload(&mut self, i: usize) {
        let node = &mut self.nodes[i];
        node.app = node.disk.snapshot.clone();
        node.pending = node.disk.log.clone().into();
        node.checked = 0;
    }

    fn is_alive(&self, i: usize, life: u32) -> bool {
        self.nodes[i].peer.is_some() && self.nodes[i].life == life
    }

    pub fn handle(&mut self, event: Event) {
        match event {
            Event::Wake { node, life } => {
                if self.is_alive(node, life) {
                    self.nodes[node].wake_at = None;
                    let due = self.nodes[node].peer.as_ref().and_then(Peer::next_deadline);
                    if due.is_some_and(|at| at.0 <= self.now) {
                        self.input(node, |p, now, fx| p.on_time(now, fx));
                    } else {
                        self.schedule(node);
                    }
                }
            }
            Event::Deliver { conn, parcel } => self.deliver(conn, parcel),
            Event::Drained { conn } => {
                let Some(end) = self.net.ends.get(&conn).filter(|end| !end.is_closed) else {
                    return;
                };
                let (node, is_election) = (end.node, end.is_election);
                self.input(node, |p, now, fx| match is_election {
                    true => p.on_election_drained(now, conn, fx),
                    false => p.on_quorum_drained(now, conn, fx),
                });
            }
            Event::Dialed { node, life, sid, is_election, is_ok } => {
                if self.is_alive(node, life) {
                    self.dialed(node, sid, is_election, is_ok);
                }
            }
            Event::DiskDone { node, life } => {
                if self.is_alive(node, life) {
                    self.disk_done(node);
                }
            }
            Event::SnapshotSent { node, life, conn } => {
                if self.is_alive(node, life) {
                    self.input(node, |p, now, fx| p.on_snapshot_sent(now, conn, fx));
                }
            }
            Event::Workload => self.work(),
            Event::Fault => self.fault(),
            Event::Restart { node } => self.start(node),
            Event::Unblock { from, to } => self.unblock(from, to),
            Event::Script(_) => {}
        }
    }

    fn dialed(&mut self, i: usize, sid: Sid, is_election: bool, is_ok: bool) {
        let to = self.index(sid);
        if is_ok && self.nodes[to].peer.is_some() {
            let (mine, theirs) = self.net.open(i, to, is_election);
            self.input(to, |p, now, fx| match is_election {
                true => p.on_election_accepted(now, theirs, fx),
                false => p.on_learner_accepted(now, theirs, fx),
            });
            self.input(i, |p, now, fx| match is_election {
                true => p.on_election_connected(now, sid, mine, fx),
                false => p.on_leader_connected(now, mine, fx),
            });
        } else {
            self.input(i, |p, now, fx| match is_election {
                true => p.on_election_connect_failed(now, sid, fx),
                false => p.on_leader_connect_failed(now, fx),
            });
        }
    }

    fn deliver(&mut self, conn: Conn, parcel: Parcel) {
        let Some(end) = self.net.ends.get_mut(&conn).filter(|end| !end.is_closed) else { return };
        let (node, is_election) = (end.node, end.is_election);
        if self.net.blocked.contains(&(end.other_node, node)) || !end.stalled.is_empty() {
            end.stalled.push(parcel);
            return;
        }
        match parcel {
            Parcel::Bytes(bytes) => {
                bytes.hash(&mut self.trace);
                self.input(node, |p, now, fx| match is_election {
                    true => p.on_election_bytes(now, conn, &bytes, fx),
                    false => p.on_quorum_bytes(now, conn, &bytes, fx),
                });
            }
            Parcel::Close => {
                end.is_closed = true;
                self.input(node, |p, now, fx| match is_election {
                    true => p.on_election_closed(now, conn, fx),
                    false => p.on_quorum_closed(now, conn, fx),
                });
            }
        }
    }

    fn unblock(&mut self, from: usize, to: usize) {
        if !self.net.blocked.remove(&(from, to)) {
            return;
        }
        let ends = self.net.ends.iter_mut();
        let waiting = ends.filter(|(_, end)| end.node == to && end.other_node == from);
        let parcels: Vec<_> =
            waiting.map(|(conn, end)| (*conn, std::mem::take(&mut end.stalled))).collect();
        for (conn, list) in parcels {
            // What arrives later must stay behind these.
            for parcel in list {
                self.transmit(conn, parcel);
            }
        }
    }

    /// A client writes somewhere.
    fn work(&mut self) {
        if !self.is_working {
            return;
        }
        let delay = self.rng.range(MS, 40 * MS);
        self.after_us(delay, Event::Workload);
        let i = self.rng.below(self.nodes.len() as u64) as usize;
        match self.nodes[i].peer.as_ref().map(Peer::next_zxid) {
            Some(Ok(zxid)) => {
                let record = self.record(zxid);
                let verdict = integrity::on_proposed(&mut self.facts, entry(&record));
                self.verdict(verdict);
                self.input(i, |p, now, fx| {
                    p.propose(now, record, fx).expect("the zxid was asked for");
                });
            }
            _ => self.input(i, |p, _, fx| {
                let body = ForwardedBody { session: SessionId(7), cxid: 1, op: 5, body: b"b" };
                let _ = p.forward_request(&body, &[], fx);
                let _ = p.revalidate(SessionId(7), 4000, fx);
                p.touch(SessionId(7), 4000);
            }),
        }
    }
}

fn packets(bytes: &[u8]) -> Vec<QuorumPacket<'_>> {
    let mut out = Vec::new();
    let mut at = 0;
    if bytes.starts_with(b"\0\0\0\x0aBenWas") {
        return out;
    }
    while let Ok(TryRead::Done(packet, used)) = QuorumPacket::try_read(&bytes[at..], 1 << 20) {
        out.push(packet);
        at += used;
    }
    out
}
