//! Everything this crate can ask of the world: one closed enum.
//!
//! The driver calls an input of `Peer`, then carries out the effects *in order*. Sends on
//! one connection keep their order; storage effects (`Write*`, `Append`, `TruncateLog`,
//! `InstallSnapshot`, `Quarantine`) are carried out one after the other in the order they were
//! emitted, and each reports its completion by the input its paragraph names. Nothing is taken for
//! done before that input arrives. Completions may come at any time later; the driver keeps them in
//! order. A driver that cannot carry out a storage effect stops the server: there is no failure
//! input, because a log that failed once is not to be trusted (except where a paragraph says so).

use bytes::Bytes;
use rookeeper_proto::{Id, SessionId, Sid, Zxid};

use crate::ensemble::{Address, EnsembleConfig};
use crate::record::TxnRecord;
use std::sync::Arc;

/// A connection, named by the driver. A number is never used twice, on either port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conn(pub u64);

/// What a server is doing, as the election port and `srvr` name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServingRole {
    /// Established leader.
    Leading,
    /// Voting or joining learner in step with its leader.
    Following,
    /// Learner that does not vote.
    Observing,
}

/// A client's request that a learner forwarded to this leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// The learner's connection: the owner of the session, and where a sync's answer goes.
    pub conn: Conn,
    /// The learner.
    pub sid: Sid,
    /// The client's session.
    pub session: SessionId,
    /// The client's request number.
    pub cxid: i32,
    /// Operation code.
    pub op: i32,
    /// The request's body, undecoded.
    pub body: Bytes,
    /// The client's identities.
    pub auth: Vec<Id>,
}

