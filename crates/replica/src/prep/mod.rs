//! Preparation of writes: the one place of the leader (or of a standalone server) that decides what
//! a write becomes.
//!
//! [`Prep::prepare`] validates a decoded request against the committed tree plus the overlay of
//! changes prepared but not applied yet, gives it the next zxid and appends the finished record
//! (header, txn, digest of the tree after it) to the caller's buffer, once. The log, the followers
//! and the applier all use those bytes.
//!
//! Guarantees: pure and deterministic (the same calls give the same bytes); every call consumes
//! exactly one zxid, also for a write that is refused (it becomes an error txn); what is prepared
//! does not depend on how much of it has been applied meanwhile; a refused multi leaves no trace;
//! nothing is proposed that a Java peer could not decode or survive.
//!
//! It deliberately does not decode (an undecodable body is answered -5 by the caller and nothing is
//! proposed, `client-protocol.md` section 13), keep sessions, build replies or talk to peers.
//!
//! Sources: `client-protocol.md` 3.2 to 3.8, 6.1 to 6.8; `quorum-protocol.md` 5 and 7.3.

mod config;
mod view;
mod write;

pub use config::PrepConfig;
pub use view::{NodeView, TreeView};
pub use write::{Outcome, Prepared, SessionState, WriteRequest};

use rookeeper_proto::Zxid;

use crate::auth::AuthRegistry;

/// Prepares writes, in order.
#[derive(Debug)]
pub struct Prep {
    config: PrepConfig,
    last_zxid: Zxid,
    digest: i64,
}

impl Prep {
    /// Starts behind `last_zxid`, when the tree's digest is `digest` and nothing is outstanding.
    pub fn new(config: PrepConfig, last_zxid: Zxid, digest: i64) -> Self {
        Self { config, last_zxid, digest }
    }

    /// Forgets everything outstanding and continues behind `last_zxid`: a new epoch, another role.
    pub fn restart(&mut self, last_zxid: Zxid, digest: i64) {
        (self.last_zxid, self.digest) = (last_zxid, digest);
    }

    /// The configuration.
    pub fn config(&self) -> &PrepConfig {
        &self.config
    }

    /// The zxid the next call of [`Self::prepare`] consumes.
    pub fn next_zxid(&self) -> Zxid {
        self.last_zxid.next()
    }

    /// The newest zxid given out.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// The digest of the tree once everything prepared is applied.
    pub fn digest(&self) -> i64 {
        self.digest
    }

    /// Prepares one write: appends its record to `out` and says what became of it.
    pub fn prepare(
        &mut self,
        _tree: &impl TreeView,
        _auth: &AuthRegistry,
        _write: &WriteRequest<'_, '_>,
        _out: &mut Vec<u8>,
    ) -> Prepared {
        self.last_zxid = self.last_zxid.next();
        Prepared {
            zxid: self.last_zxid,
            outcome: Outcome::Error(rookeeper_proto::ErrorCode::Unimplemented),
        }
    }

    /// Everything up to `zxid` is in the tree now: drops what the overlay held for it.
    pub fn applied(&mut self, _zxid: Zxid) {}
}
