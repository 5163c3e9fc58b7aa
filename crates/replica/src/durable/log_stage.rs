//! The log: appends and forces, one batch per force; epoch files, truncation and installed snapshots
//! pass through here in the same order.
//!
//! A full disk is met while space is allocated, before a record is written: the batch is dropped, the
//! core is told, and nothing is accepted until the core has dropped what it prepared meanwhile.
//! After a failed write or force of a record the stage must not be used again: nobody knows what is on
//! the disk then, and a second force of the same file could lie.

use std::sync::Arc;

use rookeeper_proto::Zxid;
use rookeeper_proto::txn::{DIGEST_VERSION, TxnDigest};
use rookeeper_storage::{
    CommitError, Compression, DataDirs, Disk, SnapshotWriter, TxnLog, TxnLogOptions,
};
use rookeeper_tree::DataTree;

use super::loading::Recovery;
use crate::ordering::{EpochFile, Installation, LogCommand};

/// What the log reports.
#[derive(Debug)]
pub enum LogEvent {
    /// Everything up to here is durable.
    Durable {
        /// The last durable txn.
        zxid: Zxid,
        /// Records in the batch.
        records: usize,
    },
    /// There is no room; everything behind `logged` is dropped.
    Full {
        /// The last txn the log holds.
        logged: Zxid,
        /// The disk's words.
        why: String,
    },
    /// There is room again.
    Room,
    /// An epoch file is written.
    EpochWritten {
        /// Which.
        file: EpochFile,
        /// Its content.
        epoch: u32,
    },
    /// The log is cut; or could not be, and nothing was changed.
    Truncated {
        /// Whether it is.
        is_done: bool,
        /// The tree as the directory holds it now, if that was asked for.
        reloaded: Option<Box<DataTree>>,
    },
    /// A received state is durable.
    Installed,
    /// Everything is set aside.
    SetAside,
    /// For the operator; never about something that the core has to know.
    Note {
        /// Whether somebody should act.
        is_warning: bool,
        /// One sentence.
        text: String,
    },
    /// The log must not be used any more; the server has to stop.
    Failed(String),
}

/// Where and how the log is kept.
#[derive(Debug, Clone)]
pub struct LogPlan {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The directories.
    pub dirs: DataDirs,
    /// Settings of the log.
    pub options: TxnLogOptions,
    /// Codec of installed snapshots.
    pub compression: Compression,
    /// How the directory is opened again after a truncation.
    pub recovery: Recovery,
}

impl LogPlan {
    /// A log that continues behind `last`.
    fn open(&self, last: Zxid) -> TxnLog {
        let dir = self.dirs.log_dir.clone();
        TxnLog::new(Arc::clone(&self.disk), dir, self.options.clone(), last)
    }
}

/// What there is to do while no command waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// Nothing.
    Wait,
    /// Space can be allocated ahead, at once.
    PrepareAhead,
    /// The disk is full: look for room, now and then.
    LookForRoom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Full, and the core does not know yet: whatever comes is dropped.
    Dropping,
    /// Full, and the core knows: looking for room.
    Waiting,
}

/// Receives what the log reports.
type Report<'a> = &'a mut dyn FnMut(LogEvent);

/// See the module. An error of any method is final.
#[derive(Debug)]
pub struct LogStage {
    plan: LogPlan,
    log: TxnLog,
    state: State,
    /// Appended and not committed.
    records: usize,
    /// The last of them.
    handed: Option<Zxid>,
    may_prepare: bool,
}

impl LogStage {
    /// Continues behind `last`.
    pub fn new(plan: LogPlan, last: Zxid) -> Self {
        let log = plan.open(last);
        Self { plan, log, state: State::Open, records: 0, handed: None, may_prepare: true }
    }

