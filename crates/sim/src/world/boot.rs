//! Starts and ends of servers.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use rookeeper_proto::Zxid;
use rookeeper_replica::durable::Recovered;

use super::{Phase, World};
use crate::agenda::Event;
use crate::checkers::{digest, durability, ephemerals, liveness, zab};
use crate::net::Segment;
use crate::plan::PlantedBug;
use crate::server::Process;
use crate::server::boot::{Replayed, boot};
use crate::violation::{Check, broken};

impl World {
    pub(super) fn plan_boot(&mut self, at: usize, in_us: u64) {
        let machine = &mut self.machines[at];
        if !machine.boot_planned && !machine.is_retired {
            machine.boot_planned = true;
            self.ctx.agenda.push(self.ctx.now_us + in_us, Event::Boot { server: at });
        }
    }

    pub(super) fn boot(&mut self, at: usize) -> Check {
        let (ctx, machine) = (&mut self.ctx, &mut self.machines[at]);
        machine.boot_planned = false;
        if machine.process.is_some() || machine.is_retired {
            return Ok(());
        }
        if ctx.plan.may_members_change() && !machine.is_listed() {
            let who = machine.who();
            ctx.note(&who, format_args!("does not start: it is not in its own list of servers"));
            machine.is_retired = true;
            return Ok(());
        }
        machine.boots += 1;
        // What makes an empty member may not be cut off: it would never vote.
        let is_first = ctx.is_ensemble() && machine.boots == 1;
        if self.phase == Phase::Faults && !is_first && ctx.rng.chance(100) {
            // Recovery itself may be cut off.
            let ops = machine.disk.ops() + ctx.rng.between(1, 12);
            if ctx.rng.chance(500) {
                machine.disk.stop_at(ops);
            } else {
                machine.disk.fail_at(ops, io::ErrorKind::Other);
            }
            machine.is_disk_faulty = true;
        }
        let before = ctx.plan.planted.map(|_| machine.disk.files());
        let recovery = ctx.plan.recovery();
        let started = machine
            .locks()
            .and_then(|locks| Ok((boot(&*machine.disk, &machine.dirs, &recovery)?, locks)));
        if ctx.plan.planted == Some(PlantedBug::TornTailKept) {
            self.uncut(at, before.unwrap_or_default());
        }
        let (ctx, machine) = (&mut self.ctx, &mut self.machines[at]);
        let who = machine.who();
        let ((recovered, replayed), locks) = match started {
            Ok(started) => started,
            Err(why) if machine.is_disk_faulty || machine.is_disk_full => {
                ctx.counts.broken_recoveries += 1;
                ctx.note(&who, format_args!("start failed: {why}"));
                self.lose_power(at);
                return Ok(());
            }
            Err(why) => return Err(liveness::refused_start(&format!("{who}: {why}"))),
        };
        ctx.counts.recoveries += 1;
        let warnings = &recovered.report.warnings;
        let torn = warnings.iter().any(|said| said.contains("a write that a crash cut off"));
        ctx.counts.torn_tails += u64::from(torn);
        ctx.note(
            &who,
            format_args!(
                "recovered up to {}, {} replayed; {:?} {:?}",
                recovered.last,
                replayed.len(),
                recovered.report.notes,
                warnings
            ),
        );
        if let Some(zxid) = recovered.mismatches.1 {
            let what = format!("{who}: replaying {zxid} gave another digest than recorded");
            return broken("digest", what);
        }
        self.check_recovery(at, &recovered, &replayed)?;
        let (ctx, machine) = (&mut self.ctx, &mut self.machines[at]);
        machine.is_unknown = recovered.is_unknown;
        let found = (recovered, replayed);
        let place = machine.place();
        let process = Process::start(ctx, place, &machine.disk, &machine.dirs, found, locks);
        let mut process =
            process.map_err(|why| liveness::refused_start(&format!("{who}: {why}")))?;
        process.wake(ctx, ctx.now_us + 1);
        machine.process = Some(process);
        Ok(())
    }

