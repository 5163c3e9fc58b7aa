//! What a member of an ensemble needs done outside: a closed list, carried out by the server's threads
//! or by the simulator. Storage work goes through [`crate::LogCommand`] instead, in order.

use std::sync::Arc;

use bytes::Bytes;
use rookeeper_proto::{Sid, Zxid};
use rookeeper_zab::{Address, Conn, EnsembleConfig};

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum IoEffect {
    /// Dial the election port of a server; report `on_election_connected` or
    /// `on_election_connect_failed`.
    ConnectElection {
        /// Whom.
        sid: Sid,
        /// Where, best first.
        addresses: Vec<Address>,
    },
    /// Dial the leader's quorum port; report `on_leader_connected` or `on_leader_connect_failed`.
    ConnectLeader {
        /// Whom.
        sid: Sid,
        /// Where, best first.
        addresses: Vec<Address>,
    },
    /// Write bytes to a connection of the election or the quorum port.
    Send {
        /// Where.
        conn: Conn,
        /// What.
        bytes: Bytes,
    },
    /// Close a connection after what was sent has left.
    Close {
        /// Which.
        conn: Conn,
    },
    /// Read the log for a learner; report `on_history`.
    ReadHistory {
        /// The learner.
        conn: Conn,
        /// Where it stands.
        after: Zxid,
        /// The last record wanted.
        through: Zxid,
    },
    /// Keep the newest configuration seen, which is not in force yet.
    SaveLastSeenConfig(Arc<EnsembleConfig>),
    /// A configuration is in force.
    ActivateConfig(Arc<EnsembleConfig>),
    /// Something for the operator.
    Note {
        /// Whether somebody should act.
        is_warning: bool,
        /// One sentence.
        text: String,
    },
}