    /// Takes a command. Records become durable with [`LogStage::commit`], or when another command
    /// follows them.
    pub fn take(&mut self, command: LogCommand, report: Report<'_>) -> Result<(), String> {
        self.may_prepare = true;
        if let LogCommand::Append { zxid, record } = command {
            if self.state == State::Open {
                self.log.append(zxid, &record);
                self.records += 1;
                self.handed = Some(zxid);
            }
            return Ok(());
        }
        self.commit(report)?;
        if self.state != State::Open {
            return Ok(());
        }
        if command == LogCommand::Roll {
            let rolled = self.log.roll();
            return self.settle(rolled, report).map(|_| ());
        }
        let event = self.change_state(command, report)?;
        report(event);
        Ok(())
    }

    /// Ends a batch: writes and forces what was appended.
    pub fn commit(&mut self, report: Report<'_>) -> Result<(), String> {
        let records = std::mem::take(&mut self.records);
        if records == 0 || self.state != State::Open {
            return Ok(());
        }
        let committed = self.log.commit();
        if planted!(FailedWriteIgnored)
            && let (Err(_), Some(zxid)) = (&committed, self.handed)
        {
            report(LogEvent::Durable { zxid, records });
            return Ok(());
        }
        if let Some(zxid) = self.settle(committed, report)? {
            report(LogEvent::Durable { zxid, records });
        }
        Ok(())
    }

    /// The core knows that the disk was full and has dropped what it prepared since.
    pub fn go_on(&mut self) {
        if self.state == State::Dropping {
            self.state = State::Waiting;
        }
    }

    /// What to do while no command waits.
    pub fn idle(&self) -> Idle {
        match self.state {
            State::Open if self.may_prepare => Idle::PrepareAhead,
            State::Waiting => Idle::LookForRoom,
            State::Open | State::Dropping => Idle::Wait,
        }
    }

    /// Whether [`Idle::PrepareAhead`] would really allocate something.
    pub fn wants_space(&self) -> bool {
        self.idle() == Idle::PrepareAhead && self.log.wants_space()
    }

    /// Does what [`LogStage::idle`] says.
    pub fn do_idle(&mut self, report: Report<'_>) -> Result<(), String> {
        match self.idle() {
            Idle::Wait => {}
            // Allocation ahead failed or is done: the next commit meets a full disk itself.
            Idle::PrepareAhead => self.may_prepare = matches!(self.log.prepare_ahead(), Ok(true)),
            // Room, still none, or a log that failed otherwise and will never take a record again.
            Idle::LookForRoom => match self.log.prepare_ahead() {
                Ok(_) => {
                    self.state = State::Open;
                    report(LogEvent::Room);
                }
                Err(CommitError::Full { .. }) => {}
                Err(error) => return Err(error.to_string()),
            },
        }
        Ok(())
    }

    /// Closes the file. A log that cannot be closed cleanly is recovered at the next start.
    pub fn close(self) -> Result<(), String> {
        self.log.close().map_err(|error| error.to_string())
    }

    /// What only a member of an ensemble asks for. The log is closed around what rewrites it.
    fn change_state(
        &mut self,
        command: LogCommand,
        report: Report<'_>,
    ) -> Result<LogEvent, String> {
        match command {
            LogCommand::WriteEpoch { file, epoch } => {
                self.write_epoch(file, epoch)?;
                Ok(LogEvent::EpochWritten { file, epoch })
            }
            LogCommand::Truncate { to, reload } => self.truncate(to, reload, report),
            LogCommand::Install(installation) => self.install(&installation),
            LogCommand::SetAside { reason } => {
                let text = format!("setting this server's data aside: {reason}");
                report(LogEvent::Note { is_warning: true, text });
                self.close_log()?;
                let moved = rookeeper_storage::set_aside(&*self.plan.disk, &self.plan.dirs)
                    .map_err(|error| error.to_string())?;
                for file in moved {
                    let text = format!("kept as {}", file.display());
                    report(LogEvent::Note { is_warning: true, text });
                }
                Ok(LogEvent::SetAside)
            }
            LogCommand::Append { .. } | LogCommand::Roll => {
                unreachable!("handled where batches are gathered")
            }
        }
    }

