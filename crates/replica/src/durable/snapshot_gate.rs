//! When a snapshot may get its name.
//!
//! A member may have applied what is durable elsewhere but not in its own log yet, or (at its start)
//! what is in its log but not committed. Its snapshot gets its name only when both have caught up,
//! so that the log never ends below a snapshot and no truncation ever has to go below one.

use rookeeper_proto::Zxid;

use crate::snapshotter::SnapshotWork;

/// See the module.
#[derive(Debug, Default)]
pub struct SnapshotGate {
    /// What the log held when the present snapshot began.
    after: Zxid,
    /// The end of a snapshot that waits for the log.
    end: Option<Vec<u8>>,
}

impl SnapshotGate {
    /// Whether a finished snapshot waits here: nothing more may be serialised meanwhile.
    pub fn is_shut(&self) -> bool {
        self.end.is_some()
    }

    /// Lets pieces through, but for the last. `appended` is what the log was handed.
    pub fn pass(&mut self, work: SnapshotWork, appended: Zxid) -> Option<SnapshotWork> {
        match work {
            SnapshotWork::End(bytes) => {
                self.end = Some(bytes);
                None
            }
            work => {
                if let SnapshotWork::Begin { .. } = work {
                    self.after = appended;
                }
                Some(work)
            }
        }
    }

    /// The last piece, once the log has reached what it must. `reached` is durable here and committed.
    pub fn open(&mut self, reached: Zxid) -> Option<SnapshotWork> {
        if reached < self.after {
            return None;
        }
        self.end.take().map(SnapshotWork::End)
    }

    /// The state that the snapshot is of is about to be replaced. Whether one waited here.
    pub fn give_up(&mut self) -> bool {
        self.end.take().is_some()
    }
}
