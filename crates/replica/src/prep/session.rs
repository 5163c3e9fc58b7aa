//! closeSession (`client-protocol.md` 2.7, D17).

use std::collections::BTreeSet;

use rookeeper_proto::jute::JuteWrite;
use rookeeper_proto::txn::TxnDigest;
use rookeeper_proto::{OpCode, SessionId};

use super::view::TreeView;
use super::{Job, Prep, parent_of, set_i32};

impl Prep {
    /// Lists every ephemeral of the session, outstanding creates included, outstanding deletes not,
    /// sorted by path. It asks nothing of the session: expiry closes it, too.
    pub(super) fn close_session<T: TreeView>(
        &mut self,
        job: &Job<'_, '_, '_, T>,
        out: &mut Vec<u8>,
    ) -> OpCode {
        let paths = self.ephemerals(job.tree, job.write.session);
        if self.config.close_session_txn {
            self.list(job, &paths, out);
        }
        for path in &paths {
            let Ok(parent_path) = parent_of(path) else { continue };
            if let Ok(found) = self.node(job.tree, path)
                && let Ok(parent) = self.node(job.tree, parent_path)
            {
                self.remove(job, path, found, parent_path, parent);
            }
        }
        OpCode::CloseSession
    }

    fn ephemerals<T: TreeView>(&self, tree: &T, session: SessionId) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        if session == SessionId::NONE {
            return paths;
        }
        for path in tree.ephemerals(session) {
            let still = match self.overlay.outstanding(tree, path) {
                Some(node) => node.is_some_and(|node| node.is_ephemeral_of(session)),
                None => true,
            };
            if still {
                paths.insert(path.to_owned());
            }
        }
        self.overlay.ephemerals_of(session, |path| {
            paths.insert(path.to_owned());
        });
        paths
    }

    /// Writes the list, but no more of it than peers can read back: whoever applies it deletes what
    /// is left of the session's ephemerals anyway.
    fn list<T>(&self, job: &Job<'_, '_, '_, T>, paths: &BTreeSet<String>, out: &mut Vec<u8>) {
        let (count_at, mut count) = (out.len(), 0);
        out.put_i32(0);
        for path in paths {
            let bytes = out.len() - job.start + 4 + path.len() + TxnDigest::ENCODED_BYTES;
            if bytes > self.config.record_max_bytes {
                break;
            }
            out.put_str(path);
            count += 1;
        }
        set_i32(out, count_at, count);
    }
}