    fn write_epoch(&self, file: EpochFile, epoch: u32) -> Result<(), String> {
        let is_forgotten = match file {
            EpochFile::Accepted => planted!(AcceptedEpochNotWritten),
            EpochFile::Current => planted!(CurrentEpochNotWritten),
        };
        if is_forgotten {
            return Ok(());
        }
        let name = match file {
            EpochFile::Accepted => rookeeper_storage::ACCEPTED_EPOCH,
            EpochFile::Current => rookeeper_storage::CURRENT_EPOCH,
        };
        let dir = &self.plan.dirs.snap_dir;
        rookeeper_storage::write_epoch(&*self.plan.disk, dir, name, i64::from(epoch))
            .map_err(|error| error.to_string())
    }

    /// Ends the present file; the next record begins another, wherever the log then ends.
    fn close_log(&mut self) -> Result<(), String> {
        let next = self.plan.open(self.log.durable());
        std::mem::replace(&mut self.log, next).close().map_err(|error| error.to_string())
    }

    fn truncate(&mut self, to: Zxid, reload: bool, report: Report<'_>) -> Result<LogEvent, String> {
        self.close_log()?;
        let (disk, dirs) = (&*self.plan.disk, &self.plan.dirs);
        let max = self.plan.recovery.storage.max_record_bytes;
        match rookeeper_storage::truncate_to(disk, dirs, to, max) {
            Ok(()) => {}
            Err(error @ rookeeper_storage::Error::Refused { .. }) => {
                report(LogEvent::Note { is_warning: true, text: error.to_string() });
                return Ok(LogEvent::Truncated { is_done: false, reloaded: None });
            }
            Err(error) => return Err(error.to_string()),
        }
        self.log = self.plan.open(to);
        if !reload {
            return Ok(LogEvent::Truncated { is_done: true, reloaded: None });
        }
        let recovered = self.plan.recovery.recover(disk, dirs, &mut |_| {})?;
        for text in recovered.report.warnings {
            report(LogEvent::Note { is_warning: true, text });
        }
        let last = recovered.tree.last_zxid();
        if last != to {
            return Err(format!("after a truncation to {to} the directory ends with {last}"));
        }
        Ok(LogEvent::Truncated { is_done: true, reloaded: Some(Box::new(recovered.tree)) })
    }

    fn install(&mut self, installation: &Installation) -> Result<LogEvent, String> {
        self.close_log()?;
        let (disk, dirs) = (&self.plan.disk, &self.plan.dirs);
        let max = self.plan.recovery.storage.max_record_bytes;
        let said = |error: rookeeper_storage::Error| error.to_string();
        let writer = SnapshotWriter::create(
            Arc::clone(disk),
            &dirs.snap_dir,
            installation.zxid,
            self.plan.compression,
        );
        match writer.map_err(said)? {
            Some(mut writer) => {
                writer.write(&installation.body).map_err(said)?;
                let digest = TxnDigest { version: DIGEST_VERSION, digest: installation.digest };
                if planted!(OldLogsKept) {
                    rookeeper_storage::drop_beyond(&**disk, dirs, installation.zxid, max)
                        .map_err(said)?;
                    writer.finish(digest).map_err(said)?;
                    rookeeper_storage::clear_unknown(&**disk, dirs).map_err(said)?;
                } else {
                    rookeeper_storage::install_snapshot(&**disk, dirs, writer, digest)
                        .map_err(said)?;
                }
            }
            None => {
                // The same state is there already; only what is beyond it must go.
                rookeeper_storage::drop_beyond(&**disk, dirs, installation.zxid, max)
                    .map_err(said)?;
                rookeeper_storage::clear_unknown(&**disk, dirs).map_err(said)?;
            }
        }
        self.write_epoch(EpochFile::Current, installation.current_epoch)?;
        self.log = self.plan.open(installation.zxid);
        Ok(LogEvent::Installed)
    }

    /// Tells a full disk from the rest.
    fn settle<T>(
        &mut self,
        result: Result<T, CommitError>,
        report: Report<'_>,
    ) -> Result<Option<T>, String> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error @ CommitError::Full { .. }) => {
                self.state = State::Dropping;
                report(LogEvent::Full { logged: self.log.durable(), why: error.to_string() });
                Ok(None)
            }
            Err(error) => Err(error.to_string()),
        }
    }
}
