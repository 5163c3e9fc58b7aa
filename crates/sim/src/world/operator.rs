//! The operator of an ensemble whose membership may change: starts servers that join, asks for reconfigs
//! through a client like any other, stops servers that are no members, and at the end sees to it that all
//! members run.
//!
//! What an operator must not do is not done: a server comes back with an empty disk only by the rules for
//! lost disks, a list of servers written by hand is never older than the one it replaces, and who is no member
//! any more is stopped only when the members know it (`docs/simulator.md`). Whatever is drawn here comes from a stream of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rookeeper_proto::Sid;
use rookeeper_proto::client::Request;
use rookeeper_proto::client::request::Reconfig;
use rookeeper_proto::quorum::ServerState;
use rookeeper_zab::{EnsembleConfig, Member, MemberRole};

use super::machine::Machine;
use super::{Phase, World};
use crate::agenda::Event;
use crate::plan::groups;
use crate::rng::Rng;
use crate::server::member::{one_line, ports_of, sid_of};
use crate::violation::Check;

/// More voters are not added.
const VOTERS_MAX: usize = 5;
/// A member that knows nobody who runs is given a list when it has looked for so long.
const LOST_US: u64 = 3_000_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Operator {
    rng: Rng,
}

impl Operator {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed ^ 0x6f70_6572_6174_6f72) }
    }
}

impl World {
    pub(super) fn tell_first_members(&mut self) {
        let Some(machine) = self.machines.first().filter(|_| self.ctx.is_ensemble()) else {
            return;
        };
        let config = Arc::clone(&machine.configs().0);
        if self.ctx.plan.may_members_change() {
            self.ctx.history.members = Some((Arc::clone(&config), rookeeper_proto::Zxid::ZERO));
        }
        self.ctx.facts.members.begin(config);
    }

    pub(super) fn plan_operator(&mut self) {
        if self.ctx.plan.may_members_change() {
            let mean = self.ctx.plan.ensemble.as_ref().map_or(0, |plan| plan.operator_every_us);
            let us = self.operator.rng.spread(mean);
            self.ctx.agenda.push(self.ctx.now_us + us, Event::Operate);
        }
    }

    pub(super) fn operate(&mut self) -> Check {
        if self.phase != Phase::Faults {
            return Ok(());
        }
        match self.operator.rng.below(10) {
            0 | 1 => self.start_joiner(),
            2 => self.retire_somebody(),
            _ => self.ask_for_change()?,
        }
        self.plan_operator();
        Ok(())
    }

    /// Machines on which a server runs or will be started by itself.
    pub(super) fn in_use(&self) -> impl Iterator<Item = &Machine> {
        self.machines.iter().filter(|machine| !machine.is_retired)
    }

    /// Whose servers must be in step in the end.
    pub(super) fn members(&self) -> impl Iterator<Item = &Machine> {
        let newest = self.ctx.facts.members.newest();
        self.machines.iter().filter(|machine| newest.members.contains_key(&machine.sid()))
    }

    /// Whether the others are a quorum by any list that may be in force.
    pub(super) fn can_do_without(&self, at: usize) -> bool {
        let newest = self.ctx.facts.members.newest();
        let mut lists =
            self.in_use().flat_map(|machine| [&machine.configs().0, &machine.configs().1]);
        let is_enough = |list: &Arc<EnsembleConfig>| {
            let others = list.voters().filter(|sid| *sid != sid_of(at)).collect();
            list.verifier().is_quorum(&others)
        };
        is_enough(newest) && lists.all(is_enough)
    }

    /// Whether a leader takes this server for one that follows in step.
    pub(super) fn is_counted_on(&self, at: usize) -> bool {
        self.machines.iter().filter_map(Machine::ensemble).any(|ensemble| {
            let synced = ensemble.member.peer().synced_voters();
            synced.is_some_and(|synced| synced.contains(&sid_of(at)))
        })
    }

    // ---- servers that come and go ------------------------------------------------------------------

    fn start_joiner(&mut self) {
        let newest = Arc::clone(self.ctx.facts.members.newest());
        let may = |machine: &&Machine| {
            let sid = machine.sid();
            let counts_it = |list: &EnsembleConfig| {
                list.version != newest.version && list.version != 0 && list.is_voter(sid)
                    || list.version == 0 && list.is_voter(sid) && machine.boots > 0
            };
            let others = self.in_use().filter(|other| other.server != machine.server);
            let mut lists = others.map(|other| other.configs());
            machine.is_retired
                && machine.configs().1.version <= newest.version
                && !lists.any(|(committed, seen)| counts_it(committed) || counts_it(seen))
        };
        let list: Vec<usize> = self.machines.iter().filter(may).map(|m| m.server).collect();
        if list.is_empty() {
            return;
        }
        let at = list[self.operator.rng.index(list.len())];
        let role = self.role();
        let may_be_empty = self.operator.rng.chance(500);
        let machine = &mut self.machines[at];
        if machine.boots == 0 && may_be_empty {
            machine.allow_empty_disk();
        }
        self.ctx.counts.joins += 1;
        self.start_with_list(at, role);
    }

