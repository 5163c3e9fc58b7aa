//! How often each thing happened: a fault that never strikes tests nothing, so none may be zero.

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident: $label:literal $($kind:ident)?),* $(,)?) => {
        /// Counters of one run or of many.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Counts { $($(#[$doc])* pub $name: u64),* }

        impl Counts {
            /// Adds another run's.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            /// Names and figures of what can happen in such a run, in order.
            pub fn of(&self, is_ensemble: bool) -> Vec<(&'static str, u64)> {
                let all = [$(($label, self.$name, concat!($(stringify!($kind))?))),*];
                let other = if is_ensemble { "alone" } else { "ensemble" };
                let own = all.into_iter().filter(|(_, _, kind)| *kind != other);
                own.map(|(label, count, _)| (label, count)).collect()
            }
        }
    };
}

counts! {
    /// Client requests sent.
    requests: "requests",
    /// Of these, operations that clients chose while faults struck.
    operations: "operations among faults",
    /// Faults of all kinds.
    faults: "faults",
    /// Replies checked.
    replies: "replies",
    /// Replies to writes compared with the model.
    writes_checked: "writes checked",
    /// Replies to reads compared with the model.
    reads_checked: "reads checked",
    /// Reads that were held behind a write of their session.
    held_reads: "held reads",
    /// Writes answered with an error.
    errors: "error replies",
    /// Multis that succeeded.
    multis: "multis",
    /// Multis of which nothing was done.
    multis_failed: "failed multis",
    /// Sequential nodes created.
    sequentials: "sequential creates",
    /// Ephemerals created.
    ephemerals: "ephemeral creates",
    /// Watch events received.
    events: "watch events",
    /// Events made up for re-armed watches.
    catch_ups: "catch-up events",
    /// Events withheld because the node could not be read.
    filtered_events: "filtered events",
    /// Sessions opened.
    sessions: "sessions opened",
    /// Sessions resumed on a new connection.
    resumed: "sessions resumed",
    /// Handshakes answered "no such session".
    refused_sessions: "sessions refused",
    /// Sessions given up by their client because no server was to be had.
    given_up: "sessions given up",
    /// Sessions taken over by another process.
    taken_over: "sessions taken over",
    /// Connections on which watches were re-armed.
    rearmed: "connections re-armed",
    /// Credentials sent again on a new connection.
    auths_again: "credentials sent again",
    /// Sessions ended because credentials were refused.
    auths_refused: "credentials refused",
    /// Writes whose client was told that their outcome is unknown.
    unknown_outcomes: "writes of unknown outcome",
    /// Those that were executed.
    unknown_executed: "writes of unknown outcome executed",
    /// Requests that failed without having been sent.
    unsent: "requests failed unsent",
    /// Requests taken back.
    cancelled: "requests taken back",
    /// Watchers dropped.
    forgotten: "watchers dropped",
    /// Watches removed by their holder.
    unwatched: "watches removed",
    /// Sessions closed by their client.
    closed: "sessions closed",
    /// Sessions that expired.
    expiries: "expiries",
    /// Containers and TTL nodes removed.
    reaped: "containers and ttl nodes removed",
    /// Connections paused by the server.
    pauses: "pauses",
    /// Connections refused at the door.
    refused_conns: "connections refused",
    /// Batches the log made durable.
    batches: "log batches",
    /// Log files begun because a snapshot was due.
    rolls: "log rolls",
    /// Snapshots written.
    snapshots: "snapshots",
    /// Snapshots that failed.
    snapshots_failed: "failed snapshots",
    /// Purges that removed something.
    purges: "purges",
    /// Power losses.
    power_losses: "power losses",
    /// Power losses in the middle of a disk operation.
    torn_stops: "stops within a disk operation",
    /// Processes killed with the machine left running.
    kills: "kills",
    /// Clean stops.
    stops: "clean stops",
    /// Recoveries that succeeded.
    recoveries: "recoveries",
    /// Recoveries that were cut off themselves.
    broken_recoveries: "recoveries cut off",
    /// Recoveries that found a torn tail.
    torn_tails: "torn tails",
    /// Recoveries that dropped prepared txns nobody had been told of.
    dropped_txns: "unacknowledged txns lost" alone,
    /// Recoveries that kept txns whose writers had not been told.
    kept_txns: "unacknowledged txns kept",
    /// Disk errors injected.
    disk_errors: "disk errors",
    /// Servers that stopped because of one.
    failed_stops: "stops for a failed log",
    /// Times the disk was full for the log.
    fulls: "full disks",
    /// Times there was room again.
    rooms: "room again" alone,
    /// Slow forces.
    slow_forces: "slow forces",
    /// Stalls of the whole process.
    stalls: "server stalls",
    /// Connections cut.
    cuts: "connections cut",
    /// Connections that went dead without anybody being told.
    black_holes: "half-open connections",
    /// Storms of connections.
    storms: "connection storms",
    /// Jumps of the wall clock.
    clock_jumps: "clock jumps",
    /// Clients that fell silent.
    freezes: "silent clients",
    /// Leaders established.
    elections: "elections" ensemble,
    /// Learners synchronised by DIFF.
    diffs: "DIFF" ensemble,
    /// Learners told to cut their log.
    truncs: "TRUNC" ensemble,
    /// Learners sent a snapshot.
    snaps: "SNAP" ensemble,
    /// DIFFs that brought txns.
    diffs_with_txns: "DIFF with txns" ensemble,
    /// TRUNCs that brought txns.
    truncs_with_txns: "TRUNC, then txns" ensemble,
    /// Snapshots followed by txns.
    snaps_with_txns: "SNAP, then txns" ensemble,
    /// Synchronisations that ended with proposals not committed yet.
    uncommitted_syncs: "proposals not committed before NEWLEADER" ensemble,
    /// Logs cut.
    truncations: "logs cut" ensemble,
    /// Trees loaded again because of it.
    reloads: "trees reloaded" ensemble,
    /// Data set aside.
    quarantines: "data set aside" ensemble,
    /// Reads of the log for a learner.
    history_reads: "history reads" ensemble,
    /// Requests that learners sent to their leader.
    forwarded: "requests forwarded" ensemble,
    /// Commits that followers passed on to observers of their own.
    passed_on: "commits passed on by followers" ensemble,
    /// Late writes refused by these followers, and those that nobody can execute.
    refused_by_followers: "writes refused by followers" ensemble,
    /// Sessions whose leader was asked.
    revalidations: "revalidations" ensemble,
    /// Connections kept by a server that lost its leader.
    kept: "connections kept without a leader" ensemble,
    /// Those it went on with under the next one.
    outlived: "connections that outlived an election" ensemble,
    /// Clients refused by a server that was behind them.
    behind: "clients ahead of their server" ensemble,
    /// Writes of sessions that had moved or ended.
    session_errors: "writes of moved or ended sessions" ensemble,
    /// Connections closed for that.
    moved_away: "connections of moved sessions" ensemble,
    /// Directions blocked.
    blocks: "directions blocked" ensemble,
    /// Servers cut off from all others.
    isolations: "servers cut off" ensemble,
    /// Streams among servers cut or dead.
    peer_cuts: "streams cut" ensemble,
    /// The same without anybody being told.
    peer_stalls: "half-open streams" ensemble,
    /// Power losses of all machines at once.
    blackouts: "blackouts" ensemble,
    /// Sessions that one server knew.
    local_sessions: "local sessions opened" ensemble,
    /// Local sessions that became global ones.
    upgrades: "local sessions made global" ensemble,
    /// Local sessions of whose end no txn tells.
    local_ends: "local sessions closed or lost" ensemble,
    /// Writes refused because their session stays local.
    local_refusals: "writes refused to local sessions" ensemble,
    /// Writes that a leader held back until something was committed.
    held_writes: "held writes" ensemble,
    /// Connections to servers without a leader, for reading only.
    read_only: "read-only connections" ensemble,
    /// Reads answered there.
    read_only_reads: "reads without a leader" ensemble,
    /// Of these, some that showed what was not committed, or not yet.
    read_only_unproven: "reads of what is not committed" ensemble,
    /// Writes and new sessions refused there.
    read_only_refusals: "writes refused for want of a leader" ensemble,
    /// Sessions that left for a server with a leader, once one was found.
    writable_found: "sessions that left for a leader" ensemble,
    /// Reconfigs that were committed.
    reconfigs: "reconfigs" ensemble,
    /// Reconfigs that changed groups or weights.
    regroupings: "reconfigs of groups" ensemble,
    /// Runs that began with groups and weights.
    grouped: "ensembles that begin with groups" ensemble,
    /// Reconfigs that took away the leader's vote or moved its ports.
    handovers: "reconfigs without their leader" ensemble,
    /// Reconfigs that changed a member's vote.
    role_changes: "members with another role" ensemble,
    /// Reconfigs that changed a member's ports.
    moved_ports: "members with other ports" ensemble,
    /// Reconfigs that a later leader put into force.
    finished_later: "reconfigs finished by a later leader" ensemble,
    /// Reconfigs refused because another one was under way.
    reconfigs_pending: "reconfigs refused: one is pending" ensemble,
    /// Reconfigs refused because too few of the new members were in step.
    reconfigs_unready: "reconfigs refused: no quorum in step" ensemble,
    /// Reconfigs refused for their contents, version or sender.
    reconfigs_refused: "reconfigs refused otherwise" ensemble,
    /// Servers started to join.
    joins: "servers started to join" ensemble,
    /// Servers stopped because they are no members.
    retirements: "servers retired" ensemble,
    /// Members that had to be told the list of servers by the operator.
    lists_by_hand: "lists of servers given by hand" ensemble,
    /// Leaders restarted because a server had accepted a newer epoch.
    exclusions: "servers excluded by a newer epoch" ensemble,
    /// Sessions refused by a server that did not know yet that its epoch was over.
    refused_by_the_past: "sessions refused by a leader of the past" ensemble,
    /// Disks lost.
    wipes: "disks lost" ensemble,
    /// Virtual milliseconds.
    virtual_ms: "virtual milliseconds",
}
