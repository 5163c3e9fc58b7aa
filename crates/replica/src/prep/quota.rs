//! Enforcing quotas (`client-protocol.md` 6.7).
//!
//! Usage is kept by whoever applies, so the committed figure lags behind what is prepared. The
//! difference is kept here: a pipelined create sees the ones before it. Java looks at committed
//! figures only and lets a burst through. The operations of one multi do not see each other, as in
//! Java. Which quotas there are and what they allow is always the committed state.

use std::collections::{BTreeMap, VecDeque};

use rookeeper_proto::{ErrorCode, Zxid};
use rookeeper_tree::QuotaFigures;

use super::refusal::Refusal;
use super::view::TreeView;

/// A change of usage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Delta {
    /// Nodes.
    pub(super) count: i64,
    /// Bytes of data.
    pub(super) bytes: i64,
}

/// Changes of usage that are prepared but not applied.
#[derive(Debug, Default)]
pub(super) struct QuotaDeltas {
    /// By quota root; an entry goes when it comes to nothing.
    sums: BTreeMap<String, Delta>,
    queue: VecDeque<(Zxid, String, Delta)>,
    /// Of the write being prepared.
    staged: Vec<(String, Delta)>,
}

impl QuotaDeltas {
    /// Refuses a change of usage at `path` that a hard limit forbids.
    pub(super) fn check(
        &self,
        tree: &impl TreeView,
        path: &str,
        delta: Delta,
    ) -> Result<(), Refusal> {
        let Some(view) = tree.quota(path) else { return Ok(()) };
        let limits = view.quota.limits.map_err(|_| Refusal::Undecodable)?;
        let checks_count = delta.count != 0 && (limits.count > -1 || limits.count_hard > -1);
        let checks_bytes = delta.bytes != 0 && (limits.bytes > -1 || limits.bytes_hard > -1);
        if !checks_count && !checks_bytes {
            return Ok(());
        }
        let QuotaFigures { count, bytes, .. } =
            view.quota.usage.map_err(|_| Refusal::Undecodable)?;
        let ahead = self.sums.get(view.root).copied().unwrap_or_default();
        let count = count.saturating_add(ahead.count).saturating_add(delta.count);
        let bytes = bytes.saturating_add(ahead.bytes).saturating_add(delta.bytes);
        let exceeds = |checked, hard, usage| checked && hard > -1 && usage > hard;
        if exceeds(checks_count, limits.count_hard, count)
            || exceeds(checks_bytes, limits.bytes_hard, bytes)
        {
            return Err(ErrorCode::QuotaExceeded.into());
        }
        Ok(())
    }

    /// The write being prepared changes usage at `path`.
    pub(super) fn stage(&mut self, tree: &impl TreeView, path: &str, delta: Delta) {
        if delta != Delta::default()
            && let Some(view) = tree.quota(path)
        {
            self.staged.push((view.root.to_owned(), delta));
        }
    }

    /// The write was prepared as `zxid`.
    pub(super) fn keep_staged(&mut self, zxid: Zxid) {
        for (root, delta) in self.staged.drain(..) {
            let sum = self.sums.entry(root.clone()).or_default();
            sum.count += delta.count;
            sum.bytes += delta.bytes;
            self.queue.push_back((zxid, root, delta));
        }
    }

    /// The write was refused.
    pub(super) fn drop_staged(&mut self) {
        self.staged.clear();
    }

    /// Everything up to `zxid` is in the tree.
    pub(super) fn applied(&mut self, zxid: Zxid) {
        while let Some((prepared, _, _)) = self.queue.front()
            && *prepared <= zxid
            && let Some((_, root, delta)) = self.queue.pop_front()
        {
            let sum = self.sums.entry(root.clone()).or_default();
            sum.count -= delta.count;
            sum.bytes -= delta.bytes;
            if *sum == Delta::default() {
                self.sums.remove(&root);
            }
        }
    }
}