    fn role(&mut self) -> MemberRole {
        match self.operator.rng.chance(700) {
            true => MemberRole::Participant,
            false => MemberRole::Observer,
        }
    }

    /// Writes the newest members into a machine's list, and itself if they do not name it; starts it.
    fn start_with_list(&mut self, at: usize, role: MemberRole) {
        let newest = Arc::clone(self.ctx.facts.members.newest());
        let machine = &mut self.machines[at];
        let sid = machine.sid();
        let list = match newest.members.contains_key(&sid) {
            true => newest,
            false => {
                let mut list = newest.with_version(0);
                list.members.insert(sid, member(sid, role, 2888));
                if let Some(group) = list.groups.values_mut().next() {
                    group.push(sid);
                }
                Arc::new(list)
            }
        };
        machine.is_observer = role == MemberRole::Observer;
        let who = machine.who();
        self.ctx.note(&who, format_args!("is given the list {}", one_line(&list)));
        machine.give_list(list);
        machine.is_retired = false;
        self.plan_boot(at, 1000);
    }

    /// Whether a member may still need this server's vote: to it the list without this one is not in force.
    fn is_needed(&self, at: usize) -> bool {
        let votes: BTreeSet<Sid> =
            self.in_use().filter(|m| m.server != at).map(Machine::sid).collect();
        let others = self.members().filter(|m| m.server != at);
        let mut lists = others.flat_map(|machine| [&machine.configs().0, &machine.configs().1]);
        lists.any(|list| !list.verifier().is_quorum(&votes))
    }

    fn retire_somebody(&mut self) {
        let newest = Arc::clone(self.ctx.facts.members.newest());
        let others = self.in_use().filter(|m| !newest.members.contains_key(&m.sid()));
        let others = others.filter(|machine| !self.is_needed(machine.server));
        let list: Vec<usize> = others.map(|machine| machine.server).collect();
        if !list.is_empty() {
            let at = list[self.operator.rng.index(list.len())];
            self.retire(at);
        }
    }

    fn retire(&mut self, at: usize) {
        self.ctx.counts.retirements += 1;
        let who = self.machines[at].who();
        self.ctx.note(&who, format_args!("is retired"));
        self.machines[at].is_retired = true;
        self.kill(at);
    }

    /// Behind the faults: all members run, and all who are to become members; nobody else does.
    pub(super) fn start_the_members(&mut self) {
        if !self.ctx.plan.may_members_change() {
            return;
        }
        let newest = Arc::clone(self.ctx.facts.members.newest());
        let seen = self.in_use().map(|machine| Arc::clone(&machine.configs().1));
        let pending: Vec<_> = seen.filter(|list| newest.version < list.version).collect();
        for at in 0..self.machines.len() {
            let sid = sid_of(at);
            let is_member = newest.members.contains_key(&sid);
            let is_wanted = is_member || pending.iter().any(|list| list.members.contains_key(&sid));
            let is_retired = self.machines[at].is_retired;
            if !is_wanted && !is_retired {
                if self.is_needed(at) {
                    continue;
                }
                self.retire(at);
                self.ctx.healing_since_us = self.ctx.now_us;
            } else if is_wanted && (is_retired || is_member && self.is_lost(at)) {
                self.ctx.counts.lists_by_hand += 1;
                if !is_retired {
                    self.kill(at);
                }
                self.start_with_list(at, MemberRole::Participant);
                self.ctx.healing_since_us = self.ctx.now_us;
            }
        }
    }

    /// It looks for a leader in vain. Either nobody who has one runs where it knows of somebody: the others moved on
    /// while it was away. Or it needs the votes of servers that a reconfig removed and that do not start any more,
    /// and has not heard that the reconfig is in force.
    fn is_lost(&self, at: usize) -> bool {
        let Some(ensemble) = self.machines[at].ensemble() else { return false };
        let is_looking = ensemble.member.peer().state() == ServerState::Looking;
        if !is_looking || self.ctx.quiet_us() <= LOST_US {
            return false;
        }
        let (committed, seen) = self.machines[at].configs();
        let has_leader =
            |machine: &&Machine| machine.ensemble().is_some_and(|it| it.serving().is_some());
        let mut served = self.in_use().filter(has_leader).peekable();
        if served.peek().is_none() {
            let running = self.in_use().filter(|machine| machine.ensemble().is_some());
            let votes: BTreeSet<Sid> = running.map(Machine::sid).collect();
            let is_old = committed.version < self.ctx.facts.members.newest().version;
            return is_old && !committed.verifier().is_quorum(&votes);
        }
        let knows = |machine: &Machine| {
            let ports = machine.ensemble().map(|ensemble| ensemble.ports);
            let known = [committed, seen].map(|list| ports_of(list, machine.sid()));
            ports.is_some() && known.contains(&ports)
        };
        !served.any(knows)
    }

    // ---- reconfigs -----------------------------------------------------------------------------------

