//! The commands: names, usage lines, options (`operations.md` 5.4, observed on 3.9.5). Their order
//! is that of the help list.

use crate::options::{Spec, flag, value};

/// Which command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the commands")]
pub(crate) enum Id {
    AddWatch,
    AddAuth,
    Close,
    Config,
    Connect,
    Create,
    Delete,
    DeleteAll,
    DelQuota,
    Get,
    GetAcl,
    GetAllChildrenNumber,
    GetEphemerals,
    History,
    ListQuota,
    Ls,
    PrintWatches,
    Quit,
    Reconfig,
    Redo,
    RemoveWatches,
    Set,
    SetAcl,
    SetQuota,
    Stat,
    Sync,
    Version,
    WhoAmI,
    Diff,
    Du,
    Edit,
    Export,
    Find,
    Import,
    Tree,
    Watch,
}

impl Id {
    /// Whether it changes something on the servers.
    pub(crate) fn is_write(self) -> bool {
        matches!(
            self,
            Self::Create
                | Self::Delete
                | Self::DeleteAll
                | Self::DelQuota
                | Self::Edit
                | Self::Import
                | Self::Reconfig
                | Self::Set
                | Self::SetAcl
                | Self::SetQuota
        )
    }
}

/// One command.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) id: Id,
    pub(crate) name: &'static str,
    /// What follows the name in the usage line.
    pub(crate) usage: &'static str,
    pub(crate) options: &'static [Spec],
    /// Options of which at most one may be given.
    pub(crate) exclusive: &'static [&'static str],
    /// Words needed at least, the name included.
    pub(crate) words_min: usize,
    /// Whether the usage is followed by a table of the options.
    pub(crate) with_table: bool,
}

impl Command {
    pub(crate) fn usage_line(&self) -> String {
        format!("{} {}", self.name, self.usage)
    }
}

const fn command(
    id: Id,
    name: &'static str,
    usage: &'static str,
    options: &'static [Spec],
    words_min: usize,
) -> Command {
    Command { id, name, usage, options, exclusive: &[], words_min, with_table: false }
}

const fn exclusive(names: &'static [&'static str], command: Command) -> Command {
    Command { exclusive: names, ..command }
}

const fn with_table(command: Command) -> Command {
    Command { with_table: true, ..command }
}

const QUOTA_KINDS: &[&str] = &["n", "b", "N", "B"];
/// Data from a file in place of a word; ours.
const FILE: Spec = value("file");
const STATS: Spec = flag("s").about("Print znode stats additionally");

