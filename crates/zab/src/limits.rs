//! Every limit of this crate, with its reason. Nothing here is unbounded; what reaches a limit is
//! closed or steps down, and says so.
//!
//! The flow-control story. Bytes enter from three places. From the *election port*, a connection may
//! hold one partial frame ([`ELECTION_FRAME_BYTES`]) and one vote waiting to leave (the newest wins).
//! From the *leader*, a learner holds proposals that are not committed yet; the leader bounds them,
//! and [`SYNC_QUEUE_BYTES`] bounds what a lying leader can make us hold. From *learners*, the leader
//! holds one partial packet each; requests go straight to the caller. Towards learners, the leader
//! counts what the caller has not reported as drained: a history read continues only after a drain,
//! and a learner beyond [`LEARNER_UNSENT_BYTES`] is closed. Proposals themselves are bounded by
//! [`OUTSTANDING_PROPOSALS`] and by how far the leader may run ahead of its own disk
//! ([`RUN_AHEAD_BYTES`], [`RUN_AHEAD`]).

use std::time::Duration;

/// Largest frame on the election port; Java closes beyond it as well (512 KiB).
pub const ELECTION_FRAME_BYTES: usize = 524_288;
/// Largest address list in the initial message of an election connection.
pub const ELECTION_ADDRESS_BYTES: usize = 2048;
/// Election connections that have not said who they are yet; the oldest is closed beyond it.
pub const ELECTION_STRANGERS: usize = 64;
/// Peers outside the configuration that get an answer on the election port (joiners, observers).
pub const ELECTION_GUESTS: usize = 256;
/// Servers whose last answer on the election port is remembered.
pub const ELECTION_ANSWERS: usize = 1024;
/// The same answer to the same question is not given again before. Less than anybody waits to ask again.
pub const ELECTION_ANSWER_PAUSE: Duration = Duration::from_millis(100);
/// How long an election connection may take for its initial message, or for any other once begun.
pub const ELECTION_INTRODUCTION: Duration = Duration::from_secs(10);
/// Pause before an election connection that failed is dialled again.
pub const ELECTION_REDIAL: Duration = Duration::from_millis(100);

/// Settle time after a quorum of equal votes (Java's `finalizeWait`).
pub const FINALIZE_WAIT: Duration = Duration::from_millis(200);
/// First interval after which the own vote is sent again.
pub const NOTIFICATION_INTERVAL_MIN: Duration = Duration::from_millis(200);
/// Longest interval between two sends of the own vote.
pub const NOTIFICATION_INTERVAL_MAX: Duration = Duration::from_secs(60);
/// Whoever hears of a leader, or hears others elect and has no vote, asks again no later than this.
pub const NOTIFICATION_POLL: Duration = Duration::from_secs(1);

/// Tries of a learner to reach its leader.
pub const LEADER_CONNECT_TRIES: u32 = 5;
/// Pause between two of them.
pub const LEADER_CONNECT_PAUSE: Duration = Duration::from_millis(100);
/// How long a learner goes on dialling an elected leader whose election connection lives: a Java server
/// listens only 200 ms after the votes agreed, or later if it is slow.
pub const LEADER_CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Committed and proposed txns a server keeps in memory to synchronise learners by DIFF; more while one is
/// being synchronised.
pub const HISTORY_RECORDS: usize = 500;
/// The same in bytes; whichever is reached first drops the oldest.
pub const HISTORY_BYTES: usize = 32 << 20;
/// Bytes of history a leader asks its storage for in one read, and sends at once.
pub const HISTORY_READ_BYTES: usize = 1 << 20;

/// Bytes of not yet durable proposals a learner accepts from a leader while it synchronises.
pub const SYNC_QUEUE_BYTES: usize = 256 << 20;
/// Bytes handed out for one learner that its connection has not taken yet, with the commits held for it until
/// it serves.
pub const LEARNER_UNSENT_BYTES: usize = 128 << 20;
/// Learner connections a leader holds; beyond it the oldest one that has not said who it is is closed.
pub const LEARNER_CONNECTIONS: usize = 1024;

/// Learners that are sent a snapshot at a time; observers beyond it are turned away and come again.
pub const SNAP_SYNCS: usize = 10;
/// The same of learners that are brought up to date from the log.
pub const DIFF_SYNCS: usize = 100;

/// Proposals waiting for their quorum; the caller stops proposing beyond it.
pub const OUTSTANDING_PROPOSALS: usize = 20_000;
/// Bytes the leader may have proposed that its own log has not made durable.
pub const RUN_AHEAD_BYTES: usize = 64 << 20;
/// Age of the oldest proposal that the leader's own log has not made durable; beyond it the leader
/// steps down. In ticks of `syncLimit`, as for any follower, but never less than this.
pub const RUN_AHEAD: Duration = Duration::from_secs(5);

/// How far a learner's accepted epoch may be ahead of the leader's. Beyond it the learner is lying:
/// one such packet would use up all epochs.
pub const EPOCH_JUMP: i64 = 1 << 24;

/// The last usable counter of an epoch; the next proposal needs a new epoch (ZOOKEEPER-1277).
pub const COUNTER_MAX: u32 = 0xffff_fffe;

/// Default of the largest data field of a quorum packet: jute.maxbuffer plus its extra size.
pub const PACKET_DATA_BYTES: usize = 2 * 0xf_ffff;
