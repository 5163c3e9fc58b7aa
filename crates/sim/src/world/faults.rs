//! What goes wrong, and when.

use std::io;

use rookeeper_proto::SessionId;

use super::World;
use super::machine::Machine;
use crate::agenda::Event;
use crate::client::Client;
use crate::net::NEVER_US;
use crate::plan::Fault;
use crate::server::member::sid_of;
use crate::storm;

impl World {
    pub(super) fn plan_fault(&mut self) {
        let mean = self.ctx.plan.fault_every_us;
        let us = self.ctx.rng.spread(mean);
        self.ctx.agenda.push(self.ctx.now_us + us, Event::Fault);
    }

    pub(super) fn strike(&mut self) {
        self.forget_links();
        let weights: Vec<u64> = self.ctx.plan.fault_weights.iter().map(|(_, w)| *w).collect();
        if weights.iter().all(|&weight| weight == 0) {
            return;
        }
        let fault = self.ctx.plan.fault_weights[self.ctx.rng.weighted(&weights)].0;
        let at = self.victim(fault);
        self.ctx.counts.faults += 1;
        self.ctx.note("fault", format_args!("{fault:?} server{}", at + 1));
        match fault {
            Fault::PowerLoss | Fault::Kill | Fault::Stop | Fault::Stall => {
                self.strike_process(at, fault)
            }
            Fault::TornStop | Fault::DiskError | Fault::DiskFull | Fault::SlowDisk => {
                self.strike_disk(at, fault);
            }
            Fault::Cut | Fault::BlackHole | Fault::Storm | Fault::Freeze => self.strike_net(fault),
            Fault::ClockJump => {
                let ctx = &mut self.ctx;
                ctx.counts.clock_jumps += 1;
                let range_ms = ctx.rng.pick(&[500, 10_000, 100_000_000]);
                let jump_ms = ctx.rng.below(2 * range_ms) as i64 - range_ms as i64;
                ctx.machines[at].wall_offset_ms += jump_ms;
            }
            Fault::Block | Fault::Isolate | Fault::PeerCut | Fault::PeerStall => {
                self.strike_peers(at, fault);
            }
            Fault::Blackout => {
                self.ctx.counts.blackouts += 1;
                (0..self.machines.len()).for_each(|at| self.lose_power(at));
            }
            Fault::Wipe => self.wipe(at),
        }
    }

    fn strike_process(&mut self, at: usize, fault: Fault) {
        if self.machines[at].process.is_none() {
            return;
        }
        match fault {
            Fault::PowerLoss => {
                self.ctx.counts.power_losses += 1;
                self.lose_power(at);
            }
            Fault::Kill => {
                self.ctx.counts.kills += 1;
                self.kill(at);
            }
            Fault::Stop => {
                self.ctx.counts.stops += 1;
                if let Some(process) = self.machines[at].end() {
                    process.log.close();
                }
                self.kill(at);
            }
            _ => {
                let us = self.ctx.rng.between(10_000, 4_000_000);
                if let Some(process) = &mut self.machines[at].process {
                    self.ctx.counts.stalls += 1;
                    process.stalled_until_us = self.ctx.now_us + us;
                }
            }
        }
    }

    fn strike_disk(&mut self, at: usize, fault: Fault) {
        let (ctx, machine) = (&mut self.ctx, &mut self.machines[at]);
        let soon = machine.disk.ops() + ctx.rng.between(1, 25);
        if ctx.is_ensemble() && machine.boots == 0 {
            // What makes an empty member may not be cut off: it would never vote.
            return;
        }
        match fault {
            Fault::TornStop => {
                machine.is_disk_faulty = true;
                match &mut machine.process {
                    Some(process) if ctx.rng.chance(600) => process.tears_next_batch = true,
                    _ => machine.disk.stop_at(soon),
                }
            }
            Fault::DiskError => {
                ctx.counts.disk_errors += 1;
                machine.is_disk_faulty = true;
                machine.disk.fail_at(soon, io::ErrorKind::Other);
            }
            Fault::DiskFull => {
                let room = ctx.rng.pick(&[0, 100, 5000, 40_000]);
                machine.is_disk_full = true;
                machine.disk.set_space(Some(machine.disk.used_bytes() + room));
                let us = ctx.rng.between(100_000, 8_000_000);
                ctx.agenda.push(ctx.now_us + us, Event::Room { server: at });
            }
            _ => {
                let us = ctx.rng.between(500_000, 6_000_000);
                ctx.machines[at].slow_until_us = ctx.now_us + us;
            }
        }
    }