/// Every command, in the order of the help list.
pub(crate) const COMMANDS: &[Command] = &[
    command(
        Id::AddWatch,
        "addWatch",
        "[-m mode] path # optional mode is one of [PERSISTENT, PERSISTENT_RECURSIVE] - default is \
         PERSISTENT_RECURSIVE",
        &[value("m")],
        2,
    ),
    command(Id::AddAuth, "addauth", "scheme auth", &[], 2),
    command(Id::Close, "close", "", &[], 1),
    command(Id::Config, "config", "[-c] [-w] [-s]", &[flag("c"), flag("w"), flag("s")], 1),
    command(Id::Connect, "connect", "host:port", &[], 1),
    command(
        Id::Create,
        "create",
        "[-s] [-e] [-c] [-t ttl] path [data] [acl]",
        &[flag("s"), flag("e"), flag("c"), value("t"), FILE],
        2,
    ),
    command(Id::Delete, "delete", "[-v version] path", &[value("v")], 2),
    command(Id::DeleteAll, "deleteall", "path [-b batch size]", &[value("b")], 2),
    exclusive(
        QUOTA_KINDS,
        command(
            Id::DelQuota,
            "delquota",
            "[-n|-b|-N|-B] path",
            &[flag("n"), flag("b"), flag("N"), flag("B")],
            2,
        ),
    ),
    with_table(command(
        Id::Get,
        "get",
        "[-s] [-w] [-b] [-x] path",
        &[
            STATS,
            flag("w").about("Watch for changes on the znode"),
            flag("b").about("Output data in base64 format"),
            flag("x").about("Output data in hexdump format"),
        ],
        2,
    )),
    command(Id::GetAcl, "getAcl", "[-s] path", &[flag("s")], 2),
    command(Id::GetAllChildrenNumber, "getAllChildrenNumber", "path", &[], 2),
    command(Id::GetEphemerals, "getEphemerals", "path", &[], 1),
    command(Id::History, "history", "", &[], 1),
    command(Id::ListQuota, "listquota", "path", &[], 2),
    command(Id::Ls, "ls", "[-s] [-w] [-R] path", &[flag("s"), flag("w"), flag("R")], 2),
    command(Id::PrintWatches, "printwatches", "on|off", &[], 1),
    command(Id::Quit, "quit", "", &[], 1),
    command(
        Id::Reconfig,
        "reconfig",
        "[-s] [-v version] [[-file path] | [-members serverID=host:port1:port2;port3[,...]*]] | \
         [-add serverId=host:port1:port2;port3[,...]]* [-remove serverId[,...]*]",
        &[flag("s"), value("v"), value("file"), value("members"), value("add"), value("remove")],
        1,
    ),
    command(Id::Redo, "redo", "cmdno", &[], 1),
    command(
        Id::RemoveWatches,
        "removewatches",
        "path [-c|-d|-a] [-l]",
        &[flag("c"), flag("d"), flag("a"), flag("p"), flag("r"), flag("l")],
        2,
    ),
    with_table(command(
        Id::Set,
        "set",
        "path data [-s] [-v version] [-b]",
        &[
            STATS,
            value("v").about("Set with an expected version"),
            flag("b").about("Supply data in base64 format"),
            FILE,
        ],
        3,
    )),
    command(
        Id::SetAcl,
        "setAcl",
        "[-s] [-v version] [-R] path acl",
        &[flag("s"), value("v"), flag("R")],
        3,
    ),
    exclusive(
        QUOTA_KINDS,
        command(
            Id::SetQuota,
            "setquota",
            "-n|-b|-N|-B val path",
            &[value("n"), value("b"), value("N"), value("B")],
            2,
        ),
    ),
    command(Id::Stat, "stat", "[-w] path", &[flag("w")], 2),
    command(Id::Sync, "sync", "path", &[], 2),
    command(Id::Version, "version", "", &[], 1),
    command(Id::WhoAmI, "whoami", "", &[], 1),
];

/// The commands that Apache's shell does not have. They are in no help list of its own.
pub(crate) const EXTRAS: &[Command] = &[
    command(Id::Diff, "diff", "[-server servers] path path", &[value("server")], 3),
    command(Id::Du, "du", "[-d depth] path", &[value("d")], 2),
    command(Id::Edit, "edit", "path", &[], 2),
    command(Id::Export, "export", "path [file]", &[], 2),
    command(
        Id::Find,
        "find",
        "path [-name pattern] [-data text]",
        &[value("name"), value("data")],
        2,
    ),
    command(Id::Import, "import", "[-f] file [path]", &[flag("f")], 2),
    command(Id::Tree, "tree", "[-d depth] path", &[value("d")], 2),
    command(Id::Watch, "watch", "[-n events] path", &[value("n")], 2),
];

/// Every command.
pub(crate) fn all() -> impl Iterator<Item = &'static Command> {
    COMMANDS.iter().chain(EXTRAS)
}

/// The command of a name; names are told apart by case, as in Apache's shell.
pub(crate) fn find(name: &str) -> Option<&'static Command> {
    all().find(|command| command.name == name)
}

/// The list of all commands.
pub(crate) fn help() -> String {
    let mut text =
        String::from("ZooKeeper -server host:port -client-configuration properties-file cmd args");
    for command in COMMANDS {
        text.push_str("\n\t");
        text.push_str(&command.usage_line());
    }
    text
}

/// The list of the commands that Apache's shell does not have.
pub(crate) fn extras() -> String {
    let lines = EXTRAS.iter().map(|command| format!("\n\t{}", command.usage_line()));
    format!(
        "Commands of Rookeeper's shell; every command takes --json; create and set take -file <file>:{}",
        lines.collect::<String>()
    )
}
