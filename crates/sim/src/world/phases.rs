//! The phases behind the faults: healing, draining, the last restart.

use rookeeper_proto::{Sid, Zxid};

use super::{Phase, World};
use crate::agenda::Event;
use crate::checkers::{digest, ephemerals, liveness};
use crate::server::boot::boot;
use crate::server::member::sid_of;
use crate::violation::{Check, broken};

/// How often the phase is looked at.
pub(super) const PHASE_CHECK_US: u64 = 250_000;
/// A run of an ensemble lasts at least so long, and so many faults strike it.
const RUN_US_MIN: u64 = 30_000_000;
const FAULTS_MIN: u64 = 3;
const OPERATIONS_MIN: u64 = 500;
/// Even then the faults end.
const FAULTS_US_MAX: u64 = 900_000_000;

impl World {
    /// Longest time-out and what surrounds it.
    fn patience_us(&self) -> u64 {
        let config = &self.ctx.plan.replica;
        let ms = config.max_session_timeout_ms as u64 + 2 * config.tick_time_ms + 10_000;
        ms * 1000
    }

    pub(super) fn look_at_phase(&mut self) -> Check {
        let now_us = self.ctx.now_us;
        match self.phase {
            Phase::Faults if self.is_enough() => self.heal(),
            Phase::Faults | Phase::Over => {}
            Phase::Healing => {
                let limit_us = self.phase_limit_us;
                self.admit_the_excluded();
                self.start_the_members();
                let waiting = self.clients.iter().find(|c| c.served.0 == 0 || c.served.1 == 0);
                match waiting {
                    Some(client) => liveness::in_time(now_us, limit_us, || client.state())?,
                    None => match self.out_of_step() {
                        Some(who) => liveness::in_time(now_us, limit_us, || who)?,
                        None if self.ctx.quiet_us() < self.quiet_us_min() => {}
                        None if self.ctx.is_ensemble() && now_us < RUN_US_MIN => {}
                        None => self.drain(),
                    },
                }
            }
            Phase::Draining => {
                self.start_the_members();
                let left: Vec<_> = self.ctx.history.model.live_sessions().collect();
                let outstanding: Vec<Option<_>> = self
                    .in_use()
                    .map(|machine| Some(machine.process.as_ref()?.replica().outstanding()))
                    .collect();
                let is_idle = outstanding.iter().all(|&requests| requests == Some(0));
                let lagging = self.out_of_step();
                if left.is_empty() && is_idle && lagging.is_none() {
                    self.phase = Phase::Over;
                } else {
                    let what = || {
                        format!("sessions left: {left:?}, outstanding {outstanding:?}, {lagging:?}")
                    };
                    liveness::in_time(now_us, self.phase_limit_us, what)?;
                }
            }
        }
        self.ctx.agenda.push(now_us + PHASE_CHECK_US, Event::Phase);
        Ok(())
    }

    fn heal(&mut self) {
        self.ctx.note("phase", format_args!("faults end"));
        self.phase = Phase::Healing;
        self.ctx.is_healing = true;
        self.ctx.healing_since_us = self.ctx.now_us;
        for conditions in &mut self.ctx.machines {
            conditions.slow_until_us = 0;
        }
        for machine in &mut self.machines {
            machine.is_disk_full = false;
            machine.disk.set_space(None);
        }
        for conn in self.ctx.peers.heal() {
            self.ctx.agenda.push(self.ctx.now_us, Event::Peer { conn });
        }
        for link in self.ctx.links.values_mut() {
            // A dead connection stays dead; its ends must find out.
            link.stall_up(0);
        }
        for client in &mut self.clients {
            client.frozen_until_us = 0;
        }
        // A fault armed in the disk may still strike once.
        self.phase_limit_us = self.ctx.now_us + 3 * self.patience_us();
        for at in 0..self.clients.len() {
            self.clients[at].wake(&mut self.ctx, 1000);
        }
    }

    fn drain(&mut self) {
        self.ctx.note("phase", format_args!("all served again; clients leave"));
        self.phase = Phase::Draining;
        for client in &mut self.clients {
            client.drain(&mut self.ctx);
        }
        self.phase_limit_us = self.ctx.now_us + 3 * self.patience_us();
    }

    /// Whether enough has been asked and suffered.
    fn is_enough(&self) -> bool {
        let now_us = self.ctx.now_us;
        let is_asked = self.ops_left == 0 && self.ctx.plan.faults_us_min <= now_us;
        let is_struck = !self.ctx.is_ensemble() || FAULTS_MIN <= self.ctx.counts.faults;
        if is_asked && is_struck {
            return true;
        }
        // Where hardly anybody is ever served, faults go on until enough was asked.
        let wanted = self.ctx.plan.habits.ops.min(OPERATIONS_MIN);
        let limit_us = match self.ctx.is_ensemble() && self.ctx.counts.operations < wanted {
            true => FAULTS_US_MAX,
            false => self.phase_limit_us,
        };
        limit_us < now_us
    }

