//! A machine: its disk, what is kept there besides the data, and the process that may run on it.

use std::path::Path;
use std::sync::Arc;

use rookeeper_proto::Sid;
use rookeeper_storage::{ACCEPTED_EPOCH, CURRENT_EPOCH, DataDirs, DirLock, Disk, Epochs, MemDisk};
use rookeeper_zab::EnsembleConfig;

use crate::checkers::zab::promises::Promises;
use crate::plan::EnsemblePlan;
use crate::rng::Rng;
use crate::server::Process;
use crate::server::member::{Ensemble, Place, sid_of};

/// See the module.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) server: usize,
    pub(super) disk: Arc<MemDisk>,
    pub(super) dirs: DataDirs,
    pub(super) process: Option<Process>,
    pub(super) boots: u64,
    pub(super) boot_planned: bool,
    /// The disk was told to fail or to stop: a failed start proves nothing.
    pub(super) is_disk_faulty: bool,
    pub(super) is_disk_full: bool,
    promises: Promises,
    configs: (Arc<EnsembleConfig>, Arc<EnsembleConfig>),
    /// No server runs here, nor will one be started by itself: a spare, or no member any more.
    pub(super) is_retired: bool,
    /// `peerType=observer`: what it is while no list names it.
    pub(super) is_observer: bool,
    /// It has not started yet, or its data was lost or set aside and no state has been installed since.
    pub(super) is_unknown: bool,
}

impl Machine {
    pub(super) fn new(server: usize, has_log_dir: bool, ensemble: Option<&EnsemblePlan>) -> Self {
        let log_dir = has_log_dir.then_some(Path::new("/log"));
        let config = Arc::new(members(ensemble));
        let is_spare = ensemble.is_some_and(|plan| plan.members() <= server);
        let machine = Self {
            server,
            disk: Arc::new(MemDisk::new()),
            dirs: DataDirs::new(Path::new("/data"), log_dir),
            process: None,
            boots: 0,
            boot_planned: false,
            is_disk_faulty: false,
            is_disk_full: false,
            promises: Promises::default(),
            configs: (Arc::clone(&config), config),
            is_retired: is_spare,
            is_observer: ensemble.is_some_and(|plan| plan.voters <= server),
            is_unknown: ensemble.is_some(),
        };
        if ensemble.is_some() && !is_spare {
            machine.disk.put(&machine.dirs.initialize_marker(), b"");
        }
        machine
    }

    pub(super) fn who(&self) -> String {
        format!("server{}", self.server + 1)
    }

    /// The running process, if it is this one.
    pub(super) fn process_of(&mut self, boot: u64) -> Option<&mut Process> {
        self.process.as_mut().filter(|process| process.boot == boot)
    }

    /// What the next process is to know.
    pub(super) fn place(&self) -> Place {
        Place {
            server: self.server,
            boot: self.boots,
            promises: self.promises,
            configs: self.configs.clone(),
            is_unknown: self.is_unknown,
            is_observer: self.is_observer,
        }
    }

    pub(super) fn sid(&self) -> Sid {
        sid_of(self.server)
    }

    /// Whether no server was ever meant to run here.
    pub(super) fn is_spare(&self) -> bool {
        self.is_retired && self.boots == 0
    }

    /// Whether its own list names it: otherwise its server refuses to start.
    pub(super) fn is_listed(&self) -> bool {
        self.configs.0.members.contains_key(&self.sid())
    }

    /// Members in force, and the newest ones seen, as this machine knows them.
    pub(super) fn configs(&self) -> &(Arc<EnsembleConfig>, Arc<EnsembleConfig>) {
        self.ensemble().map_or(&self.configs, |ensemble| &ensemble.place.configs)
    }

    /// The list of servers is written by hand.
    pub(super) fn give_list(&mut self, config: Arc<EnsembleConfig>) {
        self.configs = (Arc::clone(&config), config);
    }

    /// An empty disk is no loss here: a server was never started on it.
    pub(super) fn allow_empty_disk(&mut self) {
        self.disk.put(&self.dirs.initialize_marker(), b"");
    }

    /// What a running server is doing; nothing if there is none.
    pub(super) fn ensemble(&self) -> Option<&Ensemble> {
        self.process.as_ref().and_then(|process| process.service.ensemble())
    }

    /// A start has found these epochs: they may be told to others.
    pub(super) fn found(&mut self, epochs: Epochs) {
        self.promises.on_accepted(u32::try_from(epochs.accepted).unwrap_or(0));
        self.promises.on_current(u32::try_from(epochs.current).unwrap_or(0));
    }

    pub(super) fn promises(&self) -> &Promises {
        &self.promises
    }

    /// Whether it may not vote with what it holds.
    pub(super) fn knows_too_little(&self) -> bool {
        let running = self.process.as_ref().and_then(|process| process.service.ensemble());
        running.map_or(self.is_unknown, |ensemble| ensemble.place.is_unknown)
    }

    /// The process is gone; what it told others stays true.
    pub(super) fn end(&mut self) -> Option<Process> {
        let process = self.process.take()?;
        if let Some(ensemble) = process.service.ensemble() {
            self.promises = ensemble.place.promises;
            self.configs = ensemble.place.configs.clone();
            self.is_unknown = ensemble.place.is_unknown;
        }
        Some(process)
    }

    /// What was written survives as far as it was forced.
    pub(super) fn lose_power(&mut self, rng: &mut Rng) {
        // Mostly lost, mostly kept, or torn anyhow.
        let bias = rng.below(4);
        self.disk.crash(&mut |n| match bias {
            0 => 0,
            1 => n.saturating_sub(1),
            _ => rng.below(n),
        });
        self.is_disk_faulty = false;
    }

    /// Everything but the epochs is lost.
    pub(super) fn lose_disk(&mut self) {
        let old = std::mem::replace(&mut self.disk, Arc::new(MemDisk::new()));
        for name in [ACCEPTED_EPOCH, CURRENT_EPOCH] {
            let path = self.dirs.snap_dir.join(name);
            if let Some(bytes) = old.contents(&path) {
                self.disk.put(&path, &bytes);
            }
        }
        self.is_unknown = true;
        self.promises.on_replaced(rookeeper_proto::Zxid::ZERO);
        self.is_disk_full = false;
    }

    pub(super) fn locks(&self) -> Result<Vec<Box<dyn DirLock>>, String> {
        let mut locks = Vec::new();
        for dir in [Path::new("/data"), Path::new("/log")] {
            self.disk.create_dir_all(dir).map_err(|error| error.to_string())?;
            locks.push(self.disk.lock_dir(dir).map_err(|error| error.to_string())?);
        }
        Ok(locks)
    }
}

/// The list of servers everybody begins with.
fn members(ensemble: Option<&EnsemblePlan>) -> EnsembleConfig {
    let Some(plan) = ensemble else { return EnsembleConfig::default() };
    let mut text = String::new();
    for sid in 1..=plan.members() {
        let role = if sid <= plan.voters { "participant" } else { "observer" };
        text += &format!("server.{sid}=h{sid}:2888:3888:{role};h{sid}:2181\n");
    }
    text += &plan.groups;
    text += "version=0";
    EnsembleConfig::parse(&text).expect("a valid list")
}
