//! I18 and what follows from it: a configuration in force was proposed or begun with, one version names
//! one list, a txn is committed with a quorum of the members in force when it was proposed and, while a
//! reconfig was under way, of the members to come; a leader is established by a quorum of the newest
//! members in force anywhere. Catches: a membership that splits the ensemble.
//!
//! What a quorum holds is what its servers' disks reported, not what the leader counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rookeeper_proto::{Sid, Zxid};
use rookeeper_zab::EnsembleConfig;

use crate::violation::{Check, broken};

const NAME: &str = "membership";

type Config = Arc<EnsembleConfig>;

/// What is known of all configurations.
#[derive(Debug, Default)]
pub struct Membership {
    /// Every one that was in force or proposed, by version; 0 is what everybody begins with.
    known: BTreeMap<i64, Config>,
    /// The newest that is or was in force anywhere.
    newest: Config,
    /// Versions that were in force anywhere.
    in_force: BTreeSet<i64>,
    /// The quorums that a proposal needs: of the members in force, and of those to come.
    needed: BTreeMap<Zxid, (Config, Option<Config>)>,
    /// The last txn on each server's disk.
    held: BTreeMap<usize, Zxid>,
    /// The current epoch on each server's disk.
    epochs: BTreeMap<usize, u32>,
}

impl Membership {
    /// Everybody begins with this.
    pub fn begin(&mut self, config: Config) {
        self.known.insert(0, Arc::clone(&config));
        self.newest = config;
    }

    /// The newest configuration in force anywhere.
    pub fn newest(&self) -> &Config {
        &self.newest
    }

    /// Whether this version was in force anywhere.
    pub fn was_in_force(&self, version: i64) -> bool {
        self.in_force.contains(&version)
    }

    /// A leader proposes a configuration, or learns of one.
    pub fn on_seen(&mut self, server: usize, config: &Config) -> Check {
        let known = self.known.entry(config.version).or_insert_with(|| Arc::clone(config));
        if config.version != 0 && !known.has_same_members(config) {
            let what = format!("server{}: two lists of version {:x}", server + 1, config.version);
            return broken(NAME, what);
        }
        Ok(())
    }

    /// A server puts a configuration into force.
    pub fn on_activated(&mut self, server: usize, before: &Config, config: &Config) -> Check {
        let who = server + 1;
        if config.version <= before.version {
            let what = format!("server{who} activates {:x} behind itself", config.version);
            return broken(NAME, what);
        }
        let is_initial = Zxid(config.version).counter() == 0;
        let known = self.known.get(&if is_initial { 0 } else { config.version });
        if !known.is_some_and(|known| known.has_same_members(config)) {
            let what = format!("server{who} activates {config}, which nobody proposed");
            return broken(NAME, what);
        }
        self.in_force.insert(config.version);
        if self.newest.version < config.version {
            self.newest = Arc::clone(config);
        }
        Ok(())
    }

    /// A leader proposes a txn; it knows these members in force, and these newest ones.
    pub fn on_proposed(&mut self, zxid: Zxid, in_force: &Config, newest: &Config) {
        let is_pending = in_force.version < newest.version
            && newest.version <= zxid.0
            && !newest.has_same_members(in_force);
        let pending = is_pending.then(|| Arc::clone(newest));
        self.needed.insert(zxid, (Arc::clone(in_force), pending));
    }

    /// A server's disk holds everything up to `zxid`, and nothing beyond.
    pub fn on_held(&mut self, server: usize, zxid: Zxid) {
        self.held.insert(server, zxid);
    }

    /// Where the log of a server ends, as its disk told.
    pub fn held(&self, server: usize) -> Zxid {
        self.held.get(&server).copied().unwrap_or(Zxid::ZERO)
    }

    /// A server's disk holds this current epoch.
    pub fn on_epoch(&mut self, server: usize, epoch: u32) {
        self.epochs.insert(server, epoch);
    }

    /// A txn of the epoch that `server` serves in is committed: first seen there.
    pub fn on_committed(&self, server: usize, zxid: Zxid) -> Check {
        let Some((in_force, pending)) = self.needed.get(&zxid) else { return Ok(()) };
        let holds = |(_, held): &(&usize, &Zxid)| zxid <= **held;
        let holders = self.held.iter().filter(holds);
        let holders: BTreeSet<Sid> = holders.map(|(&at, _)| sid_of(at)).collect();
        // Once the reconfig is in force, what was proposed behind it needs the new members only.
        let is_done = pending.as_ref().is_some_and(|new| self.was_in_force(new.version));
        let is_behind = pending.as_ref().is_some_and(|new| new.version < zxid.0);
        let in_force = Some(in_force).filter(|_| !(is_done && is_behind));
        for config in [in_force, pending.as_ref()].into_iter().flatten() {
            if !config.verifier().is_quorum(&holders) {
                let what = format!(
                    "server{} takes {zxid} for committed; {holders:?} hold it, no quorum of {}",
                    server + 1,
                    config.to_string().replace('\n', " ")
                );
                return broken(NAME, what);
            }
        }
        Ok(())
    }

    /// A leader is established in `epoch`.
    pub fn on_established(&self, server: usize, epoch: u32) -> Check {
        let accepted = self.epochs.iter().filter(|(_, current)| epoch <= **current);
        let accepted: BTreeSet<Sid> = accepted.map(|(&at, _)| sid_of(at)).collect();
        if self.newest.verifier().is_quorum(&accepted) {
            return Ok(());
        }
        let what = format!(
            "server{} is established in epoch {epoch} by {accepted:?}, no quorum of {}",
            server + 1,
            self.newest.to_string().replace('\n', " ")
        );
        broken(NAME, what)
    }
}

fn sid_of(server: usize) -> Sid {
    Sid(server as i64 + 1)
}