    /// What a recovery found, against what was told to others.
    pub(super) fn check_recovery(
        &mut self,
        at: usize,
        recovered: &Recovered,
        replayed: &Replayed,
    ) -> Check {
        let ctx = &mut self.ctx;
        if !ctx.is_ensemble() {
            durability::on_recovery(&ctx.history, recovered.last, replayed)?;
            let unacknowledged = (recovered.last.0 - ctx.history.revealed.0).max(0);
            ctx.counts.kept_txns += unacknowledged as u64;
            ctx.counts.dropped_txns += ctx.history.truncate(recovered.last).len() as u64;
            ctx.sequential.truncate(recovered.last);
            let model = &ctx.history.model;
            digest::compare(&recovered.tree, model, recovered.last, "recovery")?;
            return ephemerals::check(&recovered.tree, model);
        }
        for (zxid, bytes) in replayed {
            zab::integrity::on_logged(&ctx.facts, at, *zxid, bytes)?;
        }
        let last = if recovered.is_unknown { Zxid::ZERO } else { recovered.last };
        self.machines[at].promises().on_recovery(at, last, recovered.epochs)?;
        // What it found counts from now on as if it had just been written.
        self.ctx.facts.members.on_held(at, last);
        if let Some(epochs) = recovered.epochs {
            self.ctx.facts.members.on_epoch(at, u32::try_from(epochs.current).unwrap_or(0));
            self.machines[at].found(epochs);
        }
        let ctx = &mut self.ctx;
        // What is beyond the history was never committed, or not yet.
        let model = &ctx.history.model;
        let is_committed = |(zxid, bytes): &(Zxid, Vec<u8>)| {
            model.txn(*zxid).is_some_and(|txn| txn.record == *bytes)
        };
        // A leader's snapshot may hold what is committed only once its epoch is.
        let shown = recovered.tree.last_zxid();
        let is_known = shown.counter() == 0 || model.txn(shown).is_some();
        if is_known && replayed.iter().all(is_committed) {
            let who = format!("recovery of {}", self.machines[at].who());
            let tree = &recovered.tree;
            digest::compare(tree, model, tree.last_zxid(), &who)?;
            return ephemerals::check(tree, model);
        }
        ctx.counts.kept_txns +=
            replayed.iter().filter(|record| !is_committed(record)).count() as u64;
        Ok(())
    }

    /// Undoes the cutting of torn tails.
    fn uncut(&self, at: usize, before: BTreeMap<PathBuf, Vec<u8>>) {
        let disk = &self.machines[at].disk;
        for (path, bytes) in before {
            if disk.contents(&path).is_some_and(|now| now.len() < bytes.len()) {
                disk.put(&path, &bytes);
            }
        }
    }

    /// The machines may have stopped in the middle of what just happened.
    pub(super) fn look_at_disks(&mut self, of: std::ops::Range<usize>) {
        for at in of {
            if self.machines[at].disk.is_stopped() {
                self.ctx.counts.torn_stops += 1;
                let who = self.machines[at].who();
                self.ctx.note(&who, format_args!("the machine stops within a disk operation"));
                self.ctx.note_late_fault();
                self.lose_power(at);
            }
        }
    }

    pub(super) fn end_failed_process(&mut self, at: usize) {
        let process = self.machines[at].process.as_mut();
        let Some(why) = process.and_then(|process| process.failure.take()) else { return };
        self.ctx.counts.failed_stops += 1;
        let who = self.machines[at].who();
        self.ctx.note(&who, format_args!("stops: {why}"));
        self.ctx.note_late_fault();
        if self.ctx.rng.chance(500) { self.lose_power(at) } else { self.kill(at) }
    }

    pub(super) fn lose_power(&mut self, at: usize) {
        drop(self.machines[at].end());
        self.machines[at].lose_power(&mut self.ctx.rng);
        let is_silent = self.ctx.rng.chance(300);
        self.break_links(at, is_silent);
        let us = self.ctx.rng.between(1000, 3_000_000);
        self.plan_boot(at, us);
    }

    pub(super) fn kill(&mut self, at: usize) {
        drop(self.machines[at].end());
        self.machines[at].disk.restart();
        self.machines[at].is_disk_faulty = false;
        self.break_links(at, false);
        let us = self.ctx.rng.between(1000, 1_000_000);
        self.plan_boot(at, us);
    }

    /// All connections of a server end; the others hear of it, or find out themselves.
    fn break_links(&mut self, at: usize, is_silent: bool) {
        let ctx = &mut self.ctx;
        for id in ctx.links.of(at) {
            let delay = ctx.latency_us();
            let loses = ctx.rng.chance(500);
            let now_us = ctx.now_us;
            ctx.links.clear_up(id);
            let Some(link) = ctx.links.get_mut(id) else { continue };
            if loses {
                link.down.clear();
            }
            if !is_silent {
                let at = link.down.send(now_us, delay, Segment::Closed);
                ctx.agenda.push(at, Event::Down { link: id });
            }
        }
        for conn in ctx.peers.of(at) {
            let us = ctx.peer_latency_us();
            ctx.push_peer(|ctx| ctx.peers.close(ctx.now_us, us, conn, !is_silent));
        }
        drop(ctx.peers.take_news(at));
        self.forget_links();
    }
}