/// One thing to do. See the module's comment for order and completion.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    // ---- election port ------------------------------------------------------------------------
    /// Dial the election port of `sid`; any of the addresses will do, names are resolved anew each
    /// time. Answer with `on_election_connected` or `on_election_connect_failed`. At most one dial
    /// per server is under way.
    ConnectElection {
        /// Whom.
        sid: Sid,
        /// Where, best first.
        addresses: Vec<Address>,
    },
    /// Write these bytes, in one call if possible (Java reads the initial message with a single
    /// `read`). Report `on_election_drained` when nothing is left to write on the connection.
    SendElection {
        /// Where.
        conn: Conn,
        /// One or more whole messages.
        bytes: Bytes,
    },
    /// Close after what was sent has left. No `on_election_closed` is expected, and one is ignored.
    CloseElection {
        /// Which.
        conn: Conn,
    },

    // ---- quorum port --------------------------------------------------------------------------
    /// Dial the quorum port of the leader. Answer with `on_leader_connected` or
    /// `on_leader_connect_failed`.
    ConnectLeader {
        /// The leader.
        sid: Sid,
        /// Where, best first.
        addresses: Vec<Address>,
    },
    /// Write these bytes to a learner or to the leader. Report `on_quorum_drained` whenever nothing
    /// is left to write on the connection. A proposal's bytes are shared by all learners and the log.
    SendQuorum {
        /// Where.
        conn: Conn,
        /// One or more whole packets.
        bytes: Bytes,
    },
    /// Close after what was sent has left. No `on_quorum_closed` is expected, and one is ignored.
    CloseQuorum {
        /// Which.
        conn: Conn,
    },

    // ---- durable facts ------------------------------------------------------------------------
    /// Write the `acceptedEpoch` file (temporary file, fsync, rename, fsync of the directory), then
    /// report `on_accepted_epoch_written`.
    WriteAcceptedEpoch {
        /// Its new content; larger than the old one.
        epoch: u32,
    },
    /// Write the `currentEpoch` file in the same way, then report `on_current_epoch_written`.
    WriteCurrentEpoch {
        /// Its new content; larger than the old one.
        epoch: u32,
    },
    /// Append the record to the log. When it and everything before it has been forced to the disk,
    /// report `on_durable` (one report may cover many records). The record is also kept for
    /// application: `CommitUpTo` comes later, or a `TruncateLog` or `InstallSnapshot` that drops it.
    Append {
        /// What.
        record: TxnRecord,
    },
    /// Cut the log right after `to` and force it: no log record, snapshot or cache newer than `to`
    /// may survive (`storage-format.md` 1.7). If the tree holds newer txns, reload it from the disk; a
    /// `CommitUpTo` for what is known to be committed follows. Report `on_truncated`: false if `to` is neither a record of the log nor the name of a snapshot
    /// (then nothing was changed).
    TruncateLog {
        /// The last zxid to keep.
        to: Zxid,
    },
    /// Make the state received since `ReceiveSnapshot` the durable one. Apply `records` to it (a
    /// Java leader's snapshot may already contain some of their effects), write it as snapshot
    /// `through`, with `currentEpoch` next to it, in the order of `docs/zab.md`; all older logs
    /// and snapshots become unusable. Then report `on_snapshot_installed`. Nothing of this is visible
    /// after a crash unless all of it is. If a record cannot be applied, change nothing and report
    /// `on_snapshot_not_installed`.
    InstallSnapshot {
        /// The snapshot's zxid: the last of `records`, or what `ReceiveSnapshot` named.
        through: Zxid,
        /// Committed after the snapshot was taken, in order.
        records: Vec<TxnRecord>,
        /// New content of the `currentEpoch` file.
        current_epoch: u32,
    },
    /// What this server holds cannot be trusted at its end (see `reason`): set all logs and
    /// snapshots aside, durably, with a mark that this server may have dropped what it acknowledged,
    /// and start from an empty state with last zxid [`Zxid::UNKNOWN`] (also after a restart, until a
    /// snapshot is installed). Then report `on_quarantined`.
    Quarantine {
        /// For the operator.
        reason: String,
    },
    /// Read the log for a learner: records after `after`, oldest first, at most
    /// [`crate::limits::HISTORY_READ_BYTES`], none after `through`. Answer with `on_history`; the answer is
    /// `Unavailable` unless the log holds both `after` and `through`, and every record between them.
    ReadHistory {
        /// The learner.
        conn: Conn,
        /// Where it stands.
        after: Zxid,
        /// The last record wanted.
        through: Zxid,
    },
    /// The last-seen configuration changed: write `.dynamic.next` (with its version), or remove it
    /// if it equals the committed one. No completion.
    SaveLastSeenConfig {
        /// The configuration.
        config: Arc<EnsembleConfig>,
    },
    /// A configuration is in force from now on: write the dynamic file, rebind ports that changed,
    /// rewrite `/zookeeper/config`. No completion.
    ActivateConfig {
        /// The configuration.
        config: Arc<EnsembleConfig>,
    },

    // ---- snapshots on the wire ----------------------------------------------------------------
    /// A snapshot's body follows as `SnapshotBytes`: decode it into a state of its own, beside the
    /// present one. When the body is complete (the "/" terminator of the nodes was read), answer with
    /// `on_snapshot_received` and the bytes that were too many; if it cannot be decoded, with
    /// `on_snapshot_refused`.
    ReceiveSnapshot {
        /// Every effect up to this zxid is in it.
        zxid: Zxid,
    },
    /// The next bytes of the body.
    SnapshotBytes {
        /// Of any length.
        bytes: Bytes,
    },
    /// Forget the received state; the leader went away.
    AbandonSnapshot,
    /// Capture the state for a learner: at least everything through `through` (this may be the
    /// leader's own log, not yet known to be committed: apply it first), exactly as of some zxid,
    /// which `on_snapshot_taken` reports. Nothing is to be sent yet.
    TakeSnapshot {
        /// For whom.
        conn: Conn,
        /// What it must contain.
        through: Zxid,
    },
    /// Write the captured state's body (`storage-format.md` 3.1 without header and trailer) to the
    /// connection, behind what was sent before; then report `on_snapshot_sent`. Nothing else is
    /// sent on the connection meanwhile.
    StreamSnapshot {
        /// To whom.
        conn: Conn,
    },
    /// Forget the state captured for this connection.
    CancelSnapshot {
        /// Whose.
        conn: Conn,
    },

    // ---- service ------------------------------------------------------------------------------
    /// Everything appended through `zxid` is committed: apply what is not applied yet, in order. May
    /// be told again for what is applied already. At a restart the log may be replayed as a whole, as
    /// Java does, or record by record as these come.
    CommitUpTo {
        /// The last committed zxid.
        zxid: Zxid,
    },
    /// This server is in step: serve clients in this role. On a leader: restart all sessions of the
    /// table with their full time-outs, accept proposals from `Peer::next_zxid` on.
    StartServing {
        /// As what.
        role: ServingRole,
        /// Under whom.
        leader: Sid,
        /// In which epoch.
        epoch: u32,
        /// Whether the state was replaced (SNAP) or cut back (TRUNC) since it last served, so that
        /// watches and held requests of kept connections cannot be trusted.
        is_state_replaced: bool,
    },
    /// This server is no longer in step: requests in flight are undecided. An election follows.
    StopServing {
        /// For the operator.
        reason: String,
    },
    /// A learner's request for the leader's pipeline, in the order of its connection. Bodies are not
    /// decoded here; a body that cannot be decoded must be answered, never proposed (`quorum-protocol.md`
    /// 3.10). A `sync` passes through as well; answer it by `Peer::sync_for` when its turn comes.
    ForwardedRequest(Forwarded),
    /// Sessions a learner heard of: extend their lives.
    SessionsTouched {
        /// Id and time-out in milliseconds.
        sessions: Vec<(SessionId, i32)>,
    },
    /// A client moved to a learner: answer by `Peer::answer_revalidate`; if valid, touch the session
    /// and make the learner its owner.
    RevalidateRequest {
        /// The learner.
        conn: Conn,
        /// The session.
        session: SessionId,
        /// Its time-out in milliseconds.
        timeout_ms: i32,
    },
    /// The leader's answer to `Peer::revalidate`.
    RevalidateAnswer {
        /// The session.
        session: SessionId,
        /// Whether it lives.
        is_valid: bool,
    },
    /// The leader's answer to this learner's oldest forwarded `sync`.
    SyncAnswer,
    /// A learner's connection is gone; sessions it owned may move.
    LearnerGone {
        /// Its connection.
        conn: Conn,
        /// Who it was.
        sid: Sid,
    },

    // ---- for people ---------------------------------------------------------------------------
    /// Something an operator may want to read. Never on a hot path.
    Note {
        /// Whether somebody should act.
        is_warning: bool,
        /// One sentence.
        text: String,
    },
}

/// The sink of one input's effects. The driver drains it after each call.
#[derive(Debug, Default)]
pub struct Effects {
    list: Vec<Effect>,
}

impl Effects {
    /// An empty sink; keep it and use it again.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, effect: Effect) {
        self.list.push(effect);
    }

    /// Takes all, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Effect> {
        self.list.drain(..)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.push(Effect::Note { is_warning: false, text: text.into() });
    }

    pub(crate) fn warn(&mut self, text: impl Into<String>) {
        self.push(Effect::Note { is_warning: true, text: text.into() });
    }
}
