//! Four-letter words on the client port, in Apache's exact shapes (`operations.md` section 2).
//!
//! The first four bytes of a connection that has not connected yet are looked up here before they are
//! read as a length. `srvr` is always allowed; the rest by `4lw.commands.whitelist`.

mod environment;
mod texts;

use rookeeper_replica::member::MemberFigures;
use rookeeper_replica::{ConnId, Now, Replica};

use crate::metrics::ServerMetrics;

/// A known word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the words themselves")]
pub(crate) enum Command {
    Conf,
    Cons,
    Crst,
    Dirs,
    Dump,
    Envi,
    Gtmk,
    Hash,
    Isro,
    Mntr,
    Ruok,
    Srst,
    Srvr,
    Stat,
    Stmk,
    Wchc,
    Wchp,
    Wchs,
    /// What telnet sends on an interrupt.
    TelnetInterrupt,
}

impl Command {
    /// The command these four bytes name.
    pub(crate) fn of(word: [u8; 4]) -> Option<Self> {
        Some(match &word {
            b"conf" => Self::Conf,
            b"cons" => Self::Cons,
            b"crst" => Self::Crst,
            b"dirs" => Self::Dirs,
            b"dump" => Self::Dump,
            b"envi" => Self::Envi,
            b"gtmk" => Self::Gtmk,
            b"hash" => Self::Hash,
            b"isro" => Self::Isro,
            b"mntr" => Self::Mntr,
            b"ruok" => Self::Ruok,
            b"srst" => Self::Srst,
            b"srvr" => Self::Srvr,
            b"stat" => Self::Stat,
            b"stmk" => Self::Stmk,
            b"wchc" => Self::Wchc,
            b"wchp" => Self::Wchp,
            b"wchs" => Self::Wchs,
            b"\xff\xf4\xff\xfd" => Self::TelnetInterrupt,
            _ => return None,
        })
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Conf => "conf",
            Self::Cons => "cons",
            Self::Crst => "crst",
            Self::Dirs => "dirs",
            Self::Dump => "dump",
            Self::Envi => "envi",
            Self::Gtmk => "gtmk",
            Self::Hash => "hash",
            Self::Isro => "isro",
            Self::Mntr => "mntr",
            Self::Ruok => "ruok",
            Self::Srst => "srst",
            Self::Srvr => "srvr",
            Self::Stat => "stat",
            Self::Stmk => "stmk",
            Self::Wchc => "wchc",
            Self::Wchp => "wchp",
            Self::Wchs => "wchs",
            Self::TelnetInterrupt => "telnet close",
        }
    }

    /// Whether the answer is about a server that serves; the others are given at any time.
    fn needs_service(self) -> bool {
        !matches!(self, Self::Ruok | Self::Envi | Self::Gtmk | Self::Stmk | Self::TelnetInterrupt)
    }

    /// What a server without a leader answers, and a leader with `leaderServes=no`.
    fn while_not_serving(self) -> &'static str {
        match self {
            Self::Isro => "null",
            Self::Hash => "This ZooKeeper instance is not currently serving requests",
            _ => "This ZooKeeper instance is not currently serving requests\n",
        }
    }
}

/// What an answer may look at, and for the resetting words change.
pub(crate) struct Context<'a> {
    pub(crate) replica: &'a mut Replica,
    pub(crate) metrics: &'a mut ServerMetrics,
    /// Of a member of an ensemble: what its peer does.
    pub(crate) member: Option<MemberFigures>,
    pub(crate) now: Now,
    /// The connection that asks.
    pub(crate) conn: ConnId,
}

/// Answers words, with what of the configuration they need.
#[derive(Debug)]
pub(crate) struct FourLetter {
    pub(crate) config: crate::config::Config,
    /// The port that clients are served on, once bound.
    pub(crate) client_port: u16,
    /// Absolute directory of snapshots, `version-2` included.
    pub(crate) snap_dir: std::path::PathBuf,
    /// Absolute directory of logs, `version-2` included.
    pub(crate) log_dir: std::path::PathBuf,
    pub(crate) trace_mask: i64,
}

impl FourLetter {
    fn allows(&self, command: Command) -> bool {
        command == Command::Srvr || self.config.four_letter.allows(command.name())
    }

    /// Bytes behind the word that belong to it: an allowed `stmk` takes a trace mask.
    pub(crate) fn argument_bytes(&self, command: Command) -> usize {
        if command == Command::Stmk && self.allows(command) { 8 } else { 0 }
    }

    pub(crate) fn answer(
        &mut self,
        command: Command,
        argument: &[u8],
        context: Context<'_>,
    ) -> String {
        if !self.allows(command) {
            return format!(
                "{} is not executed because it is not in the whitelist.\n",
                command.name()
            );
        }
        if !context.replica.serves_clients() && command.needs_service() {
            return command.while_not_serving().to_owned();
        }
        texts::text(self, command, argument, context)
    }
}