    /// Long enough for a session to expire for which nobody would pass on a sign of life.
    fn quiet_us_min(&self) -> u64 {
        match self.ctx.is_ensemble() {
            true => 2000 * self.ctx.plan.replica.max_session_timeout_ms as u64,
            false => 0,
        }
    }

    /// A server that once accepted a newer epoch than the leader's cannot join before the next election,
    /// as with Apache (`docs/simulator.md`): what an operator does then is done here.
    fn admit_the_excluded(&mut self) {
        let (mut newest, mut leading) = (0, None);
        for machine in &self.machines {
            let process = machine.process.as_ref();
            let Some(ensemble) = process.and_then(|process| process.service.ensemble()) else {
                continue;
            };
            newest = newest.max(ensemble.member.peer().store().accepted_epoch());
            if let Some((leader, epoch)) = ensemble.serving()
                && leader == sid_of(machine.server)
            {
                leading = Some((machine.server, epoch));
            }
        }
        if let Some((leader, epoch)) = leading.filter(|(_, epoch)| *epoch < newest) {
            self.ctx.counts.exclusions += 1;
            let who = self.machines[leader].who();
            let what =
                format_args!("is restarted: it leads epoch {epoch}, others accepted {newest}");
            self.ctx.note(&who, what);
            self.ctx.healing_since_us = self.ctx.now_us;
            self.kill(leader);
        }
    }

    /// A member that is not where the others are.
    fn out_of_step(&self) -> Option<String> {
        if !self.ctx.is_ensemble() {
            return None;
        }
        let last = self.ctx.history.model.last();
        let mut leader = None;
        let newest = self.ctx.facts.members.newest().version;
        for machine in self.members() {
            let ensemble = machine.ensemble();
            let Some(serving) = ensemble.and_then(|ensemble| ensemble.serving()) else {
                return Some(format!("{} has no leader", machine.who()));
            };
            let list = self.ctx.facts.members.newest();
            let synced = ensemble.and_then(|ensemble| ensemble.member.peer().synced_voters());
            let is_missed = |sid: &Sid| synced.as_ref().is_some_and(|synced| !synced.contains(sid));
            if let Some(sid) = list.voters().find(is_missed) {
                return Some(format!("server{sid} does not follow with its vote"));
            }
            if *leader.get_or_insert(serving) != serving {
                return Some(format!("{} follows another leader", machine.who()));
            }
            let known = machine.configs().0.version;
            if known != newest {
                return Some(format!(
                    "{} knows the members {known:x}, not {newest:x}",
                    machine.who()
                ));
            }
            let upto = ensemble.map(|ensemble| ensemble.delivery.upto);
            // A leader's snapshot before its first txn ends where its epoch begins.
            let has_all = |upto: Zxid| upto == last || last < upto && upto.counter() == 0;
            if self.phase == Phase::Draining && !upto.is_some_and(has_all) {
                return Some(format!("{} is at {upto:?}, not at {last}", machine.who()));
            }
        }
        None
    }

    /// The last look: the running trees, then the recovered ones.
    pub(super) fn last_restart(&mut self) -> Check {
        for at in 0..self.machines.len() {
            if self.machines[at].is_retired {
                continue;
            }
            let Some(process) = self.machines[at].end() else { return Ok(()) };
            let (model, tree) = (&self.ctx.history.model, process.replica().tree());
            let who = self.machines[at].who();
            let shown = if self.ctx.is_ensemble() { tree.last_zxid() } else { model.last() };
            digest::compare(tree, model, shown, &format!("the end of {who}"))?;
            ephemerals::check_none(tree)?;
            let conns = process.replica().conns().len();
            drop(process);
            if conns > self.ctx.links.len() + self.clients.len() {
                return broken("liveness", format!("{conns} connections leaked"));
            }
        }
        for at in 0..self.machines.len() {
            if self.machines[at].boots == 0 {
                continue;
            }
            if self.ctx.rng.chance(500) {
                self.lose_power(at);
            } else {
                self.kill(at);
            }
            let recovery = self.ctx.plan.recovery();
            let machine = &self.machines[at];
            let (recovered, replayed) = match boot(&*machine.disk, &machine.dirs, &recovery) {
                Ok(recovered) => recovered,
                Err(why) => return Err(liveness::refused_start(&why)),
            };
            self.check_recovery(at, &recovered, &replayed)?;
        }
        Ok(())
    }
}