    fn ask_for_change(&mut self) -> Check {
        let newest = Arc::clone(self.ctx.facts.members.newest());
        let mut change = Change { after: EnsembleConfig::clone(&newest), ..Change::default() };
        for _ in 0..self.operator.rng.between(1, 2) {
            self.draw(&mut change);
        }
        let rng = &mut self.operator.rng;
        let config_id = match rng.below(20) {
            0..12 => -1,
            12..19 => newest.version,
            _ => newest.version + 1,
        };
        let is_whole = rng.chance(400) || change.after.is_hierarchical() && rng.chance(800);
        if is_whole {
            change.regroup(rng);
        }
        let nonsense = rng.chance(40);
        let is_super = rng.chance(900);
        let (mut joining, leaving) = change.texts();
        if nonsense {
            joining += ",server.x=h1:1:2";
        }
        let whole = change.whole();
        let text = |text: String| (!text.is_empty()).then(|| text.into());
        let request = Request::Reconfig(Reconfig {
            joining: if is_whole { None } else { text(joining) },
            leaving: if is_whole { None } else { text(leaving) },
            new_members: if is_whole { text(whole) } else { None },
            config_id,
        });
        let others = self.clients.len() - 1;
        let by = if is_super { others } else { self.operator.rng.index(others) };
        self.clients[by].operate(&mut self.ctx, &request, is_super)
    }

    /// One change.
    fn draw(&mut self, change: &mut Change) {
        let rng = &mut self.operator.rng;
        let kind = rng.below(10);
        let members: Vec<Sid> = change.after.members.keys().copied().collect();
        let any = members[rng.index(members.len())];
        let voters = change.after.voters().count();
        match kind {
            0..4 => {
                let is_new = |m: &&Machine| !change.after.members.contains_key(&m.sid());
                let running = self.machines.iter().filter(|machine| machine.process.is_some());
                let list: Vec<Sid> = running.filter(is_new).map(Machine::sid).collect();
                if list.is_empty() {
                    return;
                }
                let sid = list[self.operator.rng.index(list.len())];
                let role = self.role();
                let role = if voters < VOTERS_MAX { role } else { MemberRole::Observer };
                let old = self.machines[(sid.0 - 1) as usize].configs().0.members.get(&sid);
                let port = old.and_then(|old| old.addresses.first()).map(|a| a.quorum_port);
                change.join(sid, member(sid, role, port.unwrap_or(2888)));
            }
            4..6 => change.leave(any),
            6 => change.leave(self.leader().map_or(any, sid_of)),
            7 | 8 => {
                let Some(mut it) = change.after.members.get(&any).cloned() else { return };
                it.role = match it.role {
                    MemberRole::Participant => MemberRole::Observer,
                    MemberRole::Observer => MemberRole::Participant,
                };
                change.join(any, it);
            }
            _ => {
                let Some(it) = change.after.members.get(&any) else { return };
                let port = 3000 + rng.below(900) as u16;
                change.join(any, member(any, it.role, port));
            }
        }
    }
}

/// A reconfig in the making.
#[derive(Debug, Default)]
struct Change {
    after: EnsembleConfig,
    joining: BTreeMap<Sid, Member>,
    leaving: Vec<Sid>,
}

impl Change {
    fn join(&mut self, sid: Sid, member: Member) {
        self.after.members.insert(sid, member.clone());
        self.joining.insert(sid, member);
    }

    /// At least one voter stays: fewer than two are refused.
    fn leave(&mut self, sid: Sid) {
        if self.after.is_voter(sid) && self.after.voters().count() < 2 {
            return;
        }
        self.after.members.remove(&sid);
        if self.joining.remove(&sid).is_none() {
            self.leaving.push(sid);
        }
    }

    /// Who votes must be in a group if there are any.
    fn regroup(&mut self, rng: &mut Rng) {
        let voters: Vec<i64> = self.after.voters().map(|sid| sid.0).collect();
        let sids = || self.after.groups.values().flatten();
        let is_complete = voters.iter().all(|voter| sids().any(|sid| sid.0 == *voter));
        let is_hierarchical = self.after.is_hierarchical();
        if is_hierarchical && is_complete && rng.chance(500) {
            return;
        }
        self.after.groups.clear();
        self.after.weights.clear();
        if rng.chance(if is_hierarchical { 600 } else { 150 })
            && let Ok(grouped) =
                EnsembleConfig::parse(&format!("{}\n{}", self.after, groups(rng, &voters)))
        {
            self.after = grouped;
        }
    }

    fn texts(&self) -> (String, String) {
        let joining = self.joining.iter().map(|(sid, member)| format!("server.{sid}={member}"));
        let leaving = self.leaving.iter().map(Sid::to_string);
        (joining.collect::<Vec<_>>().join(","), leaving.collect::<Vec<_>>().join(","))
    }

    fn whole(&self) -> String {
        let text = self.after.to_string();
        let lines = text.lines().filter(|line| !line.starts_with("version="));
        lines.collect::<Vec<_>>().join(",")
    }
}

/// A server on its machine, listening at `port` while it leads and 1000 above for votes.
pub(super) fn member(sid: Sid, role: MemberRole, port: u16) -> Member {
    let role = match role {
        MemberRole::Participant => "participant",
        MemberRole::Observer => "observer",
    };
    Member::parse(&format!("h{sid}:{port}:{}:{role};h{sid}:2181", port + 1000)).expect("valid")
}