    fn strike_net(&mut self, fault: Fault) {
        let at = self.ctx.rng.index(self.clients.len());
        match fault {
            Fault::Cut => {
                self.ctx.counts.cuts += 1;
                self.clients[at].disconnect(&mut self.ctx, "cut");
            }
            Fault::BlackHole => {
                let ctx = &mut self.ctx;
                ctx.counts.black_holes += 1;
                let until_us = match ctx.rng.below(3) {
                    0 => ctx.now_us + ctx.rng.between(100_000, 5_000_000),
                    _ => NEVER_US,
                };
                let sides = ctx.rng.between(1, 3);
                let link = self.clients[at].link().and_then(|link| ctx.links.get_mut(link));
                if let Some(link) = link {
                    if sides & 1 != 0 {
                        link.stall_up(until_us);
                    }
                    if sides & 2 != 0 {
                        link.down.stall(until_us);
                    }
                }
            }
            Fault::Storm => {
                self.ctx.counts.storms += 1;
                let victims: Vec<SessionId> =
                    self.clients.iter().filter_map(Client::session_id).collect();
                let count = self.ctx.rng.between(1, 60);
                storm::strike(&mut self.ctx, count, &victims);
            }
            _ => {
                self.ctx.counts.freezes += 1;
                let max_ms = self.ctx.plan.replica.max_session_timeout_ms as u64;
                let us = self.ctx.rng.between(1000, 2 * max_ms * 1000);
                self.clients[at].frozen_until_us = self.ctx.now_us + us;
            }
        }
    }

    /// Whom it strikes: anybody, but the leader more often than others.
    fn victim(&mut self, fault: Fault) -> usize {
        let any = self.ctx.a_server();
        let is_aimed =
            !matches!(fault, Fault::Cut | Fault::BlackHole | Fault::Storm | Fault::Freeze);
        if !self.ctx.is_ensemble() || !is_aimed || !self.ctx.rng.chance(300) {
            return any;
        }
        self.leader().unwrap_or(any)
    }

    /// A server that leads.
    pub(super) fn leader(&self) -> Option<usize> {
        self.machines.iter().position(|machine| {
            let serving = machine.ensemble().and_then(|ensemble| ensemble.serving());
            serving.is_some_and(|(leader, _)| leader == sid_of(machine.server))
        })
    }

    fn strike_peers(&mut self, at: usize, fault: Fault) {
        let ctx = &mut self.ctx;
        let until_us = ctx.now_us + ctx.rng.between(50_000, 6_000_000);
        match fault {
            Fault::Block => {
                let other = ctx.a_server();
                if other == at {
                    return;
                }
                ctx.counts.blocks += 1;
                let sides = ctx.rng.between(1, 3);
                if sides & 1 != 0 {
                    ctx.peers.block(at, other, until_us);
                }
                if sides & 2 != 0 {
                    ctx.peers.block(other, at, until_us);
                }
            }
            Fault::Isolate => {
                ctx.counts.isolations += 1;
                for other in (0..self.machines.len()).filter(|&other| other != at) {
                    ctx.peers.block(at, other, until_us);
                    ctx.peers.block(other, at, until_us);
                }
            }
            _ => {
                let conns = ctx.peers.of(at);
                if conns.is_empty() {
                    return;
                }
                let conn = conns[ctx.rng.index(conns.len())];
                if fault == Fault::PeerStall {
                    // As long as TCP would go on trying; then it gives up, or gets through.
                    ctx.counts.peer_stalls += 1;
                    ctx.peers.stall(conn, until_us);
                    if ctx.rng.chance(500) {
                        return;
                    }
                }
                ctx.counts.peer_cuts += 1;
                ctx.cut_peer(conn);
            }
        }
    }

    /// Only one machine at a time may have lost what it acknowledged, and the others must be a quorum.
    fn wipe(&mut self, at: usize) {
        // Not a spare that was never started; but also one that may become a member again.
        let is_known = |machine: &Machine| machine.is_spare() || !machine.knows_too_little();
        // A leader that has not noticed would propose members who need it: nobody could end that reconfig.
        let is_counted_on = self.ctx.plan.may_members_change() && self.is_counted_on(at);
        // What it alone has acknowledged may be committed still.
        let has_acknowledged = self.ctx.history.model.last() < self.ctx.facts.members.held(at);
        let is_allowed = self.can_do_without(at)
            && !is_counted_on
            && !has_acknowledged
            && self.machines.iter().all(is_known)
            && !self.machines[at].is_retired
            && self.machines[at].boots > 0
            && !self.ctx.history.model.last().eq(&rookeeper_proto::Zxid::ZERO);
        if !is_allowed {
            return;
        }
        self.ctx.counts.wipes += 1;
        self.lose_power(at);
        self.machines[at].lose_disk();
    }
}
