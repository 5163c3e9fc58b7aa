//! Whole states on the quorum wire: a leader's snapshot for a learner, and the receiving of one.

use bytes::Bytes;
use rookeeper_proto::Zxid;
use rookeeper_proto::txn::Record;
use rookeeper_storage::BodyParser;
use rookeeper_tree::{Slice, SnapshotId};
use rookeeper_zab::{Conn, TxnRecord};

use super::{IoEffect, Member, at};
use crate::clock::Now;
use crate::durable::loading::Loading;
use crate::limits::{SNAPSHOT_CHUNK_BYTES, SNAPSHOT_NODES_PER_SLICE};
use crate::ordering::{Installation, LogCommand};
use crate::outbox::Outbox;

/// A snapshot being received.
#[derive(Debug)]
pub(super) struct Incoming {
    zxid: Zxid,
    parser: BodyParser,
    /// Bytes that are no whole item yet.
    rest: Vec<u8>,
    loading: Loading,
    is_complete: bool,
}

/// A snapshot being sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    id: SnapshotId,
    is_streaming: bool,
    /// The connection has taken what it was given.
    pub(super) is_drained: bool,
}

impl Member {
    pub(super) fn receive_snapshot(&mut self, zxid: Zxid) {
        self.incoming = Some(Incoming {
            zxid,
            parser: BodyParser::new(self.max_item_bytes),
            rest: Vec::new(),
            loading: Loading::new(self.options),
            is_complete: false,
        });
    }

    pub(super) fn on_snapshot_bytes(&mut self, now: Now, bytes: &Bytes) {
        let Some(incoming) = &mut self.incoming else { return };
        incoming.rest.extend_from_slice(bytes);
        let fed = match incoming.parser.feed(&incoming.rest, &mut incoming.loading) {
            Ok(fed) => fed,
            Err(error) => {
                self.incoming = None;
                let reason = error.to_string();
                return self.peer.on_snapshot_refused(at(now), &reason, &mut self.fx);
            }
        };
        incoming.rest.drain(..fed);
        if !incoming.parser.is_done() {
            return;
        }
        let rest = std::mem::take(&mut incoming.rest);
        match incoming.loading.finish(incoming.zxid) {
            Ok(()) => {
                incoming.is_complete = true;
                self.peer.on_snapshot_received(at(now), &rest, &mut self.fx);
            }
            Err(error) => {
                self.incoming = None;
                let reason = error.to_string();
                self.peer.on_snapshot_refused(at(now), &reason, &mut self.fx);
            }
        }
    }

    /// The received state, with what was committed since, takes the place of this server's.
    pub(super) fn install(
        &mut self,
        now: Now,
        through: Zxid,
        records: &[TxnRecord],
        current_epoch: u32,
    ) {
        let Some(incoming) = self.incoming.take().filter(|incoming| incoming.is_complete) else {
            return self.refuse_installation(now, "no snapshot was received");
        };
        let mut tree = incoming.loading.into_tree();
        for record in records {
            let Ok(record) = Record::read(&record.bytes) else {
                // To leave it out would be a state that nobody else has.
                return self.refuse_installation(now, "a txn behind the snapshot is undecodable");
            };
            // A Java leader's snapshot may hold some of their effects already: what cannot be done
            // again is skipped by the tree's replay rules.
            tree.apply_record(&record, &mut ());
        }
        tree.set_last_zxid(through);
        let mut body = Vec::new();
        let digest = tree.digest();
        let serialised = tree.begin_snapshot().and_then(|id| {
            while let Slice::More = tree.snapshot_slice(id, usize::MAX, &mut body)? {}
            Ok(())
        });
        if let Err(error) = serialised {
            return self.refuse_installation(now, &error.to_string());
        }
        self.replica.ordering.drop_all();
        let installation = Installation { zxid: through, digest, body, current_epoch };
        self.replica.replace_state(LogCommand::Install(Box::new(installation)));
        self.replica.replace_tree(tree);
    }

    fn refuse_installation(&mut self, now: Now, reason: &str) {
        self.peer.on_snapshot_not_installed(at(now), reason, &mut self.fx);
    }

    /// Captures the state for a learner. What it must contain may be this leader's own log, not known
    /// to be committed: it becomes so with the new epoch, and is applied first.
    pub(super) fn take_snapshot(
        &mut self,
        now: Now,
        conn: Conn,
        through: Zxid,
        outbox: &mut impl Outbox,
    ) {
        if self.replica.tree.last_zxid() < through {
            // Until then nobody may see it.
            self.replica.end_quiet(now, outbox);
        }
        self.replica.on_committed(now, through, outbox);
        let tree = &mut self.replica.tree;
        let Ok(id) = tree.begin_snapshot() else {
            return self.peer.close_learner(conn, &mut self.fx);
        };
        let zxid = tree.last_zxid();
        let outgoing = Outgoing { id, is_streaming: false, is_drained: true };
        if let Some(old) = self.outgoing.insert(conn, outgoing) {
            self.replica.tree.abort_snapshot(old.id);
        }
        self.peer.on_snapshot_taken(at(now), conn, zxid, &mut self.fx);
    }

    pub(super) fn start_streaming(&mut self, conn: Conn) {
        if let Some(outgoing) = self.outgoing.get_mut(&conn) {
            outgoing.is_streaming = true;
        }
    }

    pub(super) fn cancel_snapshot(&mut self, conn: Conn) {
        if let Some(outgoing) = self.outgoing.remove(&conn) {
            self.replica.tree.abort_snapshot(outgoing.id);
        }
    }

    /// Whether [`Member::pump`] has a slice to send.
    pub fn has_snapshot_to_stream(&self) -> bool {
        self.outgoing.values().any(|outgoing| outgoing.is_streaming && outgoing.is_drained)
    }

    /// One slice for each learner whose connection has taken the last.
    pub(super) fn stream_snapshots(&mut self, now: Now, outbox: &mut impl Outbox) {
        let ready: Vec<Conn> = self
            .outgoing
            .iter()
            .filter(|(_, outgoing)| outgoing.is_streaming && outgoing.is_drained)
            .map(|(&conn, _)| conn)
            .collect();
        for conn in ready {
            let Some(outgoing) = self.outgoing.get_mut(&conn) else { continue };
            let mut chunk = Vec::with_capacity(SNAPSHOT_CHUNK_BYTES);
            let nodes = SNAPSHOT_NODES_PER_SLICE;
            let slice = self.replica.tree.snapshot_slice(outgoing.id, nodes, &mut chunk);
            outgoing.is_drained = false;
            self.io.push(IoEffect::Send { conn, bytes: Bytes::from(chunk) });
            match slice {
                Ok(Slice::More) => {}
                Ok(Slice::Done) => {
                    self.outgoing.remove(&conn);
                    self.peer.on_snapshot_sent(at(now), conn, &mut self.fx);
                }
                Err(_) => {
                    self.outgoing.remove(&conn);
                    self.peer.close_learner(conn, &mut self.fx);
                }
            }
            self.carry_all(now, outbox);
        }
    }
}
